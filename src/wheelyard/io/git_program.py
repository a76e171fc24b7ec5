"""Git: without programs that configuration names, repositories that the environment names, and prompts."""

from __future__ import annotations

import base64
import os
import re
from typing import TYPE_CHECKING

from wheelyard.io import log
from wheelyard.io.run import run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from wheelyard.io.run import Completed

_TIMEOUT = 1800.0  # seconds for one exchange with a server
# No program named by configuration runs, and files are as they are in the repository.
_OPTIONS = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.autocrlf": "false",
    "core.symlinks": "true",
    "advice.detachedHead": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "http.lowSpeedLimit": "1000",
    "http.lowSpeedTime": "60",
}
# Variables that would point git to a repository other than the one at hand (git rev-parse --local-env-vars).
_FOREIGN = {
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
    "GIT_SHALLOW_FILE",
    "GIT_GRAFT_FILE",
    "GIT_REPLACE_REF_BASE",
    "GIT_IMPLICIT_WORK_TREE",
}
UNREACHABLE = re.compile(
    r"Could not resolve|Failed to connect|Couldn't connect|Connection (refused|reset)|timed out|Network is unreachable"
    r"|error: 5\d\d|early EOF|Operation too slow",
    re.IGNORECASE,
)


def git(args: Sequence[str | Path], *, env: Mapping[str, str], stdin: bytes | None = None) -> Completed:
    """Run git, whatever its exit code.

    Args:
        args: its arguments, none of them a secret: every user of the machine can read them.
        env: its environment, from :func:`local_env` or :func:`network_env`.
        stdin: its standard input.

    Raises:
        ProgramError: git is not installed.
        StepTimeoutError: a server took longer than half an hour.
    """
    options = [word for key, value in _OPTIONS.items() for word in ("-c", f"{key}={value}")]
    return run(["git", *options, *args], env=env, stdin=stdin, timeout=_TIMEOUT, check=False)


def local_env(ceiling: Path) -> dict[str, str]:
    """Return an environment without configuration but ours, and without repositories in *ceiling* or above.

    Without the ceiling, ``git apply`` inside another repository's work tree silently skips every file.
    """
    env = base_env() | {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "GIT_ATTR_NOSYSTEM": "1"}
    return {key: value for key, value in env.items() if not key.startswith(("GIT_CONFIG_COUNT", "GIT_CONFIG_KEY"))} | {
        "GIT_CEILING_DIRECTORIES": f"{ceiling.absolute()}:{ceiling.resolve()}"
    }


def base_env() -> dict[str, str]:
    """Return an environment with the user's own configuration, and without prompts."""
    env = {key: value for key, value in os.environ.items() if key not in _FOREIGN}
    return (
        {"GIT_SSH_COMMAND": "ssh -oBatchMode=yes"}
        | env
        | {
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_LFS_SKIP_SMUDGE": "1",
            "LC_ALL": "C",
        }
    )


def allow(*protocols: str) -> dict[str, str]:
    """Return the variable that lets git speak these protocols and no other (git(1), ``GIT_ALLOW_PROTOCOL``)."""
    return {"GIT_ALLOW_PROTOCOL": ":".join(protocols)}


def network_env(url: str) -> dict[str, str]:
    """Return an environment for one exchange with the repository at *url*."""
    return base_env() | (allow("file") if url.startswith("file://") else allow("https", "ssh"))


def login(url: str, user: str, token: str) -> dict[str, str]:
    """Return variables that let git log in at *url*'s server over https, and only there; elsewhere nothing changes.

    The token is in git's environment, never in its arguments or in a file (git-config(1), ``GIT_CONFIG_COUNT``), and
    a redirection is not followed with it.
    """
    scheme, _, rest = url.partition("://")
    if scheme != "https" or not token:
        return {}
    secret = base64.b64encode(f"{user}:{token}".encode()).decode()
    log.add_secret(token)
    log.add_secret(secret)
    pairs = [
        (f"http.{scheme}://{rest.partition('/')[0]}/.extraHeader", f"Authorization: Basic {secret}"),
        ("http.followRedirects", "false"),
        # An empty one empties the list (gitcredentials(7)): a helper would forget what it has once ours is refused.
        ("credential.helper", ""),
    ]
    count = os.environ.get("GIT_CONFIG_COUNT", "")
    first = int(count) if count.isdigit() else 0  # the user's own stay
    env = {"GIT_CONFIG_COUNT": str(first + len(pairs))}
    for number, (key, value) in enumerate(pairs, first):
        env |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return env


def error_lines(result: Completed) -> list[str]:
    """Return git's last lines on standard error, redacted."""
    return [log.redact(log.clean(line)) for line in result.stderr.splitlines() if line.strip()][-6:]
