"""Unpacking archives from outside: whole and inside their folder, or not at all.

Every member is checked before anything of it is written, and we write it ourselves: the standard library's
``data`` filter (PEP 706) is the model, to which limits, links that only together lead out, and names that
mean something elsewhere are added. Links are made last, so that nothing is ever written through one.
"""

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
import unicodedata
import zipfile
import zlib
from dataclasses import dataclass, field, replace
from functools import partial
from typing import IO, TYPE_CHECKING, Literal

from wheelyard.core.errors import SourceError, UnsafeArchiveError
from wheelyard.io import files, guard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

_CHUNK = 1 << 16
_LARGEST_HEADER = 1 << 18  # bytes that the tar module may want at once: an extended header, read into memory
_MOST_GLOBALS = 1000  # keywords in a tar's global headers
_LONGEST_NAME = 1024
_LONGEST_PART = 255  # what Linux file systems take
_TOP = "content"  # the one folder, of archives that have none
_MOST_LINKS = 40  # followed on one path; as many as Linux follows
_EARLIEST, _LATEST = 315_532_800, 4_354_819_199  # 1980 and 2107, between which zip can tell the time
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
class _Member:
    name: str
    kind: Literal["file", "folder", "link", "copy"]
    target: str = ""
    size: int = 0
    executable: bool = False
    mtime: float = 0


_Reader = tuple[_Member, "Callable[[], IO[bytes] | None]"]


def unpack(archive: Path, target: Path, *, limits: Limits) -> int:
    """Unpack an archive that holds exactly one folder, as sdists do, so that this folder becomes *target*.

    Permissions become 0644 or 0755, owners ours; times are kept. Until all is well, it happens in a scratch
    folder beside *target*.

    Returns:
        The newest time stamp of a member, in seconds since 1970, within 1980 and 2107.

    Raises:
        UnsafeArchiveError: it tries to leave its folder, holds what no source holds, or exceeds *limits*.
        SourceError: it is damaged, or not an archive that we read.
        DiskError: no space.
    """
    files.sweep_scratch(target.parent, ".unpack")
    with (
        files.scratch(target.parent, ".unpack") as scratch,
        guard.on_death(folders=[scratch]),
        files.disk_errors(target),
    ):
        writer = _Writer(scratch, archive.name, limits)
        with _damage_named(archive):
            for member, open_ in _members(archive, limits):
                writer.add(member, open_)
        top = writer.finish()
        (scratch / top).rename(target)
    return writer.newest


def unpack_zip(archive: Path, target: Path, *, limits: Limits) -> None:
    """Unpack a zip of any layout, as forges keep artifacts, into the new folder *target*, with :func:`unpack`'s care.

    Raises:
        UnsafeArchiveError: it tries to leave its folder, holds what no archive of ours holds, or exceeds *limits*.
        SourceError: it is damaged, or no zip.
        DiskError: no space.
    """
    with files.scratch(target.parent, ".unpack") as scratch, files.disk_errors(target):
        writer = _Writer(scratch, archive.name, limits)
        with _damage_named(archive), archive.open("rb") as file:
            writer.add(_Member(_TOP, "folder"), _nothing)
            for member, open_ in _zip_members(file, archive.name):
                checked_name(member.name, archive.name)
                writer.add(replace(member, name=f"{_TOP}/{member.name}"), open_)
        (scratch / writer.finish()).rename(target)


def read_member(archive: Path, path: tuple[str, ...], *, limits: Limits, largest: int) -> bytes | None:
    """Return the content of a file in an archive's one folder, None if there is none; nothing is written.

    Args:
        archive: an sdist.
        path: the parts of the file's path below that folder.
        limits: how much may be unpacked on the way there.
        largest: bytes that the file may have.

    Raises:
        UnsafeArchiveError: it holds what no source holds, or exceeds *limits* before the file comes.
        SourceError: it is damaged, or not an archive that we read.
    """
    with _damage_named(archive):
        for number, (member, open_) in enumerate(_members(archive, limits), 1):
            if number > limits.members:
                raise _too_much(archive.name, f"more than {limits.members} members", "max-members")
            if member.kind == "file" and checked_name(member.name, archive.name)[1:] == path and (file := open_()):
                with file:
                    data = file.read(largest + 1)
                if len(data) > largest:
                    raise _unsafe(archive.name, f"{'/'.join(path)} is larger than {largest} bytes")
                return data
    return None


@contextlib.contextmanager
def _damage_named(archive: Path) -> Iterator[None]:
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


# ---------------------------------------------------------------- what may be in it


