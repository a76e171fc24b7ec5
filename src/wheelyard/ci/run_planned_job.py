"""``ci run-job``: build the wheels of one job of a plan, and write the outcome of each."""

from __future__ import annotations

import contextlib
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from wheelyard.builder.build_package import BuildOptions, build_package
from wheelyard.ci.outcome import Failure, WheelOutcome, line_of, outcome_name, write_outcome
from wheelyard.core.digests import sha256_value
from wheelyard.core.errors import ConfigError, InterruptedRunError, NeededWheelError, WheelyardError
from wheelyard.core.tags import Interpreter
from wheelyard.io import files, log
from wheelyard.planning.fingerprint import tool_digest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wheelyard.builder.build_package import BuildReport
    from wheelyard.ci.outcome import JobSpec
    from wheelyard.project.config import Project

_DIGITS = 16  # of a digest, in an artifact's name
_BUG = 1  # what a bug ends with, see core/errors.py


def run_job(
    project: Project, spec: JobSpec, number: int | None = None, *, keep: Path | None = None
) -> tuple[WheelOutcome, ...]:
    """Build a job's wheels one by one, so that a failure stops no other; return their outcomes.

    What is there already, from a run before this one or from another machine, is not built again.

    Args:
        project: the project.
        spec: the job.
        number: which of its wheels, from 0 on; all when None.
        keep: a folder to which the files of each wheel are copied as soon as it is done.

    Raises:
        ConfigError: it has no such wheel.
        DiskError: an outcome cannot be written.
    """
    wheels = wheels_of(spec, number)
    # What an earlier try left of them, perhaps in a cache, must not pass for this one's.
    for folder in (project.dist / spec.package / spec.version, *([keep] if keep else [])):
        for pythons in wheels:
            files.remove(folder / outcome_name(pythons))
    return tuple(_one(project, spec, pythons, keep) for pythons in wheels)


def wheels_of(spec: JobSpec, number: int | None = None) -> tuple[tuple[str, ...], ...]:
    """Return a job's wheels, each as the interpreters that share it; only one of them where *number* names it.

    Raises:
        ConfigError: it has no such wheel.
    """
    if number is not None and not 0 <= number < len(spec.wheels):
        raise ConfigError(f"{spec.name} has {len(spec.wheels)} wheels, and no number {number}", fix="count from 0")
    words = spec.wheels if number is None else (spec.wheels[number],)
    return tuple(tuple(word.split(",")) for word in words)


def artifact(spec: JobSpec, outcome: WheelOutcome) -> str:
    """Return the artifact's name of a wheel: ``ci reuse`` finds the wheel by it, from the same inputs.

    Where nothing was built the job's key takes the fingerprint's place.
    """
    return artifact_name(spec.package, spec.version, outcome.interpreters, outcome.fingerprint or spec.key)


def artifact_name(package: str, version: str, pythons: Sequence[str], digest: str) -> str:
    """Return the name of the artifact of one wheel, by the digest of its inputs and of the tool that builds it."""
    made_by = sha256_value([digest, tool_digest()])
    return f"wheel-{package}-{version}-{'-'.join(pythons)}-{made_by[:_DIGITS]}"


def artifact_files(project: Project, outcome: WheelOutcome) -> tuple[Path, ...]:
    """Return what a forge is to keep of a wheel: itself, its record, the verdict, the outcome, and the log."""
    folder = project.dist / outcome.package / outcome.package_version
    names = [name for file in outcome.files for name in (file, f"{file}.json")]
    paths = [folder / name for name in (*names, "verdict.json", *_papers(outcome.interpreters))]
    return tuple(path for path in paths if path.is_file())


def files_to_come(project: Project, spec: JobSpec, pythons: Sequence[str]) -> tuple[Path, ...]:
    """Return what a forge is to keep of a wheel whose job dies: as much of it as there is by then."""
    folder = project.dist / spec.package / spec.version
    return tuple(folder / name for name in _papers(pythons))


def _papers(pythons: Sequence[str]) -> tuple[str, ...]:
    return outcome_name(pythons), f"build-{'-'.join(pythons)}.log", "sdist.log"


def _one(project: Project, spec: JobSpec, pythons: Sequence[str], keep: Path | None) -> WheelOutcome:
    started = time.monotonic()

    def leave(report: BuildReport | None, failure: Failure | None = None) -> WheelOutcome:
        outcome = _outcome(spec, pythons, report, failure, time.monotonic() - started)
        write_outcome(project.dist / spec.package / spec.version, outcome)
        if keep:
            for path in artifact_files(project, outcome):
                files.copy_whole(path, keep / path.name)
        return outcome

    options = BuildOptions(spec.version, tuple(map(Interpreter.parse, pythons)), spec.image or None)
    try:
        report = build_package(project, spec.package, options)
    except WheelyardError as error:
        log.error(str(error))
        return leave(None, _failure(error))
    except BaseException as error:
        # A bug, a full disk or a signal: the outcome is still written, where that is possible.
        with contextlib.suppress(Exception):
            leave(None, _unforeseen(error))
        raise
    return leave(report)


def _outcome(
    spec: JobSpec, pythons: Sequence[str], report: BuildReport | None, failure: Failure | None, seconds: float
) -> WheelOutcome:
    records = (*report.built, *report.reused) if report else ()
    state = "stopped" if failure and failure.code == NeededWheelError.exit_code else "failed"
    return WheelOutcome(
        job=spec.name,
        key=spec.key,
        package=spec.package,
        package_version=spec.version,
        interpreters=tuple(pythons),
        state=state if report is None else "built" if report.built else "reused",
        files=tuple(sorted(record.wheel for record in records)),
        fingerprint=records[0].fingerprint if records else "",
        seconds=round(seconds, 1),
        failure=failure,
        ended=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _failure(error: WheelyardError) -> Failure:
    lines = [line for line in map(line_of, error.details) if line]
    return Failure(
        code=error.exit_code,
        what=line_of(error.what),
        where=line_of(error.where or ""),
        line=lines[0] if lines else "",
        fix=line_of(error.fix or ""),
    )


def _unforeseen(error: BaseException) -> Failure:
    if isinstance(error, KeyboardInterrupt):
        return Failure(code=InterruptedRunError.exit_code, what="it was interrupted", fix="run the job again")
    last = traceback.extract_tb(error.__traceback__)[-1]
    return Failure(
        code=_BUG,
        what=line_of(f"{type(error).__name__}: {error}"),
        where=f"{Path(last.filename).name}:{last.lineno}",
        fix="the job's log has the traceback",
    )
