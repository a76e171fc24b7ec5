"""``plan --format``: from what is due to jobs, packed and in order, for GitHub, GitLab and people."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from wheelyard.ci import (
    MOST_WHEELS,
    Layout,
    Limits,
    Piece,
    Site,
    Task,
    Ticket,
    keys,
    lower_bound,
    matrices,
    pack,
    pipeline_of,
)
from wheelyard.ci import pipelines as make_pipelines
from wheelyard.ci.jobs_report import (
    CriticalPath,
    Estimate,
    ExpectedFile,
    JobEntry,
    JobImage,
    JobMatrix,
    JobsReport,
    LeftOut,
)
from wheelyard.core.errors import CheckError, PlanError
from wheelyard.io import log
from wheelyard.records import durations
from wheelyard.records.wheel_records import read_record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wheelyard.core.errors import WheelyardError
    from wheelyard.planning.selection import Due, Selection
    from wheelyard.project.config import Project
    from wheelyard.project.config_runners import RunnersPolicy

_GUESS = 600.0  # seconds for a wheel where nothing at all is known
_GRACE = 900  # seconds that the forge gives a job beyond its own timeout, so that we are the ones who tell


@dataclass(frozen=True)
class Schedule:
    """What is due, as jobs.

    Attributes:
        project: the project.
        selection: what is due.
        tasks: the same, with durations.
        site: what jobs run on.
        layout: the jobs.
        tickets: what each is told, in the same order.
    """

    project: Project
    selection: Selection
    tasks: tuple[Task, ...]
    site: Site
    layout: Layout
    tickets: tuple[Ticket, ...]

    @property
    def problems(self) -> tuple[WheelyardError, ...]:
        """Why more cannot be planned."""
        return self.selection.problems

    def report(self, *, github: bool = False, gitlab: bool = False) -> JobsReport:
        """Return the report (schema ``jobs``), with GitHub's matrices or GitLab's pipelines if asked."""
        shown = matrices(self.tickets) if github else ()
        pipeline = pipeline_of(self.layout.needs, self._limits) if gitlab else (None,) * len(self.tickets)
        left_out = [LeftOut(package=name, version=text, reason=why) for name, text, why in self.selection.left_out]
        return JobsReport(
            asked=self.selection.asked,
            estimate=self.estimate(),
            jobs=tuple(self._entry(number, pipeline[number]) for number in range(len(self.tickets))),
            matrices=tuple(
                JobMatrix(name=one.name, wave=one.wave, gate=one.gate, include=one.include) for one in shown
            ),
            left_out=tuple(left_out),
        )

    def estimate(self) -> Estimate:
        """Return what it is likely to take."""
        layout = self.layout
        return Estimate(
            runners=self.site.runners,
            image_start=round(self.site.start),
            seconds=round(layout.makespan, 1),
            bound=round(lower_bound(self.tasks, self.site), 1),
            critical=CriticalPath(
                seconds=round(sum(layout.seconds[number] for number in layout.critical), 1),
                jobs=tuple(layout.jobs[number].name for number in layout.critical),
            ),
            runner_minutes=round(sum(layout.seconds) / 60),
            known=sum(job.task.known for job in layout.jobs),
        )

    def pipelines(self) -> tuple[str, ...]:
        """Return GitLab's child pipelines, at least one.

        Raises:
            PlanError: the server's limits do not allow them.
        """
        return make_pipelines(self.tickets, self.layout.needs, self._limits)

    @property
    def _limits(self) -> Limits:
        policy = self.project.policy.runners
        return Limits(policy.gitlab_jobs, policy.gitlab_needs, policy.gitlab_tags, policy.label)

    def _entry(self, number: int, pipeline: int | None) -> JobEntry:
        ticket = self.tickets[number]
        job, task = ticket.job, ticket.job.task
        image = task.image
        assert image is not None  # noqa: S101 - every task of ours has one
        return JobEntry(
            name=job.name,
            package=task.package,
            version=task.version,
            why=task.why,
            wave=ticket.wave,
            needs=tuple(self.layout.jobs[other].name for other in self.layout.needs[number]),
            takes=task.needs,
            runner=ticket.runner,
            timeout=ticket.minutes * 60,
            interpreters=tuple(map(str, job.interpreters)),
            image=JobImage(
                kind=image.kind,
                choice=str(image.choice),
                reference=image.reference,
                digest=image.digest or image.definition,
            ),
            key=ticket.key,
            pipeline=pipeline,
            expected=tuple(
                ExpectedFile(
                    pattern=piece.wheel.pattern,
                    interpreters=tuple(map(str, piece.wheel.interpreters)),
                    inputs=piece.inputs if piece.exact else None,
                )
                for piece in job.pieces
            ),
            seconds=round(self.layout.seconds[number], 1),
        )


def schedule(project: Project, selection: Selection, *, runners: int | None = None, gitlab: bool = False) -> Schedule:
    """Return what is due as jobs.

    Args:
        project: the project.
        selection: what is due.
        runners: how many jobs run at once; site policy says when None.
        gitlab: whether they are for GitLab, where site policy says how many wheels may share a job.

    Raises:
        PlanError: recipes need each other; the cycle is shown.
    """
    policy = project.policy.runners
    building = {due.target.package for due in selection.due}
    tasks = tuple(_task(project, due, building) for due in selection.due)
    site = Site(runners or policy.count, policy.image_start, policy.longest)
    layout = _for_gitlab(tasks, site, policy) if gitlab else pack(tasks, site)
    return Schedule(project, selection, tasks, site, layout, tickets(project, layout))


def _for_gitlab(tasks: Sequence[Task], site: Site, policy: RunnersPolicy) -> Layout:
    """Return the jobs with no more wheels each than site policy says, or with more if only so the server takes them."""

    def fits(layout: Layout) -> bool:
        needs = max(map(len, layout.needs), default=0)
        return len(layout.jobs) <= policy.gitlab_jobs and needs <= policy.gitlab_needs

    first = pack(tasks, replace(site, most=policy.gitlab_wheels))
    if fits(first) or len(tasks) > policy.gitlab_jobs:
        return first
    wider = [replace(site, most=most) for most in range(policy.gitlab_wheels + 1, MOST_WHEELS + 1)]
    others = (pack(tasks, each) for each in (*wider, replace(site, few=True)))
    return next(filter(fits, others), first)


def tickets(project: Project, layout: Layout) -> tuple[Ticket, ...]:
    """Return what each job of *layout* is told."""
    policy = project.policy.runners
    made = keys(layout.jobs, layout.needs)
    gates = {other for wanted in layout.needs for other in wanted}
    found = []
    for number, job in enumerate(layout.jobs):
        seconds = min(job.task.timeout * len(job.pieces) + 2 * policy.image_start + _GRACE, policy.longest)
        found.append(
            Ticket(
                job=job,
                wave=layout.waves[number],
                gate=number in gates,
                needs=tuple(sorted({layout.jobs[other].task.package for other in layout.needs[number]})),
                runner=job.task.runner or policy.label,
                minutes=math.ceil(seconds / 60),
                image=str(job.task.image.choice) if job.task.image else "",
                key=made[number],
            )
        )
    return tuple(found)


def _task(project: Project, due: Due, building: set[str]) -> Task:
    target = due.target
    pace = pace_of(project, target.package, target.version)
    exact = due.exact and not building & set(target.settings.needs)
    # Each wheel is built by itself, so that one that fails takes no other with it: what a run does once, each does.
    pieces = tuple(
        Piece(wheel, pace.shared + pace.seconds(wheel.interpreters[0]) if pace else _GUESS, due.inputs[wheel], exact)
        for wheel in due.wheels
    )
    return Task(
        package=target.package,
        version=target.version,
        pieces=pieces,
        needs=target.settings.needs,
        known=pace is not None,
        timeout=target.settings.build.timeout,
        runner=target.settings.build.runner or "",
        image=due.plan.image,
        why=due.why,
    )


def pace_of(project: Project, package: str, version: str) -> durations.Pace | None:
    """Return how long a package is likely to take: by its committed durations, else by the records in ``dist/``."""
    try:
        known: Sequence[durations.Duration] = durations.DURATIONS.read(
            durations.DURATIONS.path(project.packages, package)
        )
    except PlanError as error:  # a plan without them is a plan
        log.warn(str(error))
        known = ()
    return durations.pace(known or _from_records(project, package), version)


def _from_records(project: Project, package: str) -> tuple[durations.Duration, ...]:
    found: list[durations.Duration] = []
    for wheel in (project.dist / package).glob("*/*.whl"):
        try:
            found += durations.of_record(read_record(wheel))
        except (CheckError, ValueError):
            continue
    return durations.join(found)
