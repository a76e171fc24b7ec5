"""One job to its end: build, check, record, and put the wheels in their place."""

from __future__ import annotations

import contextlib
import os
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from wheelyard.builder import BuildOutcome, BuildRequest, build
from wheelyard.builder.cibuildwheel_config import Container
from wheelyard.builder.graft_origins import grafts_of
from wheelyard.builder.results import settle
from wheelyard.checks import check_wheels, install_check, modules_to_import, with_findings
from wheelyard.core.digests import sha256_file, sha256_value
from wheelyard.core.errors import CheckError
from wheelyard.core.tags import WheelName
from wheelyard.io import engine, files, log
from wheelyard.planning.fingerprint import recipe_digest, tools
from wheelyard.records.models import ImageRecord, Model, PatchRecord, Sha256, SourceRecord, TestRecord, WheelRecord
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
class Bench:
    """What the jobs of one run share.

    Attributes:
        project, target, source, image: what is built, from what, in what.
        needed: wheels that the build may take from the index folder, with their hashes.
        test: whether upstream's tests run.
        folder: where results go.
        work: a folder that goes away with the run.
    """

    project: Project
    target: Target
    source: SourceTree
    image: Image
    needed: Mapping[str, str]
    test: bool
    folder: Path
    work: Path


def finish(bench: Bench, job: Job, inputs: Mapping[ExpectedWheel, str]) -> tuple[tuple[WheelRecord, ...], Verdict]:
    """Take one job from source to records.

    What was built and not yet checked is kept in ``held/<digest>``: a run that was killed while checking, or a
    check that failed for a reason outside the wheel, does not build again.

    Raises:
        BuildError: it does not build, or its tests fail.
        CheckError: a wheel is not what was promised; everything is kept for inspection.
    """
    mark = sha256_value(sorted(inputs[wheel] for wheel in job.expected))[:16]
    held = bench.folder / "held" / mark
    taken_up = _held(held)
    if taken_up:
        log.info("taking up a finished build that was not checked yet")
    outcome, durations = taken_up or _build(bench, job, held)
    verdict = _check(bench, job, outcome.wheels)
    write_verdict(held, verdict)
    if not verdict.ok:
        failing = [f"{item.rule}: {item.text}" for item in verdict.overall if not item.ok]
        failing += [
            f"{wheel.wheel}: {item.rule}: {item.text}"
            for wheel in verdict.wheels
            for item in wheel.findings
            if not item.ok
        ]
        raise CheckError(
            f"{len(failing)} check(s) failed", where=str(held), details=failing, fix="the wheels are kept there"
        )
    records = tuple(_record(bench, job, wheel, outcome, durations, inputs) for wheel in outcome.wheels)
    settle(bench.folder, outcome.wheels, records, verdict)
    files.remove(held)
    with contextlib.suppress(OSError):  # others may hold theirs
        held.parent.rmdir()
    return records, verdict


# ------------------------------------------------------------------- build


class _Outcome(Model):
    """``outcome.json`` beside held wheels: a :class:`BuildOutcome`, with each wheel's hash and the steps' seconds."""

    schema_: Literal["wheelyard/outcome"] = Field("wheelyard/outcome", alias="schema")
    version_: Literal[1] = Field(1, alias="version")
    wheels: dict[str, Sha256] = Field(min_length=1)
    test_summary: str
    test_command: str
    dropped: tuple[str, ...]
    durations: dict[str, float]


def _held(held: Path) -> tuple[BuildOutcome, dict[str, float]] | None:
    """Return the outcome that is kept in *held*, None if it is not there or not whole: then it is built again."""
    try:
        kept = _Outcome.model_validate_json((held / "outcome.json").read_bytes())
        wheels = tuple(held / WheelName.parse(name).file for name in kept.wheels)
        if any(sha256_file(wheel) != kept.wheels[wheel.name] for wheel in wheels):
            return None
    except (OSError, ValueError):
        return None
    return BuildOutcome(wheels, kept.test_summary, kept.test_command, kept.dropped), kept.durations


def _hold(held: Path, outcome: BuildOutcome, durations: dict[str, float]) -> None:
    files.remove(held)
    for wheel in outcome.wheels:
        files.copy_whole(wheel, held / wheel.name)
    kept = _Outcome(
        wheels={wheel.name: sha256_file(wheel) for wheel in outcome.wheels},
        test_summary=outcome.test_summary,
        test_command=outcome.test_command,
        dropped=outcome.dropped,
        durations=durations,
    )
    files.write_json(held / "outcome.json", kept.model_dump(mode="json"))


