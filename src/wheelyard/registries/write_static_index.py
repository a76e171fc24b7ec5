"""``registry index``: static pages in front of a registry, with what its own index lacks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wheelyard.core.errors import WheelyardError
from wheelyard.registries.registry_errors import about, together
from wheelyard.registries.registry_listings import listings, recorded
from wheelyard.registries.static_index import enrich, listable, write_front

if TYPE_CHECKING:
    from pathlib import Path

    from wheelyard.project.config import Project
    from wheelyard.registries import RegistryFile
    from wheelyard.registries.open_registry import NamedRegistry


@dataclass(frozen=True)
class Front:
    """What was written.

    Attributes:
        folder: where.
        packages: how many packages it lists.
        files: how many files.
        changed: how many pages changed.
        left_out: why some files are not in it.
        private: whether installers need a login for the files.
    """

    folder: Path
    packages: int
    files: int
    changed: int
    left_out: tuple[str, ...]
    private: bool


def write_index(project: Project, registry: NamedRegistry, folder: Path) -> Front:
    """Write static index pages for a registry, with the yanks and sizes of our records.

    All or nothing is read before anything is written: a registry that fails halfway does not empty the index.

    Raises:
        WheelyardError: some packages cannot be read; all are listed, and nothing is written.
        PublishError: there is no such registry, or its content is broken.
        NetworkError: it does not answer.
        DiskError: no space, or no right to write there.
    """
    projects: dict[str, list[RegistryFile]] = {}
    unreadable: list[WheelyardError] = []
    left_out: list[str] = []
    for package, listing in listings(registry, registry.adapter.projects()):
        try:
            if isinstance(listing, WheelyardError):
                raise listing
            records = recorded(project, registry, package)
        except WheelyardError as error:
            unreadable.append(about(package, error))
            continue
        listed, reasons = listable(listing, records)
        projects[package] = enrich(listed, records)
        left_out += reasons
    if unreadable:
        raise together(f"{registry.adapter.title} cannot be read whole; the index stays as it was", unreadable)
    changed = write_front(folder, projects)
    return Front(
        folder=folder,
        packages=sum(map(bool, projects.values())),
        files=sum(map(len, projects.values())),
        changed=changed,
        left_out=tuple(left_out),
        private=not registry.adapter.is_public(),
    )
