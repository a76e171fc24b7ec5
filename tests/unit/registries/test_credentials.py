"""Where a credential is looked for, in which order, for which server; and that no token is ever quoted.

The places are those of docs/how-to/publishing.md; python-gitlab's file is described in its own documentation
("Configuration files"), netrc's in the manual of GNU inetutils.
"""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wheelyard.core.errors import CredentialsError
from wheelyard.io import log
from wheelyard.registries import find_credential, no_credential
from wheelyard.registries.gitlab.credentials import _same

if TYPE_CHECKING:
    from pathlib import Path

URL = "https://gitlab.example"
VARIABLES = ("FIRST_TOKEN", "SECOND_TOKEN")
SECRET = "glpat-never-to-be-shown"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder without any credential, and none in the environment."""
    monkeypatch.setenv("HOME", str(tmp_path))
    names = ("CI_JOB_TOKEN", "CI_SERVER_URL", "PYTHON_GITLAB_CFG", "NETRC")
    for name in (*names, *VARIABLES, *(f"{name}_FILE" for name in VARIABLES)):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(log, "_secrets", set())
    return tmp_path


def find(url: str = URL) -> tuple[str, str, str] | None:
    """Return user, token and source."""
    found = find_credential(url, VARIABLES)
    return (found.login.user, found.login.password, found.source) if found else None


def refused(*, said: str) -> CredentialsError:
    """Return the error of a place that cannot be used; neither it nor its traceback quotes the token."""
    with pytest.raises(CredentialsError) as caught:
        find()
    assert said in str(caught.value)
    assert caught.value.fix
    assert SECRET not in str(caught.value)
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    return caught.value


def test_the_order_of_places(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is put in after all that come behind it, and is then the one that counts."""
    assert find() is None
    (home / ".netrc").write_text("machine gitlab.example login ann password netrc-token\n")
    assert find() == ("ann", "netrc-token", str(home / ".netrc"))
    (home / ".python-gitlab.cfg").write_text(f"[rise]\nurl = {URL}\nprivate_token = cfg-token\n")
    assert find() == ("wheelyard", "cfg-token", f"{home}/.python-gitlab.cfg [rise]")
    (home / "other.cfg").write_text(f"[it]\nurl = {URL}\nprivate_token = named-token\n")
    monkeypatch.setenv("PYTHON_GITLAB_CFG", str(home / "other.cfg"))
    assert find() == ("wheelyard", "named-token", f"{home}/other.cfg [it]")
    monkeypatch.setenv("CI_JOB_TOKEN", "job-token")
    monkeypatch.setenv("CI_SERVER_URL", URL)
    assert find() == ("gitlab-ci-token", "job-token", "$CI_JOB_TOKEN")
    (home / "token").write_text("\n file-token \n")
    monkeypatch.setenv("SECOND_TOKEN_FILE", str(home / "token"))
    assert find() == ("wheelyard", "file-token", "$SECOND_TOKEN_FILE")
    monkeypatch.setenv("SECOND_TOKEN", " second-token\n")
    assert find() == ("wheelyard", "second-token", "$SECOND_TOKEN")
    monkeypatch.setenv("FIRST_TOKEN_FILE", str(home / "token"))
    assert find() == ("wheelyard", "file-token", "$FIRST_TOKEN_FILE")
    monkeypatch.setenv("FIRST_TOKEN", "first-token")
    assert find() == ("wheelyard", "first-token", "$FIRST_TOKEN")


