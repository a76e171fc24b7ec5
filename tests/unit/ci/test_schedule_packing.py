"""Packing: every wheel in one job, in order, and finished as soon as can be."""

from __future__ import annotations

import dataclasses
from collections import Counter

import pytest
from benchmarks.synthetic import builds as synthetic_builds
from hypothesis import given, settings
from hypothesis import strategies as st

from support.builds import build_of, capacities, packed, some_builds
from wheelyard.ci import Capacity, Layout, PackageBuild, lower_bound, pack
from wheelyard.ci.job_model import keys
from wheelyard.core.errors import PlanError

MOMENT = 1e-6


@given(some_builds(), capacities)
def test_every_wheel_is_in_exactly_one_job(builds: tuple[PackageBuild, ...], capacity: Capacity) -> None:
    layout = pack(builds, capacity)
    there = Counter((job.build.name, wheel.expected.pattern) for job in layout.jobs for wheel in job.wheels)
    assert there == Counter((each.name, wheel.expected.pattern) for each in builds for wheel in each.wheels)
    assert len({job.name for job in layout.jobs}) == len(layout.jobs)


@given(some_builds(), capacities)
def test_nothing_starts_before_what_it_needs(builds: tuple[PackageBuild, ...], capacity: Capacity) -> None:
    layout = pack(builds, capacity)
    for number, wanted in enumerate(layout.needs):
        for other in wanted:
            assert other < number  # the order in which they are listed is one in which they can start
            assert layout.begins[other] + layout.seconds[other] <= layout.begins[number] + MOMENT
            assert layout.waves[other] < layout.waves[number]
    planned = {job.build.package for job in layout.jobs}
    for number, job in enumerate(layout.jobs):
        assert {layout.jobs[other].build.package for other in layout.needs[number]} == planned & set(job.build.needs)


@given(some_builds(), capacities)
def test_no_more_run_at_once_than_there_are_runners(builds: tuple[PackageBuild, ...], capacity: Capacity) -> None:
    layout = pack(builds, capacity)
    slots = list(zip(layout.begins, layout.seconds, strict=True))
    for begin, _ in slots:
        running = [other for other, length in slots if other <= begin < other + length]
        assert len(running) <= capacity.runners


@given(some_builds(), capacities)
def test_the_estimate_is_between_the_bound_and_grahams(builds: tuple[PackageBuild, ...], capacity: Capacity) -> None:
    """List scheduling ends by all work over all runners and the critical path (Graham, 1969)."""
    layout = pack(builds, capacity)
    critical = sum(layout.seconds[number] for number in layout.critical)
    assert lower_bound(builds, capacity) - MOMENT <= layout.makespan
    assert critical - MOMENT <= layout.makespan <= sum(layout.seconds) / capacity.runners + critical + MOMENT


@given(some_builds(), capacities)
def test_the_critical_path_is_a_chain(builds: tuple[PackageBuild, ...], capacity: Capacity) -> None:
    layout = pack(builds, capacity)
    assert all(
        first in layout.needs[second] for first, second in zip(layout.critical, layout.critical[1:], strict=False)
    )


@given(some_builds(), capacities)
def test_what_was_never_timed_stays_together(builds: tuple[PackageBuild, ...], capacity: Capacity) -> None:
    layout = pack(builds, capacity)
    jobs = Counter(job.build.name for job in layout.jobs)
    assert all(jobs[each.name] == 1 for each in builds if not each.timed)


def test_idle_runners_are_used() -> None:
    layout = packed(build_of("torch", 3600, 3600, 3600, 3600), runners=4, start=60)
    assert [len(job.wheels) for job in layout.jobs] == [1, 1, 1, 1]
    assert layout.makespan == 3660


def test_an_image_that_starts_slowly_is_started_seldom() -> None:
    builds = [build_of(f"p{number}", 60, 60, 60, 60) for number in range(8)]
    assert len(pack(builds, Capacity(8, 600)).jobs) == 8
    assert len(pack(builds, Capacity(32, 600)).jobs) == 32  # with a runner for each wheel, nobody waits for anybody


