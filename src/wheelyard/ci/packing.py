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

    from wheelyard.ci.job_model import Piece, Site, Task

_FULL = 0.8  # of the time that the forge lets a job take


def pack(tasks: Sequence[Task], site: Site) -> Layout:
    """Return the jobs for *tasks*, and the estimate of when each runs.

    Raises:
        PlanError: some packages need each other; the cycle is shown.
    """
    wheels = sum(len(task.pieces) for task in tasks)
    work = sum(task.shared + piece.seconds for task in tasks for piece in task.pieces)
    share = work / site.runners
    length = 0.0 if wheels <= site.runners else max(site.start, share if site.runners == 1 else share / 2)
    return lay_out(tasks, [job for task in tasks for job in _jobs(task, site, length)], site)


def _jobs(task: Task, site: Site, length: float) -> list[BuildJob]:
    """Return *task* in jobs of about *length* seconds, within the limits of *site*."""
    work = sum(piece.seconds for piece in task.pieces)
    count = max(1, math.ceil(len(task.pieces) / site.most))
    if task.known and not site.few:  # a package that was never timed stays together
        count = max(count, math.ceil(work / length) if length else len(task.pieces))
    for number in range(min(count, len(task.pieces)), len(task.pieces) + 1):
        groups = _deal(task.pieces, number, site.most)
        longest = max(sum(piece.seconds for piece in group) for group in groups)
        if site.start + task.shared + longest <= _FULL * site.longest:
            break
    return [BuildJob(task, group) for group in groups]


def _deal(pieces: Sequence[Piece], count: int, most: int) -> list[tuple[Piece, ...]]:
    """Return *pieces* in *count* groups of about the same length: the longest first, each to the shortest with room."""
    heap: list[tuple[float, int]] = [(0.0, number) for number in range(count)]
    groups: list[list[int]] = [[] for _ in range(count)]
    for index in sorted(range(len(pieces)), key=lambda index: (-pieces[index].seconds, index)):
        total, number = heapq.heappop(heap)
        groups[number].append(index)
        if len(groups[number]) < most:
            heapq.heappush(heap, (total + pieces[index].seconds, number))
    return [tuple(pieces[index] for index in group) for group in sorted(map(sorted, filter(None, groups)))]


def lay_out(tasks: Sequence[Task], jobs: Sequence[BuildJob], site: Site) -> Layout:
    """Return *jobs* in the order in which they should start, with the estimate.

    Raises:
        PlanError: some packages need each other; the cycle is shown.
    """
    package_needs = {task.package: set[str]() for task in tasks}
    for task in tasks:
        package_needs[task.package].update(task.needs)
    waves = {package: number for number, wave in enumerate(order.waves(package_needs), 1) for package in wave}
    needs, seconds = job_needs(jobs), [job.seconds(site.start) for job in jobs]
    tails = [0.0] * len(jobs)  # from a job's start until all that waits for it is done, on enough runners
    for number in sorted(range(len(jobs)), key=lambda number: -waves[jobs[number].task.package]):
        tails[number] += seconds[number]
        for need in needs[number]:
            tails[need] = max(tails[need], tails[number])
    sequence = sorted(range(len(jobs)), key=lambda number: (-tails[number], waves[jobs[number].task.package], number))
    place = {number: index for index, number in enumerate(sequence)}
    ordered_needs = tuple(tuple(sorted(place[need] for need in needs[number])) for number in sequence)
    lengths = tuple(seconds[number] for number in sequence)
    return Layout(
        jobs=tuple(jobs[number] for number in sequence),
        needs=ordered_needs,
        waves=tuple(waves[jobs[number].task.package] for number in sequence),
        seconds=lengths,
        begins=_begins(lengths, ordered_needs, site.runners),
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


def lower_bound(tasks: Sequence[Task], site: Site) -> float:
    """Return the seconds that no layout can beat: all work over all runners, or the critical path of single wheels."""
    work = sum(site.start + task.shared + sum(piece.seconds for piece in task.pieces) for task in tasks)
    layout = lay_out(tasks, [BuildJob(task, (piece,)) for task in tasks for piece in task.pieces], site)
    return max(work / site.runners, sum(layout.seconds[number] for number in layout.critical))
