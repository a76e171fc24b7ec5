"""Builds that go wrong: a clear error that names the cause and the fix, nothing lost, nothing left running."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from support.site import TESTED
from support.tiny import add_tiny, sources

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.site import Site

# Every step at which a run can be stopped, as the log announces them.
STEPS = (
    "Starting container",
    "Copying project into container",
    "Setting up build environment",
    "Building wheel",
    "Repairing wheel",
    "Testing wheel",
    "Copying wheels back",
    "Checking wheels",
    "Installing and importing",
)


def test_tiny_builds(site: Site) -> None:
    add_tiny(site.index)
    code, output = site.build()
    assert code == 0, output
    assert len(site.wheels) == 1
    assert "1 passed" in output


@pytest.mark.parametrize(
    ("mode", "code", "says"),
    [
        ("nothing", 40, ("nothing to build here", "Building wheel", "build-cp313.log")),
        ("pure", 50, ("pure wheel (none-any)", "compiler's error")),
        ("version", 50, ("9.9", "1.0")),
        ("glibc", 40, ("Repairing wheel", "too-recent versioned symbols")),
    ],
)
def test_a_source_that_yields_the_wrong_thing(site: Site, mode: str, code: int, says: tuple[str, ...]) -> None:
    add_tiny(site.index, mode=mode)
    got, output = site.build()
    assert got == code, output
    for word in says:
        assert word in output
    assert "fix:" in output
    assert "Traceback" not in output.split("error:")[-1]
    assert site.wheels == []
    assert site.nothing_left()


def test_a_failed_check_keeps_everything(site: Site) -> None:
    add_tiny(site.index, mode="version")
    site.build()
    held = list(site.root.glob("dist/tiny/1.0/unchecked/*/*"))
    assert {file.name for file in held} >= {"verdict.json", "unchecked.json"}
    assert any(file.suffix == ".whl" for file in held)


def test_failing_tests_are_told_apart_from_a_failing_build(site: Site) -> None:
    add_tiny(site.index)
    site.recipe("[test]\ncommand = \"python -c 'raise SystemExit(3)'\"\n")
    code, output = site.build()
    assert code == 41, output
    assert "its tests failed" in output
    assert site.wheels == []
    # The mended recipe builds; leaving tests out is possible and recorded.
    code, output = site.build("--no-test")
    assert code == 0, output
    assert "tests: none ran" in output


def test_a_build_that_takes_too_long(site: Site) -> None:
    add_tiny(site.index, mode="slow")
    site.recipe('[build]\ntimeout = "15s"\n')
    code, output = site.build()
    assert code == 42, output
    assert "did not end within 15 s" in output
    assert "Building wheel" in output
    assert site.nothing_left()


@contextlib.contextmanager
def answers_but_the_first() -> Iterator[tuple[int, list[socket.socket]]]:
    """Yield the port of a server that leaves whoever asks first without an answer, and who has asked."""
    asked: list[socket.socket] = []

    def serve() -> None:
        with contextlib.suppress(OSError):  # it is closed
            while True:
                asked.append(server.accept()[0])
                if len(asked) > 1:
                    asked[-1].sendall(b"x")

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, daemon=True).start()
        try:
            yield server.getsockname()[1], asked
        finally:
            server.shutdown(socket.SHUT_RDWR)


def test_a_build_that_stands_still_is_tried_once_more(site: Site) -> None:
    # As when QEMU deadlocks: programs that wait for what never comes, and use no processor time.
    with answers_but_the_first() as (port, asked):
        backend = sources()["backend.py"]
        mark = 'print("the backend is at work", flush=True)'
        ask = f'__import__("socket").create_connection(("127.0.0.1", {port})).recv(1)'
        assert mark in backend
        add_tiny(site.index, files={"backend.py": backend.replace(mark, f"{mark}; {ask}")})
        site.idle = 10
        site.recipe(TESTED)
        code, output = site.build()
        assert code == 0, output
        said = "its programs have used next to no processor time for 10 s; the last step was: Building wheel (cp313)"
        assert output.count(f"{said}; the build is retried once") == 1
        assert len(asked) == 2
    assert len(site.wheels) == 1
    assert site.nothing_left()


def test_a_build_that_always_stands_still_ends(site: Site) -> None:
    add_tiny(site.index, mode="slow")
    site.idle = 10
    site.recipe(TESTED)
    code, output = site.build()
    assert code == 45, output
    assert output.count("its programs have used next to no processor time for 10 s") == 2
    assert "idle-seconds" in output
    assert site.nothing_left()


def stop_at(site: Site, step: str, number: signal.Signals, *words: str) -> tuple[int, str]:
    process = site.start(*words)
    site.pids = frozenset({str(process.pid)})
    lines: list[str] = []
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line)
        if f"{step}" in line and "ok:" not in line:
            process.send_signal(number)
            break
    rest, _ = process.communicate(timeout=120)
    return process.returncode, "".join(lines) + rest


def test_kill_9_at_every_step_and_go_on(site: Site) -> None:
    """Each run is killed one step later than the one before; the last one is left alone."""
    add_tiny(site.index)
    for step in STEPS:
        code, output = stop_at(site, step, signal.SIGKILL)
        assert code == -signal.SIGKILL, f"{step}: {output}"
        assert site.nothing_left(), (step, site.containers())
        assert site.wheels == [], step
    code, output = site.build()
    assert code == 0, output
    assert len(site.wheels) == 1
    # What was built when the checks were killed is not built again.
    assert "resuming with the unchecked wheels" in output
    assert "Building wheel" not in output


@pytest.mark.parametrize("step", ["Building wheel", "Installing and importing"])
def test_ctrl_c(site: Site, step: str) -> None:
    add_tiny(site.index)
    code, output = stop_at(site, step, signal.SIGINT)
    assert code == 130, output
    assert "interrupted" in output
    assert "Traceback" not in output
    assert site.nothing_left(), site.containers()
    assert site.build()[0] == 0


def test_two_runs_at_once(site: Site) -> None:
    add_tiny(site.index)
    first, second = site.start(), site.start()
    outputs = [process.communicate(timeout=400)[0] for process in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0), outputs
    assert sum("nothing to build" in output for output in outputs) == 1
    assert sum("waiting for another run" in output for output in outputs) == 1


def test_what_rebuilds_and_what_does_not(site: Site) -> None:
    add_tiny(site.index)
    assert site.build()[0] == 0
    first = site.wheels[0].read_bytes()
    site.recipe("# a comment changes nothing\n" + TESTED)
    assert "nothing to build" in site.build()[1]
    site.recipe(TESTED + "[build]\nenvironment = { A = '1' }\n")
    code, output = site.build()
    assert code == 0
    assert "Building wheel" in output
    assert site.wheels[0].read_bytes() == first  # the same source and compiler: the same bytes
    assert "nothing to build" in site.build()[1]
    assert "Building wheel" in site.build("--force")[1]


def test_an_unreachable_index(site: Site) -> None:
    site.env["WHEELYARD_INDEX"] = "http://127.0.0.1:9/simple/"
    code, output = site.build()
    assert code == 70, output
    assert "cannot be reached" in output
    assert "fix:" in output


def test_no_engine(site: Site, tmp_path: Path) -> None:
    add_tiny(site.index)
    empty = tmp_path / "bin"
    empty.mkdir()
    for name in ("git", "env"):
        (empty / name).symlink_to(f"/usr/bin/{name}")
    site.env["PATH"] = str(empty)
    code, output = site.build()
    assert code == 30, output
    assert "neither podman nor docker is installed" in output
    assert "ci/bootstrap" in output


@pytest.mark.skipif(os.geteuid() != 0, reason="a mount namespace of its own wants root")
def test_no_binfmt(site: Site) -> None:
    add_tiny(site.index)
    hide = 'mount -t tmpfs none /proc/sys/fs/binfmt_misc && exec "$@"'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", hide, "sh", sys.executable, "-m", "wheelyard", "build", "tiny"],
        cwd=site.root,
        env=site.env,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 30, done.stderr
    assert "binfmt_misc" in done.stderr
    assert "ci/bootstrap" in done.stderr


def test_no_space_by_policy(site: Site) -> None:
    add_tiny(site.index)
    site.space = 1 << 20
    site.recipe(TESTED)
    code, output = site.build()
    assert code == 71, output
    assert "a build needs" in output


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system wants root")
def test_a_disk_that_fills_up(site: Site) -> None:
    add_tiny(site.index)
    site.space = 0
    site.recipe(TESTED)
    small = site.root / "dist"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48k", "tmpfs", str(small)], check=True)
    try:
        code, output = site.build()
        assert code == 71, output
        assert "no space is left" in output
    finally:
        subprocess.run(["umount", str(small)], check=True)
    assert site.build()[0] == 0
