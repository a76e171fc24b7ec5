"""``build``: recipe → source → plan → jobs → checks → records, and nothing that was built before is built again."""

from __future__ import annotations

import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from wheelyard.builder.fetch_build_requires import bring
from wheelyard.builder.run_job import Bench, finish
from wheelyard.core.errors import DiskError, PlanError, WheelyardError
from wheelyard.core.values import ImageChoice
from wheelyard.images import ensure, resolve
from wheelyard.io import cache, engine, files, guard, log, run
from wheelyard.planning import build_requires
from wheelyard.planning.fetch_source import prepare_source
from wheelyard.planning.fingerprint import inputs_digest
from wheelyard.planning.plan import jobs_for, make_plan
from wheelyard.planning.target import Target, find_target
from wheelyard.records.wheel_records import find_by_inputs, read_verdict
from wheelyard.sources.prepare import identity

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from wheelyard.core.tags import Interpreter
    from wheelyard.core.values import ExpectedWheel, Image, Job
    from wheelyard.planning.plan import Plan
    from wheelyard.project.config import Project
    from wheelyard.records.models import Verdict, WheelRecord


@dataclass(frozen=True)
class BuildOptions:
    """What the user asks for, beyond the package.

    Attributes:
        version: another version than the newest locked one.
        pythons: only these interpreters.
        image: another image than site policy's.
        force: build even what was built from the same inputs.
        test: run upstream's tests.
        jobs: how many builds at once; more than one gives each interpreter its own.
    """

    version: str | None = None
    pythons: tuple[Interpreter, ...] = ()
    image: str | None = None
    force: bool = False
    test: bool = True
    jobs: int = 1


@dataclass(frozen=True)
class BuildReport:
    """What came out.

    Attributes:
        package, version: what was built.
        folder: where wheels, records, verdict and log are.
        image: what it was built in.
        built: records of the wheels made in this run.
        reused: records of those found by the digest of their inputs.
        verdict: what was checked in this run; None when nothing was built.
        timings: the steps of this run.
        seconds: all of it.
        notes: what the plan has to say.
    """

    package: str
    version: str
    folder: Path
    image: Image
    built: tuple[WheelRecord, ...]
    reused: tuple[WheelRecord, ...]
    verdict: Verdict | None
    timings: tuple[log.Timing, ...]
    seconds: float
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the report for machines."""
        return {
            "schema": "wheelyard/build",
            "version": 1,
            "package": self.package,
            "package-version": self.version,
            "folder": str(self.folder),
            "built": [record.model_dump(mode="json", by_alias=True) for record in self.built],
            "reused": [record.model_dump(mode="json", by_alias=True) for record in self.reused],
            "steps": [{"title": timing.title, "seconds": timing.seconds} for timing in self.timings],
            "seconds": round(self.seconds, 3),
            "notes": list(self.notes),
        }


def build_package(project: Project, package: str, options: BuildOptions) -> BuildReport:
    """Build, test, check and record the wheels of one version of one package.

    Raises:
        WheelyardError: a subclass for each way in which this can fail; what was built is kept.
    """
    started = time.monotonic()
    with log.package(package), log.collect() as timings:
        target = find_target(project, package, options.version)
        choice = ImageChoice.parse(options.image or project.policy.image).with_extras(target.settings.build.extras)
        image = resolve(choice, project.policy.policy)
        plan = make_plan(target.package, target.settings, target.locked, image, project.policy, options.pythons)
        for omission in plan.omissions:
            log.info(f"no wheel for {omission.interpreter}: {omission.reason}")
        folder = project.dist / target.package / target.version
        with cache.lock(folder / ".lock", what=f"{target.package} {target.version} is being built"):
            built, reused, verdict, image = _Run(project, target, options, image, plan, folder).go()
    return BuildReport(
        target.package,
        target.version,
        folder,
        image,
        built,
        reused,
        verdict,
        tuple(timings),
        time.monotonic() - started,
        plan.notes,
    )


@dataclass(frozen=True)
class _Run:
    """One locked run over one version."""

    project: Project
    target: Target
    options: BuildOptions
    image: Image
    plan: Plan
    folder: Path

    def go(self) -> tuple[tuple[WheelRecord, ...], tuple[WheelRecord, ...], Verdict | None, Image]:
        """Reuse what can be, build the rest."""
        target = self.target
        files.sweep_scratch(self.folder, "work")
        bring(self.project, target, self.plan.interpreters)
        needed = build_requires.find(target, self.project.index)
        mark = identity(target.locked, target.settings, recipe_folder=target.recipe.folder)
        digest = partial(inputs_digest, target, source=mark, needed=needed, policy=self.project.policy)
        inputs = {wheel: digest(wheel, self.image, test=self.options.test) for wheel in self.plan.expected}
        found = {} if self.options.force else self._found(inputs)
        reused = tuple(found.values())
        if len(found) == len(inputs):
            return (), reused, None, self.image
        if self.options.force:
            files.remove(self.folder / "held")  # built, not checked: that counts as built before
        self._check_space()
        engine.require_riscv64()
        image = ensure(self.image)
        engine.sweep()
        with files.scratch(self.folder, "work") as work, guard.on_death(folders=[work]):
            source = prepare_source(self.project, target, work, log_file=self.folder / "sdist.log")
            bench = Bench(self.project, target, source, image, needed, self.options.test, self.folder, work)
            missing = [wheel for wheel in inputs if wheel not in found]
            jobs = jobs_for(target.package, target.version, missing, split=self.options.jobs > 1)
            built, verdict = self._build(bench, jobs, inputs)
        return built, reused, verdict, image

    def _found(self, inputs: dict[ExpectedWheel, str]) -> dict[ExpectedWheel, WheelRecord]:
        if not self.folder.is_dir():
            return {}
        pairs = ((wheel, find_by_inputs(self.folder, digest)) for wheel, digest in inputs.items())
        return {wheel: record for wheel, record in pairs if record is not None}

    def _check_space(self) -> None:
        wanted = self.project.policy.min_free_gib
        free = shutil.disk_usage(self.folder).free / 2**30
        if free < wanted:
            raise DiskError(
                f"{free:.1f} GiB are free, a build wants {wanted} GiB",
                where=str(self.folder),
                fix="free some space (`wheelyard image remove` drops images), or lower min-free-gib in site policy",
            )

    def _build(
        self, bench: Bench, jobs: Sequence[Job], inputs: dict[ExpectedWheel, str]
    ) -> tuple[tuple[WheelRecord, ...], Verdict]:
        if len(jobs) == 1:
            return finish(bench, jobs[0], inputs)
        results = _at_once(bench, jobs, inputs, self.options.jobs)
        records = tuple(record for built, _ in results for record in built)
        return records, read_verdict(self.folder)


def _at_once(
    bench: Bench, jobs: Sequence[Job], inputs: dict[ExpectedWheel, str], limit: int
) -> list[tuple[tuple[WheelRecord, ...], Verdict]]:
    """Run jobs side by side; one failure does not stop the others, and all failures are told."""
    results = []
    problems: list[WheelyardError] = []
    with ThreadPoolExecutor(max_workers=limit) as pool:
        futures = [pool.submit(copy_context().run, finish, bench, job, inputs) for job in jobs]
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
        for other in problems[1:]:
            log.error(str(other))
        raise first
    if not results:
        raise PlanError("there is nothing to build")
    return results
