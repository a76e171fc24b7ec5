"""The sandbox for upstream's programs on this machine: an environment without secrets, and namespaces of its own.

A program can read the memory and first environment of any process of the same user (``/proc/PID/mem``, ``environ``),
and our processes hold secrets. See ``_sandbox_main.py`` for how the namespaces prevent it.
"""

from __future__ import annotations

import functools
import os
import sys
from pathlib import Path

from wheelyard.io.run import run

_PROGRAM = Path(__file__).with_name("_sandbox_main.py")
_TIMEOUT = 60  # seconds
# Variables that the network needs; the program gets nothing else of our environment.
_NETWORK = (
    *("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "all_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO"),
    *("PIP_CERT", "PIP_INDEX_URL", "PIP_CONFIG_FILE", "UV_INDEX_URL", "UV_DEFAULT_INDEX"),
)
_FOLDERS = ("OUT", "HOME", "TMPDIR")


def clean_env(scratch: Path) -> dict[str, str]:
    """Return an environment without secrets: ``$PATH``, the network's variables, and new folders of its own.

    The folders are ``$OUT``, ``$HOME`` and ``$TMPDIR``.

    Args:
        scratch: the folder in which they are made.
    """
    env = {key: os.environ[key] for key in ("PATH", *_NETWORK) if key in os.environ}
    for key in _FOLDERS:
        folder = scratch / key.lower()
        folder.mkdir()
        env[key] = str(folder)
    return env | {"LANG": "C.UTF-8"}


def isolated(words: list[str | Path]) -> list[str | Path]:
    """Return the command that runs *words* in the sandbox; only where :func:`unavailable` is empty."""
    return [sys.executable, "-I", "-S", _PROGRAM, *words]


@functools.cache
def unavailable() -> str:
    """Return why this machine has no sandbox, empty if it has one; tested once."""
    result = run(isolated([sys.executable, "-I", "-S", "-c", ""]), env={}, timeout=_TIMEOUT, check=False)
    if result.returncode == 0:
        return ""
    return result.stderr.strip().splitlines()[-1] if result.stderr.strip() else f"status {result.returncode}"
