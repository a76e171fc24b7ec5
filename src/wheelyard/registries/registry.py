"""What a package registry is to us: it lists files and takes wheels, and never replaces one.

The decision to upload, skip or refuse a wheel is in :mod:`wheelyard.registries.upload_plan`, once for all adapters.
A new kind of registry is an adapter of :class:`Registry`, and a model with its settings and the adapter's name: a line
in ``REGISTRIES`` of :mod:`wheelyard.project.config_registries`, or an entry point of another distribution.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, Self

from wheelyard.core.errors import ConflictError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from threading import Event

    from wheelyard.registries.wheel_file import Release

    Progress = Callable[[int], object]


_NOT_IN_VERSIONS = re.compile(r"[^A-Za-z0-9_+.-]")
NONE: Mapping[str, str] = MappingProxyType({})


def nobody(_bytes: int) -> None:
    """Ignore a progress report."""


@dataclass(frozen=True)
class RegistryFile:
    """A file that a registry has.

    Attributes:
        file: its name.
        sha256: its hash; None where the registry has none, as GitLab may.
        size: bytes, None where the registry states none.
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

    Adapters: :class:`~wheelyard.registries.directory.DirectoryRegistry`,
    :class:`~wheelyard.registries.gitlab.gitlab_registry.GitLabRegistry`. Threads may share one.
    """

    @classmethod
    def open(cls, config: Any, *, name: str, root: Path) -> Self:
        """Return the registry of a site configuration; no server is asked.

        Args:
            config: its settings, of the model that names this adapter.
            name: its name there, for errors.
            root: the project's folder, which relative paths are below.

        Raises:
            ConfigError: the settings cannot be used on this machine.
            CredentialsError: a credential is named that cannot be used.
        """

    @property
    def title(self) -> str:
        """What people call it: a folder, an address. Holds no secret."""

    @property
    def parallel(self) -> int:
        """How many versions may be sent, and files or index pages read, at once."""

    @property
    def index_url(self) -> str:
        """The address of its index, for installers."""

    @property
    def folder(self) -> Path | None:
        """The folder on this machine that holds ``simple/`` and all files, None if its index is on a server."""

    def is_public(self) -> bool:
        """Return whether everybody may read it without a login.

        Raises:
            NetworkError: the registry does not answer.
        """

    def sizes(self, project: str) -> dict[tuple[str, str | None], int]:
        """Return the size in bytes of each file of a project, by name and sha256, if its index does not state it.

        Raises:
            CredentialsError: the credential may not read them.
            NetworkError: the registry does not answer.
        """

    def source_store(self) -> SourceStore:
        """Return the store for source packages.

        Raises:
            PublishError: it keeps none.
        """

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

    def put(self, release: Release, *, advance: Progress = nobody, stop: Event | None = None) -> bool:
        """Make *release* installable from here. When this returns, it is there, and stays.

        Putting the same bytes again does nothing but heal what an interrupted run left undone.

        Args:
            release: the wheel.
            advance: is called with the bytes of each part, and with a negative number when they are sent again.
            stop: when it is set, sending ends in the middle.

        Returns:
            Whether the file is new here.

        Raises:
            ConflictError: other bytes are there under this name; both digests are shown.
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
            PublishError: the registry has no hash of the file, or the file is gone.
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


class SourceStore(Protocol):
    """Takes the files of source packages, and never replaces one."""

    def check_access(self) -> None:
        """Make sure that we may write; see :meth:`Registry.check_access`."""

    def put(self, name: str, version: str, path: Path, sha256: str) -> str:
        """Have a file there, read back, and return its address.

        Raises:
            ConflictError: other bytes are there under this name.
            PublishError: it is not taken.
            NetworkError: the registry does not answer.
            DiskError: no space for it.
        """


def version_word(version: str) -> str:
    """Return a distribution's version as GitLab takes one (lib/gitlab/regex/packages.rb, maven_version_regex).

    Debian's may hold ``~`` and ``:``, and never ``_`` (deb-version(7)): so the word still keeps them apart.
    """
    plain = version.replace(":", "__").replace("..", "._.")
    return _NOT_IN_VERSIONS.sub("_", plain)


def source_conflict(title: str, name: str, stored: str, own: str) -> ConflictError:
    """Return the error of a source package's file that is in a registry with other bytes."""
    return ConflictError(
        f"{name} is in {title} already, with other bytes",
        details=[f"there: sha256 {stored}", f"here:  sha256 {own}"],
        fix="a file is never replaced: look at which of them is right, and delete the other by hand",
    )
