"""Run one job: build, check, record, and store the wheels."""

from __future__ import annotations

import contextlib
import os
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from wheelyard.builder import BuildRequest, BuildResult, build
from wheelyard.builder.cibuildwheel_config import Container
from wheelyard.builder.graft_origins import trace_grafts
from wheelyard.builder.store_results import store_results
from wheelyard.checks import check_wheels, install_check, modules_to_import, with_findings
from wheelyard.core.digests import sha256_file, sha256_value
from wheelyard.core.errors import CheckError
from wheelyard.core.model import Model
from wheelyard.core.tags import WheelName
from wheelyard.io import engine, files, log
from wheelyard.planning.fingerprint import recipe_digest, tools
from wheelyard.records.models import ImageRecord, PatchRecord, Sha256, SourceRecord, TestRecord, WheelRecord
from wheelyard.records.wheel_records import write_verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from wheelyard.core.values import ExpectedWheel, Image, Job, SourceTree
    from wheelyard.planning.target import Target
    from wheelyard.project.config import Project
    from wheelyard.records.models import Verdict

INDEX_INSIDE = "/wheelyard-index"


@dataclass(frozen=True)
class BuildContext:
    """Values that the jobs of one build share.

    Attributes:
        project, target, source, image: the package, its prepared source, the build image.
        needed: wheels in the index folder that the build may install, with their hashes.
        test: whether upstream's tests run.
        folder: the folder of results, ``dist/<pkg>/<version>``.
        work: a scratch folder that is removed after the run.
    """

    project: Project
    target: Target
    source: SourceTree
    image: Image
    needed: Mapping[str, str]
    test: bool
    folder: Path
    work: Path


def run_job(
    context: BuildContext, job: Job, inputs: Mapping[ExpectedWheel, str]
) -> tuple[tuple[WheelRecord, ...], Verdict]:
    """Build, check and record the wheels of one job, and store them in the folder of results.

    Wheels that are built and not yet checked are kept in ``unchecked/<digest>``: after a run that was killed while
    checking, or a check that failed for a reason outside the wheel, the next run does not build again.

    Raises:
        BuildError: it does not build, or its tests fail.
        CheckError: a wheel fails a check; all wheels are kept for inspection.
    """
    digest = sha256_value(sorted(inputs[wheel] for wheel in job.expected))[:16]
    unchecked = context.folder / "unchecked" / digest
    resumed = _load_unchecked(unchecked)
    if resumed:
        log.info("resuming with the unchecked wheels of an earlier build")
    result, durations = resumed or _build(context, job, unchecked)
    verdict = _check(context, job, result.wheels)
    write_verdict(unchecked, verdict)
    if not verdict.ok:
        failed_checks = [f"{item.rule}: {item.text}" for item in verdict.overall if not item.ok]
        failed_checks += [
            f"{wheel.wheel}: {item.rule}: {item.text}"
            for wheel in verdict.wheels
            for item in wheel.findings
            if not item.ok
        ]
        raise CheckError(
            f"{len(failed_checks)} check(s) failed",
            where=str(unchecked),
            details=failed_checks,
            fix="the wheels are kept there",
        )
    records = tuple(_record(context, job, wheel, result, durations, inputs) for wheel in result.wheels)
    store_results(context.folder, result.wheels, records, verdict)
    files.remove(unchecked)
    with contextlib.suppress(OSError):  # other jobs may have theirs there
        unchecked.parent.rmdir()
    return records, verdict


# ------------------------------------------------------------------- build


class _UncheckedBuild(Model):
    """``unchecked.json``: a :class:`BuildResult`, with each wheel's hash and the steps' seconds."""

    schema_: Literal["wheelyard/unchecked-build"] = Field("wheelyard/unchecked-build", alias="schema")
    version_: Literal[1] = Field(1, alias="version")
    wheels: dict[str, Sha256] = Field(min_length=1)
    test_summary: str
    test_command: str
    dropped: tuple[str, ...]
    durations: dict[str, float]


def _load_unchecked(unchecked: Path) -> tuple[BuildResult, dict[str, float]] | None:
    """Return the build that is stored in *unchecked*, None if it is missing or incomplete."""
    try:
        stored = _UncheckedBuild.model_validate_json((unchecked / "unchecked.json").read_bytes())
        wheels = tuple(unchecked / WheelName.parse(name).file for name in stored.wheels)
        if any(sha256_file(wheel) != stored.wheels[wheel.name] for wheel in wheels):
            return None
    except (OSError, ValueError):
        return None
    return BuildResult(wheels, stored.test_summary, stored.test_command, stored.dropped), stored.durations


def _store_unchecked(unchecked: Path, result: BuildResult, durations: dict[str, float]) -> None:
    files.remove(unchecked)
    for wheel in result.wheels:
        files.copy_whole(wheel, unchecked / wheel.name)
    stored = _UncheckedBuild(
        wheels={wheel.name: sha256_file(wheel) for wheel in result.wheels},
        test_summary=result.test_summary,
        test_command=result.test_command,
        dropped=result.dropped,
        durations=durations,
    )
    files.write_json(unchecked / "unchecked.json", stored.model_dump(mode="json"))


