"""Clean-up that happens even if this process is killed with ``kill -9``.

One small helper process per run (started when first needed) waits on a pipe whose other end only we hold. The
kernel closes it when we die; the helper then kills our children, runs the clean-up commands
and removes the folders that were registered and not released. It lives in a session of its own, so Ctrl-C
does not reach it.
"""

from __future__ import annotations

import atexit
import contextlib
import itertools
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from wheelyard.io._guard_main import MARK
from wheelyard.io.files import owner_mark

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_PROGRAM = Path(__file__).with_name("_guard_main.py")
_lock = threading.Lock()
_numbers = itertools.count(1)
_helper: subprocess.Popen[bytes] | None = None
_helper_owner = 0


def _send(message: dict[str, object]) -> None:
    global _helper, _helper_owner  # noqa: PLW0603 - one helper per process, and nobody else's business
    with _lock:
        if _helper is None or _helper_owner != os.getpid():
            _helper = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_PROGRAM), owner_mark()],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                cwd="/",
            )
            _helper_owner = os.getpid()
            atexit.register(_leave)
        assert _helper.stdin is not None  # noqa: S101 - asked for above
        with contextlib.suppress(BrokenPipeError):  # a dead guard must not end a healthy run
            _helper.stdin.write(json.dumps(message).encode() + b"\n")
            _helper.stdin.flush()


def marked(env: Mapping[str, str] | None) -> dict[str, str]:
    """Return *env* (ours when None) with the mark by which the helper finds every child of ours."""
    return {**(os.environ if env is None else env), MARK: owner_mark()}


def _leave() -> None:
    if _helper is not None and _helper_owner == os.getpid() and _helper.stdin is not None:
        with contextlib.suppress(OSError):
            _helper.stdin.close()
        _helper.wait()


@contextlib.contextmanager
def on_death(
    *,
    groups: Iterable[int] = (),
    commands: Iterable[Sequence[str]] = (),
    folders: Iterable[Path] = (),
) -> Iterator[None]:
    """Clean up if this process dies inside the block; nothing happens when the block ends by itself.

    Args:
        groups: process groups to kill.
        commands: programs to run, each at most a minute, their failures ignored.
        folders: trees to remove.
    """
    number = next(_numbers)
    _send(
        {
            "add": number,
            "groups": list(groups),
            "commands": [list(command) for command in commands],
            "folders": [str(folder.absolute()) for folder in folders],
        }
    )
    try:
        yield
    finally:
        _send({"drop": number})
