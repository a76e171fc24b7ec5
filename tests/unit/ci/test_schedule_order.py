"""Order: waves, cycles, and what a failure stops."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wheelyard.ci import order
from wheelyard.core.errors import PlanError

NAMES = st.sampled_from("abcdefgh")
GRAPHS = st.dictionaries(NAMES, st.frozensets(NAMES, max_size=3))


def test_what_is_needed_comes_first() -> None:
    needs = {"pandas": ("numpy",), "scipy": ("numpy", "openblas"), "numpy": ("openblas",), "openblas": (), "six": ()}
    assert order.waves(needs) == (("openblas", "six"), ("numpy",), ("pandas", "scipy"))


def test_what_is_not_planned_is_there_already() -> None:
    assert order.waves({"pynacl": ("cffi",)}) == (("pynacl",),)


def test_nothing_is_no_wave() -> None:
    assert order.waves({}) == ()


@pytest.mark.parametrize(
    ("needs", "text"),
    [
        ({"a": ("a",)}, "1 recipe(s) need each other: a needs a"),
        ({"b": ("a",), "a": ("b",)}, "2 recipe(s) need each other: a needs b needs a"),
        (
            {"x": ("scipy",), "scipy": ("numpy",), "numpy": ("pandas",), "pandas": ("scipy",)},
            "3 recipe(s) need each other: numpy needs pandas needs scipy needs numpy",
        ),
    ],
)
def test_a_cycle_is_shown(needs: dict[str, tuple[str, ...]], text: str) -> None:
    with pytest.raises(PlanError) as raised:
        order.waves(needs)
    assert raised.value.what == text
    assert raised.value.where == f"recipes/{text.split(': ')[1].split(maxsplit=1)[0]}/recipe.toml"


@given(GRAPHS)
def test_either_an_order_or_a_cycle(needs: dict[str, frozenset[str]]) -> None:
    cycle = order.find_cycle(needs)
    if cycle:
        assert all(after in needs[name] for name, after in zip(cycle, (*cycle[1:], cycle[0]), strict=True))
        assert cycle[0] == min(cycle)
        with pytest.raises(PlanError):
            order.waves(needs)
        return
    waves = order.waves(needs)
    at = {name: number for number, wave in enumerate(waves) for name in wave}
    assert sorted(at) == sorted(needs)  # each once, and none lost
    for name, wanted in needs.items():
        before = [at[other] for other in wanted if other in at]
        assert at[name] == max(before, default=-1) + 1  # after all it needs, and no later than that


@given(GRAPHS, st.frozensets(NAMES))
def test_a_failure_stops_what_needs_it_and_nothing_else(
    needs: dict[str, frozenset[str]], failed: frozenset[str]
) -> None:
    def reaches(name: str, seen: frozenset[str]) -> bool:
        wanted = needs.get(name, frozenset()) - seen
        return bool(wanted & failed) or any(reaches(other, seen | {other}) for other in wanted)

    expected = {name for name in needs if name not in failed and reaches(name, frozenset())}
    assert order.stopped(needs, failed) == expected
