"""Where a token must never be while it publishes: in an argument of any process, in a file, in what is said, in a bug.

Other users of a machine read arguments (proc(5), ``/proc/pid/cmdline``), and CI keeps files and output.
"""

from __future__ import annotations

import base64
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from support.built_wheels import specs
from support.gitlab import Fault
from support.publishing import FILE, UPLOAD, PublishedProject, yard_in

if TYPE_CHECKING:
    from collections.abc import Iterator

WAYS = ("deploy token", "access token", "job token", "file", "python-gitlab", "netrc")
# Runs before the program: notes what is started, however short it lives, and lets every library say all it can.
NOSY = """
import logging, sys
log = open({log!r}, "a", buffering=1)
started = {{"subprocess.Popen", "os.exec", "os.posix_spawn", "os.spawn", "os.system"}}
sys.addaudithook(lambda event, given: print(event, given[:2], file=log) if event in started else None)
logging.basicConfig(level=logging.DEBUG)
"""
# A bug where it hurts most: the frames' variables and the error itself hold the request with its credentials.
BUG = """
import urllib3.connectionpool as pool
usual = pool.HTTPConnectionPool.urlopen
def urlopen(self, method, url, body=None, headers=None, **options):
    if method == "POST":
        authorization = headers["Authorization"]
        raise RuntimeError("the sky fell on " + authorization)
    return usual(self, method, url, body, headers, **options)
pool.HTTPConnectionPool.urlopen = urlopen
"""
SHOW = {
    "python's own": "",
    "rich": "import rich.traceback\nrich.traceback.install(show_locals=True, width=500, locals_max_string=None)\n",
    "cgitb's way": """
import sys
def hook(kind, error, trace):
    while trace:
        print(trace.tb_frame.f_code.co_name, trace.tb_frame.f_locals, file=sys.stderr)
        trace = trace.tb_next
    print(repr(error), file=sys.stderr)
sys.excepthook = hook
""",
}


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[PublishedProject]:
    with yard_in(tmp_path) as made:
        (tmp_path / "project/temporary").mkdir()
        made.stock.env["TMPDIR"] = str(tmp_path / "project/temporary")
        yield made


def before(yard: PublishedProject, program: str) -> None:
    """Run *program* in every Python of the command, before anything else (Python's ``site`` module)."""
    folder = yard.stock.root / "before"
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(program)
    yard.stock.env["PYTHONPATH"] = str(folder)


def hide(yard: PublishedProject, way: str) -> list[bytes]:
    """Put a credential where the command finds it, and return every form in which it might come to light."""
    home, env = yard.stock.home, yard.stock.env
    token = env.pop("WHEELYARD_GITLAB_TOKEN")
    user = yard.gitlab.add_user("ann")
    yard.gitlab.add_member(yard.project, user, "developer")
    login = "wheelyard"
    match way:
        case "deploy token":
            env["WHEELYARD_GITLAB_TOKEN"] = token
        case "access token":
            env["WHEELYARD_GITLAB_TOKEN"] = token = yard.gitlab.add_pat(user, scopes=("api",), expires_at=None)
        case "job token":
            env["CI_JOB_TOKEN"] = token = yard.gitlab.add_job_token(yard.project, user)
            env["CI_SERVER_URL"] = yard.server.url
            login = "gitlab-ci-token"
        case "file":
            (home / "hidden").write_text(f"{token}\n")
            env["WHEELYARD_GITLAB_TOKEN_FILE"] = str(home / "hidden")
        case "python-gitlab":
            (home / ".python-gitlab.cfg").write_text(f"[rise]\nurl = {yard.server.url}\nprivate_token = {token}\n")
        case "netrc":
            (home / ".netrc").write_text(f"machine 127.0.0.1 login ann password {token}\n")
            (home / ".netrc").chmod(0o600)
            login = "ann"
    return [token.encode(), quote(token, safe="").encode(), base64.b64encode(f"{login}:{token}".encode())]