def checked_name(name: str, archive: str) -> tuple[str, ...]:
    """Return the parts of a member's name.

    Raises:
        UnsafeArchiveError: it is absolute, leads upwards, or has characters with which names deceive.
    """
    parts = tuple(part for part in name.split("/") if part not in {"", "."})
    if name.startswith("/") or ".." in parts or (parts and parts[0][1:2] == ":"):
        raise _unsafe(archive, f"member {name!r} leads out of the archive's folder")
    if "\\" in name or any(unicodedata.category(char) == "Cc" for char in name):
        raise _unsafe(archive, f"member {name!r} has a backslash or a control character in its name")
    length = len(os.fsencode(name))
    if length > _LONGEST_NAME or any(len(os.fsencode(part)) > _LONGEST_PART for part in parts):
        raise _unsafe(archive, f"member {name[:60]!r}… has a name of {length} bytes")
    return parts


def leads_out(links: Mapping[tuple[str, ...], str], path: tuple[str, ...]) -> bool:
    """Tell whether *path*, followed through *links*, leaves the root or comes to no end.

    Args:
        links: where each link is, and what it points to.
        path: where to go, from the root.
    """
    todo = list(reversed(path))
    here: list[str] = []
    followed = 0
    while todo:
        part = todo.pop()
        if part in {"", "."}:
            continue
        if part == "..":
            if not here:
                return True
            here.pop()
            continue
        here.append(part)
        goal = links.get(tuple(here))
        if goal is not None:
            followed += 1
            if goal.startswith("/") or followed > _MOST_LINKS:
                return True
            here.pop()
            todo.extend(reversed(goal.split("/")))
    return False


def _unsafe(archive: str, why: str) -> UnsafeArchiveError:
    return UnsafeArchiveError(
        f"{archive} is refused: {why}",
        fix="look at the archive before you trust it; nothing of it has been kept",
    )


# ---------------------------------------------------------------- writing


@dataclass
class _Writer:
    """Writes members below *root*, and keeps account of names, links, bytes and times."""

    root: Path
    archive: str
    limits: Limits
    newest: int = _EARLIEST
    _kinds: dict[tuple[str, ...], str] = field(default_factory=dict)
    _links: dict[tuple[str, ...], str] = field(default_factory=dict)
    _count: int = 0
    _bytes: int = 0

    def add(self, member: _Member, open_: Callable[[], IO[bytes] | None]) -> None:
        self._count += 1
        if self._count > self.limits.members:
            raise _too_much(self.archive, f"more than {self.limits.members} members", "max-members")
        parts = checked_name(member.name, self.archive)
        if not parts:
            return
        if len(parts) == 1 and member.kind != "folder":
            raise _not_one_folder(self.archive, f"{parts[0]!r} lies outside of a folder")
        self._claim(parts, "folder" if member.kind == "folder" else "link" if member.kind == "link" else "file")
        path = self.root.joinpath(*parts)
        match member.kind:
            case "link":
                self._links[parts] = member.target
            case "file":
                self._write(path, member, open_())
            case "copy":  # a hard link: another name of a file that came before
                source = checked_name(member.target, self.archive)
                if self._kinds.get(source) != "file" or source == parts:
                    raise _unsafe(
                        self.archive, f"{member.name!r} is a link to {member.target!r}, which is no file of it"
                    )
                original = self.root.joinpath(*source)
                executable = bool(original.stat().st_mode & 0o100)
                with original.open("rb") as file:
                    self._write(path, _Member(member.name, "file", executable=executable, mtime=member.mtime), file)
        self.newest = max(self.newest, int(_sane(member.mtime)))

    def finish(self) -> str:
        """Make the links, and return the name of the one folder."""
        tops = {parts[0] for parts in self._kinds}
        if len(tops) != 1:
            raise _not_one_folder(self.archive, f"it holds {len(tops)}")
        below = {parts[1:]: goal for parts, goal in self._links.items()}  # the one folder is what may not be left
        for parts, goal in below.items():
            # Followed through all the others: links that are harmless each can lead out together.
            if not goal or "\0" in goal or len(goal) > _LONGEST_NAME or leads_out(below, parts):
                raise _unsafe(self.archive, f"the link {'/'.join(parts)!r} leads to {goal[:200]!r}")
        for parts, kind in self._kinds.items():
            if kind == "folder":
                self.root.joinpath(*parts).chmod(0o755)
        for parts, goal in self._links.items():
            self.root.joinpath(*parts).symlink_to(goal)
        return tops.pop()

    def _claim(self, parts: tuple[str, ...], kind: str) -> None:
        """Enter a name. A folder may come twice; a file too, then the last one counts, as with tar."""
        for length in range(1, len(parts)):
            self._make_folder(parts[:length], f"{'/'.join(parts)!r} lies below a file or link")
        if kind == "folder":
            self._make_folder(parts, f"{'/'.join(parts)!r} comes twice, as different things")
            return
        before = self._kinds.setdefault(parts, kind)
        if before != kind or parts in self._links:
            raise _unsafe(self.archive, f"{'/'.join(parts)!r} comes twice, as different things")

    def _make_folder(self, parts: tuple[str, ...], otherwise: str) -> None:
        before = self._kinds.get(parts)
        if before is None:
            self._kinds[parts] = "folder"
            self.root.joinpath(*parts).mkdir()
        elif before != "folder":
            raise _unsafe(self.archive, otherwise)

    def _write(self, path: Path, member: _Member, content: IO[bytes] | None) -> None:
        if content is None:
            raise _unsafe(self.archive, f"{member.name!r} has no content")
        if self._bytes + member.size > self.limits.unpacked:
            raise _too_large(self.archive, self.limits)
        path.unlink(missing_ok=True)
        mode = 0o755 if member.executable else 0o644
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
        with content, os.fdopen(handle, "wb") as out:
            while piece := content.read(_CHUNK):
                self._bytes += len(piece)
                if self._bytes > self.limits.unpacked:
                    raise _too_large(self.archive, self.limits)
                out.write(piece)
            out.flush()
            os.fchmod(handle, mode)
            # Build systems such as autotools compare times to see what must be made again.
            os.utime(handle, (_sane(member.mtime), _sane(member.mtime)))


