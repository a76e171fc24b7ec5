"""Preflight over a loopback index and real git: one test for each way in which a step can fail, and what it costs."""

from __future__ import annotations

import difflib
import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from support.built_wheels import record_of
from support.index import Fault, IndexFile, IndexServer
from support.project import make_project
from support.schemas import validator
from support.tiny import add_tiny, sdist, sources
from support.wheels import WheelSpec
from wheelyard.core.errors import PreflightError, RecipeError, UnknownPackageError
from wheelyard.planning.target import find_target
from wheelyard.preflight.preflight_package import facts_of, preflight, problem, stored_report
from wheelyard.preflight.source_facts import diff_facts
from wheelyard.records.lockfile import lock_file, pin
from wheelyard.records.releases import RELEASES, ReleasedFile, record
from wheelyard.records.wheel_records import write_record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from wheelyard.preflight.preflight_report import PreflightReport, StepResult
    from wheelyard.project.config import Project

RECIPE = """\
[test]
requires = ["wanted"]
command = "python {project}/test_tiny.py"
"""
PYPROJECT = """\
[tool.wheelyard]
interpreters = ["cp313"]
policy = "manylinux_2_39_riscv64"
image = "local"
"""


@pytest.fixture(autouse=True)
def _own_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHEELYARD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX", "GIT_DIR"):
        monkeypatch.delenv(name, raising=False)
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "T")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "t@example.org")


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[IndexServer]:
    with IndexServer() as server:
        monkeypatch.setenv("WHEELYARD_INDEX", server.url)
        server.add("wanted", IndexFile("wanted-1.0-py3-none-any.whl", b""))
        yield server


def site(folder: Path, recipe: str = RECIPE, **files: str) -> Project:
    named = {f"tiny/{name.replace('_', '.')}": text for name, text in files.items()}
    folder.mkdir(exist_ok=True)
    return make_project(folder, {"tiny/recipe.toml": recipe, **named}, pyproject=PYPROJECT)


def of(result: PreflightReport, step: str) -> list[StepResult]:
    return [each for each in result.findings if each.step == step]


def only_failure(result: PreflightReport, step: str) -> StepResult:
    """That step failed in one point, and nothing else did."""
    assert [each.step for each in result.failures] == [step], result.failures
    return result.failures[0]


def line_of(recipe: str, text: str) -> str:
    return f"recipes/tiny/recipe.toml:{[text in line for line in recipe.splitlines()].index(True) + 1}"


def diff(name: str, old: str, new: str) -> str:
    lines = difflib.unified_diff(old.splitlines(True), new.splitlines(True), f"a/{name}", f"b/{name}")
    return "".join(lines)


def test_all_is_well(tmp_path: Path, index: IndexServer) -> None:
    add_tiny(index)
    project = site(tmp_path / "site")
    result = preflight(project, "tiny")
    assert result.ok, result.failures
    assert problem(result) is None
    states = {each.step: each.state for each in result.findings}
    assert states == {
        "version": "ok",
        "source": "ok",
        "patches": "skipped",
        "sdist": "ok",
        "metadata": "ok",
        "requirements": "ok",
        "tests": "ok",
        "wheels": "ok",
        "publish": "ok",
    }
    assert result.wheels == ("tiny-1.0-cp313-cp313-manylinux_*_riscv64.whl",)
    assert not (tmp_path / "site/packages").exists()
    assert not (tmp_path / "site/dist").exists()
    assert not list((tmp_path / "cache/work").iterdir())


# ----------------------------------------------------- each step's own failure


def test_a_version_that_is_not_there(tmp_path: Path, index: IndexServer) -> None:
    add_tiny(index)
    result = preflight(site(tmp_path / "site"), "tiny", "2.0")
    failure = only_failure(result, "version")
    assert "no version 2.0" in failure.text
    assert failure.where == "recipes/tiny/recipe.toml:1"
    assert {each.state for each in result.findings if each.step != "version"} == {"skipped"}


