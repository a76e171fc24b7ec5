"""What a package registry is to us: it lists files and takes wheels, and never replaces one.

The port is small on purpose: what GitLab's registry and a folder have in common. What is decided on top of it
(upload, skip or refuse) is in :mod:`wheelyard.stages.registry.plan`, once for all adapters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from wheelyard.stages.registry.release import Release


@dataclass(frozen=True)
class RegistryFile:
    """A file that a registry has.

    Attributes:
        file: its name.
        sha256: its hash; None where the registry does not know it, as GitLab may not.
        size: bytes, None where the registry does not say.
        requires_python: Requires-Python, empty if there is none.
        yanked: None if it is not; else the reason, which may be empty (PEP 592).
        metadata_sha256: the hash of its METADATA if that is served beside it (PEP 658), empty if not.
        uploaded: when it came, as ISO 8601 in UTC (PEP 700), empty if unknown.
    """

    file: str
    sha256: str | None
    size: int | None = None
    requires_python: str = ""
    yanked: str | None = None
    metadata_sha256: str = ""
    uploaded: str = ""


class Registry(Protocol):
    """A package registry. Adapters: :class:`~wheelyard.stages.registry.folder.FolderRegistry`."""

    @property
    def title(self) -> str:
        """What people call it: a folder, an address. Holds no secret."""

    def projects(self) -> tuple[str, ...]:
        """Return the canonical names of all projects that have files, sorted.

        Raises:
            PublishError: the registry's content is broken.
            NetworkError: the registry does not answer.
        """

    def files(self, project: str) -> tuple[RegistryFile, ...]:
        """Return the files of a project, sorted by name; none if there is no such project.

        Args:
            project: its canonical name.

        Raises:
            PublishError: the registry's content is broken.
            NetworkError: the registry does not answer.
        """

    def put(self, release: Release) -> bool:
        """Make *release* installable from here. When this returns, it is there whole, and stays.

        Putting the same bytes again does nothing but heal what an interrupted run left undone.

        Returns:
            Whether the file is new here.

        Raises:
            ConflictError: other bytes are there under this name; both digests are told.
            PublishError: the wheel is not what it was when it was checked, or the registry does not take it.
            DiskError: no space, or no right to write there.
            NetworkError: the registry does not answer.
        """
