"""What an adversary tries against publishing and the verbs around it."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import signal
import threading
import time
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
import requests

from support.built_wheels import PROJECT, BuiltWheels, specs
from support.gitlab import Fault
from support.index import JSON, IndexServer
from support.publishing import FILE, UPLOAD, PublishedProject, yard_in
from support.wheels import WheelSpec
from wheelyard.core.digests import sha256_file
from wheelyard.records.releases import RELEASES
from wheelyard.registries import GitLabRegistry, Journal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

BASE = "/api/v4/projects/it/packages/pypi"
COPY = '\n[tool.wheelyard.registries.copy]\nkind = "directory"\npath = "copy"\n'
VERBS = {
    "list": ("list", "--registry", "gitlab"),
    "verify": ("verify", "--registry", "gitlab", "--download"),
    "adopt": ("adopt", "--registry", "gitlab"),
    "index": ("index", "--registry", "gitlab", "--out", "front"),
    "mirror": ("mirror", "--registry", "gitlab", "--to", "copy"),
}
Answer = tuple[int, dict[str, str], bytes]


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[PublishedProject]:
    with yard_in(tmp_path) as made:
        yield made


def journal(yard: PublishedProject) -> contextlib.AbstractContextManager[Journal]:
    """The journal of the yard's registry, ours alone."""
    title = GitLabRegistry(yard.server.url, PROJECT, None).title
    return Journal.of(yard.stock.root / "dist/.journal", title)


def maintain(yard: PublishedProject) -> None:
    """Give the command a token that may delete."""
    user = yard.gitlab.add_user("mona")
    yard.gitlab.add_member(yard.project, user, "maintainer")
    yard.stock.env["WHEELYARD_GITLAB_TOKEN"] = yard.gitlab.add_pat(user, scopes=("api",))


def put(yard: PublishedProject, file: str, data: bytes, *, name: str, version: str = "1.0", sha256: str = "") -> None:
    """Upload as another client does."""
    answer = requests.post(
        f"{yard.server.url}/api/v4/projects/{yard.project.id}/packages/pypi",
        data={"name": name, "version": version, "sha256_digest": sha256 or hashlib.sha256(data).hexdigest()},
        files={"content": (file, data)},
        auth=("x", yard.stock.env["WHEELYARD_GITLAB_TOKEN"]),
        timeout=10,
    )
    assert answer.status_code == 201, answer.text


