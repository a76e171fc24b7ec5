"""What a preflight decides by: facts of sources, paths of test commands, requirements, and how it is told."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement

from wheelyard.builder.cibuildwheel_config import options
from wheelyard.builder.effective_tests import effective_tests
from wheelyard.cli.preflight import preflight_text
from wheelyard.core.errors import NetworkError, PreflightError
from wheelyard.core.tags import Interpreter, WheelName
from wheelyard.core.values import ExpectedWheel
from wheelyard.preflight.command_paths import find_missing_paths
from wheelyard.preflight.preflight_package import problem
from wheelyard.preflight.preflight_report import STEPS, PatchFact, PreflightReport, SdistFacts, StepResult
from wheelyard.preflight.requirements import Need, Offer, read_needs, requirement_results
from wheelyard.preflight.source_facts import diff_facts, sdist_facts
from wheelyard.preflight.stub_wheel import write_stubs
from wheelyard.project.recipe import Settings
from wheelyard.records.wheel_records import releasable

if TYPE_CHECKING:
    from pathlib import Path

    from syrupy.assertion import SnapshotAssertion

CP312, CP313, CP314T = map(Interpreter.parse, ("cp312", "cp313", "cp314t"))


def tree(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_DOT_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


# ----------------------------------------------------------------------- facts


def test_facts_are_read_and_nothing_is_run(tmp_path: Path) -> None:
    setup = """
raise SystemExit("run")
from setuptools import setup, Extension as E
import setuptools
NAME = "computed"
exts = [setuptools.Extension("a._b", ["b.c"]), CythonExtension(name="c", sources=[]), Extension(NAME, []),
        RustExtension(target="d._rust"), extension("not.one"), Extension]
