"""What goes wrong on the way to the GitLab of the tests really goes wrong, on the wire, as it was ordered."""

from __future__ import annotations

import contextlib
import hashlib
import json
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests

from support.gitlab import Fault, GitLab, serve
from support.gitlab.instance import TIMEOUT, Instance, live, ours

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.gitlab import StoredFile

WHEEL = "demo-1.0-py3-none-any.whl"
UPLOAD = "/packages/pypi$"
TESTS = Path(__file__).parents[2]


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Instance]:
    with ours(tmp_path) as instance:
        yield instance


def lab(at: Instance) -> GitLab:
    assert at.lab
    return at.lab


def stored(at: Instance) -> list[StoredFile]:
    project = lab(at).project(at.project)
    assert project
    return lab(at).files(project)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def eventually(at: Instance, count: int) -> bool:
    """Wait until so many files are stored: the server goes on when a client has given up."""
    for _ in range(200):
        if len(stored(at)) == count:
            return True
        time.sleep(0.01)
    return False


# ------------------------------------------------------------------- statuses


def test_429_says_retry_later_and_when(at: Instance) -> None:
    limits = {"RateLimit-Limit": "300", "RateLimit-Remaining": "0"}
    lab(at).fault(Fault("status", path=UPLOAD, status=429, retry_after="7", headers=limits, times=1))
    lab(at).fault(Fault("status", path=UPLOAD, status=429, times=1))
    told, bare = at.upload(WHEEL), at.upload(WHEEL)
    assert (told.status_code, told.text, told.headers["Content-Type"]) == (429, "Retry later\n", "text/plain")
    assert (told.headers["Retry-After"], told.headers["RateLimit-Limit"]) == ("7", "300")
    assert (bare.status_code, "Retry-After" in bare.headers) == (429, False)
    assert stored(at) == []
    assert at.upload(WHEEL).status_code == 201


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_5xx_before_and_after_the_commit(at: Instance, status: int) -> None:
    lab(at).fault(Fault("status", method="POST", status=status, times=1))
    lab(at).fault(Fault("status_after", method="POST", status=status, times=1))
    assert at.upload(WHEEL).status_code == status
    assert stored(at) == []
    assert at.upload(WHEEL).status_code == status
    assert len(stored(at)) == 1
    assert "already been taken" in at.upload(WHEEL).text


def test_401_in_the_middle_of_a_body(at: Instance) -> None:
    lab(at).fault(Fault("unauthorized_mid_body", method="POST", count=1 << 16, times=1))
    size = 32 << 20
    with contextlib.suppress(requests.exceptions.ConnectionError):  # still sending, it may not read what was said
        assert at.upload(WHEEL, bytes(size)).status_code == 401
    (seen,) = lab(at).requests
    assert seen.status == 401
    assert 1 << 16 <= seen.body < size
    assert stored(at) == []


def test_a_redirect_to_another_place(at: Instance) -> None:
    lab(at).fault(Fault("redirect", method="GET", location="http://127.0.0.1:9", times=1))
    lab(at).fault(Fault("redirect", method="GET", location="http://127.0.0.1:9/there", times=1))
    answer = at.get("/packages/pypi/simple/demo", params={"a": "b"})
    here = f"/api/v4/projects/{at.project}/packages/pypi/simple/demo?a=b"
    assert (answer.status_code, answer.headers["Location"]) == (302, f"http://127.0.0.1:9{here}")
    assert at.get("/packages/pypi/simple/demo").headers["Location"] == "http://127.0.0.1:9/there"


# ----------------------------------------------------------------- connections


def test_a_reset_before_and_after_the_commit(at: Instance) -> None:
    lab(at).fault(Fault("reset", method="POST", times=1))
    lab(at).fault(Fault("reset_after", method="POST", times=1))
    for count in (0, 1):
        with pytest.raises(requests.exceptions.ConnectionError) as caught:
            at.upload(WHEEL)
        assert "reset by peer" in str(caught.value)
        assert len(stored(at)) == count
    assert [seen.status for seen in lab(at).requests] == [0, 0]


def test_an_answer_that_breaks_off(at: Instance) -> None:
    at.upload(WHEEL, b"0123456789")
    lab(at).fault(Fault("truncate", path="/files/", count=4, times=1))
    path = f"/packages/pypi/files/{sha256(b'0123456789')}/{WHEEL}"
    with at.get(path, stream=True) as answer:
        assert answer.headers["Content-Length"] == "10"
        assert answer.raw.read(4) == b"0123"
        with pytest.raises(requests.exceptions.ChunkedEncodingError, match=r"IncompleteRead\(4 bytes read, 6 more"):
            assert answer.content
    assert at.get(path).content == b"0123456789"


def test_an_upload_whose_answer_breaks_off_is_stored(at: Instance) -> None:
    lab(at).fault(Fault("truncate", method="POST", count=3, times=1))
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        at.upload(WHEEL)
    assert len(stored(at)) == 1


