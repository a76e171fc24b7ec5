"""The simulator: the same night for every layout, and no time that is not accounted for."""

from __future__ import annotations

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from support.tasks import sites, some_tasks, task
from wheelyard.ci import Conditions, Site, Task, compare, lay_out, run, synthetic_tasks

CONDITIONS = st.builds(
    Conditions, sites, failures=st.sampled_from([0.0, 0.3, 1.0]), noise=st.just(0.2), queue=st.sampled_from([0.0, 60.0])
)


@given(some_tasks(), CONDITIONS)
def test_every_wheel_is_accounted_for(tasks: tuple[Task, ...], conditions: Conditions) -> None:
    found = compare(tasks, conditions)
    assert found == compare(tasks, conditions)  # the same seed, the same night
    for night in (found.planned, found.together, found.apart):
        assert night.built + night.failed + night.stopped == found.wheels
        if not conditions.failures:
            assert night.makespan >= found.bound - 1e-6
            assert night.built == found.wheels


@given(some_tasks(), sites)
def test_the_plan_is_not_slower_than_one_job_for_each_wheel(tasks: tuple[Task, ...], site: Site) -> None:
    timed = [dataclasses.replace(each, known=True) for each in tasks]
    found = compare(timed, Conditions(site))
    assert found.planned.makespan <= found.apart.makespan * 1.001 + 2


def test_a_wheel_fails_in_every_layout_or_in_none() -> None:
    tasks = [dataclasses.replace(each, needs=()) for each in synthetic_tasks(40)]
    found = compare(tasks, Conditions(Site(8, 60), failures=0.2))
    assert 0 < found.planned.failed < found.wheels
    assert found.planned.failed == found.together.failed == found.apart.failed
    assert found.planned.stopped == found.together.stopped == found.apart.stopped == 0


def test_when_all_fails_only_what_needs_nothing_is_tried() -> None:
    tasks = [task("base", 100), task("user", 100, needs=["base"]), task("other", 100)]
    night = run(lay_out(tasks, Site(2, 0), together=True), Conditions(Site(2, 0), failures=1.0))
    assert (night.built, night.failed, night.stopped) == (0, 2, 1)


def test_a_slow_image_makes_the_incumbents_layout_half_as_slow_again() -> None:
    for seed in range(5):
        found = compare(synthetic_tasks(80, seed=seed), Conditions(Site(8, 600), noise=0.2, seed=seed))
        assert found.apart.makespan >= 1.5 * found.planned.makespan
        assert found.planned.makespan <= 1.1 * found.bound


def test_made_up_packages_are_the_same_for_the_same_seed() -> None:
    assert synthetic_tasks(30, seed=1) == synthetic_tasks(30, seed=1)
    assert synthetic_tasks(30, seed=1) != synthetic_tasks(30, seed=2)
    assert len({each.name for each in synthetic_tasks(5000)}) == 5000
