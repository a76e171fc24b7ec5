"""Who we are to a GitLab server: found where its users already keep it, and never shown.

GitLab's package routes take a personal, project or group access token, a deploy token and a CI job token alike, as
the password of Basic authentication (lib/gitlab/auth/auth_finders.rb).
"""

from __future__ import annotations

import base64
import configparser
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from wheelyard.core.errors import CredentialsError
from wheelyard.io import log
from wheelyard.io.server import Login

if TYPE_CHECKING:
    from collections.abc import Sequence

_ANY_USER = "wheelyard"  # GitLab looks at the token only
JOB_USER = "gitlab-ci-token"  # lib/gitlab/auth.rb, CIJOB_USER
_TOKEN = re.compile(r"[!-~]+")
_DEFAULT_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True)
class Credential:
    """A login, and where it was found.

    Attributes:
        login: the user name and the token.
        source: where it was found, for people.
    """

    login: Login
    source: str


def find_credential(url: str, variables: Sequence[str], *, jobs: bool = True) -> Credential | None:
    """Return the first credential for the GitLab server at *url*, None if there is none anywhere.

    Looked for, in this order: each of *variables* in the environment; the same name with ``_FILE``, which names a
    file; the job token of a GitLab pipeline on that very server; python-gitlab's configuration
    (``$PYTHON_GITLAB_CFG``, ``~/.python-gitlab.cfg``), the section with that address; ``~/.netrc``.

    Args:
        url: the server's address.
        variables: names of environment variables.
        jobs: whether a job's token will do, too.

    Raises:
        CredentialsError: a place is named and holds nothing that can be used.
    """
    job = _job(url) if jobs else None
    credential = _variable(variables) or job or _python_gitlab(url, jobs=jobs) or _netrc(url)
    if credential:
        log.add_secret(credential.login.password)
        log.add_secret(base64.b64encode(f"{credential.login.user}:{credential.login.password}".encode()).decode())
    return credential


def no_credential(where: str, variables: Sequence[str]) -> CredentialsError:
    """Return the error for a registry that needs a credential where none was found."""
    return CredentialsError(
        "no credential was found",
        where=where,
        fix=f"set {variables[0]} to a deploy token with write_package_registry, or to a "
        "personal access token with api; see docs/how-to/publishing.md",
    )


def _variable(variables: Sequence[str]) -> Credential | None:
    for name in variables:
        if token := os.environ.get(name, "").strip():
            return _credential(_ANY_USER, token, f"${name}")
        if path := os.environ.get(f"{name}_FILE", "").strip():
            return _credential(_ANY_USER, _text(Path(path), f"${name}_FILE").strip(), f"${name}_FILE")
    return None


def _credential(user: str, token: str, source: str) -> Credential:
    """Return a credential, unless its token is none: what a header takes, and no blank (RFC 9110, "Field values").

    Raises:
        CredentialsError: it is none; it is not quoted.
    """
    if not _TOKEN.fullmatch(token):
        raise CredentialsError(
            "does not hold one token", where=source, fix="put a token there and nothing else: no blank, no second line"
        )
    return Credential(Login(user, token), source)


def _text(path: Path, where: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CredentialsError(
            f"{path} cannot be read: {getattr(error, 'strerror', None) or 'not a text'}",
            where=where,
            fix="name a file that can be read",
        ) from None


def _job(url: str) -> Credential | None:
    """The token of the pipeline that we run in, which no other server may see (GitLab's predefined variables)."""
    token, server = os.environ.get("CI_JOB_TOKEN", ""), os.environ.get("CI_SERVER_URL", "")
    return _credential(JOB_USER, token, "$CI_JOB_TOKEN") if token and _same(server, url) else None


def _python_gitlab(url: str, *, jobs: bool) -> Credential | None:
    if named := os.environ.get("PYTHON_GITLAB_CFG", ""):
        files = {Path(named): "$PYTHON_GITLAB_CFG"}
    else:
        usual = (Path.home() / ".python-gitlab.cfg", Path("/etc/python-gitlab.cfg"))
        files = {file: str(file) for file in usual if file.is_file()}
    for file, where in files.items():
        parser = configparser.ConfigParser(interpolation=None)
        try:
            parser.read_string(_text(file, where))
        except configparser.Error as error:
            # Its own message may quote the line that it stumbles over, which may be the token's.
            raise CredentialsError(
                f"cannot be read as python-gitlab's configuration: {type(error).__name__}",
                where=str(file),
                fix="mend the file, or set the registry's variable",
            ) from None
        for section in parser.sections():
            is_server = _same(parser.get(section, "url", fallback=""), url)
            if is_server and (credential := _of_section(parser[section], file, jobs=jobs)):
                return credential
    return None


def _of_section(section: configparser.SectionProxy, file: Path, *, jobs: bool) -> Credential | None:
    source = f"{file} [{section.name}]"
    users = {"private_token": _ANY_USER, "http_password": section.get("http_username", "")}
    users |= {"job_token": JOB_USER} if jobs else {}
    for key, user in users.items():
        token = section.get(key, "").strip()
        if token.startswith("helper:"):
            log.info(f"{source}: helpers are not run; set the registry's variable instead")
        elif token:
            return _credential(user or _ANY_USER, token, source)
    return None


def _netrc(url: str) -> Credential | None:
    import netrc

    file = Path(os.environ.get("NETRC") or Path.home() / ".netrc")
    if not file.is_file():
        return None
    try:
        entry = netrc.netrc(str(file)).hosts.get(urlsplit(url).hostname or "")
    except (netrc.NetrcParseError, OSError, UnicodeDecodeError) as error:
        log.warn(f"{file} cannot be read: {type(error).__name__}")
        return None
    return _credential(entry[0] or _ANY_USER, entry[2], str(file)) if entry and entry[2] else None


def _same(left: str, right: str) -> bool:
    """Return whether two addresses are one server: scheme, host and port, and the path that it may live under."""

    def origin(url: str) -> tuple[str, str, int | None, str] | None:
        try:
            parts = urlsplit(url)
            port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
        except ValueError:
            return None
        return (parts.scheme, parts.hostname, port, parts.path.rstrip("/")) if parts.hostname else None

    return origin(left) is not None and origin(left) == origin(right)
