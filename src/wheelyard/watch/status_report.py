"""The report models of ``check-upstream`` and ``history``."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

from pydantic import Field

from wheelyard.core.model import Model

# In order of urgency, the least first.
STATES = (
    "current",
    "partial",
    "new",
    "blocked",
    "ships",
    "pure",
    "regressed",
    "renamed",
    "quarantined",
    "gone",
    "error",
)
State = Literal[
    "current", "partial", "new", "blocked", "ships", "pure", "regressed", "renamed", "quarantined", "gone", "error"
]


class Waiting(Model):
    """A release that cools down until a day."""

    version: str
    until: date


class Ships(Model):
    """Upstream's own riscv64 wheels of one version.

    Attributes:
        version: the version.
        interpreters: the site's interpreters that can install one of its wheels.
        wholly: whether these are all planned interpreters.
    """

    version: str
    interpreters: tuple[str, ...]
    wholly: bool


class PackageStatus(Model):
    """The status of one package.

    Attributes:
        package: its canonical name.
        state: its most urgent state; see docs/how-to/upstream.md.
        text: the state in words.
        pinned: the newest version that is pinned, empty if none is.
        newest: upstream's newest final release, empty if there is none.
        new: new versions that the recipe allows, the newest first, up to the site's limit.
        waiting: releases that are still cooling down.
        missing: interpreters of *pinned* that the plan expects and our registry lacks.
        ships: upstream's own riscv64 wheels: of its newest release, of the newest that has cooled down, of *pinned*.
        retired: the first version that is not built here, empty if the package is not retired.
        notes: further findings.
    """

    package: str
    state: State
    text: str
    pinned: str = ""
    newest: str = ""
    new: tuple[str, ...] = ()
    waiting: tuple[Waiting, ...] = ()
    missing: tuple[str, ...] = ()
    ships: tuple[Ships, ...] = ()
    retired: str = ""
    notes: tuple[str, ...] = ()


class ChangeRequestRecord(Model):
    """The result for one change request; in a dry run, the result that it would have."""

    package: str
    key: str
    action: str
    title: str
    url: str = ""
    text: str = ""


class WatchReport(Model):
    """``check-upstream --json``.

    Attributes:
        checked: the time of the check, in UTC.
        registry: the compared registry, empty without one.
        packages: each package, by name.
        change_requests: the results of ``--propose``.
    """

    schema_: Literal["wheelyard/upstream"] = Field("wheelyard/upstream", alias="schema")
    version_: Literal[1] = Field(1, alias="version")
    checked: datetime
    registry: str = ""
    packages: tuple[PackageStatus, ...]
    change_requests: tuple[ChangeRequestRecord, ...] = ()


class VersionHistory(Model):
    """The dates of one version's availability on riscv64.

    Attributes:
        version: the version.
        released: the day of upstream's release.
        ours: the first day on which a wheel of it was in a registry of ours.
        ours_after: days from its release until then.
        upstream: the first day on which upstream had a riscv64 wheel of it.
        upstream_after: days from its release until then.
        upstream_gone: the day on which the last of these was found missing, None if one is left.
    """

    version: str
    released: date | None = None
    ours: date | None = None
    ours_after: int | None = None
    upstream: date | None = None
    upstream_after: int | None = None
    upstream_gone: date | None = None


class History(Model):
    """The history of one package.

    Attributes:
        package: its canonical name.
        ships_since: the oldest version of which upstream had a riscv64 wheel, empty if there is none.
        began: the first day on which upstream had a riscv64 wheel of any version.
        versions: each version, the newest first.
    """

    package: str
    ships_since: str = ""
    began: date | None = None
    versions: tuple[VersionHistory, ...]


class Histories(Model):
    """``wheelyard history --json``."""

    schema_: Literal["wheelyard/history-report"] = Field("wheelyard/history-report", alias="schema")
    version_: Literal[1] = Field(1, alias="version")
    packages: tuple[History, ...]
