"""Packing: every wheel in one job, in order, and finished as soon as can be."""

from __future__ import annotations

import dataclasses
from collections import Counter

import pytest
from benchmarks.synthetic import tasks as synthetic_tasks
from hypothesis import given, settings
from hypothesis import strategies as st

from support.tasks import packed, sites, some_tasks, task
from wheelyard.ci import Layout, Site, Task, lower_bound, pack
from wheelyard.ci.job_model import keys
from wheelyard.core.errors import PlanError

MOMENT = 1e-6


@given(some_tasks(), sites)
def test_every_wheel_is_in_exactly_one_job(tasks: tuple[Task, ...], site: Site) -> None:
    layout = pack(tasks, site)
    there = Counter((job.task.name, piece.wheel.pattern) for job in layout.jobs for piece in job.pieces)
    assert there == Counter((each.name, piece.wheel.pattern) for each in tasks for piece in each.pieces)
    assert len({job.name for job in layout.jobs}) == len(layout.jobs)


@given(some_tasks(), sites)
def test_nothing_starts_before_what_it_needs(tasks: tuple[Task, ...], site: Site) -> None:
    layout = pack(tasks, site)
    for number, wanted in enumerate(layout.needs):
        for other in wanted:
            assert other < number  # the order in which they are listed is one in which they can start
            assert layout.begins[other] + layout.seconds[other] <= layout.begins[number] + MOMENT
            assert layout.waves[other] < layout.waves[number]
    planned = {job.task.package for job in layout.jobs}
    for number, job in enumerate(layout.jobs):
        assert {layout.jobs[other].task.package for other in layout.needs[number]} == planned & set(job.task.needs)


@given(some_tasks(), sites)
def test_no_more_run_at_once_than_there_are_runners(tasks: tuple[Task, ...], site: Site) -> None:
    layout = pack(tasks, site)
    slots = list(zip(layout.begins, layout.seconds, strict=True))
    for begin, _ in slots:
        running = [other for other, length in slots if other <= begin < other + length]
        assert len(running) <= site.runners


@given(some_tasks(), sites)
def test_the_estimate_is_between_the_bound_and_grahams(tasks: tuple[Task, ...], site: Site) -> None:
    """List scheduling ends by all work over all runners and the critical path (Graham, 1969)."""
    layout = pack(tasks, site)
    critical = sum(layout.seconds[number] for number in layout.critical)
    assert lower_bound(tasks, site) - MOMENT <= layout.makespan
    assert critical - MOMENT <= layout.makespan <= sum(layout.seconds) / site.runners + critical + MOMENT


@given(some_tasks(), sites)
def test_the_critical_path_is_a_chain(tasks: tuple[Task, ...], site: Site) -> None:
    layout = pack(tasks, site)
    assert all(
        first in layout.needs[second] for first, second in zip(layout.critical, layout.critical[1:], strict=False)
    )


@given(some_tasks(), sites)
def test_what_was_never_timed_stays_together(tasks: tuple[Task, ...], site: Site) -> None:
    layout = pack(tasks, site)
    jobs = Counter(job.task.name for job in layout.jobs)
    assert all(jobs[each.name] == 1 for each in tasks if not each.known)


def test_idle_runners_are_used() -> None:
    layout = packed(task("torch", 3600, 3600, 3600, 3600), runners=4, start=60)
    assert [len(job.pieces) for job in layout.jobs] == [1, 1, 1, 1]
    assert layout.makespan == 3660


def test_an_image_that_starts_slowly_is_started_seldom() -> None:
    tasks = [task(f"p{number}", 60, 60, 60, 60) for number in range(8)]
    assert len(pack(tasks, Site(8, 600)).jobs) == 8
    assert len(pack(tasks, Site(32, 600)).jobs) == 32  # with a runner for each wheel, nobody waits for anybody


def test_what_holds_others_back_starts_first() -> None:
    layout = packed(task("alone", 500), task("base", 100), task("late", 900, needs=["base"]), runners=1, start=0)
    assert [job.task.package for job in layout.jobs] == ["base", "late", "alone"]


