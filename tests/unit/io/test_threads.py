"""Several things at once, without anybody who waits for what is left of them."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from wheelyard.io import threads

if TYPE_CHECKING:
    from collections.abc import Iterator


def test_results_come_in_the_order_of_the_items_though_they_end_in_another() -> None:
    second = threading.Event()

    def work(number: int) -> int:
        if number == 1:
            second.set()
        assert second.wait(10)  # so that the first item can only end after the second
        return number * 10

    assert threads.each(work, [0, 1, 2], parallel=2) == [0, 10, 20]


def test_nothing_to_do() -> None:
    assert threads.each(str, [], parallel=4) == []


def most_at_once(items: int, *, parallel: int) -> int:
    """Return how many of so many items were ever worked on at once."""
    now, most, lock = 0, 0, threading.Lock()

    def work(_number: int) -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.05)
        with lock:
            now -= 1

    threads.each(work, range(items), parallel=parallel)
    return most


def test_no_more_than_asked_for_at_once() -> None:
    assert most_at_once(12, parallel=3) == 3
    assert most_at_once(60, parallel=16) == 16


def test_the_first_error_ends_it_without_waiting_for_what_hangs() -> None:
    hanging, release, begun = threading.Event(), threading.Event(), []

    def work(number: int) -> None:
        begun.append(number)
        if number == 0:
            hanging.set()
            release.wait(30)
        elif number == 1:
            assert hanging.wait(10)
            raise ValueError("broken")
        else:
            time.sleep(0.01)

    started = time.monotonic()
    with pytest.raises(ValueError, match="broken"):
        threads.each(work, range(100_000), parallel=2)
    assert time.monotonic() - started < 10
    release.set()
    time.sleep(0.2)
    assert len(begun) < 1000  # the rest is left


def test_a_crews_threads_end_with_its_block() -> None:
    before = set(threading.enumerate())
    done, failed = threading.Event(), list[BaseException]()
    with threads.crew(lambda _item: done.set(), 3, failed.append) as give:
        give("work")
        assert done.wait(10)
        mine = set(threading.enumerate()) - before
    assert len(mine) == 3
    assert all(thread.daemon for thread in mine)  # none keeps the process alive
    for thread in mine:
        thread.join(10)
    assert not any(thread.is_alive() for thread in mine)
    assert failed == []


def test_a_stream_takes_items_as_it_needs_them() -> None:
    taken = []

    def items() -> Iterator[int]:
        for number in range(1000):
            taken.append(number)
            yield number

    found = threads.stream(lambda number: number * 2, items(), parallel=3)
    assert next(found) in range(0, 12, 2)
    assert len(taken) <= 7
    assert len(list(found)) == 999


def test_a_stream_yields_each_result_once_and_ends_with_the_first_error() -> None:
    assert sorted(threads.stream(str, range(40), parallel=4)) == sorted(map(str, range(40)))
    assert list(threads.stream(str, [], parallel=4)) == []
    with pytest.raises(ZeroDivisionError):
        list(threads.stream(lambda number: 1 // number, [1, 0, 1], parallel=2))
