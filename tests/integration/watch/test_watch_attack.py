"""Attacks on preflight, doctor and radar: by a build backend, by an index, by files that people are sent."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
import warnings
from pathlib import Path
from textwrap import dedent, indent
from typing import TYPE_CHECKING

import pytest

from support.index import JSON, Fault, IndexFile, IndexServer
from support.installers import environment
from support.offers import sdist_bytes
from support.project import make_project
from support.tiny import add_tiny, sources
from support.wheels import WheelSpec
from wheelyard.core.digests import sha256_file
from wheelyard.core.errors import DiskError, ListError, UpstreamUnknownError
from wheelyard.core.tags import Interpreter
from wheelyard.io import downloads, log, sandbox
from wheelyard.preflight.command_paths import find_missing_paths
from wheelyard.preflight.preflight_package import preflight, stored_report
from wheelyard.preflight.source_facts import sdist_facts
from wheelyard.registries import DirectoryRegistry, read_release
from wheelyard.registries.open_registry import open_registry
from wheelyard.watch import available as availability
from wheelyard.watch import gap_report as radar_flow
from wheelyard.watch.name_lists import read_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from wheelyard.project.config import Project
    from wheelyard.watch.availability_report import RadarReport

ARM = "cp313-cp313-manylinux_2_17_aarch64"
CP313 = Interpreter(13)
RECIPE = '[test]\ncommand = "python {project}/test_tiny.py"\n'
PYPROJECT = """\
[tool.wheelyard]
interpreters = ["cp313"]
policy = "manylinux_2_39_riscv64"
image = "local"
"""
# Python's parser has no depth that packaging's lacks; int() takes 4300 digits.
DEEP = f"x; {'(' * 1500}os_name=='a'{')' * 1500}"
ENDLESS = f"x>={'9' * 6000}"


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[IndexServer]:
    with IndexServer() as server:
        monkeypatch.setenv("WHEELYARD_INDEX", server.url)
        monkeypatch.setenv("WHEELYARD_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX"):
            monkeypatch.delenv(name, raising=False)
        yield server


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return yard(tmp_path)


def yard(folder: Path, recipe: str = RECIPE) -> Project:
    (folder / "yard").mkdir(exist_ok=True)
    return make_project(folder / "yard", {"tiny/recipe.toml": recipe}, pyproject=PYPROJECT)


# ------------------------------------------------------------------- a backend


def backend(index: IndexServer, does: str) -> None:
    """Serve ``tiny``, whose backend does that before it makes its sdist."""
    head = "def build_sdist(folder, config_settings=None):\n"
    text = sources()["backend.py"]
    assert head in text
    add_tiny(index, files={"backend.py": text.replace(head, f"{head}{indent(dedent(does), '    ')}\n")})


def running(words: str) -> list[str]:
    """Return the processes of that command line that have not ended."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip() == words:
                found.append(folder.name)
        except OSError:
            continue
    return found


