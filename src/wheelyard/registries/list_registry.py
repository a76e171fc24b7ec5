"""``registry list``: the files of a registry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.version import Version

from wheelyard.core.errors import WheelyardError
from wheelyard.core.tags import WheelName
from wheelyard.io import log, threads
from wheelyard.registries.registry_errors import about
from wheelyard.registries.registry_listings import listings, projects_of, recorded
from wheelyard.registries.registry_reports import ListedFile, RegistryListing
from wheelyard.registries.simple_index import version_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wheelyard.project.config import Project
    from wheelyard.records.releases import ReleasedFile
    from wheelyard.registries.open_registry import NamedRegistry
    from wheelyard.registries.registry import RegistryFile

_NO_VERSION = Version("0.dev0")  # sorts before all others


@dataclass(frozen=True)
class Listing:
    """What a registry has.

    Attributes:
        report: that, as far as it could be read.
        unreadable: why some packages could not be.
    """

    report: RegistryListing
    unreadable: tuple[WheelyardError, ...]


def list_registry(project: Project, registry: NamedRegistry, packages: Sequence[str], *, sizes: bool) -> Listing:
    """Return what a registry has.

    Args:
        project: the project.
        registry: the registry.
        packages: which packages; all by default.
        sizes: ask the registry for the sizes that neither its index nor our records have.

    Raises:
        UnknownPackageError: it has no such package.
        CredentialsError: we may not ask for sizes.
        PublishError: there is no such registry.
        NetworkError: it does not answer.
    """
    listing: dict[str, tuple[ListedFile, ...]] = {}
    unreadable: list[WheelyardError] = []
    for package, file_list in listings(registry, projects_of(registry, packages)):
        try:
            if isinstance(file_list, WheelyardError):
                raise file_list
            records = {(entry.file, entry.sha256): entry for entry in recorded(project, registry, package)}
            listing[package] = tuple(
                _listed(file, records.get((file.file, file.sha256 or ""))) for file in _sorted(file_list)
            )
        except WheelyardError as error:
            unreadable.append(about(package, error))
    if sizes:
        listing |= _with_sizes(registry, listing)
    return Listing(RegistryListing(registry=registry.name, packages=listing), tuple(unreadable))


def _sorted(file_list: Sequence[RegistryFile]) -> list[RegistryFile]:
    return sorted(file_list, key=lambda file: (version_of(file.file) or _NO_VERSION, file.file))


def _listed(file: RegistryFile, record: ReleasedFile | None) -> ListedFile:
    try:
        tags = sorted({f"{tag.interpreter}-{tag.abi}" for tag in WheelName.parse(file.file).tags})
    except ValueError:
        tags = []
    return ListedFile(
        file=file.file,
        version=str(version_of(file.file) or ""),
        interpreters=tuple(tags),
        sha256=file.sha256,
        size=record.size if file.size is None and record else file.size,
        yanked=record.yanked if file.yanked is None and record else file.yanked,
    )


def _with_sizes(
    registry: NamedRegistry, listing: dict[str, tuple[ListedFile, ...]]
) -> dict[str, tuple[ListedFile, ...]]:
    """Return the packages with a file of unknown size, with the sizes that the registry has beside its index."""
    unsized = [package for package, listed in listing.items() if any(file.size is None for file in listed)]

    with log.progress(f"asking {registry.adapter.title} for sizes", len(unsized), unit="packages") as advance:

        def ask(package: str) -> tuple[ListedFile, ...]:
            sizes = registry.adapter.sizes(package)
            advance(1)
            return tuple(
                file.model_copy(update={"size": sizes.get((file.file, file.sha256))}) if file.size is None else file
                for file in listing[package]
            )

        return dict(zip(unsized, threads.each(ask, unsized, parallel=registry.adapter.parallel), strict=True))
