"""What GitLab's answers to an upload mean, how long a server asks to wait, and the fields that go with a wheel."""

from __future__ import annotations

import io
import time
from email.utils import formatdate
from threading import Event
from typing import TYPE_CHECKING

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from support.wheels import WheelSpec
from wheelyard.core.digests import sha256_file
from wheelyard.core.errors import InterruptedRunError, NetworkError
from wheelyard.io import simple_api
from wheelyard.io.retry import asked_wait
from wheelyard.io.server import Login, Token
from wheelyard.io.upload_body import multipart
from wheelyard.registries import read_release
from wheelyard.registries.gitlab.upload import Verdict, judge, message_of

if TYPE_CHECKING:
    from pathlib import Path


def answer(status: int, body: str, kind: str = "application/json") -> requests.Response:
    made = requests.Response()
    made.status_code = status
    made.raw = io.BytesIO(body.encode())
    made.headers["Content-Type"] = kind
    return made


# Bodies as GitLab's own code makes them: lib/api/pypi_packages.rb and app/services/packages/pypi.
@pytest.mark.parametrize(
    ("status", "body", "verdict"),
    [
        (201, '{"message":"201 Created"}', Verdict.STORED),
        (400, '{"message":"400 Bad request - Validation failed: File name has already been taken"}', Verdict.DUPLICATE),
        (400, '{"message":"Validation failed: File name has already been taken"}', Verdict.DUPLICATE),
        (400, '{"message":"400 Bad request - Validation failed: Name has already been taken"}', Verdict.RACE),
        (400, '{"message":"400 Bad request - File is too large"}', Verdict.REFUSED),
        (400, '{"error":"content is missing, content is invalid"}', Verdict.REFUSED),
        (401, '{"message":"401 Unauthorized"}', Verdict.REFUSED),
        (403, '{"message":"403 Forbidden - Package protected."}', Verdict.REFUSED),
        (404, '{"message":"404 Project Not Found"}', Verdict.REFUSED),
        (422, '{"error":"sha256_digest is required"}', Verdict.REFUSED),
        (302, "", Verdict.REFUSED),
        (413, "<html>413 Request Entity Too Large</html>", Verdict.REFUSED),
        (429, "Retry later\n", Verdict.PASSING),
        (500, '{"message":"500 Internal Server Error"}', Verdict.PASSING),
        (502, "<html>GitLab is not responding</html>", Verdict.PASSING),
        (503, "", Verdict.PASSING),
        (504, "upstream request timeout", Verdict.PASSING),
    ],
)
def test_what_an_answer_means(status: int, body: str, verdict: Verdict) -> None:
    assert judge(answer(status, body)) is verdict


@given(st.text(max_size=400))
def test_what_a_server_says_is_one_tame_line(text: str) -> None:
    line = message_of(answer(400, text))
    assert len(line) <= 300
    assert line.isprintable()


def test_what_a_server_says() -> None:
    assert message_of(answer(400, '{"message": "no\\u001b[31m\\nway"}')) == "no [31m way"
    assert message_of(answer(400, '{"error": "content is missing"}')) == "content is missing"
    assert message_of(answer(400, "[1, 2]")) == "[1, 2]"


def test_how_long_a_server_asks_to_wait() -> None:
    now = time.time()
    date, past, reset = formatdate(now + 600, usegmt=True), formatdate(now - 600, usegmt=True), str(int(now) + 60)
    assert asked_wait({"Retry-After": "17"}) == 17
    assert asked_wait({"Retry-After": "0"}) == 0
    assert asked_wait({"Retry-After": past}) == 0
    assert asked_wait({"Retry-After": "5", "RateLimit-Reset": reset}) == 5
    assert asked_wait({"Retry-After": date}) == pytest.approx(600, abs=20)
    assert asked_wait({"RateLimit-Reset": reset}) == pytest.approx(60, abs=20)
    assert asked_wait({}) is None
    late = formatdate(now - 3600, usegmt=True)  # a server whose clock is an hour behind ours
    assert asked_wait({"Date": late, "Retry-After": formatdate(now - 3590, usegmt=True)}) == pytest.approx(10, abs=1)


