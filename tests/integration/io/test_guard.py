"""What is promised for the death of our process is done, and only then: real processes, really killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from wheelyard.io import guard

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = """
import contextlib, subprocess, sys, time
from pathlib import Path
from wheelyard.io import files, guard

place = Path(sys.argv[1])
with contextlib.ExitStack() as stack:
    kept = place / "kept"
    kept.mkdir()
    with guard.on_death(folders=[kept], commands=[["touch", str(place / "wrong")]]):
        pass
    scratch = stack.enter_context(files.scratch(place, "tree"))
    (scratch / "deep").mkdir()
    (scratch / "deep/file").touch()
    child = subprocess.Popen(["bash", "-c", "trap '' TERM; while :; do sleep 0.1; done"], start_new_session=True)
    stack.enter_context(guard.on_death(folders=[scratch], groups=[child.pid]))
    stack.enter_context(guard.on_death(commands=[["false"], ["no-such-program"], ["touch", str(place / "told")]]))
    print(child.pid, scratch, guard._helper.pid, flush=True)
    if sys.argv[2] == "leave":
        child.kill()
        sys.exit()
    time.sleep(600)
"""


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(condition: object) -> None:
    deadline = time.monotonic() + 30
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


@pytest.fixture
def process(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    words = [sys.executable, "-c", PROGRAM, str(tmp_path), "stay"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as started:
        yield started
        started.kill()


def said(process: subprocess.Popen[str]) -> tuple[int, Path, int]:
    assert process.stdout is not None
    child, scratch, helper = process.stdout.readline().split()
    return int(child), Path(scratch), int(helper)


def test_after_kill_9_children_are_ended_commands_run_and_folders_removed(
    process: subprocess.Popen[str], tmp_path: Path
) -> None:
    child, scratch, helper = said(process)
    assert alive(child)
    assert scratch.is_dir()
    process.kill()
    wait_until((tmp_path / "told").exists)
    wait_until(lambda: not alive(helper))
    assert not alive(child), "though it ignores SIGTERM"
    assert not scratch.exists()
    assert (tmp_path / "kept").is_dir(), "what was released is left alone"
    assert not (tmp_path / "wrong").exists()


def test_ctrl_c_on_the_terminals_group_does_not_reach_the_guard(tmp_path: Path) -> None:
    words = [sys.executable, "-c", PROGRAM, str(tmp_path), "stay"]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True
    ) as process:
        child, scratch, helper = said(process)
        import os

        os.killpg(process.pid, signal.SIGINT)
        process.wait(30)
        wait_until(lambda: not alive(helper))
        assert not scratch.exists()
        assert not (tmp_path / "told").exists(), "we ended in good order: nothing was due"
        os.killpg(child, signal.SIGKILL)


def test_a_process_that_ends_in_good_order_leaves_no_guard(tmp_path: Path) -> None:
    words = [sys.executable, "-c", PROGRAM, str(tmp_path), "leave"]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
    assert not alive(int(done.stdout.split()[2]))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept"]


def test_a_message_cut_in_the_middle_does_not_lose_the_others(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    message = f'{{"add": 1, "folders": ["{tmp_path}/folder"]}}\n{{"add": 2, "fol'
    subprocess.run([sys.executable, "-I", "-S", guard._PROGRAM, "nobody"], input=message.encode(), check=True)
    assert not (tmp_path / "folder").exists()


def test_a_dead_guard_does_not_end_a_healthy_run(tmp_path: Path) -> None:
    program = """
import sys
from wheelyard.io import guard
from wheelyard.io.run import run
with guard.on_death():
    pass
guard._helper.kill()
guard._helper.wait()
print(run(["echo", "fine"]).stdout)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "fine"


KILLED = """
import sys
from pathlib import Path
from wheelyard.io import archive

real = archive._Writer._write
def slow(self, path, member, content):
    real(self, path, member, content)
    if path.name == "f5":
        print(path.parent.parent, flush=True)
        import time
        time.sleep(600)
archive._Writer._write = slow
archive.unpack(Path(sys.argv[1]), Path(sys.argv[2]), limits=archive.Limits(10**6, 100))
"""


@pytest.mark.parametrize("guarded", [True, False])
def test_kill_9_in_the_middle_of_unpacking_leaves_nothing(tmp_path: Path, guarded: bool) -> None:
    """With the guard at once; without it (a power cut, a killed guard) after the next run."""
    import io
    import tarfile

    from wheelyard.io.archive import Limits, unpack

    archive = tmp_path / "pkg-1.0.tar"
    with tarfile.open(archive, "w") as tar:
        for number in range(10):
            info = tarfile.TarInfo(f"pkg-1.0/f{number}")
            info.size = 1000
            tar.addfile(info, io.BytesIO(b"x" * 1000))
    place = tmp_path / "place"
    place.mkdir()
    program = KILLED if guarded else "from wheelyard.io import guard; guard._send = lambda message: None\n" + KILLED
    words = [sys.executable, "-c", program, str(archive), str(place / "tree")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        scratch = Path(process.stdout.readline().strip())
        assert (scratch / "pkg-1.0/f5").is_file()
        process.kill()
    if guarded:
        wait_until(lambda: not scratch.exists())
    unpack(archive, place / "tree", limits=Limits(10**6, 100))
    assert [path.name for path in place.iterdir()] == ["tree"]
    assert len(list((place / "tree").iterdir())) == 10


STRAY = """
import os, subprocess, sys, time
from wheelyard.io import guard

with guard.on_death(commands=[["true"]]):
    # As if we were killed after a child was started and before its group was registered.
    child = subprocess.Popen(["sleep", "600"], start_new_session=True, env=guard.marked(None))
    other = subprocess.Popen(["sleep", "600"], start_new_session=True)
    print(child.pid, other.pid, flush=True)
    time.sleep(600)
"""


def test_a_child_that_was_just_being_started_is_found_by_its_mark() -> None:
    with subprocess.Popen([sys.executable, "-c", STRAY], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child, other = map(int, parent.stdout.readline().split())
        parent.kill()
    try:
        wait_until(lambda: not alive(child))
        assert alive(other)  # somebody else's
    finally:
        subprocess.run(["kill", "-9", str(other)], check=True)
