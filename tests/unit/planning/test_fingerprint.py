"""What makes a wheel be built again, and what does not: the digest of its inputs."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from support.project import PYPROJECT, make_project
from support.wheels import WheelSpec
from wheelyard.core.errors import PlanError
from wheelyard.core.tags import Interpreter
from wheelyard.core.values import ExpectedWheel, Image, ImageChoice
from wheelyard.planning import build_requires, fingerprint
from wheelyard.planning.target import find_target
from wheelyard.records import lockfile
from wheelyard.records.models import LockedVersion
from wheelyard.sources.prepare import identity

if TYPE_CHECKING:
    from collections.abc import Mapping

CP313 = Interpreter.parse("cp313")
WHEEL = ExpectedWheel("demo", "1.0", "cp313", "cp313", (CP313,))
IMAGE = Image(
    kind="local",
    reference="localhost/image:1",
    digest="sha256:1",
    interpreters=(CP313,),
    policy="manylinux_2_39_riscv64",
    glibc="2.41",
    gcc="14",
    suite="trixie",
    public=False,
    definition="a" * 64,
    choice=ImageChoice("local"),
)
LOCKED = LockedVersion(version="1.0", file="demo-1.0.tar.gz", size=9, sha256="1" * 64, wheels=("cp313-cp313",))
RECIPE = """\
[build]
environment = { A = "1" }
uses = ["shared"]

[test]
command = "pytest {project}/tests"

[[patch]]
file = "a.patch"
versions = "<2"
why = "it does not compile"
status = "Submitted [https://example.org/1]"

[[patch]]
file = "later.patch"
versions = ">=3"
why = "only then"
status = "Inappropriate [a test]"

[[version]]
match = ">=2"
build.timeout = "1h"

