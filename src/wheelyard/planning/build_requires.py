"""What a build takes from other recipes: wheels of the packages that it needs, in the index folder."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from wheelyard.core.digests import sha256_file
from wheelyard.core.errors import NeededWheelError
from wheelyard.core.tags import WheelName, wheel_for

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from wheelyard.core.tags import Interpreter
    from wheelyard.planning.target import Target
    from wheelyard.project.config import Project


def find(target: Target, index: Path) -> dict[str, str]:
    """Return the wheels that the build may take from the index folder, with their hashes.

    Raises:
        NeededWheelError: a needed package has no wheel there; every missing one is listed.
    """
    wheels_by_package = {name: sorted(wheels(index, name)) for name in target.settings.needs}
    missing = [name for name, files in wheels_by_package.items() if not files]
    if missing:
        commands = " && ".join(f"nox -s build-{name} && wheelyard publish --to {index} {name}" for name in missing)
        raise NeededWheelError(
            f"{target.package} needs wheels of {', '.join(missing)}, and the index folder {index} has none",
            where=f"recipes/{target.package}/recipe.toml",
            fix=commands,
        )
    return {wheel.name: sha256_file(wheel) for files in wheels_by_package.values() for wheel in files}


def has(project: Project, name: str, pythons: Sequence[Interpreter]) -> bool:
    """Return whether the index folder has a wheel of *name* for each of *pythons*."""
    pairs = [wheel.pair for wheel in wheels(project.index, name).values()]
    return all(wheel_for(python, pairs) for python in pythons)


def wheels(index: Path, name: str) -> dict[Path, WheelName]:
    """Return the wheels of a package in the index folder; an installer ignores other files."""
    names_by_file = {}
    for path in (index / "files" / name).glob("*.whl"):
        with contextlib.suppress(ValueError):
            names_by_file[path] = WheelName.parse(path.name)
    return names_by_file
