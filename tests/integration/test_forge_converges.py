"""Whatever people do and wherever runs are broken off: the next whole run leaves one request at most.

Hypothesis draws what happens. Most histories are told to a forge in memory, which shows by passing the same test that
it is like the real ones; some are told to those, with real git, real HTTP and the real ``gh``.
"""

from __future__ import annotations

import contextlib
import itertools
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from support.forges import BRANCH, KEY, LOCK, Shown, github_place, gitlab_place, opened, proposal
from wheelyard.stages.forge import Change, ProposalAction, Proposer, Request, TakenError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from support.forges import Place

Event = tuple[str, int, int]  # what, which version, after how many of the run's own steps it is broken off
WHOLE = 99
NEEDS_GH = pytest.mark.skipif(shutil.which("gh") is None, reason="gh is not installed (apt-get install gh)")

runs = st.tuples(st.sampled_from(["propose", "withdraw"]), st.integers(2, 4), st.sampled_from([*range(8), WHOLE]))
deeds = st.tuples(
    st.sampled_from(["close", "reopen", "merge", "push", "delete", "base", "edit", "double"]),
    st.integers(2, 4),
    st.just(WHOLE),
)
histories = st.lists(st.one_of(runs, deeds), max_size=10)


class KilledError(Exception):
    """The run ends here."""


class Mortal:
    """Something whose changing methods let the run die: before its n-th step if n is even, else after it."""

    def __init__(self, real: Any, steps: Iterator[int], last: int) -> None:
        self._real, self._steps, self._last = real, steps, last

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._real, name)
        if name not in {"create", "update", "close", "comment", "write", "remove"}:
            return real

        def step(*words: Any, **more: Any) -> Any:
            dies = next(self._steps) == self._last
            if dies and self._last % 2 == 0:
                raise KilledError
            done = real(*words, **more)
            if dies:
                raise KilledError
            return done

        return step


# ------------------------------------------------------------- a forge in memory


@dataclass
class Tip:
    """A branch: the lock in it, the lock where it left the base branch, and whether a person has pushed to it."""

    lock: str
    below: str
    foreign: bool


class MemoryGit:
    """What a repository comes to when there is one file that counts."""

    def __init__(self) -> None:
        self.main = "version = 1"
        self.branch: Tip | None = None

    def commit(self, branch: str, files: Mapping[str, str | None]) -> None:
        if branch == "main":
            self.main = (files[LOCK] or "").strip()
        else:
            old = self.branch or Tip(self.main, self.main, foreign=True)
            self.branch = Tip(old.lock, old.below, foreign=True)

    def delete(self, _branch: str) -> None:
        self.branch = None

    def tip(self, _branch: str) -> str:
        return repr(self.branch) if self.branch else ""

    def locks(self) -> tuple[str, str]:
        return self.main, self.branch.lock if self.branch else ""

    def merge(self) -> bool:
        assert self.branch
        if self.branch.below != self.main and self.branch.lock not in {self.main, self.branch.below}:
            return False
        self.main = self.branch.lock if self.branch.lock != self.branch.below else self.main
        return True


class MemoryBranches:
    """As :class:`wheelyard.stages.forge.Branches`."""

    base = "main"

    def __init__(self, git: MemoryGit) -> None:
        self._git = git

    def tip(self, key: str) -> str:
        return self._git.tip(key)

    def is_foreign(self, _key: str) -> bool:
        return bool(self._git.branch and self._git.branch.foreign)

    def is_moot(self, wanted: Mapping[str, bytes | None], _merge: object = None) -> bool:
        return (wanted[LOCK] or b"").decode().strip() == self._git.main

    def write(self, key: str, wanted: Mapping[str, bytes | None], _title: str, *_merge: object, **_live: bool) -> str:
        lock = (wanted[LOCK] or b"").decode().strip()
        if self.is_moot(wanted):
            return "moot"
        if self.is_foreign(key):
            return "foreign"
        made = Tip(lock, self._git.main, foreign=False)
        if self._git.branch == made:
            return "same"
        self._git.branch = made
        return "pushed"

    def remove(self, key: str) -> str:
        if self._git.branch is None or self.is_foreign(key):
            return "foreign" if self._git.branch else "none"
        self._git.branch = None
        return "removed"


