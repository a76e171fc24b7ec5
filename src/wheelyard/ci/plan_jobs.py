"""``ci plan --format``: turn a selection of wheels into jobs, packed and in order, for GitHub, GitLab and people."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from wheelyard.ci import (
    MOST_WHEELS,
    Capacity,
    Layout,
    Limits,
    PackageBuild,
    PlannedJob,
    PlannedWheel,
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
    from wheelyard.project.config import Project, RunnersConfig

_GUESS = 600.0  # seconds for a wheel where nothing at all is known
_GRACE = 900  # seconds beyond a job's own timeout, so that the tool reports the timeout, not the forge


@dataclass(frozen=True)
class Schedule:
    """The jobs of a selection.

    Attributes:
        project: the project.
        selection: the wheels to build.
        builds: the same, with durations.
        capacity: what jobs run on.
        layout: the jobs.
        planned_jobs: the same jobs with what the forge needs, in the same order.
    """

    project: Project
    selection: Selection
    builds: tuple[PackageBuild, ...]
    capacity: Capacity
    layout: Layout
    planned_jobs: tuple[PlannedJob, ...]

    @property
    def problems(self) -> tuple[WheelyardError, ...]:
        """Why more cannot be planned."""
        return self.selection.problems

    def report(self, *, github: bool = False, gitlab: bool = False) -> JobsReport:
        """Return the report (schema ``jobs``), with GitHub's matrices or GitLab's pipelines if asked."""
        matrix_list = matrices(self.planned_jobs) if github else ()
        pipeline = pipeline_of(self.layout.needs, self._limits) if gitlab else (None,) * len(self.planned_jobs)
        left_out = [LeftOut(package=name, version=text, reason=why) for name, text, why in self.selection.left_out]
        return JobsReport(
            selection=self.selection.selected_by,
            estimate=self.estimate(),
            jobs=tuple(self._entry(number, pipeline[number]) for number in range(len(self.planned_jobs))),
            matrices=tuple(
                JobMatrix(name=matrix.name, wave=matrix.wave, gate=matrix.gate, include=matrix.include)
                for matrix in matrix_list
            ),
            left_out=tuple(left_out),
        )

    def estimate(self) -> Estimate:
        """Return what it is likely to take."""
        layout = self.layout
        return Estimate(
            runners=self.capacity.runners,
            image_start=round(self.capacity.start),
            seconds=round(layout.makespan, 1),
            bound=round(lower_bound(self.builds, self.capacity), 1),
            critical=CriticalPath(
                seconds=round(sum(layout.seconds[number] for number in layout.critical), 1),
                jobs=tuple(layout.jobs[number].name for number in layout.critical),
            ),
            runner_minutes=round(sum(layout.seconds) / 60),
            timed=sum(job.build.timed for job in layout.jobs),
        )

    def pipelines(self) -> tuple[str, ...]:
        """Return GitLab's child pipelines, at least one.

        Raises:
            PlanError: the server's limits do not allow them.
        """
        return make_pipelines(self.planned_jobs, self.layout.needs, self._limits)

    @property
    def _limits(self) -> Limits:
        config = self.project.config.runners
        return Limits(config.gitlab_jobs, config.gitlab_needs, config.gitlab_tags, config.label)

    def _entry(self, number: int, pipeline: int | None) -> JobEntry:
        planned_job = self.planned_jobs[number]
        job, build = planned_job.job, planned_job.job.build
        image = build.image
        assert image is not None  # noqa: S101 - every build of ours has one
        return JobEntry(
            name=job.name,
            package=build.package,
            version=build.version,
            why=build.why,
            wave=planned_job.wave,
            needs=tuple(self.layout.jobs[other].name for other in self.layout.needs[number]),
            takes=build.needs,
            runner=planned_job.runner,
            timeout=planned_job.minutes * 60,
            interpreters=tuple(map(str, job.interpreters)),
            image=JobImage(
                kind=image.kind,
                choice=str(image.choice),
                reference=image.reference,
                digest=image.digest or image.definition,
            ),
            key=planned_job.key,
            pipeline=pipeline,
            expected=tuple(
                ExpectedFile(
                    pattern=wheel.expected.pattern,
                    interpreters=tuple(map(str, wheel.expected.interpreters)),
                    fingerprint=wheel.fingerprint if wheel.exact else None,
                )
                for wheel in job.wheels
            ),
            seconds=round(self.layout.seconds[number], 1),
        )


def schedule(project: Project, selection: Selection, *, runners: int | None = None, gitlab: bool = False) -> Schedule:
    """Return the jobs of a selection.

    Args:
        project: the project.
        selection: the wheels to build.
        runners: how many jobs run at once; the site configuration's when None.
        gitlab: whether they are for GitLab, where the site configuration limits the wheels of a job.

    Raises:
        PlanError: recipes need each other; the cycle is shown.
    """
    config = project.config.runners
    building = {due.target.package for due in selection.due}
    builds = tuple(_package_build(project, due, building) for due in selection.due)
    capacity = Capacity(runners or config.count, config.image_start, config.longest)
    layout = _for_gitlab(builds, capacity, config) if gitlab else pack(builds, capacity)
    return Schedule(project, selection, builds, capacity, layout, planned_jobs(project, layout))


def _for_gitlab(builds: Sequence[PackageBuild], capacity: Capacity, config: RunnersConfig) -> Layout:
    """Return jobs within the site's limit of wheels; with more wheels each where the server takes no more jobs."""

    def fits(layout: Layout) -> bool:
        needs = max(map(len, layout.needs), default=0)
        return len(layout.jobs) <= config.gitlab_jobs and needs <= config.gitlab_needs

    first = pack(builds, replace(capacity, most=config.gitlab_wheels))
    if fits(first) or len(builds) > config.gitlab_jobs:
        return first
    wider = [replace(capacity, most=most) for most in range(config.gitlab_wheels + 1, MOST_WHEELS + 1)]
    alternatives = (pack(builds, capacity) for capacity in (*wider, replace(capacity, few=True)))
    return next(filter(fits, alternatives), first)


