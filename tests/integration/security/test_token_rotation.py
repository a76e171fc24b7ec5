"""Renewing the group token: one request, the new token shown once, and nothing sent twice whatever happens."""

from __future__ import annotations

import signal
import stat
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from support.gitlab import Fault, GitLab, serve
from support.watch import NAME, Watch, in_days

if TYPE_CHECKING:
    from pathlib import Path


def rotations(watch: Watch) -> list[int]:
    return watch.asked("POST", "/rotate")


def newest(watch: Watch) -> str:
    return list(watch.gitlab.tokens)[-1]


def test_a_token_is_renewed_once_and_shown_once(watch: Watch) -> None:
    old = watch.env["PYTHON_CI_GROUP_TOKEN"]
    ended = watch.run("--rotate", NAME)
    assert ended.code == 0, ended.err
    assert rotations(watch) == [200]
    new = newest(watch)
    assert new != old
    assert ended.out == f"{new}\n"
    assert new not in ended.err
    assert watch.gitlab.tokens[new].expires_at == in_days(364)
    assert f"renewed until {in_days(364)}" in ended.err
    assert watch.run().code == 65  # the old one has ended
    watch.use(group=new)
    assert watch.run().code == 0


def test_another_day(watch: Watch) -> None:
    ended = watch.run("--rotate", NAME, "--expires", in_days(60).isoformat())
    assert ended.code == 0
    assert watch.gitlab.tokens[newest(watch)].expires_at == in_days(60)


@pytest.mark.parametrize("days", [-1, 0, 366])
def test_a_day_that_gitlab_would_not_take(watch: Watch, days: int) -> None:
    ended = watch.run("--rotate", NAME, "--expires", in_days(days).isoformat())
    assert (ended.code, ended.out, watch.gitlab.requests) == (4, "", [])
    assert "a token cannot expire on" in ended.err


def test_into_a_file_that_only_its_owner_reads(watch: Watch) -> None:
    ended = watch.run("--rotate", NAME, "--token-file", "new", CI="true")
    file = watch.root / "new"
    assert (ended.code, ended.out) == (0, "")
    assert file.read_text() == f"{newest(watch)}\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert newest(watch) not in ended.err


def test_a_file_that_cannot_be_written_is_found_out_before(watch: Watch) -> None:
    (watch.root / "there").write_text("mine")
    ended = watch.run("--rotate", NAME, "--token-file", "there")
    assert (ended.code, (watch.root / "there").read_text()) == (2, "mine")
    for name in ("there/new", "/proc/new", "."):
        ended = watch.run("--rotate", NAME, "--token-file", name)
        assert (ended.code, ended.out) == (2, ""), ended
    assert watch.gitlab.requests == []


def test_in_ci_it_is_not_shown(watch: Watch) -> None:
    ended = watch.run("--rotate", NAME, CI="true")
    assert (ended.code, ended.out, watch.gitlab.requests) == (2, "", [])
    assert "give --token-file FILE" in ended.err


def test_a_token_that_is_not_there(watch: Watch) -> None:
    watch.use(group="")
    ended = watch.run("--rotate", NAME)
    assert (ended.code, ended.out, watch.gitlab.requests) == (62, "", [])
    assert "fix: set PYTHON_CI_GROUP_TOKEN" in ended.err


# ------------------------------------------------------------- never sent again


def test_an_old_token_is_not_sent_for_renewal(watch: Watch) -> None:
    """It would end its successor (lib/gitlab/auth/auth_finders.rb, revoke_token_family)."""
    watch.run("--rotate", NAME)
    new = newest(watch)
    again = watch.run("--rotate", NAME)
    assert (again.code, again.out) == (62, "")
    assert rotations(watch) == [200]
    assert not watch.gitlab.tokens[new].revoked
    assert "put the new one into PYTHON_CI_GROUP_TOKEN" in again.err


UNCLEAR = [
    Fault("reset_after", path="/rotate$"),
    Fault("reset", path="/rotate$"),
    Fault("status_after", path="/rotate$", status=504),
    Fault("status", path="/rotate$", status=500),
    Fault("truncate", path="/rotate$", count=10),
    Fault("status_after", path="/rotate$", status=200),
]


