"""Whether a container's programs do anything: one that waits for ever is told from one that works."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from support import rvimage
from wheelyard.core.errors import StalledError
from wheelyard.io import engine
from wheelyard.io.idle import Watchdog, bytes_moved, processor_time

if TYPE_CHECKING:
    from collections.abc import Iterator

IMAGE = f"localhost/wheelyard-test/idle:{os.getpid()}"
LIMIT = 2.0  # seconds


@pytest.fixture(scope="module", autouse=True)
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    rvimage.make_image(tmp_path_factory.mktemp("idle"), IMAGE)
    yield IMAGE
    engine.engine_run(["rmi", "--force", IMAGE], check=False)


@contextlib.contextmanager
def container(program: str) -> Iterator[str]:
    """Yield the label of a container in which *program* runs."""
    name = f"wheelyard-test-idle-{program.strip('/')}-{os.getpid()}"
    label = f"wheelyard.test={name}"
    run = ["run", "--detach", "--network=none", "--pull=never", f"--label={label}", *engine.label_args()]
    engine.engine_run([*run, "--name", name, IMAGE, program])
    try:
        yield label
    finally:
        engine.engine_run([*engine.find().removal, name], check=False)


def look_on(watch: Watchdog, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        watch()
        time.sleep(0.02)


def test_a_container_that_only_waits_is_told() -> None:
    with container("/wait") as label, pytest.raises(StalledError, match=re.escape("processor time for 2.0 s")):
        look_on(Watchdog(label, LIMIT), 60)


def test_one_that_works_and_one_that_is_not_there_are_let_alone() -> None:
    with container("/spin") as label:
        look_on(Watchdog(label, LIMIT), 3 * LIMIT)
    watch = Watchdog(label, LIMIT)  # gone by now
    look_on(watch, 3 * LIMIT)


def test_what_is_read_and_written_is_seen_also_of_children_that_ended() -> None:
    here = bytes_moved(os.getpid())
    subprocess.run(["head", "--bytes=1000000", "/dev/zero"], stdout=subprocess.DEVNULL, check=True, timeout=60)
    assert bytes_moved(os.getpid()) - here >= 2_000_000
    assert bytes_moved(0) == bytes_moved(2**22 + 1) == 0


def test_the_time_of_all_below_counts() -> None:
    grandchild = "import sys, time\nwhile time.process_time() < 0.5: pass\nprint(flush=True); time.sleep(60)"
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {grandchild!r}])"
    with subprocess.Popen([sys.executable, "-c", child], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout
            process.stdout.read(1)
            used = processor_time(process.pid)
            assert len(used) == 2
            assert max(used.values()) >= 0.4 * os.sysconf("SC_CLK_TCK")
            assert process.pid in used
        finally:
            for number in sorted(processor_time(process.pid), reverse=True):
                os.kill(number, 9)
    assert processor_time(process.pid) == {}
