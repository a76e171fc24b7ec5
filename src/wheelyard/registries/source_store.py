"""Source packages beside the wheels: in a folder registry below ``sources/``, in GitLab as generic packages.

GitLab replaces nothing but keeps what came twice, unless a project forbids it (lib/api/generic_packages.rb), so what
is there is read before anything is sent, and read back afterwards.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote

from wheelyard.core.digests import sha256_file
from wheelyard.core.errors import ConflictError, PublishError, RegistryContentError
from wheelyard.io import files
from wheelyard.io.body import Pace, sha256_of
from wheelyard.io.upload_body import FileBody
from wheelyard.registries.directory import FolderRegistry
from wheelyard.registries.gitlab.gitlab_registry import GitLabRegistry
from wheelyard.registries.gitlab.upload import said

if TYPE_CHECKING:
    from pathlib import Path

    from wheelyard.io.server import Server
    from wheelyard.registries.registry import Registry

_OK, _CREATED, _NOT_FOUND = 200, 201, 404
_NOT_IN_VERSIONS = re.compile(r"[^A-Za-z0-9_+.-]")


class SourceStore(Protocol):
    """Takes the files of source packages, and never replaces one."""

    def check_access(self) -> None:
        """Make sure that we may write; see :meth:`wheelyard.registries.registry.Registry.check_access`."""

    def put(self, name: str, version: str, path: Path, sha256: str) -> str:
        """Have a file there, read back, and return its address.

        Raises:
            ConflictError: other bytes are there under this name.
            PublishError: it is not taken.
            NetworkError: the registry does not answer.
            DiskError: no space for it.
        """


def source_store(registry: Registry) -> SourceStore:
    """Return where a registry keeps sources.

    Raises:
        PublishError: it keeps none.
    """
    if isinstance(registry, FolderRegistry):
        return FolderSources(registry)
    if isinstance(registry, GitLabRegistry):
        return GitLabSources(registry)
    raise PublishError(f"{registry.title} takes no sources")


class FolderSources:
    """``<root>/sources/<name>/<version>/<file>``."""

    def __init__(self, registry: FolderRegistry) -> None:
        self._registry = registry

    def check_access(self) -> None:
        """Make sure that we may write."""
        self._registry.check_access()

    def put(self, name: str, version: str, path: Path, sha256: str) -> str:
        """Copy a file there, whole or not at all."""
        inside = f"sources/{name}/{version_word(version)}/{path.name}"
        target = self._registry.root / inside
        with files.disk_errors(target), self._registry.locked():
            if not target.exists():
                files.copy_whole(path, target)
            if (there := sha256_file(target)) != sha256:
                raise _conflict(self._registry.title, path.name, there, sha256)
        return inside


class GitLabSources:
    """``PUT`` and ``GET /projects/:id/packages/generic/:name/:version/:file`` (lib/api/generic_packages.rb)."""

    def __init__(self, registry: GitLabRegistry) -> None:
        self._registry = registry
        self._server: Server = registry.server("generic")

    def check_access(self) -> None:
        """Make sure that we may write: the right to one kind of package is the right to all."""
        self._registry.check_access()

    def put(self, name: str, version: str, path: Path, sha256: str) -> str:
        """Send a file unless it is there; whatever the answer says, what is there afterwards decides."""
        place = f"/source-{quote(name)}/{quote(version_word(version))}/{quote(path.name)}"
        url = self._server.base + place
        for attempt in self._server.attempts(f"uploading {path.name}"):
            with attempt:
                there = self._read(place, path.name)
                if there is not None:
                    if there != sha256:
                        raise _conflict(self._registry.title, path.name, there, sha256)
                    return url
                with path.open("rb") as file:
                    answer = attempt.take(self._server.send("PUT", place, FileBody(file)))
                if answer.status_code not in {_OK, _CREATED}:
                    raise self._registry.refusal(answer) or PublishError(
                        f"{self._registry.title} does not take {path.name}",
                        details=[f"{answer.status_code}: {said(answer)}"],
                        fix="the server gives the reason; a limit on sizes is a setting of the project or the server",
                    )
                if (there := self._read(place, path.name)) != sha256:
                    raise RegistryContentError(
                        f"{self._registry.title} gives other bytes for {path.name} than were sent",
                        details=[f"sent:    sha256 {sha256}", f"arrived: sha256 {there or 'nothing'}"],
                        fix="delete it there, and run the same command again",
                    )
                return url
        raise AssertionError("attempts() ends with an error")

    def _read(self, place: str, name: str) -> str | None:
        """Return the sha256 of the bytes that are there, None if there are none."""
        for attempt in self._server.attempts(f"reading {name}"):
            with attempt, self._server.stream(place) as answer:
                attempt.take(answer)
                if answer.status_code == _NOT_FOUND:
                    return None
                if answer.status_code != _OK:
                    raise self._registry.refusal(answer) or PublishError(
                        f"{self._registry.title} answers {answer.status_code} for {name}", details=[said(answer)]
                    )
                return sha256_of(answer, Pace(self._server.base, self._server.patience))
        raise AssertionError("attempts() ends with an error")


def version_word(version: str) -> str:
    """Return a distribution's version as GitLab takes one (lib/gitlab/regex/packages.rb, maven_version_regex).

    Debian's may hold ``~`` and ``:``, and never ``_`` (deb-version(7)): so the word still tells them apart.
    """
    plain = version.replace(":", "__").replace("..", "._.")
    return _NOT_IN_VERSIONS.sub("_", plain)


def _conflict(title: str, name: str, there: str, here: str) -> ConflictError:
    return ConflictError(
        f"{name} is in {title} already, with other bytes",
        details=[f"there: sha256 {there}", f"here:  sha256 {here}"],
        fix="a file is never replaced: look at which of them is right, and delete the other by hand",
    )
