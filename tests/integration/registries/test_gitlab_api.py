"""python-gitlab as we set it up: where tokens go, what is asked again, and what its exceptions become."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from support.gitlab import Fault, GitLab, serve
from wheelyard.core.errors import CredentialsError, NetworkError, PublishError, WheelyardError
from wheelyard.io import http, retry
from wheelyard.registries.gitlab import gitlab_api

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gitlab import Gitlab

    from support.gitlab import Server


@pytest.fixture
def instance(tmp_path: Path) -> GitLab:
    return GitLab(tmp_path)


@pytest.fixture
def server(instance: GitLab, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(retry, "_PAUSE", 0.01)
    http.session.cache_clear()
    with serve(instance) as running:
        yield running
    http.session.cache_clear()


def client(instance: GitLab, server: Server, *, retries: int = 3) -> Gitlab:
    instance.add_group("top")
    group = instance.group("top")
    assert group
    return gitlab_api.client(server.url, token=instance.add_group_token(group), retries=retries)


def look(connection: Gitlab) -> None:
    with gitlab_api.errors("itself"):
        connection.personal_access_tokens.get("self")


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_question_is_asked_again_and_no_more_often_than_we_say(instance: GitLab, server: Server, status: int) -> None:
    """python-gitlab alone would wait for a 429 ten times, for as long as the server likes."""
    connection = client(instance, server)
    instance.fault(Fault("status", status=status, times=3))
    look(connection)
    assert [seen.status for seen in instance.requests] == [status] * 3 + [200]
    instance.fault(Fault("status", status=status))
    with pytest.raises(NetworkError) as caught:
        look(connection)
    assert len(instance.requests) == 8
    assert gitlab_api.status(caught.value) == status


@pytest.mark.parametrize("fault", [Fault("status", status=502), Fault("status", status=429), Fault("reset")])
@pytest.mark.parametrize("retries", [0, 3])
def test_what_writes_is_sent_once(instance: GitLab, server: Server, fault: Fault, retries: int) -> None:
    connection = client(instance, server, retries=retries)
    instance.fault(fault)
    with pytest.raises(NetworkError), gitlab_api.errors("an issue"):
        connection.projects.get("top/p", lazy=True).issues.create({"title": "x"})
    assert len(instance.requests) == 1


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, PublishError),
        (401, CredentialsError),
        (403, CredentialsError),
        (404, CredentialsError),
        (409, PublishError),
    ],
)
def test_what_exceptions_become(instance: GitLab, server: Server, status: int, kind: type[WheelyardError]) -> None:
    connection = client(instance, server)
    instance.fault(Fault("status", status=status))
    with pytest.raises(WheelyardError) as caught:
        look(connection)
    assert type(caught.value) is kind
    assert caught.value.where == "itself"
    assert gitlab_api.status(caught.value) == status


def test_an_answer_that_is_no_answer(instance: GitLab, server: Server) -> None:
    connection = client(instance, server)
    instance.fault(Fault("status", status=200))
    with pytest.raises(NetworkError) as caught:
        look(connection)
    assert gitlab_api.status(caught.value) is None
    with pytest.raises(NetworkError) as caught:
        look(gitlab_api.client("http://127.0.0.1:9", token="glpat-not-sent", retries=0))
    assert "cannot be reached" in caught.value.what
    assert gitlab_api.status(caught.value) is None


def test_a_silent_server_is_not_waited_for_for_ever(instance: GitLab, server: Server) -> None:
    instance.fault(Fault("stall", seconds=30))
    connection = gitlab_api.client(server.url, token="glpat-made-up", timeout=(1, 0.3), retries=0)
    with pytest.raises(NetworkError):
        look(connection)


class Liar(BaseHTTPRequestHandler):
    """Repeats the token in what it says, and names another server as the place of the next page."""

    elsewhere = ""

    def do_GET(self) -> None:
        if self.path.endswith("/self"):
            self._say(400, f'{{"message": "no {self.headers["PRIVATE-TOKEN"]} here"}}')
        else:
            self._say(200, "[]")

    def _say(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.send_header("Link", f'<{self.elsewhere}/next>; rel="next"')
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def liar() -> Iterator[str]:
    running = ThreadingHTTPServer(("127.0.0.1", 0), Liar)
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{running.server_address[1]}"
    running.shutdown()
    running.server_close()
    thread.join()


def test_a_token_that_a_server_repeats_is_not_repeated(liar: str) -> None:
    with pytest.raises(PublishError) as caught:
        look(gitlab_api.client(liar, token="glpat-repeated-by-it"))
    assert "no [secret] here" in str(caught.value)


def test_a_token_goes_to_no_other_server(
    liar: str, instance: GitLab, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """python-gitlab follows links to the next page wherever they lead, with PRIVATE-TOKEN."""
    monkeypatch.setattr(Liar, "elsewhere", server.url)
    with pytest.raises(NetworkError) as caught, gitlab_api.errors("issues"):
        list(gitlab_api.client(liar, token="glpat-made-up").projects.get(1, lazy=True).issues.list(iterator=True))
    assert instance.requests == []
    assert f"{server.url}/next" in str(caught.value)


def test_a_token_goes_to_no_server_whose_name_begins_the_same(instance: GitLab, server: Server) -> None:
    connection = client(instance, server)
    with pytest.raises(NetworkError):
        connection.http_get(f"{server.url}9/api/v4/version")
    with pytest.raises(NetworkError):
        connection.http_get(f"{server.url}@127.0.0.1/api/v4/version")
    assert instance.requests == []
