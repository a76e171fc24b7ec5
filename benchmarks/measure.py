"""Timing whole commands, and saying what came out."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parents[1]
WHEELYARD = [sys.executable, "-m", "wheelyard"]


def project() -> Path:
    """Return a copy of what the tool reads of a project, with no results in it."""
    folder = Path(tempfile.mkdtemp(prefix="wheelyard-bench-"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    for name in ("recipes", "packages"):
        shutil.copytree(ROOT / name, folder / name)
    return folder


def seconds(command: Sequence[str], *, cwd: Path, env: dict[str, str] | None = None) -> float:
    """Run *command* to its end and return the seconds it took.

    Raises:
        CalledProcessError: it failed; its output has been shown.
    """
    started = time.monotonic()
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    taken = time.monotonic() - started
    if done.returncode != 0:
        print(done.stdout[-2000:], done.stderr[-4000:])
        done.check_returncode()
    return taken


def median(command: Sequence[str], *, cwd: Path, runs: int = 5) -> float:
    """Return the median of *runs* after one that does not count."""
    seconds(command, cwd=cwd)
    return statistics.median(seconds(command, cwd=cwd) for _ in range(runs))


@dataclass(frozen=True)
class Run:
    """What a command took.

    Attributes:
        seconds: from its start to its end.
        cpu: seconds of processor time, user and system, its own only.
        mib: the most memory that it held at once, in MiB.
        output: what it said, both streams.
    """

    seconds: float
    cpu: float
    mib: float
    output: str


def run(command: Sequence[str], *, cwd: Path, env: dict[str, str]) -> Run:
    """Run *command* to its end and return what it took.

    Raises:
        CalledProcessError: it failed; its output has been shown.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8") as log:
        started = time.monotonic()
        process = subprocess.Popen(command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
        taken = time.monotonic() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        log.seek(0)
        output = log.read()
    if process.returncode != 0:
        print(output[-4000:])
        raise subprocess.CalledProcessError(process.returncode, command)
    return Run(taken, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, output)


def claim(text: str, *, holds: bool) -> bool:
    """Print a claim and whether it holds; return that."""
    print(f"{'holds' if holds else 'DOES NOT HOLD'}: {text}")
    return holds