def _build(bench: Bench, job: Job, held: Path) -> tuple[BuildOutcome, dict[str, float]]:
    name = "-".join(map(str, job.interpreters))
    work = bench.work / name
    work.mkdir()
    log_file = bench.folder / f"build-{name}.log"
    files.remove(log_file)
    with log.collect() as timings:
        outcome = build(
            BuildRequest(
                job,
                bench.source,
                bench.target.settings,
                bench.image,
                container(bench),
                bench.test,
                work,
                log_file,
                idle=None if engine.native() else bench.project.policy.idle_seconds,
            )
        )
    durations = {timing.title: timing.seconds for timing in timings}
    _hold(held, outcome, durations)
    kept, _ = _held(held) or (outcome, durations)
    return kept, durations


def container(bench: Bench) -> Container:
    """Return how build containers are started: our labels, the host's trust, the network, needed wheels, time."""
    mounts, trust = engine.ca_mounts()
    network = "host" if bench.target.settings.build.network else "none"
    args = [*engine.label_args(), *mounts, f"--network={network}"]
    environment = {**trust, "SOURCE_DATE_EPOCH": str(bench.source.epoch)}
    if bench.source.kind != "sdist":
        # A checkout without its history cannot tell its version.
        environment["SETUPTOOLS_SCM_PRETEND_VERSION"] = bench.target.version
    if "PIP_INDEX_URL" in os.environ and not any(
        name.startswith("UV_") and name in os.environ for name in engine.USER_SETTINGS
    ):
        environment["UV_DEFAULT_INDEX"] = "$PIP_INDEX_URL"  # expanded inside; uv does not read pip's variables
    if bench.needed:
        args.append(f"--volume={bench.project.index.resolve()}:{INDEX_INSIDE}:ro")
        links = [f"{INDEX_INSIDE}/files/{name}" for name in bench.target.settings.needs]
        environment |= {"PIP_FIND_LINKS": " ".join(links), "UV_FIND_LINKS": ",".join(links)}
    constraints = bench.work / "constraints.txt"
    files.write_text(constraints, f"virtualenv=={version('virtualenv')}\n")
    return Container(engine.find(), tuple(args), environment, engine.USER_SETTINGS, constraints)


# ------------------------------------------------------------------- check


def _check(bench: Bench, job: Job, wheels: Sequence[Path]) -> Verdict:
    settings = bench.target.settings.check
    with log.step("Checking wheels"):
        verdict = check_wheels(wheels, job.expected, bench.project.policy, settings)
    if not verdict.ok:
        return verdict  # a wheel that is not sound is not installed
    run_in = engine.run_with_network(bench.image.reference)
    index = bench.project.index if bench.project.index.is_dir() else None
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
                        log_file=bench.folder / f"install-{interpreter}.log",
                    )
                verdict = with_findings(verdict, {wheel.name: findings})
    return verdict


# ------------------------------------------------------------------ record


def _record(  # noqa: PLR0917 - a record is about all of this
    bench: Bench,
    job: Job,
    wheel: Path,
    outcome: BuildOutcome,
    durations: Mapping[str, float],
    inputs: Mapping[ExpectedWheel, str],
) -> WheelRecord:
    name = WheelName.parse(wheel.name)
    expected = next(item for item in job.expected if item.python in name.pythons and item.abi in name.abis)
    image, source, settings = bench.image, bench.source, bench.target.settings
    tested = bool(outcome.test_command) and not set(map(str, expected.interpreters)) <= set(settings.test.skip)
    return WheelRecord(
        package=bench.target.package,
        package_version=bench.target.version,
        wheel=wheel.name,
        sha256=sha256_file(wheel),
        size=wheel.stat().st_size,
        interpreters=tuple(map(str, expected.interpreters)),
        inputs=inputs[expected],
        source=SourceRecord(kind=source.kind, name=source.name, sha256=source.sha256, commit=source.commit),
        recipe=recipe_digest(bench.target),
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
            command=outcome.test_command if tested else "",
            summary=outcome.test_summary if tested else "",
            subset=(settings.test.subset or "") if tested else "",
        ),
        verdict="passed",
        built_at=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=platform.machine(),
        grafts=grafts_of(wheel, image),
    )
