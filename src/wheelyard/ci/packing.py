"""Packing: how many of a package's wheels share a job, so that all are done soonest.

A job of its own for each wheel runs side by side, but starts an image each time; one job for all starts one, and
keeps what waits for it waiting. In between lies a longest job that is worth having: it is looked for among the lengths
that jobs of this plan can have, each tried on the clock (list scheduling: of what is ready, that which holds back most
starts first). Both extremes are among what is tried, so that no plan is slower than either. Then single packages are
split further where that ends the plan sooner, and joined again where it costs nothing.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wheelyard.ci import clock, order
from wheelyard.ci.job_model import BuildJob, Piece, Task, job_needs

if TYPE_CHECKING:
    from collections.abc import Sequence

_CAPS = 12  # lengths that are tried
_EFFORT = 20_000  # jobs placed on the clock while single packages are improved
# A workflow of GitHub has a step to build and one to keep each wheel of a job, written out: this many of them.
MOST_WHEELS = 6
_FULL = 0.8  # of what the forge lets a job take, that it may be planned to
_WORTH = 1.0  # seconds below which an improvement is none


@dataclass(frozen=True)
class Site:
    """What jobs run on.

    Attributes:
        runners: how many run at once.
        start: seconds until an image has started.
        longest: seconds that the forge lets a job take.
        most: wheels that one job may build.
        few: whether there are to be as few jobs as may be, however long each takes.
    """

    runners: int
    start: float
    longest: float = 86_400
    most: int = MOST_WHEELS
    few: bool = False


@dataclass(frozen=True)
class Layout:
    """Jobs, in the order in which they should start.

    Attributes:
        jobs: all of them.
        needs: for each the numbers of those it waits for.
        waves: for each its wave, counted from 1.
        seconds: for each how long it is likely to take.
        slots: when each is likely to run.
    """

    jobs: tuple[BuildJob, ...]
    needs: tuple[tuple[int, ...], ...]
    waves: tuple[int, ...]
    seconds: tuple[float, ...]
    slots: tuple[clock.Slot, ...]

    @property
    def makespan(self) -> float:
        """Seconds from the start of the first to the end of the last."""
        return clock.makespan(self.slots)

    @property
    def work(self) -> float:
        """Seconds that runners are busy, in all."""
        return sum(self.seconds)

    def critical(self) -> tuple[float, tuple[BuildJob, ...]]:
        """Return the critical path: what no number of runners makes shorter."""
        length, path = clock.longest_path(self.seconds, self.needs)
        return length, tuple(self.jobs[number] for number in path)


def pack(tasks: Sequence[Task], site: Site) -> Layout:
    """Return the jobs in which *tasks* are done soonest.

    Raises:
        PlanError: some need each other; the cycle is shown.
    """
    waves = _waves(tasks)
    if not tasks:
        return Layout((), (), (), (), ())
    search = _Search([_Choices(task, site) for task in tasks], site)
    return search.best().layout(waves)


def lay_out(tasks: Sequence[Task], site: Site, *, together: bool) -> Layout:
    """Return the plain layouts: one job for each package, or as the incumbent does one for each wheel, as they come.

    Raises:
        PlanError: some need each other; the cycle is shown.
    """
    jobs = [
        BuildJob(task, pieces)
        for task in tasks
        for pieces in ([task.pieces] if together else [(piece,) for piece in task.pieces])
    ]
    return _Trial([], jobs, site, ranked=False).layout(_waves(tasks))


def lower_bound(tasks: Sequence[Task], site: Site) -> float:
    """Return the seconds that no layout can beat: all that must be done over all runners, or the longest chain."""
    work = sum(site.start + task.shared + sum(piece.seconds for piece in task.pieces) for task in tasks)
    jobs = [BuildJob(task, (piece,)) for task in tasks for piece in task.pieces]
    chain, _ = clock.longest_path([job.seconds(site.start) for job in jobs], job_needs(jobs))
    return max(work / site.runners, chain)


# ------------------------------------------------------------------ choosing


class _Choices:
    """The ways in which one task can be split: into one job, two, and so on."""

    def __init__(self, task: Task, site: Site) -> None:
        self.task = task
        once = site.start + task.shared
        all_of_them = len(task.pieces)
        counts = range(-(-all_of_them // site.most), all_of_them + 1)
        splits = [_split(task.pieces, count, site.most) for count in counts]
        longest = [once + max(sum(piece.seconds for piece in group) for group in split) for split in splits]
        fitting = (number for number, seconds in enumerate(longest) if seconds <= _FULL * site.longest)
        self.least = next(fitting, len(splits) - 1)
        # What was never timed is split no further than it must be.
        end = len(splits) if task.known and not site.few else self.least + 1
        self.ways = [[BuildJob(task, group) for group in split] for split in splits[:end]]  # made once, tried often
        self.longest = longest[:end]

    def under(self, cap: float) -> int:
        """Return the fewest splits that keep every job below *cap*, or the most there are."""
        for number in range(self.least, len(self.ways)):
            if self.longest[number] <= cap:
                return number
        return len(self.ways) - 1


def _split(pieces: Sequence[Piece], count: int, most: int) -> list[tuple[Piece, ...]]:
    """Deal *pieces* out to *count* jobs of about the same length: the longest first, each to the shortest with room."""
    heap: list[tuple[float, int]] = [(0.0, number) for number in range(count)]
    groups: list[list[int]] = [[] for _ in range(count)]
    for index in sorted(range(len(pieces)), key=lambda index: (-pieces[index].seconds, index)):
        total, number = heapq.heappop(heap)
        groups[number].append(index)
        if len(groups[number]) < most:
            heapq.heappush(heap, (total + pieces[index].seconds, number))
    return [tuple(pieces[index] for index in group) for group in sorted(map(sorted, filter(None, groups)))]


def _caps(choices: Sequence[_Choices]) -> list[float]:
    lengths = sorted({length for choice in choices for length in choice.longest})
    step = max(1, len(lengths) // _CAPS)
    return [0.0, *lengths[::step], lengths[-1]]


class _Trial:
    """Jobs on the clock.

    Attributes:
        counts: how each task is split.
        jobs, needs, seconds: the jobs, whom each waits for, and how long it takes.
        slots: when each runs.
        makespan: when the last one ends.
    """

    def __init__(self, counts: list[int], jobs: Sequence[BuildJob], site: Site, *, ranked: bool) -> None:
        self.counts = counts
        self.jobs = jobs
        self.needs = job_needs(jobs)
        self.seconds = [job.seconds(site.start) for job in jobs]
        self._ranks = clock.tails(self.seconds, self.needs) if ranked else [0.0] * len(jobs)
        self.slots = clock.play(self.seconds, self.needs, self._ranks, site.runners)
        self.makespan = clock.makespan(self.slots)

    @property
    def price(self) -> tuple[int, float]:
        """What is to be small: of plans that end in the same second, the one that keeps runners the least busy."""
        return round(self.makespan / _WORTH), sum(self.seconds)

    def layout(self, waves: dict[str, int]) -> Layout:
        """Return the jobs in the order in which they should start."""

        def order(number: int) -> tuple[float, float, int, int]:
            # Of equal ranks who began first: a queue that goes by this order runs as was planned here. The wave is for
            # jobs that take no time at all.
            return -self._ranks[number], self.slots[number].begin, waves[self.jobs[number].task.name], number

        sequence = sorted(range(len(self.jobs)), key=order)
        place = {number: index for index, number in enumerate(sequence)}
        return Layout(
            tuple(self.jobs[number] for number in sequence),
            tuple(tuple(sorted(place[other] for other in self.needs[number])) for number in sequence),
            tuple(waves[self.jobs[number].task.name] for number in sequence),
            tuple(self.seconds[number] for number in sequence),
            tuple(self.slots[number] for number in sequence),
        )


class _Search:
    """Looks for the best way to split all tasks."""

    def __init__(self, choices: Sequence[_Choices], site: Site) -> None:
        self._choices = choices
        self._site = site
        self._effort = _EFFORT

    def best(self) -> _Trial:
        """Return the best that was found."""
        return self._joined(self._split(self._capped()))

    def _try(self, counts: list[int], *, ranked: bool = True) -> _Trial:
        jobs = [job for choice, count in zip(self._choices, counts, strict=True) for job in choice.ways[count]]
        return _Trial(counts, jobs, self._site, ranked=ranked)

    def _capped(self) -> _Trial:
        """Return the best of those in which no job is longer than need be for one and the same limit."""
        caps = _caps(self._choices)
        best = self._try([choice.under(caps[0]) for choice in self._choices])
        for cap in caps[1:]:
            best = min(best, self._try([choice.under(cap) for choice in self._choices]), key=lambda one: one.price)
        # The rare plan in which what comes first had better start first.
        for counts in ([one.least for one in self._choices], [len(one.ways) - 1 for one in self._choices]):
            best = min(best, self._try(counts, ranked=False), key=lambda one: one.price)
        return best

    def _changed(self, trial: _Trial, number: int, by: int) -> _Trial:
        self._effort -= len(trial.jobs)
        counts = [*trial.counts]
        counts[number] += by
        return self._try(counts)

    def _split(self, trial: _Trial) -> _Trial:
        """Split what ends last as long as that helps."""
        number_of = {choice.task.name: number for number, choice in enumerate(self._choices)}
        while self._effort > 0:
            last = max(range(len(trial.jobs)), key=lambda index: (trial.slots[index].end, -index))
            number = number_of[trial.jobs[last].task.name]
            if trial.counts[number] + 1 >= len(self._choices[number].ways):
                return trial
            new = self._changed(trial, number, 1)
            if new.makespan > trial.makespan - _WORTH:
                return trial
            trial = new
        return trial

    def _joined(self, trial: _Trial) -> _Trial:
        """Join what need not be split."""
        for number, choice in enumerate(self._choices):
            while self._effort > 0 and trial.counts[number] > choice.least:
                new = self._changed(trial, number, -1)
                if new.makespan > trial.makespan:
                    break
                trial = new
        return trial


def _waves(tasks: Sequence[Task]) -> dict[str, int]:
    needs = {task.package: set[str]() for task in tasks}
    for task in tasks:
        needs[task.package].update(task.needs)
    found = {package: number for number, wave in enumerate(order.waves(needs), 1) for package in wave}
    return {task.name: found[task.package] for task in tasks}