def test_what_is_empty_is_not_there(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FIRST_TOKEN", "FIRST_TOKEN_FILE", "CI_JOB_TOKEN", "PYTHON_GITLAB_CFG", "NETRC"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("SECOND_TOKEN", "  ")
    monkeypatch.setenv("CI_SERVER_URL", URL)
    (home / ".python-gitlab.cfg").write_text(f"[rise]\nurl = {URL}\nprivate_token =\n")
    (home / ".netrc").write_text('machine gitlab.example login ann password ""\n')
    assert find() is None


def test_what_is_found_is_kept_out_of_the_log_and_out_of_sight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRST_TOKEN", SECRET)
    found = find_credential(URL, VARIABLES)
    assert SECRET not in repr(found)
    assert log.redact(f"it says {SECRET}") == "it says [secret]"


def test_without_any_the_first_variable_is_named() -> None:
    error = no_credential("gitlab.example/group/project", VARIABLES)
    assert error.where == "gitlab.example/group/project"
    assert "set FIRST_TOKEN to" in (error.fix or "")


# ------------------------------------------------------------------ what is no token


@pytest.mark.parametrize(
    "text", ["", "\n", f"{SECRET} {SECRET}", f"{SECRET}\n{SECRET}\n", f"{SECRET}é", f"{SECRET}\x00"]
)
def test_a_file_that_does_not_hold_one_token(home: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    (home / "token").write_text(text, encoding="utf-8")
    monkeypatch.setenv("FIRST_TOKEN_FILE", str(home / "token"))
    monkeypatch.setenv("SECOND_TOKEN", "would do")  # a place that is named is not passed over
    assert refused(said="does not hold one token").where == "$FIRST_TOKEN_FILE"


@pytest.mark.parametrize("text", [f"{SECRET} two", f"{SECRET}\nX-Header: 1", f"{SECRET}é"])
@pytest.mark.parametrize("place", ["$FIRST_TOKEN", "$CI_JOB_TOKEN", "[rise]", ".netrc"])
def test_no_place_gives_what_would_break_a_header(
    home: Path, monkeypatch: pytest.MonkeyPatch, place: str, text: str
) -> None:
    """`requests` quotes the value of a header that it refuses; it must not come so far."""
    match place:
        case "[rise]":
            folded = text.replace("\n", "\n  ")
            (home / ".python-gitlab.cfg").write_text(f"[rise]\nurl = {URL}\nprivate_token = {folded}\n")
        case ".netrc":
            (home / ".netrc").write_text(f'machine gitlab.example login ann password "{text}"\n')
        case _:
            monkeypatch.setenv("CI_SERVER_URL", URL)
            monkeypatch.setenv(place[1:], text)
    assert str(refused(said="does not hold one token").where).endswith(place)


@pytest.mark.parametrize("variable", ["FIRST_TOKEN_FILE", "PYTHON_GITLAB_CFG"])
@pytest.mark.parametrize(
    ("what", "said"), [("gone", "No such file"), ("folder", "Is a directory"), ("bytes", "not a text")]
)
def test_a_file_that_is_named_and_cannot_be_read(
    home: Path, monkeypatch: pytest.MonkeyPatch, variable: str, what: str, said: str
) -> None:
    (home / "folder").mkdir()
    (home / "bytes").write_bytes(SECRET.encode() + b"\xff")
    monkeypatch.setenv(variable, str(home / what))
    error = refused(said=said)
    assert error.where == f"${variable}"
    assert str(home / what) in str(error)


# ------------------------------------------------------------------ python-gitlab's file


@pytest.mark.parametrize(
    "text",
    [
        SECRET,
        f"private_token = {SECRET}\n",
        f"[rise]\nurl = {URL}\nprivate_token = {SECRET}\nprivate_token = {SECRET}\n",
        f"[rise]\nurl = {URL}\n{SECRET}\n",
        f"[rise]\n[rise]\nprivate_token = {SECRET}\n",
        f"[{SECRET}\n",
    ],
)
def test_a_broken_file_is_told_and_not_quoted(home: Path, text: str) -> None:
    (home / ".python-gitlab.cfg").write_text(text)
    (home / ".netrc").write_text("machine gitlab.example login ann password would-do\n")
    refused(said=f"{home}/.python-gitlab.cfg: cannot be read as python-gitlab's configuration")


@pytest.mark.parametrize(
    ("lines", "user", "token"),
    [
        ("private_token = one", "wheelyard", "one"),
        ("job_token = one", "gitlab-ci-token", "one"),
        ("http_username = ann\nhttp_password = one", "ann", "one"),
        ("http_password = one", "wheelyard", "one"),
        ("http_username = ann\nhttp_password = two\nprivate_token = one", "wheelyard", "one"),
        ("private_token = 100%one%(x)s", "wheelyard", "100%one%(x)s"),
        ("private_token = helper: cat secret\njob_token = one", "gitlab-ci-token", "one"),
    ],
)
def test_what_a_section_may_hold(home: Path, lines: str, user: str, token: str) -> None:
    (home / ".python-gitlab.cfg").write_text(f"[global]\ndefault = rise\n[rise]\nurl = {URL}/\n{lines}\n")
    assert find() == (user, token, f"{home}/.python-gitlab.cfg [rise]")


def test_helpers_are_not_run(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    proof = home / "was-run"
    (home / ".python-gitlab.cfg").write_text(f"[rise]\nurl = {URL}\nprivate_token = helper: touch {proof}\n")
    assert find() is None
    assert not proof.exists()
    assert "helpers are not run" in capsys.readouterr().err


def test_only_the_section_of_that_very_server_counts(home: Path) -> None:
    strangers = ("http://gitlab.example", "https://gitlab.example:8443", f"{URL}/below", "https://gitlab.example.evil")
    sections = [f"[s{number}]\nurl = {url}\nprivate_token = no\n" for number, url in enumerate(strangers)]
    sections += ["[broken]\nurl = http://[::1\nprivate_token = no\n", "[none]\nprivate_token = no\n"]
    (home / ".python-gitlab.cfg").write_text("".join(sections))
    assert find() is None
    (home / ".python-gitlab.cfg").write_text("".join([*sections, f"[it]\nurl = {URL}\nprivate_token = yes\n"]))
    found = find()
    assert found is not None
    assert found[1] == "yes"


# ------------------------------------------------------------------ the others


@pytest.mark.parametrize("server", ["", "https://gitlab.com", f"{URL}:8443", "http://gitlab.example", f"{URL}/sub"])
def test_a_jobs_token_goes_to_its_own_server_only(monkeypatch: pytest.MonkeyPatch, server: str) -> None:
    monkeypatch.setenv("CI_JOB_TOKEN", "job-token")
    monkeypatch.setenv("CI_SERVER_URL", server)
    assert find() is None


def test_netrc_is_asked_by_the_servers_name(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = "machine other.example login ann password other-token\ndefault login ann password default-token\n"
    (home / ".netrc").write_text(lines)
    assert find() is None  # an entry for everybody is not one for us
    (home / "mine").write_text("machine gitlab.example login ann password named-token\n")
    monkeypatch.setenv("NETRC", str(home / "mine"))
    assert find("https://gitlab.example:8443/below") == ("ann", "named-token", str(home / "mine"))


def test_a_broken_netrc_is_warned_of_and_not_quoted(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / ".netrc").write_text(f"machine gitlab.example login ann password {SECRET} {SECRET} \n")
    assert find() is None
    said = capsys.readouterr().err
    assert f"{home}/.netrc cannot be read" in said
    assert SECRET not in said


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (URL, f"{URL}/"),
        (URL, f"{URL}:443"),
        (URL, "HTTPS://GitLab.Example"),
        ("http://127.0.0.1", "http://127.0.0.1:80/"),
        (f"{URL}/gitlab", f"{URL}/gitlab/"),
        ("http://[::1]:8080", "http://[::1]:8080/"),
    ],
)
def test_addresses_of_one_server(one: str, other: str) -> None:
    assert _same(one, other)
    assert _same(other, one)


OTHERS = """
/ gitlab.example http://gitlab.example https://gitlab.example:444 https://gitlab.example/sub https://example https://
https://gitlab.example@evil.example https://gitlab.example:x https://gitlab.example:99999 http://[::1
https://evil.example/https://gitlab.example https://gitlab.example. https:gitlab.example
http://gitlab.example:443 ftp://gitlab.example:443 //gitlab.example:443
"""


@pytest.mark.parametrize("other", ["", *OTHERS.split()])
def test_addresses_of_others(other: str) -> None:
    assert not _same(URL, other)
    assert not _same(other, URL)


@given(st.text(max_size=30))
def test_whatever_stands_in_a_file_compares(text: str) -> None:
    assert not _same(text, URL) or "gitlab.example" in text.lower()
