"""GitHub over real HTTPS: what it answers, how long it is waited for, and where the token does not go."""

from __future__ import annotations

import logging
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from support.github import Fault, GitHub
from support.github.app import serve
from support.gitlab.wire import Answer
from support.remote import Bare
from wheelyard.core.errors import CredentialsError, NetworkError, PublishError, SourceError
from wheelyard.forges import github_api
from wheelyard.forges.github_api import GitHubApi
from wheelyard.io import retry
from wheelyard.io.body import Patience

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.gitlab import Server

PULLS, ISSUES = "repos/ann/yard/pulls", "repos/ann/yard/issues"


@pytest.fixture
def github(tmp_path: Path) -> GitHub:
    return GitHub("ann/yard", Bare(tmp_path / "git", {"README.md": "yard\n"}))


@pytest.fixture
def server(github: GitHub, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(retry, "_PAUSE", 0.01)
    with serve(github) as made:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(made.ca))
        yield made


@pytest.fixture
def client(github: GitHub, server: Server) -> GitHubApi:
    return GitHubApi(server.url, github.add_token(), where="ann/yard")


def test_it_reads_writes_and_pages(github: GitHub, client: GitHubApi) -> None:
    made = client.ask("POST", ISSUES, {"title": "One", "body": "täxt\n", "labels": ["new label"]})
    assert (made["number"], made["body"]) == (1, "täxt\n")
    assert github.requests[-1].status == 201
    for number in range(249):
        github.add(f"more {number}", "")
    assert len(list(client.pages(ISSUES, state="open"))) == 250
    assert [seen.query for seen in github.requests[-3:]] == [f"state=open&per_page=100&page={n}" for n in (1, 2, 3)]
    assert len(list(client.pages(ISSUES, labels="new label"))) == 1
    assert list(client.pages(PULLS)) == []


def test_what_it_refuses(github: GitHub, server: Server) -> None:
    for status, kind, token, path in (
        (401, CredentialsError, "wrong-token-0000", ISSUES),
        (403, CredentialsError, github.add_token("read"), ISSUES),
        (404, CredentialsError, github.add_token(), "repos/ann/other/issues"),
        (422, PublishError, github.add_token(), ISSUES),
    ):
        github.requests.clear()
        with pytest.raises(kind) as caught:
            GitHubApi(server.url, token, where="ann/yard").ask("POST", path, {"title": ""})
        assert github_api.status(caught.value) == status
        assert caught.value.where == "ann/yard"
        assert len(github.requests) == 1, "what is refused is not asked again"
        assert token not in str(caught.value)


def limited(seconds: float, status: int = 403) -> Fault:
    """The primary limit: none are left until a moment (rest/using-the-rest-api/rate-limits-for-the-rest-api)."""
    headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(time.time() + seconds))}
    return Fault("status", path="/issues$", status=status, headers=headers, times=1)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "fault", [limited(0), limited(0, 429), Fault("status", path="/issues$", status=403, retry_after="1", times=1)]
)
def test_whoever_asks_too_often_waits_as_long_as_told(
    github: GitHub, client: GitHubApi, method: str, fault: Fault
) -> None:
    """Nothing was done then, so that writing, too, may be asked again."""
    github.fault(fault)
    started = time.monotonic()
    client.ask(method, ISSUES, {"title": "One"} if method == "POST" else None)
    assert time.monotonic() - started >= (1 if fault.retry_after else 0)
    assert [seen.status for seen in github.requests] == [fault.status, 201 if method == "POST" else 200]


def test_an_hour_is_not_waited_for(github: GitHub, client: GitHubApi) -> None:
    github.fault(limited(3600))
    with pytest.raises(NetworkError, match=r"ann/yard: 127\.0\.0\.1 asks to wait 3[56]\d\d seconds"):
        client.ask("GET", ISSUES)


