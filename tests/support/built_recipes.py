"""A project of its own for end-to-end tests, and the command in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Emulated builds want a core each; longest first, so that the last one is short.
AT_ONCE = 2
FIRST = ("orjson", "cffi", "zstandard", "uvloop")
RECIPES = sorted(
    (file.parent.name for file in ROOT.glob("recipes/[!_]*/recipe.toml")),
    key=lambda name: (FIRST.index(name) if name in FIRST else len(FIRST), name),
)
AFTER = {"pynacl": "cffi"}


@dataclass(frozen=True)
class BuiltRecipes:
    """A project of its own, and what became of each recipe in it."""

    root: Path
    results: dict[str, subprocess.CompletedProcess[str]]

    def run(self, *words: str, timeout: float = 600) -> subprocess.CompletedProcess[str]:
        return wheelyard(self.root, *words, timeout=timeout)


def wheelyard(root: Path, *words: str, timeout: float = 600) -> subprocess.CompletedProcess[str]:
    env = {key: value for key, value in os.environ.items() if not key.startswith(("GITHUB_", "GITLAB_"))}
    return subprocess.run(
        [sys.executable, "-m", "wheelyard", *words],
        cwd=root,
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )


def copy_project(target: Path) -> Path:
    """Copy what the tool reads of a project: no wheels, so that nothing can be reused."""
    target.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "pyproject.toml", target)
    for name in ("recipes", "packages"):
        shutil.copytree(ROOT / name, target / name)
    return target
