"""The reports of ``available`` and ``radar``: closed, frozen and versioned."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

from pydantic import Field

from wheelyard.core.model import Model


class Found(Model):
    """The choice for one interpreter.

    Attributes:
        kind: ``wheel``, a public riscv64 one; ``pure``, a public one that runs everywhere; ``ours``, one of our
            registry; ``sdist``, a source that would be compiled; ``none``; ``unknown``, the index did not answer.
        version: which version, empty if there is none.
        glibc: the C library that the wheel needs at least, such as ``2.39``; empty if none.
        reason: why there is none, or why it is unknown.
    """

    kind: Literal["wheel", "pure", "ours", "sdist", "none", "unknown"]
    version: str = ""
    glibc: str = ""
    reason: str = ""


class Need(Model):
    """A required project, and the choice of each interpreter.

    Attributes:
        name: its canonical name.
        by: the files, ``command line``, and the projects that require it.
        direct: whether a requirement of the user names it, not only other projects.
        found: the choice of each interpreter that needs it, by its tag.
    """

    name: str
    by: tuple[str, ...]
    direct: bool
    found: dict[str, Found]


class AvailabilityReport(Model):
    """The report of ``available``.

    Attributes:
        interpreters: the requested interpreters.
        registry: our registry, empty if there is none or it did not answer.
        glibc: the oldest C library that works for all chosen wheels, empty if none needs one.
        pip: the oldest pip that installs them, empty if any does.
        command: the pip command that installs from both indexes.
        needs: the required projects: direct ones first, then dependencies, by name.
        unread: projects whose dependencies are unknown without a build.
        skipped: requirements from addresses, which no index has.
        notes: remarks for people.
    """

    schema_: Literal["wheelyard/available"] = Field("wheelyard/available", alias="schema")
    version_: Literal[1] = Field(1, alias="version")
    interpreters: tuple[str, ...]
    registry: str = ""
    glibc: str = ""
    pip: str = ""
    command: str
    needs: tuple[Need, ...]
    unread: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Lacking(Model):
    """A build requirement without a riscv64 wheel.

    Attributes:
        requirement: as the project states it.
        kind: ``sdist`` if there is a source to compile, ``none`` if there is not even that, ``unknown`` if the index
            did not answer.
        interpreters: for which that is so.
    """

    requirement: str
    kind: Literal["sdist", "none", "unknown"]
    interpreters: tuple[str, ...]


class Gap(Model):
    """A project that ships binary wheels, and none for riscv64.

    Attributes:
        name: its canonical name.
        weight: as the list has it, None if it has none.
        version: its newest final release.
        released: the date, None if the index states none.
        reference: the platform that *wanted* was read from.
        pure: whether a wheel that runs everywhere is there as well.
        wanted: interpreters of the site for which upstream has a wheel on *reference*.
        ours: the newest version in our registry, empty if it has none.
        covered: interpreters for which our registry has a wheel of *ours*.
        first: what it needs first: build requirements without a riscv64 wheel, None if that is unknown.
        note: why *first* is not known.
    """

    name: str
    weight: int | None
    version: str
    released: date | None
    reference: str
    pure: bool
    wanted: tuple[str, ...]
    ours: str = ""
    covered: tuple[str, ...] = ()
    first: tuple[Lacking, ...] | None = None
    note: str = ""


class Failed(Model):
    """A project that could not be looked at, and why."""

    name: str
    text: str


class RadarReport(Model):
    """``radar --json``.

    Attributes:
        checked: when, in UTC.
        source: the title of the list, or its name.
        names: how many names it has.
        looked_at: how many of them the index answered for.
        gaps: how many of these are gaps.
        registry: our registry, empty if there was none to ask or it did not answer.
        top: the heaviest gaps, the heaviest first.
        failed: projects that could not be looked at; the first hundred.
        failures: how many they are.
        notes: remarks for people.
    """

    schema_: Literal["wheelyard/radar"] = Field("wheelyard/radar", alias="schema")
    version_: Literal[1] = Field(1, alias="version")
    checked: datetime
    source: str
    names: int
    looked_at: int
    gaps: int
    registry: str = ""
    top: tuple[Gap, ...]
    failed: tuple[Failed, ...] = ()
    failures: int = 0
    notes: tuple[str, ...] = ()