def _sane(mtime: float) -> float:
    return min(max(mtime, _EARLIEST), _LATEST)


def _too_large(archive: str, limits: Limits) -> UnsafeArchiveError:
    return _too_much(archive, f"more than {limits.unpacked / 2**20:.0f} MiB", "max-unpacked-mib")


def _too_much(archive: str, what: str, key: str) -> UnsafeArchiveError:
    return UnsafeArchiveError(
        f"{archive} is refused: it unpacks to {what}",
        fix=f"if it really is that large, raise {key} in [tool.wheelyard]",
    )


def _not_one_folder(archive: str, why: str) -> UnsafeArchiveError:
    return UnsafeArchiveError(
        f"{archive} is refused: an sdist holds exactly one folder, {why}",
        fix="take the source from git instead ([source] git), or mend the script that makes this sdist",
    )


# ---------------------------------------------------------------- reading


def _members(archive: Path, limits: Limits) -> Iterator[_Reader]:
    with archive.open("rb") as file:
        magic = file.read(6)
        file.seek(0)
        if magic.startswith(b"PK"):
            yield from _zip_members(file, archive.name)
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
    """A decompressed tar: ends a bomb while it unfolds, in headers and gaps too, which no member's size tells of."""

    def __init__(self, plain: IO[bytes], archive: str, limits: Limits) -> None:
        self._plain, self._archive, self._limits = plain, archive, limits

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _LARGEST_HEADER:
            raise _unsafe(self._archive, f"one of its headers has {size} bytes")
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
            raise _too_large(self._archive, self._limits)


def _tar_members(tar: tarfile.TarFile, archive: str) -> Iterator[_Reader]:
    while (info := tar.next()) is not None:
        tar.members.clear()  # type: ignore[attr-defined]  # kept by the module for random access: a bomb of small members
        if len(tar.pax_headers) > _MOST_GLOBALS:
            raise _unsafe(archive, "its global headers have no end")
        name, mtime = info.name, info.mtime
        if info.isdir():
            yield _Member(name, "folder", mtime=mtime), _nothing
        elif info.issym():
            yield _Member(name, "link", target=info.linkname, mtime=mtime), _nothing
        elif info.islnk():
            yield _Member(name, "copy", target=info.linkname, mtime=mtime), _nothing
        elif info.type in tarfile.REGULAR_TYPES:
            executable = bool(info.mode & 0o100)
            yield _Member(name, "file", "", info.size, executable, mtime), partial(tar.extractfile, info)
        else:
            raise _unsafe(archive, f"{info.name!r} is a device, a pipe or something else that no source holds")


def _zip_members(file: IO[bytes], archive: str) -> Iterator[_Reader]:
    with zipfile.ZipFile(file) as zipped:
        for info in zipped.infolist():
            if "\0" in info.orig_filename or info.flag_bits & 0x1:
                raise _unsafe(archive, f"member {info.orig_filename!r} is encrypted or has NUL in its name")
            mode = info.external_attr >> 16
            name, mtime = info.orig_filename, _zip_time(info)
            if stat.S_ISLNK(mode):
                if info.file_size > _LONGEST_NAME:
                    raise _unsafe(archive, f"the link {name!r} has a target of {info.file_size} bytes")
                yield _Member(name, "link", target=os.fsdecode(zipped.read(info)), mtime=mtime), _nothing
            elif stat.S_IFMT(mode) not in {0, stat.S_IFREG, stat.S_IFDIR}:
                raise _unsafe(archive, f"{name!r} is a device, a pipe or something else that no source holds")
            elif info.is_dir() or stat.S_ISDIR(mode):
                yield _Member(name, "folder", mtime=mtime), _nothing
            else:
                executable = bool(mode & 0o100)
                yield _Member(name, "file", "", info.file_size, executable, mtime), partial(zipped.open, info)


def _nothing() -> None:
    """Stand for the content of what has none."""


def _zip_time(info: zipfile.ZipInfo) -> float:
    try:
        return calendar.timegm((*info.date_time, 0, 0, 0))
    except ValueError:
        return 0
