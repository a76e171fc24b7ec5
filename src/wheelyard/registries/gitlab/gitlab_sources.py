"""Source packages beside the wheels, as GitLab's generic packages.

GitLab replaces nothing but keeps what came twice, unless a project forbids it (lib/api/generic_packages.rb), so what
is there is read before anything is sent, and read back afterwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from wheelyard.core.errors import PublishError, RegistryContentError
from wheelyard.io.body import Pace, sha256_of
from wheelyard.io.upload_body import FileBody
from wheelyard.registries.gitlab.upload import message_of
from wheelyard.registries.registry import source_conflict, version_word

if TYPE_CHECKING:
    from pathlib import Path

    from wheelyard.io.server import Server
    from wheelyard.registries.gitlab.gitlab_registry import GitLabRegistry

_OK, _CREATED, _NOT_FOUND = 200, 201, 404


class GitLabSources:
    """``PUT`` and ``GET /projects/:id/packages/generic/:name/:version/:file`` (lib/api/generic_packages.rb)."""

    def __init__(self, registry: GitLabRegistry) -> None:
        self._registry = registry
        self._server: Server = registry.server("generic")

    def check_access(self) -> None:
        """Make sure that we may write: the right to one kind of package is the right to all."""
        self._registry.check_access()

    def put(self, name: str, version: str, path: Path, sha256: str) -> str:
        """Send a file unless it is there; the content afterwards decides, not the answer."""
        place = f"/source-{quote(name)}/{quote(version_word(version))}/{quote(path.name)}"
        url = self._server.base + place
        for attempt in self._server.attempts(f"uploading {path.name}"):
            with attempt:
                stored = self._read(place, path.name)
                if stored is not None:
                    if stored != sha256:
                        raise source_conflict(self._registry.title, path.name, stored, sha256)
                    return url
                with path.open("rb") as file:
                    answer = attempt.take(self._server.send("PUT", place, FileBody(file)))
                if answer.status_code not in {_OK, _CREATED}:
                    raise self._registry.errors.refusal(answer) or PublishError(
                        f"{self._registry.title} does not take {path.name}",
                        details=[f"{answer.status_code}: {message_of(answer)}"],
                        fix="the server gives the reason; a limit on sizes is a setting of the project or the server",
                    )
                if (stored := self._read(place, path.name)) != sha256:
                    raise RegistryContentError(
                        f"{self._registry.title} gives other bytes for {path.name} than were sent",
                        details=[f"sent:    sha256 {sha256}", f"arrived: sha256 {stored or 'nothing'}"],
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
                    raise self._registry.errors.refusal(answer) or PublishError(
                        f"{self._registry.title} answers {answer.status_code} for {name}", details=[message_of(answer)]
                    )
                return sha256_of(answer, Pace(self._server.base, self._server.patience))
        raise AssertionError("attempts() ends with an error")
