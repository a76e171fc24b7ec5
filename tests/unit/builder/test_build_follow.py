"""The call of cibuildwheel: how it is made, how its output is followed, and what its failures mean."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from cibuildwheel import errors as theirs
from cibuildwheel.logger import Logger
from hypothesis import given
from hypothesis import strategies as st

from wheelyard.builder import cibuildwheel
from wheelyard.builder.cibuildwheel import BuildRequest
from wheelyard.builder.cibuildwheel_config import Container
from wheelyard.core.errors import BuildError, CheckError, DiskError, EngineError, TestsFailedError, WheelyardError
from wheelyard.core.tags import Interpreter
from wheelyard.core.values import ExpectedWheel, Image, ImageChoice, Job, SourceTree
from wheelyard.io import log
from wheelyard.io.engine import Engine
from wheelyard.io.run import Completed
from wheelyard.project.recipe import Settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CP313, CP314T = Interpreter.parse("cp313"), Interpreter.parse("cp314t")


def request_of(folder: Path, table: dict[str, Any] | None = None, *, test: bool = True) -> BuildRequest:
    interpreters = (CP313, CP314T)
    expected = tuple(ExpectedWheel("demo", "1.0", f"cp3{i.minor}", str(i), (i,)) for i in interpreters)
    image = Image(
        "local", "localhost/image:1", "", interpreters, "manylinux_2_39_riscv64", "2.41", "14", "trixie", False, "d",
        ImageChoice("local"),
    )  # fmt: skip
    return BuildRequest(
        Job("demo", "1.0", interpreters, expected),
        SourceTree("sdist", folder, "demo-1.0.tar.gz", "1" * 64, "", (), 0),
        Settings.model_validate(table or {}),
        image,
        Container(Engine("podman", "/usr/bin/podman"), (), {}, (), folder / "constraints.txt"),
        test,
        folder,
        folder / "build.log",
    )


# ------------------------------------------------------------------ following


class Followed:
    """A follower, and the steps it makes of lines."""

    def __init__(self) -> None:
        with log.collect() as self.timings:
            self.follower = cibuildwheel._Follower()

    def feed(self, *lines: str) -> Followed:
        for line in lines:
            self.follower.line(line)
        return self

    @property
    def titles(self) -> list[str]:
        self.follower.end(ok=True)
        return [timing.title for timing in self.timings]


@pytest.fixture
def theirs_says(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., list[str]]:
    """What cibuildwheel's own logger prints for a run."""

    def says(*, colours: bool, marks: bool) -> list[str]:
        monkeypatch.setenv("CIBW_LOG_FOLD_MODE", "disabled")
        logger = Logger()
        logger.colors_enabled, logger.unicode_enabled = colours, marks
        logger.step("Starting container image localhost/wheelyard/manylinux_2_39_riscv64:trixie-1...")
        logger.step("Copying project into container...")
        for python in ("cp313", "cp314t"):
            logger.build_start(f"{python}-manylinux_riscv64")
            for step in ("Setting up build environment...", "Building wheel...", "Repairing wheel..."):
                logger.step(step)
            logger.step("Testing wheel...")
            print("============ 7 passed, 1 skipped in 3.21s ============")  # noqa: T201 - as the tests would
            logger.step_end()
            logger.build_end(None)
        logger.step("Copying wheels back to host...")
        logger.step_end()
        return capsys.readouterr().out.splitlines()

    return says


@pytest.mark.parametrize("colours", [True, False])
@pytest.mark.parametrize("marks", [True, False])
def test_cibuildwheels_own_logger_is_understood(
    theirs_says: Callable[..., list[str]], colours: bool, marks: bool
) -> None:
    lines = theirs_says(colours=colours, marks=marks)
    followed = Followed().feed(*lines)
    steps = ["Setting up build environment", "Building wheel", "Repairing wheel", "Testing wheel"]
    assert followed.titles == [
        "Starting container",
        "Copying project into container",
        *(f"{step} (cp313)" for step in steps),
        *(f"{step} (cp314t)" for step in steps),
        "Copying wheels back to host (cp314t)",
    ]
    assert followed.follower.summary == "7 passed, 1 skipped"
    # The marks that end a step are no news when a build fails.
    plain = [cibuildwheel._plain(line) for line in lines]
    assert not [line for line in cibuildwheel._error_lines(plain) if re.search(r"\d\.\d\ds\Z", line)]


