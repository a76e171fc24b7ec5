"""Which versions of a package a registry need not keep; nothing is deleted here."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.version import Version

from wheelyard.core.tags import WheelName

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from wheelyard.registries.registry import RegistryFile


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
    """Return the decision for each version, newest first. Files that are no wheels of the project are kept.

    Args:
        project: its canonical name.
        files: what the registry has.
        keep: how many of the newest versions to keep. Those count that installers choose by themselves: pre-releases
            and yanked versions do not, and stay if they are newer than the oldest of these; ``2.0+cpu`` and
            ``2.0+cuda`` count as one. 0 keeps everything.
        referenced: versions to keep whatever their age, and their local ones with them.
    """
    versions: dict[Version, list[RegistryFile]] = defaultdict(list)
    for file in files:
        try:
            name = WheelName.parse(file.file)
        except ValueError:
            continue
        if name.name == project:
            versions[name.version].append(file)
    chosen = {
        _public(version)
        for version, version_files in versions.items()
        if not version.is_prerelease and any(file.yanked is None for file in version_files)
    }
    remaining = sorted(chosen, reverse=True)[:keep]

    def reason(version: Version) -> str:
        public = _public(version)
        if keep == 0:
            return "all versions are kept"
        if public in remaining:
            return f"one of the newest {keep}"
        if version in referenced or public in referenced:
            return "pinned in lock.toml"
        if not remaining:
            return "there is no version to keep instead"
        return "newer than what is kept" if public > remaining[-1] else ""

    return tuple(
        Pruning(project, version, tuple(sorted({file.file for file in version_files})), reason(version))
        for version, version_files in sorted(versions.items(), reverse=True)
    )


def _public(version: Version) -> Version:
    """Return a version without its local part (PEP 440)."""
    return Version(version.public)
