"""Another distribution on Python's path, as pip installs one: modules and entry points."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def install(folder: Path, modules: Mapping[str, str], entry_points: str) -> dict[str, str]:
    """Write a distribution into *folder*; return the variables of a command that finds it.

    Args:
        folder: what becomes an entry of Python's path.
        modules: the text of each module.
        entry_points: the lines of ``entry_points.txt``.
    """
    metadata = folder / "toy-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.4\nName: toy\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(entry_points)
    for name, text in modules.items():
        (folder / f"{name}.py").write_text(text)
    return {"PYTHONPATH": str(folder)}