@pytest.mark.parametrize("number", ["9" * 400, "9" * 5000, "-1", "1e9", "\u00b2", ""])
def test_a_moment_that_is_none_is_not_waited_for(number: str) -> None:
    for headers in ({"Retry-After": number}, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": number}):
        assert retry.asked_wait(headers) is None


def test_a_moment_is_one_of_the_servers_clock() -> None:
    """Ours may be hours behind."""
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "4102444805", "Date": "Fri, 01 Jan 2100 00:00:00 GMT"}
    assert retry.asked_wait(headers) == 6
    without = retry.asked_wait(headers | {"Date": "no day"})
    assert without is not None
    assert without > 3600
    assert retry.asked_wait(headers | {"X-RateLimit-Remaining": "1"}) is None


def test_a_list_without_end_is_given_up(github: GitHub, client: GitHubApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wheelyard.forges.github_api._MOST_PAGES", 2)
    for number in range(200):
        github.add(f"more {number}", "")
    assert len(list(client.pages(ISSUES, state="open"))) == 200
    github.add("one more", "")
    with pytest.raises(NetworkError, match="more than 2 pages"):
        list(client.pages(ISSUES, state="open"))


def test_an_answer_that_nests_without_end_says_nothing(
    github: GitHub, client: GitHubApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("support.github.app.as_json", lambda *_a, **_k: Answer(200, b"[" * 100_000))
    assert client.ask("GET", ISSUES) is None
    with pytest.raises(NetworkError, match="does not answer with a list"):
        list(client.pages(ISSUES))


def test_what_may_have_been_done_is_not_asked_again(github: GitHub, client: GitHubApi) -> None:
    for fault in (Fault("status_after", method="POST", status=502), Fault("reset_after", method="POST")):
        github.heal()
        github.fault(fault)
        with pytest.raises(NetworkError):
            client.ask("POST", ISSUES, {"title": "One"})
    assert [issue.title for issue in github.repository.issues.values()] == ["One", "One"]
    github.fault(Fault("status", method="GET", status=503, times=3))
    assert len(client.ask("GET", ISSUES)) == 2
    github.fault(Fault("status", method="GET", status=503))
    with pytest.raises(NetworkError, match="answers 503"):
        client.ask("GET", ISSUES)


def test_nobody_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "_PAUSE", 0.01)
    with pytest.raises(NetworkError, match=r"ann/yard: 127\.0\.0\.1 cannot be reached") as caught:
        GitHubApi("https://127.0.0.1:9", "made-up-token", where="ann/yard").ask("GET", ISSUES)
    assert github_api.status(caught.value) is None


def test_a_certificate_that_nobody_trusts(client: GitHubApi, github: GitHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    with pytest.raises(NetworkError, match="shows a certificate that is not trusted") as caught:
        client.ask("GET", ISSUES)
    assert any("certificate" in line for line in caught.value.details)
    assert github.requests == []


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("https://github.com", "https://api.github.com"),
        ("https://octocorp.ghe.com", "https://api.octocorp.ghe.com"),
        ("https://git.example.org/", "https://git.example.org/api/v3"),
        ("https://git.example.org:8443", "https://git.example.org:8443/api/v3"),
        ("https://notgithub.com", "https://notgithub.com/api/v3"),
    ],
)
def test_where_the_api_of_a_server_is(url: str, base: str) -> None:
    assert GitHubApi(url, "made-up-token", where="ann/yard")._server.base == base