@pytest.mark.parametrize(
    ("lines", "summary"),
    [
        (["===== 5 passed in 0.12s ====="], "5 passed"),
        (["5 passed, 2 warnings in 61.00s (0:01:01)"], "5 passed, 2 warnings"),
        (["== 1 failed, 3 passed, 2 xfailed, 1 xpassed in 9.00s =="], "1 failed, 3 passed, 2 xfailed, 1 xpassed"),
        (["1 error in 0.50s"], "1 error"),
        (["3 deselected in 0.50s"], "3 deselected"),
        (["Ran 12 tests in 0.034s", "", "OK"], "Ran 12 tests in 0.034s, OK"),
        (["Ran 1 test in 2.000s", "OK (skipped=1)"], "Ran 1 test in 2.000s, OK (skipped=1)"),
        (["Ran 2 tests in 2.000s", "FAILED (failures=1)"], "Ran 2 tests in 2.000s, FAILED (failures=1)"),
        (["Ran 0 tests in 0.000s", "NO TESTS RAN"], "Ran 0 tests in 0.000s, NO TESTS RAN"),
        # Two suites: the last one counts, and is not counted twice.
        (["Ran 1 test in 1s", "OK", "Ran 2 tests in 2s", "OK"], "Ran 2 tests in 2s, OK"),
        (["5 passed in 0.1s", "OK"], "5 passed"),
        (["OK"], ""),
        (["OKAY then", "collected 5 items", "Building 3 passed things"], ""),
        (["\x1b[32m5 passed\x1b[0m in 0.1s"], "5 passed"),
    ],
)
def test_the_tests_own_last_word(lines: list[str], summary: str) -> None:
    assert Followed().feed("Testing wheel...", *lines).follower.summary == summary


def test_what_a_compiler_says_is_no_test_result() -> None:
    followed = Followed().feed("Building wheel...", "checking 3 passed in 0.1s", "Ran 1 test in 1s", "OK")
    assert followed.follower.summary == ""


def test_hostile_output_steers_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    # A title for the terminal, a new line on it, and a line of its own in a CI log.
    followed = Followed().feed(
        "Testing wheel...",
        "1 passed \x1b]0;owned\x07\r::error::hello\x9b2J, \u202e1 failed in 0.1s",
        "Building cp313-manylinux_riscv64\x1b]0;owned\x07 wheel",
        "Testing wheel\x1b]0;owned\x07...",
    )
    assert followed.follower.summary.startswith("1 passed")
    assert followed.follower.summary.isprintable()
    assert all(title.isprintable() for title in followed.titles)
    assert set("\x1b\x07\x9b\r").isdisjoint(capsys.readouterr().err)


@given(st.lists(st.text(max_size=60), max_size=20))
def test_any_output_is_followed(lines: list[str]) -> None:
    followed = Followed().feed("Building cp313-manylinux_riscv64 wheel", "Testing wheel...", *lines)
    assert all(title.isprintable() for title in followed.titles)
    assert followed.follower.summary.isprintable()


def test_an_endless_line_costs_no_time_and_no_screen() -> None:
    followed = Followed().feed("Testing wheel...", "1 passed " * 10_000)
    assert followed.follower.summary == ""
    assert len(cibuildwheel._plain("x" * 70_000)) == 1000


# ------------------------------------------------------------------- failures


def explained(folder: Path, code: int, output: str = "", *, at: str = "Building wheel...") -> WheelyardError:
    followed = Followed().feed("Building cp313-manylinux_riscv64 wheel", at, *output.splitlines())
    request = request_of(folder)
    request.log_file.write_text(output, encoding="utf-8")
    return cibuildwheel._explain(Completed(("x",), code, output, "", 1.0), followed.follower, request)


def code_of(error: type[theirs.FatalError]) -> int:
    return error("").return_code if error is theirs.OCIEngineTooOldError else error().return_code


def test_the_codes_are_cibuildwheels_own() -> None:
    assert code_of(theirs.NonPlatformWheelError) == cibuildwheel._NON_PLATFORM
    assert code_of(theirs.OCIEngineTooOldError) == cibuildwheel._ENGINE_TOO_OLD
    assert code_of(theirs.BuildProducedNoWheelError) == cibuildwheel._NO_WHEEL


def test_a_pure_wheel_shows_the_compilers_errors(tmp_path: Path) -> None:
    output = "a.c:3:1: \x1b[31merror: unknown type name 'foo'\nfalling back to pure Python\n" + "noise\n" * 300
    error = explained(tmp_path, 5, output)
    assert type(error) is CheckError
    assert "none-any" in error.what
    assert error.details == ("a.c:3:1: error: unknown type name 'foo'",)


def test_an_old_engine(tmp_path: Path) -> None:
    error = explained(tmp_path, 7, "cibuildwheel: error: podman 3 is too old")
    assert (type(error), error.fix) == (EngineError, "nox -s doctor")
    assert "podman 3 is too old" in str(error)


