"""GitHub through the real ``gh``: what it answers, how long it is waited for, and where the token is not."""

from __future__ import annotations

import os
import shutil
import time
from typing import TYPE_CHECKING

import pytest

from support.github import Fault, GitHub
from support.github.app import serve
from support.remote import Bare
from wheelyard.core.errors import ConfigError, CredentialsError, NetworkError, ProgramError, PublishError
from wheelyard.io import gh

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.gitlab import Server

pytestmark = pytest.mark.skipif(shutil.which("gh") is None, reason="gh is not installed (apt-get install gh)")
PULLS, ISSUES = "repos/ann/yard/pulls", "repos/ann/yard/issues"


@pytest.fixture
def github(tmp_path: Path) -> GitHub:
    return GitHub("ann/yard", Bare(tmp_path / "git", {"README.md": "yard\n"}))


@pytest.fixture
def server(github: GitHub, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr("wheelyard.io.gh._PAUSE", 0.01)
    with serve(github) as made:
        monkeypatch.setenv("SSL_CERT_FILE", str(made.ca))
        yield made


@pytest.fixture
def client(github: GitHub, server: Server, tmp_path: Path) -> gh.Client:
    return gh.Client(server.url, github.add_token(), where="ann/yard", folder=tmp_path / "none")


def test_it_reads_writes_and_pages(github: GitHub, client: gh.Client) -> None:
    made = client.ask("POST", ISSUES, {"title": "One", "body": "täxt\n", "labels": ["new label"]})
    assert (made.status, made.value["number"], made.value["body"]) == (201, 1, "täxt\n")
    for number in range(249):
        github.add(f"more {number}", "")
    assert len(list(client.pages(ISSUES, state="open"))) == 250
    assert [seen.query for seen in github.requests[-3:]] == [f"state=open&per_page=100&page={n}" for n in (1, 2, 3)]
    assert len(list(client.pages(ISSUES, labels="new label"))) == 1
    assert list(client.pages(PULLS)) == []


def test_what_it_refuses(github: GitHub, client: gh.Client, server: Server, tmp_path: Path) -> None:
    for status, kind, token, path in (
        (401, CredentialsError, "wrong-token-0000", ISSUES),
        (403, CredentialsError, github.add_token("read"), ISSUES),
        (404, CredentialsError, github.add_token(), "repos/ann/other/issues"),
        (422, PublishError, github.add_token(), ISSUES),
    ):
        github.requests.clear()
        with pytest.raises(kind) as caught:
            gh.Client(server.url, token, where="ann/yard", folder=tmp_path).ask("POST", path, {"title": ""})
        answer = gh.answer_to(caught.value)
        assert answer
        assert answer.status == status
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
    github: GitHub, client: gh.Client, method: str, fault: Fault
) -> None:
    """Nothing was done then, so that writing, too, may be asked again."""
    github.fault(fault)
    started = time.monotonic()
    client.ask(method, ISSUES, {"title": "One"} if method == "POST" else None)
    assert time.monotonic() - started >= (1 if fault.retry_after else 0)
    assert [seen.status for seen in github.requests] == [fault.status, 201 if method == "POST" else 200]


def test_an_hour_is_not_waited_for(github: GitHub, client: gh.Client) -> None:
    github.fault(limited(3600))
    with pytest.raises(NetworkError, match="asks to wait 1 h 00 min"):
        client.ask("GET", ISSUES)


@pytest.mark.parametrize("number", ["9" * 400, "9" * 5000, "-1", "1e9", "\u00b2", ""])
def test_a_moment_that_is_none_is_not_waited_for(number: str) -> None:
    for headers in ({"retry-after": number}, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": number}):
        assert gh._asked_wait(gh.Answer(403, headers, None)) is None


def test_a_moment_is_one_of_the_servers_clock() -> None:
    """Ours may be hours behind."""
    headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "4102444805", "date": "Fri, 01 Jan 2100 00:00:00 GMT"}
    assert gh._asked_wait(gh.Answer(403, headers, None)) == 6
    without = gh._asked_wait(gh.Answer(403, headers | {"date": "no day"}, None))
    assert without is not None
    assert without > 3600


def test_a_list_without_end_is_given_up(github: GitHub, client: gh.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wheelyard.io.gh._MOST_PAGES", 2)
    for number in range(200):
        github.add(f"more {number}", "")
    assert len(list(client.pages(ISSUES, state="open"))) == 200
    github.add("one more", "")
    with pytest.raises(NetworkError, match="more than 2 pages"):
        list(client.pages(ISSUES, state="open"))


def test_an_answer_that_nests_without_end_says_nothing() -> None:
    answer = gh._parse("HTTP/2.0 200 OK\n\n" + "[" * 100_000)
    assert answer == gh.Answer(200, {}, None)


def test_what_may_have_been_done_is_not_asked_again(github: GitHub, client: gh.Client) -> None:
    for fault in (Fault("status_after", method="POST", status=502), Fault("reset_after", method="POST")):
        github.heal()
        github.fault(fault)
        with pytest.raises(NetworkError):
            client.ask("POST", ISSUES, {"title": "One"})
    assert [issue.title for issue in github.repository.issues.values()] == ["One", "One"]
    github.fault(Fault("status", method="GET", status=503, times=3))
    assert len(client.ask("GET", ISSUES).value) == 2
    github.fault(Fault("status", method="GET", status=503))
    with pytest.raises(NetworkError, match="answers 503"):
        client.ask("GET", ISSUES)


def test_nobody_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wheelyard.io.gh._PAUSE", 0.01)
    client = gh.Client("https://127.0.0.1:9", "made-up-token", where="ann/yard", folder=tmp_path)
    with pytest.raises(NetworkError, match="cannot be reached") as caught:
        client.ask("GET", ISSUES)
    assert gh.answer_to(caught.value) is not None
    with pytest.raises(ConfigError, match="https only"):
        gh.Client("http://127.0.0.1:9", "made-up-token", where="ann/yard", folder=tmp_path)


def test_a_certificate_that_nobody_trusts(client: gh.Client, github: GitHub, monkeypatch: pytest.MonkeyPatch) -> None:
    client._env = client._env | {"SSL_CERT_FILE": "/dev/null"}
    with pytest.raises(NetworkError, match="cannot be reached") as caught:
        client.ask("GET", ISSUES)
    assert any("certificate" in line for line in caught.value.details)
    assert github.requests == []


def test_without_gh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ProgramError, match="not installed") as caught:
        gh.Client("https://127.0.0.1:9", "made-up-token", where="ann/yard", folder=tmp_path)
    assert "apt-get install gh" in (caught.value.fix or "")


def test_the_token_is_in_no_argument_and_the_users_own_is_not_used(
    github: GitHub, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, config = tmp_path / "told", tmp_path / "home/.config/gh"
    config.mkdir(parents=True)
    (config / "config.yml").write_text("http_unix_socket: /nowhere\n")
    (config / "hosts.yml").write_text(f"{server.url.removeprefix('https://')}:\n    oauth_token: of-the-user\n")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/gh").write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >> {told}\nexec {shutil.which("gh")} "$@"\n')
    (tmp_path / "bin/gh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GH_DEBUG", "api")
    monkeypatch.setenv("GITHUB_TOKEN", "of-the-environment")
    token = github.add_token()
    client = gh.Client(server.url, token, where="ann/yard", folder=tmp_path / "none")
    client.ask("POST", ISSUES, {"title": "One"})
    assert [seen.headers["authorization"] for seen in github.requests] == [f"token {token}"]
    assert "repos/ann/yard/issues" in told.read_text()
    assert token not in told.read_text()
