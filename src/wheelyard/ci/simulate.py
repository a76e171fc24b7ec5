"""A night in the clock's time: the planner's layout and others, with queues, failures and builds that take their time.

What happens to a wheel does not depend on the layout: the same seed gives every layout the same night. A wheel that
fails does not keep the others of its job from being built, but what needs the job is not tried, as on GitLab.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from wheelyard.ci import clock
from wheelyard.ci.packing import Layout, Site, lay_out, lower_bound, pack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wheelyard.ci.job_model import Piece, Task


@dataclass(frozen=True)
class Conditions:
    """What a night is like.

    Attributes:
        site: what jobs run on.
        failures: how many of a hundred wheels fail to build, as a share of one.
        noise: how far durations are from what was expected, as a share of one, either way.
        queue: seconds that a job waits for its runner on the average, beyond other jobs of its plan.
        seed: which night.
    """

    site: Site
    failures: float = 0.0
    noise: float = 0.0
    queue: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class Night:
    """How it went in one layout.

    Attributes:
        jobs: how many there were.
        makespan: seconds until the last one ended.
        work: seconds that runners were busy, in all.
        built, failed, stopped: wheels that came out, that did not, and that nobody could try for what failed before.
    """

    jobs: int
    makespan: float
    work: float
    built: int
    failed: int
    stopped: int


@dataclass(frozen=True)
class Comparison:
    """One night, in three layouts.

    Attributes:
        packages, wheels: what was due.
        bound: seconds that no layout can beat if nothing fails.
        planned: the planner's.
        together: one job for each package.
        apart: one job for each wheel, as they come.
    """

    packages: int
    wheels: int
    bound: float
    planned: Night
    together: Night
    apart: Night


def compare(tasks: Sequence[Task], conditions: Conditions) -> Comparison:
    """Return how a night goes in the planner's layout and in the plain ones.

    Raises:
        PlanError: some of *tasks* need each other; the cycle is shown.
    """
    site = conditions.site
    true = [_true(task, conditions) for task in tasks]
    return Comparison(
        packages=len(tasks),
        wheels=sum(len(task.pieces) for task in tasks),
        bound=lower_bound(true, site),
        planned=run(pack(tasks, site), conditions),
        together=run(lay_out(tasks, site, together=True), conditions),
        apart=run(lay_out(tasks, site, together=False), conditions),
    )


def run(layout: Layout, conditions: Conditions) -> Night:
    """Return how a night goes in one layout: of the jobs that can start, those that come first in it do."""
    fates = [[_fate(piece, conditions) for piece in job.pieces] for job in layout.jobs]
    lengths = [
        conditions.site.start + job.task.shared + sum(fate.seconds for fate in each)
        for job, each in zip(layout.jobs, fates, strict=True)
    ]
    failing = {number for number, each in enumerate(fates) if any(fate.fails for fate in each)}
    waits = [_wait(job.name, conditions) for job in layout.jobs] if conditions.queue else ()
    slots = clock.play(lengths, layout.needs, [0.0] * len(lengths), conditions.site.runners, failing, waits)
    ran = [each for each, slot in zip(fates, slots, strict=True) if slot.state != "stopped"]
    failed = sum(fate.fails for each in ran for fate in each)
    tried = sum(map(len, ran))
    return Night(
        jobs=len(lengths),
        makespan=clock.makespan(slots),
        work=sum(slot.end - slot.begin for slot in slots),
        built=tried - failed,
        failed=failed,
        stopped=sum(map(len, fates)) - tried,
    )


class _Fate(NamedTuple):
    """What becomes of a wheel: how long it takes, whether it fails then, and how long it would have taken."""

    seconds: float
    fails: bool
    whole: float


def _true(task: Task, conditions: Conditions) -> Task:
    return replace(task, pieces=tuple(replace(piece, seconds=_fate(piece, conditions).whole) for piece in task.pieces))


def _fate(piece: Piece, conditions: Conditions) -> _Fate:
    chance = random.Random(f"{conditions.seed} {piece.wheel.pattern}")  # noqa: S311 - nothing is kept secret with it
    whole = piece.seconds * (1 + conditions.noise * chance.uniform(-1, 1))
    fails = chance.random() < conditions.failures
    return _Fate(whole * chance.random() if fails else whole, fails, whole)


def _wait(name: str, conditions: Conditions) -> float:
    chance = random.Random(f"{conditions.seed} {name}")  # noqa: S311 - nothing is kept secret with it
    return chance.expovariate(1 / conditions.queue)
