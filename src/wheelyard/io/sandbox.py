"""Strangers' programs on this machine, kept apart from every process of ours: those hold secrets, and so does nox.

What is in a process's memory or first environment can be read by whoever runs as the same user, in
``/proc/PID/environ`` and ``mem``. See ``_sandbox_main.py`` for how that is prevented.
"""

from __future__ import annotations

import functools
import sys
from pathlib import Path

from wheelyard.io.run import run

_PROGRAM = Path(__file__).with_name("_sandbox_main.py")
_PATIENCE = 60  # seconds


def apart(words: list[str | Path]) -> list[str | Path]:
    """Return the command by which *words* are run apart; only where :func:`why_not` is empty."""
    return [sys.executable, "-I", "-S", _PROGRAM, *words]


@functools.cache
def why_not() -> str:
    """Say why nothing can be run apart on this machine, nothing if it can; tried once, and then remembered."""
    done = run(apart([sys.executable, "-I", "-S", "-c", ""]), env={}, timeout=_PATIENCE, check=False)
    if done.returncode == 0:
        return ""
    return done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"status {done.returncode}"
