"""``packages/<pkg>/history.toml``: since when each riscv64 wheel of each version is available; one line a wheel.

An entry is a release, or a riscv64 wheel of it, at one place: upstream, or a registry of ours. An entry is never
removed: a wheel that vanishes keeps its line, with the day on which it was first missing.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated

from packaging.version import InvalidVersion, Version
from pydantic import AfterValidator, Field

from wheelyard.core.errors import PlanError
from wheelyard.core.pep440 import read_version
from wheelyard.records.line_file import Entry, LineFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

UPSTREAM = "upstream"


def _normal_version(text: str) -> str:
    try:
        if str(read_version(text)) == text:
            return text
    except InvalidVersion:
        pass
    raise ValueError(f"{text[:100]!r} is not a version in its normal form (PEP 440)")


def _registry_name(text: str) -> str:
    if not text.isprintable() or '"' in text or "\\" in text:
        raise ValueError(f"{text!r} is not the name of a registry")
    return text


class HistoryEntry(Entry):
    """A release, or a riscv64 wheel of it, at one place.

    Attributes:
        version: the version (PEP 440).
        where: ``upstream``, or the registry's name in the site configuration.
        wheel: its ``python-abi`` tags; empty for the release itself.
        first: the day of its upload if the index has it, else the day on which it was first seen; UTC.
        removed: the day on which it was first missing, None if it is there.
    """

    version: Annotated[str, AfterValidator(_normal_version)]
    where: Annotated[str, AfterValidator(_registry_name)]
    wheel: str = Field("", pattern=r"^([a-z0-9_.]+-[a-z0-9_.]+)?$")
    first: date
    removed: date | None = None

    @property
    def key(self) -> tuple[str, ...]:
        """The values that only one entry has."""
        return self.version, self.where, self.wheel


def join(entries: Iterable[HistoryEntry]) -> tuple[HistoryEntry, ...]:
    """Return each key once, sorted: the earlier first day counts, and a wheel that is there more than a removed one.

    Neither order nor repetition counts.
    """
    by_key: dict[tuple[str, ...], HistoryEntry] = {}
    for entry in entries:
        double = by_key.setdefault(entry.key, entry)
        if double is not entry:
            removed = max(entry.removed, double.removed) if entry.removed and double.removed else None
            by_key[entry.key] = entry.model_copy(update={"first": min(entry.first, double.first), "removed": removed})
    return tuple(sorted(by_key.values(), key=lambda entry: (Version(entry.version), entry.where, entry.wheel)))


HISTORY = LineFile(
    name="history",
    key="entries",
    entry=HistoryEntry,
    header="# Written by wheelyard check-upstream: each release and riscv64 wheel, where it is, and when it was first "
    "seen.\n",
    join=join,
    error=PlanError,
    fix="correct these lines, or git checkout -- {path}; without the file, days are counted from now on",
)


def observe(
    recorded: Iterable[HistoryEntry],
    present: Iterable[HistoryEntry],
    *,
    looked: Callable[[str, str], bool],
    today: date,
) -> tuple[HistoryEntry, ...]:
    """Return the *recorded* entries with those that are *present* today; missing ones are removed *today*.

    Args:
        recorded: the entries so far.
        present: the entries of today, ``first`` being today or an earlier day that the index has.
        looked: returns whether a version was looked up at a place; only then can an entry be missing.
        today: the day.
    """
    present_by_key = {entry.key: entry for entry in join(present)}  # a wheel may be there in several builds

    def observed(entry: HistoryEntry) -> HistoryEntry:
        if entry.key in present_by_key:
            return entry.model_copy(update={"removed": None})
        if entry.removed is None and looked(entry.version, entry.where):
            return entry.model_copy(update={"removed": today})
        return entry

    return join([*map(observed, join(recorded)), *present_by_key.values()])


def update(
    path: Path, present: Sequence[HistoryEntry], *, looked: Callable[[str, str], bool], today: date
) -> tuple[HistoryEntry, ...]:
    """Record the entries of today as :func:`observe` does, and return the history after that.

    Raises:
        PlanError: the file is not a history.
        DiskError: the file cannot be written.
    """
    return HISTORY.update(path, lambda recorded: observe(recorded, present, looked=looked, today=today))[1]
