"""GitLab's PyPI package registry (lib/api/pypi_packages.rb), as an adapter of the Registry port.

What decides its shape: the server keeps the client's sha256 without looking, so what was sent is read back; a
duplicate and a race end in the same two answers, and a lost answer in none, so after each of these the index is
read before anybody decides; a GET cannot detect a dead deploy token on a public project, so access is tried with an
upload that cannot succeed.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from typing import TYPE_CHECKING, Self
from urllib.parse import quote

from wheelyard.core.errors import (
    ConfigError,
    ConflictError,
    DigestMismatchError,
    NetworkError,
    PublishError,
    RegistryContentError,
)
from wheelyard.io import downloads, simple_api
from wheelyard.io.body import PATIENCE, Pace, Patience, sha256_of
from wheelyard.io.retry import UnansweredError
from wheelyard.io.server import Server
from wheelyard.io.upload_body import multipart
from wheelyard.registries.gitlab import index_pages
from wheelyard.registries.gitlab.answer_errors import FORBIDDEN, AnswerErrors
from wheelyard.registries.gitlab.credentials import find_credential, no_credential
from wheelyard.registries.gitlab.upload import Verdict, judge, message_of
from wheelyard.registries.registry import NONE, nobody

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from threading import Event

    from gitlab.v4.objects import Project

    from wheelyard.io.http import Response
    from wheelyard.project.config_registries import GitLabConfig
    from wheelyard.registries.gitlab.credentials import Credential
    from wheelyard.registries.gitlab.gitlab_sources import GitLabSources
    from wheelyard.registries.registry import Progress, RegistryFile
    from wheelyard.registries.wheel_file import Release

_OK, _FOUND, _NOT_FOUND = 200, 302, 404
_REFUSED = frozenset({401, FORBIDDEN})
_LARGEST = 64 << 30  # bytes of a file that we fetch; GitLab's own limits are far below


class GitLabRegistry:
    """The package registry of one project.

    Args:
        url: the server.
        project: the project's path or number.
        credential: who we are; None for reading what is public.
        variables: environment variables that a credential may come from, to be named where one is missing.
        ca_bundle: a file with the certificates to trust; the system's if empty.
        timeout: seconds that an upload may take to be answered.
        parallel: versions sent at once, and files or index pages read at once.
        patience: how slowly what it sends may come.
    """

    folder = None

    def __init__(
        self,
        url: str,
        project: str,
        credential: Credential | None,
        *,
        variables: Sequence[str] = ("WHEELYARD_GITLAB_TOKEN",),
        ca_bundle: str = "",
        timeout: float = 300,
        parallel: int = 8,
        patience: Patience = PATIENCE,
    ) -> None:
        self.url = url
        self.project = project
        base = f"{url}/api/v4/projects/{quote(project, safe='')}/packages/pypi"
        self._credential = credential
        self._variables = variables
        self._ca_bundle = ca_bundle
        self._timeout = timeout
        self.parallel = parallel
        login = credential.login if credential else None
        self._server = Server(base, login, ca_bundle=ca_bundle, timeout=timeout, patience=patience)
        self.errors = AnswerErrors(self.title, credential.source if credential else "nobody")
        self._seen: dict[str, dict[str, set[str | None]]] = {}  # by project and file: the hashes in the index
        self._lock = threading.Lock()
        self._checked = False

    @classmethod
    def open(cls, config: GitLabConfig, *, name: str, root: Path) -> Self:
        """Return the registry of a site configuration, with the credential of this machine."""
        return cls(
            config.url,
            config.project,
            find_credential(config.url, config.variables),
            variables=config.variables,
            ca_bundle=_ca_bundle(config, name, root),
            timeout=config.timeout,
            parallel=config.parallel,
        )

    @property
    def title(self) -> str:
        """Server and project."""
        return f"{self.url.partition('://')[2]}/{self.project}"

    @property
    def index_url(self) -> str:
        """The address that installers take."""
        return f"{self._server.base}/simple"

    def server(self, kind: str) -> Server:
        """Return the same server and login for the project's packages of another kind, such as ``generic``."""
        base = f"{self._server.base.removesuffix('pypi')}{kind}"
        login = self._credential.login if self._credential else None
        return Server(base, login, ca_bundle=self._ca_bundle, timeout=self._timeout, patience=self._server.patience)

    def is_public(self) -> bool:
        """Return whether everybody may read it: who follows an address from elsewhere may have no login.

        Raises:
            NetworkError: it does not answer.
        """
        anybody = Server(self._server.base, None, ca_bundle=self._ca_bundle)
        return anybody.get("/simple", headers={"Accept": simple_api.ACCEPT}).status_code == _OK

    def sizes(self, project: str) -> dict[tuple[str, str | None], int]:
        """Ask GitLab's packages API for the sizes, which its index does not state."""
        from wheelyard.registries.gitlab.packages_api import sizes

        return sizes(self._remote, project)

    def source_store(self) -> GitLabSources:
        """Return the store for source packages."""
        from wheelyard.registries.gitlab.gitlab_sources import GitLabSources

        return GitLabSources(self)

    def projects(self) -> tuple[str, ...]:
        """Return the canonical names of all projects that have files; GitLab repeats one for each version."""
        answer = self._page("/simple")
        if answer is None:
            raise self.errors.unknown()
        self._checked = True
        return index_pages.projects(answer, title=self.title, fix=self._look)

    def files(self, project: str) -> tuple[RegistryFile, ...]:
        """Return the files of a project, sorted by name; the forward to the public index is not followed."""
        answer = self._page(f"/simple/{quote(project)}")
        if answer is None and not self._checked:
            self.projects()  # "no such package" and "no such project" are the same answer
        file_list = index_pages.files(project, answer, title=self.title, fix=self._look) if answer is not None else []
        hashes_by_file: dict[str, set[str | None]] = defaultdict(set)
        for file in file_list:
            hashes_by_file[file.file].add(file.sha256)
        with self._lock:
            self._seen[project] = hashes_by_file
        return tuple(sorted(file_list, key=lambda file: (file.file, file.sha256 or "")))

    def check_access(self) -> None:
        """Send an upload without a file: who may not write hears so before what is missing (see the facts above)."""
        if not self._server.known:
            raise no_credential(self.title, self._variables)
        for attempt in self._server.attempts("asking for access"):
            with attempt:
                body = multipart([("name", "wheelyard-access-check")])
                answer = self._server.send("POST", "", body, headers={"Content-Type": body.content_type})
                self._judge_access(attempt.take(answer))
                return

    def _judge_access(self, answer: Response) -> None:
        if answer.status_code == 400 and "is missing" in message_of(answer):  # noqa: PLR2004
            self._checked = True
            return
        if error := self.errors.refusal(answer):
            raise error
        raise NetworkError(
            f"{self.title} gives an unexpected answer ({answer.status_code}) when asked for access",
            details=[message_of(answer)],
            fix=self._look,
        )

    def put(self, release: Release, *, advance: Progress = nobody, stop: Event | None = None) -> bool:
        """Upload a wheel; see :meth:`wheelyard.registries.registry.Registry.put`."""
        stored_hashes = self._known(release)
        if stored_hashes:
            self._same(release, stored_hashes)
            return False
        release.ensure_unchanged()
        new = self._send(release, advance, stop)
        with self._lock:
            self._seen[release.project][release.name.file] = {release.sha256}
        return new

    def _send(self, release: Release, advance: Progress, stop: Event | None) -> bool:
        lost = False  # whether a try of ours went unanswered, which may have stored it
        for attempt in self._server.attempts(f"uploading {release.name.file}"):
            with attempt:
                try:
                    answer = self._upload(release, advance, stop)
                except UnansweredError:
                    lost = True
                    if self._arrived(release):
                        return True
                    self.check_access()  # a dead token may show in the middle of a body only
                    raise
                verdict = judge(answer)
                if verdict is Verdict.STORED:
                    return True
                if verdict is Verdict.REFUSED:
                    raise self.errors.refusal(answer) or self.errors.rejection(release.name.file, answer)
                if verdict is Verdict.DUPLICATE:
                    self._await(release)
                    return lost
                lost = lost or verdict is Verdict.PASSING
                if self._arrived(release):
                    return lost
                attempt.again(answer)
        raise AssertionError("attempts() ends with an error")

    def _await(self, release: Release) -> None:
        """Wait until the index lists a file that the server has; another upload would change nothing."""
        for attempt in self._server.attempts(f"{release.name.file} is said to be there, and not in the index"):
            with attempt:
                if self._arrived(release):
                    return
                raise UnansweredError("not listed")

    def _upload(self, release: Release, advance: Progress, stop: Event | None) -> Response:
        sent = 0

        def count(byte_count: int) -> None:
            nonlocal sent
            sent += byte_count
            advance(byte_count)

        stored = False
        try:
            with release.path.open("rb") as file:
                body = multipart(release.fields(), (release.name.file, file), advance=count, stop=stop)
                answer = self._server.send("POST", "", body, headers={"Content-Type": body.content_type})
            stored = judge(answer) is Verdict.STORED
            return answer
        finally:
            if not stored:
                advance(-sent)

    def confirm(self, project: str, file: str, sha256: str) -> None:  # noqa: ARG002 - the hash is the address
        """Download a file and hash it: the server never does (see the facts above)."""
        path = f"/files/{sha256}/{quote(file)}"
        for attempt in self._server.attempts(f"reading {file} back"):
            with attempt, self._server.stream(path) as answer:
                attempt.take(answer)
                if answer.status_code in _REFUSED and (error := self.errors.refusal(answer)):
                    raise error
                if answer.status_code != _OK:
                    raise RegistryContentError(
                        f"{file} cannot be read back: {self.title} answers {answer.status_code}", fix=self._look
                    )
                actual = sha256_of(answer, Pace(self._server.base, self._server.patience))
                if actual != sha256:
                    raise RegistryContentError(
                        f"{self.title} gives other bytes for {file} than were sent",
                        details=[f"sent:    sha256 {sha256}", f"arrived: sha256 {actual}"],
                        fix=f"{self._look}, delete the file there, and publish again",
                    )
                return

    def fetch(self, project: str, file: RegistryFile, target: Path) -> None:  # noqa: ARG002 - the hash is the address
        """Download a file; see :meth:`wheelyard.registries.registry.Registry.fetch`."""
        if not file.sha256:
            raise PublishError(
                f"{self.title} does not know the hash of {file.file}", fix="it cannot be copied without one"
            )
        # The address has the hash as the client spelt it, and GitLab compares to the letter.
        spelt = next((part for part in file.url.split("/") if part.lower() == file.sha256), file.sha256)
        path = f"/files/{spelt}/{quote(file.file)}"

        def ask(headers: dict[str, str]) -> Response:
            return self._server.patient_stream(path, headers)

        url = self._server.base + path
        try:
            downloads.download(
                url,
                target,
                sha256=file.sha256,
                size=file.size,
                limit=_LARGEST,
                opener=ask,
                patience=self._server.patience,
            )
        except DigestMismatchError as error:
            fix = f"{self._look}: the bytes there are not those that were published"
            raise DigestMismatchError(error.what, details=error.details, fix=fix) from error

    def remove(self, project: str, wheels: Sequence[str], *, staying: Mapping[str, str] = NONE) -> None:
        """Delete files through GitLab's packages API, which deploy tokens may not use."""
        from wheelyard.registries.gitlab.packages_api import delete

        delete(self._remote, project, wheels, staying=staying)
        with self._lock:
            self._seen.pop(project, None)

    def yank(self, project: str, file: str, reason: str | None) -> bool:  # noqa: ARG002
        """Make sure that the file is there: GitLab has no yank, so our records and index have it."""
        if file not in {listed.file for listed in self.files(project)}:
            raise PublishError(f"{self.title} has no {file}", fix=f"wheelyard registry list {project}")
        return False

    @property
    def _remote(self) -> Project:
        """The project for python-gitlab.

        Raises:
            CredentialsError: there is no credential.
        """
        from wheelyard.registries.gitlab.packages_api import open_project

        return open_project(self.url, self.project, self._credential, ca_bundle=self._ca_bundle)

    # ------------------------------------------------------------ what answers mean

    @property
    def _look(self) -> str:
        return f"look at {self.url}/{self.project}/-/packages"

    def _page(self, path: str) -> Response | None:
        """Return an index page, None where there is none of our own."""
        answer = self._server.get(path, headers={"Accept": simple_api.ACCEPT})
        if answer.status_code == _OK:
            return answer
        if answer.status_code == _NOT_FOUND or (answer.status_code == _FOUND and path != "/simple"):
            return None
        raise self.errors.refusal(answer) or NetworkError(
            f"{self.title} answers {answer.status_code} for its index", details=[message_of(answer)], fix=self._look
        )

    def _known(self, release: Release) -> set[str | None]:
        """Return the hashes of a file in the index as it was last read; it is read at least once."""
        with self._lock:
            cached = self._seen.get(release.project)
        if cached is None:
            self.files(release.project)
            cached = self._seen[release.project]
        return cached.get(release.name.file, set())

    def _arrived(self, release: Release) -> bool:
        """Read the index, and return whether the file is there.

        Raises:
            ConflictError: other bytes are.
        """
        listed_hashes = {file.sha256 for file in self.files(release.project) if file.file == release.name.file}
        if listed_hashes:
            self._same(release, listed_hashes)
        return bool(listed_hashes)

    def _same(self, release: Release, stored_hashes: set[str | None]) -> None:
        different = stored_hashes - {release.sha256}
        if different:
            raise ConflictError(
                f"{release.name.file} is in {self.title} already, with other bytes",
                details=[
                    *(f"there: sha256 {sha256 or 'unknown'}" for sha256 in sorted(different, key=str)),
                    f"here:  sha256 {release.sha256}",
                ],
                fix="a file is never replaced: publish a new version, or give the wheel a build number",
            )


def _ca_bundle(config: GitLabConfig, name: str, root: Path) -> str:
    """Return the file with the certificates to trust, relative ones below the project; empty for the system's."""
    if not config.ca_bundle:
        return ""
    path = root / config.ca_bundle
    if not path.exists():
        raise ConfigError(
            f"there is no file {path}",
            where=f"[tool.wheelyard.registries.{name}]",
            fix="ca-bundle names a file with certificates (PEM)",
        )
    return str(path)
