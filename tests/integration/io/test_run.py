"""Programs are run to their end, and ended whole, whatever they do: real processes, real signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from wheelyard.core.errors import DiskError, ProgramError, StepTimeoutError
from wheelyard.io import log
from wheelyard.io import run as run_module
from wheelyard.io.run import failure, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PYTHON = [sys.executable, "-I", "-S", "-c"]


def alive(pid: int) -> bool:
    """Tell whether a process still runs; one that only waits to be reaped does not."""
    try:
        with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(condition: object, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "_GRACE", 0.2)
    monkeypatch.setattr(run_module, "_TERMINATE", ((signal.SIGTERM, 0.3),))


# ---------------------------------------------------------------- what comes back


def test_both_streams_and_the_status_come_back(tmp_path: Path) -> None:
    done = run(["bash", "-c", "echo out; echo err >&2; pwd; exit 3"], cwd=tmp_path, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (3, f"out\n{tmp_path}\n", "err\n")
    assert done.argv[0] == "bash"


def test_arguments_are_not_for_a_shell() -> None:
    assert run(["printf", "%s", "$HOME; `id`"]).stdout == "$HOME; `id`"


def test_the_environment_is_the_one_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEAK", "yes")
    # Beside our mark, by which the guard finds our children.
    found = run(["/usr/bin/env"], env={"ONLY": "this"}).stdout.splitlines()
    assert [line for line in found if not line.startswith("WHEELYARD_OWNER=")] == ["ONLY=this"]
    assert "LEAK=yes" in run(["/usr/bin/env"]).stdout


def test_without_input_there_is_nothing_to_read() -> None:
    assert run(["cat"]).stdout == ""


def test_a_flood_both_ways_at_once_does_not_block() -> None:
    data = b"0123456789abcdef" * 500_000
    assert run(["cat"], stdin=data, timeout=60).stdout == data.decode()
    echo = "import sys; d = sys.stdin.buffer.read(100); sys.stderr.buffer.write(b'e' * 3_000_000);"
    echo += "sys.stdout.buffer.write(b'o' * 3_000_000)"
    done = run([*PYTHON, echo], stdin=data, timeout=60)
    assert (len(done.stdout), len(done.stderr)) == (3_000_000, 3_000_000)


def test_input_that_nobody_wants_is_no_error() -> None:
    assert run(["true"], stdin=b"x" * 1_000_000, timeout=60).returncode == 0


def test_a_program_that_closes_its_output_is_waited_for() -> None:
    assert run(["bash", "-c", "exec >&- 2>&-; sleep 0.3; exit 4"], check=False).returncode == 4


# ---------------------------------------------------------------- line by line


def test_lines_come_one_by_one_and_go_to_the_log(tmp_path: Path) -> None:
    lines: list[str] = []
    file = tmp_path / "log"
    file.write_text("before\n")
    done = run(["bash", "-c", "echo a; echo b >&2; printf 'c\\r\\nend'"], log_file=file, on_line=lines.append)
    assert lines == ["a", "b", "c", "end"]
    assert file.read_bytes() == b"before\na\nb\nc\r\nend"
    assert (done.stdout, done.stderr) == ("a\nb\nc\nend", "")


def test_bytes_come_as_they_are_and_whoever_has_enough_ends_the_program() -> None:
    pieces: list[bytes] = []
    done = run([*PYTHON, "import os; os.write(1, bytes(range(256)))"], on_bytes=pieces.append)
    assert (b"".join(pieces), done.stdout) == (bytes(range(256)), "")

    def enough(data: bytes) -> None:
        raise DiskError("enough")

    started = time.monotonic()
    with pytest.raises(DiskError, match="enough"):
        run([*PYTHON, "import time; print('x', flush=True); time.sleep(60)"], on_bytes=enough)
    assert time.monotonic() - started < 30


def test_whoever_watches_a_program_may_end_it() -> None:
    looks: list[int] = []

    def look() -> None:
        looks.append(1)
        if len(looks) == 20:
            raise DiskError("enough")

    started = time.monotonic()
    with pytest.raises(DiskError, match="enough"):
        run([*PYTHON, "import time; time.sleep(60)"], watch=look)
    assert time.monotonic() - started < 30
    assert run([*PYTHON, "pass"], watch=lambda: None).returncode == 0


def test_of_a_long_output_the_end_is_kept(tmp_path: Path) -> None:
    done = run(["seq", "100000"], log_file=tmp_path / "log")
    assert done.stdout.splitlines() == [str(number) for number in range(99_801, 100_001)]
    assert len((tmp_path / "log").read_text().splitlines()) == 100_000


def test_a_line_without_an_end_does_not_fill_the_memory(tmp_path: Path) -> None:
    lines: list[str] = []
    run(["head", "-c", "1000000", "/dev/zero"], log_file=tmp_path / "log", on_line=lines.append)
    assert max(map(len, lines)) == 1 << 16
    assert (tmp_path / "log").stat().st_size == 1_000_000


def test_bytes_that_are_no_text_do_no_harm(tmp_path: Path) -> None:
    done = run([*PYTHON, "import os; os.write(1, b'a\\xff\\xfeb\\n')"], log_file=tmp_path / "log")
    assert done.stdout == "a\ufffd\ufffdb"


def test_secrets_do_not_reach_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "_secrets", {"hunter2-secret"})
    done = run(["bash", "-c", "echo my hunter2-secret here; exit 1"], log_file=tmp_path / "log", check=False)
    assert (tmp_path / "log").read_text() == "my [secret] here\n"
    assert "hunter2" not in str(failure(done))
    with pytest.raises(ProgramError) as caught:
        run(["bash", "-c", "echo hunter2-secret >&2; exit 1"])
    assert "hunter2" not in str(caught.value)


def test_an_error_of_who_listens_ends_the_program_and_is_told() -> None:
    class OwnError(Exception):
        pass

    pids: list[int] = []

    def listen(line: str) -> None:
        pids.append(int(line))
        raise OwnError

    with pytest.raises(OwnError):
        run(["bash", "-c", "echo $$; sleep 600"], on_line=listen)
    assert not alive(pids[0])


def test_a_full_disk_below_the_log_is_told(tmp_path: Path) -> None:
    (tmp_path / "log").symlink_to("/dev/full")
    with pytest.raises(DiskError, match="no space"):
        run(["bash", "-c", "seq 100000; sleep 600"], log_file=tmp_path / "log")


def test_a_log_that_cannot_be_opened_starts_nothing(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    with pytest.raises(OSError, match="directory"):
        run(["touch", str(tmp_path / "ran")], log_file=tmp_path / "log")
    assert not (tmp_path / "ran").exists()


# ---------------------------------------------------------------- failures


def test_a_failure_says_what_and_shows_the_end_without_control_characters() -> None:
    with pytest.raises(ProgramError) as caught:
        run(["bash", "-c", "for n in $(seq 20); do echo line $n >&2; done; printf '\\033[31mred\\n' >&2; exit 7"])
    assert "ended with status 7" in caught.value.what
    assert caught.value.details[-1] == " [31mred"
    assert len(caught.value.details) == 8


def test_a_missing_program_a_missing_folder_and_no_program_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ProgramError, match="no-such-program is not installed"):
        run(["no-such-program"])
    with pytest.raises(ProgramError, match="does not exist"):
        run(["true"], cwd=tmp_path / "none")
    (tmp_path / "text").write_text("not a program")
    with pytest.raises(ProgramError, match="Permission denied"):
        run([tmp_path / "text"])
    (tmp_path / "text").chmod(0o755)
    with pytest.raises(ProgramError, match="Exec format"):
        run([tmp_path / "text"])


def test_the_signal_that_ended_it_is_its_status() -> None:
    assert run(["bash", "-c", "kill -9 $$"], check=False).returncode == -9


# ---------------------------------------------------------------- time, and what is left behind


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("streaming", [True, False])
def test_a_program_that_takes_too_long_is_ended_with_its_children(tmp_path: Path, streaming: bool) -> None:
    pids = tmp_path / "pids"
    script = f"trap '' TERM; sleep 600 & echo $$ $! > {pids}; wait; sleep 600"
    with pytest.raises(StepTimeoutError, match="did not end within"):
        run(["bash", "-c", script], timeout=0.5, log_file=tmp_path / "log" if streaming else None)
    for pid in map(int, pids.read_text().split()):
        wait_until(lambda pid=pid: not alive(pid))


@pytest.mark.usefixtures("quick")
def test_a_program_that_reads_nothing_and_says_nothing_is_ended_in_time() -> None:
    with pytest.raises(StepTimeoutError):
        run(["sleep", "600"], stdin=b"x" * 10_000_000, timeout=0.3, on_line=print)


@pytest.mark.usefixtures("quick")
def test_a_flood_does_not_put_off_the_end_of_time() -> None:
    with pytest.raises(StepTimeoutError):
        run(["yes"], timeout=0.3, on_line=lambda _line: None)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("streaming", [True, False])
def test_a_child_left_behind_neither_keeps_us_nor_stays(tmp_path: Path, streaming: bool) -> None:
    pids = tmp_path / "pids"
    log_file = tmp_path / "log" if streaming else None
    done = run(["bash", "-c", f"sleep 600 & echo $! > {pids}; echo done"], log_file=log_file)
    assert done.stdout.strip() == "done"
    wait_until(lambda: not alive(int(pids.read_text())))


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("streaming", [True, False])
def test_a_daemon_that_keeps_the_pipe_does_not_keep_us(tmp_path: Path, streaming: bool) -> None:
    pids = tmp_path / "pids"
    log_file = tmp_path / "log" if streaming else None
    done = run(["bash", "-c", f"setsid sleep 600 & echo $! > {pids}; echo done"], log_file=log_file)
    daemon = int(pids.read_text())
    assert done.stdout.strip() == "done"
    assert alive(daemon), "it is a session of its own: not ours to end"
    os.kill(daemon, signal.SIGKILL)


# ---------------------------------------------------------------- Ctrl-C and kill -9

PROGRAM = """
import sys
from wheelyard.io.run import run
try:
    run(["bash", "-c", sys.argv[1]], on_line=lambda line: print(line, flush=True))