def test_a_hash_that_the_index_does_not_give_any_more(tmp_path: Path, index: IndexServer) -> None:
    add_tiny(index)
    project = site(tmp_path / "site")
    find_target(project, "tiny")
    index.add("tiny", IndexFile("tiny-1.0.tar.gz", sdist(files={"new.txt": "other bytes"})))
    result = preflight(project, "tiny")
    assert {each.step for each in result.failures} == {"version", "source"}
    assert {each.where for each in result.failures} == {"packages/tiny/lock.toml"}
    assert of(result, "wheels")[0].state == "ok"


def test_bytes_that_are_not_those_promised(tmp_path: Path, index: IndexServer) -> None:
    add_tiny(index)
    index.fault("/files/tiny/tiny-1.0.tar.gz", Fault(body=b"x" * len(sdist())))
    result = preflight(site(tmp_path / "site"), "tiny")
    assert only_failure(result, "source").where == "recipes/tiny/recipe.toml:1"
    for step in ("patches", "sdist", "metadata", "tests"):
        assert of(result, step)[0].state == "skipped"
    for step in ("version", "requirements", "wheels", "publish"):
        assert of(result, step)[0].state == "ok"


def test_every_patch_is_told_of(tmp_path: Path, index: IndexServer) -> None:
    add_tiny(index)
    c = sources()["tiny.c"]
    patches = {
        "good_patch": diff("tiny.c", c, c.replace("The answer.", "An answer.")),
        "merged_patch": diff("tiny.c", c.replace("METH_NOARGS", "METH_O"), c),
        "stale_patch": diff("tiny.c", "nothing\nlike\nit\n", "nothing\nat\nall\n"),
    }
    head = 'why = "because"\nstatus = "To upstream [soon]"\n'
    recipe = RECIPE + "".join(f'[[patch]]\nfile = "{name}.patch"\n{head}' for name in ("stale", "merged", "good"))
    result = preflight(site(tmp_path / "site", recipe, **patches), "tiny")
    assert [(each.state, each.where) for each in of(result, "patches")] == [
        ("failed", "recipes/tiny/recipe.toml:4"),
        ("failed", "recipes/tiny/recipe.toml:8"),
        ("ok", "recipes/tiny/recipe.toml:12"),
    ]
    assert "narrow its 'versions'" in of(result, "patches")[1].fix
    assert result.facts is not None
    assert [each.state for each in result.facts.patches] == ["fails", "upstream", "applies"]
    assert of(result, "sdist")[0].state == "ok"


def test_a_backend_that_makes_no_sdist(tmp_path: Path, index: IndexServer) -> None:
    add_tiny(index, mode="nosdist")
    failure = only_failure(preflight(site(tmp_path / "site"), "tiny"), "sdist")
    assert any("a part of it is missing" in line for line in failure.details)
    assert "[sdist] run" in failure.fix


def test_a_backend_that_never_ends(tmp_path: Path, index: IndexServer) -> None:
    add_tiny(index, mode="slow")
    recipe = RECIPE + "[sdist]\ntimeout = 3\n"
    started = time.monotonic()
    project = site(tmp_path / "site", recipe)
    failure = only_failure(preflight(project, "tiny"), "sdist")
    assert time.monotonic() - started < 30
    assert "did not end within 3.0 s" in failure.text
    assert stored_report(project, "tiny", "1.0") is None, "a slow day is no defect"


@pytest.mark.parametrize(("said", "kept"), [("Connection refused (os error 111)", False), ("no such header", True)])
def test_a_backend_that_misses_the_network_is_asked_again(
    tmp_path: Path, index: IndexServer, said: str, *, kept: bool
) -> None:
    broken = sources(mode="nosdist")["backend.py"].replace("a part of it is missing", said)
    add_tiny(index, files={"backend.py": broken})
    project = site(tmp_path / "site")
    result = preflight(project, "tiny")
    assert not result.ok
    assert result.answered == kept
    assert (stored_report(project, "tiny", "1.0") is not None) == kept


def test_a_backend_that_may_say_no(tmp_path: Path, index: IndexServer) -> None:
    """PEP 517: UnsupportedOperation is no failure."""
    add_tiny(index, mode="unsupported")
    result = preflight(site(tmp_path / "site"), "tiny")
    assert result.ok
    assert of(result, "sdist")[0].state == "skipped"
    assert of(result, "metadata")[0].state == "ok"


