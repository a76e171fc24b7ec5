"""The command line: its help, what verbs say, and how they end."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click
import fastjsonschema
import pytest
import tomli_w
from click.testing import CliRunner

from support.project import PYPROJECT, make_project
from support.schemas import validator
from wheelyard.builder.cibuildwheel_config import Container, compose
from wheelyard.cli import main as command_line
from wheelyard.cli.commands import cli
from wheelyard.core.errors import InterruptedRunError
from wheelyard.io.engine import Engine
from wheelyard.planning import plan_packages as plan_flow
from wheelyard.project.loader import effective, load_recipe
from wheelyard.records import lockfile
from wheelyard.records.models import LockedVersion

if TYPE_CHECKING:
    from collections.abc import Iterator

    from syrupy.assertion import SnapshotAssertion

ROOT = Path(__file__).parents[3]
RECIPE = """\
# C over libthing.
[build]
uses = ["libthing"]
environment = { THING = "1" }

[test]
requires = ["pytest"]
command = "pytest {project}/tests"

[interpreters]
skip = ["cp314t"]
why = "upstream's tests crash there"

[upstream]
note = "an example"
"""
SHARED = '[build.cibuildwheel]\nbefore-all = "if command -v dnf; then dnf install -y libthing-devel; fi"\n'
LOCKED = LockedVersion(
    version="1.2",
    file="demo-1.2.tar.gz",
    size=1234,
    sha256="1" * 64,
    requires_python=">=3.10",
    wheels=("cp312-cp312", "cp313-cp313", "cp314-cp314", "cp314-cp314t"),
    reference="aarch64",
)


class Ended(NamedTuple):
    code: int
    out: str
    err: str


class Site:
    """A project, and the command in it, run in this process as the program runs it."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.root, self._monkeypatch, self._capsys = root, monkeypatch, capsys
        self.project = make_project(
            root,
            {"demo/recipe.toml": RECIPE, "_shared/libthing.toml": SHARED},
            pyproject=PYPROJECT.replace("[tool.wheelyard]", '[tool.wheelyard]\nimage = "local:forky"'),
        )
        lockfile.pin(lockfile.lock_file(self.project.packages, "demo"), LOCKED)

    def run(self, *words: str) -> Ended:
        self._monkeypatch.setattr(sys, "argv", ["wheelyard", *words])
        with pytest.raises(SystemExit) as ended:
            command_line.main()
        code = ended.value.code
        assert isinstance(code, int)
        captured = self._capsys.readouterr()
        return Ended(code, self._neutral(captured.out), self._neutral(captured.err))

    def _neutral(self, text: str) -> str:
        text = text.replace(str(self.root), "<project>")
        text = re.sub(r"\([\d.]+ s\)", "(<time>)", text)
        return re.sub(r"(manylinux_\w+:\w+)-[0-9a-f]{12}", r"\1-<definition>", text)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Site]:
    for name in ("GITHUB_ACTIONS", "GITLAB_CI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("WHEELYARD_INDEX", "http://127.0.0.1:9/simple/")  # nobody answers there
    monkeypatch.chdir(tmp_path)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job of a shell ignores it
    yield Site(tmp_path, monkeypatch, capsys)
    for number, handler in before.items():
        signal.signal(number, handler)


# ------------------------------------------------------------------------- help

VERBS = (
    "plan",
    "preflight",
    "build",
    "check",
    "publish",
    "registry",
    *(
        f"registry {name}"
        for name in ("list", "verify", "adopt", "smoke-test", "prune", "remove", "yank", "mirror", "index")
    ),
    "sources",
    "site",
    "records",
    "check-upstream",
    "radar",
    "history",
    "available",
    "check-tokens",
    "audit",
    "review",
    "ci",
    *(f"ci {name}" for name in ("plan", "reuse", "run-job", "collect", "retry", "report")),
    "doctor",
    "image",
    "image list",
    "image build",
    "image remove",
)


@pytest.mark.parametrize("words", ["", *VERBS])
def test_help(words: str, snapshot: SnapshotAssertion, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    done = CliRunner().invoke(cli, [*words.split(), "--help"], prog_name="wheelyard", terminal_width=80)
    assert done.exit_code == 0
    assert "..." not in done.output.partition("Commands:")[2]  # a summary that is cut says nothing
    assert done.output == snapshot


def commands(group: click.Group, prefix: str = "") -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command
        yield f"{prefix}{name}", command
        if isinstance(command, click.Group):
            yield from commands(command, f"{prefix}{name} ")


def test_every_verb_is_here() -> None:
    assert tuple(sorted(name for name, _ in commands(cli))) == tuple(sorted(VERBS))


def test_options_have_one_meaning() -> None:
    """A spelling is the same kind of option everywhere: a registry to read or to write, a folder, a flag."""
    kinds = {"--registry": "REGISTRY|DIR", "--to": "REGISTRY|DIR", "--out": "DIR", "--keep": "N"}
    seen: dict[str, set[str | None]] = {}
    for _, command in commands(cli):
        for option in command.params:
            for spelling in option.opts:
                seen.setdefault(spelling, set()).add((option.metavar or "").removesuffix("|none"))
    assert {name: seen[name] for name in kinds} == {name: {metavar} for name, metavar in kinds.items()}
    assert seen["--issues"] == {""}
    assert not seen.keys() & {"--of", "--issue"}


def test_help_imports_no_verb() -> None:
    program = (
        "import sys; from wheelyard.cli.main import main; sys.argv = ['wheelyard', '--help']\n"
        "try: main()\n"
        "finally: print(*(name for name in sys.modules if name.startswith('wheelyard.')), 'pydantic' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    modules = done.stdout.splitlines()[-1].split()
    assert modules.pop() == "False"
    assert {name.partition(".")[2].partition(".")[0] for name in modules} == {"cli", "core", "io"}
    assert {name for name in modules if ".cli." in name} == {"wheelyard.cli.main", "wheelyard.cli.commands"}


@pytest.mark.parametrize(
    "words",
    [
        ["frobnicate"],
        ["plan", "--frobnicate"],
        ["plan", "demo", "--python", "cp9"],
        ["plan", "--version", "1.2"],
        ["plan", "--explain"],
        ["build"],
        ["build", "demo", "--jobs", "0"],
        ["publish"],
        ["image", "remove"],
    ],
    ids=" ".join,
)
def test_the_command_lines_own_mistakes(site: Site, words: list[str], snapshot: SnapshotAssertion) -> None:
    ended = site.run(*words)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == snapshot


# ------------------------------------------------------------------------- plan


def test_plan(site: Site, snapshot: SnapshotAssertion) -> None:
    ended = site.run("plan")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == snapshot


def test_plan_json_is_what_its_schema_says(site: Site, snapshot: SnapshotAssertion) -> None:
    ended = site.run("plan", "--json")
    assert (ended.code, ended.err) == (0, "")
    value = json.loads(ended.out)
    validate = validator("plan")
    validate(value)
    with pytest.raises(fastjsonschema.JsonSchemaValueException):
        validate(value | {"version": 2})
    assert value == snapshot


def test_plan_explain(site: Site, snapshot: SnapshotAssertion) -> None:
    ended = site.run("plan", "demo", "--explain")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == snapshot
    found = json.loads(site.run("plan", "demo", "--explain", "--json").out)
    assert (found["schema"], found["version"]) == ("wheelyard/explanation", 1)
    assert found["settings"]["build.environment.THING"] == {"value": "1", "where": "recipes/demo/recipe.toml:4"}


def test_a_plan_of_nothing_says_so(site: Site) -> None:
    (site.root / "recipes/demo/recipe.toml").unlink()
    ended = site.run("plan")
    assert ended == (0, "nothing to plan: there is no recipe in recipes/\n", "")


def test_one_packages_mistake_does_not_hide_the_others(site: Site) -> None:
    for name in ("bad", "worse"):
        make_project(site.root, {f"{name}/recipe.toml": "x = 1\n"})
    ended = site.run("plan")
    assert ended.code == 10
    assert "demo-1.2-cp313-cp313-manylinux_*_riscv64.whl" in ended.out
    assert "recipes/bad/recipe.toml:1" in ended.err
    assert "recipes/worse/recipe.toml:1" in ended.out


def test_planning_writes_nothing(site: Site) -> None:
    def files() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in site.root.rglob("*") if path.is_file()}

    before = files()
    make_project(site.root, {"unlocked/recipe.toml": ""}, pyproject=(site.root / "pyproject.toml").read_text())
    assert site.run("plan", "unlocked").code == 70
    assert files() == before | {site.root / "recipes/unlocked/recipe.toml": b""}


# --------------------------------------------------------------- files that are written


def test_the_lock_as_it_is_written(site: Site, snapshot: SnapshotAssertion) -> None:
    file = lockfile.lock_file(site.project.packages, "demo")
    git = LockedVersion(version="1.3rc1", tag="v1.3rc1", commit="a" * 40)
    lockfile.pin(file, git)
    assert file.read_text(encoding="utf-8") == snapshot


def test_cibuildwheels_configuration_as_it_is_written(site: Site, snapshot: SnapshotAssertion) -> None:
    settings, _ = effective(load_recipe(site.project, "demo"), "1.2")
    container = Container(
        Engine("podman", "/usr/bin/podman"),
        ("--label", "wheelyard.owner=1.2", "--network=host"),
        {"SOURCE_DATE_EPOCH": "1700000000"},
        ("PIP_INDEX_URL",),
        Path("constraints.txt"),
    )
    upstream = {
        "build": "cp31*",
        "before-all": "yum install -y libthing",
        "environment": {"UPSTREAM": "1"},
        "test-command": "tox",
        "macos": {"archs": ["arm64"]},
        "free-threaded-support": True,
    }
    composed = compose(upstream, settings, "localhost/image:1", container)
    assert composed.dropped == ("free-threaded-support",)
    assert tomli_w.dumps(composed.table) == snapshot


# ------------------------------------------------------------------------ mistakes

BAD = """\
[tset]
command = "pytest"

[build]
timeout = "soon"
network = "yes"
environment = { A = 1 }

[[patch]]
file = "../a.patch"
status = "Upstream"
"""


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["plan", "dmeo"], 11),
        (["build", "dmeo"], 11),
        (["check", "dmeo"], 11),
        (["plan", "no/name"], 11),
        (["plan", "bad"], 10),
        (["build", "bad"], 10),
        (["plan", "demo", "--version", "one"], 12),
        (["build", "demo", "--version", "1.2.x"], 12),
        (["plan", "demo", "--python", "cp314t"], 20),
        (["plan", "demo", "--python", "cp38"], 20),
        (["plan", "--image", "ubuntu"], 4),
        (["build", "demo", "--image", "local:bookworm"], 4),
        (["image", "build", "official+rust"], 4),
        (["check", "demo"], 50),
        (["publish", "--to", "./index"], 60),
        (["publish", "--to", "./index", "dmeo"], 60),
        (["publish", "--to", "index"], 4),
        (["build", "unlocked"], 70),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else str(value),
)
def test_mistakes_end_with_a_message_and_a_code(
    site: Site, words: list[str], code: int, snapshot: SnapshotAssertion
) -> None:
    files = {"unlocked/recipe.toml": ""} | ({"bad/recipe.toml": BAD} if "bad" in words else {})
    make_project(site.root, files, pyproject=(site.root / "pyproject.toml").read_text())
    ended = site.run(*words)
    assert ended.code == code, ended
    assert ended.out == ""
    assert "Traceback" not in ended.err
    assert "\n  fix: " in ended.err
    # How a refused connection is worded is the system's business.
    assert re.sub(r"(?s)(error: .*?cannot be reached).*?(?=\n  fix:|\Z)", r"\1 …", ended.err) == snapshot


