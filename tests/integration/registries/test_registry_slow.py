"""A server that drips, dies, or was never there: nobody waits for it without end, and nobody is told a secret."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from support.built_wheels import PROJECT, BuiltWheels
from support.gitlab import Fault
from support.publishing import FILE, PAGE, UPLOAD, PublishedProject, refused, yard_in
from support.wheels import WheelSpec
from wheelyard.core.digests import sha256_bytes, sha256_file
from wheelyard.core.errors import NetworkError
from wheelyard.io import http
from wheelyard.io.body import Patience
from wheelyard.io.retry import UnansweredError
from wheelyard.io.server import Login, Server
from wheelyard.registries import GitLabRegistry, RegistryFile, read_release
from wheelyard.registries.gitlab import gitlab_api
from wheelyard.registries.gitlab.credentials import Credential

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

DRIP: dict[str, Any] = {"kind": "drip", "count": 1, "seconds": 0.05}
HASTY = Patience(window=0.5)
ENDLESS = Patience(slowest=1, whole=0.5)  # fast enough, and without an end


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[PublishedProject]:
    with yard_in(tmp_path) as made:
        yield made


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def registry(yard: PublishedProject, patience: Patience) -> GitLabRegistry:
    credential = Credential(Login("", yard.deploy_token), "the test")
    return GitLabRegistry(yard.server.url, PROJECT, credential, patience=patience)


# ------------------------------------------------------------------ drips


@pytest.mark.parametrize("patience", [HASTY, ENDLESS], ids=["too slow", "too long"])
@pytest.mark.parametrize("what", ["a page", "an error", "an answer to an upload"])
def test_an_answer_that_drips(yard: PublishedProject, what: str, patience: Patience) -> None:
    yard.have(WheelSpec())
    there = registry(yard, patience)
    yard.gitlab.fault(Fault(**DRIP))
    started = time.monotonic()
    ask: dict[str, Callable[[], object]] = {
        "a page": lambda: there.files("demo"),
        "an error": lambda: there.confirm("demo", "demo-1.0.whl", "0" * 64),
        "an answer to an upload": there.check_access,
    }
    with pytest.raises(NetworkError, match="sends too slowly") as caught:
        ask[what]()
    assert time.monotonic() - started < 5
    assert "bytes in" in str(caught.value) or "not whole after 0.5 seconds" in str(caught.value)


@pytest.mark.parametrize("verb", ["confirm", "fetch"])
def test_a_file_that_drips(yard: PublishedProject, tmp_path: Path, verb: str) -> None:
    (wheel,) = yard.have(WheelSpec())
    there = registry(yard, HASTY)
    yard.gitlab.fault(Fault(**(DRIP | FILE)))
    started = time.monotonic()
    ask: dict[str, Callable[[], object]] = {
        "confirm": lambda: there.confirm("demo", wheel.name, sha256_file(wheel)),
        "fetch": lambda: there.fetch("demo", RegistryFile(wheel.name, sha256_file(wheel)), tmp_path / wheel.name),
    }
    with pytest.raises(NetworkError, match="sends too slowly"):
        ask[verb]()
    assert time.monotonic() - started < 5
    yard.gitlab.heal()
    # A large file takes longer than a small answer may, and is no drip.
    registry(yard, Patience(whole=0)).confirm("demo", wheel.name, sha256_file(wheel))


def test_the_packages_api_that_drips(yard: PublishedProject) -> None:
    yard.have(WheelSpec())
    client = gitlab_api.client(yard.server.url, token=yard.maintain(), patience=HASTY)
    yard.gitlab.fault(Fault(**DRIP))
    with pytest.raises(NetworkError, match="sends too slowly"):
        client.projects.get(PROJECT, lazy=True).packages.list(iterator=True)


def test_a_packed_answer_that_never_makes_anything() -> None:
    """A gzip header's file name may be as long as it likes (RFC 1952, 2.3): what unpacks while it reads, reads on."""

    def drip(listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            connection, _ = listener.accept()
            connection.recv(1 << 16)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n")
            connection.sendall(b"\x1f\x8b\x08\x08\0\0\0\0\0\xff")
            while True:
                connection.sendall(b"a")
                time.sleep(0.01)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=drip, args=(listener,), daemon=True).start()
        server = Server(f"http://127.0.0.1:{listener.getsockname()[1]}", None, patience=HASTY)
        with pytest.raises(NetworkError, match="sends too slowly"):
            server.get("/")


# ------------------------------------------------------------------ servers that are gone


@pytest.mark.parametrize("words", [("publish", "--to", "gitlab"), ("registry", "verify"), ("registry", "list")])
def test_a_server_that_was_never_there_is_told_soon(tmp_path: Path, words: tuple[str, ...]) -> None:
    stock = BuiltWheels(tmp_path / "project", f"http://127.0.0.1:{closed_port()}", env={"WHEELYARD_GITLAB_TOKEN": "x"})
    stock.add(WheelSpec())
    started = time.monotonic()
    refused(stock.run(*words), 70, "does not answer as it should, 3 times in a row")
    assert time.monotonic() - started < 6