@contextlib.contextmanager
def answering(answer: Callable[[str, bytes], Answer]) -> Iterator[str]:
    """Yield the address of a server that says what *answer* makes of a path and a body."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._say(answer(self.path, b""))

        def do_POST(self) -> None:
            self._say(answer(self.path, self.rfile.read(int(self.headers["Content-Length"]))))

        def _say(self, said: Answer) -> None:
            status, headers, body = said
            self.send_response(status)
            for key, value in (headers | {"Content-Length": str(len(body))}).items():
                self.send_header(key, value)
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


@pytest.fixture
def server() -> Iterator[IndexServer]:
    with IndexServer() as made:
        yield made


def listed(server: IndexServer, folder: Path, **more: object) -> BuiltWheels:
    """Return a project whose registry lists one wheel, with *more* in its entry."""
    wheel = WheelSpec().write(folder)
    entry: dict[str, object] = {"filename": wheel.name, "url": "x", "hashes": {"sha256": sha256_file(wheel)}, **more}
    body = {"meta": {"api-version": "1.1"}, "name": "demo", "versions": [], "files": [entry]}
    server.add_static(f"{BASE}/simple/demo", json.dumps(body).encode(), JSON)
    server.add_static(f"{BASE}/simple", b'<html><body><a href="demo">demo</a></body></html>', "text/html")
    server.add_static(f"{BASE}/files/{sha256_file(wheel)}/{wheel.name}", wheel.read_bytes())
    stock = BuiltWheels(folder / "project", server.root)
    text = (stock.root / "pyproject.toml").read_text().replace(PROJECT, "it") + COPY
    (stock.root / "pyproject.toml").write_text(text)
    return stock


# ------------------------------------------------------------------ lost, doubled, told falsely


def test_what_is_sent_anew_is_read_back_anew(yard: PublishedProject) -> None:
    """A run was killed after it had read the wheel back; the wheel was deleted there since."""
    (wheel,) = yard.stock.add(WheelSpec())
    with journal(yard) as killed:
        killed.begin([(wheel.name, sha256_file(wheel))])
        killed.confirm(wheel.name)
    yard.gitlab.fault(Fault("corrupt", **UPLOAD, count=100))
    for _ in range(2):
        done = yard.publish()
        assert done.returncode == 63, done.stdout + done.stderr
        assert "gives other bytes" in done.stderr
    assert not (yard.stock.root / "packages").exists()


def test_a_kill_after_sending_anew_leaves_nothing_confirmed(yard: PublishedProject) -> None:
    (wheel,) = yard.stock.add(WheelSpec())
    with journal(yard) as killed:
        killed.begin([(wheel.name, sha256_file(wheel))])
        killed.confirm(wheel.name)
    yard.gitlab.fault(Fault("stall", **FILE, seconds=30))
    with yard.start() as process:
        deadline = time.monotonic() + 30
        while not yard.gitlab.files(yard.project) and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.5)
        process.kill()
        process.communicate()
    yard.gitlab.heal()
    before = len(yard.gitlab.requests)
    assert yard.publish().returncode == 0
    assert any("/pypi/files/" in seen.path for seen in yard.gitlab.requests[before:])


@pytest.mark.parametrize("fault", [{"kind": "status_after", "status": 502}, {"kind": "reset_after"}])
def test_what_is_there_after_a_doubt_is_not_sent_again(yard: PublishedProject, fault: dict[str, Any]) -> None:
    """The index is read before anything is sent again, though the server would refuse the second one."""
    wheels = yard.stock.add(WheelSpec())
    yard.gitlab.fault(Fault(**fault, **UPLOAD, skip=1, times=1))
    assert yard.publish().returncode == 0
    yard.exactly(wheels)
    assert yard.uploads == 1


@pytest.mark.parametrize("status", [520, 524, 408])
def test_other_answers_that_leave_a_doubt(yard: PublishedProject, status: int) -> None:
    """520 to 527 are what the proxy in front of gitlab.com says when the server behind it is slow or gone."""
    wheels = yard.stock.add(WheelSpec())
    yard.gitlab.fault(Fault("status_after", **UPLOAD, status=status, skip=1, times=1))
    done = yard.publish()
    yard.exactly(wheels)
    assert done.returncode == 0, done.stderr


def test_the_same_wheel_in_two_folders_is_sent_once(yard: PublishedProject) -> None:
    (wheel,) = yard.stock.add(WheelSpec())
    shutil.copytree(wheel.parent, yard.stock.root / "dist/demo/again")
    yard.publish()
    yard.exactly([wheel])
    assert yard.uploads == 1


def test_a_refusal_shows_the_table_too(yard: PublishedProject) -> None:
    yard.stock.add(WheelSpec())
    assert yard.publish().returncode == 0
    yard.stock.add(WheelSpec(), salt=b"other")
    dry, wet = yard.publish("--dry-run"), yard.publish()
    assert "refuse" in dry.stdout
    assert wet.stdout.partition("\n\n")[0].strip() == dry.stdout.partition("\n\n")[0].strip()


def test_a_run_killed_before_its_report_is_out_is_told_by_the_next(yard: PublishedProject) -> None:
    """Everything is done, whoever reads the report is slow, and then comes kill -9."""
    yard.stock.add(*specs(60))
    with yard.start() as process:
        assert process.stdout is not None
        fcntl.fcntl(process.stdout.fileno(), fcntl.F_SETPIPE_SZ, 4096)  # less than the report
        deadline = time.monotonic() + 60
        while not (yard.stock.root / "packages/demo/releases.toml").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(1)
        assert process.poll() is None
        process.kill()
        process.communicate()
    assert "60 published" in yard.publish().stdout


def test_a_second_record_with_other_bytes_is_a_refusal(yard: PublishedProject) -> None:
    """GitLab's records are per spelling, its index is per canonical name: one file name may be there twice."""
    (wheel,) = yard.stock.add(WheelSpec(name="demo.x"))
    assert yard.publish().returncode == 0
    mine = sha256_file(wheel)
    candidates = (str(number).encode() for number in range(100_000))
    other = next(data for data in candidates if hashlib.sha256(data).hexdigest() < mine)  # is listed before ours
    put(yard, wheel.name, other, name="demo.x")
    assert "refuse" in yard.publish("--dry-run").stdout


def test_a_hash_in_capitals_is_the_same_hash(yard: PublishedProject) -> None:
    """GitLab takes and keeps them as they come (lib/gitlab/regex.rb, sha256_regex)."""
    (wheel,) = yard.stock.add(WheelSpec())
    put(yard, wheel.name, wheel.read_bytes(), name="demo", sha256=sha256_file(wheel).upper())
    done = yard.publish()
    assert done.returncode == 0, done.stderr
    assert "1 there before" in done.stdout