def _build(context: BuildContext, job: Job, unchecked: Path) -> tuple[BuildResult, dict[str, float]]:
    name = "-".join(map(str, job.interpreters))
    work = context.work / name
    work.mkdir()
    log_file = context.folder / f"build-{name}.log"
    files.remove(log_file)
    with log.collect() as timings:
        result = build(
            BuildRequest(
                job,
                context.source,
                context.target.settings,
                context.image,
                container(context),
                context.test,
                work,
                log_file,
                idle=None if engine.native() else context.project.config.idle_seconds,
            )
        )
    durations = {timing.title: timing.seconds for timing in timings}
    _store_unchecked(unchecked, result, durations)
    stored, _ = _load_unchecked(unchecked) or (result, durations)
    return stored, durations


def container(context: BuildContext) -> Container:
    """Return the settings of build containers: our labels, the host's trust, the network, needed wheels, time."""
    mounts, trust = engine.ca_mounts()
    network = "host" if context.target.settings.build.network else "none"
    args = [*engine.label_args(), *mounts, f"--network={network}"]
    environment = {**trust, "SOURCE_DATE_EPOCH": str(context.source.epoch)}
    if context.source.kind != "sdist":
        # A checkout without its history does not show its version.
        environment["SETUPTOOLS_SCM_PRETEND_VERSION"] = context.target.version
    if "PIP_INDEX_URL" in os.environ and not any(
        name.startswith("UV_") and name in os.environ for name in engine.USER_SETTINGS
    ):
        environment["UV_DEFAULT_INDEX"] = "$PIP_INDEX_URL"  # expanded inside; uv does not read pip's variables
    if context.needed:
        args.append(f"--volume={context.project.index.resolve()}:{INDEX_INSIDE}:ro")
        links = [f"{INDEX_INSIDE}/files/{name}" for name in context.target.settings.needs]
        environment |= {"PIP_FIND_LINKS": " ".join(links), "UV_FIND_LINKS": ",".join(links)}
    constraints = context.work / "constraints.txt"
    files.write_text(constraints, f"virtualenv=={version('virtualenv')}\n")
    return Container(engine.find(), tuple(args), environment, engine.USER_SETTINGS, constraints)


# ------------------------------------------------------------------- check


def _check(context: BuildContext, job: Job, wheels: Sequence[Path]) -> Verdict:
    settings = context.target.settings.check
    with log.step("Checking wheels"):
        verdict = check_wheels(wheels, job.expected, context.project.config, settings)
    if not verdict.ok:
        return verdict  # a wheel that fails is not installed
    run_in = engine.run_with_network(context.image.reference)
    index = context.project.index if context.project.index.is_dir() else None
    for wheel in wheels:
        name = WheelName.parse(wheel.name)
        for expected in job.expected:
            if expected.python not in name.pythons or expected.abi not in name.abis:
                continue
            for interpreter in expected.interpreters:
                with log.step(f"Installing and importing ({interpreter})"):
                    findings = install_check(
                        wheel,
                        interpreter,
                        run_in,
                        modules=modules_to_import(wheel, settings),
                        index=index,
                        log_file=context.folder / f"install-{interpreter}.log",
                    )
                verdict = with_findings(verdict, {wheel.name: findings})
    return verdict


# ------------------------------------------------------------------ record


def _record(  # noqa: PLR0917 - a record is about all of this
    context: BuildContext,
    job: Job,
    wheel: Path,
    result: BuildResult,
    durations: Mapping[str, float],
    inputs: Mapping[ExpectedWheel, str],
) -> WheelRecord:
    name = WheelName.parse(wheel.name)
    expected = next(item for item in job.expected if item.python in name.pythons and item.abi in name.abis)
    image, source, settings = context.image, context.source, context.target.settings
    tested = bool(result.test_command) and not set(map(str, expected.interpreters)) <= set(settings.test.skip)
    return WheelRecord(
        package=context.target.package,
        package_version=context.target.version,
        wheel=wheel.name,
        sha256=sha256_file(wheel),
        size=wheel.stat().st_size,
        interpreters=tuple(map(str, expected.interpreters)),
        fingerprint=inputs[expected],
        source=SourceRecord(kind=source.kind, name=source.name, sha256=source.sha256, commit=source.commit),
        recipe=recipe_digest(context.target),
        patches=tuple(
            PatchRecord(file=patch.file, sha256=patch.sha256, status=patch.status) for patch in source.patches
        ),
        image=ImageRecord(
            kind=image.kind,
            reference=image.reference,
            digest=image.digest,
            suite=image.suite,
            gcc=image.gcc,
            glibc=image.glibc,
        ),
        tools=tools(),
        durations=dict(durations),
        tests=TestRecord(
            ran=tested,
            command=result.test_command if tested else "",
            summary=result.test_summary if tested else "",
            subset=(settings.test.subset or "") if tested else "",
        ),
        verdict="passed",
        built_at=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=platform.machine(),
        grafts=trace_grafts(wheel, image),
    )
