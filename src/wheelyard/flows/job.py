"""``job``: one row of a plan, on the machine that a forge gave it; what came of each wheel is written down."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from wheelyard.core.errors import ConfigError, NeededWheelError, WheelyardError
from wheelyard.core.tags import Interpreter
from wheelyard.flows.build import BuildOptions, build_package
from wheelyard.io import log
from wheelyard.record.outcome import Failure, WheelOutcome, line_of, write_outcome

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from wheelyard.flows.build import BuildReport
    from wheelyard.recipe.policy import Project
    from wheelyard.record.outcome import JobTicket

_DIGITS = 16  # of a digest, in an artifact's name


def run_job(project: Project, ticket: JobTicket, number: int | None = None) -> tuple[WheelOutcome, ...]:
    """Build a job's wheels one by one, so that one that fails takes no other with it; return what came of each.

    What is there already, from a run before this one or from another machine, is not built again.

    Args:
        project: the project.
        ticket: the job.
        number: which of its wheels, from 0 on; all when None.

    Raises:
        ConfigError: it has no such wheel.
        DiskError: an outcome cannot be written.
    """
    if number is not None and not 0 <= number < len(ticket.wheels):
        raise ConfigError(f"{ticket.name} has {len(ticket.wheels)} wheels, and no number {number}", fix="count from 0")
    words = ticket.wheels if number is None else (ticket.wheels[number],)
    return tuple(_one(project, ticket, tuple(word.split(","))) for word in words)


def artifact(ticket: JobTicket, outcome: WheelOutcome) -> str:
    """Return the name by which a wheel is found again by whoever would build from the same inputs.

    Where nothing was built it is the job's key that tells one from another.
    """
    return artifact_name(ticket.package, ticket.version, outcome.interpreters, outcome.inputs or ticket.key)


def artifact_name(package: str, version: str, pythons: Sequence[str], digest: str) -> str:
    """Return the name of the artifact of one wheel, by the digest of its inputs."""
    return f"wheel-{package}-{version}-{'-'.join(pythons)}-{digest[:_DIGITS]}"


def artifact_files(project: Project, outcome: WheelOutcome) -> tuple[Path, ...]:
    """Return what a forge is to keep of a wheel: itself, its record, the verdict, the outcome, and the log."""
    folder = project.dist / outcome.package / outcome.package_version
    names = [name for file in outcome.files for name in (file, f"{file}.json")]
    logs = [f"build-{'-'.join(outcome.interpreters)}.log", "sdist.log"]
    found = [folder / name for name in (*names, "verdict.json", outcome.file, *logs)]
    return tuple(path for path in found if path.is_file())


def _one(project: Project, ticket: JobTicket, pythons: Sequence[str]) -> WheelOutcome:
    started = time.monotonic()
    report: BuildReport | None = None
    error: WheelyardError | None = None
    options = BuildOptions(ticket.version, tuple(map(Interpreter.parse, pythons)), ticket.image or None)
    try:
        report = build_package(project, ticket.package, options)
    except WheelyardError as caught:
        log.error(str(caught))
        error = caught
    records = (*report.built, *report.reused) if report else ()
    outcome = WheelOutcome(
        job=ticket.name,
        key=ticket.key,
        package=ticket.package,
        package_version=ticket.version,
        interpreters=tuple(pythons),
        state=_state(report, error),
        files=tuple(sorted(record.wheel for record in records)),
        inputs=records[0].inputs if records else "",
        seconds=round(time.monotonic() - started, 1),
        failure=_failure(error) if error else None,
        ended=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    write_outcome(project.dist / ticket.package / ticket.version, outcome)
    return outcome


def _state(report: BuildReport | None, error: WheelyardError | None) -> str:
    if isinstance(error, NeededWheelError):
        return "stopped"
    if report is None:
        return "failed"
    return "built" if report.built else "reused"


def _failure(error: WheelyardError) -> Failure:
    lines = [line for line in map(line_of, error.details) if line]
    return Failure(
        code=error.exit_code,
        what=line_of(error.what),
        where=line_of(error.where or ""),
        line=lines[0] if lines else "",
        fix=line_of(error.fix or ""),
    )