def test_a_wheel_in_another_packages_folder_stays(yard: PublishedProject) -> None:
    (wheel,) = yard.stock.add(WheelSpec(name="bar"))
    shutil.move(wheel.parent, yard.stock.root / "dist/foo/9.9")
    done = yard.publish("foo")
    assert done.returncode == 60, done.stdout
    yard.exactly([])


def test_two_servers_of_one_host_are_two_registries() -> None:
    urls = ("https://host.example/one", "https://host.example/two")
    assert len({GitLabRegistry(url, "a/b", None).title for url in urls}) == 2


def test_what_a_publication_brought_meanwhile_was_there_before(yard: PublishedProject) -> None:
    (wheel,) = yard.stock.add(WheelSpec())
    path = yard.stock.root / "pyproject.toml"
    path.write_text(path.read_text() + COPY)
    assert yard.publish().returncode == 0
    assert yard.stock.run("publish", "--to", "copy").returncode == 0
    with Journal.of(yard.stock.root / "dist/.journal", str(yard.stock.root / "copy")) as other:
        other.begin([(wheel.name, sha256_file(wheel))])
        process = yard.stock.start("registry", "mirror", "--registry", "gitlab", "--to", "copy")
        time.sleep(3)
        assert process.poll() is None
        other.finish([wheel.name])
    out, _ = process.communicate(timeout=60)
    assert "0 copied, 1 there before" in out


# ------------------------------------------------------------------ too soon, too much


def test_a_server_that_asks_for_no_wait_is_not_hammered(yard: PublishedProject) -> None:
    wheels = yard.stock.add(WheelSpec())
    yard.gitlab.fault(Fault("status", **UPLOAD, status=429, retry_after="0", times=6))
    started = time.monotonic()
    assert yard.publish().returncode == 0
    assert time.monotonic() - started > 3
    yard.exactly(wheels)


def test_a_page_of_hundreds_of_megabytes(tmp_path: Path) -> None:
    packer = zlib.compressobj(1, wbits=31)  # gzip
    body = b"".join([packer.compress(bytes(1 << 20)) for _ in range(600)]) + packer.flush()
    headers = {"Content-Type": JSON, "Content-Encoding": "gzip"}
    with (
        answering(lambda _path, _body: (200, headers, body)) as url,
        BuiltWheels(tmp_path / "project", url).start("registry", "list", "demo") as process,
    ):
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode in {60, 63, 70}
    assert usage.ru_maxrss < 900_000  # KiB: Linux counts what this process held when it forked, too (exec_mmap)


# ------------------------------------------------------------------ secrets, and what steers who reads


@pytest.mark.parametrize("words", [(), ("--json",)])
@pytest.mark.parametrize("form", ["token", "header"])
def test_a_server_that_echoes_the_credential(yard: PublishedProject, form: str, words: tuple[str, ...]) -> None:
    token = "glpat-secretsecretsecret1"
    said = token if form == "token" else base64.b64encode(f"wheelyard:{token}".encode()).decode()

    def answer(path: str, body: bytes) -> Answer:
        if not body:
            return (200 if path.endswith("/simple") else 404), {}, b"<html></html>"
        if b'name="content"' not in body:
            return 400, {}, b'{"error": "content is missing"}'
        return 400, {}, json.dumps({"message": f"bad {said}"}).encode()

    # From a file: what stands in the environment is known for a secret anyway.
    del yard.stock.env["WHEELYARD_GITLAB_TOKEN"]
    file = yard.stock.home / "token"
    file.write_text(token)
    yard.stock.env["WHEELYARD_GITLAB_TOKEN_FILE"] = str(file)
    yard.stock.add(WheelSpec())
    with answering(answer) as yard.stock.url:
        yard.stock.policy()
        done = yard.publish(*words)
    assert "400: bad" in done.stderr
    assert said not in done.stderr
    assert said not in done.stdout


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("key", ["yanked", "requires-python"])
def test_half_a_surrogate_pair(server: IndexServer, tmp_path: Path, key: str, verb: str) -> None:
    done = listed(server, tmp_path, **{key: "\ud800 odd"}).run("registry", *VERBS[verb])
    assert "Traceback" not in done.stderr, done.stderr[-600:]


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("sha256", ["xyz", "../../../../x/y", f"{'0' * 64}?a=b"])
def test_a_hash_that_is_none(server: IndexServer, tmp_path: Path, sha256: str, verb: str) -> None:
    done = listed(server, tmp_path, hashes={"sha256": sha256}).run("registry", *VERBS[verb])
    assert "Traceback" not in done.stderr, done.stderr[-600:]


