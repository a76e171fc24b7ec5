"""A project with one recipe, for the package of :mod:`support.tiny`, and its index on the loopback."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from wheelyard.io import engine

if TYPE_CHECKING:
    from pathlib import Path

    from support.index import IndexServer

PYPROJECT = """\
[tool.wheelyard]
interpreters = {pythons}
policy = "manylinux_2_39_riscv64"
image = "local"
min-free-gib = {space}
idle-seconds = {idle}
"""
TESTED = '[test]\ncommand = "python {project}/test_tiny.py"\n'


class Site:
    """A project with one recipe for ``tiny``, its index on the loopback."""

    def __init__(self, root: Path, index: IndexServer) -> None:
        self.root = root
        self.index = index
        self.env = dict(os.environ) | {"WHEELYARD_INDEX": index.url}
        self.space = 1
        self.idle = 300
        self.pythons: tuple[str, ...] = ("cp313",)
        self.recipe(TESTED)

    def recipe(self, text: str) -> None:
        (self.root / "recipes/tiny").mkdir(parents=True, exist_ok=True)
        (self.root / "recipes/tiny/recipe.toml").write_text(text)
        (self.root / "pyproject.toml").write_text(
            PYPROJECT.format(space=self.space, idle=self.idle, pythons=list(self.pythons))
        )

    def start(self, *words: str, package: str = "tiny") -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "wheelyard", "build", package, *words],
            cwd=self.root,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def build(self, *words: str, package: str = "tiny") -> tuple[int, str]:
        process = self.start(*words, package=package)
        output, _ = process.communicate(timeout=400)
        return process.returncode, output

    @property
    def wheels(self) -> list[Path]:
        return sorted(self.root.glob("dist/tiny/*/*.whl"))

    def nothing_left(self) -> bool:
        """No container of ours, no scratch folder; the guard may take some seconds."""
        for _ in range(60):
            scratch = list(self.root.glob("dist/tiny/*/work-*"))
            if not scratch and not self.containers():
                return True
            time.sleep(0.5)
        return False

    def containers(self) -> list[str]:
        """The containers that builds of this site have started: they know its index."""
        form = '{{.ID}} {{index .Labels "wheelyard.owner"}}'
        listed = engine.engine_run(["ps", "--all", "--filter", f"label={engine.OWNER_LABEL}", "--format", form])
        return [line for line in listed.stdout.splitlines() if line.split()[1].split(".")[0] in self.pids]

    pids: frozenset[str] = frozenset()
