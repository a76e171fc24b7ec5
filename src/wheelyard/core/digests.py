"""Digests of files and values."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_SHA256 = re.compile(r"[0-9a-f]{64}")


def sha256_bytes(data: bytes) -> str:
    """Return the sha256 of *data* as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """Return the sha256 of a file as 64 hexadecimal digits, in flat memory.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_value(value: object) -> str:
    """Return the sha256 of a JSON-like value, whatever the order of its mappings' keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return sha256_bytes(text.encode())


def stated_sha256(text: str) -> str | None:
    """Return a sha256 from another source in lower case, None if it is not valid."""
    return text.lower() if _SHA256.fullmatch(text.lower()) else None


def record_digest(digest: bytes) -> str:
    """Return a digest as in a wheel's RECORD: URL-safe base64 without padding (PEP 376)."""
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
