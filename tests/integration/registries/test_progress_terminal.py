"""What people see while wheels go out: a bar on a terminal, folds and times in CI, plain lines elsewhere."""

from __future__ import annotations

import itertools
import os
import pty
import re
import subprocess
import sys
import termios
from typing import TYPE_CHECKING, Any

import pytest

from support.built_wheels import PROJECT
from support.gitlab import Fault
from support.publishing import FILE, UPLOAD, PublishedProject, yard_in
from support.terminal import read_whole
from support.wheels import WheelSpec
from wheelyard.core.digests import sha256_file
from wheelyard.io import log
from wheelyard.io.server import Login
from wheelyard.registries import Credential, GitLabRegistry, read_release

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROWS, COLUMNS = 40, 120
CI = ("CI", "GITHUB_ACTIONS", "GITLAB_CI")
AMOUNT = re.compile(r"(-?[\d.]+) MB of ([\d.]+) MB")
TIME = r"\(\d+\.\d s\)"


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[PublishedProject]:
    with yard_in(tmp_path) as made:
        yield made


def bulky(yard: PublishedProject) -> list[Path]:
    """Have three wheels of half a megabyte, of one version: they go out one after the other."""
    data = {"demo/data": os.urandom(500_000)}
    return yard.stock.add(*(WheelSpec(python=tag, abi=tag, files=data) for tag in ("cp312", "cp313", "cp314")))


def quiet(yard: PublishedProject, **more: str) -> dict[str, str]:
    """Return the command's variables, without those of the CI that runs this."""
    return {key: value for key, value in yard.stock.environment.items() if key not in CI} | more


def on_a_terminal(yard: PublishedProject, columns: int = COLUMNS) -> tuple[int, str, str]:
    """Publish with standard error on a terminal; return the exit code, standard output, and what the terminal got."""
    main, side = pty.openpty()
    termios.tcsetwinsize(side, (ROWS, columns))
    with subprocess.Popen(
        [sys.executable, "-m", "wheelyard", "publish", "--to", "gitlab"],
        cwd=yard.stock.root,
        env=quiet(yard, TERM="xterm"),
        stdout=subprocess.PIPE,
        stderr=side,
        text=True,
    ) as process:
        os.close(side)
        shown = read_whole(main)
        out, _ = process.communicate(timeout=60)
    return process.returncode, out, shown


def screen(text: str) -> list[str]:
    """Return the lines that stand on a terminal after *text* (ECMA-48: CUU, EL, SGR; the rest of ours moves nothing).

    Raises:
        AssertionError: there is a code that this terminal does not know.
    """
    lines: dict[int, str] = {}
    row = column = 0
    for code, kind, char in re.findall(r"\x1b\[([?\d;]*)([A-Za-z])|([\s\S])", text):
        if kind:
            assert kind in "AKmhl", kind
            if kind == "A":
                row -= int(code or 1)
            elif kind == "K":
                assert code == "2"
                lines[row] = ""
        elif char == "\r":
            column = 0
        elif char == "\n":
            row += 1
        else:
            before = lines.get(row, "").ljust(column)
            lines[row] = before[:column] + char + before[column + 1 :]
            column += 1
    return [lines[number].rstrip() for number in sorted(lines) if lines[number].strip()]


def test_a_terminal_gets_a_bar_that_fills_and_goes(yard: PublishedProject) -> None:
    wheels = bulky(yard)
    for what in (UPLOAD, FILE):  # long enough for a bar to be drawn in between
        yard.gitlab.fault(Fault("stall", seconds=0.3, **what))
    code, out, seen = on_a_terminal(yard)
    assert (code, "3 published" in out) == (0, True), seen
    yard.exactly(wheels)
    total = f"{sum(path.stat().st_size for path in wheels) / 1e6:.1f}"
    done = [amount for amount, of in AMOUNT.findall(seen) if of == total]
    assert done == sorted(done, key=float)
    assert len(set(done)) > 2  # it grew under their eyes
    assert done[-1] == total
    assert "━" in seen
    # The cursor is hidden, and comes back; of the bar nothing stays.
    assert re.findall(r"\x1b\[\?25[hl]", seen) == ["\x1b[?25l", "\x1b[?25h"]
    (line,) = screen(seen)
    assert re.fullmatch(rf"ok: Publishing to 127\.0\.0\.1:\d+/\S+ {TIME}", line)
    assert "\x1b" not in out


def test_a_long_title_leaves_room_for_the_bar(yard: PublishedProject) -> None:
    """Eighty columns are what terminals begin with, and the registry's name is longer than half of that."""
    wheels = bulky(yard)
    for what in (UPLOAD, FILE):
        yard.gitlab.fault(Fault("stall", seconds=0.3, **what))
    code, _, seen = on_a_terminal(yard, 80)
    assert code == 0, seen
    yard.exactly(wheels)
    drawn = [line for line in re.split(r"[\r\n]+", re.sub(r"\x1b\[[?\d;]*[A-Za-z]", "", seen)) if AMOUNT.search(line)]
    assert len(drawn) > 2
    assert all(line.count("━") + line.count("╸") + line.count("╺") == 20 for line in drawn), drawn
    (line,) = screen(seen)
    assert line.startswith(f"ok: Publishing to {yard.server.url.partition('://')[2]}/{PROJECT} (")


AGAIN: dict[str, dict[str, Any]] = {
    "sent again": {"kind": "status", "status": 500, **UPLOAD},
    "cut off": {"kind": "reset", **UPLOAD},
    "arrived unheard": {"kind": "status_after", "status": 502, **UPLOAD},
    "arrived and cut off": {"kind": "reset_after", **UPLOAD},
    "somebody else's": {"kind": "race", **UPLOAD},
}


