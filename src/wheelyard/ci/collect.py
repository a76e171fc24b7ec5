"""``ci collect``: check the wheels that other machines built, and copy them into ``dist/``.

Artifacts are not trusted: anybody who can start a build can leave artifacts of any name and content.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.version import InvalidVersion, Version

from wheelyard.builder.store_results import store_results
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
class CollectReport:
    """The result of ``ci collect``.

    Attributes:
        new_files: files that are new in ``dist/``.
        present_files: files that were there before.
        refused: why others are not.
    """

    new_files: tuple[str, ...]
    present_files: tuple[str, ...]
    refused: tuple[str, ...]


@dataclass(frozen=True)
class _CheckedWheel:
    """A wheel that passed the checks."""

    wheel: Path
    record: WheelRecord
    verdict: Verdict


def collect(project: Project, folders: Sequence[Path]) -> CollectReport:
    """Copy the wheels anywhere below *folders*, with their record and verdict, and the outcomes of jobs.

    A refused file does not stop the others. A second run changes nothing.

    Raises:
        DiskError: no space, or no right to write in ``dist/``.
    """
    recipes = frozenset(list_recipes(project))
    new_files: list[str] = []
    present_files: list[str] = []
    refused: list[str] = []
    for path in _files(folders, refused):
        try:
            if path.suffix == ".whl":
                is_new = _take(project, _checked(project, path, recipes))
            elif path.name.startswith("outcome-") and path.suffix == ".json":
                is_new = _take_outcome(project, path, recipes)
            else:
                continue
        except DiskError:
            raise
        except (WheelyardError, OSError) as error:
            refused.append(log.clean(f"{path}: {error.what if isinstance(error, WheelyardError) else error}"))
        else:
            (new_files if is_new else present_files).append(path.name)
    return CollectReport(tuple(new_files), tuple(present_files), tuple(refused))


def _files(folders: Sequence[Path], refused: list[str]) -> Iterator[Path]:
    """Yield regular files, without links."""
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


def _checked(project: Project, wheel: Path, recipes: frozenset[str]) -> _CheckedWheel:
    """Return a wheel with its record_file.

    Raises:
        CheckError: one of them is not in order.
    """
    try:
        name = WheelName.parse(wheel.name)
    except ValueError as error:
        raise CheckError(f"is not a wheel's name: {error}") from error
    _check_records(wheel)
    record, verdict = read_record(wheel), read_verdict(wheel.parent)
    _check_version(record.package, record.package_version, recipes)
    if record.wheel != wheel.name or name.version != Version(record.package_version):
        raise CheckError("comes with the record of another one")
    if canonical(name.name) not in {record.package, project_name(project, record.package)}:
        raise CheckError(f"is a wheel of {name.name}, but its record is of {record.package}")
    if record.size > project.config.max_unpacked_mib << 20:
        raise CheckError(f"has {record.size} bytes, more than the site configuration's max-unpacked-mib")
    sha256 = sha256_file(wheel) if wheel.stat().st_size == record.size else ""
    if sha256 != record.sha256:
        raise CheckError("does not match its record: sha256 or size differ")
    wheel_verdicts = tuple(entry for entry in verdict.wheels if entry.wheel == wheel.name)
    if (verdict.package, verdict.package_version) != (record.package, record.package_version):
        raise CheckError("comes with the verdict on another version")
    if not wheel_verdicts or {entry.sha256 for entry in wheel_verdicts} != {sha256}:
        raise CheckError("comes without a verdict on it")
    if (
        record.verdict != "passed"
        or not all(entry.ok for entry in wheel_verdicts)
        or not all(entry.ok for entry in verdict.overall)
    ):
        raise CheckError("has not passed its checks")
    return _CheckedWheel(wheel, record, verdict.model_copy(update={"wheels": wheel_verdicts}))


def _check_records(wheel: Path) -> None:
    for record_file in (wheel_record_path(wheel), wheel.with_name("verdict.json")):
        if record_file.is_symlink() or not record_file.is_file():
            raise CheckError(f"comes without {record_file.name}")
        if record_file.stat().st_size > _TEXT:
            raise CheckError(f"comes with a {record_file.name} of {record_file.stat().st_size} bytes")


def _check_version(package: str, version: str, recipes: frozenset[str]) -> None:
    try:
        plain = str(read_version(version)) == version
    except InvalidVersion:
        plain = False
    if package not in recipes or canonical(package) != package:
        raise CheckError(f"is of {package[:100]!r}, which has no recipe here")
    if not plain:
        raise CheckError(f"is of a version that is written {version[:100]!r}")


def _take(project: Project, checked_wheel: _CheckedWheel) -> bool:
    record = checked_wheel.record
    folder = project.dist / record.package / record.package_version
    target = folder / record.wheel
    with cache.lock(folder / ".lock", what=f"{record.package} {record.package_version} is being built"):
        if target.is_file() and sha256_file(target) != record.sha256:
            raise CheckError(f"other bytes are in {folder} under this name")
        if target.is_file() and wheel_record_path(target).is_file():
            return False
        store_results(folder, [checked_wheel.wheel], [record], checked_wheel.verdict)
    return True


def _take_outcome(project: Project, path: Path, recipes: frozenset[str]) -> bool:
    outcome = read_outcome(path)
    _check_version(outcome.package, outcome.package_version, recipes)
    try:
        ahead = datetime.fromisoformat(outcome.ended) - datetime.now(UTC)
    except ValueError as error:
        raise CheckError(f"ended at {outcome.ended}, which is no time") from error
    if ahead > _AHEAD:
        raise CheckError(f"ended at {outcome.ended}, which is to come")
    return write_outcome(project.dist / outcome.package / outcome.package_version, outcome, newest=True)
