"""``again``: the jobs of a plan that died without a word, and what only waited for them, to be tried once more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wheelyard.flows.report import heard
from wheelyard.stages.schedule import Row, again

if TYPE_CHECKING:
    from wheelyard.recipe.policy import Project
    from wheelyard.record.jobs import JobsReport
    from wheelyard.stages.schedule import Matrix


def tried_again(project: Project, plan: JobsReport) -> tuple[Matrix, ...]:
    """Return GitHub's matrices of the jobs of *plan* that are worth another try, by the outcomes in ``dist/``.

    What has failed in words of its own would fail again. A machine that is lost takes its job with it, and whatever
    needs what that was to build: such jobs come in a row of their own, as they follow each other in the plan.
    """
    told = heard(project, plan)
    tickets: dict[str, Row] = {str(row["name"]): row for matrix in plan.matrices for row in matrix.include}
    first: list[Row] = []
    rest: list[Row] = []
    late: set[str] = set()
    for job in plan.jobs:  # what it needs is planned before it
        spoken = {outcome.interpreters for outcome in told[job.name]}
        silent = any(each.interpreters not in spoken for each in job.expected)
        waited = not late.isdisjoint(job.needs)
        if silent or (waited and any(outcome.state == "stopped" for outcome in told[job.name])):
            late.add(job.name)
            (rest if waited else first).append(tickets[job.name])
    return again(first, rest)
