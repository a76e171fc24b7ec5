"""Whatever people do and wherever runs are broken off: the next whole run leaves one request at most.

Hypothesis draws what happens. Most histories are told to a forge in memory, which shows by passing the same test that
it is like the real ones; some are told to those, with real git and real HTTP.
"""

from __future__ import annotations

import contextlib
import itertools
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from support.forges import BRANCH, KEY, LOCK, github_place, gitlab_place, opened, proposal
from support.memory_forge import KilledError, MemoryBranches, MemoryGit, MemoryPlace, Mortal
from wheelyard.forges import ActionResult, RequestAction, RequestKeeper

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from support.forges import Place, Shown

Event = tuple[str, int, int]  # what, which version, after how many of the run's own steps it is broken off
WHOLE = 99

runs = st.tuples(st.sampled_from(["propose", "withdraw"]), st.integers(2, 4), st.sampled_from([*range(8), WHOLE]))
deeds = st.tuples(
    st.sampled_from(["close", "reopen", "merge", "push", "delete", "base", "edit", "double"]),
    st.integers(2, 4),
    st.just(WHOLE),
)
histories = st.lists(st.one_of(runs, deeds), max_size=10)


# ------------------------------------------------------------- what happens there


class World:
    """A forge, in memory or not, and what happens on it."""

    def __init__(self, place: Any, proposer: Callable[[int], contextlib.AbstractContextManager[RequestKeeper]]) -> None:
        self._place = place
        self._proposer = proposer

    def happen(self, what: str, version: int, last: int) -> None:
        with contextlib.suppress(KilledError):
            getattr(self, f"_{what}")(version, last)

    def propose(self, version: int, last: int = WHOLE) -> ActionResult[RequestAction]:
        with self._proposer(last) as proposer:
            return proposer.propose(proposal(version))

    _propose = propose

    def _withdraw(self, _version: int, last: int) -> None:
        with self._proposer(last) as proposer:
            proposer.withdraw(KEY, "moot")

    def _numbers(self, *states: str) -> list[int]:
        return [each.number for each in self._place.shown() if each.state in states]

    def _close(self, _version: int, _last: int) -> None:
        for number in self._numbers("open")[:1]:
            self._place.close(number)

    def _reopen(self, _version: int, _last: int) -> None:
        for number in self._numbers("closed")[-1:]:
            self._place.reopen(number)

    def _merge(self, _version: int, _last: int) -> None:
        for number in self._numbers("open")[:1]:
            self._place.merge(number)

    def _push(self, version: int, _last: int) -> None:
        self._place.git.commit(BRANCH, {"recipes/tiny/recipe.toml": f"# {version}\n"})

    def _delete(self, _version: int, _last: int) -> None:
        if self._place.git.tip(BRANCH):
            self._place.git.delete(BRANCH)

    def _base(self, version: int, _last: int) -> None:
        self._place.git.commit("main", {LOCK: f"version = {version}\n"})

    def _edit(self, version: int, _last: int) -> None:
        for number in self._numbers("open")[:1]:
            self._place.edit(number, title=f"by a person {version}")

    def _double(self, _version: int, _last: int) -> None:
        for each in [each for each in self._place.shown() if each.state == "open"][:1]:
            self._place.double(each.title, each.body)

    def locks(self) -> tuple[str, str]:
        """Return the lock on the base branch, and in the proposal's."""
        git = self._place.git
        if isinstance(git, MemoryGit):
            return git.locks()
        branch = git.tip(BRANCH)
        return git.files("main")[LOCK], git.files(branch)[LOCK] if branch else ""

    def snapshot(self) -> object:
        return self._place.shown(), self._place.git.tip(BRANCH), self.locks()

    def open(self) -> list[Shown]:
        return [each for each in self._place.shown() if each.state == "open"]

    def merges(self) -> bool:
        number = self.open()[0].number
        self._place.merge(number)
        return number in self._numbers("merged")


@contextlib.contextmanager
def memory(*, closes: bool) -> Iterator[World]:
    place = MemoryPlace(closes=closes)

    @contextlib.contextmanager
    def proposer(last: int) -> Iterator[RequestKeeper]:
        steps = itertools.count()
        yield RequestKeeper(Mortal(place, steps, last), Mortal(MemoryBranches(place.git), steps, last))  # type: ignore[arg-type]

    yield World(place, proposer)


