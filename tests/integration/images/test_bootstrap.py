"""ci/bootstrap, run for real in a checkout of its own with a home of its own.

What needs another machine is shown with folders that lack things: PATH is all that the script looks at.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
NOBODY = 65534


def checkout(folder: Path) -> Path:
    """Copy what the bootstrap and an editable installation need."""
    for name in ("ci", "src"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def environment(home: Path, **more: str) -> dict[str, str]:
    """A user's environment with an empty home; what the network needs comes along."""
    home.mkdir(exist_ok=True)
    kept = {
        key: value for key, value in os.environ.items() if key.startswith(("PIP_", "SSL_", "REQUESTS_", "http", "HTTP"))
    }
    return kept | {"HOME": str(home), "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"} | more


def bootstrap(
    folder: Path, *words: str, env: dict[str, str], user: int | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(folder / "ci/bootstrap"), *words],
        env=env,
        user=user,
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A checkout that has been bootstrapped, and the environment it was done in."""
    folder = checkout(tmp_path_factory.mktemp("checkout"))
    python = getattr(sys, "_base_executable", sys.executable)
    env = environment(folder / "home", WHEELYARD_PYTHON=python, PYTHONDONTWRITEBYTECODE="1")
    done = bootstrap(folder, "wheelyard", "--version", env=env)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("wheelyard, version")
    return folder, env


def test_it_makes_the_pinned_environment_and_runs_the_command(made: tuple[Path, dict[str, str]]) -> None:
    folder, env = made
    script = "import cibuildwheel, wheelyard, sys; print(cibuildwheel.__version__, wheelyard.__file__, sys.prefix)"
    version, file, prefix = bootstrap(folder, "python", "-c", script, env=env).stdout.split()
    assert f"cibuildwheel=={version} " in (folder / "ci/requirements.txt").read_text()
    assert file == str(folder / "src/wheelyard/__init__.py")
    assert prefix == str(folder / ".venv")


def test_bytecode_is_there_even_where_python_is_told_to_write_none(made: tuple[Path, dict[str, str]]) -> None:
    folder, _ = made
    for package in (folder / "src/wheelyard", *folder.glob(".venv/lib/python3*/site-packages/cibuildwheel")):
        modules = {path.stem for path in package.glob("*.py")}
        assert modules <= {path.name.partition(".")[0] for path in package.glob("__pycache__/*.pyc")}


def test_the_second_run_does_nothing_but_run_the_command(made: tuple[Path, dict[str, str]]) -> None:
    folder, env = made
    before = {path: path.stat().st_mtime_ns for path in [*folder.rglob("*"), *(folder / ".venv").rglob("*")]}
    # No Python is started, no network asked: there is none to be had.
    done = bootstrap(
        folder, "true", env=env | {"https_proxy": "http://127.0.0.1:9", "PIP_INDEX_URL": "http://127.0.0.1:9"}
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert bootstrap(folder, "--check", env=env).returncode == 0


def test_the_command_gets_its_arguments_and_its_status_counts(made: tuple[Path, dict[str, str]]) -> None:
    folder, env = made
    done = bootstrap(folder, "sh", "-c", 'printf "%s|" "$@"; exit 7', "sh", "a b", "", "*", env=env)
    assert (done.returncode, done.stdout) == (7, "a b||*|")


def test_an_interrupted_installation_is_one_that_has_not_happened(made: tuple[Path, dict[str, str]]) -> None:
    folder, env = made
    lock = folder / "ci/requirements.txt"
    text = lock.read_text()
    lock.write_text(text + "# changed\n")
    try:
        assert "virtual environment" in bootstrap(folder, "--check", env=env).stdout
        with subprocess.Popen([str(folder / "ci/bootstrap"), "true"], env=env, start_new_session=True) as child:
            deadline = time.monotonic() + 60
            while (folder / ".venv/.bootstrap-stamp").exists() and time.monotonic() < deadline:
                time.sleep(0.01)
            os.killpg(child.pid, 9)
        assert bootstrap(folder, "--check", env=env).returncode == 1
    finally:
        lock.write_text(text)
    done = bootstrap(folder, "wheelyard", "--version", env=env)
    assert done.returncode == 0, done.stderr
    assert "making .venv" in done.stderr


def test_a_private_configuration_is_there_only_if_containers_need_it(made: tuple[Path, dict[str, str]]) -> None:
    folder, env = made
    conf = folder / "home/.cache/wheelyard/containers.conf"
    seen = bootstrap(folder, "sh", "-c", "echo $CONTAINERS_CONF", env=env).stdout.strip()
    assert seen == (str(conf) if conf.exists() else "")
    if conf.exists():
        assert "default_ulimits" in conf.read_text()


def test_check_changes_nothing(tmp_path: Path) -> None:
    folder = checkout(tmp_path / "checkout")
    before = sorted(folder.rglob("*"))
    done = bootstrap(folder, "--check", env=environment(tmp_path / "home"))
    assert done.returncode == 1
    assert "the virtual environment .venv" in done.stdout
    assert sorted(folder.rglob("*")) == before
    assert list((tmp_path / "home").iterdir()) == []


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A PATH with what every Debian has, but neither podman, QEMU nor mmdebstrap."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("bash", "env", "stat", "cut", "tr", "sha256sum", "dirname", "mktemp", "mkdir", "flock", "apt-get"):
        (folder / name).symlink_to(str(shutil.which(name, path="/usr/bin:/bin")))
    (folder / "python3").symlink_to(getattr(sys, "_base_executable", sys.executable))
    return folder


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_without_root_it_says_what_to_run_and_installs_nothing(tmp_path: Path, bare: Path) -> None:
    # The interpreter must be one that this user may start.
    (bare / "python3").unlink()
    (bare / "python3").symlink_to("/usr/bin/python3")
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents:
        if parent.owner() == "root" and parent.name.startswith(("pytest-", "popen-")):  # the latter are xdist's
            parent.chmod(0o755)
    folder = checkout(tmp_path / "checkout")
    env = environment(tmp_path / "home") | {"PATH": str(bare)}
    os.chown(tmp_path / "home", NOBODY, NOBODY)
    done = bootstrap(folder, "true", env=env, user=NOBODY)
    assert done.returncode == 77, done.stderr
    line = next(line for line in done.stderr.splitlines() if "apt-get install" in line)
    assert {"podman", "qemu-user-static", "mmdebstrap", "uidmap"} <= set(line.split())
    assert "--no-install-recommends" in line
    assert f"sudo {folder}/ci/bootstrap true" in done.stderr
    assert not (folder / ".venv").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="packages of tests are root's business")
@pytest.mark.skipif("ID=debian\n" not in Path("/etc/os-release").read_text(), reason="Ubuntu's Chromium is a snap")
def test_only_tests_want_a_browser(tmp_path: Path, bare: Path) -> None:
    folder = checkout(tmp_path)
    env = environment(tmp_path / "home") | {"PATH": str(bare)}
    assert "chromium" not in bootstrap(folder, "--check", env=env).stdout
    assert "chromium chromium-driver" in bootstrap(folder, "--check", "nox", "-s", "tests", env=env).stdout


def test_without_a_usable_python_it_says_what_to_install(tmp_path: Path, bare: Path) -> None:
    (bare / "python3").unlink()
    (bare / "python3").write_text("#!/bin/bash\nexit 1\n")
    (bare / "python3").chmod(0o755)
    folder = checkout(tmp_path / "checkout")
    done = bootstrap(folder, "true", env=environment(tmp_path / "home") | {"PATH": str(bare)})
    assert done.returncode == 69
    assert "sudo apt-get install python3 python3-venv" in done.stderr


def test_help_and_no_words_at_all(tmp_path: Path) -> None:
    env = environment(tmp_path / "home")
    shown = bootstrap(ROOT, "--help", env=env)
    assert (shown.returncode, "--check" in shown.stdout) == (0, True)
    assert bootstrap(ROOT, env=env).returncode == 1
