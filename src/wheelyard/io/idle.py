"""A watchdog for containers whose programs do nothing any more.

QEMU can deadlock when a program of many threads forks: its children then wait for each other for ever. Whoever waits
for them need not be quite still: cargo looks twice a second whether its compilers are done, which takes 0.03 % of a
processor. A slow download need not take much more than that, but it reads or writes something.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

from wheelyard.core.errors import StalledError, WheelyardError
from wheelyard.io import log
from wheelyard.io.engine import engine_run

_PROC = Path("/proc")
_LOOKS = 20  # in the time that is allowed
_NOTHING = 0.002  # what those use who only wait for others: this part of one processor, at most
_TRICKLE = 1000  # bytes a second that a download writes, at least; git gives up below that, too (see ``io.git``)
_TICKS = os.sysconf("SC_CLK_TCK")  # a second
_PARENT, _TIMES = 1, slice(11, 15)  # fields of proc_pid_stat(5) after the name: ppid; utime, stime, cutime, cstime


class Watchdog:
    """Watches the container that bears a label; call it again and again: it raises when nothing was done for long.

    Something is done where programs start or end, use more processor time than it takes to wait for others, or read and
    write as much as a slow download does.

    Args:
        label: of one container, ``key=value``; it need not be there yet.
        limit: seconds in which nothing is done.
    """

    def __init__(self, label: str, limit: float) -> None:
        self._label = label
        self._limit = limit
        self._first = 0
        self._last: dict[int, int] = {}
        self._moved = 0
        self._since = self._looked = time.monotonic()

    def __call__(self) -> None:
        """Check the container, if it is time to.

        Raises:
            StalledError: nothing was done in the container for so long.
        """
        now = time.monotonic()
        if now < self._looked + self._limit / _LOOKS:
            return
        self._looked = now
        self._first = self._first if _is_there(self._first) else _first_process(self._label)
        used = processor_time(self._first) if self._first else {}
        moved = sum(map(bytes_moved, used))
        if not used or self._works(used, moved):
            self._last, self._moved, self._since = used, moved, now
        elif now - self._since >= self._limit:
            raise StalledError(f"its programs have used next to no processor time for {log.duration(self._limit)}")

    def _works(self, used: dict[int, int], moved: int) -> bool:
        spent = sum(used.values()) - sum(self._last.values())
        return (
            used.keys() != self._last.keys()
            or spent > max(_NOTHING * self._limit * _TICKS, 1)
            or moved - self._moved > _TRICKLE * self._limit
        )


def processor_time(first: int) -> dict[int, int]:
    """Return the clock ticks of the process *first* and all below it, by process; none if it is gone."""
    parents, used = {}, {}
    for folder in _PROC.iterdir():
        if folder.name.isdecimal():
            with contextlib.suppress(OSError, ValueError, IndexError):  # it may end at any moment
                fields = (folder / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
                process = int(folder.name)
                parents[process] = int(fields[_PARENT])
                used[process] = sum(map(int, fields[_TIMES]))
    family = {first} & used.keys()
    while children := {process for process, parent in parents.items() if parent in family} - family:
        family |= children
    return {process: used[process] for process in family}


def bytes_moved(process: int) -> int:
    """Return how many bytes a process and those of its children that ended have read and written, files and pipes too.

    0 where we may not look: proc_pid_io(5).
    """
    with contextlib.suppress(OSError, ValueError):  # it may end at any moment
        lines = (_PROC / str(process) / "io").read_text(encoding="ascii").splitlines()
        counters = dict(line.split(": ") for line in lines)
        return int(counters.get("rchar", 0)) + int(counters.get("wchar", 0))
    return 0


def _is_there(process: int) -> bool:
    return process > 0 and (_PROC / str(process)).exists()


def _first_process(label: str) -> int:
    """Return the number of the first process of the container that runs with *label*, 0 if none does."""
    with contextlib.suppress(WheelyardError, ValueError):
        listed = engine_run(["ps", "--quiet", "--filter", f"label={label}"], check=False, timeout=30).stdout.split()
        if listed:
            state = engine_run(["inspect", "--format", "{{.State.Pid}}", listed[0]], check=False, timeout=30)
            return int(state.stdout)
    return 0