@pytest.mark.parametrize("fault", UNCLEAR, ids=lambda fault: f"{fault.kind}-{fault.status}")
def test_a_lost_answer_is_not_asked_for_again(watch: Watch, fault: Fault) -> None:
    watch.gitlab.fault(fault)
    ended = watch.run("--rotate", NAME)
    assert (ended.code, ended.out) == (70, "")
    assert len(rotations(watch)) == 1
    assert "whether the token is renewed is not known" in ended.err
    # What it says to do harms nothing, and then tells the two cases apart.
    done = fault.kind not in {"reset", "status"}
    watch.gitlab.heal()
    assert watch.run().code == (65 if done else 0)
    again = watch.run("--rotate", NAME)
    assert again.code == (62 if done else 0)
    assert len(rotations(watch)) == (1 if done else 2)
    assert not watch.gitlab.tokens[newest(watch)].revoked


def test_a_server_that_is_silent(watch: Watch) -> None:
    """Ctrl-C while nothing comes; the same words again do no harm."""
    watch.gitlab.fault(Fault("stall", path="/rotate$", seconds=30, after=True))
    words = [sys.executable, "-m", "wheelyard", "check-tokens", "--rotate", NAME]
    process = subprocess.Popen(
        words, cwd=watch.root, env=watch.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    old = watch.env["PYTHON_CI_GROUP_TOKEN"]
    deadline = time.monotonic() + 30
    while not watch.gitlab.tokens[old].revoked and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "")
    watch.see_no_secret(err)
    watch.gitlab.heal()
    assert watch.run("--rotate", NAME).code == 62
    assert len(watch.gitlab.tokens) == 2
    assert not watch.gitlab.tokens[newest(watch)].revoked


# --------------------------------------------------------------------- refusals


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405])
def test_a_refusal_changes_nothing_and_says_who_can(watch: Watch, status: int) -> None:
    watch.gitlab.fault(Fault("status", path="/rotate$", status=status))
    ended = watch.run("--rotate", NAME)
    assert (ended.code, ended.out) == (62, "")
    assert rotations(watch) == [status]
    assert "nothing has changed" in ended.err
    assert "/groups/riseproject/python/-/settings/access_tokens" in ended.err
    watch.gitlab.heal()
    assert watch.run().code == 0


def test_a_token_without_the_scope_to_renew_itself(watch: Watch) -> None:
    watch.use(group=watch.group_token(scopes=("read_api",)))
    ended = watch.run("--rotate", NAME)
    assert (ended.code, rotations(watch)) == (62, [403])
    assert "nothing has changed" in ended.err


def test_a_server_that_was_asked_too_often(watch: Watch) -> None:
    watch.gitlab.fault(Fault("status", path="/rotate$", status=429, retry_after="1"))
    ended = watch.run("--rotate", NAME)
    assert (ended.code, rotations(watch)) == (70, [429])
    assert "is not known" not in ended.err
    assert "ask again after 1 seconds" in ended.err


@pytest.mark.parametrize("path", ["/self$", "/rotate$"])
def test_a_redirect_is_not_followed(watch: Watch, tmp_path: Path, path: str) -> None:
    other = GitLab(tmp_path / "other")
    with serve(other) as elsewhere:
        watch.gitlab.fault(Fault("redirect", path=path, location=elsewhere.url))
        ended = watch.run("--rotate", NAME)
        assert other.requests == []
    assert (ended.code, ended.out) == (70, "")


def test_a_server_that_is_gone(watch: Watch) -> None:
    watch.settle("http://127.0.0.1:9")
    ended = watch.run("--rotate", NAME)
    assert (ended.code, ended.out) == (70, "")
    assert "cannot be reached" in ended.err
    assert "is not known" not in ended.err


def test_a_failed_renewal_leaves_no_file(watch: Watch) -> None:
    watch.gitlab.fault(Fault("status", path="/rotate$", status=401))
    assert watch.run("--rotate", NAME, "--token-file", "new").code == 62
    assert not (watch.root / "new").exists()
