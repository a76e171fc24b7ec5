"""A project folder to try things in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wheelyard.project.config import find_project

if TYPE_CHECKING:
    from pathlib import Path

    from wheelyard.project.config import Project

PYPROJECT = """\
[tool.wheelyard]
interpreters = ["cp312", "cp313", "cp314", "cp314t"]
policy = "manylinux_2_39_riscv64"

[tool.wheelyard.defaults.build]
timeout = "3h"
"""


def make_project(root: Path, files: dict[str, str] | None = None, *, pyproject: str = PYPROJECT) -> Project:
    """Make a project in *root*; *files* maps paths below ``recipes/`` to what they say."""
    (root / "pyproject.toml").write_text(pyproject, encoding="utf-8")
    (root / "recipes").mkdir(exist_ok=True)
    for name, text in (files or {}).items():
        path = root / "recipes" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return find_project(root)
