"""``packages/<pkg>/lock.toml``: the source that each version is pinned to."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from packaging.specifiers import InvalidSpecifier
from packaging.version import InvalidVersion, Version
from pydantic import ValidationError

from wheelyard.core.errors import PlanError
from wheelyard.core.pep440 import read_specifier, read_version
from wheelyard.io import cache, files
from wheelyard.records.line_file import RecordFile, validation_problems
from wheelyard.records.models import Lock, LockedVersion

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from wheelyard.core.toml import Path as KeyPath

_PAIR = re.compile(r"\A[a-z0-9_.]+-[a-z0-9_.]+\Z")
_PLAIN = re.compile(r"\A[A-Za-z0-9][A-Za-z0-9._+!-]*\Z")
_HEADER = "# Written by wheelyard: what each version is pinned to. To pin one anew, remove its entry.\n"


LOCK = RecordFile("lock", PlanError, "git checkout -- {path}, or remove the file to pin every version again")


def lock_file(packages: Path, package: str) -> Path:
    """Return the lock of *package* in the folder of records."""
    return LOCK.path(packages, package)


def read_lock(path: Path) -> Lock:
    """Return the lock in *path*; an empty one if there is no such file.

    Raises:
        PlanError: the file is not a lock of layout 1; the error names every problem with its line.
    """
    text = LOCK.text(path)
    if text is None:
        return Lock()
    table = LOCK.table(text, path)
    problems = list(_problems(table))
    if problems:
        raise LOCK.refuse_keys(path, text, problems)
    return Lock.model_validate(table)


def find(lock: Lock, version: str) -> LockedVersion | None:
    """Return the entry for *version*, compared as PEP 440 does (``1.0`` is ``1.0.0``), None if there is none.

    Raises:
        InvalidVersion: *version* is no version.
    """
    searched = Version(version)
    return next((entry for entry in lock.versions if Version(entry.version) == searched), None)


def newest(lock: Lock) -> LockedVersion | None:
    """Return the entry of the newest final version, or of the newest pre-release where there are only those."""

    def rank(entry: LockedVersion) -> tuple[bool, Version]:
        version = Version(entry.version)
        return not version.is_prerelease, version

    return max(lock.versions, key=rank, default=None)


def pin(path: Path, entry: LockedVersion, *, replace: bool = False) -> LockedVersion:
    """Add *entry* to the lock, and return the entry of its version.

    Runs that pin at the same time do not lose each other's entries. An entry for the version stays as it is unless
    *replace* is set, so that no pin moves by accident.

    Args:
        path: the lock.
        entry: the entry to add.
        replace: put *entry* in the place of the entry for its version.

    Raises:
        PlanError: the file is not a lock.
        DiskError: it cannot be written.
    """
    with cache.writing(path):
        lock = read_lock(path)
        pinned = find(lock, entry.version)
        if pinned is not None and not replace:
            return pinned
        versions = (*(version for version in lock.versions if version is not pinned), entry)
        write_lock(path, lock.model_copy(update={"versions": versions}))
    return entry


def write_lock(path: Path, lock: Lock) -> None:
    """Write *lock* whole or not at all, newest version first; nothing is touched when nothing changes.

    Raises:
        DiskError: it cannot be written.
    """
    text = dump(lock)
    if not path.is_file() or path.read_bytes() != text.encode():
        files.write_text(path, text)


def dump(lock: Lock) -> str:
    """Return the text of a lock: sorted, without what is empty."""
    import tomli_w  # only writers need it

    ordered = sorted(lock.versions, key=lambda entry: Version(entry.version), reverse=True)
    table = lock.model_copy(update={"versions": tuple(ordered)}).model_dump(mode="json", exclude_defaults=True)
    head = {"schema": lock.schema_, "layout": lock.layout}
    return _HEADER + tomli_w.dumps({**head, **table})


def _problems(table: dict[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    try:
        lock = Lock.model_validate(table)
    except ValidationError as error:
        yield from validation_problems(error)
        return
    if lock.retired and not _is_version(lock.retired):
        yield ("retired",), f"{lock.retired!r} is not a version (PEP 440)"
    versions: set[Version] = set()
    for index, entry in enumerate(lock.versions):
        for key, problem in _entry_problems(entry, versions):
            yield ("version", index, key), problem


def _is_version(text: str) -> bool:
    try:
        read_version(text)
    except InvalidVersion:
        return False
    return True


def _entry_problems(entry: LockedVersion, versions: set[Version]) -> Iterator[tuple[str, str]]:
    try:
        version = read_version(entry.version)
        if version in versions:
            yield "version", f"{entry.version} is pinned twice"
        if str(version) != entry.version:  # it becomes the name of folders, jobs and artifacts
            yield "version", f"{entry.version!r} is not a version in its normal form, {version}"
        versions.add(version)
    except InvalidVersion:
        yield "version", f"{entry.version[:100]!r} is not a version (PEP 440)"
    try:
        read_specifier(entry.requires_python)
    except InvalidSpecifier:
        yield "requires-python", f"{entry.requires_python[:100]!r} is not a version specifier (PEP 440)"
    if entry.file is not None and not (_PLAIN.match(entry.file) and entry.sha256):
        yield "file", f"{entry.file!r} must be a plain file name, and have a sha256"
    for key, pairs in (("wheels", entry.wheels), ("ships", entry.ships)):
        for pair in pairs:
            if not _PAIR.match(pair):
                yield key, f"{pair!r} is not a pair of tags such as cp313-cp313"