except KeyboardInterrupt:
    print("interrupted", flush=True)
    sys.exit(130)
"""


@pytest.fixture
def tool() -> Iterator[list[subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        process.kill()
        process.communicate()


def start(tool: list[subprocess.Popen[str]], script: str) -> tuple[subprocess.Popen[str], list[int]]:
    """Start our program running *script*, which prints the processes to watch on its first line."""
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, script], stdout=subprocess.PIPE, text=True)
    tool.append(process)
    assert process.stdout is not None
    pids = [int(word) for word in process.stdout.readline().split()]
    assert all(map(alive, pids))
    return process, pids


def test_ctrl_c_lets_the_program_tidy_up_and_ends_its_whole_group(
    tool: list[subprocess.Popen[str]], tmp_path: Path
) -> None:
    tidy = f"trap 'seq 50000; touch {tmp_path}/tidied; exit 1' INT; sleep 600 & echo $$ $!; wait"
    process, pids = start(tool, tidy)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out.endswith("interrupted\n")
    assert (tmp_path / "tidied").exists(), "its output was still taken while it tidied up"
    for pid in pids:
        wait_until(lambda pid=pid: not alive(pid))


def test_a_second_ctrl_c_does_not_wait(tool: list[subprocess.Popen[str]]) -> None:
    process, pids = start(tool, "trap 'echo asked' INT TERM; echo $$; while :; do sleep 0.1; done")
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=14)
    wait_until(lambda: not alive(pids[0]))


def test_kill_9_takes_the_children_along(tool: list[subprocess.Popen[str]]) -> None:
    process, pids = start(tool, "sleep 600 & echo $$ $!; wait")
    process.kill()
    for pid in pids:
        wait_until(lambda pid=pid: not alive(pid))
