"""Fetch the wheels of ours that a build needs into the index folder: from ``dist/``, else from our registries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.version import Version

from wheelyard.core.errors import WheelyardError
from wheelyard.io import cache, files, log
from wheelyard.planning.build_requires import has, wheels
from wheelyard.records.lockfile import lock_file, read_lock
from wheelyard.registries import DirectoryRegistry, read_release
from wheelyard.registries.open_registry import open_registry
from wheelyard.registries.publish_wheels import publish_packages
from wheelyard.registries.registry_listings import installable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wheelyard.core.tags import Interpreter
    from wheelyard.planning.target import Target
    from wheelyard.project.config import Project
    from wheelyard.registries import RegistryFile
    from wheelyard.registries.open_registry import NamedRegistry

_PLACE = "needs"  # in the cache: unfinished downloads


def fetch_build_requires(project: Project, target: Target, pythons: Sequence[Interpreter]) -> None:
    """Fetch missing wheels of the packages that the build needs into the index folder.

    It lacks a package of which it has no wheel for one of *pythons*: where a build of it failed for one of them, the
    registry may have that wheel. :func:`needs.find` reports what no registry has; why a registry did not give it is
    logged here.
    """
    for name in target.settings.needs:
        if has(project, name, pythons):
            continue
        if any((project.dist / name).glob("*/*.whl")):
            _from_dist(project, name)
        for configured in project.config.registries:
            if has(project, name, pythons):
                break
            try:
                _fetch(project, open_registry(project, configured), name)
            except WheelyardError as error:
                log.warn(f"{name} cannot be fetched from {configured}: {error.head}")


def _from_dist(project: Project, name: str) -> None:
    try:
        publication = publish_packages(project, (name,), str(project.index), dry_run=False)
    except WheelyardError as error:
        problems = [error.head]
    else:
        problems = [*publication.held_back, *(error.head for error in publication.failed)]
    for text in problems:
        log.warn(f"wheels of {name} in {project.dist.name}/ cannot be used: {text}")


def _fetch(project: Project, registry: NamedRegistry, name: str) -> None:
    """Copy the wheels of the pinned version, else of the newest, from a registry into the index folder."""
    present = {wheel.name for wheel in wheels(project.index, name)}
    missing = [file for file in _files_to_fetch(project, registry, name) if file.file not in present]
    folder = cache.cache_dir(_PLACE)
    files.sweep_scratch(folder, name)
    with files.scratch(folder, name) as work:
        for file in missing:
            registry.adapter.fetch(name, file, work / file.file)
            release = read_release(work / file.file, sha256=file.sha256 or "")
            DirectoryRegistry(project.index).put(release)
            log.info(f"fetched from {registry.name}: {file.file}")


def _files_to_fetch(project: Project, registry: NamedRegistry, name: str) -> Sequence[RegistryFile]:
    files_by_version = installable(
        project, registry, name, [file for file in registry.adapter.files(name) if file.sha256]
    )
    pinned = [Version(entry.version) for entry in read_lock(lock_file(project.packages, name)).versions]
    versions = [version for version in pinned if version in files_by_version] or sorted(files_by_version, reverse=True)
    return [file for _, file in files_by_version[versions[0]]] if versions else ()