def test_metadata_of_another_version(tmp_path: Path, index: IndexServer) -> None:
    add_tiny(index, mode="version")
    recipe = f'[source]\nname = "tiny"\n{RECIPE}'
    failure = only_failure(preflight(site(tmp_path / "site", recipe), "tiny"), "metadata")
    assert "'9.9'" in failure.text
    assert failure.where == "recipes/tiny/recipe.toml:2"


def test_requirements_that_nobody_has(tmp_path: Path, index: IndexServer) -> None:
    add_tiny(index, requires=("old<2", "gone>=1 ; platform_machine == 'riscv64'", "other ; sys_platform == 'win32'"))
    index.add("old", IndexFile("old-1.0-cp313-cp313-manylinux_2_17_x86_64.whl", b""))
    recipe = RECIPE.replace('"wanted"', '"wanted>=7"')
    result = preflight(site(tmp_path / "site", recipe), "tiny")
    found = {each.text.partition(" (")[0]: each for each in of(result, "requirements") if each.state == "failed"}
    assert found.keys() == {"old<2", "gone>=1", "wanted>=7"}
    assert found["wanted>=7"].where == line_of(recipe, "requires")
    assert "for its tests, cp313" in found["wanted>=7"].text
    assert "nobody has a file of it" in found["gone>=1"].text
    assert "to be built, cp313" in found["old<2"].text


def test_what_would_be_compiled_is_told(tmp_path: Path, index: IndexServer) -> None:
    add_tiny(index)
    index.add("wanted", IndexFile("wanted-3.0.tar.gz", b""))
    recipe = RECIPE.replace('"wanted"', '"wanted>=2"')
    project = site(tmp_path / "site", recipe)
    result = preflight(project, "tiny")
    assert result.ok
    assert "3.0 will be compiled (its duration is unknown)" in of(result, "requirements")[0].text
    assert of(result, "requirements")[0].where == line_of(recipe, "requires")

    wheel = WheelSpec(name="wanted", version="2.0")
    folder = project.dist / "wanted/2.0"
    path = wheel.write(folder)
    write_record(folder, record_of(path, wheel).model_copy(update={"durations": {"Building wheel (cp313)": 720.0}}))
    again = preflight(project, "tiny", fresh=True)
    assert "12 minutes in its last build here" in of(again, "requirements")[0].text


def test_a_wheel_of_ours_counts(tmp_path: Path, index: IndexServer) -> None:
    add_tiny(index)
    recipe = RECIPE.replace('"wanted"', '"ours"') + '[build]\nneeds = ["ours"]\n'
    project = site(tmp_path / "site", recipe)
    result = preflight(project, "tiny")
    failed = [each for each in result.failures if "[build] needs" in each.text]
    assert [each.where for each in failed] == [line_of(recipe, "needs")]
    for_tests = RECIPE.replace('requires = ["wanted"]', 'requires = ["ours"]\nneeds = ["ours"]')
    failures = preflight(site(tmp_path / "site", for_tests), "tiny").failures
    assert [each.where for each in failures if "[test] needs" in each.text] == [line_of(for_tests, "needs")]
    project = site(tmp_path / "site", recipe)
    WheelSpec(name="ours").write(project.index / "files/ours")
    assert preflight(project, "tiny").ok


def test_what_is_needed_twice_is_told_once(tmp_path: Path, index: IndexServer) -> None:
    """The recipe's own requirements are not upstream's as well, and those that run it are not those of its tests."""
    info = "Metadata-Version: 2.4\nName: tiny\nVersion: 1.0\nRequires-Dist: absent\nRequires-Dist: gone; extra == 't'\n"
    add_tiny(index, mode="unsupported", files={"PKG-INFO": info})
    recipe = RECIPE.replace('"wanted"', '"missing"') + 'extras = ["t"]\n'
    result = preflight(site(tmp_path / "site", recipe), "tiny")
    assert [each.text.partition(",")[0] for each in result.failures] == [
        "absent (to run",
        "missing (for its tests",
        "gone (for its tests",
    ]
    assert [each.fix for each in result.failures if each.text.startswith("missing")] == ["leave it out"]


