from __future__ import annotations

import json
from typing import Any, cast

import fastjsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.tags import Tag, compatible_tags, cpython_tags

from support.schemas import validator
from wheelyard.core.errors import PlanError
from wheelyard.core.tags import Interpreter, wheel_for
from wheelyard.core.values import Image, ImageChoice
from wheelyard.planning.plan import Plan, make_plan, plan_json
from wheelyard.project.config import SiteConfig
from wheelyard.project.recipe import Settings
from wheelyard.records.models import LockedVersion

SITE = ("cp312", "cp313", "cp314", "cp314t")


def pythons(*texts: str) -> tuple[Interpreter, ...]:
    return tuple(Interpreter.parse(text) for text in texts)


def image(*texts: str) -> Image:
    return Image(
        kind="local",
        reference="localhost/wheelyard:x",
        digest="",
        interpreters=pythons(*(texts or SITE)),
        policy="manylinux_2_39_riscv64",
        glibc="2.41",
        gcc="14",
        suite="trixie",
        public=False,
        definition="d" * 64,
        choice=ImageChoice("local"),
    )


def locked(
    *wheels: str, reference: str = "aarch64", requires: str = ">=3.9", ships: tuple[str, ...] = ()
) -> LockedVersion:
    return LockedVersion(version="1.0", wheels=wheels, reference=reference, requires_python=requires, ships=ships)


def plan(entry: LockedVersion, *have: str, only: tuple[str, ...] = (), split: bool = False, **settings: Any) -> Plan:
    policy = SiteConfig.model_validate({"interpreters": SITE, "policy": "manylinux_2_39_riscv64"})
    made = Settings.model_validate(settings)
    return make_plan("demo", made, entry, image(*have), policy, pythons(*only), split=split)


def wheels(made: Plan) -> dict[str, str]:
    return {f"{one.python}-{one.abi}": " ".join(map(str, one.interpreters)) for one in made.expected}


def omitted(made: Plan) -> dict[str, str]:
    return {str(one.interpreter): one.reason for one in made.omissions}


PER_PYTHON = (*(f"cp3{minor}-cp3{minor}" for minor in range(9, 15)), "cp314-cp314t")


def test_one_wheel_for_each_interpreter() -> None:
    made = plan(locked(*PER_PYTHON))
    assert wheels(made) == {
        "cp312-cp312": "cp312",
        "cp313-cp313": "cp313",
        "cp314-cp314": "cp314",
        "cp314-cp314t": "cp314t",
    }
    assert made.expected[0].pattern == "demo-1.0-cp312-cp312-manylinux_*_riscv64.whl"
    assert made.omissions == ()
    assert len(made.jobs) == 1
    assert made.jobs[0].interpreters == pythons(*SITE)
    assert made.jobs[0].expected == made.expected


def test_interpreters_share_the_newest_stable_abi_that_they_may_install() -> None:
    # PEP 384: cp38-abi3 is for 3.8 and later. Free-threaded builds have no such ABI (PEP 703).
    made = plan(locked("cp38-abi3", "cp311-abi3", "cp39-cp39"))
    assert wheels(made) == {"cp311-abi3": "cp312 cp313 cp314"}
    assert omitted(made) == {
        "cp314t": "there is no free-threaded wheel for it among upstream's aarch64 wheels "
        "(cp38-abi3, cp311-abi3, cp39-cp39)"
    }


def test_abi3_from_an_image_with_one_interpreter_keeps_upstreams_tag() -> None:
    made = plan(locked("cp38-abi3", "cp314-cp314t"), "cp313")
    assert wheels(made) == {"cp38-abi3": "cp313"}
    assert omitted(made)["cp312"] == "the local image (trixie) does not have it"


def test_the_stable_abi_of_free_threaded_builds() -> None:
    # PEP 803: abi3t, also together with abi3 in one compressed tag set, from 3.15 on.
    entry = locked("cp311-abi3", "cp315-abi3.abi3t")
    made = plan(entry, "cp314", "cp315", "cp315t", only=("cp314", "cp315", "cp315t"))
    assert wheels(made) == {"cp311-abi3": "cp314", "cp315-abi3.abi3t": "cp315 cp315t"}


def test_a_wheel_without_an_abi_is_for_all() -> None:
    made = plan(locked("py2.py3-none"))
    assert wheels(made) == {"py2.py3-none": "cp312 cp313 cp314 cp314t"}


def test_compressed_tag_sets_stay_one_wheel() -> None:
    made = plan(locked("cp312.cp313-none"))
    assert wheels(made) == {"cp312.cp313-none": "cp312 cp313"}
    assert set(omitted(made)) == {"cp314", "cp314t"}


def test_every_reason_to_leave_an_interpreter_out() -> None:
    made = plan(
        locked("cp313-cp313", "cp314-cp314", requires=">=3.13"),
        "cp312",
        "cp313",
        "cp314t",
        only=("cp312", "cp313", "cp314", "cp314t", "cp315"),
        interpreters={"skip": ["cp315"], "why": "its headers changed"},
    )
    assert wheels(made) == {"cp313-cp313": "cp313"}
    assert omitted(made) == {
        "cp312": "upstream's Requires-Python is >=3.13",
        "cp314": "the local image (trixie) does not have it",
        "cp314t": "there is no free-threaded wheel for it among upstream's aarch64 wheels (cp313-cp313, cp314-cp314)",
        "cp315": "the recipe skips it: its headers changed",
    }


