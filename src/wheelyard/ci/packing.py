"""Packing: how many of a package's wheels share a job.

Each job starts an image: few jobs waste the least time, and many jobs keep the most runners busy. The rule: a job has
about as much work as an image takes to start, or half of a runner's fair share of all work, whichever is more. Where
there is a runner for every wheel, each wheel has a job of its own.
"""

from __future__ import annotations

import heapq
import math
from typing import TYPE_CHECKING

from wheelyard.ci import order
from wheelyard.ci.job_model import BuildJob, Layout, job_needs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wheelyard.ci.job_model import Capacity, PackageBuild, PlannedWheel

_FULL = 0.8  # of the time that the forge lets a job take


def pack(builds: Sequence[PackageBuild], capacity: Capacity) -> Layout:
    """Return the jobs for *builds*, and the estimate of when each runs.

    Raises:
        PlanError: some packages need each other; the cycle is shown.
    """
    wheels = sum(len(build.wheels) for build in builds)
    work = sum(build.shared + wheel.seconds for build in builds for wheel in build.wheels)
    share = work / capacity.runners
    length = 0.0 if wheels <= capacity.runners else max(capacity.start, share if capacity.runners == 1 else share / 2)
    return lay_out(builds, [job for build in builds for job in _jobs(build, capacity, length)], capacity)


def _jobs(build: PackageBuild, capacity: Capacity, length: float) -> list[BuildJob]:
    """Return *build* in jobs of about *length* seconds, within the limits of *capacity*."""
    work = sum(wheel.seconds for wheel in build.wheels)
    count = max(1, math.ceil(len(build.wheels) / capacity.most))
    if build.timed and not capacity.few:  # a package that was never timed stays together
        count = max(count, math.ceil(work / length) if length else len(build.wheels))
    for number in range(min(count, len(build.wheels)), len(build.wheels) + 1):
        groups = _deal(build.wheels, number, capacity.most)
        longest = max(sum(wheel.seconds for wheel in group) for group in groups)
        if capacity.start + build.shared + longest <= _FULL * capacity.longest:
            break
    return [BuildJob(build, group) for group in groups]


def _deal(wheels: Sequence[PlannedWheel], count: int, most: int) -> list[tuple[PlannedWheel, ...]]:
    """Return *wheels* in *count* groups of about the same length: the longest first, each to the shortest with room."""
    heap: list[tuple[float, int]] = [(0.0, number) for number in range(count)]
    groups: list[list[int]] = [[] for _ in range(count)]
    for index in sorted(range(len(wheels)), key=lambda index: (-wheels[index].seconds, index)):
        total, number = heapq.heappop(heap)
        groups[number].append(index)
        if len(groups[number]) < most:
            heapq.heappush(heap, (total + wheels[index].seconds, number))
    return [tuple(wheels[index] for index in group) for group in sorted(map(sorted, filter(None, groups)))]


def lay_out(builds: Sequence[PackageBuild], jobs: Sequence[BuildJob], capacity: Capacity) -> Layout:
    """Return *jobs* in the order in which they should start, with the estimate.

    Raises:
        PlanError: some packages need each other; the cycle is shown.
    """
    package_needs = {build.package: set[str]() for build in builds}
    for build in builds:
        package_needs[build.package].update(build.needs)
    waves = {package: number for number, wave in enumerate(order.waves(package_needs), 1) for package in wave}
    needs, seconds = job_needs(jobs), [job.seconds(capacity.start) for job in jobs]
    tails = [0.0] * len(jobs)  # from a job's start until all that waits for it is done, on enough runners
    for number in sorted(range(len(jobs)), key=lambda number: -waves[jobs[number].build.package]):
        tails[number] += seconds[number]
        for need in needs[number]:
            tails[need] = max(tails[need], tails[number])
    sequence = sorted(range(len(jobs)), key=lambda number: (-tails[number], waves[jobs[number].build.package], number))
    place = {number: index for index, number in enumerate(sequence)}
    ordered_needs = tuple(tuple(sorted(place[need] for need in needs[number])) for number in sequence)
    lengths = tuple(seconds[number] for number in sequence)
    return Layout(
        jobs=tuple(jobs[number] for number in sequence),
        needs=ordered_needs,
        waves=tuple(waves[jobs[number].build.package] for number in sequence),
        seconds=lengths,
        begins=_begins(lengths, ordered_needs, capacity.runners),
        critical=_critical(lengths, ordered_needs),
    )


def _begins(lengths: Sequence[float], needs: Sequence[Sequence[int]], runners: int) -> tuple[float, ...]:
    """Return when each job starts, if each free runner takes the first job in the list that waits for nothing more."""
    waiting = [len(need) for need in needs]
    users: list[list[int]] = [[] for _ in needs]
    for number, need in enumerate(needs):
        for other in need:
            users[other].append(number)
    ready = [number for number, count in enumerate(waiting) if not count]
    running: list[tuple[float, int]] = []
    begins, now = [0.0] * len(lengths), 0.0
    while ready or running:
        while ready and len(running) < runners:
            number = heapq.heappop(ready)
            begins[number] = now
            heapq.heappush(running, (now + lengths[number], number))
        now, number = heapq.heappop(running)
        for user in users[number]:
            waiting[user] -= 1
            if not waiting[user]:
                heapq.heappush(ready, user)
    return tuple(begins)


def _critical(lengths: Sequence[float], needs: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """Return the chain of jobs that takes longest: no number of runners makes it shorter."""
    ends: list[float] = []
    for length, need in zip(lengths, needs, strict=True):
        ends.append(length + max((ends[other] for other in need), default=0.0))
    path = [max(range(len(ends)), key=lambda number: (ends[number], -number))] if ends else []
    while path and needs[path[-1]]:
        path.append(max(needs[path[-1]], key=lambda number: (ends[number], -number)))
    return tuple(reversed(path))


def lower_bound(builds: Sequence[PackageBuild], capacity: Capacity) -> float:
    """Return the seconds that no layout can beat: all work over all runners, or the critical path of single wheels."""
    work = sum(capacity.start + build.shared + sum(wheel.seconds for wheel in build.wheels) for build in builds)
    layout = lay_out(builds, [BuildJob(build, (wheel,)) for build in builds for wheel in build.wheels], capacity)
    return max(work / capacity.runners, sum(layout.seconds[number] for number in layout.critical))
