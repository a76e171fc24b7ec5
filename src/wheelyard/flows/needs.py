"""Requirements of a build or its tests that only our own index folder has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wheelyard.core.digests import sha256_file
from wheelyard.core.errors import PlanError

if TYPE_CHECKING:
    from pathlib import Path

    from wheelyard.flows.target import Target


def find(target: Target, index: Path) -> dict[str, str]:
    """Return the wheels that the build may take from the index folder, with their hashes.

    Raises:
        PlanError: a needed package has no wheel there; every missing one is told.
    """
    wheels = {name: sorted((index / "files" / name).glob("*.whl")) for name in target.settings.needs}
    missing = [name for name, found in wheels.items() if not found]
    if missing:
        commands = " && ".join(f"nox -s build-{name} && wheelyard publish --to {index} {name}" for name in missing)
        raise PlanError(
            f"{target.package} needs wheels of {', '.join(missing)}, and the index folder {index} has none",
            where=f"recipes/{target.package}/recipe.toml",
            fix=commands,
        )
    return {wheel.name: sha256_file(wheel) for found in wheels.values() for wheel in found}