def test_every_mistake_of_a_recipe_is_told_with_its_line(site: Site) -> None:
    make_project(site.root, {"bad/recipe.toml": BAD}, pyproject=(site.root / "pyproject.toml").read_text())
    err = site.run("plan", "bad").err
    lines = {int(number) for number in re.findall(r"recipes/bad/recipe\.toml:(\d+)", err)}
    assert lines == {
        1,
        5,
        6,
        7,
        9,
        10,
        11,
    }  # unknown table, three wrong types, no reason, a path that leads out, a status


def test_outside_of_a_project(
    site: Site, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    ended = site.run("plan")
    assert (ended.code, ended.out) == (4, "")
    assert "is not inside a wheelyard project" in ended.err


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("interpreters =", "interpreter =", ["tool.wheelyard.interpreter", "tool.wheelyard.interpreters"]),
        ('"cp312"', '"py3"', ["tool.wheelyard.interpreters.0"]),
        ("manylinux_2_39_riscv64", "manylinux_2_39_x86_64", ["tool.wheelyard.policy"]),
        ("[tool.wheelyard]", "[tool.wheelyard", ["is not valid TOML"]),
    ],
)
def test_bad_site_policy(site: Site, old: str, new: str, said: list[str]) -> None:
    file = site.root / "pyproject.toml"
    file.write_text(file.read_text().replace(old, new, 1))
    ended = site.run("plan")
    assert ended.code == 4
    assert "<project>/pyproject.toml" in ended.err
    for word in said:
        assert word in ended.err


