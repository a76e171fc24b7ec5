"""What archives from outside hold, member by member, before anything is written: tar in its compressions, and zip."""

from __future__ import annotations

import bz2
import calendar
import contextlib
import gzip
import importlib
import lzma
import os
import stat
import tarfile
import zipfile
import zlib
from dataclasses import dataclass
from functools import partial
from typing import IO, TYPE_CHECKING, Literal

from wheelyard.core.errors import SourceError, UnsafeArchiveError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LONGEST_NAME = 1024
_LARGEST_HEADER = 1 << 18  # bytes that the tar module may want at once: an extended header, read into memory
_MOST_GLOBALS = 1000  # keywords in a tar's global headers
_DAMAGED = (
    *(tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, lzma.LZMAError, EOFError),
    *(ValueError, OverflowError, RecursionError, NotImplementedError),
)


@dataclass(frozen=True)
class Limits:
    """How much an archive may hold: bytes after unpacking, headers included, and members."""

    unpacked: int
    members: int


@dataclass(frozen=True)
class Member:
    """What one member of an archive is, as the archive has it.

    Attributes:
        name: its path there, not checked.
        kind: a link is symbolic; a copy is a tar's hard link.
        target: of a link or copy.
        size: bytes of a file.
        executable: whether its owner may run it.
        mtime: seconds since 1970, any number.
    """

    name: str
    kind: Literal["file", "folder", "link", "copy"]
    target: str = ""
    size: int = 0
    executable: bool = False
    mtime: float = 0


Reader = tuple[Member, "Callable[[], IO[bytes] | None]"]


def members(archive: Path, limits: Limits) -> Iterator[Reader]:
    """Yield each member with what opens its content; use it in :func:`damage_named`.

    Raises:
        UnsafeArchiveError: it holds what no source holds, or unfolds to more than *limits*.
        SourceError: this Python cannot read it.
    """
    with archive.open("rb") as file:
        magic = file.read(6)
        file.seek(0)
        if magic.startswith(b"PK"):
            yield from zip_members(file, archive.name)
            return
        with _decompressed(file, magic, archive) as plain:
            metered = _Metered(plain, archive.name, limits)
            with tarfile.open(fileobj=metered, mode="r:") as tar:  # type: ignore[call-overload]
                yield from _tar_members(tar, archive.name)


def _decompressed(file: IO[bytes], magic: bytes, archive: Path) -> IO[bytes]:
    if magic.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=file)  # type: ignore[return-value]
    if magic.startswith(b"BZh"):
        return bz2.BZ2File(file)
    if magic.startswith(b"\xfd7zXZ"):
        return lzma.LZMAFile(file)
    if magic.startswith(b"\x28\xb5\x2f\xfd"):
        try:
            zstd = importlib.import_module("compression.zstd")  # Python 3.14
        except ImportError:
            raise SourceError(
                f"{archive.name} is compressed with zstd, which this Python cannot read",
                fix="run with Python 3.14 or newer, or take another source",
            ) from None
        opened: IO[bytes] = zstd.ZstdFile(file)
        return opened
    return file


class _Metered:
    """A decompressed tar: ends a bomb while it unfolds, in headers and gaps too, which no member's size shows."""

    def __init__(self, plain: IO[bytes], archive: str, limits: Limits) -> None:
        self._plain, self._archive, self._limits = plain, archive, limits

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _LARGEST_HEADER:
            raise unsafe(self._archive, f"one of its headers has {size} bytes")
        data = self._plain.read(size)
        self._check(self._plain.tell())
        return data

    def seek(self, position: int) -> int:
        self._check(position)
        return self._plain.seek(position)

    def tell(self) -> int:
        return self._plain.tell()

    def _check(self, position: int) -> None:
        if position > self._limits.unpacked:
            raise too_large(self._archive, self._limits)


