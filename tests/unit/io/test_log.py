"""The log: three faces of the same calls, no secrets, no steering of terminals."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.terminal import read_whole
from wheelyard.io import log
from wheelyard.io.log import Face

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """
from wheelyard.io import log
log.setup()
log.add_secret("hunter2-secret")
with log.package("demo"), log.collect() as timings:
    with log.step("Outer hunter2-secret"):
        log.info("said")
        with log.step("Inner"):
            log.warn("careful with hunter2-secret")
log.error("wrong")
print([timing.title for timing in timings])
"""


def spoken(**env: str) -> tuple[str, str]:
    """Return what the program prints on standard output and on standard error."""
    kept = {key: value for key, value in os.environ.items() if key not in {"GITHUB_ACTIONS", "GITLAB_CI"}}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=kept | env, capture_output=True, check=True, timeout=60)
    return done.stdout.decode(), done.stderr.decode()


def without_times(text: str) -> list[str]:
    return re.sub(r"\(\d.*?\)", "(time)", text).splitlines()


def test_plain_lines_go_to_standard_error_and_bear_the_package() -> None:
    out, err = spoken()
    assert without_times(err) == [
        "[demo] Outer [secret] ...",
        "  [demo] said",
        "  [demo] Inner ...",
        "    warning: [demo] careful with [secret]",
        "  [demo] ok: Inner (time)",
        "[demo] ok: Outer [secret] (time)",
        "error: wrong",
    ]
    assert out == "['Inner', 'Outer [secret]']\n"


def test_secrets_in_the_environment_reach_neither_screen_nor_log_file(tmp_path: Path) -> None:
    """cibuildwheel lists all variables of a build, an index address with its password among them."""
    program = """
import pathlib, sys
from wheelyard.io import log
from wheelyard.io.run import run
log.setup()
run([sys.executable, "-c", "import os; print(dict(os.environ))"], log_file=pathlib.Path("log"), on_line=log.info)
"""
    env = {
        "PIP_INDEX_URL": "https://me:pass%2Fword-one@index.test/simple/",
        "UV_INDEX_URL": "https://tokenalone@index.test/simple/",
        "https_proxy": "http://me:pass%2Fword-one-two@proxy.test:3128",
        "RELEASE_TOKEN": "glpat-abcdef",
    }
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **env},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    for text in (done.stderr, (tmp_path / "log").read_text()):
        assert "index.test" in text
        for part in ("word-one", "two", "tokenalone", "abcdef"):
            assert part not in text


def test_github_gets_folds_that_do_not_nest_and_annotations() -> None:
    """GitHub's workflow commands: ::group::, ::endgroup::, ::warning::, ::error:: at the start of a line."""
    lines = spoken(GITHUB_ACTIONS="true")[1].splitlines()
    assert [line for line in lines if line.startswith("::")] == [
        "::group::Outer [secret]",
        "::warning::[demo] careful with [secret]",
        "::endgroup::",
        "::error::wrong",
    ]


def test_quoted_text_gives_no_command_to_github(capsys: pytest.CaptureFixture[str]) -> None:
    """actions/runner, ActionCommand.cs: "::" counts behind leading space too, and "##[" anywhere in a line."""
    log.setup(log.Face.GITHUB)
    try:
        log.info("::stop-commands::x\n  ::add-mask::y\r::group::z\nsaid ##[add-mask]w\x1b[2J")
        log.error("failed\n::set-output name=a::b")
    finally:
        log.setup(log.Face.PLAIN)
    said = capsys.readouterr().err.splitlines()
    assert [line for line in said if line.lstrip().startswith("::")] == ["::error::failed"]
    assert not [line for line in said if "##[" in line or not line.isprintable()]


