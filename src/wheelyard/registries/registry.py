"""What a package registry is to us: it lists files and takes wheels, and never replaces one.

The port is small on purpose: what GitLab's registry and a folder have in common. What is decided on top of it
(upload, skip or refuse) is in :mod:`wheelyard.registries.upload_plan`, once for all adapters.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from threading import Event

    from wheelyard.registries.wheel_file import Release

    Progress = Callable[[int], object]


NONE: Mapping[str, str] = MappingProxyType({})


def nobody(_bytes: int) -> None:
    """Take a progress report and tell nobody."""


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
        url: its absolute address; empty where files lie beside the pages that list them.
    """

    file: str
    sha256: str | None
    size: int | None = None
    requires_python: str = ""
    yanked: str | None = None
    metadata_sha256: str = ""
    uploaded: str = ""
    url: str = ""


class Registry(Protocol):
    """A package registry.

    Adapters: :class:`~wheelyard.registries.directory.FolderRegistry`,
    :class:`~wheelyard.registries.gitlab.gitlab_registry.GitLabRegistry`. Threads may share one.
    """

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

    def check_access(self) -> None:
        """Make sure that we may write here, before anything is sent that counts.

        Raises:
            CredentialsError: there is no credential, it is dead, or it may not write.
            PublishError: there is no such registry.
            NetworkError: the registry does not answer.
            DiskError: no right to write there.
        """

    def put(self, release: Release, *, tell: Progress = nobody, stop: Event | None = None) -> bool:
        """Make *release* installable from here. When this returns, it is there, and stays.

        Putting the same bytes again does nothing but heal what an interrupted run left undone.

        Args:
            release: the wheel.
            tell: is told how many bytes were sent, and a negative number when they have to be sent again.
            stop: when it is set, sending ends in the middle.

        Returns:
            Whether the file is new here.

        Raises:
            ConflictError: other bytes are there under this name; both digests are told.
            PublishError: the wheel is not what it was when it was checked, or the registry does not take it.
            DiskError: no space, or no right to write there.
            NetworkError: the registry does not answer.
        """

    def confirm(self, project: str, file: str, sha256: str) -> None:
        """Read a file back, and make sure that its bytes are those.

        Raises:
            RegistryContentError: they are others.
            NetworkError: the registry does not answer.
        """

    def fetch(self, project: str, file: RegistryFile, target: Path) -> None:
        """Copy a file to *target*, whole or not at all, with the bytes that the registry's index promises.

        Raises:
            PublishError: the registry does not know the file's hash, or it is gone.
            DigestMismatchError: it gives other bytes.
            NetworkError: the registry does not answer.
            DiskError: no space for it.
        """

    def remove(self, project: str, wheels: Sequence[str], *, staying: Mapping[str, str] = NONE) -> None:
        """Delete files for good.

        Args:
            project: its canonical name.
            wheels: the files.
            staying: of those that are there more than once, the sha256 of the one copy that stays.

        Raises:
            CredentialsError: we may not.
            PublishError: one of them, or what is to stay, is not there; then nothing is deleted.
            NetworkError: the registry does not answer.
        """

    def yank(self, project: str, file: str, reason: str | None) -> bool:
        """Mark a file as yanked for *reason* (PEP 592), which may be empty; None takes it back.

        Returns:
            Whether the registry's own index can show it; where it cannot, our records and our index do.

        Raises:
            PublishError: it is not there.
            DiskError: no right to write there.
        """
