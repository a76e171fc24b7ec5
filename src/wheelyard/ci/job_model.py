"""What there is to do, and the jobs it is done in."""

from __future__ import annotations

import functools
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wheelyard.core.digests import sha256_value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wheelyard.core.tags import Interpreter
    from wheelyard.core.values import ExpectedWheel, Image

# A workflow of GitHub has a step to build and one to keep each wheel of a job, written out: this many of them.
MOST_WHEELS = 6


@dataclass(frozen=True)
class PlannedWheel:
    """A wheel that is due.

    Attributes:
        expected: the wheel.
        seconds: how long it is likely to take.
        fingerprint: its fingerprint, as its record will have it; without the wheels that are built before it.
        exact: whether that is all of them.
    """

    expected: ExpectedWheel
    seconds: float
    fingerprint: str = ""
    exact: bool = True


@dataclass(frozen=True)
class PackageBuild:
    """A version of a package of which wheels are due.

    Attributes:
        package: its canonical name.
        version: the version.
        wheels: the wheels, at least one.
        needs: packages of ours whose wheels its build or tests take.
        shared: seconds that each of its jobs takes before and after the wheels.
        timed: whether its durations are recorded; if not it stays in one job.
        timeout: seconds that its recipe gives the build of one wheel.
        runner: the label of the machines it runs on, empty for the site's.
        image: what it is built in.
        why: what made it due, for people.
    """

    package: str
    version: str
    wheels: tuple[PlannedWheel, ...]
    needs: tuple[str, ...] = ()
    shared: float = 0.0
    timed: bool = True
    timeout: int = 86_400
    runner: str = ""
    image: Image | None = None
    why: str = ""

    @property
    def name(self) -> str:
        """What it is called: package and version."""
        return f"{self.package} {self.version}"


@dataclass(frozen=True)
class BuildJob:
    """One job of a forge: some of a build's wheels, built one after another in one container.

    Attributes:
        build: whose.
        wheels: which.
    """

    build: PackageBuild
    wheels: tuple[PlannedWheel, ...]

    @functools.cached_property
    def interpreters(self) -> tuple[Interpreter, ...]:
        """Those for which it builds, sorted."""
        return tuple(sorted({interpreter for wheel in self.wheels for interpreter in wheel.expected.interpreters}))

    @functools.cached_property
    def builds_for(self) -> frozenset[Interpreter]:
        """The same, as a set."""
        return frozenset(self.interpreters)

    @functools.cached_property
    def name(self) -> str:
        """What it is called; there is only one of that name."""
        return f"{self.build.name} {' '.join(map(str, self.interpreters))}"

    @functools.cached_property
    def _own(self) -> float:
        return self.build.shared + sum(wheel.seconds for wheel in self.wheels)

    def seconds(self, start: float) -> float:
        """Return how long it is likely to take on an image that starts in *start* seconds."""
        return start + self._own


@dataclass(frozen=True)
class Capacity:
    """What jobs run on.

    Attributes:
        runners: how many jobs run at once.
        start: seconds until an image has started.
        longest: seconds that the forge lets a job take.
        most: wheels that one job may build.
        few: whether to make as few jobs as possible, however long each takes.
    """

    runners: int
    start: float
    longest: float = 86_400
    most: int = MOST_WHEELS
    few: bool = False


@dataclass(frozen=True)
class Layout:
    """Jobs in the order in which they should start: the one that holds back most comes first.

    Attributes:
        jobs: all jobs.
        needs: for each job the numbers of the jobs it waits for; these come before it.
        waves: for each job its wave, counted from 1.
        seconds: for each job its expected duration.
        begins: for each job the second in which it is expected to start.
        critical: the numbers of the jobs on the critical path.
    """

    jobs: tuple[BuildJob, ...] = ()
    needs: tuple[tuple[int, ...], ...] = ()
    waves: tuple[int, ...] = ()
    seconds: tuple[float, ...] = ()
    begins: tuple[float, ...] = ()
    critical: tuple[int, ...] = ()

    @property
    def makespan(self) -> float:
        """Seconds from the start of the first job to the end of the last."""
        return max((begin + length for begin, length in zip(self.begins, self.seconds, strict=True)), default=0.0)


def job_needs(jobs: Sequence[BuildJob]) -> list[tuple[int, ...]]:
    """Return for each job the numbers of those it waits for: only what is built for one of its own interpreters.

    Of a needed package that has nothing for one of them all jobs are waited for: its wheels may fit all the same.
    """
    by_package: dict[str, list[int]] = defaultdict(list)
    for number, job in enumerate(jobs):
        by_package[job.build.package].append(number)
    needs = []
    for job in jobs:
        job_numbers: list[int] = []
        for need in job.build.needs:
            numbers = by_package.get(need, [])
            built = {number: job.builds_for & jobs[number].builds_for for number in numbers}
            is_complete = job.builds_for <= frozenset().union(*built.values())
            job_numbers += [number for number in numbers if built[number] or not is_complete]
        needs.append(tuple(job_numbers))
    return needs


def keys(jobs: Sequence[BuildJob], needs: Sequence[Sequence[int]]) -> list[str]:
    """Return the cache key of each job: the digest of its wheels' fingerprints, and of the keys of what it waits for.

    *needs* must have no cycle.
    """
    key_by_job: dict[int, str] = {}

    def key(number: int) -> str:
        if number not in key_by_job:
            fingerprints = sorted(wheel.fingerprint for wheel in jobs[number].wheels)
            key_by_job[number] = sha256_value(
                {"fingerprints": fingerprints, "needs": sorted(key(other) for other in needs[number])}
            )
        return key_by_job[number]

    return [key(number) for number in range(len(jobs))]
