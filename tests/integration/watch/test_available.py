"""``available`` with real uv, a public index and a registry of ours, in a checkout and anywhere else."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.index import Fault, IndexFile, IndexServer
from support.installers import environment
from support.offers import Offer, sdist_bytes
from support.project import PYPROJECT, make_project
from support.schemas import validator
from support.wheels import WheelSpec
from wheelyard.core.digests import sha256_file
from wheelyard.core.errors import ListError, UnavailableError, UpstreamUnknownError
from wheelyard.core.tags import Interpreter
from wheelyard.io import sandbox
from wheelyard.registries import DirectoryRegistry, read_release
from wheelyard.registries.open_registry import open_configured, open_registry
from wheelyard.watch import available as flow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wheelyard.project.config import Project
    from wheelyard.watch.availability_report import AvailabilityReport, Need

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
    """Serve one version; its wheels advance what they need, or do not if that is None."""
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
    sources: Sequence[Path] = (),
    own: Path | None = None,
    pythons: tuple[Interpreter, ...] = (CP313,),
    follow: bool = True,
    lock: Path | None = None,
) -> AvailabilityReport:
    registry = open_registry(project, str(own), new=False) if own else None
    return flow.available(project, words, sources, pythons=pythons, registry=registry, follow=follow, lock=lock)


def found(report: AvailabilityReport, python: Interpreter = CP313) -> dict[str, str]:
    return {
        need.name: f"{one.kind} {one.version}".strip() for need in report.needs if (one := need.found.get(str(python)))
    }


def need(report: AvailabilityReport, name: str) -> Need:
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
    report = look(project, "Only_Here", "missing", sources=[file], own=own)
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
    assert need(report, "plain").by == (str(file),)
    assert need(report, "only-here").by == ("command line",)
    error = flow.problem(report)
    assert isinstance(error, UnavailableError)
    assert error.exit_code == 19
    assert "missing was not found in the package registry" in error.details[0]


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
    assert found(look(project, sources=[tmp_path / "r.txt"])) == {"plain": "pure 1.0"}


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
    assert set(need(report, "shared").by) == {"first", "deeper"}
    assert report.notes == ()


def test_an_older_version_is_taken_where_the_newest_ones_exclude_each_other(
    index: IndexServer, project: Project
) -> None:
    offer(index, "first", "2.0", PURE, needs=("shared>=2",))
    offer(index, "first", "1.0", PURE, needs=("shared>=1",))
    offer(index, "second", "1.0", PURE, needs=("deeper",))
    offer(index, "deeper", "1.0", PURE, needs=("shared<2",))
    for version in ("1.0", "2.0"):
        offer(index, "shared", version, PURE)
    assert found(look(project, "first", "second")) == {
        "first": "pure 1.0",
        "second": "pure 1.0",
        "deeper": "pure 1.0",
        "shared": "pure 1.0",
    }
    report = look(project, "first==2.0", "second", "plainless")
    reasons = [one.found["cp313"].reason for one in report.needs if one.name in {"first", "second"}]
    assert sum("shared" in reason for reason in reasons) == 1  # the other one can be installed
    assert found(look(project, "shared>=2", "shared<2"))["shared"] == "none"


def test_an_older_wheel_is_preferred_to_a_newer_source(index: IndexServer, project: Project) -> None:
    """``pip install --prefer-binary``, as the printed command has it."""
    offer(index, "lacking", "2.0", "cp313-cp313-manylinux_2_17_x86_64", needs=("plain",))
    offer(index, "lacking", "1.0", NATIVE)
    offer(index, "plain", "1.0", PURE)
    report = look(project, "lacking")
    assert found(report) == {"lacking": "wheel 1.0"}
    assert "older versions are taken because they have a wheel: lacking 1.0" in report.notes[0]
    assert found(look(project, "lacking>1")) == {"lacking": "sdist 2.0", "plain": "pure 1.0"}


def test_a_free_threaded_interpreter_gets_wheels_of_its_own(index: IndexServer, project: Project) -> None:
    offer(index, "native", "1.0", "cp314-cp314-manylinux_2_31_riscv64", "cp314-cp314t-manylinux_2_39_riscv64")
    offer(index, "other", "1.0", "cp314-cp314-manylinux_2_31_riscv64")
    report = look(project, "native", "other", pythons=(Interpreter(14, free_threaded=True),))
    assert {one.name: one.found["cp314t"].kind for one in report.needs} == {"native": "wheel", "other": "sdist"}


def test_a_lock_has_the_hashes_and_is_read_again(index: IndexServer, project: Project, tmp_path: Path) -> None:
    offer(index, "top", "1.0", PURE, needs=("native",))
    offer(index, "native", "1.0", NATIVE)
    offer(index, "native", "2.0", "cp313-cp313-manylinux_2_17_x86_64")
    lock = tmp_path / "pylock.toml"
    look(project, "top", lock=lock)
    table = tomllib.loads(lock.read_text())
    packages = {package["name"]: package for package in table["packages"]}
    assert (table["lock-version"], packages["native"]["version"]) == ("1.0", "1.0")
    (wheel,) = packages["native"]["wheels"]
    assert wheel["url"].endswith(f"native-1.0-{NATIVE}.whl")
    assert len(wheel["hashes"]["sha256"]) == 64
    assert str(tmp_path / "cache") not in lock.read_text()
    report = look(project, sources=[lock])
    assert found(report) == {"native": "wheel 1.0", "top": "pure 1.0"}
    assert report.command == f"uv pip install -r {lock}"
    lock.unlink()
    look(project, "top", "missing", lock=lock)
    assert not lock.exists()


@pytest.mark.parametrize("text", ["[[packages]]\n", "x = ", "lock-version = '9.0'\npackages = []\n", "\0"])
def test_what_is_no_lock_is_refused(index: IndexServer, project: Project, tmp_path: Path, text: str) -> None:
    (tmp_path / "pylock.toml").write_text(text)
    with pytest.raises(ListError, match="is no lock file"):
        look(project, sources=[tmp_path / "pylock.toml"])


EVIL = """\
import os, pathlib
def prepare_metadata_for_build_wheel(folder, config_settings=None):
    pathlib.Path("{mark}").write_text("\\n".join(f"{{key}}={{value}}" for key, value in os.environ.items()))
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            pathlib.Path("{mark}").open("a").write((process / "environ").read_bytes().decode(errors="replace"))
        except OSError:
            pass
    target = pathlib.Path(folder, "evil-1.0.dist-info")
    target.mkdir()
    (target / "METADATA").write_text("Metadata-Version: 2.1\\nName: evil\\nVersion: 1.0\\nRequires-Dist: plain\\n")
    return target.name
