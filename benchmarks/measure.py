"""Timing whole commands, and saying what came out."""

from __future__ import annotations

import json
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


# A process begins with the most memory of the one that starts it (getrusage(2), ru_maxrss), which may serve an index
# meanwhile: this one is small. Its standard input is where the command's output goes.
_WATCH = """
import json, os, sys, time
output = os.dup(0)
actions = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)]
actions += [(os.POSIX_SPAWN_DUP2, output, number) for number in (1, 2)]
started = time.monotonic()
pid = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=actions)
_, status, usage = os.wait4(pid, 0)
taken = time.monotonic() - started
cpu, mib = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
print(json.dumps([taken, cpu, mib, os.waitstatus_to_exitcode(status)]))
"""


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
        told = subprocess.run(
            [sys.executable, "-c", _WATCH, *command], cwd=cwd, env=env, stdin=log, stdout=subprocess.PIPE, check=True
        )
        taken, cpu, mib, code = json.loads(told.stdout)
        log.seek(0)
        output = log.read()
    if code != 0:
        print(output[-4000:])
        raise subprocess.CalledProcessError(code, command)
    return Run(taken, cpu, mib, output)


def claim(text: str, *, holds: bool) -> bool:
    """Print a claim and whether it holds; return that."""
    print(f"{'holds' if holds else 'DOES NOT HOLD'}: {text}")
    return holds