def test_a_job_waits_for_its_own_interpreters_only() -> None:
    layout = packed(task("numpy", 900, 900), task("pandas", 900, 900, needs=["numpy"]), runners=4, start=0)
    names = {layout.jobs[n].name: [layout.jobs[o].name for o in wanted] for n, wanted in enumerate(layout.needs)}
    assert names["pandas 1.0 cp312"] == ["numpy 1.0 cp312"]
    assert names["pandas 1.0 cp313"] == ["numpy 1.0 cp313"]
    assert layout.makespan == 1800


@pytest.mark.parametrize("known", [True, False])
def test_no_job_is_planned_near_what_the_forge_lets_it_take(known: bool) -> None:
    layout = pack([task("slow", 3000, 3000, 3000, known=known)], Site(1, 60, longest=7200))
    assert [len(job.pieces) for job in layout.jobs] == [1, 1, 1]  # two would take 6060 of 7200 seconds


@given(some_tasks(), sites, st.integers(1, 6))
def test_no_job_has_more_wheels_than_it_may(tasks: tuple[Task, ...], site: Site, most: int) -> None:
    layout = pack(tasks, dataclasses.replace(site, most=most))
    assert all(len(job.pieces) <= most for job in layout.jobs)
    there = Counter((job.task.name, piece.wheel.pattern) for job in layout.jobs for piece in job.pieces)
    assert there == Counter((each.name, piece.wheel.pattern) for each in tasks for piece in each.pieces)


def test_short_wheels_beside_long_ones_do_not_share_a_job_that_is_full() -> None:
    seconds = (6000, 6000, 6000, 1200, 600, 600)
    assert all(len(job.pieces) <= 2 for job in pack([task("a", *seconds)], Site(8, 60, most=2)).jobs)
    nine = [6000, 6000, *[600] * 7]
    assert all(len(job.pieces) <= 6 for job in pack([task("a", *nine)], Site(2, 60)).jobs)


@pytest.mark.parametrize("known", [True, False])
def test_where_a_job_keeps_its_wheels_only_when_it_ends_each_has_its_own(known: bool) -> None:
    tasks = [task("base", 60, 60, known=known), task("late", 60, 60, 60, needs=["base"], known=known)]
    assert [len(job.pieces) for job in pack(tasks, Site(1, 600, most=1)).jobs] == [1] * 5
    assert max(len(job.pieces) for job in pack(tasks, Site(1, 600, most=2)).jobs) == 2


def test_a_cycle_is_told() -> None:
    with pytest.raises(PlanError, match="a needs b needs a"):
        packed(task("a", 1, needs=["b"]), task("b", 1, needs=["a"]))


def test_nothing_takes_no_time() -> None:
    layout = packed()
    assert (layout.jobs, layout.makespan, layout.critical) == ((), 0, ())
    assert lower_bound([], Site(4, 60)) == 0


@given(st.integers(0, 1000))
@settings(max_examples=25)
def test_a_night_of_eighty_packages_ends_within_a_quarter_of_the_bound(seed: int) -> None:
    tasks, site = synthetic_tasks(80, seed=seed), Site(8, 600)
    assert pack(tasks, site).makespan <= 1.25 * lower_bound(tasks, site)


def test_a_key_is_the_digest_of_all_that_decides() -> None:
    def key(layout: Layout) -> str:
        return keys(layout.jobs, layout.needs)[-1]

    plain = key(packed(task("a", 1), task("b", 1, needs=["a"])))
    assert plain == key(packed(task("a", 9), task("b", 7, needs=["a"])))  # how long it takes decides nothing
    assert plain != key(packed(task("a", 1, mark="!"), task("b", 1, needs=["a"])))  # what it takes from a does
    assert plain != key(packed(task("a", 1), task("b", 1, needs=["a"], mark="!")))
    assert len(plain) == 64