"""
    tree(
        tmp_path,
        setup_DOT_py=setup,
        src__b_DOT_c="",
        src__x_DOT_PYX="",
        src__notes_DOT_txt="",
        vendor__lib_DOT_rs="",
        meson_DOT_build="py.extension_module(\n  'e._meson', sources)",
        sub__CMakeLists_DOT_txt="pybind11_add_module(_pb11 MODULE a.cpp)\nadd_executable(tool t.c)",
        pyproject_DOT_toml='[build-system]\nrequires = ["cython >=3", "setuptools"]\nbuild-backend = "back.end"\n'
        '[tool.maturin]\nmodule-name = "f._maturin"\n'
        '[[tool.setuptools.ext-modules]]\nname = "g"\nsources = ["g.c"]\n',
        PKG_INFO="not the file's name",
    )
    (tmp_path / "PKG-INFO").write_text(
        "Metadata-Version: 2.4\nName: Demo\nVersion: 1.0\nRequires-Python: >=3.9\nLicense-Expression: MIT\n"
        "Requires-Dist: b ; extra == 'x'\nRequires-Dist: a>1\n\nThe description.\n"
    )
    facts = sdist_facts(tmp_path)
    assert facts.modules == ("_pb11", "a._b", "c", "d._rust", "e._meson", "f._maturin", "g")
    assert facts.sources == ("src/b.c", "src/x.PYX", "vendor/lib.rs")
    assert facts.build_requires == ("cython>=3", "setuptools")
    assert facts.requires == ("a>1", 'b; extra == "x"')
    assert (facts.name, facts.version, facts.requires_python) == ("Demo", "1.0", ">=3.9")
    assert (facts.licence, facts.backend) == ("MIT", "back.end")


def test_without_pkg_info_what_is_static_counts(tmp_path: Path) -> None:
    tree(
        tmp_path,
        pyproject_DOT_toml='[project]\nname = "demo"\nrequires-python = ">=3.11"\nlicense = { text = "MIT" }\n'
        'dynamic = ["version"]\ndependencies = ["a"]\n[project.optional-dependencies]\nx = ["b>2"]\n',
    )
    facts = sdist_facts(tmp_path)
    assert (facts.name, facts.version, facts.licence, facts.requires_python) == ("demo", "", "MIT", ">=3.11")
    assert facts.requires == ("a", 'b>2; extra == "x"')


@pytest.mark.parametrize(
    "text",
    [
        "[build-system",
        "build-system = 1",
        "[build-system]\nrequires = 7\nbuild-backend = []\n",
        "tool = 1\nproject = 2\n",
    ],
)
def test_a_strange_pyproject_is_none(tmp_path: Path, text: str) -> None:
    tree(tmp_path, pyproject_DOT_toml=text, setup_DOT_py="def (:")
    facts = sdist_facts(tmp_path)
    assert facts.build_requires == facts.modules == ()


def test_a_link_to_a_file_of_ours_is_not_read(tmp_path: Path) -> None:
    secret = tree(tmp_path / "home", PKG__INFO="").parent / "secret"
    secret.write_text("Metadata-Version: 2.1\nName: secret\nVersion: 1\n")
    (tmp_path / "source").mkdir()
    (tmp_path / "source/PKG-INFO").symlink_to(secret)
    assert sdist_facts(tmp_path / "source").name == ""


def test_no_name_in_facts_steers_a_terminal(tmp_path: Path) -> None:
    (tmp_path / "a\x1b[31m.c").write_text("")
    (tmp_path / "PKG-INFO").write_text("Name: demo\x1b[31m\nLicense: x\x1b\n")
    facts = sdist_facts(tmp_path)
    assert "\x1b" not in facts.model_dump_json().encode().decode("unicode_escape")


def test_differences_are_lines() -> None:
    old = SdistFacts(
        licence="MIT",
        build_requires=("setuptools",),
        modules=("a",),
        sources=("a.c", "b.c"),
        patches=tuple(PatchFact(file=name, state="applies") for name in ("p", "q", "r")),
    )
    new = SdistFacts(
        licence="Apache-2.0",
        build_requires=("meson-python",),
        modules=("a", "b"),
        sources=("a.c", *(f"n{number}.c" for number in range(10))),
        requires=("`x` @team closes #1",),
        patches=(
            PatchFact(file="p", state="upstream"),
            PatchFact(file="q", state="fails"),
            PatchFact(file="r", state="applies"),
            PatchFact(file="s", state="fails"),
        ),
    )
    assert diff_facts(old, new) == (
        "licence: `MIT` → `Apache-2.0`",
        "build requirements, new: `meson-python`",
        "build requirements, gone: `setuptools`",
        "requirements, new: `'x' @team closes #1`",
        "extension modules, new: `b`",
        "compiled sources, new: `n0.c`, `n1.c`, `n2.c`, `n3.c`, `n4.c`, `n5.c`, `n6.c`, `n7.c` and 2 more",
        "compiled sources, gone: `b.c`",
        "`p`: upstream has it, narrow its versions",
        "`q`: does not apply any more",
        "`s`: does not apply",
    )


def test_many_files_are_counted_by_folder() -> None:
    vendored = tuple(f"include/cargo/crate-{number}/src/lib.rs" for number in range(30))
    new = SdistFacts(sources=(*vendored, "src/a.rs"), build_requires=tuple(f"r{number}" for number in range(9)))
    told = diff_facts(SdistFacts(), new)
    assert told[0].endswith("`r7` and 1 more")
    assert told[1:] == ("compiled sources, new: 30 in `include/cargo`, 1 in `src`",)
    few = SdistFacts(sources=vendored[:8])
    assert diff_facts(SdistFacts(), few)[0].count("lib.rs") == 8


# ----------------------------------------------------------------------- paths

FILES = {
    "tests__test_a_DOT_py": "class TestA:\n    def test_one(self): ...\n",
    "tests__sub__test_b_DOT_py": "",
    "pkg__check_DOT_sh": "",
}


@pytest.mark.parametrize(
    ("command", "missing", "idle"),
    [
        ("pytest {project}/tests", [], []),
        ("pytest {project}/test", ["{project}/test"], []),
        ("pytest -q {project}/tests/test_a.py::TestA::test_one -k 'not {x}'", [], []),
        ("pytest {project}/tests/test_*.py {project}/tests/*_gone.py", ["{project}/tests/*_gone.py"], []),
        ("pytest {project}/*/sub/test_b.py {project}/*/gone/*.py", ["{project}/*/gone/*.py"], []),
        ("pytest {project}/" + "x" * 5000 + " --ignore= --ignore", [], []),
        ("python -m pytest -p no:x -o addopts= {project}/gone", ["{project}/gone"], []),
        ("cd {project}/tests && pytest test_a.py sub gone.py", ["gone.py"], []),
        ("cd {project}/gone && pytest test_a.py", ["{project}/gone"], []),
        ("cd {project} \\\n && LANG=C pytest \\\n tests/test_c.py", ["tests/test_c.py"], []),
        ("cd $(mktemp -d) && pytest test_z.py", [], []),
        ("cd /somewhere && pytest test_z.py", [], []),
        ("pytest $HOME/x {project}/$X", [], []),
        ("pytest tests", ["tests"], []),  # nothing is there: cibuildwheel starts tests in a folder of their own
        ("pytest --pyargs demo.tests", [], []),
        ("pytest --strange value {project}/tests", [], []),
        ("pytest {project}/tests --deselect tests/test_a.py::TestA::test_one", [], []),
        (
            "pytest {project}/tests --deselect=test_a.py::TestA::test_two[x]",
            [],
            ["--deselect test_a.py::TestA::test_two[x]"],
        ),
        ("pytest {project}/tests --ignore={project}/tests/gone", [], ["--ignore {project}/tests/gone"]),
        ("pytest {project}/tests --ignore {project}/tests/sub", [], []),
        ("bash {package}/check.sh; bash {package}/gone.sh > log", ["{package}/gone.sh"], []),
        ("bash -c 'cd {project} && ls {project}/gone'", ["{project}/gone"], []),
        ("python {project}/tests/test_a.py", [], []),
        ("python gone.py", ["gone.py"], []),
        ("python -c 'import demo'", [], []),
        ("cd {project}/tests && python -m unittest -v test_a test_a.TestA.test_one sub.test_b gone", ["gone"], []),
        ("python -m unittest discover -s {project}/gone", ["{project}/gone"], []),
        ("echo 'not closed {project}/tests", [], []),
    ],
)
def test_paths_of_a_command(tmp_path: Path, command: str, missing: list[str], idle: list[str]) -> None:
    found = find_missing_paths([command], tree=tree(tmp_path, **FILES), subdirectory="pkg")
    assert (found.missing, found.unused) == (missing, idle)


def test_what_is_copied_is_there(tmp_path: Path) -> None:
    root = tree(tmp_path, **FILES)
    found = find_missing_paths(["pytest tests/test_a.py pkg/x.py"], tree=root, sources=["tests", "gone"])
    assert found.missing == ["gone", "pkg/x.py"]


# ---------------------------------------------------------------- requirements


def test_markers_are_those_of_the_target() -> None:
    texts = [
        "a ; python_version < '3.13'",
        "b ; platform_machine == 'riscv64' and sys_platform == 'linux'",
        "c ; platform_machine == 'x86_64'",
        "d ; extra == 'test'",
        "e ; implementation_name == 'pypy'",
        "not a requirement",
        "f>=1",
    ]
    needs, broken = read_needs(texts, "build", [CP312, CP314T], extras=["test"])
    assert [(need.name, need.interpreters) for need in needs] == [
        ("a", (CP312,)),
        ("b", (CP312, CP314T)),
        ("d", (CP312, CP314T)),
        ("f", (CP312, CP314T)),
    ]
    assert broken == ("not a requirement",)
    assert [need.name for need in read_needs(texts, "run", [CP313])[0]] == ["b", "f"]


TOOK = "31 minutes in its last build here"


def told(needs: list[Need], offers: dict[tuple[str, Interpreter], Offer], **other: object) -> list[StepResult]:
    return requirement_results(
        needs,
        offers,
        needed=other.get("needed", ()),  # type: ignore[arg-type]
        recipes=other.get("recipes", ()),  # type: ignore[arg-type]
        where=lambda need: f"recipe:{need.name}",
        minutes={"slow": 31.0}.get,
    )


def test_what_is_said_of_requirements() -> None:
    needs = [
        Need(Requirement("well"), "build", (CP312, CP313)),
        Need(Requirement("slow>=2"), "build", (CP312, CP313)),
        Need(Requirement("gone"), "test", (CP312,), recipe=True),
        Need(Requirement("unknown"), "run", (CP312,)),
    ]
    offers = {
        ("well", CP312): Offer("pure", "1"),
        ("well", CP313): Offer("ours", "1"),
        ("slow>=2", CP312): Offer("wheel", "2"),
        ("slow>=2", CP313): Offer("sdist", "3"),
        ("gone", CP312): Offer("none", reason="nobody has it"),
    }
    found = told(needs, offers)
    assert [(each.state, each.text) for each in found] == [
        ("ok", "with a wheel: 1 to be built"),
        ("ok", f"slow>=2 (to be built, cp313): there is no riscv64 wheel; 3 will be compiled ({TOOK})"),
        ("failed", "gone (for its tests, cp312): nobody has it"),
    ]
    assert [each.where for each in found[1:]] == ["recipe:slow", "recipe:gone"]
    assert found[1].fix.startswith("a recipe for slow, then")
    assert told(needs, offers, recipes=["slow"])[1].fix.startswith("nox -s build-slow, then")
    assert [each.text[:4] for each in told(needs, offers, needed=["slow"])] == ["with", "gone"]


def test_which_tests_run_is_cibuildwheels_to_say() -> None:
    """cibuildwheel's documentation, "Configuration overrides": later levels replace, unless they inherit."""
    upstream = {
        "test-command": "one",
        "test-requires": ["a", "b"],
        "test-groups": ["g"],
        "linux": {"test-requires": "c"},
        "overrides": [
            {"select": "*-musllinux*", "test-command": "never"},
            {"select": ["cp31{2,3}-*"], "inherit": {"test-requires": "prepend"}, "test-requires": ["d"]},
        ],
    }
    table = options(upstream, Settings.model_validate({"build": {"cibuildwheel": {"test-requires": ["e"]}}}))
    for interpreter, requires in ((CP313, ("d", "c", "e")), (CP314T, ("c", "e"))):
        tests = effective_tests(table, interpreter.identifier())
        assert (tests.command, tests.requires, tests.groups) == (("one",), requires, ("g",))
    ours = options(upstream, Settings.model_validate({"test": {"command": "two", "requires": ["e"]}}))
    tests = effective_tests(ours, CP313.identifier())
    assert (tests.command, tests.requires, tests.groups) == (("two",), ("e",), ())