def planned_jobs(project: Project, layout: Layout) -> tuple[PlannedJob, ...]:
    """Return the jobs of *layout* with what the forge needs to run them."""
    config = project.config.runners
    job_keys = keys(layout.jobs, layout.needs)
    gates = {other for job_needs in layout.needs for other in job_needs}
    job_specs = []
    for number, job in enumerate(layout.jobs):
        seconds = min(job.build.timeout * len(job.wheels) + 2 * config.image_start + _GRACE, config.longest)
        job_specs.append(
            PlannedJob(
                job=job,
                wave=layout.waves[number],
                gate=number in gates,
                needs=tuple(sorted({layout.jobs[other].build.package for other in layout.needs[number]})),
                runner=job.build.runner or config.label,
                minutes=math.ceil(seconds / 60),
                image=str(job.build.image.choice) if job.build.image else "",
                key=job_keys[number],
            )
        )
    return tuple(job_specs)


def _package_build(project: Project, due: Due, building: set[str]) -> PackageBuild:
    target = due.target
    pace = pace_of(project, target.package, target.version)
    exact = due.exact and not building & set(target.settings.needs)
    # Each wheel is built by itself, so that one that fails takes no other with it: what a run does once, each does.
    wheels = tuple(
        PlannedWheel(
            wheel, pace.shared + pace.seconds(wheel.interpreters[0]) if pace else _GUESS, due.fingerprints[wheel], exact
        )
        for wheel in due.wheels
    )
    return PackageBuild(
        package=target.package,
        version=target.version,
        wheels=wheels,
        needs=target.settings.needs,
        timed=pace is not None,
        timeout=target.settings.build.timeout,
        runner=target.settings.build.runner or "",
        image=due.plan.image,
        why=due.why,
    )


def pace_of(project: Project, package: str, version: str) -> durations.Pace | None:
    """Return how long a package is likely to take: by its committed durations, else by the records in ``dist/``."""
    try:
        recorded: Sequence[durations.Duration] = durations.DURATIONS.read(
            durations.DURATIONS.path(project.packages, package)
        )
    except PlanError as error:  # a plan without them is a plan
        log.warn(str(error))
        recorded = ()
    return durations.pace(recorded or _from_records(project, package), version)


def _from_records(project: Project, package: str) -> tuple[durations.Duration, ...]:
    recorded: list[durations.Duration] = []
    for wheel in (project.dist / package).glob("*/*.whl"):
        try:
            recorded += durations.of_record(read_record(wheel))
        except (CheckError, ValueError):
            continue
    return durations.join(recorded)
