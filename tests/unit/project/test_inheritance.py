from __future__ import annotations

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from wheelyard.project.inheritance import Layer, TomlText, dotted, fold, fold_places, merge

# Layers that agree on which keys hold tables, as all valid ones do.
LEAVES = st.one_of(st.integers(), st.text(max_size=3), st.lists(st.integers(), max_size=3))
LAYERS = st.fixed_dictionaries(
    {},
    optional={
        "build": st.fixed_dictionaries(
            {},
            optional={
                "timeout": LEAVES,
                "environment": st.dictionaries(st.sampled_from("ABC"), LEAVES, max_size=3),
                "cibuildwheel": st.fixed_dictionaries(
                    {}, optional={"environment": st.dictionaries(st.just("A"), LEAVES)}
                ),
            },
        ),
        "test": st.dictionaries(st.sampled_from(["command", "requires"]), LEAVES, max_size=2),
        "patch": st.lists(st.fixed_dictionaries({"file": st.text(max_size=3)}), max_size=3),
    },
)


@given(LAYERS)
def test_the_empty_layer_is_the_identity(layer: dict[str, Any]) -> None:
    assert merge({}, layer) == layer == merge(layer, {})


@given(LAYERS, LAYERS, LAYERS)
def test_merging_is_associative(a: dict[str, Any], b: dict[str, Any], c: dict[str, Any]) -> None:
    assert merge(merge(a, b), c) == merge(a, merge(b, c))


@given(LAYERS, LAYERS)
def test_the_inner_layer_wins_and_nothing_of_the_outer_is_lost_or_changed(a: dict[str, Any], b: dict[str, Any]) -> None:
    before = copy.deepcopy((a, b))
    merged = merge(a, b)
    assert (a, b) == before
    for name in ("build", "test"):
        outer, inner, both = a.get(name, {}), b.get(name, {}), merged.get(name, {})
        assert both.keys() == outer.keys() | inner.keys()
        for key, value in both.items():
            if isinstance(value, dict):
                assert value.keys() == outer.get(key, {}).keys() | inner.get(key, {}).keys()
            else:
                assert value == (inner[key] if key in inner else outer[key])
    assert merged.get("patch", []) == a.get("patch", []) + b.get("patch", [])


@given(st.lists(LAYERS, max_size=4))
def test_every_leaf_knows_the_innermost_layer_that_gave_it(tables: list[dict[str, Any]]) -> None:
    layers = [Layer(table, TomlText(str(number), "")) for number, table in enumerate(tables)]
    places = fold_places(layers)
    folded = fold(layers)
    for path, sourced in places.items():
        value: Any = folded
        for part in path:
            value = value[part]
        assert value == sourced.value
        file = int(sourced.where.partition(":")[0])
        if path[0] != "patch":
            later = [number for number, table in enumerate(tables) if _has(table, path)]
            assert file == later[-1]


def _has(table: Any, path: tuple[str | int, ...]) -> bool:
    for part in path:
        if not isinstance(table, dict) or part not in table:
            return False
        table = table[part]
    return True


def test_an_override_holds_for_prereleases_of_its_range() -> None:
    # PEP 440: a specifier leaves pre-releases out unless it is asked not to; a version asked for by name is meant.
    layer = Layer({}, TomlText("f", ""), match=SpecifierSet(">=2"))
    assert layer.holds_for(Version("2.1rc1"))
    assert not layer.holds_for(Version("2.0rc1"))
    assert not layer.holds_for(None)
    assert Layer({}, TomlText("f", "")).holds_for(None)


def test_paths_are_written_as_people_do() -> None:
    assert dotted(("patch", 0, "file")) == "patch[0].file"
    assert dotted(("build", "timeout")) == "build.timeout"
