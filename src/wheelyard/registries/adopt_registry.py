"""``registry adopt``: records of the wheels that a registry has and no record lists."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wheelyard.core.errors import ConfigError, RegistryContentError, WheelyardError
from wheelyard.io import cache, files, threads
from wheelyard.io.circuit_breaker import CircuitBreaker
from wheelyard.records.releases import RELEASES, ReleasedFile, record
from wheelyard.registries.registry_errors import about
from wheelyard.registries.registry_listings import listings, projects_of, recorded
from wheelyard.registries.static_index import listable
from wheelyard.registries.wheel_file import entry_of, read_release

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wheelyard.project.config import Project
    from wheelyard.registries.open_registry import NamedRegistry
    from wheelyard.registries.registry import RegistryFile

_AGAIN = "delete it there, and publish it again"


@dataclass(frozen=True)
class Adoption:
    """What was taken into the records.

    Attributes:
        adopted: the files that are recorded now.
        refused: why others are not.
    """

    adopted: tuple[str, ...]
    refused: tuple[WheelyardError, ...]


def adopt(project: Project, registry: NamedRegistry, packages: Sequence[str]) -> Adoption:
    """Record what a registry has and our records do not: each wheel is downloaded, verified and read.

    What it was built from is unknown afterwards, and is left empty.

    Raises:
        ConfigError: records do not list what is in this registry.
        UnknownPackageError: it has no such package.
        PublishError: there is no such registry.
        NetworkError: it does not answer at all.
    """
    if not registry.config.record:
        raise ConfigError(
            f"our records do not list what is in {registry.name}",
            fix="name it in [tool.wheelyard.registries], with record = true",
        )
    files.sweep_scratch(cache.cache_dir("work"), "adopt")
    adopted: list[str] = []
    refused: list[WheelyardError] = []
    breaker = CircuitBreaker()
    for package, listing in listings(registry, projects_of(registry, packages), breaker):
        try:
            if isinstance(listing, WheelyardError):
                raise listing
            recorded_files = {entry.file for entry in recorded(project, registry, package)}
        except WheelyardError as error:
            refused.append(about(package, error))
            continue
        news = [file for file in listing if file.file not in recorded_files and file.file.endswith(".whl")]
        adoptable, reasons = listable(news, ())
        refused += (RegistryContentError(reason, fix=_AGAIN) for reason in reasons)
        read = threads.each(
            functools.partial(_read, registry, package, breaker), adoptable, parallel=registry.adapter.parallel
        )
        entries = [entry for entry in read if isinstance(entry, ReleasedFile)]
        refused += (error for error in read if isinstance(error, WheelyardError))
        record(RELEASES.path(project.packages, package), entries)
        adopted += (entry.file for entry in entries)
    return Adoption(tuple(adopted), tuple(refused))


def _read(
    registry: NamedRegistry, package: str, breaker: CircuitBreaker, file: RegistryFile
) -> ReleasedFile | WheelyardError:
    """Return the record of a wheel, read from its bytes, or why there can be none."""
    try:
        with files.scratch(cache.cache_dir("work"), "adopt") as scratch:
            breaker.ask(functools.partial(registry.adapter.fetch, package, file, scratch / file.file))
            release = read_release(scratch / file.file, sha256=file.sha256 or "")
        if release.project != package:
            raise RegistryContentError(f"is not a wheel of {package}", fix=_AGAIN)
        return entry_of(release, registry.name, yanked=file.yanked)
    except WheelyardError as error:
        return about(file.file, error)
