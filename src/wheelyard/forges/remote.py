"""Where branches are pushed: its address, and what the server's refusals mean."""

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
    """Where branches are pushed.

    Attributes:
        url: the repository's address: https, ssh or file.
        base: the branch that they are to be merged into; the repository's default branch if empty.
        env: further variables for git that let it log in there (:func:`wheelyard.io.git_program.login`).
    """

    url: str
    base: str
    env: Mapping[str, str]


def problem(url: str, base: str, done: Completed) -> WheelyardError:
    """Return what a failed exchange with the server means; *base* is the branch that was asked for."""
    details = git_program.said(done)
    if git_program.UNREACHABLE.search(done.stderr):
        return NetworkError(f"{url} cannot be reached", details=details, fix="check the network and proxy settings")
    if _PROTECTED.search(done.stderr):
        return CredentialsError(
            f"{url} protects the branch: nothing was pushed",
            details=details,
            fix="allow the token to push to it; records go out by a request instead where "
            "[tool.wheelyard.change-requests] does not say to push them",
        )
    if _REFUSED.search(done.stderr):
        return CredentialsError(
            f"{url} does not let us in, or not for this",
            details=details,
            fix="look at variable and remote in [tool.wheelyard.change-requests]; the token needs write_repository, "
            "or contents: write",
        )
    if _FORBIDDEN.search(done.stderr):
        return ConfigError(
            f"nothing is pushed to {url}: neither https, ssh nor file",
            details=details,
            fix="correct remote in [tool.wheelyard.change-requests]",
        )
    if _MISSING.search(done.stderr):
        return ConfigError(
            f"{url} is no repository, or has no branch {base!r}",
            details=details,
            fix="correct remote, project or base in [tool.wheelyard.change-requests]",
        )
    return PublishError(f"{url} does not take the branch", details=details)


def address(remote: str, root: Path) -> str:
    """Return the address of a remote: *remote* itself, or where the checkout at *root* pushes to under that name.

    Raises:
        ConfigError: the checkout has no such remote, or its address holds a login.
    """
    url = remote
    if "://" not in remote and ":" not in remote and not remote.startswith("/"):
        done = git_program.git(["-C", root, "remote", "get-url", "--push", "--", remote], env=git_program.base_env())
        if done.returncode:
            raise ConfigError(
                f"the checkout has no git remote named {remote!r}",
                where=str(root),
                details=git_program.said(done),
                fix="correct remote in [tool.wheelyard.change-requests], or leave it out",
            )
        url = done.stdout.strip()
    parts = urlsplit(url)
    if parts.password or (parts.scheme in {"http", "https"} and parts.username):
        raise ConfigError(
            f"the address of the git remote {remote!r} holds a login",
            fix="take it out: the token comes from the environment (variable in [tool.wheelyard.change-requests])",
        )
    return f"file://{url}" if url.startswith("/") else url
