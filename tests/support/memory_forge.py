"""A forge and a repository in memory, for histories by the thousand; and a way for runs to end anywhere.

``test_forge_converges.py`` shows that what becomes of proposals there is what becomes of them on the real ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from support.forges import BRANCH, LOCK, Shown
from wheelyard.forges import AlreadyOpenError, PostedRequest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


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
    """As :class:`wheelyard.forges.Branches`."""

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
        self._requests: list[PostedRequest] = []
        self._comments: dict[int, list[str]] = {}
        self._closes = closes
        self.longest_body, self.longest_title = 10_000, 200

    def inert(self, text: str) -> str:
        return text

    def of_branch(self, branch: str) -> list[PostedRequest]:
        return [each for each in self.all() if each.branch == branch]

    def all_open(self) -> list[PostedRequest]:
        return [each for each in self.all() if each.state == "open"]

    def all(self) -> list[PostedRequest]:
        for each in self._requests:
            if self._closes and each.state == "open" and not self.git.branch:
                self._set(each.number, state="closed")
        return list(self._requests)

    def create(self, branch: str, _base: str, title: str, body: str, labels: Sequence[str]) -> PostedRequest:
        if self.all_open():
            raise AlreadyOpenError(branch)
        return self._add(title, body, labels)

    def _add(self, title: str, body: str, labels: Sequence[str]) -> PostedRequest:
        number = len(self._requests) + 1
        made = PostedRequest(number, f"memory/{number}", BRANCH, "", "open", title, body, frozenset(labels))
        self._requests.append(made)
        return made

    def update(self, request: PostedRequest, title: str, body: str, labels: Sequence[str]) -> None:
        self._set(request.number, title=title, body=body, labels=request.labels | set(labels))

    def comment(self, request: PostedRequest, text: str) -> None:
        self._comments.setdefault(request.number, []).append(text)

    def close(self, request: PostedRequest | int) -> None:
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
        self._requests[number - 1] = PostedRequest(**{**vars(old), **changes})
