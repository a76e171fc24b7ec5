"""``packages/<pkg>/ledger.toml``: who ships which wheel of which version, and since when; one line a fact.

A fact is a release, or a riscv64 wheel of it, at one place: upstream, or a registry of ours. What is written once
stays: a wheel that vanishes keeps its line, with the day on which it was first missed. Lines are sorted and git
joins two branches' lines by itself (``.gitattributes``: ``merge=union``); reading them joins doubles by a law in
which neither order nor repetition counts.
"""

from __future__ import annotations

import tomllib
from datetime import date  # noqa: TC003 - pydantic reads it at run time
from typing import TYPE_CHECKING, Literal

from packaging.version import InvalidVersion, Version
from pydantic import Field, ValidationError

from wheelyard.core import toml
from wheelyard.core.errors import PlanError
from wheelyard.core.pep440 import read_version
from wheelyard.core.toml_positions import key_lines, line_of
from wheelyard.io import cache, files
from wheelyard.records import toml_lines
from wheelyard.records.models import Model

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from wheelyard.core.toml_positions import Path as KeyPath

UPSTREAM = "upstream"
_HEADER = (
    "# Written by wheelyard check-upstream: each release and riscv64 wheel, where it is, and when it was first seen.\n"
)


class Fact(Model):
    """A release, or a riscv64 wheel of it, at one place.

    Attributes:
        version: the version (PEP 440).
        where: ``upstream``, or the registry's name in site policy.
        wheel: its ``python-abi`` tags; empty stands for the release itself.
        first: the day on which it was uploaded where the index tells, else first seen; UTC.
        gone: the day on which it was first missed, None if it is there.
    """

    version: str
    where: str
    wheel: str = Field("", pattern=r"^([a-z0-9_.]+-[a-z0-9_.]+)?$")
    first: date
    gone: date | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        """What there is one of."""
        return self.version, self.where, self.wheel


class Ledger(Model):
    """The whole file."""

    schema_: Literal["wheelyard/ledger"] = Field("wheelyard/ledger", alias="schema")
    layout: Literal[1] = 1
    facts: tuple[Fact, ...] = ()


def ledger_file(packages: Path, package: str) -> Path:
    """Return where *package*'s ledger is, in the folder of records."""
    return packages / package / "ledger.toml"


def join(facts: Iterable[Fact]) -> tuple[Fact, ...]:
    """Return each fact once, sorted: of doubles the earlier day counts, and being there more than being gone."""
    known: dict[tuple[str, str, str], Fact] = {}
    for fact in facts:
        other = known.setdefault(fact.key, fact)
        if other is not fact:
            gone = max(fact.gone, other.gone) if fact.gone and other.gone else None
            known[fact.key] = fact.model_copy(update={"first": min(fact.first, other.first), "gone": gone})
    return tuple(sorted(known.values(), key=lambda fact: (Version(fact.version), fact.where, fact.wheel)))


def observe(
    known: Iterable[Fact], seen: Iterable[Fact], *, looked: Callable[[str, str], bool], today: date
) -> tuple[Fact, ...]:
    """Return *known* with what was seen *today*; what is not seen any more where we looked is gone from then on.

    Args:
        known: the facts so far.
        seen: what is there now, ``first`` being today or an earlier day that the index tells.
        looked: tells of a version and a place whether we looked at it there.
        today: the day.
    """
    now = {fact.key: fact for fact in join(seen)}  # a wheel may be there in several builds
    kept = []
    for fact in join(known):
        if fact.key in now:
            kept.append(fact.model_copy(update={"gone": None}))
        elif fact.gone is None and looked(fact.version, fact.where):
            kept.append(fact.model_copy(update={"gone": today}))
        else:
            kept.append(fact)
    return join([*kept, *now.values()])


def read_ledger(path: Path) -> tuple[Fact, ...]:
    """Read a ledger, joined; nothing where there is none.

    Raises:
        PlanError: it is no ledger of a layout we know; every problem is named with its line.
    """
    text = _text(path)
    return () if text is None else parse(text, path)


def _text(path: Path) -> str | None:
    """Return what is written there, None where there is no ledger."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (UnicodeDecodeError, OSError) as error:
        raise _unusable(path, [f"{path}: {error}"]) from error


def parse(text: str, path: Path) -> tuple[Fact, ...]:
    """Return the facts of a ledger's *text*, joined. *path* is for messages.

    Raises:
        PlanError: it is no ledger of a layout we know; every problem is named with its line.
    """
    return join(Ledger.model_validate(_table(text, path)).facts)


def _table(text: str, path: Path) -> dict[str, object]:
    try:
        table = toml.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _unusable(path, [f"{path}: {error}"]) from error
    problems = list(_problems(table))
    if problems:
        places = key_lines(text)
        raise _unusable(path, [f"{path}:{line_of(places, key)}: {said}" for key, said in problems])
    return table


def update(path: Path, seen: Sequence[Fact], *, looked: Callable[[str, str], bool], today: date) -> tuple[Fact, ...]:
    """Write down what was seen, and return the ledger as it is then; runs at the same time do not lose each other's.

    Raises:
        PlanError: what is there is no ledger.
        DiskError: it cannot be written.
    """

    def joined(known: str | None) -> tuple[tuple[Fact, ...], str | None]:
        facts = observe(() if known is None else parse(known, path), seen, looked=looked, today=today)
        return facts, dump(facts) if facts or known is not None else None

    before = _text(path)
    facts, text = joined(before)
    if text == before:  # as most of the time: nobody need wait for anybody
        return facts
    with cache.writing(path):
        if (now := _text(path)) != before:
            facts, text = joined(now)
        if text is not None and text != now:
            files.write_text(path, text)
    return facts


def dump(facts: Iterable[Fact]) -> str:
    """Return the text of a ledger: one line a fact."""
    return toml_lines.dump(_HEADER, "wheelyard/ledger", "facts", join(facts))


def _problems(table: dict[str, object]) -> Iterator[tuple[KeyPath, str]]:
    if table.get("schema") != "wheelyard/ledger" or table.get("layout") != 1:
        yield ("schema",), "this is not a ledger of layout 1, the one that this wheelyard knows"
        return
    try:
        ledger = Ledger.model_validate(table)
    except ValidationError as error:
        yield from toml_lines.told(error)
        return
    for index, fact in enumerate(ledger.facts):
        if not _is_version(fact.version):
            yield ("facts", index), f"{fact.version!r} is not a version in its normal form (PEP 440)"
        if not fact.where.isprintable() or '"' in fact.where or "\\" in fact.where:
            yield ("facts", index), f"{fact.where!r} is not a place"


def _is_version(text: str) -> bool:
    try:
        return str(read_version(text)) == text
    except InvalidVersion:
        return False


def _unusable(path: Path, details: list[str]) -> PlanError:
    return PlanError(
        "the ledger cannot be used",
        where=str(path),
        details=details,
        fix=f"mend these lines, or git checkout -- {path}; without the file, days are counted from now on",
    )
