"""The cache folder, and locks between runs."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from wheelyard.core.digests import sha256_bytes
from wheelyard.io import log
from wheelyard.io.files import disk_errors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager


def cache_dir(*parts: str) -> Path:
    """Return a folder of the user's cache (XDG Base Directory specification), made if need be.

    Raises:
        DiskError: it cannot be made.
    """
    base = os.environ.get("WHEELYARD_CACHE") or os.environ.get("XDG_CACHE_HOME")
    root = Path(base).expanduser() if base else Path.home() / ".cache"
    folder = root.joinpath(*([] if os.environ.get("WHEELYARD_CACHE") else ["wheelyard"]), *parts)
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def writing(record: Path) -> AbstractContextManager[bool]:
    """Hold the lock on writing *record*, a file of a package; see :func:`lock`."""
    guard = cache_dir("locks") / f"{record.stem}-{sha256_bytes(str(record.resolve()).encode())[:16]}.lock"
    return lock(guard, what=f"writing {record.name} of {record.parent.name}")


@contextlib.contextmanager
def lock(path: Path, *, what: str) -> Iterator[bool]:
    """Hold an exclusive lock on *path* (made if need be); wait for the run that holds it, with one line in the log.

    The kernel drops the lock when its process dies, so ``kill -9`` never leaves one behind.

    Yields:
        Whether it had to wait: then another run has just finished the same work.
    """
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        guard = FileLock(path)
        try:
            guard.acquire(timeout=0)
            waited = False
        except Timeout:
            log.info(f"waiting for another run: {what}")
            guard.acquire()
            waited = True
    try:
        yield waited
    finally:
        guard.release()
