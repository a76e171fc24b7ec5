"""Several items at once, in daemon threads.

The threads of concurrent.futures are joined when the process ends: after Ctrl-C it would wait for a server that stalls.
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
    """Yield a function that hands an item to *size* threads; when the block ends, items not begun are left.

    Args:
        work: what a thread does with an item.
        size: the number of threads.
        failed: is called with an exception that *work* raises.
    """
    waiting: SimpleQueue[tuple[_Item] | None] = SimpleQueue()
    over = threading.Event()

    def serve() -> None:
        while (entry := waiting.get()) and not over.is_set():
            try:
                work(*entry)
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
    """Return ``work(item)`` of every item, in the order of *items*; see :func:`stream`."""

    def numbered(pair: tuple[int, _Item]) -> tuple[int, _Result]:
        return pair[0], work(pair[1])

    results = dict(stream(numbered, enumerate(items), parallel=min(parallel, len(items))))
    return [results[number] for number in range(len(items))]


def stream(work: Callable[[_Item], _Result], items: Iterable[_Item], *, parallel: int) -> Iterator[_Result]:
    """Yield ``work(item)`` of every item as it ends, in any order; the first error ends it.

    Items are taken as they are needed, so that there may be very many of them.
    """
    outcomes: SimpleQueue[tuple[_Result] | BaseException] = SimpleQueue()

    def finish(item: _Item) -> None:
        outcomes.put((work(item),))

    with crew(finish, parallel, outcomes.put) as give:
        waiting = 0
        for item in items:
            give(item)
            waiting += 1
            if waiting == 2 * parallel:
                yield _result(outcomes.get())
                waiting -= 1
        for _ in range(waiting):
            yield _result(outcomes.get())


def _result(outcome: tuple[_Result] | BaseException) -> _Result:
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome[0]
