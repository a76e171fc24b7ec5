"""A wheel, read once from end to end: every member's hash, size and mode, and what its compiled files are.

The wheel is hostile. Nothing is unpacked under a name of its choosing, nothing larger than the site configuration
allows is read, and problems of the archive become a list.
"""

from __future__ import annotations

import csv
import hashlib
import io
import stat
import tempfile
import zipfile
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from wheelyard.checks.elf import MAGIC, ElfFacts, read_elf
from wheelyard.core.digests import record_digest, sha256_file
from wheelyard.core.tags import WheelName

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from wheelyard.project.config import SiteConfig

_CHUNK = 1 << 20
_LARGEST_TEXT = 16 << 20  # bytes of METADATA, WHEEL or RECORD
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_ENCRYPTED = 0x1
# PEP 427: what RECORD and METADATA may be hashed with; sha256 or better.
_ALGORITHMS = {"sha256", "sha384", "sha512"}
# What zipfile lets out on archives that lie about themselves.
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError, NotImplementedError, OSError)


@dataclass(frozen=True)
class Member:
    """One file in the wheel.

    Attributes:
        name: its path in the archive.
        size: bytes, unpacked.
        mode: Unix mode bits, 0 where the archive has none.
        digest: ``sha256=…`` as RECORD writes it, in the algorithm that RECORD uses for it.
        elf: what it is, for compiled files.
    """

    name: str
    size: int
    mode: int
    digest: str
    elf: ElfFacts | None = None


@dataclass(frozen=True)
class Wheel:
    """A wheel, read.

    Attributes:
        path: the file.
        sha256: its hash.
        name: its file name taken apart, None when it is none of a wheel.
        name_problem: why it is None.
        problems: what is wrong with the archive; when there is anything, the rest may be incomplete.
        members: its files by path, folders left out.
        texts: the content of ``METADATA``, ``WHEEL`` and ``RECORD``.
        dist_info: the folder that holds them, empty when there is not exactly one.
    """

    path: Path
    sha256: str
    name: WheelName | None
    name_problem: str = ""
    problems: tuple[str, ...] = ()
    members: Mapping[str, Member] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    dist_info: str = ""

    @property
    def elves(self) -> tuple[Member, ...]:
        """The compiled files."""
        return tuple(member for member in self.members.values() if member.elf)

    @property
    def pure(self) -> bool:
        """Whether its name promises that it runs everywhere."""
        return self.name is not None and self.name.platforms == ("any",)

    def text(self, name: str) -> str:
        """Return a file of the dist-info folder, empty when it is missing."""
        return self.texts.get(name, "")


def read_wheel(path: Path, config: SiteConfig) -> Wheel:
    """Read a wheel.

    Raises:
        OSError: the file itself cannot be read.
    """
    name, name_problem = None, ""
    try:
        name = WheelName.parse(path.name)
    except ValueError as error:
        name_problem = str(error)
    blank = Wheel(path, sha256_file(path), name, name_problem)
    try:
        with zipfile.ZipFile(path) as archive:
            problems = _listing_problems(archive, config)
            if problems:
                return Wheel(path, blank.sha256, name, name_problem, tuple(problems))
            return _read_members(archive, blank)
    except _BROKEN as error:
        return Wheel(path, blank.sha256, name, name_problem, (f"is not a whole zip archive: {error}"[:300],))


def _listing_problems(archive: zipfile.ZipFile, config: SiteConfig) -> list[str]:
    """Judge the table of contents, before a byte of any member is read."""
    infos = archive.infolist()
    if len(infos) > config.max_members:
        return [f"has {len(infos)} members, {config.max_members} are allowed"]
    total = sum(info.file_size for info in infos)
    problems = []
    if total > config.max_unpacked_mib << 20:
        problems.append(f"unpacks to {total >> 20} MiB, {config.max_unpacked_mib} are allowed")
    names: set[str] = set()
    for info in infos:
        problems += [f"{info.orig_filename!r}: {why}" for why in _member_problems(info)]
        name = info.filename.rstrip("/")
        if name in names:
            problems.append(f"{info.filename!r} is in it twice")
        names.add(name)
    return problems