def test_the_token_is_in_one_header_and_nowhere_else(
    github: GitHub, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the user's own login counts, nor does the log of any library show the token."""
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login ann password of-the-user\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GITHUB_TOKEN", "of-the-environment")
    token = github.add_token()
    client = GitHubApi(server.url, token, where="ann/yard")
    with caplog.at_level(logging.DEBUG):
        client.ask("POST", ISSUES, {"title": "One"})
    assert [seen.headers["authorization"] for seen in github.requests] == [f"Bearer {token}"]
    assert caplog.text
    assert token not in caplog.text
    assert [value for seen in github.requests for value in (seen.path, seen.query) if token in value] == []


def test_a_secondary_limit_without_a_time_is_a_minute(
    github: GitHub, client: GitHubApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As GitHub's documentation has it; another refusal is one for good."""
    monkeypatch.setattr("wheelyard.io.http._MINUTE", 1.0)
    github.fault(Fault("status", path="/issues$", status=403, times=1))
    started = time.monotonic()
    client.ask("POST", ISSUES, {"title": "One"})
    assert time.monotonic() - started >= 1
    assert [seen.status for seen in github.requests] == [403, 201]
    github.fault(Fault("status", path="/issues$", status=403))
    with pytest.raises(NetworkError, match="was asked too often"):
        client.ask("POST", ISSUES, {"title": "Two"})


def test_a_redirect_is_not_followed_with_the_token(github: GitHub, client: GitHubApi) -> None:
    github.fault(Fault("status", status=301, headers={"Location": "https://elsewhere.example/x?token=5ecret"}))
    with pytest.raises(NetworkError, match="refers to another address") as caught:
        client.ask("GET", ISSUES)
    assert "elsewhere.example/x" in str(caught.value)
    assert "5ecret" not in str(caught.value)
    assert len(github.requests) == 1


# ------------------------------------------------------------------ downloads


class Storage(BaseHTTPRequestHandler):
    """Another origin, which notes what it is sent."""

    seen: list[dict[str, str]] = []  # noqa: RUF012 - emptied by the fixture

    def do_GET(self) -> None:
        self.seen.append({name.lower(): value for name, value in self.headers.items()})
        self.send_response(200)
        self.send_header("Content-Length", "9")
        self.end_headers()
        self.wfile.write(b"a zip file"[:9])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def storage(github: GitHub) -> Iterator[list[dict[str, str]]]:
    Storage.seen.clear()
    running = ThreadingHTTPServer(("127.0.0.1", 0), Storage)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    github.storage = f"http://127.0.0.1:{running.server_port}"
    yield Storage.seen
    running.shutdown()
    running.server_close()


def zip_of(number: int) -> str:
    return f"repos/ann/yard/actions/artifacts/{number}/zip"


def test_a_download_leads_to_another_origin_without_the_token(
    github: GitHub, client: GitHubApi, storage: list[dict[str, str]], tmp_path: Path
) -> None:
    made = github.upload("w", b"not asked for")
    client.download(zip_of(made.number), tmp_path / "w.zip", limit=9)
    assert (tmp_path / "w.zip").read_bytes() == b"a zip fil"
    assert len(storage) == 1
    assert not {"authorization", "cookie"} & storage[0].keys()
    assert "authorization" in github.requests[0].headers


def test_a_download_is_whole_or_fails(github: GitHub, server: Server, tmp_path: Path) -> None:
    client = GitHubApi(server.url, github.add_token(), where="ann/yard", patience=Patience(window=0.2))
    made, target = github.upload("w", b"x" * 1000), tmp_path / "w.zip"
    github.fault(Fault("truncate", path="/blob/", count=10, times=2))
    github.fault(Fault("status", path="/zip", status=503, times=1))
    client.download(zip_of(made.number), target, limit=1000)
    assert target.read_bytes() == b"x" * 1000
    with pytest.raises(SourceError, match="larger than it may be"):
        client.download(zip_of(made.number), target, limit=999)
    for fault, match in (
        (Fault("truncate", path="/blob/", count=10), "4 times in a row"),
        (Fault("status", path="/zip", status=502), "4 times in a row"),
        (Fault("status", path="/zip", status=410), r"ann/yard: 127\.0\.0\.1 does not give w\.zip"),
        (Fault("drip", path="/blob/", seconds=0.05), "sends too slowly"),
    ):
        github.heal()
        github.fault(fault)
        with pytest.raises(NetworkError, match=match):
            client.download(zip_of(made.number), target, limit=1000)
