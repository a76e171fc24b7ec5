"""What ``check-upstream --json`` says: closed, frozen, versioned, as all that the tool writes."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

from pydantic import Field

from wheelyard.core.model import Model

# From what needs nobody to what needs somebody most.
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
    """A release that is left alone until a day."""

    version: str
    until: date


class Ships(Model):
    """Upstream's own riscv64 wheels of one version.

    Attributes:
        version: the version.
        interpreters: those of the site for which one of its wheels is taken.
        wholly: whether that is every interpreter that the plan has.
    """

    version: str
    interpreters: tuple[str, ...]
    wholly: bool


class Standing(Model):
    """How one package stands.

    Attributes:
        package: its canonical name.
        state: the one thing that counts most; see docs/how-to/upstream.md.
        text: that, in words.
        have: the newest version that is pinned, empty if none is.
        newest: upstream's newest final release, empty if there is none.
        new: versions to take, the newest first, up to the site's limit.
        waiting: releases that are still cooling down.
        missing: interpreters of *have* that the plan expects and our registry lacks.
        ships: upstream's own riscv64 wheels: of its newest release, of the newest that has cooled down, of *have*.
        retired: the version from which on nothing is built here, empty if the package is not retired.
        notes: what else a reader should know.
    """

    package: str
    state: State
    text: str
    have: str = ""
    newest: str = ""
    new: tuple[str, ...] = ()
    waiting: tuple[Waiting, ...] = ()
    missing: tuple[str, ...] = ()
    ships: tuple[Ships, ...] = ()
    retired: str = ""
    notes: tuple[str, ...] = ()


class ProposalRecord(Model):
    """What became, or in a dry run would become, of a proposal."""

    package: str
    key: str
    action: str
    title: str
    url: str = ""
    text: str = ""


class WatchReport(Model):
    """``check-upstream --json``.

    Attributes:
        checked: when, in UTC.
        registry: the registry that was compared, empty if none was.
        packages: each package, by name.
        proposals: what became of proposals, if they were asked for.
    """

    schema_: Literal["wheelyard/upstream"] = Field("wheelyard/upstream", alias="schema")
    version_: Literal[1] = Field(1, alias="version")
    checked: datetime
    registry: str = ""
    packages: tuple[Standing, ...]
    proposals: tuple[ProposalRecord, ...] = ()


class VersionHistory(Model):
    """How one version came to riscv64.

    Attributes:
        version: the version.
        released: when upstream released it.
        ours: the first day on which a wheel of it was in a registry of ours.
        ours_after: days from its release until then.
        upstream: the first day on which upstream had a riscv64 wheel of it.
        upstream_after: days from its release until then.
        upstream_gone: the day on which the last of these was missed, None if there is one.
    """

    version: str
    released: date | None = None
    ours: date | None = None
    ours_after: int | None = None
    upstream: date | None = None
    upstream_after: int | None = None
    upstream_gone: date | None = None


class History(Model):
    """One package through time, the newest version first.

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
