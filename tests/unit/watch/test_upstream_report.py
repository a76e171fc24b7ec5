"""What ``check-upstream`` and ``ledger`` say: their tables, and how a shell is told."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fastjsonschema
import pytest

from support.schemas import validator
from wheelyard.cli.check_upstream import status_text
from wheelyard.cli.history import history_text
from wheelyard.core.errors import UpstreamNewsError, UpstreamUnknownError
from wheelyard.watch.check_upstream import problem
from wheelyard.watch.status_report import (
    STATES,
    Histories,
    History,
    PackageStatus,
    Ships,
    VersionHistory,
    Waiting,
    WatchReport,
)

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion

ROOT = Path(__file__).parents[3]


def report(*packages: PackageStatus, registry: str = "gitlab") -> WatchReport:
    return WatchReport(checked=datetime(2026, 6, 1, tzinfo=UTC), registry=registry, packages=packages)


def one(state: Any, package: str = "demo", text: str = "said", **more: Any) -> PackageStatus:
    return PackageStatus(package=package, state=state, text=text, **more)


def test_the_table(snapshot: SnapshotAssertion) -> None:
    found = report(
        one("error", "aa", "files.example.org cannot be reached", notes=("timed out",)),
        one("current", "bb", "up to date", pinned="1.0", newest="1.0"),
        one("new", "cc", "2.0 is out, 1.0 is pinned", pinned="1.0", newest="2.1", new=("2.0",)),
        one("current", "ab", "up to date", pinned="3!1.0", newest="3!1.0", retired="2"),
        registry="",
    )
    waiting = found.packages[2].model_copy(update={"waiting": (Waiting(version="2.1", until=date(2026, 6, 3)),)})
    found = found.model_copy(update={"packages": (*found.packages[:2], waiting, found.packages[3])})
    assert status_text(found) == snapshot
    assert status_text(report()) == "there is no recipe in recipes/"


def test_nothing_that_is_shown_steers_the_terminal() -> None:
    evil = "x\x1b[2J\x1b]0;owned\x07\u202e\r\n::error::y"
    found = status_text(report(one("error", text=evil, pinned=evil, newest=evil, notes=(evil,))))
    for line in found.splitlines():
        assert line.isprintable()
        assert not line.startswith("::")


def test_the_report_is_what_its_schema_says() -> None:
    whole = one(
        "ships",
        pinned="1.0",
        newest="2.0",
        new=("2.0",),
        waiting=(Waiting(version="2.1", until=date(2026, 6, 3)),),
        missing=("cp312",),
        ships=(Ships(version="2.0", interpreters=("cp312",), wholly=False),),
        retired="2.0",
        notes=("a note",),
    )
    value = report(*(one(state) for state in STATES), whole).model_dump(mode="json", by_alias=True)
    validator("upstream")(value)
    with pytest.raises(fastjsonschema.JsonSchemaValueException):
        validator("upstream")(value | {"more": 1})
    value["packages"][0]["state"] = "frobnicated"
    with pytest.raises(fastjsonschema.JsonSchemaValueException):
        validator("upstream")(value)


@pytest.mark.parametrize("state", STATES)
def test_what_a_shell_is_told(state: str) -> None:
    failure = problem(report(one("current", "well"), one(state)))
    if state == "current":
        assert failure is None
    elif state == "error":
        assert isinstance(failure, UpstreamUnknownError)
        assert (failure.exit_code, failure.details) == (18, ("demo: said",))
    else:
        assert isinstance(failure, UpstreamNewsError)
        assert (failure.exit_code, failure.details) == (17, (f"demo: {state}: said",))


def test_what_could_not_be_checked_counts_more_than_news() -> None:
    failure = problem(report(one("new", "a"), one("error", "b"), one("gone", "c")))
    assert failure is not None
    assert failure.exit_code == 18
    assert "1 of 3" in failure.what
    assert problem(report()) is None


def test_a_history(snapshot: SnapshotAssertion) -> None:
    day = date(2026, 6, 1)
    versions = (
        VersionHistory(version="2.0", released=day, upstream=day, upstream_after=0, upstream_gone=day),
        VersionHistory(version="1.0", released=date(2026, 5, 1), ours=day, ours_after=31),
        VersionHistory(version="0.9", ours=day),
        VersionHistory(version="0.8", released=day, ours=day, ours_after=0),
    )
    found = History(package="demo", ships_since="2.0", began=day, versions=versions)
    validator("history-report")(Histories(packages=(found,)).model_dump(mode="json", by_alias=True))
    assert history_text(found) == snapshot
    assert history_text(History(package="demo", versions=())) == snapshot