@pytest.mark.parametrize("ends", ["", "raise RuntimeError", "os.kill(os.getpid(), 9)", "time.sleep(600)"])
def test_what_a_backend_leaves_running_ends_with_it(tmp_path: Path, index: IndexServer, ends: str) -> None:
    """In a session of its own, and with nothing in its environment by which it could be found."""
    words = f"sleep 86{abs(hash(str(tmp_path))) % 10**8}"
    quiet = "stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL"
    backend(index, f"subprocess.Popen({words.split()}, start_new_session=True, env={{}}, {quiet})\n{ends}")
    result = preflight(yard(tmp_path, f"{RECIPE}[sdist]\ntimeout = 4\n"), "tiny")
    assert result.ok == (not ends)
    until = time.monotonic() + 5
    while running(words):
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.fixture
def not_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine that has no namespaces for us, in a process that has met no secret, as earlier tests may have."""
    monkeypatch.setattr(sandbox, "unavailable", lambda: "not here")
    monkeypatch.setattr(log, "holds_secrets", lambda: False)


@pytest.mark.parametrize(
    "does",
    [
        'result.write_text("{}")',
        'result.write_text("[" * 100_000)',
        """result.write_text('{"stage": [], "requires": 5, "wheel_requires": {}, "sdist": [1], "error": 5}')""",
        "os.mkfifo(result)",
        "result.mkdir()",
    ],
)
def test_a_backend_that_answers_in_our_programs_place(
    index: IndexServer, project: Project, does: str, not_apart: None
) -> None:
    where = 'result = pathlib.Path(folder).parent / "result.json"\n'
    backend(index, f"{where}{does}\nos.kill(os.getppid(), 9)")
    assert [each.step for each in preflight(project, "tiny").failures] == ["sdist"]


def test_from_apart_a_backend_cannot_end_our_program(index: IndexServer, project: Project) -> None:
    """It is the first process in there, which the kernel spares (pid_namespaces(7)), and writes its answer itself."""
    if sandbox.unavailable():
        pytest.skip("this machine has no user namespaces for us")
    where = 'result = pathlib.Path(folder).parent / "result.json"\n'
    backend(index, f'{where}result.write_text("[]")\nos.kill(os.getppid(), 9)')
    assert preflight(project, "tiny").ok


def test_an_answer_that_fills_our_memory_is_not_read(index: IndexServer, project: Project, not_apart: None) -> None:
    where = 'result = pathlib.Path(folder).parent / "result.json"\n'
    backend(index, f"""{where}result.write_text('{{"stage": "sdist"}}' + " " * (17 << 20))\nos.kill(os.getppid(), 9)""")
    assert [each.text for each in preflight(project, "tiny").failures] == ["cannot be read by a build frontend"]


def test_a_backend_that_makes_a_pipe_of_our_answer(tmp_path: Path, index: IndexServer, project: Project) -> None:
    backend(index, 'os.mkfifo(pathlib.Path(folder).parent / "result.json")')
    assert preflight(project, "tiny").ok


def test_a_full_disk_is_not_upstreams_fault(tmp_path: Path, index: IndexServer, project: Project) -> None:
    backend(index, "import errno\nraise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))")
    with pytest.raises(DiskError):
        preflight(project, "tiny")
    assert stored_report(project, "tiny", "1.0") is None


@pytest.mark.parametrize(
    "line",
    [
        "tool = 5",
        "project.optional-dependencies = 5",
        "project.optional-dependencies = ['x']",
        "tool.setuptools.ext-modules = 5",
        "tool.setuptools.ext-modules = [5, {name = 5}]",
    ],
)
def test_a_pyproject_of_strange_types(index: IndexServer, project: Project, line: str) -> None:
    add_tiny(index, files={"pyproject.toml": f"{line}\n{sources()['pyproject.toml']}"})
    assert preflight(project, "tiny").ok


@pytest.mark.parametrize("requires", ["5", '"abc"', "{a = 1}"])
def test_build_requirements_that_are_no_list(index: IndexServer, project: Project, requires: str) -> None:
    add_tiny(index, files={"pyproject.toml": f"build-system.requires = {requires}\n"})
    assert [each.step for each in preflight(project, "tiny").failures] == ["sdist"]


def test_requirements_that_nobody_can_evaluate_are_told(index: IndexServer, project: Project) -> None:
    info = f"Metadata-Version: 2.4\nName: tiny\nVersion: 1.0\nRequires-Dist: {DEEP}\nRequires-Dist: {ENDLESS}\n"
    odd = "\ndef get_requires_for_build_wheel(settings=None): return [5, \"y; 'a' in extras\", '\\x1b[31m']\n"
    files = {"PKG-INFO": info, "backend.py": sources(mode="unsupported")["backend.py"] + odd}
    add_tiny(index, files=files)
    failures = preflight(project, "tiny").failures
    assert {each.step for each in failures} == {"requirements"}
    broken = next(each for each in failures if "4 requirement(s) cannot be read" in each.text)
    assert {line[:3] for line in broken.details} == {"x; ", "x>=", "y; ", " [3"}
    assert max(map(len, broken.details)) <= 200


def test_versions_that_are_none(index: IndexServer, project: Project, tmp_path: Path) -> None:
    add_tiny(index)
    for version in ("9" * 5000, "1.0\x1b[31m", "../../1.0"):
        done = wheelyard(project.root, index, "preflight", "tiny", "--version", version)
        assert done.returncode == 21
        assert "is not a version" in done.stderr
        assert "Traceback" not in done.stderr
        assert "\x1b" not in done.stdout + done.stderr


# ----------------------------------------------------------------- test paths


def within(seconds: float, what: Callable[[], object]) -> None:
    started = time.monotonic()
    what()
    assert time.monotonic() - started < seconds


def test_patterns_that_lead_in_circles_end(tmp_path: Path) -> None:
    tree = tmp_path / "tiny"
    for name in "abcdefgh":
        (tree / name / "b/c/d").mkdir(parents=True)
        (tree / name / "up").symlink_to("..")
    commands = [
        "pytest {project}/**/nope.py",
        f"pytest {{project}}/{'*/../' * 12}nope.py",
        f"pytest {{project}}/{'**/a/' * 12}nope.py",
    ]
    within(5, lambda: find_missing_paths(commands, tree=tree))
    assert find_missing_paths(commands[:1], tree=tree).missing == ["{project}/**/nope.py"]
    (tree / "a/" / "/".join("a" * 100)).mkdir(parents=True)
    within(5, lambda: find_missing_paths([f"pytest {{project}}/{'**/a/' * 6}nope.py"], tree=tree))
    many = "pytest " + " ".join(f"--ignore=x/{number}.py" for number in range(3000))
    within(5, lambda: find_missing_paths([many], tree=tree))


def test_paths_outside_of_the_source_are_not_looked_at(tmp_path: Path) -> None:
    tree = tmp_path / "work/tiny"
    tree.mkdir(parents=True)
    for word in ("{project}/../gone", "{project}/../../**/gone", "{project}/a/../../gone"):
        assert find_missing_paths([f"pytest {word}"], tree=tree).missing == []
    assert find_missing_paths(["pytest {project}/a/../gone"], tree=tree).missing == ["{project}/a/../gone"]


def test_a_folder_of_ours_with_a_winding_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("work", "other"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    assert find_missing_paths(["pytest {project}/gone"], tree=Path("other/../work")).missing == ["{project}/gone"]


def test_a_folder_of_ours_that_looks_like_a_pattern(tmp_path: Path) -> None:
    tree = tmp_path / "our[1] folder*/link/tiny"
    (tmp_path / "our[1] folder*/real/tiny").mkdir(parents=True)
    (tmp_path / "our[1] folder*/link").symlink_to("real")
    (tree / "test_a.py").touch()
    assert find_missing_paths(["pytest {project}/test_a.py {project}/test_*.py"], tree=tree).missing == []
    assert find_missing_paths(["pytest {project}/test_b.py"], tree=tree).missing == ["{project}/test_b.py"]


@pytest.mark.parametrize(
    "command",
    [
        "pytest --ignore=a**b.py",
        "pytest --ignore=..",
        f"cd {{project}} && python -m unittest {'a' * 300}",
        f"pytest --ignore={'x/' * 3000}",
        "pytest {project}/[",
        "pytest {project}/a**b",
    ],
)
def test_paths_that_are_none(tmp_path: Path, command: str) -> None:
    find_missing_paths([command], tree=tmp_path)


def test_warnings_about_upstreams_setup_are_not_ours(tmp_path: Path) -> None:
    (tmp_path / "setup.py").write_text('x = "\\d"\nExtension("inner", [])\n')
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert sdist_facts(tmp_path).modules == ("inner",)


# ----------------------------------------------------------------- available


def wheelyard(folder: Path, index: IndexServer, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "wheelyard", *words],
        cwd=folder,
        env=environment(folder) | {"WHEELYARD_INDEX": index.url, "WHEELYARD_CACHE": str(folder / "cache")},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize(
    "text",
    [DEEP, ENDLESS, f"x; python_version < '{'9' * 6000}'", "-r loop", "-r gone.txt", "-c a\0b", f"-r {'a' * 3000}"],
)
def test_lines_that_are_no_requirements(index: IndexServer, project: Project, tmp_path: Path, text: str) -> None:
    (tmp_path / "loop").symlink_to("loop")
    file = tmp_path / "r.txt"
    file.write_text(f"\n{text}\n")
    details: tuple[str, ...] = ()
    with contextlib.suppress(ListError, UpstreamUnknownError):  # a marker may be deep and still be one
        report = availability.available(project, [], [file], pythons=[CP313], registry=None)
        details = tuple(choice.reason for need in report.needs for choice in need.found.values())
    assert max(map(len, details), default=0) < 2500


def test_nothing_of_a_word_steers_a_terminal_or_tells_a_password(index: IndexServer, tmp_path: Path) -> None:
    index.add("plain", IndexFile("plain-1.0-py3-none-any.whl"))
    (tmp_path / "r\x1b[31m.txt").write_text("plain\n# \x1b[32m\n")
    login = "https://someone:hunter2hunter2@example.org/x-1.0-py3-none-any.whl"
    words = ("available", "r\x1b[31m.txt", f"x @ {login}", "--registry", "none")
    done = wheelyard(tmp_path, index, *words)
    assert done.returncode == 18, done.stderr  # nobody answers there
    assert "\x1b" not in done.stdout + done.stderr
    assert "hunter2" not in done.stdout + done.stderr


def test_metadata_that_asks_for_what_nobody_can_evaluate(index: IndexServer, project: Project) -> None:
    asks = f"Requires-Dist: {DEEP}\nRequires-Dist: {ENDLESS}\nRequires-Dist: fine\n".encode()
    index.add("top", IndexFile("top-1.0-py3-none-any.whl", metadata=asks))
    index.add("fine", IndexFile("fine-1.0-py3-none-any.whl"))
    report = availability.available(project, ["top"], [], pythons=[CP313], registry=None)
    assert report.needs[0].name == "top"


def lie(index: IndexServer, project: str, *files: dict[str, object]) -> None:
    """Serve a page of that project with these files."""
    page = {"meta": {"api-version": "1.1"}, "name": project, "files": [{"hashes": {}, **file} for file in files]}
    index.fault(f"/simple/{project}/", Fault(body=json.dumps(page).encode(), content_type=JSON))


def test_addresses_that_are_none(index: IndexServer, project: Project) -> None:
    bad, right = "http://[bad/x", {"sha256": "0" * 64}
    lie(index, "pure", {"filename": "pure-1.0-py3-none-any.whl", "url": bad, "core-metadata": True})
    lie(
        index,
        "gap",
        {"filename": f"gap-1.0-{ARM}.whl", "url": bad},
        {"filename": "gap-1.0.tar.gz", "url": bad, "hashes": right},
    )
    with pytest.raises(UpstreamUnknownError):
        availability.available(project, ["pure", "gap"], [], pythons=[CP313], registry=None)
    assert "no usable address" in look(project, "gap\n").top[0].note
    lie(index, "tiny", {"filename": "tiny-1.0.tar.gz", "url": bad, "hashes": right})
    assert {each.step for each in preflight(project, "tiny").failures} == {"version", "source"}


# --------------------------------------------------------------------- radar


def look(project: Project, names: str, *, own: Path | None = None) -> RadarReport:
    path = project.root / "names.tsv"
    path.write_text(names)
    place = open_registry(project, str(own), new=False) if own else None
    return radar_flow.radar(project, path, top=5, registry=place)


def gap(index: IndexServer, name: str, requires: str, version: str = "1.0") -> None:
    index.add(name, IndexFile(f"{name}-{version}-{ARM}.whl"))
    data = sdist_bytes(name, version, f"build-system.requires = {requires}")
    index.add(name, IndexFile(f"{name}-{version}.tar.gz", data))


def test_lists_with_lines_without_end(tmp_path: Path) -> None:
    file = tmp_path / "names.tsv"
    file.write_text(f"# a source {'of names ' * 1000}\nfirst\t5\n# {'x ' * 3000}\nsecond\n")
    assert [(one.name, one.weight) for one in read_names(file).entries()] == [("first", 5), ("second", None)]
    file.write_text(f"first\n{'a' * 201}\n{'b' * 5000}\nc d\n")
    with pytest.raises(ListError) as caught:
        read_names(file)
    assert [line.removeprefix(f"{file}:").partition(":")[0] for line in caught.value.details] == ["2", "3", "4"]


def test_a_file_name_that_no_folder_takes(index: IndexServer, project: Project) -> None:
    gap(index, "gap", '["scarce"]', version=".".join(["1"] * 105))
    assert [one.requirement for one in look(project, "gap\n").top[0].first or ()] == ["scarce"]


def test_build_requirements_that_nobody_can_evaluate(index: IndexServer, project: Project) -> None:
    gap(index, "gap", f'["{DEEP}", "{ENDLESS}", "scarce"]')
    assert [one.requirement for one in look(project, "gap\n").top[0].first or ()] == ["scarce"]


@pytest.mark.parametrize("answered", [True, False])
def test_two_runs_that_read_the_same_source(
    index: IndexServer, project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, answered: bool
) -> None:
    """The other one has removed the sdist just after ours has come."""
    gap(index, "gap", '["scarce"]')
    look(project, "gap\n")
    (answer,) = (tmp_path / "cache/radar").iterdir()
    text = answer.read_text()
    answer.unlink()

    def download(url: str, target: Path, *, sha256: str, size: int | None, limit: int) -> None:
        downloads.download(url, target, sha256=sha256, size=size, limit=limit)
        target.unlink()
        if answered:
            answer.write_text(text)

    monkeypatch.setattr(radar_flow, "downloads", type("Other", (), {"download": staticmethod(download)}))
    found = look(project, "gap\n").top[0]
    if answered:
        assert [one.requirement for one in found.first or ()] == ["scarce"]
    else:
        assert "was removed during the run" in found.note


def test_a_registry_that_fails_for_a_build_requirement_is_told(
    index: IndexServer, project: Project, tmp_path: Path
) -> None:
    gap(index, "gap", '["scarce"]')
    own = tmp_path / "own"
    made = WheelSpec("scarce").write(tmp_path / "made")
    DirectoryRegistry(own).put(read_release(made, sha256=sha256_file(made)))
    assert look(project, "gap\n", own=own).notes == ()
    for description in (own / "files/scarce").glob("*.json"):
        description.unlink()
    assert any("scarce was not looked at in our registry" in note for note in look(project, "gap\n", own=own).notes)
