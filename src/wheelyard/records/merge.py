"""Three-way merges of records: what one side changed since both were the same stays, on either side.

Of one entry that both sides changed, a ledger and durations have a law of their own (``join``); of releases, two that
say different things need a person.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Protocol, TypeVar

from wheelyard.core.errors import RegistryContentError
from wheelyard.records import copyleft_sources, durations, expiry_table, history, releases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from wheelyard.records.releases import ReleasedFile

NAMES = ("releases.toml", "durations.toml", "ledger.toml", "sources.toml")


class _Entry(Protocol):
    @property
    def key(self) -> tuple[str, ...]: ...


_E = TypeVar("_E", bound=_Entry)


def three_way(
    old: Iterable[_E], ours: Iterable[_E], theirs: Iterable[_E], *, both: Callable[[_E, _E], Iterable[_E]]
) -> list[_E]:
    """Return the entries of both sides: of each that one side changed, that; of what both changed, what *both* says.

    What one side removed and the other changed stays.
    """
    olds, mine, other = ({each.key: each for each in side} for side in (old, ours, theirs))
    merged: list[_E] = []
    for key in dict.fromkeys([*mine, *other]):
        was, one, two = olds.get(key), mine.get(key), other.get(key)
        if one in (two, was):
            merged += [] if two is None else [two]
        elif two == was or two is None:
            merged += [] if one is None else [one]
        else:
            merged += [two] if one is None else both(one, two)
    return merged


def merge(path: str, old: bytes | None, ours: bytes | None, theirs: bytes | None) -> bytes | None:
    """Return a record with what both sides changed since *old*; None where it is to be no file.

    Args:
        path: the record's, which says what kind it is.
        old: what both sides began with; None where there was no file.
        ours: one side.
        theirs: the other side.

    Raises:
        RegistryContentError: both say different things of one published file, or one is no such record.
        PlanError: one is no such ledger, or no such durations.
    """
    if path == expiry_table.PAGE:
        return _page(old, ours, theirs)
    if theirs in {ours, old} or old == ours:
        return ours if theirs in {ours, old} else theirs
    where = Path(path)
    match PurePosixPath(path).name:
        case "releases.toml":
            found = [() if side is None else releases.parse(_text(side, path), where) for side in (old, ours, theirs)]
            return releases.dump(three_way(*found, both=_refuse(path))).encode()
        case "ledger.toml":
            facts = [() if side is None else history.parse(_text(side, path), where) for side in (old, ours, theirs)]
            return history.dump(three_way(*facts, both=lambda one, two: [one, two])).encode()
        case "sources.toml":
            stored = [
                () if side is None else copyleft_sources.parse(_text(side, path), where) for side in (old, ours, theirs)
            ]
            return copyleft_sources.dump(three_way(*stored, both=lambda _, two: [two])).encode()
        case "durations.toml":
            builds = [() if side is None else durations.parse(_text(side, path), where) for side in (old, ours, theirs)]
            return durations.dump(three_way(*builds, both=lambda one, two: [one, two])).encode()
    raise ValueError(f"{path} is no record")


def _page(old: bytes | None, ours: bytes | None, theirs: bytes | None) -> bytes | None:
    """Return the base branch's page with the lines of both sides: all else there is people's."""
    if ours is None or theirs is None:
        return theirs
    page = _text(theirs, expiry_table.PAGE)
    try:
        sides = [
            () if side is None else expiry_table.parse(_text(side, expiry_table.PAGE)) for side in (old, ours, theirs)
        ]
        return expiry_table.replaced(
            page, three_way(*sides, both=lambda one, two: [expiry_table.later(one, two)])
        ).encode()
    except ValueError:  # a side has no table
        return theirs


def _text(side: bytes, path: str) -> str:
    try:
        return side.decode()
    except UnicodeDecodeError as error:
        raise RegistryContentError(
            f"is not UTF-8 text (byte {error.start}), here or on the base branch",
            where=path,
            fix="put back what the last commit had that can be read: git log -p",
        ) from error


def _refuse(path: str) -> Callable[[ReleasedFile, ReleasedFile], Iterable[ReleasedFile]]:
    def both(one: ReleasedFile, two: ReleasedFile) -> Iterable[ReleasedFile]:
        raise RegistryContentError(
            f"{one.file} in {one.where}: this checkout and the base branch say different things",
            where=path,
            details=[f"here: {one.sha256}, yanked {one.yanked!r}", f"there: {two.sha256}, yanked {two.yanked!r}"],
            fix="get the base branch, and see with wheelyard registry verify which one is true",
        )

    return both
