"""``gather``: wheels that other machines built, taken into ``dist/`` once everything about them has been checked.

What a pipeline brings is hostile until then: whoever can start a build can leave artifacts of any name and content.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.version import InvalidVersion, Version

from wheelyard.builder.results import settle
from wheelyard.ci.outcome import read_outcome, write_outcome
from wheelyard.core.digests import sha256_file
from wheelyard.core.errors import CheckError, DiskError, WheelyardError
from wheelyard.core.names import canonical
from wheelyard.core.pep440 import read_version
from wheelyard.core.tags import WheelName
from wheelyard.io import cache, log
from wheelyard.project.loader import list_recipes, project_name
from wheelyard.records.wheel_records import read_record, read_verdict, wheel_record_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wheelyard.project.config import Project
    from wheelyard.records.models import Verdict, WheelRecord

_MOST = 100_000  # files
_TEXT = 4 << 20  # bytes of a record or verdict
_AHEAD = timedelta(hours=1)  # that another machine's clock may be


@dataclass(frozen=True)
class Gathering:
    """What came of it.

    Attributes:
        taken: files that are new in ``dist/``.
        there: files that were there before.
        refused: why others are not.
    """

    taken: tuple[str, ...]
    there: tuple[str, ...]
    refused: tuple[str, ...]


@dataclass(frozen=True)
class _Brought:
    """A wheel that may be taken."""

    wheel: Path
    record: WheelRecord
    verdict: Verdict


def gather(project: Project, folders: Sequence[Path]) -> Gathering:
    """Take what lies anywhere below *folders*: wheels with their record and verdict, and outcomes of jobs.

    What may not be taken does not keep the rest back. Again, it changes nothing.

    Raises:
        DiskError: no space, or no right to write in ``dist/``.
    """
    known = frozenset(list_recipes(project))
    taken: list[str] = []
    there: list[str] = []
    refused: list[str] = []
    for path in _files(folders, refused):
        try:
            if path.suffix == ".whl":
                new = _take(project, _checked(project, path, known))
            elif path.name.startswith("outcome-") and path.suffix == ".json":
                new = _told(project, path, known)
            else:
                continue
        except DiskError:
            raise
        except (WheelyardError, OSError) as error:
            refused.append(log.clean(f"{path}: {error.what if isinstance(error, WheelyardError) else error}"))
        else:
            (taken if new else there).append(path.name)
    return Gathering(tuple(taken), tuple(there), tuple(refused))


def _files(folders: Sequence[Path], refused: list[str]) -> Iterator[Path]:
    """Yield regular files, links neither followed nor taken."""
    count = 0
    for folder in folders:
        for base, inner, names in os.walk(folder):
            inner.sort()
            for name in sorted(names):
                path = Path(base, name)
                count += 1
                if count > _MOST:
                    refused.append(f"{folder}: more than {_MOST} files")
                    return
                if path.is_symlink() or not path.is_file():
                    refused.append(log.clean(f"{path}: is not a file"))
                else:
                    yield path


def _checked(project: Project, wheel: Path, known: frozenset[str]) -> _Brought:
    """Return a wheel with its papers.

    Raises:
        CheckError: one of them is not in order.
    """
    try:
        name = WheelName.parse(wheel.name)
    except ValueError as error:
        raise CheckError(f"is not a wheel's name: {error}") from error
    _papers(wheel)
    record, verdict = read_record(wheel), read_verdict(wheel.parent)
    _ours(record.package, record.package_version, known)
    if record.wheel != wheel.name or name.version != Version(record.package_version):
        raise CheckError("comes with the record of another one")
    if canonical(name.name) not in {record.package, project_name(project, record.package)}:
        raise CheckError(f"is a wheel of {name.name}, and its record says {record.package}")
    if record.size > project.policy.max_unpacked_mib << 20:
        raise CheckError(f"has {record.size} bytes, more than site policy's max-unpacked-mib")
    sha256 = sha256_file(wheel) if wheel.stat().st_size == record.size else ""
    if sha256 != record.sha256:
        raise CheckError("is not what its record says: sha256 or size differ")
    mine = tuple(one for one in verdict.wheels if one.wheel == wheel.name)
    if (verdict.package, verdict.package_version) != (record.package, record.package_version):
        raise CheckError("comes with the verdict on another version")
    if not mine or {one.sha256 for one in mine} != {sha256}:
        raise CheckError("comes without a verdict on it")
    if record.verdict != "passed" or not all(one.ok for one in mine) or not all(one.ok for one in verdict.overall):
        raise CheckError("has not passed its checks")
    return _Brought(wheel, record, verdict.model_copy(update={"wheels": mine}))


def _papers(wheel: Path) -> None:
    for papers in (wheel_record_path(wheel), wheel.with_name("verdict.json")):
        if papers.is_symlink() or not papers.is_file():
            raise CheckError(f"comes without {papers.name}")
        if papers.stat().st_size > _TEXT:
            raise CheckError(f"comes with a {papers.name} of {papers.stat().st_size} bytes")


def _ours(package: str, version: str, known: frozenset[str]) -> None:
    try:
        plain = str(read_version(version)) == version
    except InvalidVersion:
        plain = False
    if package not in known or canonical(package) != package:
        raise CheckError(f"is of {package[:100]!r}, which has no recipe here")
    if not plain:
        raise CheckError(f"is of a version that is written {version[:100]!r}")


def _take(project: Project, brought: _Brought) -> bool:
    record = brought.record
    folder = project.dist / record.package / record.package_version
    there = folder / record.wheel
    with cache.lock(folder / ".lock", what=f"{record.package} {record.package_version} is being built"):
        if there.is_file() and sha256_file(there) != record.sha256:
            raise CheckError(f"other bytes are in {folder} under this name")
        if there.is_file() and wheel_record_path(there).is_file():
            return False
        settle(folder, [brought.wheel], [record], brought.verdict)
    return True


def _told(project: Project, path: Path, known: frozenset[str]) -> bool:
    outcome = read_outcome(path)
    _ours(outcome.package, outcome.package_version, known)
    try:
        ahead = datetime.fromisoformat(outcome.ended) - datetime.now(UTC)
    except ValueError as error:
        raise CheckError(f"ended at {outcome.ended}, which is no time") from error
    if ahead > _AHEAD:
        raise CheckError(f"ended at {outcome.ended}, which is to come")
    return write_outcome(project.dist / outcome.package / outcome.package_version, outcome, newest=True)