@pytest.mark.parametrize("what", AGAIN)
def test_what_must_be_sent_again_is_taken_back(yard: PublishedProject, what: str) -> None:
    wheels = bulky(yard)
    yard.gitlab.fault(Fault(**AGAIN[what], skip=1, times=2))
    yard.gitlab.fault(Fault("stall", seconds=0.4, **FILE))
    code, out, seen = on_a_terminal(yard)
    assert code == 0, (out, seen)
    yard.exactly(wheels)
    total = f"{sum(path.stat().st_size for path in wheels) / 1e6:.1f}"
    done = [amount for amount, of in AMOUNT.findall(seen) if of == total]
    assert done[-1] == total
    assert all(0 <= float(amount) <= float(total) for amount in done)


@pytest.mark.parametrize("what", ["sent again", "cut off"])
def test_nothing_counts_twice_meanwhile(yard: PublishedProject, what: str) -> None:
    (wheel, *_) = bulky(yard)
    yard.gitlab.fault(Fault(**AGAIN[what], times=2))
    told: list[int] = []
    registry = GitLabRegistry(yard.server.url, PROJECT, Credential(Login("ann", yard.deploy_token), "here"))
    assert registry.put(read_release(wheel, sha256=sha256_file(wheel)), advance=told.append)
    yard.exactly([wheel])
    size = wheel.stat().st_size
    sums = list(itertools.accumulate(told))
    assert min(told) < 0
    assert max(sums) == sums[-1] == size


def test_what_an_earlier_run_has_sent_counts(yard: PublishedProject) -> None:
    wheels = bulky(yard)
    yard.gitlab.fault(Fault("status", status=404, **FILE))
    assert yard.publish().returncode == 63  # all sent, and none read back
    yard.gitlab.heal()
    yard.gitlab.fault(Fault("stall", seconds=0.4, **FILE))
    code, _, seen = on_a_terminal(yard)
    assert code == 0, seen
    assert yard.uploads == len(wheels)
    total = f"{sum(path.stat().st_size for path in wheels) / 1e6:.1f}"
    assert AMOUNT.findall(seen)[-1] == (total, total)


def test_a_terminal_is_left_whole_when_something_fails(yard: PublishedProject) -> None:
    bulky(yard)
    yard.gitlab.fault(Fault("status", status=403, skip=1, **UPLOAD))
    yard.gitlab.fault(Fault("stall", seconds=0.2, **FILE))
    code, _, seen = on_a_terminal(yard)
    assert code == 62
    assert re.findall(r"\x1b\[\?25[hl]", seen)[-1] == "\x1b[?25h"
    lines = screen(seen)
    assert re.fullmatch(rf"failed: Publishing to \S+ {TIME}", lines[0])
    assert lines[1].startswith("error: ")
    assert not [line for line in lines if "━" in line or "MB of" in line]


# ------------------------------------------------------------------ elsewhere


def published(yard: PublishedProject, **more: str) -> str:
    """Publish through pipes; return standard error."""
    done = subprocess.run(
        [sys.executable, "-m", "wheelyard", "publish", "--to", "gitlab"],
        cwd=yard.stock.root,
        env=quiet(yard, **more),
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert b"\x1b" not in done.stdout
    return done.stderr.decode()


def test_github_gets_a_fold_and_a_time(yard: PublishedProject) -> None:
    """GitHub's workflow commands: ::group::title, ::endgroup::, each on a line of its own."""
    bulky(yard)
    lines = published(yard, CI="true", GITHUB_ACTIONS="true").splitlines()
    assert len(lines) == 3
    assert re.fullmatch(r"::group::Publishing to 127\.0\.0\.1:\d+/\S+", lines[0])
    assert lines[1] == "::endgroup::"
    assert re.fullmatch(rf"ok: Publishing to \S+ {TIME}", lines[2])


def test_gitlab_gets_a_section_and_a_time(yard: PublishedProject) -> None:
    """GitLab's job log: section_start:<time>:<name>\\r, and the same name with section_end."""
    bulky(yard)
    # A pipeline of another server: its job token is none of ours.
    text = published(yard, CI="true", GITLAB_CI="true")
    start = re.search(r"\x1b\[0Ksection_start:(\d+):(\w+)\r\x1b\[0KPublishing to \S+\n", text)
    assert start
    end = re.search(rf"\x1b\[0Ksection_end:(\d+):{start[2]}\r\x1b\[0K\n", text)
    assert end
    assert int(start[1]) <= int(end[1])
    assert re.fullmatch(rf"ok: Publishing to \S+ {TIME}\n", text[end.end() :])


@pytest.mark.parametrize("term", ["xterm", "dumb", ""])
def test_a_pipe_gets_plain_lines(yard: PublishedProject, term: str) -> None:
    bulky(yard)
    yard.gitlab.fault(Fault("stall", seconds=0.3, **FILE))
    text = published(yard, TERM=term, FORCE_COLOR="1")
    assert text.isascii()
    assert not set(text) & {"\x1b", "\r", "\b"}
    first, second = text.splitlines()
    assert re.fullmatch(r"Publishing to \S+ \.\.\.", first)
    assert re.fullmatch(rf"ok: Publishing to \S+ {TIME}", second)


def test_a_pipe_gets_a_line_every_ten_seconds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    log.setup(log.Face.PLAIN)
    with log.progress("sent", 24_000_000) as advance:
        for _ in range(24):
            clock[0] += 1
            advance(1_000_000)
    assert capsys.readouterr().err.splitlines() == ["sent: 11.0 MB of 24.0 MB", "sent: 22.0 MB of 24.0 MB"]