def test_a_slow_drip(at: Instance) -> None:
    at.upload(WHEEL, b"0123456789")
    lab(at).fault(Fault("drip", path="/files/", count=2, seconds=0.02, times=1))
    before = time.monotonic()
    assert at.get(f"/packages/pypi/files/{sha256(b'0123456789')}/{WHEEL}").content == b"0123456789"
    assert time.monotonic() - before >= 0.08


@pytest.mark.parametrize("after", [False, True])
def test_silence(at: Instance, after: bool) -> None:
    lab(at).fault(Fault("stall", method="POST", seconds=0.3, after=after, times=1))
    form = {"name": "demo", "version": "1.0"}
    with pytest.raises(requests.exceptions.ReadTimeout):
        requests.post(
            at.registry, data=form, files={"content": (WHEEL, b"x")}, auth=at.auth("deploy_token"), timeout=0.1
        )
    assert len(stored(at)) == (1 if after else 0)
    assert eventually(at, 1), "what was sent is served, though nobody waits for it"


def test_stalled_requests_do_not_keep_the_server_up(tmp_path: Path) -> None:
    with ours(tmp_path) as at:
        lab(at).fault(Fault("stall", seconds=60))
        with pytest.raises(requests.exceptions.ReadTimeout):
            requests.get(at.here, timeout=0.05)
        before = time.monotonic()
    assert time.monotonic() - before < 5


def test_a_client_that_hangs_up_in_the_middle_leaves_nothing(at: Instance) -> None:
    host, _, port = at.api.removeprefix("http://").removesuffix("/api/v4").partition(":")
    head = f"POST /api/v4/projects/{at.project}/packages/pypi HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n"
    deploy = f"Deploy-Token: {at.secrets['deploy_token']}\r\nContent-Type: multipart/form-data; boundary=b\r\n\r\n"
    part = '--b\r\nContent-Disposition: form-data; name="content"; filename="demo-1.0-py3-none-any.whl"\r\n\r\nhalf'
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall((head + deploy + part).encode())
    for _ in range(200):
        if lab(at).requests:
            break
        time.sleep(0.01)
    assert [seen.status for seen in lab(at).requests] == [0]
    assert stored(at) == []
    assert list(lab(at).incoming.iterdir()) == []


def test_a_body_without_its_end_is_refused(at: Instance) -> None:
    body = b'--b\r\nContent-Disposition: form-data; name="content"; filename="demo-1.0-py3-none-any.whl"\r\n\r\nhalf'
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = requests.post(at.registry, data=body, headers=headers, auth=at.auth("deploy_token"), timeout=TIMEOUT)
    assert (answer.status_code, answer.json()) == (400, {"message": "400 Bad request - unexpected EOF"})
    assert list(lab(at).incoming.iterdir()) == []


# ---------------------------------------------------------------------- others


def test_another_client_wins(at: Instance) -> None:
    lab(at).fault(Fault("race", method="POST", times=1))
    lab(at).fault(Fault("race", method="POST", times=1, other=b"theirs"))
    for version, expected in (("1.0", b"ours"), ("1.1", b"theirs")):
        answer = at.upload(WHEEL.replace("1.0", version), b"ours")
        assert (answer.status_code, "File name has already been taken" in answer.text) == (400, True)
        file = stored(at)[-1]
        assert (file.version, file.sha256, file.actual_sha256) == (version, sha256(expected), sha256(expected))
        assert file.path
        assert file.path.read_bytes() == expected
    assert len(stored(at)) == 2


def test_another_client_creates_the_package(at: Instance) -> None:
    lab(at).fault(Fault("creation_race", method="POST", times=1))
    answer = at.upload(WHEEL)
    assert answer.status_code == 400
    assert "Name has already been taken" in answer.text
    assert "File name" not in answer.text
    assert stored(at) == []
    assert at.upload(WHEEL).status_code == 201


def test_zero_bytes_are_stored_and_called_a_success(at: Instance) -> None:
    lab(at).fault(Fault("corrupt", method="POST", times=1))
    assert at.upload(WHEEL, b"bytes").status_code == 201
    (file,) = stored(at)
    assert (file.sha256, file.actual_sha256, file.size) == (sha256(b"bytes"), sha256(b""), 0)
    assert at.get(f"/packages/pypi/files/{file.sha256}/{WHEEL}").content == b""


def test_a_download_arrives_damaged(at: Instance) -> None:
    at.upload(WHEEL, b"bytes")
    lab(at).fault(Fault("corrupt", method="GET", path="/files/", times=1))
    path = f"/packages/pypi/files/{sha256(b'bytes')}/{WHEEL}"
    damaged = at.get(path)
    assert (damaged.status_code, len(damaged.content), damaged.content != b"bytes") == (200, 5, True)
    assert at.get(path).content == b"bytes"