@pytest.mark.parametrize("bug", [ZeroDivisionError("of ours"), OSError(5, "of ours"), KeyError("of ours")])
def test_a_bug_is_not_dressed_up(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], bug: Exception
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise bug

    monkeypatch.setattr(plan_flow, "plan_packages", broken)
    monkeypatch.setattr(sys, "argv", ["wheelyard", "plan"])
    with pytest.raises(SystemExit) as ended:
        command_line.main()
    assert ended.value.code == 1
    told = capsys.readouterr().err
    assert told.startswith("Traceback (most recent call last)")
    assert "raise bug" in told
    assert type(bug).__name__ in told


def test_a_bug_keeps_its_traceback_and_ends_with_1(site: Site) -> None:
    program = (
        "import sys; from wheelyard.planning import plan_packages; from wheelyard.cli.main import main\n"
        "def broken(*_, **__): return 1 / 0\n"
        "plan_packages.plan_packages = broken; sys.argv = ['wheelyard', 'plan']; main()"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=site.root, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback")
    assert "ZeroDivisionError" in done.stderr


def test_a_mistake_has_no_traceback_in_a_process_of_its_own(site: Site) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "wheelyard", "plan", "dmeo"], cwd=site.root, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (11, "")
    assert "did you mean 'demo'?" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_being_stopped_is_said_and_has_its_code(
    site: Site, monkeypatch: pytest.MonkeyPatch, stop: signal.Signals
) -> None:
    def stopped(*_: object, **__: object) -> None:
        signal.raise_signal(stop)

    monkeypatch.setattr(plan_flow, "plan_packages", stopped)
    ended = site.run("plan")
    assert (ended.code, ended.out) == (InterruptedRunError.exit_code, "")
    assert "interrupted; nothing is left running" in ended.err
    assert "Traceback" not in ended.err


def test_a_reader_that_goes_away_is_no_bug(site: Site) -> None:
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{sys.executable} -m wheelyard plan demo --explain | head -n1"],
        cwd=site.root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.startswith("setting")
    assert "Traceback" not in done.stderr
