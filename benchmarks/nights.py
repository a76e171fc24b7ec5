"""A made-up night on a clock: the planner's jobs, one job per package and one job per wheel.

Durations differ from what was expected: the same seed gives each layout the same night.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from wheelyard.ci import BuildJob, Layout, Site, lay_out, lower_bound, pack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wheelyard.ci import Piece, Task


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


def night(tasks: Sequence[Task], site: Site, *, noise: float, seed: int) -> Night:
    """Return how a night goes; each wheel takes up to *noise* more or less than expected, as a share."""
    true = {
        task.name: replace(task, pieces=tuple(_true(piece, noise, seed) for piece in task.pieces)) for task in tasks
    }
    wheels = {piece.wheel: piece for task in true.values() for piece in task.pieces}

    def seconds(layout: Layout) -> float:
        jobs = [
            BuildJob(true[job.task.name], tuple(wheels[piece.wheel] for piece in job.pieces)) for job in layout.jobs
        ]
        return lay_out(tasks, jobs, site).makespan

    planned = pack(tasks, site)
    return Night(
        bound=lower_bound(list(true.values()), site),
        planned=seconds(planned),
        together=seconds(lay_out(tasks, [BuildJob(task, task.pieces) for task in tasks], site)),
        apart=seconds(lay_out(tasks, [BuildJob(task, (piece,)) for task in tasks for piece in task.pieces], site)),
        jobs=len(planned.jobs),
    )


def _true(piece: Piece, noise: float, seed: int) -> Piece:
    chance = random.Random(f"{seed} {piece.wheel.pattern}")  # noqa: S311 - nothing is kept secret with it
    return replace(piece, seconds=piece.seconds * (1 + noise * chance.uniform(-1, 1)))