def test_an_index_that_lies(at: Instance) -> None:
    at.upload(WHEEL, b"bytes")
    lab(at).project_setting.pep691 = True
    lab(at).fault(Fault("lie", path="/simple/", times=2))
    accept = {"Accept": "application/vnd.pypi.simple.v1+json"}
    assert f"#sha256={sha256(b'bytes')}" not in at.page("demo")
    (entry,) = at.get("/packages/pypi/simple/demo", headers=accept).json()["files"]
    assert entry["hashes"]["sha256"] != sha256(b"bytes")
    assert f"#sha256={sha256(b'bytes')}" in at.page("demo")


def test_an_index_that_comes_around_later(at: Instance) -> None:
    for version in ("1.0", "1.1"):
        at.upload(WHEEL.replace("1.0", version))
    lab(at).fault(Fault("hide", path="/simple/", files=r"-1\.1-", times=2))
    assert [at.page("demo").count("<a ") for _ in range(3)] == [1, 1, 2]


def test_faults_are_counted_spared_drawn_and_healed(at: Instance) -> None:
    def statuses(fault: Fault, count: int) -> list[int]:
        lab(at).heal()
        lab(at).fault(fault)
        return [at.get("/packages/pypi/simple").status_code for _ in range(count)]

    assert statuses(Fault("status", skip=1, times=2, status=503), 4) == [200, 503, 503, 200]
    assert statuses(Fault("status", method="POST"), 1) == [200]
    assert statuses(Fault("status", path="/files/"), 1) == [200]
    third = Fault("status", probability=1 / 3, seed=7)
    first = statuses(third, 150)
    assert 35 <= first.count(500) <= 65
    assert statuses(third, 150) == first
    lab(at).heal()
    assert at.get("/packages/pypi/simple").status_code == 200


@pytest.mark.parametrize("told", [True, False])
def test_limits_per_window(at: Instance, told: bool) -> None:
    """lib/gitlab/rack_attack.rb, `throttled_response_headers`; application-level limits come without."""
    setting = lab(at).project_setting
    setting.rate_limit, setting.rate_window, setting.rate_headers = 2, 0.3, told
    answers = [at.get("/packages/pypi/simple") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    names = {name.lower() for name in answers[2].headers if name.lower().startswith(("ratelimit", "retry"))}
    rates = {f"ratelimit-{each}" for each in ("limit", "name", "observed", "remaining", "reset", "resettime")}
    assert names == (rates | {"retry-after"} if told else set())
    time.sleep(0.35)
    assert at.get("/packages/pypi/simple").status_code == 200


def test_requests_are_remembered(at: Instance) -> None:
    at.upload(WHEEL, b"x" * 1000)
    at.get("/packages", token="maintainer", params={"per_page": "1"})
    at.get("/packages/pypi/simple/demo")
    post, api, page = lab(at).requests
    assert (post.method, post.path, post.status) == ("POST", f"/api/v4/projects/{at.project}/packages/pypi", 201)
    assert (post.authorization, post.body > 1000) == ("Basic", True)
    assert (api.authorization, api.query, api.body) == ("PRIVATE-TOKEN", "per_page=1", 0)
    assert (page.authorization, "authorization" in page.headers) == ("", False)


def test_a_certificate_that_nobody_trusts(tmp_path: Path) -> None:
    gitlab = GitLab(tmp_path)
    gitlab.add_project("group/project")
    with serve(gitlab, tls=True) as server:
        address = f"{server.api}/projects/group%2Fproject"
        with pytest.raises(requests.exceptions.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
            requests.get(address, timeout=TIMEOUT)
        assert requests.get(address, timeout=TIMEOUT, verify=str(server.ca)).json()["path"] == "project"
        gitlab.fault(Fault("reset"))
        with pytest.raises(requests.exceptions.ConnectionError):
            requests.get(address, timeout=TIMEOUT, verify=str(server.ca))


def test_a_process_of_its_own_and_an_instance_that_is_left_as_it_was(tmp_path: Path) -> None:
    """The benchmarks' way to start it; what it prints is what WHEELYARD_LIVE_GITLAB wants."""
    words = [sys.executable, "-m", "support.gitlab", "--root", str(tmp_path), "--with-stdin"]
    with subprocess.Popen(words, cwd=TESTS, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        line = process.stdout.readline()
        with live(line) as there:
            name = there.name().replace("-", "_")
            assert there.upload(f"{name}-1.0-py3-none-any.whl").status_code == 201
            assert there.page(there.name()) != ""
        assert there.page(there.name()) == ""
        assert there.packages() == []
        assert json.loads(line)["path"] == "riseproject/python/wheel_builder"
        process.stdin.close()
        assert process.wait(timeout=TIMEOUT) == 0
