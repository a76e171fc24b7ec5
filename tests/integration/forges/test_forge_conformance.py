"""One suite that every forge passes: a proposal is one request, kept up to date, closed when moot, never doubled."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from support.forges import BRANCH, KEY, LOCK, START, github_place, gitlab_place, opened, proposal
from support.gitlab import Fault
from wheelyard.core.errors import CredentialsError, NetworkError, PublishError
from wheelyard.forges import ActionResult, ChangeRequest, OpenRequest
from wheelyard.forges.github import GitHubPullRequests
from wheelyard.forges.gitlab import GitLabMergeRequests

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.forges import Place, Shown
    from wheelyard.forges import Forge, RequestAction

pytestmark = [
    pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed"),
]


@pytest.fixture(params=["gitlab", "github"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setenv("WHEELYARD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr("wheelyard.io.retry._PAUSE", 0.01)
    made = gitlab_place(tmp_path) if request.param == "gitlab" else github_place(tmp_path, monkeypatch)
    with made as served:
        yield served


@pytest.fixture
def forge(place: Place, tmp_path: Path) -> Iterator[Forge]:
    with opened(place, tmp_path) as made:
        yield made


def propose(place: Place, root: Path, wanted: ChangeRequest, *, dry_run: bool = False) -> ActionResult[RequestAction]:
    """Propose in a run of its own."""
    with opened(place, root, dry_run=dry_run) as forge:
        return forge.propose(wanted)


def withdraw(place: Place, root: Path, comment: str = "moot") -> ActionResult[RequestAction]:
    with opened(place, root) as forge:
        return forge.withdraw(KEY, comment)


def states(place: Place) -> list[str]:
    return [each.state for each in place.shown()]


def only(place: Place) -> Shown:
    (shown,) = (each for each in place.shown() if each.state == "open")
    return shown


def test_it_is_opened_kept_changed_and_withdrawn(place: Place, tmp_path: Path) -> None:
    first = propose(place, tmp_path, proposal(2, body="**News**", labels=("wheelyard", "update")))
    shown = only(place)
    assert first == ActionResult("open", first.url)
    assert first.url.startswith(f"{place.policy.server}/{place.policy.project}/")
    assert first.url.endswith(f"/{shown.number}")
    assert (shown.title, shown.branch, set(shown.labels)) == ("Update tiny to 2", BRANCH, {"wheelyard", "update"})
    assert shown.body.startswith("**News**\n")
    assert place.git.files(place.git.tip(BRANCH)) == START | {LOCK: "version = 2"} | {"README.md": "yard"}
    tip, written = place.git.tip(BRANCH), place.writes()

    assert propose(place, tmp_path, proposal(2, body="**News**", labels=("wheelyard", "update"))).action == "keep"
    assert (place.git.tip(BRANCH), place.writes()) == (tip, written), "run twice, nothing changes"

    assert propose(place, tmp_path, proposal(3)) == ActionResult("update", first.url)
    assert only(place).title == "Update tiny to 3"
    assert place.git.ahead(BRANCH) == 1
    assert place.git.changed(BRANCH) == {LOCK}

    assert withdraw(place, tmp_path, "Upstream ships it.") == ActionResult("close", first.url)
    assert states(place) == ["closed"]
    assert place.shown()[0].comments == ("Upstream ships it.",)
    assert place.git.branches() == ["main"]
    assert withdraw(place, tmp_path) == ActionResult("none")
    assert propose(place, tmp_path, proposal(3)).action == "open", "it was us who closed the other one"
    assert states(place) == ["closed", "open"]


def test_title_body_and_labels_alone_are_changed_in_place(place: Place, forge: Forge) -> None:
    forge.propose(proposal(2))
    tip = place.git.tip(BRANCH)
    assert forge.propose(proposal(2, body="said better")).action == "update"
    assert only(place).body.startswith("said better\n")
    assert forge.propose(proposal(2, body="said better", labels=("wheelyard", "urgent"))).action == "update"
    assert set(only(place).labels) == {"wheelyard", "urgent"}
    place.edit(1, title="what a person makes of it")
    assert forge.propose(proposal(2, body="said better")).action == "update"
    assert only(place).title == "Update tiny to 2"
    assert set(only(place).labels) == {"wheelyard", "urgent"}, "labels are added and never taken away"
    assert place.git.tip(BRANCH) == tip, "the same content is not pushed again"


def test_line_ends_that_a_page_has_changed_are_no_change(place: Place, forge: Forge) -> None:
    forge.propose(proposal(2, body="one\ntwo"))
    place.edit(1, body=only(place).body.replace("\n", "\r\n") + "\r\n")
    assert forge.propose(proposal(2, body="one\ntwo")).action == "keep"


def test_each_key_has_its_own(place: Place, forge: Forge) -> None:
    other = proposal(9, key="retire/huge")
    forge.propose(proposal(2))
    forge.propose(other)
    place.fork("from a stranger")
    listed = forge.open_requests()
    assert [(each.key, each.title) for each in listed] == [
        (KEY, "Update tiny to 2"),
        ("retire/huge", "Update huge to 9"),
    ]
    assert isinstance(listed[0], OpenRequest)
    forge.withdraw(KEY, "moot")
    assert [each.key for each in forge.open_requests()] == ["retire/huge"]
    assert place.git.branches() == ["main", "wheelyard/retire/huge"]


def test_more_than_a_page_of_them_is_seen(place: Place, forge: Forge) -> None:
    forge.propose(proposal(2))
    for number in range(130):
        place.fork(f"stranger {number}")
    assert [each.key for each in forge.open_requests()] == [KEY]
    assert forge.propose(proposal(2)).action == "keep"


def test_a_strangers_branch_of_the_same_name_is_not_ours(place: Place, forge: Forge) -> None:
    place.fork("not ours")
    assert forge.propose(proposal(2)).action == "open"
    assert [each.title for each in place.shown()] == ["not ours", "Update tiny to 2"]
    forge.withdraw(KEY, "moot")
    assert states(place) == ["open", "closed"]


def test_what_it_quotes_gives_no_commands_and_no_marks(place: Place, forge: Forge) -> None:
    nasty = proposal(2, body=f"/close\n  /close\n<!-- wheelyard: {KEY} withdrawn -->\n/label ~x\n![](x)")
    forge.propose(nasty)
    assert states(place) == ["open"]
    assert only(place).labels == ("wheelyard",)
    assert forge.propose(nasty).action == "keep"
    place.close(1)
    assert forge.propose(nasty).action == "declined", "a mark in a quotation is none"


def test_texts_are_cut_to_what_the_forge_takes(place: Place, forge: Forge) -> None:
    long = replace(proposal(2, body="x" * 2_000_000), title="y\n" * 400)
    assert forge.propose(long).action == "open"
    assert "too long" in only(place).body
    assert "\n" not in only(place).title
    assert forge.propose(long).action == "keep"


# ------------------------------------------------------------- people


def test_what_a_person_closed_stays_closed_until_it_says_something_else(place: Place, tmp_path: Path) -> None:
    url = propose(place, tmp_path, proposal(2)).url
    place.close(1)
    written = place.writes()
    assert propose(place, tmp_path, proposal(2, body="other words for the same")) == ActionResult("declined", url)
    assert place.writes() == written
    assert propose(place, tmp_path, proposal(3)).action == "open"
    assert states(place) == ["closed", "open"]
    place.close(2)
    assert propose(place, tmp_path, proposal(2)).action == "declined"
    place.reopen(2)
    assert propose(place, tmp_path, proposal(3)).action == "keep"


def test_a_branch_that_a_person_pushed_to_is_theirs(place: Place, tmp_path: Path) -> None:
    url = propose(place, tmp_path, proposal(2)).url
    theirs = place.git.commit(BRANCH, {"recipes/tiny/recipe.toml": "[test]\n"})
    written = place.writes()
    assert propose(place, tmp_path, proposal(2)) == ActionResult("foreign", url)
    assert propose(place, tmp_path, proposal(3)) == ActionResult("foreign", url)
    assert withdraw(place, tmp_path) == ActionResult("foreign", url)
    assert (place.git.tip(BRANCH), states(place), place.writes()) == (theirs, ["open"], written)


def test_what_was_merged_is_moot(place: Place, tmp_path: Path) -> None:
    propose(place, tmp_path, proposal(2))
    place.merge(1)
    assert propose(place, tmp_path, proposal(2)) == ActionResult("moot")
    assert states(place) == ["merged"]
    assert place.git.branches() == ["main"]
    assert propose(place, tmp_path, proposal(3)).action == "open"
    assert place.git.changed(BRANCH) == {LOCK}


def test_what_came_to_the_base_another_way_is_moot(place: Place, tmp_path: Path) -> None:
    url = propose(place, tmp_path, proposal(2)).url
    place.git.commit("main", {LOCK: "version = 2\n"})
    assert propose(place, tmp_path, proposal(2)) == ActionResult("moot", url)
    assert states(place) == ["closed"]
    assert "`main`" in place.shown()[0].comments[0]
    assert place.git.branches() == ["main"]


def test_a_branch_that_a_person_deleted_comes_back_with_new_content(place: Place, tmp_path: Path) -> None:
    """GitHub closes a pull request whose branch goes: a person said no. GitLab keeps it open: it is to have one."""
    propose(place, tmp_path, proposal(2))
    place.git.delete(BRANCH)
    again = propose(place, tmp_path, proposal(2)).action
    assert again == ("declined" if place.name == "github" else "update")
    assert propose(place, tmp_path, proposal(3)).action == ("open" if place.name == "github" else "update")
    assert only(place).title == "Update tiny to 3"
    assert place.git.changed(BRANCH) == {LOCK}


def test_the_base_goes_on_and_the_branch_only_if_it_has_to(place: Place, tmp_path: Path) -> None:
    propose(place, tmp_path, proposal(2))
    tip = place.git.tip(BRANCH)
    place.git.commit("main", {"README.md": "other\n"})
    assert propose(place, tmp_path, proposal(2)).action == "keep"
    assert place.git.tip(BRANCH) == tip
    place.git.commit("main", {LOCK: "version = 1.5\n"})
    assert propose(place, tmp_path, proposal(2)).action == "update", "as it was it could not be merged"
    assert place.git.ahead(BRANCH) == 1
    place.merge(1)
    assert states(place) == ["merged"]


def test_doubles_are_closed_and_the_oldest_is_kept(place: Place, tmp_path: Path) -> None:
    url = propose(place, tmp_path, proposal(2)).url
    shown = only(place)
    place.double(shown.title, shown.body)
    assert propose(place, tmp_path, proposal(2)) == ActionResult("keep", url)
    assert states(place) == ["open", "closed"]
    assert place.shown()[1].comments == (f"A double of {url}",)
    place.close(1)
    assert propose(place, tmp_path, proposal(2)) == ActionResult("declined", url)


# ------------------------------------------------------------- faults


@pytest.mark.parametrize("kind", ["status", "reset"])
def test_a_failure_before_it_is_opened_is_told_and_mended_by_the_next_run(
    place: Place, tmp_path: Path, kind: str
) -> None:
    place.fault(Fault(kind, method="POST", path=place.create, status=502, times=1))  # type: ignore[arg-type]
    with pytest.raises(NetworkError):
        propose(place, tmp_path, proposal(2))
    assert (states(place), place.git.changed(BRANCH)) == ([], {LOCK})
    assert propose(place, tmp_path, proposal(2)).action == "open"
    assert states(place) == ["open"]


@pytest.mark.parametrize("kind", ["status_after", "reset_after"])
def test_a_lost_answer_leaves_one(place: Place, tmp_path: Path, kind: str) -> None:
    place.fault(Fault(kind, method="POST", path=place.create, status=504, times=1))  # type: ignore[arg-type]
    assert propose(place, tmp_path, proposal(2)).action == "open"
    assert states(place) == ["open"]
    assert only(place).labels == ("wheelyard",)
    assert propose(place, tmp_path, proposal(2)).action == "keep"


def test_a_server_that_is_broken_for_a_moment_is_asked_again(place: Place, tmp_path: Path) -> None:
    place.fault(Fault("status", method="GET", path=place.list_, status=503, times=2))
    assert propose(place, tmp_path, proposal(2)).action == "open"


def test_two_runs_at_once_leave_one(place: Place, tmp_path: Path) -> None:
    """Each looks before the other opens, and both try to."""
    place.fault(Fault("stall", method="GET", path=place.list_, seconds=0.7, after=True, times=2))
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(propose, place, tmp_path, proposal(2)) for _ in range(2)]
    changes = [run.result() for run in runs]
    assert states(place) == ["open"]
    assert {change.url for change in changes} == {changes[0].url}
    assert {change.action for change in changes} <= {"open", "keep", "update"}
    assert propose(place, tmp_path, proposal(2)).action == "keep"


def test_two_runs_at_once_with_two_versions_leave_one_of_them(place: Place, tmp_path: Path) -> None:
    barrier = threading.Barrier(2)

    def run(version: int) -> None:
        barrier.wait()
        propose(place, tmp_path, proposal(version))

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(run, 2), pool.submit(run, 3)]:
            done.result()
    assert states(place) == ["open"]
    propose(place, tmp_path, proposal(3))
    assert only(place).title == "Update tiny to 3"
    assert place.git.files(place.git.tip(BRANCH))[LOCK] == "version = 3"


KILLED = """
import os, signal, sys
from pathlib import Path
from support.forges import proposal
from wheelyard.project.config_change_requests import ChangeRequestConfig
from wheelyard import forges
from wheelyard.forges import {kind} as RequestApi, Branches
def die(*_words, **_options):
    os.kill(os.getpid(), signal.SIGKILL)
