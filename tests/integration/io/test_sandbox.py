"""Upstream's programs on this machine read nothing of ours: a hostile backend searches all that it can see."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.project import make_project
from support.tiny import add_tiny, sources
from wheelyard.io import _sandbox_main, sandbox

if TYPE_CHECKING:
    from collections.abc import Sequence

    from support.index import IndexServer
    from wheelyard.project.config import Project

TOKEN = "glpat-of-nobody-but-us"
HALVES = (TOKEN[:9], TOKEN[9:])  # so that the search does not find itself
# What a thief would do: read the environment and the memory of every process. It only reads, wherever it runs.
SEARCH = f"""
import glob, os
wanted = ("".join({HALVES!r})).encode()
print("searching as", os.getuid(), flush=True)
for folder in glob.glob("/proc/[0-9]*"):
    if folder == f"/proc/{{os.getpid()}}":
        continue
    try:
        with open(f"{{folder}}/environ", "rb") as file:
            if wanted in file.read():
                print("FOUND in the environment:", open(f"{{folder}}/cmdline").read()[:80].replace(chr(0), " "))
    except OSError:
        pass
    try:
        with open(f"{{folder}}/maps") as maps, open(f"{{folder}}/mem", "rb", 0) as memory:
            for line in maps:
                if "[heap]" in line or "[stack]" in line:
                    start, end = (int(each, 16) for each in line.split()[0].split("-"))
                    memory.seek(start)
                    if wanted in memory.read(end - start):
                        print("FOUND in memory", folder)
    except OSError:
        pass
print("searched", flush=True)
"""
PLAIN = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
SYSTEM = "/usr/bin/python3"  # which any user may run

pytestmark = pytest.mark.skipif(bool(sandbox.unavailable()), reason="this machine has no user namespaces for us")


def searched(words: Sequence[str | Path]) -> str:
    """Search while a process of the same user has the token in its environment."""
    bare = {"PATH": os.environ["PATH"]}
    holder = PLAIN if words[0] == PLAIN[0] else ()
    with subprocess.Popen([*holder, "sleep", "60"], env={"A_TOKEN": TOKEN, **bare}) as one:
        try:
            done = subprocess.run(words, env=bare, capture_output=True, text=True, check=True, timeout=120)
        finally:
            one.kill()
    assert "searched" in done.stdout, done.stderr
    return done.stdout


def plain(*words: str | Path) -> list[str | Path]:
    if os.geteuid() != 0 or not Path(SYSTEM).exists():
        pytest.skip("only root can become somebody else")
    return [*PLAIN, SYSTEM, *words]


def test_a_search_finds_a_token_where_nothing_keeps_it_apart() -> None:
    """Else the tests below would show nothing."""
    assert "FOUND in the environment" in searched([sys.executable, "-c", SEARCH])


def test_a_search_finds_nothing_from_apart() -> None:
    assert "FOUND" not in searched(sandbox.isolated([sys.executable, "-c", SEARCH]))


def test_a_plain_users_search_finds_nothing_from_apart() -> None:
    assert "FOUND in the environment" in searched(plain("-c", SEARCH))
    with tempfile.TemporaryDirectory() as folder:  # where anybody may read
        Path(folder).chmod(0o755)
        program = Path(folder, "apart.py")
        program.write_bytes(Path(_sandbox_main.__file__).read_bytes())
        kept = searched(plain("-I", "-S", program, SYSTEM, "-c", SEARCH))
    assert "searching as 65534" in kept
    assert "FOUND" not in kept


def test_nobody_in_there_can_take_the_cover_off() -> None:
    """Guarded: where nothing is apart, that would be this machine's own ``/proc``."""
    ours = Path("/proc/self/ns/mnt").readlink()
    theirs = f'test "$(readlink /proc/self/ns/mnt)" != "{ours}" || exit 99; umount /proc'
    done = subprocess.run(sandbox.isolated(["sh", "-c", theirs]), capture_output=True, text=True, check=False)
    assert done.returncode not in {0, 99, _sandbox_main.NOT_APART}
    assert "superuser" in done.stderr or "not permitted" in done.stderr