def _member_problems(info: zipfile.ZipInfo) -> list[str]:
    name = info.orig_filename
    mode = info.external_attr >> 16
    parts = name.rstrip("/").split("/")
    problems = []
    if name.startswith("/") or "\\" in name or "\0" in name or ":" in parts[0]:
        problems.append("is not a relative path")
    if any(part in {"", ".", ".."} for part in parts):
        problems.append("leads out of the wheel or through empty folders")
    if not all(char.isprintable() for char in name):
        problems.append("has control characters in its name")
    if stat.S_IFMT(mode) not in {0, stat.S_IFREG, stat.S_IFDIR}:
        problems.append("is a link or a device, not a file")
    if info.flag_bits & _ENCRYPTED:
        problems.append("is encrypted")
    if info.compress_type not in _METHODS:
        problems.append(f"is compressed with method {info.compress_type}, which installers do not read")
    return problems


def _read_members(archive: zipfile.ZipFile, blank: Wheel) -> Wheel:
    infos = [info for info in archive.infolist() if not info.is_dir()]
    problems: list[str] = []
    folders = sorted({i.filename.split("/")[0] for i in infos if i.filename.split("/")[0].endswith(".dist-info")})
    dist_info = folders[0] if len(folders) == 1 else ""
    if not dist_info:
        problems.append(f"has {len(folders)} .dist-info folders, not one")
    texts: dict[str, str] = {}
    for name in ("METADATA", "WHEEL", "RECORD"):
        try:
            texts[name] = _text(archive, f"{dist_info}/{name}")
        except KeyError:
            if dist_info:
                problems.append(f"has no {dist_info}/{name}")
        except _BROKEN as error:
            problems.append(f"{dist_info}/{name}: {error}"[:300])
    algorithms = {path: algorithm for path, (algorithm, _, _) in record_rows(texts.get("RECORD", "")).items()}
    members: dict[str, Member] = {}
    for info in infos:
        try:
            members[info.filename] = _member(archive, info, algorithms.get(info.filename, ""))
        except _BROKEN as error:
            problems.append(f"{info.filename!r} cannot be unpacked: {error}"[:300])
    return Wheel(blank.path, blank.sha256, blank.name, blank.name_problem, tuple(problems), members, texts, dist_info)


def _text(archive: zipfile.ZipFile, name: str) -> str:
    info = archive.getinfo(name)
    if info.file_size > _LARGEST_TEXT:
        raise ValueError(f"has {info.file_size} bytes, {_LARGEST_TEXT} are allowed")
    return archive.read(info).decode("utf-8")


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, algorithm: str) -> Member:
    algorithm = algorithm if algorithm in _ALGORITHMS else "sha256"
    hasher = hashlib.new(algorithm)
    elf = None
    with archive.open(info) as stream:
        chunk = stream.read(_CHUNK)
        compiled = chunk.startswith(MAGIC)
        with tempfile.TemporaryFile() if compiled else io.BytesIO() as copy:
            while chunk:
                hasher.update(chunk)
                if compiled:
                    copy.write(chunk)
                chunk = stream.read(_CHUNK)
            if compiled:
                copy.seek(0)
                elf = read_elf(copy)
    value = record_digest(hasher.digest())
    return Member(info.filename, info.file_size, info.external_attr >> 16 & 0o7777, f"{algorithm}={value}", elf)


def record_rows(text: str) -> dict[str, tuple[str, str, str]]:
    """Return RECORD's rows by path: algorithm, digest as ``algorithm=value``, size; the last row wins."""
    rows: dict[str, tuple[str, str, str]] = {}
    try:
        for row in csv.reader(io.StringIO(text)):
            if row:
                path, digest, size = ([*row, "", ""])[:3]
                rows[path] = (digest.partition("=")[0], digest, size)
    except csv.Error:
        pass  # a rule says so: every file that follows is missing from the rows
    return rows