def test_inheriting_from_upstream_is_a_choice() -> None:
    settings = Settings.model_validate({"build": {"upstream": False}})
    assert effective_tests(options({"test-command": "one"}, settings), CP313.identifier()).command == ()


# ----------------------------------------------------------------------- stubs


def test_stubs_are_what_publishing_takes(tmp_path: Path) -> None:
    expected = [
        ExpectedWheel("my-demo", "1.0", "cp313", "cp313", (CP313,)),
        ExpectedWheel("my-demo", "1.0", "cp38", "abi3", (CP312,)),
    ]
    folder = tmp_path / "dist/my-demo/1.0"
    write_stubs(folder, "my-demo", "1.0", expected, "manylinux_2_39_riscv64")
    names = [WheelName.parse(wheel.name) for wheel, _ in releasable(folder)]
    assert {(name.name, name.pythons, name.abis, name.platforms) for name in names} == {
        ("my-demo", ("cp313",), ("cp313",), ("manylinux_2_39_riscv64",)),
        ("my-demo", ("cp38",), ("abi3",), ("manylinux_2_39_riscv64",)),
    }


# ---------------------------------------------------------------------- result


def result(*findings: StepResult, answered: bool = True) -> PreflightReport:
    return PreflightReport(
        package="demo",
        package_version="1.0",
        checked=datetime(2026, 11, 22, 10, tzinfo=UTC),
        answered=answered,
        findings=findings,
    )


FAILED = StepResult(
    step="patches",
    state="failed",
    text="a.patch does not apply",
    where="recipes/demo/recipe.toml:7",
    fix="make it anew",
    details=("a.patch:9: hunk 1 does not fit a.c at line 3",),
)


def test_the_table_for_people(snapshot: SnapshotAssertion) -> None:
    seen = StepResult(step="version", state="ok", text="the tag v1.0 is commit 0123456789ab")
    nasty = StepResult(step="sdist", state="ok", text="made \x1b[31mred", details=("::error::x\x07",))
    skipped = StepResult(step="tests", state="skipped", text="nothing is tested: there is no test command")
    assert preflight_text(result(seen, FAILED, nasty, skipped)) == snapshot


def test_a_failure_is_an_error_and_an_outage_is_another() -> None:
    assert problem(result()) is None
    failure, outage = problem(result(FAILED)), problem(result(FAILED, answered=False))
    assert isinstance(failure, PreflightError)
    assert "recipes/demo/recipe.toml:7: a.patch does not apply" in str(failure)
    assert isinstance(outage, NetworkError)


def test_steps_are_in_order() -> None:
    assert STEPS[0] == "version"
    assert STEPS[-1] == "publish"
    assert len(set(STEPS)) == len(STEPS)
