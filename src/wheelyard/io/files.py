"""Files that are written whole or not at all, and folders that go away again."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING

from wheelyard.core.digests import sha256_bytes
from wheelyard.core.errors import DiskError

if TYPE_CHECKING:
    from collections.abc import Iterator

_MARK = re.compile(r"\A\d+\.\d+\Z")


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn a full disk or a folder we may not write into a :class:`DiskError` that names *path*."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise DiskError(
                "no space is left on the device",
                where=str(path),
                fix="free some space, then run the same command again",
            ) from error
        if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
            raise DiskError(
                f"cannot write: {error.strerror}",
                where=str(path),
                fix="make the folder writable for this user",
            ) from error
        raise


def write_bytes(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Write *data* under *path* whole or not at all: temporary file, fsync, rename, fsync of the folder.

    Raises:
        DiskError: no space, or no right to write there.
    """
    with _whole(path, mode) as file:
        file.write(data)


@contextlib.contextmanager
def _whole(path: Path, mode: int) -> Iterator[IO[bytes]]:
    """Yield a file that takes the name *path* when the block ends well, and is gone otherwise."""
    # Named after its owner: what a killed process left behind is found by the next that writes this file.
    prefix = f".{os.fsdecode(os.fsencode(path.name)[:100])}.{sha256_bytes(os.fsencode(path.name))[:8]}-"
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep_temporary(path.parent, prefix)
        handle, name = tempfile.mkstemp(prefix=f"{prefix}{owner_mark()}-", suffix=".tmp", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                yield file
                file.flush()
                os.fchmod(file.fileno(), mode)
                os.fsync(file.fileno())
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def _sweep_temporary(folder: Path, prefix: str) -> None:
    for entry in os.scandir(folder):
        if entry.name.startswith(prefix) and entry.name.endswith(".tmp"):
            mark = entry.name.removeprefix(prefix).rpartition("-")[0]
            if _MARK.match(mark) and not owner_alive(mark):
                Path(entry.path).unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write *text* as UTF-8, whole or not at all; see :func:`write_bytes`."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: object) -> None:
    """Write *value* as JSON for people and machines, whole or not at all; see :func:`write_bytes`."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def append_text(path: Path, text: str) -> None:
    """Add to a file that is not ours alone, as a forge gives one for a job's outputs or its summary.

    Raises:
        DiskError: it cannot be written.
    """
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise DiskError("cannot be written", where=str(path), details=[str(error)]) from error


def sync_folder(folder: Path) -> None:
    """Make a rename inside *folder* survive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def copy_whole(source: Path, target: Path) -> None:
    """Copy a file under a new name whole or not at all, in flat memory.

    Raises:
        DiskError: no space, or no right to write there.
    """
    with source.open("rb") as file, _whole(target, 0o644) as out:
        shutil.copyfileobj(file, out, 1 << 20)


def remove(path: Path) -> None:
    """Remove a file or a tree, if it is there; a link is removed, never followed."""
    if path.is_symlink() or path.is_file():
        path.unlink(missing_ok=True)
    elif path.exists():
        shutil.rmtree(path)


@contextlib.contextmanager
def scratch(parent: Path, prefix: str) -> Iterator[Path]:
    """Yield a new private folder under *parent*, named after this process, and remove it afterwards.

    After a ``kill -9`` the name shows :func:`sweep_scratch` that no process owns the folder any more.
    """
    with disk_errors(parent):
        parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f"{prefix}-{owner_mark()}-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sweep_scratch(parent: Path, prefix: str) -> list[Path]:
    """Remove the scratch folders under *parent* whose process is gone, and return them."""
    swept = []
    for folder in parent.glob(f"{prefix}-*-*"):
        mark = folder.name.removeprefix(f"{prefix}-").rsplit("-", 1)[0]
        if _MARK.match(mark) and not owner_alive(mark):
            shutil.rmtree(folder, ignore_errors=True)
            swept.append(folder)
    return swept


def owner_mark(pid: int | None = None) -> str:
    """Return ``pid.starttime`` of a process (this one by default): a name that is never reused (proc(5), field 22)."""
    pid = os.getpid() if pid is None else pid
    return f"{pid}.{_start_time(pid)}"


def owner_alive(mark: str) -> bool:
    """Return whether the process that *mark* names still runs."""
    pid, _, start = mark.partition(".")
    try:
        return _start_time(int(pid)) == int(start)
    except (ValueError, OSError):
        return False


def _start_time(pid: int) -> int:
    # The command's name may hold anything, brackets and blanks too: split behind its last bracket.
    text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    return int(text.rpartition(")")[2].split()[19])