[upstream]
note = "nothing yet"
"""
FILES = {
    "demo/recipe.toml": RECIPE,
    "demo/a.patch": "--- a/x\n+++ b/x\n",
    "demo/later.patch": "one\n",
    "_shared/shared.toml": '[build.cibuildwheel]\nbefore-all = "true"\n',
}


def digest(
    files: Mapping[str, str] | None = None,
    *,
    locked: LockedVersion = LOCKED,
    image: Image = IMAGE,
    wheel: ExpectedWheel = WHEEL,
    needed: dict[str, str] | None = None,
    test: bool = True,
    pyproject: str = PYPROJECT,
    alone: str | None = None,
) -> str:
    """The digest in a project of its own, at a path of its own; *alone* is a recipe without other files."""
    with tempfile.TemporaryDirectory() as folder:
        written = FILES | dict(files or {}) if alone is None else {"demo/recipe.toml": alone}
        project = make_project(Path(folder), written, pyproject=pyproject)
        lockfile.pin(lockfile.lock_file(project.packages, "demo"), locked)
        target = find_target(project, "demo", write=False)
        mark = identity(target.locked, target.settings, recipe_folder=target.recipe.folder)
        return fingerprint.wheel_fingerprint(
            target, wheel, image, source=mark, needed=needed or {}, config=project.config, test=test
        )


def test_a_stricter_site_is_another_digest() -> None:
    older = PYPROJECT.replace("manylinux_2_39_riscv64", "manylinux_2_35_riscv64")
    assert older != PYPROJECT
    assert digest(pyproject=older) != digest()
    assert digest(pyproject=PYPROJECT + "\n# a comment\n") == digest()


@pytest.fixture(scope="module")
def plain() -> str:
    return digest()


def recipe(*, old: str, new: str) -> dict[str, str]:
    assert RECIPE.count(old) == 1
    return {"demo/recipe.toml": RECIPE.replace(old, new)}


@pytest.mark.parametrize(
    "change",
    [
        {"files": recipe(old='A = "1"', new='A = "2"')},
        {"files": recipe(old='A = "1"', new='A = "1", B = ""')},
        {"files": recipe(old="pytest {project}/tests", new="pytest {project}")},
        {"files": recipe(old="<2", new="<1")},  # the patch is not for this version any more
        {"files": recipe(old='match = ">=2"', new='match = ">=1"')},
        {"files": recipe(old='">=3"', new='""')},  # and this one is
        {"files": {"demo/a.patch": "--- a/y\n+++ b/y\n"}},
        {"files": {"demo/a.patch": FILES["demo/a.patch"] + "\n"}},
        {"files": {"_shared/shared.toml": '[build.cibuildwheel]\nbefore-all = "false"\n'}},
        {"pyproject": PYPROJECT.replace("3h", "4h")},
        {"locked": LOCKED.model_copy(update={"sha256": "2" * 64})},
        {"locked": LOCKED.model_copy(update={"version": "1.1"})},
        {"image": replace(IMAGE, definition="b" * 64)},
        {"image": replace(IMAGE, kind="official", definition="", digest="sha256:2")},
        {"wheel": replace(WHEEL, abi="abi3")},
        {"wheel": replace(WHEEL, interpreters=(Interpreter.parse("cp314"),))},
        {"needed": {"other-1.0-py3-none-any.whl": "1" * 64}},
        {"test": False},
    ],
    ids=lambda change: next(iter(change)),
)
def test_this_is_built_again(plain: str, change: dict[str, Any]) -> None:
    assert digest(**change) != plain


@pytest.mark.parametrize(
    "change",
    [
        {},  # the same in another folder
        {"files": {"demo/recipe.toml": "# a comment\n" + RECIPE.replace("\n\n", "\n\n# another\n\n")}},
        {"files": recipe(old="nothing yet", new="a note, and a date: 2026-11-22")},
        {"files": recipe(old="it does not compile", new="it does not compile with GCC 14")},
        {"files": recipe(old="Submitted [https://example.org/1]", new="Backport [https://example.org/2]")},
        {"files": recipe(old='timeout = "1h"', new='timeout = "2h"')},  # of another version
        {"files": {"demo/later.patch": "two\n"}},
        {"files": {"other/recipe.toml": ""}},
        {"pyproject": PYPROJECT.replace('"cp312", ', "")},
        {"pyproject": PYPROJECT.replace("3h", "180min")},
        # What a plan is made of changes nothing in the wheel that is planned.
        {"locked": LOCKED.model_copy(update={"wheels": ("cp312-cp312", "cp313-cp313"), "ships": ("cp313-cp313",)})},
        {"image": replace(IMAGE, reference="localhost/image:2", digest="sha256:2")},  # made again, by the same recipe
        {"wheel": replace(WHEEL, interpreters=(CP313, Interpreter.parse("cp314")))},  # installed by more
    ],
    ids=lambda change: next(iter(change), "nothing"),
)
def test_this_is_not(plain: str, change: dict[str, Any]) -> None:
    assert digest(**change) == plain


def test_upstreams_own_tests_count_too() -> None:
    assert digest(alone="", test=True) != digest(alone="", test=False)


def test_a_newer_tool_builds_again(plain: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for tool in ("wheelyard", "cibuildwheel", "auditwheel", "uv"):
        with monkeypatch.context() as patched:
            patched.setattr(fingerprint, "version", lambda name, tool=tool: "99" if name == tool else version(name))
            fingerprint._tools.cache_clear()
            assert digest() != plain
    fingerprint._tools.cache_clear()


SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "environment": st.dictionaries(st.from_regex(r"\A[A-Z]{1,3}\Z"), st.text("ab ='", max_size=4), max_size=4),
        "timeout": st.integers(1, 9000),
        "network": st.booleans(),
        "frontend": st.sampled_from(["build[uv]", "build"]),
    },
)
TESTS = st.fixed_dictionaries(
    {},
    optional={
        "command": st.just("pytest"),
        "requires": st.lists(st.sampled_from(["pytest", "numpy"]), max_size=2),
        "environment": st.dictionaries(st.sampled_from("ABC"), st.text("ab", max_size=2), max_size=3),
    },
)


@given(SETTINGS, TESTS, st.randoms(use_true_random=False))
def test_the_order_of_what_is_written_changes_nothing(build: dict[str, Any], test: dict[str, Any], random: Any) -> None:
    def shuffled(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        keys = list(value)
        random.shuffle(keys)
        return {key: shuffled(value[key]) for key in keys}

    table = {"build": build, "test": test}
    one, other = (tomli_w.dumps(each) for each in (table, shuffled(table)))
    assert digest(alone=one) == digest(alone=f"# shuffled\n{other}")


@given(SETTINGS, SETTINGS)
def test_other_settings_are_another_digest(one: dict[str, Any], other: dict[str, Any]) -> None:
    defaults = {"environment": {}, "timeout": 3 * 3600, "network": True, "frontend": "build[uv]"}
    same = defaults | one == defaults | other
    digests = [digest(alone=tomli_w.dumps({"build": each})) for each in (one, other)]
    assert (digests[0] == digests[1]) == same


def test_needed_wheels_are_those_of_the_index_folder_with_their_hashes(tmp_path: Path) -> None:
    project = make_project(tmp_path, {"demo/recipe.toml": '[build]\nneeds = ["cffi"]\n'})
    lockfile.pin(lockfile.lock_file(project.packages, "demo"), LOCKED)
    target = find_target(project, "demo", write=False)
    with pytest.raises(PlanError) as caught:
        build_requires.find(target, project.index)
    assert "nox -s build-cffi" in str(caught.value)
    wheel = WheelSpec(name="cffi").write(project.index / "files/cffi")
    WheelSpec(name="other").write(project.index / "files/other")
    first = build_requires.find(target, project.index)
    assert list(first) == [wheel.name]
    WheelSpec(name="cffi").write(project.index / "files/cffi", salt=b"other bytes")
    assert build_requires.find(target, project.index) != first