def test_an_interpreter_that_is_not_tested_needs_nothing_for_it(tmp_path: Path, index: IndexServer) -> None:
    add_tiny(index)
    recipe = RECIPE.replace("test_tiny.py", "gone.py").replace('"wanted"', '"absent"') + 'skip = ["cp313"]\n'
    result = preflight(site(tmp_path / "site", recipe), "tiny")
    assert result.ok, result.failures
    assert of(result, "tests")[0].state == "skipped"


def test_a_wheel_of_ours_that_is_needed_is_not_compiled_and_a_yanked_one_is_none(
    tmp_path: Path, index: IndexServer
) -> None:
    add_tiny(index)
    index.add("ours", IndexFile("ours-1.0.tar.gz", b""))
    recipe = RECIPE.replace('requires = ["wanted"]', 'requires = ["ours"]\nneeds = ["ours"]')
    project = site(tmp_path / "site", recipe)
    (failure,) = preflight(project, "tiny").failures
    assert "[test] needs" in failure.text
    assert not any("will be compiled" in each.text for each in preflight(project, "tiny").findings)

    wheel = ReleasedFile(file=WheelSpec(name="ours").file, where="gitlab", sha256="0" * 64, size=1, tags=())
    record(RELEASES.path(project.packages, "ours"), [wheel.model_copy(update={"yanked": "broken"})])
    assert not preflight(project, "tiny").ok
    RELEASES.path(project.packages, "ours").unlink()
    record(RELEASES.path(project.packages, "ours"), [wheel])
    assert preflight(project, "tiny").ok


def test_a_test_that_is_not_there(tmp_path: Path, index: IndexServer) -> None:
    add_tiny(index)
    recipe = RECIPE.replace("test_tiny.py", "tests/test_tiny.py")
    failure = only_failure(preflight(site(tmp_path / "site", recipe), "tiny"), "tests")
    assert failure.where == line_of(recipe, "command")
    assert "{project}/tests/test_tiny.py" in failure.text


def test_upstreams_own_tests_are_looked_at(tmp_path: Path, index: IndexServer) -> None:
    theirs = sources()["pyproject.toml"] + (
        '[tool.cibuildwheel]\ntest-command = "pytest {package}/gone"\n'
        'test-requires = "absent"\ntest-groups = ["more"]\n'
        '[dependency-groups]\nmore = ["absent-too"]\n'
    )
    add_tiny(index, files={"pyproject.toml": theirs})
    result = preflight(site(tmp_path / "site", ""), "tiny")
    assert [each.text.partition(" (")[0] for each in result.failures if each.step == "requirements"] == [
        "absent",
        "absent-too",
    ]
    assert any("{package}/gone" in each.text for each in of(result, "tests"))


def test_nothing_to_build(tmp_path: Path, index: IndexServer) -> None:
    add_tiny(index)
    recipe = RECIPE + '[interpreters]\nskip = ["cp313"]\nwhy = "no reason"\n'
    result = preflight(site(tmp_path / "site", recipe), "tiny")
    failure = only_failure(result, "wheels")
    assert failure.where == line_of(recipe, "skip")
    assert of(result, "publish")[0].state == "skipped"
    assert of(result, "sdist")[0].state == "ok"


def test_auto_is_the_official_image_wherever_it_runs(tmp_path: Path, index: IndexServer) -> None:
    """What a proposal says is not to depend on whether a registry has answered on this machine."""
    pythons = ("cp312", "cp313", "cp314t")
    add_tiny(index, pythons=("cp312", "cp313", "cp314"))
    index.add("tiny", IndexFile("tiny-1.0-cp314-cp314t-manylinux_2_17_aarch64.whl", b""))
    policy = PYPROJECT.replace('["cp313"]', json.dumps(pythons)).replace('"local"', '"auto"')
    folder = tmp_path / "site"
    folder.mkdir()
    result = preflight(make_project(folder, {"tiny/recipe.toml": RECIPE}, pyproject=policy), "tiny")
    assert [each.split("-")[3] for each in result.wheels] == list(pythons)
    assert result.ok, result.failures


