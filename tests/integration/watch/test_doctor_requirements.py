"""``available`` against a public index and a registry of ours, in a checkout and anywhere else."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.index import Fault, IndexFile, IndexServer
from support.installers import environment
from support.offers import Offer
from support.project import PYPROJECT, make_project
from support.schemas import validator
from support.wheels import WheelSpec
from wheelyard.core.digests import sha256_file
from wheelyard.core.errors import NetworkError, UnavailableError, UpstreamUnknownError
from wheelyard.core.tags import Interpreter
from wheelyard.index.dependencies import MetadataFile, dependencies
from wheelyard.registries import DirectoryRegistry, read_release
from wheelyard.registries.open_registry import open_configured, open_registry
from wheelyard.watch import check_requirements as flow

if TYPE_CHECKING:
    from wheelyard.project.config import Project
    from wheelyard.watch.availability_report import Need, RequirementsReport

ROOT = Path(__file__).parents[3]
CP312, CP313 = Interpreter(12), Interpreter(13)
NATIVE = "cp313-cp313-manylinux_2_31_riscv64"
PURE = "py3-none-any"
GITLAB = """
[tool.wheelyard.registries.gitlab]
kind = "gitlab"
url = "http://127.0.0.1:9"
project = "group/project"
"""


def offer(
    index: IndexServer,
    name: str,
    version: str,
    *wheels: str,
    needs: tuple[str, ...] | None = (),
    sdist: bool = True,
) -> None:
    """Serve one version; its wheels tell what they need, or do not if that is None."""
    metadata = None
    if needs is not None:
        lines = "".join(f"Requires-Dist: {need}\n" for need in needs)
        metadata = f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n{lines}".encode()
    for file in Offer(version, wheels, sdist).files(name.replace("-", "_")):
        index.add(name, replace(file, metadata=metadata if file.name.endswith(".whl") else None))


def ours(tmp_path: Path, *wheels: WheelSpec) -> Path:
    """Return a registry folder of ours with these wheels."""
    registry = DirectoryRegistry(tmp_path / "own")
    for wheel in wheels:
        made = wheel.write(tmp_path / "made")
        registry.put(read_release(made, sha256=sha256_file(made)))
    return tmp_path / "own"


def look(
    project: Project,
    *words: str,
    own: Path | None = None,
    pythons: tuple[Interpreter, ...] = (CP313,),
    follow: bool = True,
) -> RequirementsReport:
    place = open_registry(project, str(own), new=False) if own else None
    return flow.check_requirements(project, words, pythons=pythons, registry=place, follow=follow)


def found(report: RequirementsReport, python: Interpreter = CP313) -> dict[str, str]:
    return {
        need.name: f"{one.kind} {one.version}".strip() for need in report.needs if (one := need.found.get(str(python)))
    }


def need(report: RequirementsReport, name: str) -> Need:
    return next(need for need in report.needs if need.name == name)


# -------------------------------------------------------------- what there is


def test_every_kind_and_the_command_that_gets_the_best_of_both(
    index: IndexServer, project: Project, tmp_path: Path
) -> None:
    offer(index, "native", "1.0", NATIVE)
    offer(index, "plain", "1.0", PURE)
    offer(index, "lacking", "2.0", "cp313-cp313-manylinux_2_17_x86_64")
    offer(index, "compiled", "3.0")
    own = ours(tmp_path, WheelSpec("lacking", "1.9"), WheelSpec("only-here", "0.1"))
    file = tmp_path / "my requirements.txt"
    file.write_text("native\nplain>=1\nlacking\n# more\ncompiled\n")
    report = look(project, str(file), "Only_Here", "missing", own=own)
    assert found(report) == {
        "native": "wheel 1.0",
        "plain": "pure 1.0",
        "lacking": "ours 1.9",
        "compiled": "sdist 3.0",
        "only-here": "ours 0.1",
        "missing": "none",
    }
    assert (report.glibc, report.pip) == ("2.39", "24.1")
    place = f"{(own.resolve() / 'simple').as_uri()}/"
    assert report.command == f"pip install --prefer-binary --extra-index-url {place} -r '{file}' Only_Here missing"
    assert need(report, "plain").by == (f"{file}:2",)
    assert need(report, "missing").by == ("command line",)
    error = flow.problem(report)
    assert isinstance(error, UnavailableError)
    assert error.exit_code == 19
    assert error.details == ("missing for cp313: the index has no package 'missing'",)


def test_each_interpreter_gets_its_own(index: IndexServer, project: Project, tmp_path: Path) -> None:
    offer(index, "native", "1.0", NATIVE, sdist=False)
    own = ours(tmp_path, WheelSpec("native", "0.9", python="cp312", abi="cp312"))
    report = look(project, "native", "old; python_version < '3.13'", own=own, pythons=(CP312, CP313))
    assert (found(report, CP312), found(report)) == ({"native": "ours 0.9", "old": "none"}, {"native": "wheel 1.0"})


def test_a_pure_world_needs_no_floors(index: IndexServer, project: Project) -> None:
    offer(index, "plain", "1.0", PURE)
    report = look(project, "plain")
    assert (report.glibc, report.pip, report.command) == ("", "", "pip install --prefer-binary plain")
    assert flow.problem(report) is None


def test_what_is_yanked_or_for_other_pythons_in_our_registry_does_not_count(
    index: IndexServer, project: Project, tmp_path: Path
) -> None:
    own = ours(tmp_path, WheelSpec("gone", "1.0"), WheelSpec("later", "1.0", requires_python=">=3.14"))
    DirectoryRegistry(own).yank("gone", WheelSpec("gone", "1.0").file, "broken")
    assert found(look(project, "gone", "later", own=own)) == {"gone": "none", "later": "none"}


def test_constraints_bound_what_is_wanted_and_want_nothing(
    index: IndexServer, project: Project, tmp_path: Path
) -> None:
    offer(index, "plain", "1.0", PURE)
    offer(index, "plain", "2.0", PURE)
    (tmp_path / "limits.txt").write_text("plain<2\nother<3\n")
    (tmp_path / "r.txt").write_text("-c limits.txt\nplain\n")
    assert found(look(project, str(tmp_path / "r.txt"))) == {"plain": "pure 1.0"}


# --------------------------------------------------------------- dependencies


def test_dependencies_are_followed_with_extras_and_markers(index: IndexServer, project: Project) -> None:
    elsewhere = "windows; sys_platform == 'win32'"
    offer(index, "top", "1.0", PURE, needs=("middle[fast]>=1", elsewhere, "Unasked; extra == 'x'"))
    board = "board; platform_machine == 'riscv64'"
    offer(index, "middle", "1.0", PURE, needs=("quick; extra == 'fast'", "slow; extra == 'slow'", board))
    for name in ("quick", "board"):
        offer(index, name, "1.0", NATIVE)
    report = look(project, "top")
    assert found(report) == {"top": "pure 1.0", "board": "wheel 1.0", "middle": "pure 1.0", "quick": "wheel 1.0"}
    assert [one.name for one in report.needs if one.direct] == ["top"]
    assert need(report, "quick").by == ("middle",)
    assert need(report, "middle").asked == ("middle[fast]>=1",)
    assert found(look(project, "top", follow=False)) == {"top": "pure 1.0"}


def test_an_extra_that_comes_later_is_followed_too(index: IndexServer, project: Project) -> None:
    offer(index, "first", "1.0", PURE, needs=("both",))
    offer(index, "second", "1.0", PURE, needs=("between",))
    offer(index, "between", "1.0", PURE, needs=("both[late]",))
    offer(index, "both", "1.0", PURE, needs=("later; extra == 'late'", "first"))
    offer(index, "later", "1.0", PURE)
    assert "later" in found(look(project, "first", "second"))


def test_bounds_of_several_count_together(index: IndexServer, project: Project) -> None:
    offer(index, "first", "1.0", PURE, needs=("shared>=1",))
    offer(index, "second", "1.0", PURE, needs=("deeper",))
    offer(index, "deeper", "1.0", PURE, needs=("shared<2",))
    for version in ("1.0", "2.0"):
        offer(index, "shared", version, PURE)
    report = look(project, "first", "second")
    assert found(report)["shared"] == "pure 1.0"
    assert need(report, "shared").by == ("first", "deeper")
    assert report.notes == ()


def test_bounds_that_exclude_each_other_are_told(index: IndexServer, project: Project) -> None:
    offer(index, "first", "1.0", PURE, needs=("shared>=2",))
    offer(index, "second", "1.0", PURE, needs=("deeper",))
    offer(index, "deeper", "1.0", PURE, needs=("shared<2",))
    for version in ("1.0", "2.0"):
        offer(index, "shared", version, PURE)
    report = look(project, "first", "second")
    assert found(report)["shared"] == "pure 2.0"
    assert "no version of shared is all of shared>=2, shared<2" in report.notes[0]
    assert found(look(project, "shared>=2", "shared<2"))["shared"] == "none"  # pip refuses that outright


def test_metadata_of_another_platform_does_for_ours_and_what_nobody_tells_is_told(
    index: IndexServer, project: Project, tmp_path: Path
) -> None:
    offer(index, "lacking", "1.0", "cp313-cp313-manylinux_2_17_x86_64", needs=("plain",))
    offer(index, "plain", "1.0", PURE, needs=None)
    offer(index, "compiled", "1.0")
    report = look(project, "lacking", "compiled", own=ours(tmp_path, WheelSpec("lacking", "1.0")))
    assert found(report) == {"lacking": "ours 1.0", "compiled": "sdist 1.0", "plain": "pure 1.0"}
    assert report.unread == ("compiled 1.0", "plain 1.0")


def test_circles_end_and_a_thousand_projects_are_enough(
    index: IndexServer, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "_MOST_NAMES", 20)
    for number in range(40):
        offer(index, f"p{number}", "1.0", PURE, needs=(f"p{(number + 1) % 40}", f"p{(number + 2) % 40}"))
    report = look(project, "p0")
    assert len(report.needs) == 20
    assert "more than 20 projects" in report.notes[0]
    offer(index, "one", "1.0", PURE, needs=("other",))
    offer(index, "other", "1.0", PURE, needs=("one[x]>0",))
    assert found(look(project, "one")) == {"one": "pure 1.0", "other": "pure 1.0"}


def test_dependencies_that_have_no_end(index: IndexServer, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow, "_MOST_ROUNDS", 3)
    for number in range(9):
        offer(index, f"p{number}", "1.0", PURE, needs=(f"p{number + 1}",))
    report = look(project, "p0")
    assert set(found(report)) == {"p0", "p1", "p2", "p3"}
    assert report.notes == ("dependencies have no end; not all were followed",)


def test_metadata_is_that_of_the_wheel_for_riscv64_and_of_no_other_project(
    index: IndexServer, project: Project
) -> None:
    def serve(file: str, needs: str) -> None:
        metadata = f"Metadata-Version: 2.4\nName: top\nVersion: 1.0\nRequires-Dist: {needs}\n".encode()
        index.add("top", IndexFile(f"{file}.whl", metadata=metadata))

    serve("top-1.0-cp313-cp313-manylinux_2_17_x86_64", "wrong")
    serve(f"top-1.0-{PURE}", "plain")
    serve("other-1.0-cp313-cp313-manylinux_2_31_riscv64", "foreign")
    assert set(found(look(project, "top"))) == {"top", "plain"}
    serve(f"top-1.0-{NATIVE}", "right")
    assert set(found(look(project, "top"))) == {"top", "right"}


@pytest.mark.parametrize(
    "fault",
    [Fault(status=500), Fault(status=404), Fault(cut_after=10), Fault(body=b"Name: evil\n"), Fault(drop=True)],
    ids=lambda fault: repr(fault)[:60],
)
def test_metadata_that_cannot_be_had_or_is_another_is_unknown(
    index: IndexServer, project: Project, fault: Fault
) -> None:
    offer(index, "plain", "1.0", PURE, needs=("never",))
    index.fault(f"/files/plain/plain-1.0-{PURE}.whl.metadata", fault)
    report = look(project, "plain")
    assert report.unread == ("plain 1.0",)
    assert found(report) == {"plain": "pure 1.0"}


def test_hostile_metadata_is_read_or_refused(index: IndexServer, capsys: pytest.CaptureFixture[str]) -> None:
    text = "Requires-Dist: ../../etc\x1b[31m\nRequires-Dist: fine>=1\nRequires-Dist: x @ file:///etc/passwd\n"
    url = index.add_static("/m", f"Metadata-Version: 2.4\nName: a\nVersion: 1\n{text}".encode())
    assert [one.name for one in dependencies(MetadataFile(url, ""))] == ["fine", "x"]
    assert "\x1b" not in capsys.readouterr().err
    large = index.add_static("/large", b"x" * (5 << 20))
    with pytest.raises(NetworkError):
        dependencies(MetadataFile(large, ""))


def test_a_marker_that_compares_what_cannot_be_compared_leaves_nothing_out(
    index: IndexServer, project: Project
) -> None:
    markers = ("platform_machine ~= 'x'", "platform_machine < 'x'", "python_version > 'x'", "'x' in extras")
    offer(index, "top", "1.0", PURE, needs=tuple(f"n{number}; {text}" for number, text in enumerate(markers)))
    assert {"top", "n0"} <= set(found(look(project, "top")))


# --------------------------------------------------------------------- faults


def test_one_page_that_fails_hides_nothing_else(index: IndexServer, project: Project) -> None:
    offer(index, "plain", "1.0", PURE)
    offer(index, "broken", "1.0", PURE)
    index.fault("/simple/broken/", Fault(body=b"{", content_type="application/vnd.pypi.simple.v1+json"))
    report = look(project, "plain", "broken")
    assert found(report) == {"plain": "pure 1.0", "broken": "unknown"}
    error = flow.problem(report)
    assert isinstance(error, UpstreamUnknownError)
    assert "broken for cp313" in error.details[0]


def test_our_registry_that_does_not_answer_is_told_and_the_public_index_goes_on(
    index: IndexServer, tmp_path: Path
) -> None:
    (tmp_path / "yard").mkdir()
    project = make_project(tmp_path / "yard", pyproject=PYPROJECT + GITLAB)
    offer(index, "plain", "1.0", PURE)
    place = open_configured(project, None)
    report = flow.check_requirements(project, ["plain"], pythons=(CP313,), registry=place)
    assert found(report) == {"plain": "pure 1.0"}
    assert report.registry == ""
    assert report.notes[0].startswith("our registry was not looked at: gitlab: ")
    assert "extra-index-url" not in report.command


# --------------------------------------------------------------- command line


def wheelyard(folder: Path, index: IndexServer, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "wheelyard", "available", *words],
        cwd=folder,
        env=environment(folder) | {"WHEELYARD_INDEX": index.url, "WHEELYARD_CACHE": str(folder / "cache")},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_in_any_folder_for_the_python_that_runs_it(index: IndexServer, tmp_path: Path) -> None:
    tag = f"cp3{sys.version_info.minor}"
    offer(index, "native", "1.0", f"{tag}-{tag}-manylinux_2_39_riscv64", sdist=False)
    (tmp_path / "requirements.txt").write_text("native\n-e .\n")
    done = wheelyard(tmp_path, index, "requirements.txt", "--registry", "none")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].split() == ["requirement", tag]
    assert done.stdout.splitlines()[2].split() == ["native", "public", "1.0"]
    assert "not looked at: requirements.txt:2: -e ." in done.stdout
    assert "needs glibc 2.39 or newer and pip 24.1 or newer" in done.stdout
    assert done.stdout.endswith("\n\npip install --prefer-binary -r requirements.txt\n")


def test_files_are_named_as_for_pip(index: IndexServer, tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        offer(index, name, "1.0", PURE)
    (tmp_path / "one.txt").write_text("one\n")
    (tmp_path / "two").write_text("two\n")  # as nobody calls a project's file, and a file all the same
    done = wheelyard(tmp_path, index, "-r", "one.txt", "three", "--requirement", "two", "--registry", "none")
    assert done.returncode == 0, done.stderr
    assert {line.split()[0] for line in done.stdout.splitlines()[2:5]} == {"one", "two", "three"}
    assert done.stdout.endswith("\n\npip install --prefer-binary -r one.txt -r two three\n")
    lost = wheelyard(tmp_path, index, "-r", "three", "-r", "one.txt", "--registry", "none")
    assert lost.returncode == 5
    assert "there is no file three" in lost.stderr
    assert lost.stdout == ""


def test_json_is_as_its_schema_says(index: IndexServer, tmp_path: Path) -> None:
    offer(index, "native", "1.0", NATIVE)
    words = (
        "native",
        "gone",
        "--python",
        "cp313",
        "--python",
        "cp312",
        "--glibc",
        "2.36",
        "--registry",
        "none",
        "--json",
    )
    done = wheelyard(tmp_path, index, *words)
    assert done.returncode == 19
    told = json.loads(done.stdout)
    validator("requirements")(told)
    assert told["interpreters"] == ["cp312", "cp313"]
    assert told["needs"][0]["found"]["cp313"] == {"kind": "wheel", "version": "1.0", "glibc": "2.31", "reason": ""}
    assert "gone for cp312, cp313: the index has no package 'gone'" in done.stderr


def test_the_glibc_of_another_board_counts(index: IndexServer, tmp_path: Path) -> None:
    offer(index, "native", "1.0", "cp313-cp313-manylinux_2_39_riscv64", sdist=False)
    words = ("native", "--python", "cp313", "--registry", "none", "--glibc")
    assert [wheelyard(tmp_path, index, *words, glibc).returncode for glibc in ("2.39", "2.38")] == [0, 19]


def test_a_mistake_ends_with_its_line_and_no_traceback(index: IndexServer, tmp_path: Path) -> None:
    (tmp_path / "r.txt").write_text("ok\na b\n")
    done = wheelyard(tmp_path, index, "r.txt", "--registry", "none")
    assert done.returncode == 5
    assert "r.txt:2: 'a b' is not a requirement" in done.stderr
    assert "Traceback" not in done.stderr
    assert wheelyard(tmp_path, index, "--no-deps").returncode == 2
    assert wheelyard(tmp_path, index, "x", "--glibc", "new").returncode == 2


def test_without_a_project_the_policy_is_that_of_our_own_site_and_no_registry_is_assumed() -> None:
    from wheelyard.project.config import default_project, find_project

    ours_ = find_project(ROOT).config
    assumed = default_project(ROOT, ("cp313",)).config
    assert (assumed.registries, assumed.policy) == ({}, ours_.policy)
