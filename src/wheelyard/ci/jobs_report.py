"""The JSON that ``wheelyard ci plan --format`` prints: the report of a plan's jobs."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from wheelyard.core.model import Model
from wheelyard.records.models import Sha256


class ExpectedFile(Model):
    """A wheel that a job must yield.

    Attributes:
        pattern: its file name, with a star for the glibc floor.
        interpreters: those that install it; the first one builds it.
        fingerprint: its fingerprint, as its record will have it; None while a wheel that it needs is not built.
    """

    pattern: str
    interpreters: tuple[str, ...]
    fingerprint: Sha256 | None


class JobImage(Model):
    """What a job builds in.

    Attributes:
        kind: ``official`` or ``local``.
        choice: what ``--image`` takes for it.
        reference: its name for the container engine.
        digest: of its manifest; of a local image, of what it is made by.
    """

    kind: Literal["official", "local"]
    choice: str
    reference: str
    digest: str


class JobEntry(Model):
    """One job.

    Attributes:
        name: what it is called; there is one of that name.
        package, version: what it builds.
        why: what made it due, for people.
        wave: its wave, from 1 on: what it needs is in those before.
        needs: names of the jobs that it waits for.
        takes: packages of ours that its build or tests take, due or not.
        runner: the label of its machines.
        timeout: seconds that the forge lets it take.
        interpreters: those it builds for.
        image: what it builds in.
        key: the digest of all its inputs; its results are found by it.
        expected: the wheels it must yield.
        seconds: how long it is likely to take.
        pipeline: which of GitLab's pipelines it is in, from 1 on; null if the plan is not for GitLab.
    """

    name: str
    package: str
    version: str
    why: str
    wave: int
    needs: tuple[str, ...]
    takes: tuple[str, ...]
    runner: str
    timeout: int
    interpreters: tuple[str, ...]
    image: JobImage
    key: Sha256
    expected: tuple[ExpectedFile, ...]
    seconds: float
    pipeline: int | None = None


class CriticalPath(Model):
    """What no number of runners makes shorter: jobs that wait for each other, in their order."""

    seconds: float
    jobs: tuple[str, ...]


class Estimate(Model):
    """What a plan is likely to take.

    Attributes:
        runners: how many jobs run at once.
        image_start: seconds until an image has started.
        seconds: from the start of the first job to the end of the last.
        bound: seconds that no way of packing can beat.
        critical: the critical path.
        runner_minutes: minutes that runners are busy, in all.
        timed: how many jobs were timed before; the durations of the others are guessed.
    """

    runners: int
    image_start: int
    seconds: float
    bound: float
    critical: CriticalPath
    runner_minutes: int
    timed: int


class JobMatrix(Model):
    """One matrix of GitHub.

    Attributes:
        name: what it is called.
        wave: its wave.
        gate: whether the next wave waits for it.
        include: its rows.
    """

    name: str
    wave: int
    gate: bool
    include: tuple[dict[str, str | int | tuple[str, ...]], ...]


class LeftOut(Model):
    """A package that is not planned, and why."""

    package: str
    version: str = ""
    reason: str


class JobsReport(Model):
    """What ``wheelyard plan`` prints when it makes jobs.

    Attributes:
        selection: what was asked for: ``names``, ``due``, or a range of commits.
        estimate: what it is likely to take.
        jobs: in the order in which they should start.
        matrices: the same in matrices, for GitHub.
        left_out: what is not planned although it was asked for.
    """

    schema_: Literal["wheelyard/jobs"] = Field("wheelyard/jobs", alias="schema")
    version_: Literal[1] = Field(1, alias="version")
    selection: str
    estimate: Estimate
    jobs: tuple[JobEntry, ...]
    matrices: tuple[JobMatrix, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
