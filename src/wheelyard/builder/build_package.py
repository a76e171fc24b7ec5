"""``build``: recipe → source → plan → jobs → checks → records; wheels of the same inputs are reused."""

from __future__ import annotations

import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from wheelyard.builder.fetch_build_requires import fetch_build_requires
from wheelyard.builder.run_job import BuildContext, run_job
from wheelyard.core.errors import DiskError, PlanError, WheelyardError
from wheelyard.core.model import Model
from wheelyard.core.values import ImageChoice
from wheelyard.images import ensure, resolve
from wheelyard.io import cache, engine, files, guard, log, run
from wheelyard.planning import build_requires
from wheelyard.planning.fingerprint import wheel_fingerprint
from wheelyard.planning.plan import jobs_for, make_plan
from wheelyard.planning.target import Target, find_target, prepare_source
from wheelyard.records.models import Verdict, WheelRecord
from wheelyard.records.wheel_records import find_by_fingerprint, read_verdict
from wheelyard.sources.prepare import identity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wheelyard.core.tags import Interpreter
    from wheelyard.core.values import ExpectedWheel, Image, Job
    from wheelyard.planning.plan import Plan
    from wheelyard.project.config import Project


@dataclass(frozen=True)
class BuildOptions:
    """Options of one build.

    Attributes:
        version: another version than the newest locked one.
        pythons: only these interpreters.
        image: another image than the site configuration's.
        force: build again although wheels of the same inputs exist.
        test: run upstream's tests.
        jobs: number of builds in parallel; more than one gives each interpreter its own.
    """

    version: str | None = None
    pythons: tuple[Interpreter, ...] = ()
    image: str | None = None
    force: bool = False
    test: bool = True
    jobs: int = 1


class StepTime(Model):
    """How long one step of a build took."""

    title: str
    seconds: float


class BuildReport(Model):
    """``build --json``: the wheels of one version, built or reused.

    Attributes:
        package, package_version: what was built.
        folder: the folder of wheels, records, verdict and logs.
        image: the reference of the build image.
        built: records of the wheels that this run built.
        reused: records of wheels that an earlier run built from the same inputs.
        verdict: the verdict on the built wheels; null when nothing was built.
        steps: the steps of this run.
        seconds: the duration of this run.
        notes: the plan's notes.
    """

    schema_: Literal["wheelyard/build"] = Field("wheelyard/build", alias="schema")
    version_: Literal[1] = Field(1, alias="version")
    package: str
    package_version: str
    folder: Path
    image: str
    built: tuple[WheelRecord, ...]
    reused: tuple[WheelRecord, ...]
    verdict: Verdict | None
    steps: tuple[StepTime, ...]
    seconds: float
    notes: tuple[str, ...]


def build_package(project: Project, package: str, options: BuildOptions) -> BuildReport:
    """Build, test, check and record the wheels of one version of one package.

    Raises:
        WheelyardError: a subclass for each way in which this can fail; what was built is kept.
    """
    started = time.monotonic()
    with log.package(package), log.collect() as timings:
        target = find_target(project, package, options.version)
        choice = ImageChoice.parse(options.image or project.config.image).with_extras(target.settings.build.extras)
        image = resolve(choice, project.config.policy)
        plan = make_plan(target.package, target.settings, target.locked, image, project.config, options.pythons)
        for omission in plan.omissions:
            log.info(f"no wheel for {omission.interpreter}: {omission.reason}")
        folder = project.dist / target.package / target.version
        with cache.lock(folder / ".lock", what=f"{target.package} {target.version} is being built"):
            built, reused, verdict, image = _LockedBuild(project, target, options, image, plan, folder).run()
    return BuildReport(
        package=target.package,
        package_version=target.version,
        folder=folder,
        image=image.reference,
        built=built,
        reused=reused,
        verdict=verdict,
        steps=tuple(StepTime(title=timing.title, seconds=timing.seconds) for timing in timings),
        seconds=round(time.monotonic() - started, 3),
        notes=plan.notes,
    )