def test_wheels_of_another_name_than_the_recipes(tmp_path: Path, index: IndexServer) -> None:
    index.add("other", IndexFile("other-1.0.tar.gz", sdist(files={"PKG-INFO": "Name: other\nVersion: 1.0\n"})))
    recipe = f'[source]\nname = "other"\n{RECIPE}'
    result = preflight(site(tmp_path / "site", recipe), "tiny")
    assert [(each.state, each.text) for each in of(result, "publish")] == [("ok", "1 stub(s) would be published")]


def test_wheels_that_would_not_be_published(tmp_path: Path, index: IndexServer) -> None:
    """Whose wheels they are is asked of a recipe as a whole, not of one version."""
    index.add("other", IndexFile("other-1.0.tar.gz", sdist(files={"PKG-INFO": "Name: other\nVersion: 1.0\n"})))
    recipe = f'{RECIPE}\n[[version]]\nmatch = ">=1"\nsource.name = "other"\n'
    result = preflight(site(tmp_path / "site", recipe), "tiny", "1.0")
    failure = next(each for each in result.failures if each.step == "publish")
    assert failure.text == "wheels of these names would not be published"
    assert failure.where == line_of(recipe, "source.name")
    assert any("is not a wheel of tiny" in line for line in failure.details)


# ------------------------------------------------------------------------- git


def git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", "-C", str(folder), *words], check=True, capture_output=True, text=True).stdout.strip()


def repository(folder: Path, mode: str = "well") -> Path:
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    for name, text in sources(mode=mode).items():
        if name != "PKG-INFO":
            (folder / name).write_text(text)
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "change")
    git(folder, "tag", "v1.0")
    return folder


def from_git(folder: Path, tag: str = "v{version}") -> str:
    return f'[source]\ngit = "file://{folder}"\ntag = "{tag}"\n{RECIPE}'


def test_a_source_from_git(tmp_path: Path, index: IndexServer) -> None:
    add_tiny(index)
    recipe = from_git(repository(tmp_path / "repo"))
    result = preflight(site(tmp_path / "site", recipe), "tiny")
    assert result.ok, result.failures
    assert "the tag v1.0 is commit" in of(result, "version")[0].text
    assert result.facts is not None
    assert (result.facts.name, result.facts.version) == ("tiny", "1.0")


def test_a_tag_that_does_not_resolve_names_its_line(tmp_path: Path, index: IndexServer) -> None:
    add_tiny(index)
    recipe = from_git(repository(tmp_path / "repo"), tag="release-{version}")
    failure = only_failure(preflight(site(tmp_path / "site", recipe), "tiny", "1.0"), "version")
    assert failure.where == line_of(recipe, "tag =")
    assert "release-1.0" in failure.text


def test_a_tag_that_has_moved(tmp_path: Path, index: IndexServer) -> None:
    add_tiny(index)
    folder = repository(tmp_path / "repo")
    project = site(tmp_path / "site", from_git(folder))
    locked = find_target(project, "tiny").locked
    git(folder, "commit", "-qm", "more", "--allow-empty")
    git(folder, "tag", "-f", "v1.0")
    failure = only_failure(preflight(project, "tiny", locked=locked), "version")
    assert failure.where == "packages/tiny/lock.toml"
    assert any(str(locked.commit) in line for line in failure.details)


def test_an_sdist_by_the_recipes_own_script(tmp_path: Path, index: IndexServer) -> None:
    add_tiny(index)
    recipe = from_git(repository(tmp_path / "repo")) + '[sdist]\nrun = "make.sh"\n'
    script = 'echo "no luck" >&2; exit 1\n'
    failure = only_failure(preflight(site(tmp_path / "site", recipe, make_sh=script), "tiny"), "sdist")
    assert failure.where == line_of(recipe, "run =")
    assert any("no luck" in line for line in failure.details)


# --------------------------------------------------------------------- hostile


