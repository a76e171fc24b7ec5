"""Time: which job runs when, if so many run at once and each waits for what it needs."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

State = Literal["done", "failed", "stopped"]


@dataclass(frozen=True, slots=True)
class Slot:
    """When one job ran.

    Attributes:
        state: ``stopped`` if what it needs failed, and it never ran.
        begin, end: seconds after the start of all; both the moment at which it was stopped for one that was.
    """

    state: State
    begin: float
    end: float


def tails(lengths: Sequence[float], needs: Sequence[Sequence[int]]) -> list[float]:
    """Return how long it takes from each job's start until all that waits for it is done, on enough runners."""
    users = _users(needs)
    order = _order(needs, users)
    found = list(lengths)
    for number in reversed(order):
        if number in users:
            found[number] += max(found[user] for user in users[number])
    return found


def longest_path(lengths: Sequence[float], needs: Sequence[Sequence[int]]) -> tuple[float, tuple[int, ...]]:
    """Return the length of the critical path, and the jobs on it in their order."""
    if not lengths:
        return 0.0, ()
    left, users = tails(lengths, needs), _users(needs)
    at = max(range(len(left)), key=lambda number: (left[number], -number))
    total, path = left[at], [at]
    while at in users:
        at = max(users[at], key=lambda number: (left[number], -number))
        path.append(at)
    return total, tuple(path)


def play(  # noqa: PLR0917 - what decides when a job runs
    lengths: Sequence[float],
    needs: Sequence[Sequence[int]],
    ranks: Sequence[float],
    runners: int,
    failing: Collection[int] = frozenset(),
    waits: Sequence[float] = (),
) -> list[Slot]:
    """Run all jobs and return when each ran: whenever a runner is free, the ready one of the highest rank starts.

    Args:
        lengths: seconds of each job; none is negative.
        needs: the numbers of the jobs that each waits for, without a cycle.
        ranks: who goes first; of equals the one of the lower number.
        runners: how many run at once.
        failing: jobs that fail at their end, and stop what needs them.
        waits: seconds for which a job that could start is not given to a runner yet.
    """
    floor = _Floor(needs, waits)
    ready: list[tuple[float, int]] = []
    free = runners
    while floor.events:
        now = floor.events[0][0]
        while floor.events and floor.events[0][0] == now:
            _, is_ready, number = heapq.heappop(floor.events)
            if is_ready:
                heapq.heappush(ready, (-ranks[number], number))
            else:
                free += 1
                floor.ended(number, now, ok=number not in failing)
        while free and ready:
            _, number = heapq.heappop(ready)
            free -= 1
            slot = Slot("failed" if number in failing else "done", now, now + lengths[number])
            floor.slots[number] = slot
            heapq.heappush(floor.events, (slot.end, False, number))
    return [floor.slots[number] for number in range(len(lengths))]


class _Floor:
    """What has run so far, and what happens next."""

    def __init__(self, needs: Sequence[Sequence[int]], waits: Sequence[float]) -> None:
        self.slots: dict[int, Slot] = {}
        self.events: list[tuple[float, bool, int]] = []  # when, whether it becomes ready or ends, which
        self._waits = waits
        self._users = _users(needs)
        self._left = [len(wanted) for wanted in needs]
        for number, count in enumerate(self._left):
            if not count:
                self._ready(number, 0.0)

    def ended(self, number: int, now: float, *, ok: bool) -> None:
        """Let those that waited for a job go on, or stop them."""
        if not ok:
            self._stop(number, now)
            return
        for user in self._users.get(number, ()):
            self._left[user] -= 1
            if not self._left[user] and user not in self.slots:
                self._ready(user, now)

    def _ready(self, number: int, now: float) -> None:
        heapq.heappush(self.events, (now + (self._waits[number] if self._waits else 0.0), True, number))

    def _stop(self, number: int, now: float) -> None:
        todo = [number]
        while todo:
            for user in self._users.get(todo.pop(), ()):
                if user not in self.slots:
                    self.slots[user] = Slot("stopped", now, now)
                    todo.append(user)


def makespan(slots: Sequence[Slot]) -> float:
    """Return when the last job ended."""
    return max((slot.end for slot in slots), default=0.0)


def _users(needs: Sequence[Sequence[int]]) -> dict[int, list[int]]:
    """Return who waits for whom; most are waited for by nobody."""
    users: dict[int, list[int]] = {}
    for number, wanted in enumerate(needs):
        for other in wanted:
            users.setdefault(other, []).append(number)
    return users


def _order(needs: Sequence[Sequence[int]], users: Mapping[int, Sequence[int]]) -> list[int]:
    left = [len(wanted) for wanted in needs]
    order = [number for number, count in enumerate(left) if not count]
    for number in order:
        for user in users.get(number, ()):
            left[user] -= 1
            if not left[user]:
                order.append(user)
    return order
