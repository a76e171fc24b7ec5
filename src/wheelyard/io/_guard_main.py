"""The guard's own program: outlive a killed parent by as long as it takes to tidy up after it.

Run as ``python -I -S _guard_main.py MARK``; imports the standard library only. Each line on standard input is a
JSON object: ``{"add": id, "groups": […], "commands": [[…]…], "folders": […]}`` or ``{"drop": id}``. When
input ends, whatever was added and not dropped is carried out: process groups are killed, commands run,
folders removed. A parent that ends in good order has dropped everything, and the guard just leaves.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

_GRACE = 2.0  # seconds between asking a group to end and ending it
_SWEEPS = 50
MARK = "WHEELYARD_OWNER"
_PATIENCE = 60  # seconds for one command


def _tidy(entries: list[dict[str, Any]], mark: str) -> None:
    groups = [group for entry in entries for group in entry.get("groups", ())]
    groups = [group for group in groups if _signal(group, signal.SIGTERM)]
    deadline = time.monotonic() + _GRACE
    while groups and time.monotonic() < deadline:
        time.sleep(0.05)
        groups = [group for group in groups if _signal(group, 0)]
    for group in groups:
        _signal(group, signal.SIGKILL)
    if entries:
        _end_marked(mark)
    for entry in entries:
        for command in entry.get("commands", ()):
            with contextlib.suppress(OSError, subprocess.SubprocessError):
                subprocess.run(
                    command,
                    check=False,
                    timeout=_PATIENCE,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
        for folder in entry.get("folders", ()):
            shutil.rmtree(folder, ignore_errors=True)


def _end_marked(mark: str) -> None:
    """End every process with the parent's mark in its environment: a child that was just started, and strays."""
    variable = f"{MARK}={mark}".encode()
    for attempt in range(_SWEEPS):
        processes = []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if variable in (folder / "environ").read_bytes().split(b"\0"):
                    processes.append(int(folder.name))
        for pid in processes:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        # Between fork and exec a child does not bear the mark yet: look at least twice.
        if not processes and attempt:
            return
        time.sleep(0.1)


def _signal(group: int, number: int) -> bool:
    """Send a signal; return whether the group exists."""
    try:
        os.killpg(group, number)
    except OSError:
        return False
    return True


def main() -> None:
    """Listen until the parent is gone, then tidy up."""
    entries: dict[int, dict[str, Any]] = {}
    for line in sys.stdin:
        try:
            message = json.loads(line)
        except ValueError:  # the parent died in the middle of it
            break
        if "drop" in message:
            entries.pop(message["drop"], None)
        else:
            entries[message["add"]] = message
    _tidy(list(entries.values()), sys.argv[1])


if __name__ == "__main__":
    main()
