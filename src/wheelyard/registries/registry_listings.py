"""The files that a registry lists, package by package, and their records."""

from __future__ import annotations

import functools
from itertools import islice
from queue import SimpleQueue
from typing import TYPE_CHECKING

from wheelyard.core.errors import UnknownPackageError, WheelyardError
from wheelyard.core.names import canonical, did_you_mean
from wheelyard.core.tags import WheelName
from wheelyard.io import log, threads
from wheelyard.io.circuit_breaker import CircuitBreaker
from wheelyard.io.engine import TARGET_ARCH
from wheelyard.records.releases import RELEASES
from wheelyard.registries.registry_errors import about

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from packaging.version import Version

    from wheelyard.project.config import Project
    from wheelyard.records.releases import ReleasedFile
    from wheelyard.registries.open_registry import NamedRegistry
    from wheelyard.registries.registry import RegistryFile

    Found = tuple[RegistryFile, ...] | WheelyardError


def projects_of(
    registry: NamedRegistry, packages: Sequence[str], *, recorded_projects: Collection[str] = ()
) -> tuple[str, ...]:
    """Return the canonical names of *packages*, or of all that the registry has.

    Args:
        registry: the registry.
        packages: as people write them.
        recorded_projects: names that are right though the registry has no such package.

    Raises:
        UnknownPackageError: it has no such packages; all are listed.
        PublishError: there is no such registry, or its content is broken.
        NetworkError: it does not answer.
    """
    names = tuple(dict.fromkeys(map(canonical, packages)))
    listed = registry.adapter.projects()
    unknown = sorted(set(names).difference(listed, recorded_projects))
    if unknown:
        raise UnknownPackageError(
            f"{registry.adapter.title} has no such package",
            details=[f"{name}{did_you_mean(name, listed)}" for name in unknown],
            fix=f"wheelyard registry list --registry {registry.name}",
        )
    return names or listed


def listings(
    registry: NamedRegistry, projects: Sequence[str], breaker: CircuitBreaker | None = None
) -> Iterator[tuple[str, Found]]:
    """Yield each project with its files, or with why they cannot be read; some are read ahead, several at once.

    Args:
        registry: the registry.
        projects: canonical names.
        breaker: the circuit to the server, for a caller that sends it more than this.
    """
    breaker = breaker or CircuitBreaker()
    results: SimpleQueue[tuple[str, Found] | BaseException] = SimpleQueue()
    listing_by_project: dict[str, Found] = {}

    def read(project: str) -> None:
        try:
            results.put((project, breaker.ask(functools.partial(registry.adapter.files, project))))
        except WheelyardError as error:
            results.put((project, about(project, error)))

    with (
        log.progress(f"reading {registry.adapter.title}", len(projects), unit="packages") as advance,
        threads.crew(read, min(registry.adapter.parallel, len(projects)), results.put) as give,
    ):
        coming = iter(projects)
        for project in islice(coming, 2 * registry.adapter.parallel):
            give(project)
        for project in projects:
            while project not in listing_by_project:
                result = results.get()
                if isinstance(result, BaseException):
                    raise result
                listing_by_project[result[0]] = result[1]
            for next_project in islice(coming, 1):
                give(next_project)
            yield project, listing_by_project.pop(project)
            advance(1)


def recorded(project: Project, registry: NamedRegistry, package: str) -> tuple[ReleasedFile, ...]:
    """Return what is recorded of a package in this registry.

    Raises:
        RegistryContentError: the record cannot be used.
    """
    return tuple(
        entry for entry in RELEASES.read(RELEASES.path(project.packages, package)) if entry.where == registry.name
    )


def installable(
    project: Project, registry: NamedRegistry, package: str, file_list: Sequence[RegistryFile]
) -> dict[Version, list[tuple[WheelName, RegistryFile]]]:
    """Return the wheels of a package that riscv64 can install and nobody has yanked, there or in our records.

    Of what the registry's page lists beside them nothing counts: `registry verify` reports it.

    Raises:
        RegistryContentError: the record cannot be used.
    """
    yanked = {entry.file for entry in recorded(project, registry, package) if entry.yanked is not None}
    by_version: dict[Version, list[tuple[WheelName, RegistryFile]]] = {}
    for file in file_list:
        try:
            name = WheelName.parse(file.file)
        except ValueError:
            continue
        if name.name == package and name.runs_on(TARGET_ARCH) and file.yanked is None and file.file not in yanked:
            by_version.setdefault(name.version, []).append((name, file))
    return by_version
