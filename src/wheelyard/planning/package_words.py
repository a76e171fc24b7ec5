"""Packages as people name them on a command line or in a file: ``package`` or ``package==version``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.version import InvalidVersion, Version

from wheelyard.core.errors import PlanError, UnknownVersionError
from wheelyard.core.names import canonical
from wheelyard.io import log

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_LONGEST_VERSION = 100
_SHOWN = 80


def version_of(text: str) -> str | None:
    """Return a version in its one spelling (PEP 440), None if it is none."""
    try:
        return str(Version(text)) if len(text) <= _LONGEST_VERSION and text.isascii() else None
    except InvalidVersion:
        return None


def pairs(words: Iterable[str]) -> tuple[tuple[str, str | None], ...]:
    """Return packages with the version that is asked for: of ``package==version``, or None where only a name is given.

    Raises:
        UnknownPackageError: a word is no package name.
        UnknownVersionError: what stands behind ``==`` is no version.
    """
    words_by_pair: dict[tuple[str, str | None], None] = {}
    for word in words:
        name, equals, version = word.partition("==")
        parsed = version_of(version) if equals else None
        if equals and parsed is None:
            raise UnknownVersionError(
                f"{shown(version)} is not a version (PEP 440)",
                where=shown(word),
                fix="write such as markupsafe==3.0.3",
            )
        words_by_pair[canonical(name), parsed] = None
    return tuple(words_by_pair)


def read_file(path: Path) -> tuple[str, ...]:
    """Return the words of a file with one ``package`` or ``package==version`` a line.

    Raises:
        PlanError: it cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PlanError(f"cannot be read: {getattr(error, 'strerror', None) or error}", where=str(path)) from error
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return tuple(line for line in lines if line)


def shown(text: str) -> str:
    """Return *text* quoted and short enough for a message."""
    return repr(log.clean(text[:_SHOWN]) + ("…" if len(text) > _SHOWN else ""))
