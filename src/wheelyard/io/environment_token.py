"""A token from an environment variable: checked, and kept out of the log."""

from __future__ import annotations

import os
import re

from wheelyard.core.errors import CredentialsError
from wheelyard.io import log

_TOKEN = re.compile(r"[!-~]+\Z")


def read_token(variable: str) -> str:
    """Return the token in an environment variable, empty if it is not set; it is kept out of the log from now on.

    Raises:
        CredentialsError: the value cannot be a token, and would break the header that it is sent in.
    """
    secret = os.environ.get(variable, "").strip()
    log.add_secret(secret)
    if secret and not _TOKEN.match(secret):
        raise CredentialsError(
            f"{variable} does not hold a token: there are blanks, line ends or other odd characters in it",
            fix=f"put the token and nothing else into {variable}",
        )
    return secret
