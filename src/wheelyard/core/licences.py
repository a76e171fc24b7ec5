"""Licence statements of distributions' packages: do they ask for source code to be offered?

What cannot be read for certain counts as copyleft: a source too many does no harm, one too few breaks a licence.
Sources: SPDX specification, annex "SPDX license expressions"; Fedora's older short names of the same grammar; Debian's
machine-readable copyright format (copyright-format 1.0).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# Licences that ask for no source code, in lower case; of families, how their names begin.
_FREE = frozenset(
    {
        "0bsd", "apache-2.0", "apache 2.0", "asl 2.0", "boost", "bsd", "bsl-1.0", "bzip2-1.0.6", "cc0", "cc0-1.0",
        "curl", "expat", "isc", "libpng", "mit", "ncsa", "openssl", "pd", "psf-2", "psf-2.0", "public domain",
        "public-domain", "python-2.0", "unlicense", "x11", "zlib", "zlib-acknowledgement",
    }
)  # fmt: skip
_FREE_FAMILIES = ("bsd-2-clause", "bsd-3-clause", "mit-", "unicode-", "licenseref-fedora-public-domain")
_TOKEN = re.compile(r"\s*([()]|[^\s()]+)")
_DEEPEST = 50
_LONGEST = 2000  # characters that a record keeps
_COMMON = re.compile(r"common-licenses/([A-Za-z0-9][A-Za-z0-9.+-]*)")


@dataclass(frozen=True)
class Licence:
    """What a package's licence is.

    Attributes:
        text: as it was stated, empty where nobody says.
        copyleft: whether its source code has to be offered; what is not known for certain has to.
    """

    text: str
    copyleft: bool


class _ReadError(Exception):
    """It is no expression that can be read."""


def of_expression(text: str) -> Licence:
    """Return the licence that an expression states, such as ``MIT OR (GPL-2.0-or-later AND BSD)``."""
    said = " ".join(text.split())
    if len(said) > _LONGEST:
        return Licence(said[:_LONGEST], copyleft=True)
    tokens = _TOKEN.findall(said)
    try:
        asks, rest = _alternatives(tokens, 0)
        asks = asks or bool(rest)
    except (_ReadError, RecursionError):
        asks = True
    return Licence(said, copyleft=asks)


def of_debian(text: str) -> Licence:
    """Return the licence that a package's ``copyright`` file states.

    Every licence named for any of its files counts. Of a file that is not machine-readable, as GCC's is not, nothing
    is certain; the common licences that it refers to are told.
    """
    paragraphs = re.split(r"\n[ \t]*\n", text.replace("\r\n", "\n").strip())
    head = paragraphs[0].lower()
    if not (head.startswith("format:") and "copyright-format/1" in head):
        names = sorted({name.rstrip(".") for name in _COMMON.findall(text)})
        return Licence(
            f"not machine-readable; refers to {', '.join(names) or 'nothing known'}"[:_LONGEST], copyleft=True
        )
    stated = [
        match[1].strip()
        for paragraph in paragraphs
        if (match := re.search(r"^license:[ \t]*(.*)$", paragraph, re.IGNORECASE | re.MULTILINE))
    ]
    # A Files paragraph whose licence has no name is as good as unknown.
    each = [of_expression(one) for one in dict.fromkeys(stated)]
    said = " AND ".join(f"({one.text})" if " " in one.text else one.text for one in each)
    return Licence(said[:_LONGEST], copyleft=not each or any(one.copyleft for one in each))


def _alternatives(tokens: list[str], depth: int) -> tuple[bool, list[str]]:
    """Read what is joined by OR: who may choose chooses what asks for nothing."""
    if depth > _DEEPEST:
        raise _ReadError
    asks, rest = _all(tokens, depth)
    while rest and rest[0].lower() == "or":
        other, rest = _all(rest[1:], depth)
        asks = asks and other
    return asks, rest


def _all(tokens: list[str], depth: int) -> tuple[bool, list[str]]:
    """Read what is joined by AND."""
    asks, rest = _one(tokens, depth)
    while rest and rest[0].lower() == "and":
        other, rest = _one(rest[1:], depth)
        asks = asks or other
    return asks, rest


def _one(tokens: list[str], depth: int) -> tuple[bool, list[str]]:
    """Read a bracket, or a name of one or more words (older short names have blanks) with what WITH adds to it."""
    if tokens[:1] == ["("]:
        asks, rest = _alternatives(tokens[1:], depth + 1)
        if rest[:1] != [")"]:
            raise _ReadError
        return asks, rest[1:]
    words: list[str] = []
    rest = tokens
    while rest and rest[0] not in {"(", ")"} and rest[0].lower() not in {"and", "or"}:
        words.append(rest[0].lower())
        rest = rest[1:]
    if not words:
        raise _ReadError
    # An exception adds permissions, and never takes any away (SPDX, annex of expressions).
    name = " ".join(words).partition(" with ")[0]
    return not (name in _FREE or name.startswith(_FREE_FAMILIES)), rest
