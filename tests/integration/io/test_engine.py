"""The container engine: one-shot containers leave nothing, however they end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from support import rvimage
from wheelyard.core.errors import EngineError, ProgramError, StepTimeoutError
from wheelyard.io import engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

IMAGE = f"localhost/wheelyard-test/tiny:{os.getpid()}"


@pytest.fixture(scope="module", autouse=True)
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    rvimage.make_image(tmp_path_factory.mktemp("tiny"), IMAGE)
    yield IMAGE
    engine.engine_run(["rmi", "--force", IMAGE], check=False)


def ours() -> list[str]:
    """Return the containers of the tiny image, running or not."""
    form = "{{.Names}}"
    return engine.engine_run(["ps", "--all", "--filter", f"ancestor={IMAGE}", "--format", form]).stdout.split()


def eventually(condition: Callable[[], bool]) -> bool:
    for _ in range(300):
        if condition():
            return True
        time.sleep(0.1)
    return False


def test_this_machine_starts_riscv64_containers() -> None:
    assert engine.binfmt().ok
    assert engine.probe() is None


def test_an_image_is_known_as_riscv64_with_its_labels() -> None:
    found = engine.inspect(IMAGE)
    assert found is not None
    assert found.platform == "linux/riscv64"
    assert found.labels["wheelyard.tiny"] == "yes"
    assert [info.reference for info in engine.images("wheelyard.tiny=yes")].count(IMAGE) == 1
    assert engine.inspect("localhost/wheelyard-test/none:1") is None


def test_a_program_ends_well_or_with_its_status() -> None:
    assert engine.run_in(IMAGE, ["/ok"]).returncode == 0
    assert engine.run_in(IMAGE, ["/fail"], check=False).returncode == 7
    with pytest.raises(ProgramError, match="status 7"):
        engine.run_in(IMAGE, ["/fail"])
    assert ours() == []


def test_an_image_that_is_not_there_is_never_pulled() -> None:
    with pytest.raises(EngineError):
        engine.run_in("localhost/wheelyard-test/none:1", ["/ok"])


def test_a_timeout_leaves_no_container() -> None:
    with pytest.raises(StepTimeoutError):
        engine.run_in(IMAGE, ["/wait"], timeout=2)
    assert ours() == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_killed_run_leaves_no_container(number: signal.Signals) -> None:
    code = f"from wheelyard.io import engine; engine.run_in({IMAGE!r}, ['/wait'])"
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL) as child:
        assert eventually(lambda: len(ours()) == 1)
        child.send_signal(number)
        child.wait(30)
    assert eventually(lambda: ours() == [])


def test_sweep_removes_what_is_nobodys_and_nothing_else(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", "pass"])
    mark = f"{gone.pid}.1"
    gone.wait()
    run = ["run", "--detach", "--network=none", "--pull=never"]
    engine.engine_run(
        [*run, "--label", f"{engine.OWNER_LABEL}={mark}", "--name", "wheelyard-test-gone", IMAGE, "/wait"]
    )
    engine.engine_run([*run, *engine.label_args(), "--name", "wheelyard-test-mine", IMAGE, "/wait"])
    try:
        assert "wheelyard-test-gone" in engine.sweep()
        assert ours() == ["wheelyard-test-mine"]
    finally:
        engine.engine_run([*engine.find().removal, "wheelyard-test-gone", "wheelyard-test-mine"], check=False)


def test_containers_trust_what_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_text("certificates")
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    args, env = engine.ca_mounts()
    assert args == (f"--volume={bundle}:{engine.CA_PATH}:ro",)
    assert set(env.values()) == {engine.CA_PATH}
    assert {"SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE"} <= set(env)
    assert engine.run_in(IMAGE, ["/ok"], create_args=args, env=env).returncode == 0


def test_without_an_engine_the_error_says_what_to_run(tmp_path: Path) -> None:
    code = "from wheelyard.io import engine\ntry: engine.find()\nexcept Exception as error: print(error)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PATH": str(tmp_path), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "neither podman nor docker" in done.stdout
    assert "ci/bootstrap" in done.stdout
