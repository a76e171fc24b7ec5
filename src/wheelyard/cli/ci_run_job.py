"""``wheelyard ci run-job``: build the wheels of one job."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wheelyard.cli.options import out_option
from wheelyard.core.errors import ConfigError, JobsFailedError, WheelyardError, all_errors
from wheelyard.io import files
from wheelyard.project.config import find_project

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wheelyard.ci.outcome import JobSpec, WheelOutcome
    from wheelyard.project.config import Project


@click.command("run-job")
@click.option("--wheel", "number", metavar="N", type=click.IntRange(0), help="Only its wheel number N, from 0 on.")
@out_option("Copy the results of each wheel there, as soon as it is built.")
def ci_run_job(number: int | None, out: Path | None) -> None:
    """Build the wheels of the job in $WHEELYARD_JOB: a row of a matrix that `ci plan --format github` writes.

    Each wheel is built by itself; its outcome is written beside it, as outcome-<pythons>.json. Needed wheels come from
    dist/, where `ci collect` has put the results of other jobs, or from our registries. The exit code is that of the
    first wheel that fails.
    """
    from wheelyard.ci import run_planned_job
    from wheelyard.ci.outcome import VARIABLE, parse_job_spec

    text = os.environ.get(VARIABLE, "")
    if not text:
        raise ConfigError(f"${VARIABLE} is not set", fix="a pipeline sets it; by hand: nox -s build-<pkg>")
    project, spec = find_project(), parse_job_spec(text)
    wheels = run_planned_job.wheels_of(spec, number)
    only = wheels[0] if len(wheels) == 1 else None
    if only:  # first, for a job that dies
        name = run_planned_job.artifact_name(spec.package, spec.version, only, spec.key)
        _name_artifact(project, name, run_planned_job.files_to_come(project, spec, only))
    outcomes = run_planned_job.run_job(project, spec, number, keep=out)
    for outcome in outcomes:
        click.echo(f"{' '.join(outcome.interpreters)}: {outcome.state} {' '.join(outcome.files)}".rstrip())
    if only:
        paths = run_planned_job.artifact_files(project, outcomes[0])
        _name_artifact(project, run_planned_job.artifact(spec, outcomes[0]), paths)
    if failed := [outcome for outcome in outcomes if outcome.failure]:
        raise _error(spec, failed)


def _name_artifact(project: Project, name: str, paths: Sequence[Path]) -> None:
    """Write the name and the files of an artifact to GitHub's outputs of the job, of which the last ones count.

    docs.github.com, "Workflow commands".
    """
    if outputs := os.environ.get("GITHUB_OUTPUT"):
        names = [str(path.relative_to(project.root)) for path in paths]
        files.append_text(Path(outputs), "\n".join([f"artifact={name}", "path<<WHEELYARD", *names, "WHEELYARD", ""]))


def _error(spec: JobSpec, failed: list[WheelOutcome]) -> WheelyardError:
    details = [f"{' '.join(outcome.interpreters)}: {outcome.failure.what}" for outcome in failed if outcome.failure]
    errors = {error.exit_code: error for error in all_errors()}
    failure = failed[0].failure
    return errors.get(failure.code if failure else 0, JobsFailedError)(
        f"{len(failed)} of {len(spec.wheels)} wheels failed",
        where=spec.name,
        details=details,
        fix=failure.fix if failure else None,
    )
