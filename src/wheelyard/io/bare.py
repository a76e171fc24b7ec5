"""The environment that strangers' programs get on this machine: a home of their own, and nothing that is secret."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# How to reach the network, and nothing else of our environment.
_NETWORK = (
    *("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "all_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO"),
    *("PIP_CERT", "PIP_INDEX_URL", "PIP_CONFIG_FILE", "UV_INDEX_URL", "UV_DEFAULT_INDEX"),
)
_FOLDERS = ("OUT", "HOME", "TMPDIR")


def bare_env(scratch: Path) -> dict[str, str]:
    """Return ``$PATH``, what says how to reach the network, and ``$OUT``, ``$HOME``, ``$TMPDIR``: new empty folders.

    Args:
        scratch: a folder in which these are made.
    """
    env = {key: os.environ[key] for key in ("PATH", *_NETWORK) if key in os.environ}
    for key in _FOLDERS:
        folder = scratch / key.lower()
        folder.mkdir()
        env[key] = str(folder)
    return env | {"LANG": "C.UTF-8"}
