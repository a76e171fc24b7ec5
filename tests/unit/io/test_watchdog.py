"""When a container's programs count as idle, on a clock of the test's own: 300 s pass at once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from wheelyard.core.errors import StalledError
from wheelyard.io import idle

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

LIMIT = 300.0  # seconds
TICKS = idle._TICKS  # a second
SHELL, CARGO, RUSTC = 10, 11, 12  # processes


def stalls(
    monkeypatch: pytest.MonkeyPatch,
    used: Callable[[float], dict[int, int]],
    seconds: float = 1000,
    rate: float = 0,
) -> float | None:
    """Return after how many seconds a container is given up, None if it is not.

    Its programs have *used* so much by when; they read and write *rate* bytes a second.
    """
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    monkeypatch.setattr(idle, "_first_process", lambda _label: SHELL)
    monkeypatch.setattr(idle, "_is_there", lambda process: process == SHELL)
    monkeypatch.setattr(idle, "processor_time", lambda _first: used(now))
    monkeypatch.setattr(idle, "bytes_moved", lambda process: int(now * rate) if process == RUSTC else 0)
    watch = idle.Watchdog("wheelyard.test=clock", LIMIT)
    try:
        while now < seconds:
            watch()
            now += 1
    except StalledError:
        return now
    return None


def test_cargo_that_looks_after_a_compiler_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    # Measured with rustc stopped, under QEMU: one tick of cargo's in 35 s.
    after = stalls(monkeypatch, lambda now: {SHELL: 5, CARGO: 120 + int(now / 35), RUSTC: 3000})
    assert after is not None
    assert LIMIT <= after <= LIMIT * 1.1


def test_programs_that_stand_still(monkeypatch: pytest.MonkeyPatch) -> None:
    after = stalls(monkeypatch, lambda now: {SHELL: 5, RUSTC: min(int(now), 200) * TICKS})
    assert after is not None
    assert LIMIT + 200 <= after <= (LIMIT + 200) * 1.1


def test_programs_that_work_a_little(monkeypatch: pytest.MonkeyPatch) -> None:
    # Half a percent of a processor.
    assert stalls(monkeypatch, lambda now: {SHELL: 5, RUSTC: int(now * TICKS * 0.005)}) is None


def test_programs_that_start_others(monkeypatch: pytest.MonkeyPatch) -> None:
    assert stalls(monkeypatch, lambda now: {SHELL: 5, 100 + int(now / 200): 0}) is None


def test_programs_that_wait_for_a_slow_server(monkeypatch: pytest.MonkeyPatch) -> None:
    # Measured: curl under QEMU takes less than 0.1 % of a processor for 5 kB/s.
    assert stalls(monkeypatch, lambda _now: {SHELL: 5, RUSTC: 100}, rate=5000) is None
    assert stalls(monkeypatch, lambda _now: {SHELL: 5, RUSTC: 100}, rate=100) is not None  # as who only looks about


def test_no_container_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    assert stalls(monkeypatch, lambda _now: {}) is None