def _tar_members(tar: tarfile.TarFile, archive: str) -> Iterator[Reader]:
    while (info := tar.next()) is not None:
        tar.members.clear()  # type: ignore[attr-defined]  # kept by the module for random access: a bomb of small members
        if len(tar.pax_headers) > _MOST_GLOBALS:
            raise unsafe(archive, "its global headers have no end")
        name, mtime = info.name, info.mtime
        if info.isdir():
            yield Member(name, "folder", mtime=mtime), nothing
        elif info.issym():
            yield Member(name, "link", target=info.linkname, mtime=mtime), nothing
        elif info.islnk():
            yield Member(name, "copy", target=info.linkname, mtime=mtime), nothing
        elif info.type in tarfile.REGULAR_TYPES:
            executable = bool(info.mode & 0o100)
            yield Member(name, "file", "", info.size, executable, mtime), partial(tar.extractfile, info)
        else:
            raise unsafe(archive, f"{info.name!r} is a device, a pipe or something else that no source holds")


def zip_members(file: IO[bytes], archive: str) -> Iterator[Reader]:
    """Yield a zip's members as :func:`members` does."""
    with zipfile.ZipFile(file) as zipped:
        for info in zipped.infolist():
            if "\0" in info.orig_filename or info.flag_bits & 0x1:
                raise unsafe(archive, f"member {info.orig_filename!r} is encrypted or has NUL in its name")
            mode = info.external_attr >> 16
            name, mtime = info.orig_filename, _zip_time(info)
            if stat.S_ISLNK(mode):
                if info.file_size > LONGEST_NAME:
                    raise unsafe(archive, f"the link {name!r} has a target of {info.file_size} bytes")
                yield Member(name, "link", target=os.fsdecode(zipped.read(info)), mtime=mtime), nothing
            elif stat.S_IFMT(mode) not in {0, stat.S_IFREG, stat.S_IFDIR}:
                raise unsafe(archive, f"{name!r} is a device, a pipe or something else that no source holds")
            elif info.is_dir() or stat.S_ISDIR(mode):
                yield Member(name, "folder", mtime=mtime), nothing
            else:
                executable = bool(mode & 0o100)
                yield Member(name, "file", "", info.file_size, executable, mtime), partial(zipped.open, info)


def nothing() -> None:
    """Stand for the content of what has none."""


def _zip_time(info: zipfile.ZipInfo) -> float:
    try:
        return calendar.timegm((*info.date_time, 0, 0, 0))
    except ValueError:
        return 0


# ---------------------------------------------------------------- what is wrong


@contextlib.contextmanager
def damage_named(archive: Path) -> Iterator[None]:
    """Name the archive in the errors of its reader.

    Raises:
        SourceError: it is damaged, or not an archive that we read.
    """
    try:
        yield
    except _DAMAGED as error:
        raise _damaged(archive, str(error) or type(error).__name__) from error
    except OSError as error:
        if error.errno is None:  # bz2 and zipfile report bad data so
            raise _damaged(archive, str(error)) from error
        raise


def _damaged(archive: Path, why: str) -> SourceError:
    return SourceError(
        f"{archive.name} is not an archive that can be read to its end",
        details=[why],
        fix="its bytes are those that were locked: ask upstream for a sound archive, or take the source from git",
    )


def unsafe(archive: str, why: str) -> UnsafeArchiveError:
    """Return the error of an archive that nobody means well with."""
    return UnsafeArchiveError(
        f"{archive} is refused: {why}",
        fix="look at the archive before you trust it; nothing of it has been kept",
    )


def too_large(archive: str, limits: Limits) -> UnsafeArchiveError:
    """Return the error of an archive that has more bytes than *limits* allow."""
    return too_much(archive, f"more than {limits.unpacked / 2**20:.0f} MiB", "max-unpacked-mib")


def too_much(archive: str, amount: str, key: str) -> UnsafeArchiveError:
    """Return the error of an archive that exceeds the limit *key* of the site configuration."""
    return UnsafeArchiveError(
        f"{archive} is refused: it unpacks to {amount}",
        fix=f"if it really is that large, raise {key} in [tool.wheelyard]",
    )
