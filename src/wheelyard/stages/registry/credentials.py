"""Who we are to a GitLab server: found where its users already keep it, and never shown.

GitLab's package routes take a personal, project or group access token, a deploy token and a CI job token alike, as
the password of Basic authentication (lib/gitlab/auth/auth_finders.rb).
"""

from __future__ import annotations

import configparser
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from wheelyard.core.errors import CredentialsError
from wheelyard.io import log
from wheelyard.io.api import Login

if TYPE_CHECKING:
    from collections.abc import Sequence

_ANY_USER = "wheelyard"  # GitLab looks at the token only
_JOB_USER = "gitlab-ci-token"  # lib/gitlab/auth.rb, CI_JOB_USER
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


def find_credential(url: str, variables: Sequence[str]) -> Credential | None:
    """Return the first credential for the GitLab server at *url*, None if there is none anywhere.

    Looked for, in this order: each of *variables* in the environment; the same name with ``_FILE``, which names a
    file; the job token of a GitLab pipeline on that very server; python-gitlab's configuration
    (``$PYTHON_GITLAB_CFG``, ``~/.python-gitlab.cfg``), the section with that address; ``~/.netrc``.

    Raises:
        CredentialsError: a place is named and holds nothing that can be used.
    """
    found = _variable(variables) or _job(url) or _python_gitlab(url) or _netrc(url)
    if found:
        log.add_secret(found.login.password)
    return found


def no_credential(where: str, variables: Sequence[str]) -> CredentialsError:
    """Return the error for a registry that needs a credential where none was found."""
    return CredentialsError(
        "no credential was found",
        where=where,
        fix=f"set {variables[0]} to a deploy token with write_package_registry, or to a "
        "personal access token with api; see docs/publishing.md",
    )


def _variable(variables: Sequence[str]) -> Credential | None:
    for name in variables:
        if token := os.environ.get(name, "").strip():
            return Credential(Login(_ANY_USER, token), f"${name}")
        if path := os.environ.get(f"{name}_FILE", "").strip():
            return Credential(Login(_ANY_USER, _first_line(Path(path), f"${name}_FILE")), f"${name}_FILE")
    return None


def _first_line(path: Path, where: str) -> str:
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise CredentialsError(
            f"{path} cannot be read: {getattr(error, 'strerror', None) or 'not a text'}",
            where=where,
            fix="name a file that holds a token and nothing else",
        ) from None
    if not token or len(token.split()) != 1:
        raise CredentialsError(
            f"{path} does not hold one token", where=where, fix="write a token into it and nothing else"
        )
    return token


def _job(url: str) -> Credential | None:
    """The token of the pipeline that we run in, which no other server may see (GitLab's predefined variables)."""
    token, server = os.environ.get("CI_JOB_TOKEN", ""), os.environ.get("CI_SERVER_URL", "")
    return Credential(Login(_JOB_USER, token), "$CI_JOB_TOKEN") if token and _same(server, url) else None


def _python_gitlab(url: str) -> Credential | None:
    files = [Path(name) for name in [os.environ.get("PYTHON_GITLAB_CFG", "")] if name]
    files = files or [Path.home() / ".python-gitlab.cfg", Path("/etc/python-gitlab.cfg")]
    for file in files:
        parser = configparser.ConfigParser(interpolation=None)
        try:
            parser.read(file, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError, OSError) as error:
            # Its own message may quote the line that it stumbles over, which may be the token's.
            raise CredentialsError(
                f"cannot be read as python-gitlab's configuration: {type(error).__name__}",
                where=str(file),
                fix="mend the file, or set the registry's variable",
            ) from None
        for section in parser.sections():
            if not _same(parser.get(section, "url", fallback=""), url):
                continue
            source = f"{file} [{section}]"
            user = parser.get(section, "http_username", fallback="")
            for key in ("private_token", "http_password", "job_token"):
                token = parser.get(section, key, fallback="").strip()
                if token and not token.startswith("helper:"):
                    name = {"http_password": user or _ANY_USER, "job_token": _JOB_USER}.get(key, _ANY_USER)
                    return Credential(Login(name, token), source)
                if token:
                    log.info(f"{source}: helpers are not run; set the registry's variable instead")
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
    return Credential(Login(entry[0] or _ANY_USER, entry[2]), str(file)) if entry and entry[2] else None


def _same(one: str, other: str) -> bool:
    """Tell whether two addresses are one server: scheme, host and port, and the path that it may live under."""

    def origin(url: str) -> tuple[str, str, int | None, str]:
        parts = urlsplit(url)
        try:
            port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
        except ValueError:
            port = None
        return parts.scheme, parts.hostname or "", port, parts.path.rstrip("/")

    return bool(one) and origin(one) == origin(other)