@given(st.text(max_size=30) | st.sampled_from(["²", "9" * 400, "-1", "Mon, 99 Foo 99999 00:00:00 GMT"]))
def test_a_header_that_says_nothing_is_no_wait_and_no_error(text: str) -> None:
    wait = asked_wait({"Retry-After": text, "RateLimit-Reset": text})
    assert wait is None or wait >= 0


def test_a_login_is_never_shown() -> None:
    assert "s3cret" not in repr(Login("ann", "s3cret"))
    assert "ann" not in repr(Login("ann", "s3cret"))
    assert "s3cret" not in repr(Token("s3cret"))


def test_the_fields_of_a_wheel(tmp_path: Path) -> None:
    long = ", ".join(f"!=3.9.{number}" for number in range(60))
    spec = WheelSpec(
        name="Zope.Demo_Pkg",
        version="2.0+cpu",
        headers=f"Summary: {'s' * 300}\nKeywords: one,two\nLicense-Expression: MIT\n",
    )
    wheel = spec.write(tmp_path)
    release = read_release(wheel, sha256=sha256_file(wheel))
    fields = dict(release.fields())
    assert fields["name"] == "zope-demo-pkg"
    assert fields["version"] == "2.0+cpu"
    assert fields["sha256_digest"] == sha256_file(wheel)
    assert fields["requires_python"] == ">=3.9"
    assert fields["keywords"] == "one,two"
    # GitLab cuts at 255 characters: harmless in a summary, wrong in a specifier.
    assert len(fields["summary"]) == 255
    assert release.licence == "MIT"
    wheel = WheelSpec(requires_python=long).write(tmp_path)
    assert "requires_python" not in dict(read_release(wheel, sha256=sha256_file(wheel)).fields())


@pytest.mark.parametrize(
    ("headers", "licence"),
    [
        ("License: BSD 3-Clause\n", "BSD 3-Clause"),
        ("Classifier: License :: OSI Approved :: MIT License\n", "MIT License"),
        (f"License: {'the whole text ' * 20}\nClassifier: License :: OSI Approved :: zlib License\n", "zlib License"),
        ("", ""),
    ],
)
def test_the_licence_of_older_metadata(tmp_path: Path, headers: str, licence: str) -> None:
    wheel = WheelSpec(headers=headers).write(tmp_path)
    assert read_release(wheel, sha256=sha256_file(wheel)).licence == licence


def test_a_body_streams_tells_and_can_be_stopped(tmp_path: Path) -> None:
    (tmp_path / "wheel").write_bytes(b"x" * 100_000)
    told: list[int] = []
    stop = Event()
    with (tmp_path / "wheel").open("rb") as file:
        body = multipart([("name", "demo")], ("demo.whl", file), advance=told.append, stop=stop)
        total = body.len
        body.read(10_000)
        stop.set()
        with pytest.raises(InterruptedRunError):
            body.read()
    assert sum(told) < 100_000
    assert total > 100_000
    with (tmp_path / "wheel").open("rb") as file:
        body = multipart([("name", "demo")], ("demo.whl", file), advance=told.append)
        assert len(body.read()) == total == len(body.to_string()) + total


def test_hashes_that_are_null_are_none() -> None:
    page = (
        '{"meta": {"api-version": "1.0"}, "name": "demo", "files": [{"filename": "demo-1.0-py3-none-any.whl", '
        '"url": "x", "hashes": {"sha256": null}}]}'
    )
    (file,) = simple_api.project_page("demo", page.encode(), simple_api.JSON, "http://127.0.0.1/", fix="").packages
    assert file.digests == {}
    with pytest.raises(NetworkError, match="not a page of the simple API"):
        simple_api.project_page("demo", b"[]", simple_api.JSON, "http://127.0.0.1/", fix="")
    with pytest.raises(NetworkError, match="list of projects"):
        simple_api.project_names(b"{}", simple_api.JSON, fix="")