@pytest.mark.parametrize("face", [log.Face.GITHUB, log.Face.GITLAB, log.Face.PLAIN])
def test_what_a_step_quotes_commands_nobody(capsys: pytest.CaptureFixture[str], face: log.Face) -> None:
    log.setup(face)
    try:
        with log.step("fetching x\n::set-output name=a::b\r\x1b[0Ksection_end:1:wy_1\r\x1b[0K"), log.step("y\n::z::"):
            pass
    finally:
        log.setup(log.Face.PLAIN)
    said = capsys.readouterr().err
    commands = [line.partition(" ")[0] for line in said.splitlines() if line.lstrip().startswith("::")]
    assert commands == (["::group::fetching", "::endgroup::"] if face is log.Face.GITHUB else [])
    ours = re.compile(r"\x1b\[0Ksection_(start|end):\d{10}:wy_\d+\r\x1b\[0K")
    assert len(ours.findall(said)) == (4 if face is log.Face.GITLAB else 0)
    assert all(line.isprintable() for line in ours.sub("", said).split("\n"))


def test_gitlab_gets_sections_that_close_what_they_open() -> None:
    """GitLab's job log sections: section_start:<time>:<name>\\r, section_end:<time>:<name>\\r."""
    text = spoken(GITLAB_CI="true")[1]
    opened = re.findall(r"\x1b\[0Ksection_start:\d+:(\w+)\r\x1b\[0K", text)
    closed = re.findall(r"\x1b\[0Ksection_end:\d+:(\w+)\r\x1b\[0K", text)
    assert len(set(opened)) == 2
    assert opened == closed[::-1]


def test_a_terminal_gets_a_live_display_and_whole_lines() -> None:
    main, side = pty.openpty()
    env = {key: value for key, value in os.environ.items() if key not in {"GITHUB_ACTIONS", "GITLAB_CI"}}
    env |= {"TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen([sys.executable, "-c", PROGRAM], env=env, stderr=side, stdout=subprocess.DEVNULL) as process:
        os.close(side)
        text = read_whole(main)
    assert process.returncode == 0
    assert "said" in text
    assert "Outer [secret]" in text
    assert "hunter2" not in text


def test_a_failed_step_says_so_and_keeps_its_time(capsys: pytest.CaptureFixture[str]) -> None:
    with log.collect() as timings:

        def fail() -> None:
            with log.step("Trying"):
                raise KeyError

        with pytest.raises(KeyError):
            fail()
    assert "failed: Trying" in capsys.readouterr().err
    assert [(timing.title, timing.ok) for timing in timings] == [("Trying", False)]


def test_the_depth_is_as_before_after_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        with log.step("Trying"):
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    log.info("after")
    assert capsys.readouterr().err.splitlines()[-1] == "after"


def test_short_values_are_not_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "_secrets", set())
    log.add_secret("yes")
    log.add_secret("longer-secret")
    assert log.redact("yes longer-secret") == "yes [secret]"


def test_lines_of_several_threads_do_not_mix(capsys: pytest.CaptureFixture[str]) -> None:
    def speak(word: str) -> None:
        for _ in range(50):
            log.info(word * 50)

    threads = [threading.Thread(target=speak, args=word) for word in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(capsys.readouterr().err.splitlines()) == {"a" * 50, "b" * 50}


@given(st.text())
def test_what_comes_from_outside_cannot_steer_a_terminal(text: str) -> None:
    cleaned = log.clean(text)
    assert len(cleaned) == len(text)
    assert all(char.isprintable() or char == "\t" for char in cleaned)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (72, "72 s"),
        (119.4, "119 s"),
        (185, "3 min 05 s"),
        (3599, "59 min 59 s"),
        (7800, "2 h 10 min"),
    ],
)
def test_durations_are_told_as_people_do(seconds: float, words: str) -> None:
    assert log.duration(seconds) == words


@given(st.floats(min_value=0, max_value=1e6))
def test_any_duration_is_short(seconds: float) -> None:
    assert re.fullmatch(r"\d+(\.\d)? s|\d+ min \d\d s|\d+ h \d\d min", log.duration(seconds))


def test_progress_says_nothing_when_it_is_quick(capsys: pytest.CaptureFixture[str]) -> None:
    log.setup(Face.PLAIN)
    with log.progress("downloading", 100) as advance:
        advance(100)
    assert capsys.readouterr().err == ""