setattr({target}, "{method}", die)
with forges.open_forge(ChangeRequestConfig.model_validate_json(sys.argv[1]), sys.argv[2], Path(sys.argv[3])) as opened:
    {do}
"""


def kill_at(place: Place, root: Path, target: str, method: str, do: str = "opened.propose(proposal(2))") -> None:
    """Run *do* in a process that kills itself where it calls *method*."""
    kind = {"gitlab": GitLabMergeRequests, "github": GitHubPullRequests}[place.name].__name__
    program = KILLED.format(kind=kind, target=target, method=method, do=do)
    words = [place.policy.model_dump_json(by_alias=True), place.token, str(root)]
    done = subprocess.run([sys.executable, "-c", program, *words], cwd=root, env=_with_support(), check=False)
    assert done.returncode == -9


def _with_support() -> dict[str, str]:
    import os
    from pathlib import Path

    return dict(os.environ) | {"PYTHONPATH": str(Path(__file__).parents[2])}


@pytest.mark.parametrize(
    ("target", "method"), [("RequestApi", "create"), ("Branches", "_push"), ("Branches", "_commit")]
)
def test_a_run_that_was_killed_is_finished_by_the_next(place: Place, tmp_path: Path, target: str, method: str) -> None:
    kill_at(place, tmp_path, target, method)
    assert states(place) == []
    assert (BRANCH in place.git.branches()) == (method == "create")
    assert propose(place, tmp_path, proposal(2)).action == "open"
    assert states(place) == ["open"]
    assert list((tmp_path / "cache/forge").iterdir()) == [], "and nothing is left behind"


@pytest.mark.parametrize("method", ["update", "close", "comment"])
def test_a_withdrawal_that_was_killed_is_finished_by_the_next(place: Place, tmp_path: Path, method: str) -> None:
    propose(place, tmp_path, proposal(2))
    kill_at(place, tmp_path, "RequestApi", method, 'opened.withdraw("update/tiny", "moot")')
    with opened(place, tmp_path) as forge:
        # GitHub closes it with its branch, which goes before the last step.
        left = [each.key for each in forge.open_requests()]
        assert left == ([] if (place.name, method) == ("github", "close") else [KEY])
    withdraw(place, tmp_path)
    assert states(place) == ["closed"]
    assert place.git.branches() == ["main"]
    assert set(place.shown()[0].comments) == {"moot"}
    assert propose(place, tmp_path, proposal(2)).action == "open", "nobody has declined it"


# ------------------------------------------------------------- rights, and dry runs


def test_a_dry_run_tells_and_writes_nothing(place: Place, tmp_path: Path) -> None:
    assert propose(place, tmp_path, proposal(2), dry_run=True) == ActionResult("open")
    assert (states(place), place.git.branches()) == ([], ["main"])
    url = propose(place, tmp_path, proposal(2)).url
    tip, written = place.git.tip(BRANCH), place.writes()
    assert propose(place, tmp_path, proposal(2), dry_run=True) == ActionResult("keep", url)
    assert propose(place, tmp_path, proposal(3), dry_run=True) == ActionResult("update", url)
    place.git.commit("main", {LOCK: "version = 3\n"})
    assert propose(place, tmp_path, proposal(3), dry_run=True) == ActionResult("moot", url)
    with opened(place, tmp_path, dry_run=True) as forge:
        assert forge.withdraw(KEY, "moot") == ActionResult("close", url)
    assert (place.git.tip(BRANCH), place.writes(), states(place)) == (tip, written, ["open"])


def test_a_token_that_may_not(place: Place, tmp_path: Path) -> None:
    with opened(place, tmp_path, token="wrong-token-0000") as forge, pytest.raises(CredentialsError) as caught:
        forge.propose(proposal(2))
    assert caught.value.where == place.policy.project
    assert "wrong-token-0000" not in str(caught.value)
    assert place.git.branches() == ["main"], "nothing was pushed"


def test_a_branch_that_the_server_does_not_take(place: Place, tmp_path: Path) -> None:
    """Branch protection and push rules speak through hooks."""
    hook = place.git.path / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'GitLab: You are not allowed to force push code to a protected branch'\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(CredentialsError, match="protects the branch") as caught:
        propose(place, tmp_path, proposal(2))
    assert any("protected branch" in line for line in caught.value.details)
    hook.write_text("#!/bin/sh\necho 'the commit message is too dull'\nexit 1\n")
    with pytest.raises(PublishError, match="refuses the branch"):
        propose(place, tmp_path, proposal(2))
    assert states(place) == []


def test_issues_are_kept_too(place: Place, forge: Forge) -> None:
    forge.propose(proposal(2))
    first = forge.upsert_issue("tokens", "One", "body", ["tokens"])
    assert first.action == "open"
    assert forge.upsert_issue("tokens", "One", "body", ["tokens"]) == ActionResult("keep", first.url)
    assert forge.upsert_issue("tokens", "Two", "body", ["tokens"]) == ActionResult("update", first.url)
    assert forge.upsert_issue("other", "Other", "body", ["tokens"]).url != first.url
    assert forge.close_issue("tokens", "all is well", ["tokens"]) == ActionResult("close", first.url)
    assert forge.close_issue("tokens", "all is well", ["tokens"]) == ActionResult("none")
    with contextlib.suppress(AttributeError):
        assert only(place).title == "Update tiny to 2"
