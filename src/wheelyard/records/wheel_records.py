"""Verdicts and wheel records on disk: read, written whole, and searched.

A folder of results, ``dist/<pkg>/<version>/``, holds wheels, ``<wheel>.json`` beside each, and ``verdict.json``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError
from pydantic_core import from_json

from wheelyard.core.digests import sha256_file
from wheelyard.core.errors import CheckError, PublishError
from wheelyard.io.files import write_json
from wheelyard.records.line_file import validation_problems
from wheelyard.records.models import Verdict, WheelRecord

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from wheelyard.core.model import Model

VERDICT_FILE = "verdict.json"
_Kind = TypeVar("_Kind", Verdict, WheelRecord)


def wheel_record_path(wheel: Path) -> Path:
    """Return the path of the record of *wheel*: beside it, ``<wheel>.json``."""
    return wheel.with_name(f"{wheel.name}.json")


def write_record(folder: Path, record: WheelRecord) -> Path:
    """Write the record of a wheel in *folder*, and return its path.

    Raises:
        DiskError: no space, or no right to write there.
    """
    path = wheel_record_path(folder / record.wheel)
    _write(path, record)
    return path


def read_record(wheel: Path) -> WheelRecord:
    """Return the record of *wheel*.

    Raises:
        CheckError: there is none, or this version cannot read it.
    """
    return _read(wheel_record_path(wheel), WheelRecord)


def write_verdict(folder: Path, verdict: Verdict) -> Path:
    """Write ``verdict.json`` into *folder*, and return its path.

    Raises:
        DiskError: no space, or no right to write there.
    """
    path = folder / VERDICT_FILE
    _write(path, verdict)
    return path


def read_verdict(folder: Path) -> Verdict:
    """Return the verdict on the wheels in *folder*.

    Raises:
        CheckError: there is none, or this version cannot read it.
    """
    return _read(folder / VERDICT_FILE, Verdict)


def _write(path: Path, model: Model) -> None:
    write_json(path, model.model_dump(mode="json", by_alias=True))


def _read(path: Path, kind: type[_Kind]) -> _Kind:
    fix = "build the version again: `nox -s build-<pkg> -- --force`"
    try:
        value = from_json(path.read_bytes())
    except FileNotFoundError as error:
        raise CheckError("does not exist", where=str(path), fix=fix) from error
    except ValueError as error:
        raise CheckError(f"is not JSON: {error}", where=str(path), fix=fix) from error
    schema, version = kind.model_fields["schema_"].default, kind.model_fields["version_"].default
    if not isinstance(value, dict) or value.get("schema") != schema:
        raise CheckError(f"is not a {schema} file", where=str(path), fix=fix)
    if value.get("version") != version:
        raise CheckError(
            f"has version {value.get('version')!r} of its layout; this wheelyard reads {version}",
            where=str(path),
            fix="use the wheelyard that wrote it, or build the version again with --force",
        )
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        details = [problem for _, problem in validation_problems(error)]
        raise CheckError(f"is not a valid {schema} file", where=str(path), details=details, fix=fix) from error


def find_by_fingerprint(folder: Path, fingerprint: str) -> WheelRecord | None:
    """Return the record of a wheel in *folder* that has *fingerprint*, None without a reliable one.

    The wheel must still be there with the recorded hash, and have passed. A record that cannot be read counts as
    none: the wheel is built again.

    Raises:
        OSError: a file cannot be read.
    """
    return next((record for record in _records(folder, fingerprint) if _is_unchanged(folder, record)), None)


def _records(folder: Path, fingerprint: str) -> Iterator[WheelRecord]:
    for path in sorted(folder.glob("*.whl.json")):
        # A search of the text is cheaper than parsing every record.
        if fingerprint in path.read_text(encoding="utf-8", errors="replace"):
            try:
                record = _read(path, WheelRecord)
            except CheckError:
                continue
            if record.fingerprint == fingerprint and wheel_record_path(folder / record.wheel) == path:
                yield record


def _is_unchanged(folder: Path, record: WheelRecord) -> bool:
    wheel = folder / record.wheel
    try:
        same_size = wheel.stat().st_size == record.size
        return record.verdict == "passed" and same_size and sha256_file(wheel) == record.sha256
    except FileNotFoundError:
        return False


def releasable(folder: Path) -> list[tuple[Path, WheelRecord]]:
    """Return the wheels in *folder* that may be published, each with its record.

    A version is published whole: every wheel must have passed, and be unchanged since.

    Raises:
        PublishError: there are no wheels, or a wheel may not be published; the error lists every reason.
    """
    fix = "build the version again: `nox -s build-<pkg> -- --force`"
    wheels = sorted(folder.glob("*.whl"))
    if not wheels:
        raise PublishError("the folder has no wheel", where=str(folder), fix="nox -s build-<pkg>")
    try:
        verdict = read_verdict(folder)
    except CheckError as error:
        raise PublishError(f"the verdict {error.what}", where=error.where, fix=fix) from error
    problems = [f"{finding.rule}: {finding.text}" for finding in verdict.overall if not finding.ok]
    released: list[tuple[Path, WheelRecord]] = []
    for wheel in wheels:
        reasons, record = _reasons(wheel, verdict)
        problems += [f"{wheel.name}: {reason}" for reason in reasons]
        if record is not None:
            released.append((wheel, record))
    judged = {wheel_verdict.wheel for wheel_verdict in verdict.wheels}
    missing = sorted(judged - {wheel.name for wheel in wheels})
    problems += [f"{name}: is in the verdict, but not in the folder" for name in missing]
    if problems:
        raise PublishError("these wheels may not be published", where=str(folder), details=problems, fix=fix)
    return released


def _reasons(wheel: Path, verdict: Verdict) -> tuple[list[str], WheelRecord | None]:
    """Return why *wheel* may not be published."""
    verdicts = [wheel_verdict for wheel_verdict in verdict.wheels if wheel_verdict.wheel == wheel.name]
    if not verdicts:
        return ["has no verdict"], None
    failures = [finding for wheel_verdict in verdicts for finding in wheel_verdict.findings if not finding.ok]
    reasons = [f"{finding.rule}: {finding.text}" for finding in failures]
    sha256 = sha256_file(wheel)
    if {wheel_verdict.sha256 for wheel_verdict in verdicts} != {sha256}:
        reasons.append(f"was changed after its verdict: sha256 {verdicts[0].sha256} then, {sha256} now")
    try:
        record = read_record(wheel)
    except CheckError as error:
        return [*reasons, f"its record {error.what}"], None
    if record.wheel != wheel.name or record.sha256 != sha256:
        reasons.append("its record is of another file")
    if record.verdict != "passed":
        reasons.append("its record has the verdict 'failed'")
    return reasons, record
