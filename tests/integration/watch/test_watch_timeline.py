"""``check_upstream`` from day to day: cool-down, retirement, wheels that go and come, pages that break and heal."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from support.index import Fault, IndexServer
from support.project import PYPROJECT, make_project
from support.timeline import (
    ALL,
    PURE,
    PYTHONS,
    RISCV,
    START,
    Timeline,
    breaks,
    heals,
    release,
    remove,
    rename,
    status,
    vanish,
    wheels,
    yank,
)
from support.wheels import WheelSpec
from wheelyard.core.digests import sha256_file
from wheelyard.images import registry
from wheelyard.records.history import HISTORY, UPSTREAM
from wheelyard.records.lockfile import lock_file, pin, read_lock, write_lock
from wheelyard.records.models import LockedVersion
from wheelyard.registries import DirectoryRegistry, read_release
from wheelyard.registries.open_registry import NamedRegistry, open_registry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from wheelyard.project.config import Project
    from wheelyard.watch.status_report import PackageStatus

SITE = (
    PYPROJECT.replace("[tool.wheelyard]", '[tool.wheelyard]\nimage = "official"')
    + '\n[tool.wheelyard.registries.shelf]\nkind = "directory"\npath = "shelf"\n'
)


class Days:
    """One package, ``demo``, from day to day."""

    def __init__(self, root: Path, index: IndexServer) -> None:
        self.index = index
        self.timeline = Timeline(index)
        self.at = self.timeline.at
        self.project: Project = make_project(root, {"demo/recipe.toml": ""}, pyproject=SITE)
        self.registry: NamedRegistry | None = None

    def recipe(self, text: str) -> None:
        (self.project.recipes / "demo/recipe.toml").write_text(text)

    def pin(self, version: str) -> None:
        entry = LockedVersion(version=version, file=f"demo-{version}.tar.gz", size=1, sha256="1" * 64, wheels=PYTHONS)
        pin(lock_file(self.project.packages, "demo"), entry)

    def retire(self, version: str) -> None:
        path = lock_file(self.project.packages, "demo")
        write_lock(path, read_lock(path).model_copy(update={"retired": version}))

    def on(self, day: int, *, write: bool = True) -> PackageStatus:
        """Let the days go by until *day*, and look."""
        self.timeline.advance(day)
        return self.timeline.check(self.project, registry=self.registry, write=write)["demo"]

    def states(self, *days: int) -> list[str]:
        return [self.on(day).state for day in days]

    def facts(self, where: str = UPSTREAM) -> list[tuple[str, str, int, int | None]]:
        """The ledger, in days: version, wheel, first, gone."""
        return [
            (each.version, each.wheel, (each.first - START).days, (each.removed - START).days if each.removed else None)
            for each in HISTORY.read(HISTORY.path(self.project.packages, "demo"))
            if each.where == where
        ]


@pytest.fixture
def index() -> Iterator[IndexServer]:
    with IndexServer(validators=("ETag", "Last-Modified")) as server:
        yield server


@pytest.fixture
def days(tmp_path: Path, index: IndexServer, monkeypatch: pytest.MonkeyPatch) -> Days:
    monkeypatch.setenv("WHEELYARD_INDEX", index.url)
    monkeypatch.setenv("WHEELYARD_CACHE", str(tmp_path / "cache"))
    return Days(tmp_path, index)


def test_a_release_is_left_alone_until_it_has_cooled_down(days: Days) -> None:
    days.pin("1.0")
    days.at(0, release("demo", "1.0", *ALL))
    days.at(10, release("demo", "2.0rc1", *ALL), release("demo", "2.0", *ALL))
    days.at(14, yank("demo", "2.0", "crashes"), release("demo", "2.1", *ALL))
    assert days.states(9, 10, 12, 13, 14, 16, 17) == ["current"] * 3 + ["new"] + ["current"] * 2 + ["new"]
    assert days.on(17).new == ("2.1",)
    days.pin("2.0")
    assert days.on(17).notes == ("2.0 is pinned, and yanked upstream: crashes",)
    assert (days.facts()[-1], days.index.answers[-1][1]) == (("2.1", "", 14, None), 304)


def test_where_the_index_tells_no_days_ours_count(days: Days) -> None:
    days.index.json = False
    days.pin("1.0")
    days.at(0, release("demo", "1.0", *ALL))
    days.at(10, release("demo", "2.0", *ALL, *RISCV[:1]))
    assert days.on(11, write=False).waiting[0].until == days.timeline.today.replace(day=15)  # nobody wrote it down
    assert days.states(12, 14, 15) == ["current", "current", "new"]
    assert days.facts() == [("1.0", "", 12, None), ("2.0", "", 12, None), ("2.0", "cp312-cp312", 12, None)]


def test_wheels_that_come_late_are_no_regression_and_those_that_never_come_are(days: Days) -> None:
    days.retire("1.0")
    days.at(0, release("demo", "1.0", *ALL, *RISCV))
    days.at(10, release("demo", "1.1", *ALL))
    days.at(12, wheels("demo", "1.1", *RISCV))
    days.at(20, release("demo", "1.2", *ALL, *RISCV[:2]))
    days.at(30, wheels("demo", "1.2", *RISCV[2:]))
    days.at(40, release("demo", "1.3", *PURE))
    assert days.states(9, 10, 11, 13, 14) == ["current"] * 5
    found = days.on(23)
    assert (found.state, found.new) == ("regressed", ("1.2",))
    assert "cp314, cp314t" in found.text
    assert days.states(30, 43) == ["current", "current"]
    assert ("1.2", "cp314-cp314t", 30, None) in days.facts()


def test_wheels_of_an_old_release_that_vanish(days: Days) -> None:
    days.pin("1.0")
    days.at(0, release("demo", "1.0", *ALL))
    days.at(2, wheels("demo", "1.0", *RISCV))
    days.at(5, vanish("demo", "riscv64"))
    days.at(8, wheels("demo", "1.0", *RISCV[:1]))
    assert days.states(1, 3, 5, 7, 8) == ["current", "ships", "current", "current", "ships"]
    gone = [("1.0", pair, 2, 5) for pair in PYTHONS[1:]]
    assert days.facts() == [("1.0", "", 0, None), ("1.0", "cp312-cp312", 2, None), *gone]


def test_a_line_that_the_recipe_keeps_to_is_looked_for_behind_many_newer_versions(days: Days) -> None:
    days.recipe('[upstream]\nversions = "<2"\n')
    days.pin("1.0")
    days.at(0, release("demo", "1.0", *ALL))
    days.at(1, *(release("demo", f"3.{n}", *ALL) for n in range(30)))
    days.at(2, release("demo", "1.1", *ALL))
    found = days.on(1)
    assert (found.state, found.missing) == ("current", ())
    assert days.on(4).state == "blocked"
    found = days.on(5)
    assert (found.state, found.new) == ("new", ("1.1",))
    assert found.notes == ("3.29 is out: the recipe allows <2 only",)


@pytest.mark.parametrize("answered", [None, False, True])
def test_auto_is_the_official_image_wherever_it_runs(days: Days, tmp_path: Path, *, answered: bool | None) -> None:
    """Else a machine that cannot reach its registry would have upstream serve all whom a local image serves."""
    days.project = make_project(tmp_path, pyproject=SITE.replace('image = "official"', 'image = "auto"'))
    if answered is not None:
        memory = tmp_path / f"cache/registries/{registry('manylinux_2_39_riscv64')}.json"
        memory.parent.mkdir(parents=True)
        memory.write_text(f'{{"asked": 0, "answers": {json.dumps(answered)}}}')
    days.pin("1.0")
    days.at(0, release("demo", "1.0", *ALL, RISCV[1]))
    found = days.on(9)
    assert (found.state, found.text) == ("ships", "upstream ships 1.0 for cp313, not for all")


def test_what_is_ripe_is_looked_for_behind_a_flood(days: Days) -> None:
    days.at(0, release("demo", "1.0", *ALL))
    days.at(10, *(release("demo", f"2.{n}", *ALL) for n in range(20)))
    found = days.on(11)
    assert (found.state, found.new, found.newest, len(found.waiting)) == ("new", ("1.0",), "2.19", 3)
    asked = len(days.index.answers)
    assert days.on(12).new == ("1.0",)
    assert [code for _, code in days.index.answers[asked:]] == [304]
    days.recipe('[upstream]\nversions = "<2"\n')
    assert days.on(20).new == ("1.0",)


def test_our_registry_through_time(days: Days, tmp_path: Path) -> None:
    days.registry = open_registry(days.project, "shelf")
    days.pin("1.0")
    days.at(0, release("demo", "1.0", *ALL))
    assert days.on(1).missing == ("cp312", "cp313", "cp314", "cp314t")
    folder = DirectoryRegistry(tmp_path / "shelf")
    for pair in PYTHONS:
        python, _, abi = pair.partition("-")
        wheel = WheelSpec(version="1.0", python=python, abi=abi).write(tmp_path / "wheels")
        folder.put(read_release(wheel, sha256=sha256_file(wheel)))
    assert days.on(2).state == "current"
    assert days.facts("shelf") == [("1.0", pair, 2, None) for pair in PYTHONS]  # not in the years to come
    for file in folder.files("demo"):
        folder.yank("demo", file.file, "crashes")
    assert days.on(3).state == "partial"
    assert days.facts("shelf") == [("1.0", pair, 2, 3) for pair in PYTHONS]
    # Who looks elsewhere learns nothing of it.
    days.registry = None
    assert days.on(4).state == "current"
    assert days.facts("shelf") == [("1.0", pair, 2, 3) for pair in PYTHONS]


def test_what_breaks_and_heals_leaves_no_mark(days: Days) -> None:
    days.pin("1.0")
    days.at(0, release("demo", "1.0", *ALL, *RISCV[:1]))
    days.at(2, breaks("demo", Fault(status=403)))
    days.at(3, heals(), rename("demo", "demo-ng"))
    days.at(4, rename("demo", "demo"), breaks("demo", Fault(body=b"<p>Log in", content_type="text/html")))
    days.at(5, heals(), breaks("demo", Fault(status=404)))
    days.at(6, heals())
    assert days.states(1, 2, 3, 4, 5, 6) == ["ships", "error", "renamed", "error", "gone", "ships"]
    assert days.facts() == [("1.0", "", 0, None), ("1.0", "cp312-cp312", 0, None)]


def test_a_quarantine_ends(days: Days) -> None:
    days.pin("1.0")
    days.at(0, release("demo", "1.0", *ALL))
    days.at(2, status("demo", "quarantined"))
    days.at(4, status("demo", "archived", "no time"), release("demo", "1.0", *ALL))
    assert days.states(1, 2, 4) == ["current", "quarantined", "current"]
    assert days.on(5).notes == ("the index calls it archived: no time",)
    assert days.facts() == [("1.0", "", 0, None)]


def test_a_project_that_is_deleted_and_made_anew(days: Days) -> None:
    days.pin("1.0")
    days.at(0, release("demo", "1.0", *ALL))
    days.at(1, remove("demo"))
    days.at(5, release("demo", "0.1", *ALL))
    assert days.states(0, 2) == ["current", "gone"]
    found = days.on(9)
    assert (found.state, found.pinned, found.newest) == ("current", "1.0", "0.1")
    assert found.notes == ("1.0 is pinned, and is not on the index any more",)
    assert ("1.0", "", 0, None) not in days.facts()
