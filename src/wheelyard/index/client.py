"""Find the package index, and fetch a project's page from it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from wheelyard.core.errors import ConfigError, NetworkError, UnknownPackageError
from wheelyard.core.names import did_you_mean
from wheelyard.io import body, http, log, simple_api
from wheelyard.io.retry import UnansweredError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from packaging.version import Version
    from pypi_simple import ProjectPage

    from wheelyard.io.http import Response

# A page of the largest projects is a few MiB; what is far larger is no such page.
_PAGE_LIMIT = 128 << 20
_OK = 200
_UNCHANGED = 304
_NOT_FOUND = 404
_REFUSED = (401, 403)


def index_url() -> str:
    """Return the address of the index: from the environment, pip's configuration, or the public one.

    Raises:
        ConfigError: the configured address is not http, https or file.
    """
    for name in ("WHEELYARD_INDEX", "PIP_INDEX_URL", "UV_INDEX_URL"):
        if value := os.environ.get(name, "").strip():
            return check_index(value, f"${name}")
    for file in _pip_files():
        if value := _pip_option(file):
            return check_index(value, str(file))
    from pypi_simple import PYPI_SIMPLE_ENDPOINT  # offline verbs do not pay for it

    return PYPI_SIMPLE_ENDPOINT


def check_index(url: str, where: str) -> str:
    """Return *url* with a slash at its end; the log hides a password in it from now on.

    Raises:
        ConfigError: it is not an http, https or file address.
    """
    parts = urlsplit(url)
    if parts.password:
        log.add_secret(parts.password)
        log.add_secret(unquote(parts.password))
    if parts.scheme not in {"http", "https", "file"} or not (parts.hostname or parts.scheme == "file"):
        raise ConfigError(
            "the package index must be an http, https or file address", where=where, fix="set WHEELYARD_INDEX"
        )
    return url if url.endswith("/") else url + "/"


def is_served(url: str, index: str) -> bool:
    """Check whether an address on a page of *index* may be fetched."""
    try:
        return urlsplit(url).scheme in {"http", "https", urlsplit(index).scheme}
    except ValueError:  # brackets around what is no IPv6 address
        return False


def _pip_files() -> Iterator[Path]:
    """Yield pip's configuration files by precedence (pip's documentation, "Location")."""
    named = os.environ.get("PIP_CONFIG_FILE")
    if named == os.devnull:
        return
    if named:
        yield Path(named)
    if environment := os.environ.get("VIRTUAL_ENV"):
        yield Path(environment) / "pip.conf"
    home = Path.home()
    yield Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config") / "pip" / "pip.conf"
    yield home / ".pip" / "pip.conf"
    yield Path("/etc/xdg/pip/pip.conf")
    yield Path("/etc/pip.conf")


def _pip_option(file: Path) -> str:
    if not file.is_file():
        return ""
    import configparser

    parser = configparser.RawConfigParser()
    try:
        parser.read_string(file.read_text(encoding="utf-8"), str(file))
    except (configparser.Error, UnicodeDecodeError, OSError) as error:
        log.warn(f"{file} cannot be read as pip's configuration: {log.clean(str(error))}")
        return ""
    return parser.get("global", "index-url", fallback="").strip()


def project_page(project: str, index: str, suggestions: Iterable[str]) -> ProjectPage:
    """Return the index's page of *project*, in JSON or HTML as the index has it.

    Raises:
        UnknownPackageError: the index has no such project; the error suggests near *suggestions*.
        NetworkError: the index cannot be reached, or does not answer as an index.
    """
    return fetch(project, index, suggestions).parse(project)


@dataclass(frozen=True)
class Page:
    """A project's page, not yet parsed.

    Attributes:
        url: its address, the base of relative links.
        body: its bytes.
        kind: its media type.
        validators: headers for a later conditional request (RFC 9110, 13.1).
        changed: False if the server answers 304; then there is no body.
    """

    url: str
    body: bytes
    kind: str
    validators: Mapping[str, str] = field(default_factory=dict)
    changed: bool = True

    def parse(self, project: str, newest: int | None = None, back_to: Version | None = None) -> ProjectPage:
        """Parse the page; only the *newest* versions and those back to *back_to* if the page lists versions.

        Raises:
            NetworkError: it is not a page of the simple API.
        """
        fix = "check that WHEELYARD_INDEX, or pip's index-url, is the root of such an index"
        page = simple_api.project_page(project, self.body, self.kind, self.url, fix=fix, newest=newest, back_to=back_to)
        if not page.packages and page.repository_version is None:  # a login or an error page
            raise NetworkError(f"the index's page of {project!r} lists nothing, and does not say what it is", fix=fix)
        return page


def fetch(
    project: str, index: str, suggestions: Iterable[str] = (), validators: Mapping[str, str] | None = None
) -> Page:
    """Fetch a project's page; an unchanged one has no body (see *validators* of :class:`Page`).

    Raises:
        UnknownPackageError: the index has no such project; the error suggests near *suggestions*.
        NetworkError: the index cannot be reached, or does not answer as an index.
    """
    url = f"{index}{project}/"
    if urlsplit(index).scheme == "file":
        file = Path(unquote(urlsplit(url).path)) / "index.html"
        if not file.is_file():
            raise _unknown_package(project, suggestions)
        return Page(file.as_uri(), file.read_bytes(), "text/html")
    with http.get(url, headers={"Accept": simple_api.ACCEPT, **(validators or {})}) as answer:
        host = urlsplit(url).hostname
        if answer.status_code == _UNCHANGED and validators:
            return Page(answer.url, b"", "", validators, changed=False)
        if answer.status_code == _NOT_FOUND:
            raise _unknown_package(project, suggestions)
        if answer.status_code in _REFUSED:
            raise NetworkError(f"{host} refuses access ({answer.status_code})", fix="check the index's credentials")
        if answer.status_code != _OK:  # 204, or a 304 without validators, would pass for an empty page
            raise NetworkError(
                f"{host} answers {answer.status_code} for {project!r}",
                fix="try again later; versions that are locked plan without the index",
            )
        kind = simple_api.kind_of(answer.headers.get("Content-Type", ""))
        if kind not in simple_api.KINDS:
            raise NetworkError(
                f"{host} answers for {project!r} with {log.clean(kind)[:60]!r}, which is not the simple API",
                fix="check that WHEELYARD_INDEX, or pip's index-url, is the root of such an index",
            )
        return Page(answer.url, _body(answer, project), kind, _validators(answer.headers))


def _validators(headers: Mapping[str, str]) -> dict[str, str]:
    validators = {"If-None-Match": headers.get("ETag"), "If-Modified-Since": headers.get("Last-Modified")}
    return {name: value for name, value in validators.items() if value and value.isascii() and value.isprintable()}


def _body(answer: Response, project: str) -> bytes:
    try:
        return body.read(answer, largest=_PAGE_LIMIT)
    except UnansweredError as error:
        raise NetworkError(
            f"the index broke off in the middle of its page of {project!r}",
            details=[log.clean(str(error))[:200]],
            fix="run the same command again",
        ) from error


def _unknown_package(project: str, suggestions: Iterable[str]) -> UnknownPackageError:
    return UnknownPackageError(
        f"the index has no package {project!r}{did_you_mean(project, suggestions)}",
        fix="if it has another name there: [source] name = … in its recipe; if it is not there: [source] git = …",
    )