def test_no_wheel(tmp_path: Path) -> None:
    assert "built no wheel" in explained(tmp_path, 10).what


@pytest.mark.parametrize("code", [1, 2, 3, 8, 9, 137, -9])
def test_any_other_failure_names_the_step_and_the_telling_lines(tmp_path: Path, code: int) -> None:
    output = "cc1: fatal error: x.h: No such file\n" + "noise\n" * 20 + "the end\n                 ✕ 1.23s\n"
    error = explained(tmp_path, code, output)
    assert type(error) is BuildError
    assert error.what == "cibuildwheel failed at: Building wheel (cp313)"
    assert error.where == str(tmp_path / "build.log")
    assert error.details[0] == "cc1: fatal error: x.h: No such file"
    assert error.details[-1] == "the end"


def test_failing_tests_are_told_apart(tmp_path: Path) -> None:
    output = "FAILED tests/test_a.py::test_b - assert 1 == 2\n==== 1 failed, 9 passed in 3.00s ===="
    error = explained(tmp_path, 1, output, at="Testing wheel...")
    assert type(error) is TestsFailedError
    assert error.what.endswith("its tests failed: 1 failed, 9 passed")
    assert "FAILED tests/test_a.py::test_b - assert 1 == 2" in error.details


def test_a_full_disk_is_not_the_packages_fault(tmp_path: Path) -> None:
    error = explained(tmp_path, 1, "ld: final link failed: No space left on device")
    assert type(error) is DiskError
    assert "free some space" in (error.fix or "")


def test_hostile_lines_in_an_error(tmp_path: Path) -> None:
    for at in ("Building wheel...", "Testing wheel..."):
        output = "error: \x1b]0;owned\x07 \r::stop-commands::x \x9b2J\n1 failed\x1b]0;x\x07 in 1s\n" + "E" * 9000
        text = str(explained(tmp_path, 1, output, at=at))
        assert all(line.isprintable() for line in text.splitlines())
        assert not any(line.startswith("::") for line in text.splitlines())
        assert max(map(len, text.splitlines())) < 1100


# -------------------------------------------------------------------- the call


def test_no_shell_and_nothing_to_take_for_an_option(tmp_path: Path) -> None:
    argv = cibuildwheel.command(request_of(tmp_path), tmp_path / "a b;$(c).toml", tmp_path / "out")
    assert argv[0] == sys.executable
    assert f"--config-file={tmp_path}/a b;$(c).toml" in argv
    assert "--archs=riscv64" in argv
    assert "--platform=linux" in argv
    assert argv[-1] == "."


def test_modules_of_the_source_do_not_run_on_the_host(tmp_path: Path) -> None:
    for name in ("cibuildwheel", "humanize", "uuid", "packaging"):
        (tmp_path / f"{name}.py").write_text("open('owned', 'w')\n")
    argv = cibuildwheel.command(request_of(tmp_path), tmp_path / "c.toml", tmp_path)
    interpreter = argv[: argv.index("cibuildwheel") + 1]
    done = subprocess.run([*interpreter, "--help"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "--platform {auto,linux" in done.stdout
    assert not (tmp_path / "owned").exists()


def test_the_environment_is_ours_less_what_would_steer_cibuildwheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CIBW_BUILD", "CIBW_BEFORE_ALL", "CIBW_ENVIRONMENT", "CI", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
        monkeypatch.setenv(name, "true")
    monkeypatch.setenv("MINE", "kept")
    monkeypatch.setenv("PATH", ".::bin:/usr/bin:")
    env = cibuildwheel.environment(request_of(tmp_path))
    assert {key: value for key, value in env.items() if key.startswith("CIBW_")} == {
        "CIBW_BUILD": "cp313-manylinux_riscv64 cp314t-manylinux_riscv64",
        "CIBW_LOG_FOLD_MODE": "disabled",
    }
    assert not {"CI", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"} & env.keys()
    assert (env["MINE"], env["NO_COLOR"]) == ("kept", "1")
    assert env["PATH"] == "/usr/bin", "cibuildwheel starts in upstream's folder: nothing of it is a program of ours"


def test_tests_are_left_out_by_recipe_or_by_hand(tmp_path: Path) -> None:
    skipping = {"test": {"skip": ["cp314t"]}}
    assert cibuildwheel.environment(request_of(tmp_path, skipping))["CIBW_TEST_SKIP"] == "cp314t-*"
    assert cibuildwheel.environment(request_of(tmp_path, skipping, test=False))["CIBW_TEST_SKIP"] == "*"
