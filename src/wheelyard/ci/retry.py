"""``ci retry``: the jobs of a plan that ended without a result, and the jobs that waited for them."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from wheelyard.ci import Row, retry_matrices
from wheelyard.ci.report import job_outcomes
from wheelyard.core.errors import InterruptedRunError

if TYPE_CHECKING:
    from wheelyard.ci import Matrix
    from wheelyard.ci.jobs_report import JobEntry, JobsReport
    from wheelyard.ci.outcome import WheelOutcome
    from wheelyard.project.config import Project

ROWS = ("first", "next", "rest")


def jobs_to_retry(project: Project, plan: JobsReport) -> tuple[Matrix, ...]:
    """Return GitHub's matrices of the jobs of *plan* that are worth a retry, by the outcomes in ``dist/``.

    The plan has matrices, see ``read_plan``. A machine that is lost takes its job with it, or ends it in the middle,
    and the jobs that need its wheels have stopped: these follow in a row of their own. All deeper jobs are in the
    last row, in the plan's order, and run one after another. Wheels that failed with an error of their own would fail
    again, and are left out.
    """
    outcomes_by_job = job_outcomes(project, plan)
    rows_by_job: dict[str, Row] = {str(row["name"]): row for matrix in plan.matrices for row in matrix.include}
    rows: dict[str, list[Row]] = defaultdict(list)
    depths: dict[str, int] = {}
    for job in plan.jobs:  # what it needs is planned before it
        depth = max((depths[name] + 1 for name in job.needs if name in depths), default=0)
        wheels = _missing(job, outcomes_by_job[job.name], waited=depth > 0)
        if wheels:
            depths[job.name] = depth
            rows[ROWS[min(depth, 2)]].append(rows_by_job[job.name] | {"wheels": wheels})
    return retry_matrices([(name, rows[name]) for name in ROWS])


def _missing(job: JobEntry, job_outcomes: list[WheelOutcome], *, waited: bool) -> tuple[str, ...]:
    """Return an entry for each wheel that has neither been built nor failed."""
    settled = {
        outcome.interpreters
        for outcome in job_outcomes
        if not (outcome.failure and outcome.failure.code == InterruptedRunError.exit_code)
        and not (waited and outcome.state == "stopped")
    }
    return tuple(
        ",".join(expected_file.interpreters)
        for expected_file in job.expected
        if expected_file.interpreters not in settled
    )
