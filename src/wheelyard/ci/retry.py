"""``again``: the jobs of a plan that died without a word, and what only waited for them, to be tried once more."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from wheelyard.ci import Row, again
from wheelyard.ci.report import heard
from wheelyard.core.errors import InterruptedRunError

if TYPE_CHECKING:
    from wheelyard.ci import Matrix
    from wheelyard.ci.jobs_report import JobEntry, JobsReport
    from wheelyard.ci.outcome import WheelOutcome
    from wheelyard.project.config import Project

ROWS = ("first", "next", "rest")


def tried_again(project: Project, plan: JobsReport) -> tuple[Matrix, ...]:
    """Return GitHub's matrices of the jobs of *plan* that are worth another try, by the outcomes in ``dist/``.

    The plan has matrices, see ``read_plan``. A machine that is lost takes its job with it, or ends it in the middle,
    and whatever needs what that was to build has stopped: that follows in a row of its own. What lies deeper is the
    last row, in the plan's order, for one after another. Wheels that failed in words of their own would fail again, and
    are left out.
    """
    told = heard(project, plan)
    tickets: dict[str, Row] = {str(row["name"]): row for matrix in plan.matrices for row in matrix.include}
    rows: dict[str, list[Row]] = defaultdict(list)
    depths: dict[str, int] = {}
    for job in plan.jobs:  # what it needs is planned before it
        depth = max((depths[name] + 1 for name in job.needs if name in depths), default=0)
        wheels = _missing(job, told[job.name], waited=depth > 0)
        if wheels:
            depths[job.name] = depth
            rows[ROWS[min(depth, 2)]].append(tickets[job.name] | {"wheels": wheels})
    return again([(name, rows[name]) for name in ROWS])


def _missing(job: JobEntry, told: list[WheelOutcome], *, waited: bool) -> tuple[str, ...]:
    """Return a word for each wheel that nobody has, and nobody has said why."""
    settled = {
        outcome.interpreters
        for outcome in told
        if not (outcome.failure and outcome.failure.code == InterruptedRunError.exit_code)
        and not (waited and outcome.state == "stopped")
    }
    return tuple(",".join(each.interpreters) for each in job.expected if each.interpreters not in settled)