@pytest.mark.parametrize("url", ["javascript:alert(1)", "file:///etc/passwd", "http://user:word@host.example/x"])
def test_an_address_that_no_index_should_pass_on(server: IndexServer, tmp_path: Path, url: str) -> None:
    stock = listed(server, tmp_path, url=url)
    stock.run("registry", *VERBS["index"])
    assert not [page for page in stock.root.glob("front/simple/*/*") if url in page.read_text()]


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("reason", ["x ##[error]y", "a\n::error::y", "\x1b[31mred", "\x9b31mred", "\u202eback"])
def test_a_reason_that_steers_who_reads_it(server: IndexServer, tmp_path: Path, reason: str, verb: str) -> None:
    stock = listed(server, tmp_path, yanked=reason)
    stock.env["GITHUB_ACTIONS"] = "true"
    done = stock.run("registry", *VERBS[verb])
    records = "".join(path.read_text() for path in stock.root.glob("packages/*/releases.toml"))
    for text in (done.stdout, done.stderr, records):
        assert all(char.isprintable() or char == "\n" for char in text)
    for line in (done.stdout + done.stderr).splitlines():
        assert "##[" not in line
        assert not line.lstrip().startswith("::error::y")


def test_a_licence_that_steers_who_reads_the_record(yard: PublishedProject) -> None:
    import zipfile

    spec = WheelSpec()
    (wheel,) = yard.stock.add(spec)
    with zipfile.ZipFile(wheel) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, data in members.items():
            odd = data.replace(b"\nName:", b"\nLicense: MIT\xc2\x9b31m\nName:") if name.endswith("METADATA") else data
            archive.writestr(name, odd)
    yard.stock.rerecord(wheel, spec)
    assert yard.publish().returncode == 0
    text = (yard.stock.root / "packages/demo/releases.toml").read_text()
    assert "MIT" in text
    assert "\x9b" not in text


# ------------------------------------------------------------------ maintenance


@pytest.mark.parametrize("name", ["Demo_Pack", "demo.pack", "Demo-Pack"])
def test_prune_deletes_what_was_put_there_under_another_spelling(yard: PublishedProject, name: str) -> None:
    """twine sends METADATA's name as it is, and GitLab keeps it; its filter by name looks for a part of that."""
    for version in ("1.0", "2.0"):
        wheel = WheelSpec(name="demo_pack", version=version).write(yard.stock.root / "made")
        put(yard, wheel.name, wheel.read_bytes(), name=name, version=version)
    maintain(yard)
    done = yard.stock.run("registry", "prune", "--keep", "1", "--delete")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [file.version for file in yard.gitlab.files(yard.project)] == ["2.0"]


def test_prune_waits_for_a_publication_under_way(yard: PublishedProject) -> None:
    """Else what has just been published is deleted, and then recorded as published."""
    yard.stock.add(WheelSpec(version="1.0"), WheelSpec(version="2.0"))
    maintain(yard)
    assert yard.publish().returncode == 0
    with journal(yard):
        process = yard.stock.start("registry", "prune", "--keep", "1", "--delete")
        time.sleep(3)
        waits = process.poll() is None
        process.send_signal(signal.SIGINT)
        process.communicate()
    assert waits
    assert len(yard.gitlab.files(yard.project)) == 2


def test_line_ends_of_windows_in_a_record(yard: PublishedProject) -> None:
    yard.stock.add(*specs(2))
    assert yard.publish().returncode == 0
    path = yard.stock.root / "packages/demo/releases.toml"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    yard.stock.add(WheelSpec(version="9.0"))
    assert yard.publish().returncode == 0
    assert len(RELEASES.read(path)) == 3
    assert b"\r" not in path.read_bytes()


@pytest.mark.parametrize("version", ["1!2.0", "1!2.0+local.7", "2.0.post1.dev3"])
def test_odd_versions_go_all_the_way(yard: PublishedProject, version: str) -> None:
    (wheel,) = yard.stock.add(WheelSpec(version=version))
    done = yard.publish()
    assert done.returncode == 0, done.stderr
    yard.exactly([wheel])
    assert yard.stock.run("registry", "mirror", "--registry", "gitlab", "--to", "./copy").returncode == 0
    assert [sha256_file(path) for path in (yard.stock.root / "copy").rglob("*.whl")] == [sha256_file(wheel)]
    assert yard.stock.run("registry", "yank", "demo", version, "--reason", "ünïcode \U0001f40d").returncode == 0
    (record,) = RELEASES.read(yard.stock.root / "packages/demo/releases.toml")
    assert record.yanked == "ünïcode \U0001f40d"