def test_what_is_run_apart_ends_as_it_would_and_takes_its_daemons_along(tmp_path: Path) -> None:
    assert subprocess.run(sandbox.isolated(["sh", "-c", "exit 7"]), check=False).returncode == 7
    assert subprocess.run(sandbox.isolated(["no-such-program"]), check=False).returncode == _sandbox_main.NOT_APART
    beat = tmp_path / "beat"
    loop = f"while :; do date +%N > {beat}; sleep 0.05; done"
    daemon = f"setsid sh -c '{loop}' > /dev/null 2>&1 & while [ ! -s {beat} ]; do sleep 0.05; done"
    subprocess.run(sandbox.isolated(["sh", "-c", daemon]), check=True, timeout=60)
    before = beat.read_text()
    time.sleep(0.3)
    assert beat.read_text() == before


def test_what_is_run_apart_dies_with_who_runs_it(tmp_path: Path) -> None:
    beat = tmp_path / "beat"
    loop = f"trap '' TERM; while :; do date +%N > {beat}; sleep 0.05; done"
    with subprocess.Popen(sandbox.isolated(["sh", "-c", loop])) as process:
        until = time.monotonic() + 30
        while not beat.exists():
            assert time.monotonic() < until
            time.sleep(0.05)
        process.kill()
    time.sleep(0.3)
    before = beat.read_text()
    time.sleep(0.3)
    assert beat.read_text() == before


# ------------------------------------------------------------------- preflight


@pytest.fixture
def yard(tmp_path: Path, index: IndexServer) -> Project:
    hostile = sources()["backend.py"].replace(
        "def build_sdist(folder, config_settings=None):",
        f"def build_sdist(folder, config_settings=None):\n    subprocess.run([sys.executable, '-c', {SEARCH!r}])",
    )
    add_tiny(index, files={"backend.py": hostile})
    (tmp_path / "site").mkdir()
    policy = '[tool.wheelyard]\ninterpreters = ["cp313"]\npolicy = "manylinux_2_39_riscv64"\nimage = "local"\n'
    return make_project(tmp_path / "site", {"tiny/recipe.toml": ""}, pyproject=policy)


def flown(project: Project, *before: str, **env: str) -> str:
    """Take a preflight in a shell that has *env*, and return all that it said and its backend printed."""
    without = {name: value for name, value in os.environ.items() if not name.endswith(("TOKEN", "SECRET", "KEY"))}
    done = subprocess.run(
        [*before, sys.executable, "-m", "wheelyard", "preflight", "tiny"],
        cwd=project.root,
        env={**without, **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    log_file = Path(os.environ["WHEELYARD_CACHE"]) / "preflight/logs/tiny/1.0.log"
    return done.stdout + (log_file.read_text() if log_file.is_file() else "")


def test_a_hostile_backend_finds_no_token(yard: Project) -> None:
    said = flown(yard, A_TOKEN=TOKEN)
    assert "its build backend makes tiny-1.0.tar.gz" in said
    assert "searched" in said
    assert "FOUND" not in said


def test_a_hostile_backend_finds_no_login_of_the_index(yard: Project) -> None:
    """The installer beside it is given one."""
    said = flown(yard, WHEELYARD_INDEX=os.environ["WHEELYARD_INDEX"].replace("http://", f"http://user:{TOKEN}@"))
    assert "searched" in said
    assert "FOUND" not in said


def test_where_a_backend_cannot_be_kept_apart_it_is_not_run_beside_a_token(yard: Project) -> None:
    """A kernel that gives no user namespaces, as containers do not (user_namespaces(7))."""
    none = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'
    before = ("unshare", "--user", "--map-root-user", "sh", "-c", none, "sh")
    said = flown(yard, *before, A_TOKEN=TOKEN)
    assert "not run: upstream's code could read our tokens" in said
    assert "search" not in said
    found = Path(os.environ["WHEELYARD_CACHE"]) / "preflight/reports"
    assert not list(found.rglob("*.json")), "what was not tried is not remembered"
    assert "its build backend makes tiny-1.0.tar.gz" in flown(yard, *before)
    assert list(found.rglob("*.json"))
