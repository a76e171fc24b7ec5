"""Which versions of a package a registry need not keep; nothing is deleted here."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wheelyard.core.tags import WheelName

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from packaging.version import Version

    from wheelyard.stages.registry.port import RegistryFile


@dataclass(frozen=True)
class Pruning:
    """What is to become of one version.

    Attributes:
        project: the package.
        version: the version.
        files: its files' names, sorted.
        reason: why it is kept; empty if it is to be deleted.
    """

    project: str
    version: Version
    files: tuple[str, ...]
    reason: str


def plan_pruning(
    project: str, files: Sequence[RegistryFile], *, keep: int, referenced: Collection[Version]
) -> tuple[Pruning, ...]:
    """Say what is to become of each version, newest first. What is no wheel of the project is left alone.

    Args:
        project: its canonical name.
        files: what the registry has.
        keep: how many of the newest final versions to keep; pre-releases newer than the oldest of them stay too.
            0 keeps everything.
        referenced: versions to keep whatever their age.
    """
    versions: dict[Version, list[str]] = defaultdict(list)
    for file in files:
        try:
            name = WheelName.parse(file.file)
        except ValueError:
            continue
        if name.name == project:
            versions[name.version].append(file.file)
    finals = sorted((version for version in versions if not version.is_prerelease), reverse=True)
    kept = finals[:keep]
    oldest = min(kept, default=None)

    def reason(version: Version) -> str:
        if keep == 0:
            return "all versions are kept"
        if version in kept:
            return f"one of the newest {keep}"
        if version in referenced:
            return "pinned in lock.toml"
        if oldest is None or version > oldest:
            return "a pre-release of what is kept" if oldest else "there is no final version"
        return ""

    return tuple(
        Pruning(project, version, tuple(sorted(names)), reason(version))
        for version, names in sorted(versions.items(), reverse=True)
    )
