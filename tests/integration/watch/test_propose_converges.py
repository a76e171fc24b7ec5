"""Whatever upstream does between runs, and wherever these end: the next whole run proposes what a first one would.

Upstream releases, yanks, ships riscv64 wheels and takes them back; people merge, close, and push to branches. The
index, ``check_upstream``, preflights and ``propose`` are the real ones; the forge is the one in memory that
``test_forge_converges.py`` holds against the real ones.
"""

from __future__ import annotations

import contextlib
import itertools
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from support.forges import BRANCH
from support.index import IndexFile, IndexServer
from support.memory_forge import KilledError, MemoryBranches, MemoryPlace, Mortal
from support.project import make_project
from support.timeline import vanish, yank
from support.tiny import add_tiny
from wheelyard.forges import RequestKeeper
from wheelyard.io import log
from wheelyard.records.lockfile import lock_file
from wheelyard.watch.check_upstream import check_upstream
from wheelyard.watch.propose_updates import propose

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from wheelyard.watch.status_report import ChangeRequestRecord

POLICY = """\
[tool.wheelyard]
interpreters = ["cp312", "cp313"]
policy = "manylinux_2_39_riscv64"

[tool.wheelyard.watch]
cool-down = 0
"""
PYTHONS = ("cp312", "cp313")
WHOLE = 99  # steps: more than any run takes
PEOPLE = frozenset({"close", "push"})

Event = tuple[str, str, int]  # what, which version, after how many of the run's own steps it ends
VERSIONS = st.sampled_from(["1.0", "1.1", "1.2"])
RUNS = st.tuples(st.just("run"), st.just(""), st.sampled_from([*range(6), WHOLE, WHOLE]))
UPSTREAM = st.tuples(st.sampled_from(["release", "release", "yank", "serve", "part", "vanish"]), VERSIONS, st.just(0))
DEEDS = st.tuples(st.sampled_from(["merge", "merge", *sorted(PEOPLE)]), st.just(""), st.just(0))
HISTORIES = st.lists(st.one_of(RUNS, UPSTREAM, DEEDS), max_size=9)


class World:
    """One package, an index and a project; a forge for each history."""

    def __init__(self, root: Path, index: IndexServer) -> None:
        self.index = index
        self.project = make_project(root, {"tiny/recipe.toml": ""}, pyproject=POLICY)
        self.place = MemoryPlace(closes=False)

    def begin(self, *, closes: bool) -> None:
        """Forget all of it: upstream has 1.0, and nothing is pinned."""
        self.place = MemoryPlace(closes=closes)
        self.place.git.main = ""
        self.index.set_files("tiny", [])
        add_tiny(self.index, pythons=PYTHONS)

    def happen(self, what: str, version: str, last: int) -> None:
        """Let one thing happen."""
        number = next((each.number for each in self.place.shown() if each.state == "open"), 0)
        match what:
            case "run":
                with contextlib.suppress(KilledError):
                    self.run(self.place, last)
            case "release":
                add_tiny(self.index, version, pythons=PYTHONS)
            case "yank":
                yank("tiny", version)(self.index, None)  # type: ignore[arg-type] # no matter when
            case "serve" | "part":
                tags = [f"{python}-{python}-manylinux_2_39_riscv64" for python in PYTHONS[: 1 + (what == "serve")]]
                if any(f"-{version}.tar" in file.name for file in self.index.files("tiny")):
                    self.index.add("tiny", *(IndexFile(f"tiny-{version}-{tag}.whl") for tag in tags))
            case "vanish":
                vanish("tiny", "riscv64")(self.index, None)  # type: ignore[arg-type]
            case "merge" if number:
                self.place.merge(number)
            case "close" if number:
                self.place.close(number)
            case "push" if self.place.git.branch:
                self.place.git.commit(BRANCH, {})

    def run(self, place: MemoryPlace, last: int = WHOLE) -> list[ChangeRequestRecord]:
        """Run the command in a fresh checkout of the base branch."""
        path = lock_file(self.project.packages, "tiny")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{place.git.main}\n")
        if not place.git.main:
            path.unlink()
        steps = itertools.count()
        forge = RequestKeeper(Mortal(place, steps, last), Mortal(MemoryBranches(place.git), steps, last))  # type: ignore[arg-type]
        report = check_upstream(self.project, write=False)
        assert [each.state for each in report.packages] != ["error"], report.packages
        return list(propose(self.project, report, forge, limit=1, labels=("wheelyard",)).change_requests)

    def first(self) -> MemoryPlace:
        """Return a forge on which nothing has happened but a single run."""
        fresh = MemoryPlace(closes=False)
        fresh.git.main = self.place.git.main
        self.run(fresh)
        return fresh


def offered(place: MemoryPlace) -> list[tuple[str, str, str]]:
    """What people are asked to merge: title, words and content."""
    lock = place.git.branch.lock if place.git.branch else ""
    return [(each.title, each.body, lock) for each in place.shown() if each.state == "open"]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    root = tmp_path_factory.mktemp("world")
    with IndexServer(validators=("ETag",)) as index, pytest.MonkeyPatch.context() as patch:
        patch.setenv("WHEELYARD_CACHE", str(root / "cache"))
        patch.setenv("WHEELYARD_INDEX", index.url)
        patch.setenv("NO_PROXY", "127.0.0.1")
        (root / "site").mkdir()
        with log.collect():
            yield World(root / "site", index)


def told(world: World, history: Sequence[Event], *, closes: bool) -> None:
    world.begin(closes=closes)
    for event in history:
        world.happen(*event)
    world.run(world.place)
    after = world.place.shown(), world.place.git.tip(BRANCH)
    open_ = offered(world.place)
    assert len(open_) <= 1, "never doubled"
    assert {each.action for each in world.run(world.place)} <= {"keep", "moot", "declined", "foreign"}
    assert (world.place.shown(), world.place.git.tip(BRANCH)) == after, "run twice, nothing changes"
    if not PEOPLE & {what for what, _, _ in history}:
        assert open_ == offered(world.first()), "in whatever order it came about"


# What was proposed is merged, upstream then serves it whole, and its retirement is proposed.
ALL_SERVED = (("run", "", WHOLE), ("merge", "", 0), ("serve", "1.0", 0), ("run", "", WHOLE))


@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(history=HISTORIES, closes=st.booleans())
@example(
    history=[
        *ALL_SERVED,
        ("vanish", "", 0),
        ("part", "1.0", 0),
    ],
    closes=False,
)
@example(
    history=[
        *ALL_SERVED,
        ("merge", "", 0),
        ("release", "1.1", 0),
        ("run", "", 3),
        ("serve", "1.1", 0),
    ],
    closes=True,
)
def test_what_is_proposed_depends_on_how_things_stand_and_not_on_how_they_came_about(
    world: World, history: list[Event], *, closes: bool
) -> None:
    told(world, history, closes=closes)
