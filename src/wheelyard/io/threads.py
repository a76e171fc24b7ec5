"""Several things at once, in threads that nobody waits for.

A pool's threads are joined when the process ends: who presses Ctrl-C would wait for a server that stalls.
"""

from __future__ import annotations

import contextlib
import threading
import time
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_AT_FIRST = 3  # threads
_LOOK = 0.01  # seconds for each thread: the more there are, the less a moment says
_BUSY = 0.7  # processors


class _Crew(Generic[_Item]):
    """Threads that take items in turn; see :func:`crew`."""

    def __init__(self, work: Callable[[_Item], object], failed: Callable[[BaseException], object]) -> None:
        self._work = work
        self._failed = failed
        self._waiting: SimpleQueue[tuple[_Item] | None] = SimpleQueue()
        self._over = threading.Event()
        self.size = 0

    def give(self, item: _Item) -> None:
        self._waiting.put((item,))

    def grow(self, size: int) -> None:
        while self.size < size:
            threading.Thread(target=self._serve, daemon=True).start()
            self.size += 1

    def end(self) -> None:
        self._over.set()
        for _ in range(self.size):
            self._waiting.put(None)

    def _serve(self) -> None:
        while (given := self._waiting.get()) and not self._over.is_set():
            try:
                self._work(*given)
            except BaseException as error:  # noqa: BLE001 - raised again where people see it
                self._failed(error)


@contextlib.contextmanager
def crew(
    work: Callable[[_Item], object], size: int, failed: Callable[[BaseException], object]
) -> Iterator[Callable[[_Item], None]]:
    """Yield a function that hands an item to *size* threads; items they have not begun when the block ends are left.

    Args:
        work: what one of them does with an item.
        size: how many.
        failed: is told what *work* raises.
    """
    made = _Crew(work, failed)
    made.grow(size)
    try:
        yield made.give
    finally:
        made.end()


def each(work: Callable[[_Item], _Result], items: Sequence[_Item], *, parallel: int) -> list[_Result]:
    """Return ``work(item)`` of each item, in the order of *items*; see :func:`stream`."""

    def one(numbered: tuple[int, _Item]) -> tuple[int, _Result]:
        number, item = numbered
        return number, work(item)

    found = dict(stream(one, enumerate(items), parallel=min(parallel, len(items))))
    return [found[number] for number in range(len(items))]


def stream(work: Callable[[_Item], _Result], items: Iterable[_Item], *, parallel: int) -> Iterator[_Result]:
    """Yield ``work(item)`` of each item as it is done, in any order, up to *parallel* at once; the first error ends it.

    Items are taken as they are needed, so that there may be very many of them. Threads that wait for a server cost
    nothing, and those that compute only hinder each other: there are few at first, and twice as many whenever this
    process has left the processor idle.
    """
    done: SimpleQueue[tuple[_Result] | BaseException] = SimpleQueue()
    made = _Crew[_Item](lambda item: done.put((work(item),)), done.put)
    meter = _Meter()

    def take() -> _Result:
        result = None
        while made.size < parallel and result is None:
            with contextlib.suppress(Empty):
                result = done.get(timeout=_LOOK * made.size)
            if meter.idle(_LOOK * made.size):
                made.grow(min(2 * made.size, parallel))
        return _result(done.get() if result is None else result)

    made.grow(min(_AT_FIRST, parallel))
    try:
        waiting = 0
        for item in items:
            made.give(item)
            waiting += 1
            if waiting == 2 * parallel:
                yield take()
                waiting -= 1
        for _ in range(waiting):
            yield take()
    finally:
        made.end()


class _Meter:
    """Tells how much of the processor this process uses."""

    def __init__(self) -> None:
        self._since, self._used = time.monotonic(), time.process_time()

    def idle(self, shortest: float) -> bool:
        """Tell whether it was little since the last look; looks within *shortest* seconds tell nothing."""
        now, used = time.monotonic(), time.process_time()
        if (lasted := now - self._since) < shortest:
            return False
        little = used - self._used < _BUSY * lasted
        self._since, self._used = now, used
        return little


def _result(done: tuple[_Result] | BaseException) -> _Result:
    if isinstance(done, BaseException):
        raise done
    return done[0]
