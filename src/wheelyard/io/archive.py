"""Unpacking archives from outside: whole and inside their folder, or not at all.

Every member is checked before anything of it is written, and we write it ourselves: the standard library's
``data`` filter (PEP 706) is the model, to which limits, links that only together lead out, and names that
mean something elsewhere are added. Links are made last, so that nothing is ever written through one.
"""

from __future__ import annotations

import os
import unicodedata
from dataclasses import dataclass, field, replace
from typing import IO, TYPE_CHECKING

from wheelyard.core.errors import UnsafeArchiveError
from wheelyard.io import files, guard
from wheelyard.io.members import (
    LONGEST_NAME,
    Limits,
    Member,
    damage_named,
    members,
    nothing,
    too_large,
    too_much,
    unsafe,
    zip_members,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

__all__ = ["Limits", "checked_name", "leads_out", "read_member", "unpack", "unpack_zip"]

_CHUNK = 1 << 16
_LONGEST_PART = 255  # what Linux file systems take
_TOP = "content"  # the one folder, of archives that have none
_MOST_LINKS = 40  # followed on one path; as many as Linux follows
_EARLIEST, _LATEST = 315_532_800, 4_354_819_199  # 1980 and 2107, the range of times in zip


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
        with damage_named(archive):
            for member, open_ in members(archive, limits):
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
        with damage_named(archive), archive.open("rb") as file:
            writer.add(Member(_TOP, "folder"), nothing)
            for member, open_ in zip_members(file, archive.name):
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
    with damage_named(archive):
        for number, (member, open_) in enumerate(members(archive, limits), 1):
            if number > limits.members:
                raise too_much(archive.name, f"more than {limits.members} members", "max-members")
            if member.kind == "file" and checked_name(member.name, archive.name)[1:] == path and (file := open_()):
                with file:
                    data = file.read(largest + 1)
                if len(data) > largest:
                    raise unsafe(archive.name, f"{'/'.join(path)} is larger than {largest} bytes")
                return data
    return None


# ---------------------------------------------------------------- what may be in it


def checked_name(name: str, archive: str) -> tuple[str, ...]:
    """Return the parts of a member's name.

    Raises:
        UnsafeArchiveError: it is absolute, leads upwards, or has characters with which names deceive.
    """
    parts = tuple(part for part in name.split("/") if part not in {"", "."})
    if name.startswith("/") or ".." in parts or (parts and parts[0][1:2] == ":"):
        raise unsafe(archive, f"member {name!r} leads out of the archive's folder")
    if "\\" in name or any(unicodedata.category(char) == "Cc" for char in name):
        raise unsafe(archive, f"member {name!r} has a backslash or a control character in its name")
    length = len(os.fsencode(name))
    if length > LONGEST_NAME or any(len(os.fsencode(part)) > _LONGEST_PART for part in parts):
        raise unsafe(archive, f"member {name[:60]!r}… has a name of {length} bytes")
    return parts


def leads_out(links: Mapping[tuple[str, ...], str], path: tuple[str, ...]) -> bool:
    """Return whether *path*, followed through *links*, leaves the root or comes to no end.

    Args:
        links: where each link is, and what it points to.
        path: where to go, from the root.
    """
    todo = list(reversed(path))
    resolved: list[str] = []
    followed = 0
    while todo:
        part = todo.pop()
        if part in {"", "."}:
            continue
        if part == "..":
            if not resolved:
                return True
            resolved.pop()
            continue
        resolved.append(part)
        goal = links.get(tuple(resolved))
        if goal is not None:
            followed += 1
            if goal.startswith("/") or followed > _MOST_LINKS:
                return True
            resolved.pop()
            todo.extend(reversed(goal.split("/")))
    return False


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

    def add(self, member: Member, open_: Callable[[], IO[bytes] | None]) -> None:
        self._count += 1
        if self._count > self.limits.members:
            raise too_much(self.archive, f"more than {self.limits.members} members", "max-members")
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
                    raise unsafe(
                        self.archive, f"{member.name!r} is a link to {member.target!r}, which is no file of it"
                    )
                original = self.root.joinpath(*source)
                executable = bool(original.stat().st_mode & 0o100)
                with original.open("rb") as file:
                    self._write(path, Member(member.name, "file", executable=executable, mtime=member.mtime), file)
        self.newest = max(self.newest, int(_sane(member.mtime)))

    def finish(self) -> str:
        """Make the links, and return the name of the one folder."""
        tops = {parts[0] for parts in self._kinds}
        if len(tops) != 1:
            raise _not_one_folder(self.archive, f"it holds {len(tops)}")
        below = {parts[1:]: goal for parts, goal in self._links.items()}  # the one folder is what may not be left
        for parts, goal in below.items():
            # Followed through all the others: links that are harmless each can lead out together.
            if not goal or "\0" in goal or len(goal) > LONGEST_NAME or leads_out(below, parts):
                raise unsafe(self.archive, f"the link {'/'.join(parts)!r} leads to {goal[:200]!r}")
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
            raise unsafe(self.archive, f"{'/'.join(parts)!r} comes twice, as different things")

    def _make_folder(self, parts: tuple[str, ...], otherwise: str) -> None:
        before = self._kinds.get(parts)
        if before is None:
            self._kinds[parts] = "folder"
            self.root.joinpath(*parts).mkdir()
        elif before != "folder":
            raise unsafe(self.archive, otherwise)

    def _write(self, path: Path, member: Member, content: IO[bytes] | None) -> None:
        if content is None:
            raise unsafe(self.archive, f"{member.name!r} has no content")
        if self._bytes + member.size > self.limits.unpacked:
            raise too_large(self.archive, self.limits)
        path.unlink(missing_ok=True)
        mode = 0o755 if member.executable else 0o644
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
        with content, os.fdopen(handle, "wb") as out:
            while piece := content.read(_CHUNK):
                self._bytes += len(piece)
                if self._bytes > self.limits.unpacked:
                    raise too_large(self.archive, self.limits)
                out.write(piece)
            out.flush()
            os.fchmod(handle, mode)
            # Build systems such as autotools compare times to see what must be made again.
            os.utime(handle, (_sane(member.mtime), _sane(member.mtime)))


def _sane(mtime: float) -> float:
    return min(max(mtime, _EARLIEST), _LATEST)


def _not_one_folder(archive: str, why: str) -> UnsafeArchiveError:
    return UnsafeArchiveError(
        f"{archive} is refused: an sdist holds exactly one folder, {why}",
        fix="take the source from git instead ([source] git), or mend the script that makes this sdist",
    )