def test_a_patch_release_in_requires_python_does_not_rule_the_interpreter_out() -> None:
    # cibuildwheel compares 3.N.99 (selector.py): the image has the newest patch release.
    assert "cp312-cp312" in wheels(plan(locked(*PER_PYTHON, requires=">=3.12.4")))


def test_the_recipe_may_build_for_some_alone() -> None:
    made = plan(locked(*PER_PYTHON), interpreters={"only": ["cp313"]})
    assert wheels(made) == {"cp313-cp313": "cp313"}
    assert omitted(made)["cp312"] == "the recipe builds for cp313 only"


def test_nothing_left_names_every_reason() -> None:
    with pytest.raises(PlanError) as caught:
        plan(locked("cp39-cp39", "cp310-cp310"), "cp313", "cp314")
    assert len(caught.value.details) == 4
    assert (
        "cp313: there is no wheel for it among upstream's aarch64 wheels (cp39-cp39, cp310-cp310)"
        in caught.value.details
    )
    assert caught.value.fix is not None


def test_without_wheels_upstream_one_for_each_interpreter_is_assumed_and_said() -> None:
    made = plan(locked(reference=""))
    assert wheels(made) == {
        "cp312-cp312": "cp312",
        "cp313-cp313": "cp313",
        "cp314-cp314": "cp314",
        "cp314-cp314t": "cp314t",
    }
    assert made.notes == ("no upstream wheels of demo 1.0 are recorded: one per interpreter is assumed",)


def test_a_package_that_is_pure_upstream_is_doubted() -> None:
    made = plan(locked("py3-none", reference="any"))
    assert "does it need a recipe?" in made.notes[0]
    assert "cp313-cp313" in wheels(made)


def test_the_recipe_has_the_last_word_on_tags() -> None:
    made = plan(locked(*PER_PYTHON), expect={"tags": ["cp39-abi3"]})
    assert wheels(made) == {"cp39-abi3": "cp312 cp313 cp314"}
    assert "the recipe's [expect] tags (cp39-abi3)" in omitted(made)["cp314t"]


def test_what_upstream_ships_by_now_is_said() -> None:
    made = plan(
        locked("cp313-cp313", "cp314-cp314", ships=("cp313-cp313", "cp39-cp39")),
        upstream={"note": "Kept as a smoke test."},
    )
    assert made.notes == ("upstream ships cp313-cp313 for riscv64 itself", "Kept as a smoke test.")


def test_tags_from_another_system_are_said_to_be() -> None:
    assert plan(locked("cp38-abi3", reference="win")).notes == (
        "upstream has no aarch64 or x86-64 Linux wheel: tags are derived from those for win",
    )


def test_wheels_bear_the_name_of_the_index() -> None:
    assert (
        plan(locked("cp38-abi3"), source={"name": "Other_Name"}).expected[0].pattern.startswith("other_name-1.0-cp38")
    )


def test_split_makes_a_job_of_each_wheel() -> None:
    made = plan(locked("cp38-abi3", "cp314-cp314t"), split=True)
    assert [(job.interpreters, len(job.expected)) for job in made.jobs] == [
        (pythons("cp312", "cp313", "cp314"), 1),
        (pythons("cp314t"), 1),
    ]


INTERPRETERS = st.builds(Interpreter, st.integers(9, 16), st.booleans())
PAIRS = st.one_of(
    st.integers(8, 16).map(lambda minor: f"cp3{minor}-cp3{minor}"),
    st.integers(13, 16).map(lambda minor: f"cp3{minor}-cp3{minor}t"),
    st.integers(2, 16).map(lambda minor: f"cp3{minor}-abi3"),
    st.integers(15, 16).map(lambda minor: f"cp3{minor}-abi3t"),
    st.sampled_from(["py3-none", "py2.py3-none", "py312-none", "cp313-none", "cp315-abi3.abi3t"]),
)


@given(INTERPRETERS, st.lists(PAIRS, unique=True))
def test_the_wheel_is_the_one_an_installer_takes(interpreter: Interpreter, pairs: list[str]) -> None:
    chosen = wheel_for(interpreter, pairs)
    version = (3, interpreter.minor)
    supported: list[Tag] = [
        *cpython_tags(version, [str(interpreter)], ["p"]),
        *compatible_tags(version, f"cp3{interpreter.minor}", ["p"]),
    ]

    def rank(pair: str) -> int | None:
        pythons, abis = (part.split(".") for part in pair.split("-"))
        ranks = [
            supported.index(tag) for python in pythons for abi in abis if (tag := Tag(python, abi, "p")) in supported
        ]
        return min(ranks, default=None)

    ranked = {pair: found for pair in pairs if (found := rank(pair)) is not None}
    assert (chosen is None) == (not ranked)
    if chosen is not None:
        assert ranked[chosen] == min(ranked.values())
        if interpreter.free_threaded:
            assert not chosen.endswith("-abi3")


def test_the_json_is_what_its_schema_says() -> None:
    validate = validator("plan")
    page = plan_json([plan(locked(*PER_PYTHON), "cp313"), plan(locked("cp38-abi3"), split=True)])
    assert validate(json.loads(json.dumps(page))) == page
    assert page["plans"][0]["omissions"][0] == {
        "interpreter": "cp312",
        "reason": "the local image (trixie) does not have it",
    }
    cast("list[dict[str, Any]]", page["plans"])[0]["more"] = 1
    with pytest.raises(fastjsonschema.JsonSchemaException):
        validate(page)