@contextlib.contextmanager
def real(name: Literal["gitlab", "github"]) -> Iterator[World]:
    with (
        tempfile.TemporaryDirectory() as folder,
        pytest.MonkeyPatch.context() as patch,
        contextlib.ExitStack() as stack,
    ):
        root = Path(folder)
        patch.setenv("WHEELYARD_CACHE", str(root / "cache"))
        place: Place
        if name == "gitlab":
            place = stack.enter_context(gitlab_place(root))
        else:
            place = stack.enter_context(github_place(root, patch))

        @contextlib.contextmanager
        def proposer(last: int) -> Iterator[RequestKeeper]:
            steps = itertools.count()
            with opened(place, root) as forge:
                assert isinstance(forge, RequestKeeper)
                forge._requests = Mortal(forge._requests, steps, last)
                forge._branches = Mortal(forge._branches, steps, last)  # type: ignore[assignment]
                yield forge

        yield World(place, proposer)


def converges(world: World, history: Sequence[Event], final: int) -> str:
    """Let it all happen, and hold what the next whole run leaves against what it should; return what that run did."""
    for event in history:
        world.happen(*event)
    change = world.propose(final)
    after, lock, (main, branch) = world.snapshot(), f"version = {final}", world.locks()
    open_ = world.open()
    assert len(open_) <= 1 or change.action == "foreign", "never doubled"
    match change.action:
        case "open" | "update" | "keep":
            assert (open_[0].title, branch) == (f"Update tiny to {final}", lock)
            assert "wheelyard" in open_[0].labels
        case "moot":
            assert (main, open_) == (lock, [])
        case "declined":
            assert open_ == []
            assert any(what in {"close", "delete"} for what, _, _ in history), "a person said no"
        case "foreign":
            assert any(what == "push" for what, _, _ in history)
        case other:
            pytest.fail(f"{other} is not what a proposal comes to")
    again = world.propose(final)
    assert again.action == {"open": "keep", "update": "keep"}.get(change.action, change.action)
    assert world.snapshot() == after, "run twice, nothing changes"
    if again.action == "keep":
        assert world.merges(), "what is proposed can be merged"
    return change.action


QUIET = settings(suppress_health_check=list(HealthCheck), deadline=None)


@pytest.mark.parametrize("closes", [False, True])
@settings(QUIET, max_examples=1500)
@given(history=histories, final=st.integers(2, 4))
@example(history=[("propose", 2, 3), ("withdraw", 2, 4), ("propose", 2, WHOLE)], final=2)
@example(history=[("propose", 2, WHOLE), ("double", 2, WHOLE), ("close", 2, WHOLE), ("base", 3, WHOLE)], final=2)
def test_in_memory(closes: bool, history: list[Event], final: int) -> None:
    with memory(closes=closes) as world:
        converges(world, history, final)


SHORT = st.lists(st.one_of(runs, deeds), max_size=4)


@settings(QUIET, max_examples=12)
@given(history=SHORT, final=st.integers(2, 4))
def test_on_gitlab(history: list[Event], final: int) -> None:
    with real("gitlab") as world, memory(closes=False) as model:
        assert converges(world, history, final) == converges(model, history, final)


@settings(QUIET, max_examples=6)
@given(history=SHORT, final=st.integers(2, 4))
def test_on_github(history: list[Event], final: int) -> None:
    with real("github") as world, memory(closes=True) as model:
        assert converges(world, history, final) == converges(model, history, final)


LONG: list[Event] = [
    ("propose", 2, 1),
    ("propose", 3, WHOLE),
    ("edit", 2, WHOLE),
    ("double", 2, WHOLE),
    ("base", 4, WHOLE),
    ("propose", 3, 2),
    ("withdraw", 3, 3),
    ("propose", 3, WHOLE),
    ("close", 3, WHOLE),
    ("propose", 2, WHOLE),
    ("merge", 2, WHOLE),
]


@pytest.mark.parametrize("name", ["gitlab", "github"])
@pytest.mark.parametrize(("final", "comes_to"), [(2, "moot"), (3, "declined"), (4, "open")])
def test_a_long_history(name: Literal["gitlab", "github"], final: int, comes_to: str) -> None:
    with real(name) as world, memory(closes=name == "github") as model:
        assert converges(world, LONG, final) == converges(model, LONG, final) == comes_to