def test_what_holds_others_back_starts_first() -> None:
    layout = packed(
        build_of("alone", 500), build_of("base", 100), build_of("late", 900, needs=["base"]), runners=1, start=0
    )
    assert [job.build.package for job in layout.jobs] == ["base", "late", "alone"]


def test_a_job_waits_for_its_own_interpreters_only() -> None:
    layout = packed(build_of("numpy", 900, 900), build_of("pandas", 900, 900, needs=["numpy"]), runners=4, start=0)
    names = {layout.jobs[n].name: [layout.jobs[o].name for o in wanted] for n, wanted in enumerate(layout.needs)}
    assert names["pandas 1.0 cp312"] == ["numpy 1.0 cp312"]
    assert names["pandas 1.0 cp313"] == ["numpy 1.0 cp313"]
    assert layout.makespan == 1800


@pytest.mark.parametrize("timed", [True, False])
def test_no_job_is_planned_near_what_the_forge_lets_it_take(timed: bool) -> None:
    layout = pack([build_of("slow", 3000, 3000, 3000, timed=timed)], Capacity(1, 60, longest=7200))
    assert [len(job.wheels) for job in layout.jobs] == [1, 1, 1]  # two would take 6060 of 7200 seconds


@given(some_builds(), capacities, st.integers(1, 6))
def test_no_job_has_more_wheels_than_it_may(builds: tuple[PackageBuild, ...], capacity: Capacity, most: int) -> None:
    layout = pack(builds, dataclasses.replace(capacity, most=most))
    assert all(len(job.wheels) <= most for job in layout.jobs)
    there = Counter((job.build.name, wheel.expected.pattern) for job in layout.jobs for wheel in job.wheels)
    assert there == Counter((each.name, wheel.expected.pattern) for each in builds for wheel in each.wheels)


def test_short_wheels_beside_long_ones_do_not_share_a_job_that_is_full() -> None:
    seconds = (6000, 6000, 6000, 1200, 600, 600)
    assert all(len(job.wheels) <= 2 for job in pack([build_of("a", *seconds)], Capacity(8, 60, most=2)).jobs)
    nine = [6000, 6000, *[600] * 7]
    assert all(len(job.wheels) <= 6 for job in pack([build_of("a", *nine)], Capacity(2, 60)).jobs)


@pytest.mark.parametrize("timed", [True, False])
def test_where_a_job_keeps_its_wheels_only_when_it_ends_each_has_its_own(timed: bool) -> None:
    builds = [build_of("base", 60, 60, timed=timed), build_of("late", 60, 60, 60, needs=["base"], timed=timed)]
    assert [len(job.wheels) for job in pack(builds, Capacity(1, 600, most=1)).jobs] == [1] * 5
    assert max(len(job.wheels) for job in pack(builds, Capacity(1, 600, most=2)).jobs) == 2


def test_a_cycle_is_told() -> None:
    with pytest.raises(PlanError, match="a needs b needs a"):
        packed(build_of("a", 1, needs=["b"]), build_of("b", 1, needs=["a"]))


def test_nothing_takes_no_time() -> None:
    layout = packed()
    assert (layout.jobs, layout.makespan, layout.critical) == ((), 0, ())
    assert lower_bound([], Capacity(4, 60)) == 0


@given(st.integers(0, 1000))
@settings(max_examples=25)
def test_a_night_of_eighty_packages_ends_within_a_quarter_of_the_bound(seed: int) -> None:
    builds, capacity = synthetic_builds(80, seed=seed), Capacity(8, 600)
    assert pack(builds, capacity).makespan <= 1.25 * lower_bound(builds, capacity)


def test_a_key_is_the_digest_of_all_that_decides() -> None:
    def key(layout: Layout) -> str:
        return keys(layout.jobs, layout.needs)[-1]

    plain = key(packed(build_of("a", 1), build_of("b", 1, needs=["a"])))
    assert plain == key(packed(build_of("a", 9), build_of("b", 7, needs=["a"])))  # how long it takes decides nothing
    assert plain != key(packed(build_of("a", 1, mark="!"), build_of("b", 1, needs=["a"])))  # what it takes from a does
    assert plain != key(packed(build_of("a", 1), build_of("b", 1, needs=["a"], mark="!")))
    assert len(plain) == 64