class MemoryPlace:
    """A forge that keeps requests in a list; like GitHub it may close them with their branch."""

    def __init__(self, *, closes: bool) -> None:
        self.git = MemoryGit()
        self._requests: list[Request] = []
        self._comments: dict[int, list[str]] = {}
        self._closes = closes
        self.longest_body, self.longest_title = 10_000, 200

    def inert(self, text: str) -> str:
        return text

    def of(self, branch: str) -> list[Request]:
        return [each for each in self.all() if each.branch == branch]

    def all_open(self) -> list[Request]:
        return [each for each in self.all() if each.state == "open"]

    def all(self) -> list[Request]:
        for each in self._requests:
            if self._closes and each.state == "open" and not self.git.branch:
                self._set(each.number, state="closed")
        return list(self._requests)

    def create(self, branch: str, _base: str, title: str, body: str, labels: Sequence[str]) -> Request:
        if self.all_open():
            raise TakenError(branch)
        return self._add(title, body, labels)

    def _add(self, title: str, body: str, labels: Sequence[str]) -> Request:
        number = len(self._requests) + 1
        made = Request(number, f"memory/{number}", BRANCH, "", "open", title, body, frozenset(labels))
        self._requests.append(made)
        return made

    def update(self, request: Request, title: str, body: str, labels: Sequence[str]) -> None:
        self._set(request.number, title=title, body=body, labels=request.labels | set(labels))

    def comment(self, request: Request, text: str) -> None:
        self._comments.setdefault(request.number, []).append(text)

    def close(self, request: Request | int) -> None:
        number = request if isinstance(request, int) else request.number
        if self._requests[number - 1].state == "open":
            self._set(number, state="closed")

    def reopen(self, number: int) -> None:
        if self.git.branch or not self._closes:
            self._set(number, state="open")

    def merge(self, number: int) -> None:
        if self.git.branch and self.git.merge():
            self._set(number, state="merged")

    def edit(self, number: int, *, title: str) -> None:
        self._set(number, title=title)

    def double(self, title: str, body: str) -> None:
        self._add(title, body, ())

    def shown(self) -> list[Shown]:
        return [
            Shown(
                each.number,
                each.state,
                each.title,
                each.body,
                tuple(sorted(each.labels)),
                each.branch,
                tuple(self._comments.get(each.number, [])),
            )
            for each in self.all()
        ]

    def _set(self, number: int, **changes: Any) -> None:
        old = self._requests[number - 1]
        self._requests[number - 1] = Request(**{**vars(old), **changes})


# ------------------------------------------------------------- what happens there


class World:
    """A forge, in memory or not, and what happens on it."""

    def __init__(self, place: Any, proposer: Callable[[int], contextlib.AbstractContextManager[Proposer]]) -> None:
        self._place = place
        self._proposer = proposer

    def happen(self, what: str, version: int, last: int) -> None:
        with contextlib.suppress(KilledError):
            getattr(self, f"_{what}")(version, last)

    def propose(self, version: int, last: int = WHOLE) -> Change[ProposalAction]:
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
    def proposer(last: int) -> Iterator[Proposer]:
        steps = itertools.count()
        yield Proposer(Mortal(place, steps, last), Mortal(MemoryBranches(place.git), steps, last))  # type: ignore[arg-type]

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
        def proposer(last: int) -> Iterator[Proposer]:
            steps = itertools.count()
            with opened(place, root) as forge:
                assert isinstance(forge, Proposer)
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


@NEEDS_GH
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


@pytest.mark.parametrize("name", ["gitlab", pytest.param("github", marks=NEEDS_GH)])
@pytest.mark.parametrize(("final", "comes_to"), [(2, "moot"), (3, "declined"), (4, "open")])
def test_a_long_history(name: Literal["gitlab", "github"], final: int, comes_to: str) -> None:
    with real(name) as world, memory(closes=name == "github") as model:
        assert converges(world, LONG, final) == converges(model, LONG, final) == comes_to
