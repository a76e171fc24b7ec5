"""Several things at once, in threads that nobody waits for.

A pool's threads are joined when the process ends: who presses Ctrl-C would wait for a server that stalls.
"""

from __future__ import annotations

import contextlib
import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


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
    waiting: SimpleQueue[tuple[_Item] | None] = SimpleQueue()
    over = threading.Event()

    def serve() -> None:
        while (given := waiting.get()) and not over.is_set():
            try:
                work(*given)
            except BaseException as error:  # noqa: BLE001 - raised again where people see it
                failed(error)

    for _ in range(size):
        threading.Thread(target=serve, daemon=True).start()
    try:
        yield lambda item: waiting.put((item,))
    finally:
        over.set()
        for _ in range(size):
            waiting.put(None)


def each(work: Callable[[_Item], _Result], items: Sequence[_Item], *, parallel: int) -> list[_Result]:
    """Return ``work(item)`` of each item, in the order of *items*, *parallel* at once; the first error ends it."""
    done: SimpleQueue[tuple[int, _Result] | BaseException] = SimpleQueue()

    def one(number: int) -> None:
        done.put((number, work(items[number])))

    found: dict[int, _Result] = {}
    with crew(one, min(parallel, len(items)), done.put) as give:
        for number in range(len(items)):
            give(number)
        while len(found) < len(items):
            result = done.get()
            if isinstance(result, BaseException):
                raise result
            found[result[0]] = result[1]
    return [found[number] for number in range(len(items))]


def stream(work: Callable[[_Item], _Result], items: Iterable[_Item], *, parallel: int) -> Iterator[_Result]:
    """Yield ``work(item)`` of each item as it is done, in any order, *parallel* at once; the first error ends it.

    Items are taken as they are needed, so that there may be very many of them.
    """
    done: SimpleQueue[tuple[_Result] | BaseException] = SimpleQueue()

    def take() -> _Result:
        result = done.get()
        if isinstance(result, BaseException):
            raise result
        return result[0]

    def one(item: _Item) -> None:
        done.put((work(item),))

    with crew(one, parallel, done.put) as give:
        waiting = 0
        for item in items:
            give(item)
            waiting += 1
            if waiting == 2 * parallel:
                yield take()
                waiting -= 1
        for _ in range(waiting):
            yield take()