def test_a_backend_sees_nothing_secret(tmp_path: Path, index: IndexServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither tokens, nor the index's login, nor our home, nor where we keep what others rely on."""
    add_tiny(index)
    monkeypatch.setenv("WHEELYARD_GITLAB_TOKEN", "a-token-of-ours")
    monkeypatch.setenv("WHEELYARD_INDEX", index.url.replace("http://", "http://user:hunter2hunter2@"))
    assert preflight(site(tmp_path / "site"), "tiny").ok
    said = (tmp_path / "cache/preflight/logs/tiny/1.0.log").read_text()
    assert "the backend sees" in said
    for secret in ("a-token-of-ours", "hunter2hunter2", "UV_", "PIP_", os.environ["HOME"] + "'", "WHEELYARD_INDEX"):
        assert secret not in said


@pytest.mark.parametrize("name", ["../../../secret.tar.gz", "link.tar.gz"])
def test_a_backend_that_points_elsewhere(tmp_path: Path, index: IndexServer, name: str) -> None:
    (tmp_path / "secret.tar.gz").write_bytes(sdist())
    backend = sources()["backend.py"].replace(
        'return base + ".tar.gz"',
        f'os.symlink("{tmp_path}/secret.tar.gz", pathlib.Path(folder, "link.tar.gz")); return "{name}"',
    )
    add_tiny(index, files={"backend.py": backend})
    assert of(preflight(site(tmp_path / "site"), "tiny"), "sdist")[0].state == "skipped"


# ------------------------------------------------------------------ stored_report


def test_what_was_found_holds_until_something_changes(tmp_path: Path, index: IndexServer) -> None:
    add_tiny(index)
    project = site(tmp_path / "site")
    assert stored_report(project, "tiny", "1.0") is None
    first = preflight(project, "tiny", "1.0")
    asked = len(index.requests)
    assert stored_report(project, "tiny", "1.0") == first
    assert stored_report(project, "tiny", "1.0.0") == first
    assert len(index.requests) == asked
    locked = find_target(project, "tiny", write=False).locked
    asked = len(index.requests)
    assert preflight(project, "tiny", locked=locked) == first
    assert len(index.requests) == asked
    assert preflight(project, "tiny", locked=locked, fresh=True).ok
    assert len(index.requests) > asked

    site(tmp_path / "site", "# a line more, so that places move\n" + RECIPE)
    assert stored_report(project, "tiny", "1.0") is None
    site(tmp_path / "site", RECIPE)
    assert stored_report(project, "tiny", "1.0") is not None
    pin(lock_file(project.packages, "tiny"), locked.model_copy(update={"sha256": "0" * 64}))
    assert stored_report(project, "tiny", "1.0") is None


def test_what_was_found_does_not_hold_for_ever(tmp_path: Path, index: IndexServer) -> None:
    add_tiny(index)
    project = site(tmp_path / "site")
    first = preflight(project, "tiny", "1.0")
    (file,) = (tmp_path / "cache/preflight/reports").rglob("*.json")
    for hours, again, known in ((19, False, True), (30, True, True), (24 * 8, True, False)):
        kept = json.loads(file.read_text())
        kept["result"]["checked"] = (datetime.now(UTC) - timedelta(hours=hours)).isoformat()
        file.write_text(json.dumps(kept))
        assert (stored_report(project, "tiny", "1.0") is not None) == known
        assert (preflight(project, "tiny", "1.0").checked >= first.checked) == again


def test_a_server_that_does_not_answer_blames_nobody(tmp_path: Path, index: IndexServer) -> None:
    add_tiny(index)
    project = site(tmp_path / "site")
    locked = find_target(project, "tiny", write=False).locked
    index.fault("/simple/wanted/", Fault(status=503))
    result = preflight(project, "tiny", locked=locked)
    assert not result.answered
    assert only_failure(result, "requirements").where == ""
    error = problem(result)
    assert error is not None
    assert error.exit_code == 70
    assert stored_report(project, "tiny", "1.0") is None
    index.heal()
    assert preflight(project, "tiny", locked=locked).ok


def test_two_versions_facts_differ(tmp_path: Path, index: IndexServer) -> None:
    add_tiny(index)
    setup = 'from setuptools import Extension, setup\nsetup(ext_modules=[Extension("_more", ["more.c"])])\n'
    info = "Metadata-Version: 2.4\nName: tiny\nVersion: 2.0\nRequires-Python: >=3.12\nLicense-Expression: MIT\n"
    add_tiny(index, "2.0", requires=("cython>=3.1",), files={"setup.py": setup, "more.c": "", "PKG-INFO": info})
    project = site(tmp_path / "site")
    old, new = (facts_of(project, "tiny", version) for version in ("1.0", "2.0"))
    assert diff_facts(old, new) == (
        "Requires-Python: none → `>=3.12`",
        "licence: none → `MIT`",
        "build requirements, new: `cython>=3.1`",
        "extension modules, new: `_more`",
        "compiled sources, new: `more.c`",
    )
    assert diff_facts(new, new) == ()


# --------------------------------------------------------------------- command


def run(project: Project, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "wheelyard", "preflight", *words],
        cwd=project.root,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_the_command_ends_with_its_code_and_speaks_its_schema(tmp_path: Path, index: IndexServer) -> None:
    add_tiny(index)
    validate = validator("preflight")
    well = run(site(tmp_path / "site"), "tiny", "--json")
    assert well.returncode == 0, well.stderr
    validate(json.loads(well.stdout))

    bad = run(site(tmp_path / "site", RECIPE.replace("test_tiny.py", "gone.py")), "tiny")
    assert bad.returncode == PreflightError.exit_code
    assert "recipes/tiny/recipe.toml:3: the test command names missing paths" in bad.stderr
    assert "Traceback" not in bad.stderr
    assert "correct [test] command" in bad.stdout

    project = site(tmp_path / "site", "[tset]\n")
    for words, error in ((["tiny"], RecipeError), (["tini"], UnknownPackageError)):
        assert run(project, *words).returncode == error.exit_code


def test_a_killed_preflight_leaves_nothing(tmp_path: Path, index: IndexServer) -> None:
    add_tiny(index, mode="slow")
    project = site(tmp_path / "site")
    with subprocess.Popen(
        [sys.executable, "-m", "wheelyard", "preflight", "tiny"], cwd=project.root, stderr=subprocess.DEVNULL
    ) as process:
        work = tmp_path / "cache/work"
        until = time.monotonic() + 60
        while not list(work.glob("preflight-*/build/result.json")) and not list(work.glob("preflight-*/build/out")):
            assert time.monotonic() < until
            time.sleep(0.1)
        process.kill()
    until = time.monotonic() + 30
    while list(work.iterdir()):
        assert time.monotonic() < until, list(work.iterdir())
        time.sleep(0.1)


def test_a_range_of_commits_is_looked_at_package_by_package(
    tmp_path: Path, index: IndexServer, capsys: pytest.CaptureFixture[str]
) -> None:
    add_tiny(index)
    project = site(tmp_path / "site")
    find_target(project, "tiny", "1.0")
    git = ["git", "-c", "user.name=T", "-c", "user.email=t@example.org"]

    def commit() -> None:
        for words in (["add", "--all"], ["commit", "--quiet", "--allow-empty", "--message=x"]):
            subprocess.run([*git, *words], cwd=project.root, check=True)

    def run(span: str) -> tuple[int, list[dict[str, str]], str]:
        words = [sys.executable, "-m", "wheelyard", "preflight", f"--changed={span}", "--json"]
        done = subprocess.run(words, cwd=project.root, capture_output=True, text=True, check=False, timeout=120)
        return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr

    subprocess.run(["git", "init", "--quiet", "--initial-branch=main"], cwd=project.root, check=True)
    commit()
    commit()
    assert run("HEAD~1...HEAD")[:2] == (0, [])
    for name, text in {
        "tiny": '[test]\ncommand = "true"\n',
        "new": '[source]\ngit = "https://127.0.0.1:9/x"\n',
    }.items():
        (project.root / "recipes" / name).mkdir(exist_ok=True)
        (project.root / "recipes" / name / "recipe.toml").write_text(text)
    commit()
    code, found, said = run("HEAD~1...HEAD")
    assert {(each["package"], each["package-version"]) for each in found} == {("tiny", "1.0"), ("new", "")}
    assert code in {18, 21}, said  # nobody answers for the one that is new
    assert "new" in said
