"""A made-up night on a clock: the planner's jobs, one job per package and one job per wheel.

Durations differ from what was expected: the same seed gives each layout the same night.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from wheelyard.ci import BuildJob, Capacity, Layout, lay_out, lower_bound, pack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wheelyard.ci import PackageBuild, PlannedWheel


@dataclass(frozen=True)
class Night:
    """A night in three layouts.

    Attributes:
        bound: seconds that no layout can beat.
        planned: seconds until the planner's last job ends.
        together: the same for one job per package.
        apart: the same for one job per wheel.
        jobs: how many jobs the planner makes.
    """

    bound: float
    planned: float
    together: float
    apart: float
    jobs: int


def night(builds: Sequence[PackageBuild], capacity: Capacity, *, noise: float, seed: int) -> Night:
    """Return how a night goes; each wheel takes up to *noise* more or less than expected, as a share."""
    true = {
        build.name: replace(build, wheels=tuple(_true(wheel, noise, seed) for wheel in build.wheels))
        for build in builds
    }
    wheels = {wheel.expected: wheel for build in true.values() for wheel in build.wheels}

    def seconds(layout: Layout) -> float:
        jobs = [
            BuildJob(true[job.build.name], tuple(wheels[wheel.expected] for wheel in job.wheels)) for job in layout.jobs
        ]
        return lay_out(builds, jobs, capacity).makespan

    planned = pack(builds, capacity)
    return Night(
        bound=lower_bound(list(true.values()), capacity),
        planned=seconds(planned),
        together=seconds(lay_out(builds, [BuildJob(build, build.wheels) for build in builds], capacity)),
        apart=seconds(
            lay_out(builds, [BuildJob(build, (wheel,)) for build in builds for wheel in build.wheels], capacity)
        ),
        jobs=len(planned.jobs),
    )


def _true(wheel: PlannedWheel, noise: float, seed: int) -> PlannedWheel:
    chance = random.Random(f"{seed} {wheel.expected.pattern}")  # noqa: S311 - nothing is kept secret with it
    return replace(wheel, seconds=wheel.seconds * (1 + noise * chance.uniform(-1, 1)))
