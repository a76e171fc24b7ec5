"""``simulate``: how a night goes in the planner's layout, beside the plain ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wheelyard.ci import Conditions, Site, compare, synthetic_tasks
from wheelyard.ci.jobs_report import NightEntry, SimulationReport
from wheelyard.ci.plan_jobs import schedule
from wheelyard.core.errors import PlanError
from wheelyard.core.tags import Interpreter
from wheelyard.planning import selection as due

if TYPE_CHECKING:
    from wheelyard.ci import Night
    from wheelyard.project.config import Project


def simulate(
    project: Project,
    packages: int | None,
    *,
    runners: int | None = None,
    start: int | None = None,
    failures: float = 0.0,
    noise: float = 0.2,
    queue: float = 0.0,
    seed: int = 0,
    giants: int = 0,
) -> SimulationReport:
    """Return how a night goes: over *packages* made-up packages, or over all recipes when None.

    Args:
        project: the project.
        packages: how many are made up.
        runners: jobs at once; site policy's when None.
        start: seconds until an image has started; site policy's when None.
        failures: the share of wheels that fail.
        noise: how far durations are from the expected ones, as a share, either way.
        queue: seconds that a job waits for a runner on the average, for other people's jobs.
        seed: which night.
        giants: how many of the made-up packages take hours.

    Raises:
        WheelyardError: the recipes cannot be planned.
    """
    policy = project.policy.runners
    site = Site(runners or policy.count, policy.image_start if start is None else start, policy.longest)
    if packages is None:
        selection = due.by_name(due.DuePlanner(project))
        if selection.problems:
            raise selection.problems[0]
        tasks = schedule(project, selection, runners=site.runners).tasks
    else:
        interpreters = tuple(map(Interpreter.parse, project.policy.interpreters))
        tasks = synthetic_tasks(packages, seed=seed, interpreters=interpreters, giants=giants)
    if not tasks:
        raise PlanError("there is no recipe to plan", fix="--packages 80 makes some up")
    found = compare(tasks, Conditions(site, failures, noise, queue, seed))
    nights = {
        "planned": found.planned,
        "one job per package": found.together,
        "one job per wheel": found.apart,
    }
    return SimulationReport(
        packages=found.packages,
        wheels=found.wheels,
        synthetic=packages is not None,
        runners=site.runners,
        image_start=round(site.start),
        failures=failures,
        noise=noise,
        queue=queue,
        seed=seed,
        bound=round(found.bound, 1),
        nights=tuple(_entry(name, night, found.bound) for name, night in nights.items()),
    )


def _entry(name: str, night: Night, bound: float) -> NightEntry:
    return NightEntry(
        layout=name,
        jobs=night.jobs,
        seconds=round(night.makespan, 1),
        of_bound=round(night.makespan / bound, 3) if bound else 1.0,
        runner_minutes=round(night.work / 60),
        built=night.built,
        failed=night.failed,
        stopped=night.stopped,
    )