@dataclass(frozen=True)
class _LockedBuild:
    """The build of one version, under its lock."""

    project: Project
    target: Target
    options: BuildOptions
    image: Image
    plan: Plan
    folder: Path

    def run(self) -> tuple[tuple[WheelRecord, ...], tuple[WheelRecord, ...], Verdict | None, Image]:
        """Reuse the wheels of the same inputs, build the others."""
        target = self.target
        files.sweep_scratch(self.folder, "work")
        fetch_build_requires(self.project, target, self.plan.interpreters)
        needed = build_requires.find(target, self.project.index)
        source_id = identity(target.locked, target.settings, recipe_folder=target.recipe.folder)
        digest = partial(wheel_fingerprint, target, source=source_id, needed=needed, config=self.project.config)
        inputs = {wheel: digest(wheel, self.image, test=self.options.test) for wheel in self.plan.expected}
        reused_by_wheel = {} if self.options.force else self._reusable(inputs)
        reused = tuple(reused_by_wheel.values())
        if len(reused_by_wheel) == len(inputs):
            return (), reused, None, self.image
        if self.options.force:
            files.remove(self.folder / "unchecked")  # built and not checked: reused otherwise
        self._check_space()
        engine.require_riscv64()
        image = ensure(self.image)
        engine.sweep()
        with files.scratch(self.folder, "work") as work, guard.on_death(folders=[work]):
            source = prepare_source(self.project, target, work, log_file=self.folder / "sdist.log")
            context = BuildContext(self.project, target, source, image, needed, self.options.test, self.folder, work)
            missing = [wheel for wheel in inputs if wheel not in reused_by_wheel]
            jobs = jobs_for(target.package, target.version, missing, split=self.options.jobs > 1)
            built, verdict = self._build(context, jobs, inputs)
        return built, reused, verdict, image

    def _reusable(self, inputs: dict[ExpectedWheel, str]) -> dict[ExpectedWheel, WheelRecord]:
        if not self.folder.is_dir():
            return {}
        pairs = ((wheel, find_by_fingerprint(self.folder, digest)) for wheel, digest in inputs.items())
        return {wheel: record for wheel, record in pairs if record is not None}

    def _check_space(self) -> None:
        required = self.project.config.min_free_gib
        free = shutil.disk_usage(self.folder).free / 2**30
        if free < required:
            raise DiskError(
                f"{free:.1f} GiB are free, a build needs {required} GiB",
                where=str(self.folder),
                fix="free some space (`wheelyard image remove` drops images), or lower min-free-gib in "
                "[tool.wheelyard]",
            )

    def _build(
        self, context: BuildContext, jobs: Sequence[Job], inputs: dict[ExpectedWheel, str]
    ) -> tuple[tuple[WheelRecord, ...], Verdict]:
        if len(jobs) == 1:
            return run_job(context, jobs[0], inputs)
        results = _run_in_parallel(context, jobs, inputs, self.options.jobs)
        records = tuple(record for built, _ in results for record in built)
        return records, read_verdict(self.folder)


def _run_in_parallel(
    context: BuildContext, jobs: Sequence[Job], inputs: dict[ExpectedWheel, str], limit: int
) -> list[tuple[tuple[WheelRecord, ...], Verdict]]:
    """Run jobs in parallel; one failure does not stop the others, and the log shows every failure."""
    results = []
    problems: list[WheelyardError] = []
    with ThreadPoolExecutor(max_workers=limit) as pool:
        futures = [pool.submit(copy_context().run, run_job, context, job, inputs) for job in jobs]
        try:
            for future in futures:
                try:
                    results.append(future.result())
                except WheelyardError as error:
                    problems.append(error)
        except BaseException:
            for future in futures:
                future.cancel()
            with run.stopping():
                pool.shutdown(wait=True)
            raise
    if problems:
        first = problems[0]
        for problem in problems[1:]:
            log.error(str(problem))
        raise first
    if not results:
        raise PlanError("there is nothing to build")
    return results
