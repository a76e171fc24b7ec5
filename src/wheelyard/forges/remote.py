"""The git remote that branches are pushed to: its address, and the errors of its server."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from wheelyard.core.errors import ConfigError, CredentialsError, NetworkError, PublishError
from wheelyard.io import git_program

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from wheelyard.core.errors import WheelyardError
    from wheelyard.io.run import Completed

_REFUSED = re.compile(
    r"Authentication failed|could not read (Username|Password)|Permission denied|returned error: 40[13]"
    r"|You are not allowed",
    re.IGNORECASE,
)
# What GitLab says of a protected branch, and GitHub of one and of a ruleset (GH006, GH013).
_PROTECTED = re.compile(r"protected branch|GH006|GH013|rule violations", re.IGNORECASE)
_FORBIDDEN = re.compile(r"transport '\S*' not allowed")
_MISSING = re.compile(r"not found|does not appear to be a git repository|couldn't find remote ref", re.IGNORECASE)


@dataclass(frozen=True)
class Remote:
    """The git remote that branches are pushed to.

    Attributes:
        url: the repository's address: https, ssh or file.
        base: the branch that they are merged into; the repository's default branch if empty.
        env: further variables for git that let it log in there (:func:`wheelyard.io.git_program.login`).
    """

    url: str
    base: str
    env: Mapping[str, str]


def remote_error(url: str, base: str, result: Completed) -> WheelyardError:
    """Return the error of a failed exchange with the server about the branch *base*."""
    details = git_program.error_lines(result)
    if git_program.UNREACHABLE.search(result.stderr):
        return NetworkError(f"{url} cannot be reached", details=details, fix="check the network and proxy settings")
    if _PROTECTED.search(result.stderr):
        return CredentialsError(
            f"{url} protects the branch: nothing was pushed",
            details=details,
            fix="allow the token to push to it; records are pushed by a change request unless "
            "[tool.wheelyard.change-requests] has records = 'push'",
        )
    if _REFUSED.search(result.stderr):
        return CredentialsError(
            f"{url} refuses the token, or refuses it for this",
            details=details,
            fix="check variable and remote in [tool.wheelyard.change-requests]; the token needs write_repository, "
            "or contents: write",
        )
    if _FORBIDDEN.search(result.stderr):
        return ConfigError(
            f"nothing is pushed to {url}: neither https, ssh nor file",
            details=details,
            fix="correct remote in [tool.wheelyard.change-requests]",
        )
    if _MISSING.search(result.stderr):
        return ConfigError(
            f"{url} is not a repository, or has no branch {base!r}",
            details=details,
            fix="correct remote, project or base in [tool.wheelyard.change-requests]",
        )
    return PublishError(f"{url} refuses the branch", details=details)


def address(remote: str, root: Path) -> str:
    """Return the address of a remote: *remote* itself, or the push address of that remote of the checkout at *root*.

    Raises:
        ConfigError: the checkout has no such remote, or its address holds a login.
    """
    url = remote
    if "://" not in remote and ":" not in remote and not remote.startswith("/"):
        result = git_program.git(["-C", root, "remote", "get-url", "--push", "--", remote], env=git_program.base_env())
        if result.returncode:
            raise ConfigError(
                f"the checkout has no git remote named {remote!r}",
                where=str(root),
                details=git_program.error_lines(result),
                fix="correct remote in [tool.wheelyard.change-requests], or leave it out",
            )
        url = result.stdout.strip()
    parts = urlsplit(url)
    if parts.password or (parts.scheme in {"http", "https"} and parts.username):
        raise ConfigError(
            f"the address of the git remote {remote!r} holds a login",
            fix="take it out: the token comes from the environment (variable in [tool.wheelyard.change-requests])",
        )
    return f"file://{url}" if url.startswith("/") else url