def build_wheel(folder, config_settings=None, metadata_directory=None):
    raise SystemExit
"""


def test_a_strangers_build_backend_sees_no_secret(
    index: IndexServer, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHEELYARD_FORGE_TOKEN", "glpat-not-for-strangers")
    mark = tmp_path / "mark"
    mark.touch()
    mark.chmod(0o666)
    tmp_path.chmod(0o755)
    pyproject = '[build-system]\nrequires = []\nbuild-backend = "own"\nbackend-path = ["."]\n'
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for path, text in {"pyproject.toml": pyproject, "own.py": EVIL.format(mark=mark)}.items():
            info = tarfile.TarInfo(f"evil-1.0/{path}")
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    index.add("evil", IndexFile("evil-1.0.tar.gz", buffer.getvalue()))
    offer(index, "plain", "1.0", PURE)
    assert found(look(project, "evil")) == {"evil": "sdist 1.0", "plain": "pure 1.0"}
    assert "not-for-strangers" not in mark.read_text()


def test_without_a_sandbox_no_build_backend_runs(
    index: IndexServer, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "unavailable", lambda: "not on this machine")
    offer(index, "compiled", "1.0")
    offer(index, "plain", "1.0", PURE)
    report = look(project, "compiled", "plain")
    assert found(report) == {"compiled": "sdist 1.0", "plain": "pure 1.0"}
    assert report.unread == ("compiled",)
    assert any("no source is built for its metadata" in note for note in report.notes)


def test_a_backend_that_fails_leaves_the_dependencies_unknown(index: IndexServer, project: Project) -> None:
    offer(index, "plain", "1.0", PURE)
    index.add("failing", IndexFile("failing-1.0.tar.gz", sdist_bytes("failing", "1.0", "broken = [")))
    report = look(project, "failing", "plain")
    assert found(report) == {"failing": "sdist 1.0", "plain": "pure 1.0"}
    assert report.unread == ("failing",)


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
    report = flow.available(project, ["plain"], [], pythons=(CP313,), registry=place)
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
    offer(index, "plain", "1.0", PURE)
    address = f"{index.url.removesuffix('simple/')}files/plain/plain-1.0-{PURE}.whl"
    (tmp_path / "requirements.txt").write_text(f"native\nplain @ {address}\n")
    done = wheelyard(tmp_path, index, "requirements.txt", "--registry", "none")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].split() == ["requirement", tag]
    assert done.stdout.splitlines()[2].split() == ["native", "public", "1.0"]
    assert f"plain: {address}" in done.stdout
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
    validator("available")(told)
    assert told["interpreters"] == ["cp312", "cp313"]
    assert told["needs"][0]["found"]["cp313"] == {"kind": "wheel", "version": "1.0", "glibc": "2.31", "reason": ""}
    assert "gone for cp312, cp313: Because gone was not found in the package registry" in done.stderr


def test_the_glibc_of_another_board_counts(index: IndexServer, tmp_path: Path) -> None:
    offer(index, "native", "1.0", "cp313-cp313-manylinux_2_39_riscv64", sdist=False)
    words = ("native", "--python", "cp313", "--registry", "none", "--glibc")
    assert [wheelyard(tmp_path, index, *words, glibc).returncode for glibc in ("2.39", "2.38")] == [0, 19]


def test_a_mistake_ends_with_its_line_and_no_traceback(index: IndexServer, tmp_path: Path) -> None:
    (tmp_path / "r.txt").write_text("ok\na b\n")
    done = wheelyard(tmp_path, index, "r.txt", "--registry", "none")
    assert done.returncode == 5
    assert "r.txt:2" in done.stderr
    assert "found `b`" in done.stderr
    assert "Traceback" not in done.stderr
    assert wheelyard(tmp_path, index, "--no-deps").returncode == 2
    assert wheelyard(tmp_path, index, "x", "--glibc", "new").returncode == 2


def test_without_a_project_the_policy_is_that_of_our_own_site_and_no_registry_is_assumed() -> None:
    from wheelyard.project.config import default_project, find_project

    ours_ = find_project(ROOT).config
    assumed = default_project(ROOT, ("cp313",)).config
    assert (assumed.registries, assumed.policy) == ({}, ours_.policy)