class Watch(threading.Thread):
    """Reads, until told to stop, the arguments of a process and all below it, and all files in a folder."""

    def __init__(self, process: int, folder: Path, spared: set[Path]) -> None:
        super().__init__()
        self.over = threading.Event()
        self.arguments: set[bytes] = set()
        self.texts: dict[Path, bytes] = {}
        self._process = process
        self._folder = folder
        self._spared = spared

    def run(self) -> None:
        while not self.over.wait(0.002):
            for line in self._family():
                self.arguments.add(line)
            self.look()

    def look(self) -> None:
        """Read what the files hold now, and keep what they held before."""
        for path in self._folder.rglob("*"):
            if path not in self._spared and path.is_file():
                try:
                    text = path.read_bytes()
                except FileNotFoundError:  # it was here a moment ago
                    continue
                if text not in self.texts.setdefault(path, b""):
                    self.texts[path] += b"\0" + text

    def _family(self) -> Iterator[bytes]:
        waiting = [self._process]
        while waiting:
            folder = Path("/proc", str(waiting.pop()))
            try:
                yield (folder / "cmdline").read_bytes()
                for thread in (folder / "task").iterdir():
                    waiting += map(int, (thread / "children").read_text().split())
            except (FileNotFoundError, ProcessLookupError):  # it has ended
                continue


def watched(yard: PublishedProject) -> tuple[subprocess.CompletedProcess[str], Watch]:
    """Publish, and watch all the while."""
    spared = set(yard.stock.home.iterdir())
    with yard.start() as process:
        watch = Watch(process.pid, yard.stock.root, spared)
        watch.start()
        try:
            out, err = process.communicate(timeout=120)
        finally:
            watch.over.set()
            watch.join()
    watch.look()
    return subprocess.CompletedProcess(process.args, process.returncode, out, err), watch


@pytest.mark.parametrize("way", WAYS)
def test_a_token_that_publishes_is_seen_nowhere(yard: PublishedProject, tmp_path: Path, way: str) -> None:
    forms = hide(yard, way)
    started = tmp_path / "started"
    before(yard, NOSY.format(log=str(started)))
    # Slow enough to be watched while a wheel goes out, after one was refused, and while it is read back.
    yard.gitlab.fault(Fault("status", **UPLOAD, skip=1, times=1))
    for what in (UPLOAD, FILE):
        yard.gitlab.fault(Fault("stall", seconds=0.3, times=2, **what))
    wheels = yard.stock.add(*specs(2))
    done, watch = watched(yard)
    assert done.returncode == 0, done.stderr
    yard.exactly(wheels)
    assert "DEBUG:urllib3" in done.stderr
    # It was really seen at work, with its journal, its records and its cache.
    assert any(b"publish" in line for line in watch.arguments)
    kept = {path.relative_to(yard.stock.root).parts[0] for path in watch.texts}
    assert {"cache", "dist", "packages"} <= kept
    assert any(path.suffix == ".jsonl" for path in watch.texts)
    for form in forms:
        assert form.decode() not in done.stdout + done.stderr
        assert [line for line in watch.arguments if form in line] == []
        assert form.decode() not in started.read_text()
        assert [path for path, text in watch.texts.items() if form in text] == []


@pytest.mark.parametrize("show", SHOW)
@pytest.mark.parametrize("way", ["deploy token", "netrc"])
def test_a_bug_shows_its_traceback_and_no_token(yard: PublishedProject, way: str, show: str) -> None:
    """Nor does a hook that somebody's environment installs, and that shows every frame's variables."""
    forms = hide(yard, way)
    before(yard, BUG + SHOW[show])
    yard.stock.add(*specs(1))
    done = yard.publish()
    assert done.returncode == 1, done.stderr
    assert "Traceback (most recent call last)" in done.stderr
    assert "RuntimeError: the sky fell on Basic [secret]" in done.stderr
    assert "in check_access" in done.stderr  # where it happened
    for form in forms:
        assert form.decode() not in done.stdout + done.stderr
    assert yard.uploads == 0


def test_a_bug_quotes_nothing_that_steers_a_terminal_or_a_log(yard: PublishedProject) -> None:
    before(yard, BUG.replace("the sky fell on ", r"\x1b[2J\n::add-mask::"))
    yard.stock.env["GITHUB_ACTIONS"] = "true"
    yard.stock.add(*specs(1))
    done = yard.publish()
    assert done.returncode == 1
    assert "RuntimeError" in done.stderr
    assert "\x1b" not in done.stderr
    assert not [line for line in done.stderr.splitlines() if line.lstrip().startswith("::add-mask")]
