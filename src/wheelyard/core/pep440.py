"""Versions and specifiers (PEP 440) from outside: read, or refused as none.

packaging reads numbers with int(), some of them only when they are compared; and int() refuses thousands of digits
(docs.python.org, "Integer string conversion length limitation") with an error of its own.
"""

from __future__ import annotations

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

_SOME = "3"  # any version will do


def read_version(text: str) -> Version:
    """Return the version that *text* is.

    Raises:
        InvalidVersion: it is none, or one that nobody can compare.
    """
    try:
        return Version(text)
    except InvalidVersion:
        raise
    except ValueError as error:
        raise InvalidVersion(f"{text[:60]}… has a number of thousands of digits") from error


def read_specifier(text: str) -> SpecifierSet:
    """Return the specifier that *text* is; every version can be compared with it.

    Raises:
        InvalidSpecifier: it is none, or one that nobody can compare with.
    """
    specifier = SpecifierSet(text)
    try:
        for clause in specifier:  # not all at once: the first that says no would end it
            clause.contains(_SOME)
    except ValueError as error:
        raise InvalidSpecifier(f"{text[:60]}… has a number of thousands of digits") from error
    return specifier
