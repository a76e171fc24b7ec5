"""Requirements as people write them: files in pip's format, and requirements on a command line.

The format is that of pip's documentation, "Requirements File Format". What it can say that no index answers for
(addresses, folders, editables) is not looked at, and told; so are options. Nothing in a file is run or expanded.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement
from packaging.utils import canonicalize_name

from wheelyard.core.errors import ListError
from wheelyard.core.names import NAME
from wheelyard.core.pep508 import read_requirement
from wheelyard.io import http, log

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from packaging.requirements import Requirement

_LARGEST = 8 << 20  # bytes of a file
_MOST_FILES = 100
_MOST = 20_000  # requirements
_COMMENT = re.compile(r"(^|\s)#.*$")
_INCLUDE = re.compile(r"(?:(-r|--requirement)|(-c|--constraint))(?:\s*=\s*|\s*)(.+)\Z")
_OPTION = re.compile(r"\A(--?[A-Za-z][A-Za-z-]*)")
_OWN_OPTION = re.compile(r"\s--?[A-Za-z][A-Za-z-]*(?:[=\s].*)?\Z")  # of one requirement: --hash, --config-settings
_EDITABLE = ("-e", "--editable")
_ARCHIVES = (".whl", ".tar.gz", ".zip", ".tar.bz2", ".tar.xz", ".tgz")


@dataclass(frozen=True)
class Wanted:
    """A requirement, and where it is written: ``file:line``, empty for the command line."""

    requirement: Requirement
    where: str

    @property
    def name(self) -> str:
        """The canonical name of what is required."""
        return canonicalize_name(self.requirement.name)


@dataclass(frozen=True)
class Requirements:
    """All that was written.

    Attributes:
        wanted: requirements, in order.
        constraints: what ``-c`` files say: bounds for what is wanted anyway.
        skipped: what cannot be looked up on an index.
        notes: options that were not obeyed.
    """

    wanted: tuple[Wanted, ...]
    constraints: tuple[Wanted, ...]
    skipped: tuple[str, ...]
    notes: tuple[str, ...]


def read_requirements(words: Sequence[str]) -> Requirements:
    """Return what *words* require: each is a file, or a requirement such as ``numpy>=2``.

    Raises:
        ListError: a file cannot be read, or a line is none; every one is told, with its line.
    """
    reader = _Reader()
    for word in words:
        if is_file(word):
            reader.file(Path(word), "")
        elif not os.path.isdir(word) and (  # noqa: PTH112 - as below
            word.endswith((".txt", ".in")) or ("/" in word and not re.search(r"@|://", word))
        ):
            reader.problems.append(f"there is no file {log.clean(word)[:200]}")
        else:
            reader.line(word, "")
    if reader.problems:
        raise ListError(
            f"{len(reader.problems)} problem(s) in the requirements",
            details=reader.problems,
            fix="each line is a requirement (name, extras, versions, marker), an option of pip, or a comment",
        )
    return Requirements(
        tuple(reader.wanted), tuple(reader.constraints), tuple(reader.skipped), tuple(dict.fromkeys(reader.notes))
    )


def is_file(word: str) -> bool:
    """Tell whether a word is taken for a file of requirements."""
    # pathlib raises for words that are longer than names of files.
    return os.path.exists(word) and not os.path.isdir(word)  # noqa: PTH110, PTH112


@dataclass
class _Reader:
    """Collects, over all files."""

    wanted: list[Wanted] = field(default_factory=list)
    constraints: list[Wanted] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    _seen: set[tuple[Path, bool]] = field(default_factory=set)

    def file(self, path: Path, where: str, *, constraint: bool = False) -> None:
        """Read a file, once as what it is; *where* names the line that includes it."""
        prefix = f"{where}: " if where else ""
        try:
            key = path.resolve(), constraint
            if key in self._seen:
                return
            self._seen.add(key)
            if len(self._seen) > _MOST_FILES:
                self.problems.append(f"{prefix}more than {_MOST_FILES} files are included")
                return
            text = _text(path)
        except (OSError, ValueError, RuntimeError) as error:  # the last one is a circle of links, before Python 3.13
            why = error.strerror if isinstance(error, OSError) else str(error)
            self.problems.append(f"{prefix}{str(path)[:200]} cannot be read: {why}")
            return
        for number, line in _lines(text):
            self.line(line, f"{path}:{number}", constraint=constraint, folder=path.parent)

    def line(self, line: str, where: str, *, constraint: bool = False, folder: Path | None = None) -> None:
        """Take one logical line."""
        prefix = f"{where}: " if where else ""
        if folder is not None and line.startswith("-"):
            self._option(line, where, folder, constraint=constraint)
            return
        text = _OWN_OPTION.sub("", line).strip()  # from the first one on, as pip does
        requirement = None if text.endswith(_ARCHIVES) else _requirement(text)  # which could be names
        if requirement is None and _is_address(text):
            self.skipped.append(f"{prefix}{http.plain(text)[:200]}")
        elif requirement is None or not NAME.match(requirement.name):
            self.problems.append(f"{prefix}{http.plain(line)[:200]!r} is not a requirement")
        elif requirement.url:
            self.skipped.append(f"{prefix}{http.plain(text)[:200]}")
        elif len(self.wanted) + len(self.constraints) >= _MOST:
            self.problems.append(f"{prefix}more than {_MOST} requirements")
        else:
            (self.constraints if constraint else self.wanted).append(Wanted(requirement, where))

    def _option(self, line: str, where: str, folder: Path, *, constraint: bool) -> None:
        include = _INCLUDE.match(line)
        if include and "://" in include[3]:
            self.skipped.append(f"{where}: {http.plain(line)[:200]}")
        elif include:
            name = include[3].strip().strip("\"'")
            self.file(folder / name, where, constraint=constraint or include[2] is not None)
        elif line.startswith(_EDITABLE):
            self.skipped.append(f"{where}: {http.plain(line)[:200]}")
        elif option := _OPTION.match(line):
            self.notes.append(f"{where}: {option[1]} is not obeyed")  # its value may hold a password
        else:
            self.problems.append(f"{where}: {http.plain(line)[:200]!r} is not an option")


def _text(path: Path) -> str:
    if not path.is_file():  # a pipe or a device has no end
        raise ValueError("it is not a file" if path.exists() else "it is not there")
    if path.stat().st_size > _LARGEST:
        raise ValueError(f"it is larger than {_LARGEST >> 20} MiB")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError("it is not UTF-8") from error


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield logical lines and where each begins: comments out, continued lines joined, empty ones left out."""
    parts: list[str] = []
    start = 0
    for number, line in enumerate([*text.splitlines(), ""], 1):
        if not parts:
            start = number
        comment = line.lstrip().startswith("#")  # ends what it stands in the middle of, as with pip
        if line.endswith("\\") and not comment:
            parts.append(line[:-1])
            continue
        parts.append("" if comment else line)
        whole = _COMMENT.sub("", " ".join(parts)).strip()
        parts = []
        if whole:
            yield start, whole


def _requirement(text: str) -> Requirement | None:
    try:
        return read_requirement(text)
    except InvalidRequirement:
        return None


def _is_address(text: str) -> bool:
    """Tell whether a line names a place rather than a project: an address, a folder, an archive."""
    head = text.partition(";")[0].strip()
    return "/" in head or head.startswith((".", "~")) or head.endswith(_ARCHIVES)