@contextlib.contextmanager
def mortal(packages: list[str], first: str, last: str) -> Iterator[str]:
    """Yield the address of a registry of *packages* that dies when it is asked for a path that ends with *last*.

    It does not before it has answered for *first*, in whatever order it is asked.
    """
    answered = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.endswith(last):
                answered.wait(30)
                server.socket.close()
                server.shutdown()
                return
            name = self.path.rpartition("/")[2]
            wheel = WheelSpec(name=name).file
            entry = {"filename": wheel, "url": "x", "hashes": {"sha256": sha256_bytes(wheel.encode())}}
            body: dict[str, Any] = {"meta": {"api-version": "1.1"}}
            if name == "simple":
                body["projects"] = [{"name": package} for package in packages]
            else:
                body |= {"name": name, "versions": ["1.0"], "files": [entry]}
            said = json.dumps(body).encode()
            if "/files/" in self.path:
                said = name.encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/vnd.pypi.simple.v1+json")
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)
            if self.path.endswith(first):
                answered.set()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.mark.parametrize("where", ["index", "files"])
def test_verify_stops_when_the_server_dies(tmp_path: Path, where: str) -> None:
    packages = [f"demo-{number:02}" for number in range(40)]
    first, last = (
        f"/simple/{name}" if where == "index" else f"/{WheelSpec(name=name).file}" for name in ("demo-00", "demo-03")
    )
    with mortal(packages, first, last) as url:
        stock = BuiltWheels(tmp_path / "project", url)
        started = time.monotonic()
        words = ("--download",) if where == "files" else ()
        done = stock.run("registry", "verify", "--json", *words)
    assert time.monotonic() - started < 60  # one round of eight attempts, not one for each package
    refused(done, 63)
    problems = [each for each in json.loads(done.stdout)["problems"] if each["kind"] == "unreadable"]
    # Eight are asked for at once, and a few more are answered until it is dead.
    assert {each["package"] for each in problems} >= set(packages[24:])
    unseen = [each for each in problems if "was not looked at: 127.0.0.1 does not answer" in each["text"]]
    assert len(unseen) > 8
    assert "demo-00" not in {each["package"] for each in problems}


def test_adopt_stops_when_the_server_dies(tmp_path: Path) -> None:
    packages = [f"demo-{number:02}" for number in range(40)]
    first, last = (f"/{WheelSpec(name=name).file}" for name in ("demo-00", "demo-03"))
    with mortal(packages, first, last) as url:
        done = BuiltWheels(tmp_path / "project", url).run("registry", "adopt")
    said = refused(done, 60, "not recorded")
    unseen = said.count("was not looked at: 127.0.0.1 does not answer")
    assert unseen > 20
    assert said.count("127.0.0.1 does not answer") - unseen < 10  # a file, and the pages that were under way


def test_pages_that_fail_do_not_make_a_server_silent(yard: PublishedProject) -> None:
    """One that answers, whatever it says, is there."""
    yard.have(*(WheelSpec(name=f"demo-{letter}") for letter in "abcdef"))
    yard.gitlab.fault(Fault("status", **PAGE, status=418, times=5))
    done = yard.registry("verify", "--json")
    problems = json.loads(done.stdout)["problems"]
    assert len(problems) == 5
    assert all("answers 418" in each["text"] for each in problems)


# ------------------------------------------------------------------ signed addresses


def test_a_signed_address_is_not_told(yard: PublishedProject) -> None:
    (wheel,) = yard.have(WheelSpec())
    location = f"http://ann:passw0rd@127.0.0.1:{closed_port()}/bucket/{wheel.name}?X-Amz-Signature=5ecret&x=y"
    yard.gitlab.fault(Fault("redirect", **FILE, location=location))
    base = f"{yard.server.api}/projects/{yard.project.id}/packages/pypi"
    with pytest.raises(UnansweredError) as caught:
        Server(base, Login("", yard.deploy_token)).stream(f"/files/{sha256_file(wheel)}/{wheel.name}")
    said = str(caught.value)
    assert "5ecret" not in said
    assert "passw0rd" not in said
    assert wheel.name in said


def test_a_signed_address_that_the_packages_api_refers_to(yard: PublishedProject) -> None:
    yard.maintain()
    yard.gitlab.fault(Fault("redirect", method="GET", location="https://ann:passw0rd@elsewhere.example/x?token=5ecret"))
    with pytest.raises(NetworkError, match="refers to another address") as caught:
        gitlab_api.client(yard.server.url, token="glpat-x").projects.get(PROJECT)
    assert "elsewhere.example/x" in str(caught.value)
    assert not {word for word in ("5ecret", "passw0rd") if word in str(caught.value)}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Max retries exceeded with url: /a/b.whl?X-Sig=5ecret&x=1 (Caused by x)", "url: /a/b.whl?… (Caused by x)"),
        ("see 'https://ann:pw@host.example:8/a?b#c', then", "see 'https://host.example:8/a?…', then"),
        ("what now? nothing", "what now? nothing"),
    ],
)
def test_what_is_left_of_an_address(text: str, told: str) -> None:
    assert http.plain(text).endswith(told)


def test_uploads_are_not_hurried(yard: PublishedProject) -> None:
    """What counts is how an answer comes, not how long the server thinks: it hashes, and stores, what it was sent."""
    (wheel,) = yard.stock.add(WheelSpec())
    yard.gitlab.fault(Fault("stall", **UPLOAD, seconds=1))
    there = registry(yard, Patience(window=0.1, whole=0.5))
    there.check_access()
    assert there.put(read_release(wheel, sha256=sha256_file(wheel)))
