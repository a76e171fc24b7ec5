"""Distribution names."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from wheelyard.core.errors import UnknownPackageError

if TYPE_CHECKING:
    from collections.abc import Iterable

# The names specification, section "Name format" (packaging.python.org, originally PEP 508). It has no
# longest name; file systems have (255 bytes), and names become those of files.
NAME = re.compile(r"\A(?!.{201})([A-Z0-9]|[A-Z0-9][A-Z0-9._-]*[A-Z0-9])\Z", re.IGNORECASE)


def canonical(name: str) -> str:
    """Return the one spelling in which names are compared (PEP 503).

    Raises:
        UnknownPackageError: *name* cannot be a distribution's name at all.
    """
    if not NAME.match(name):
        raise UnknownPackageError(
            f"{name!r} is not a package name", fix="use letters, digits, '-', '_' and '.', as the index does"
        )
    return canonicalize_name(name)


def did_you_mean(word: str, names: Iterable[str]) -> str:
    """Return ``" (did you mean 'x'?)"`` for the nearest known word, or nothing."""
    near = difflib.get_close_matches(word, list(names), n=1, cutoff=0.6)
    return f" (did you mean {near[0]!r}?)" if near else ""
