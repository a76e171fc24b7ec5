"""The one issue: opened, changed, never doubled, closed; and what it says is nobody's secret."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from support.gitlab import Fault
from support.watch import NAME, PROJECT, Watch
from wheelyard.core.errors import CredentialsError, NetworkError
from wheelyard.forges import ActionResult, GitLabIssues
from wheelyard.io import http

if TYPE_CHECKING:
    from requests import PreparedRequest, Response

LABELS = ["tokens"]


def writes(watch: Watch) -> list[str]:
    return [seen.method for seen in watch.gitlab.requests if seen.method != "GET" and "/issues" in seen.path]


def test_it_is_opened_kept_changed_and_closed(watch: Watch) -> None:
    dead = watch.env["PUSH_WHEELS"]
    watch.use(group=watch.group_token(20))
    first = watch.run("--issues")
    assert first.code == 64
    (issue,) = watch.open_issues
    assert issue.title == "Tokens and renewals: 1 due soon"
    assert issue.labels == LABELS
    assert "in 20 days" in issue.description
    assert f"issue opened: {watch.url}/{PROJECT}/-/issues/1" in first.out
    assert watch.run("--issues").code == 64
    assert writes(watch) == ["POST"]  # it says already what it should
    watch.gitlab.revoke(dead)
    assert watch.run("--issues").code == 65
    assert watch.open_issues == [issue]
    assert issue.title == "Tokens and renewals: 1 dead, 1 due soon"
    assert issue.description.index("| dead |") < issue.description.index("| due |")
    watch.use(group=watch.group_token(), deploy=watch.deploy_token())
    last = watch.run("--issues")
    assert last.code == 0
    assert "issue closed: " in last.out
    assert (watch.open_issues, len(watch.project.issues), issue.state) == ([], 1, "closed")
    assert "well" in issue.notes[-1][2]
    assert "issue: there is none, and none is needed" in watch.run("--issues").out


def test_it_is_nobody_elses_business(watch: Watch) -> None:
    with pytest.MonkeyPatch.context() as patch:
        sent = []
        original = http.session().send

        def send(request: PreparedRequest, **options: Any) -> Response:
            sent.append(json.loads(request.body or "null"))
            return original(request, **options)

        patch.setattr(http.session(), "send", send)
        forge(watch).upsert_issue("key", "title", "body", LABELS)
    assert {"confidential": True}.items() <= next(body for body in sent if isinstance(body, dict)).items()


def test_a_dry_run_says_what_would_become_of_it(watch: Watch) -> None:
    watch.use(group=watch.group_token(20))
    ended = watch.run("--issues", "--dry-run")
    assert ended.code == 64
    assert "issue would be opened: Tokens and renewals: 1 due soon" in ended.out
    watch.run("--issues")
    watch.use(group=watch.group_token(10))
    value = json.loads(watch.run("--issues", "--dry-run", "--json").out)
    assert value["issue"]["action"] == "update"
    assert value["issue"]["written"] is False
    watch.use(group=watch.group_token())
    assert "issue would be closed: " in watch.run("--issues", "--dry-run").out
    assert writes(watch) == ["POST"]


def test_one_that_was_closed_by_hand_is_not_opened_again(watch: Watch) -> None:
    watch.use(group=watch.group_token(20))
    watch.run("--issues")
    watch.project.issues[1].state = "closed"
    watch.run("--issues")
    assert [issue.iid for issue in watch.open_issues] == [2]


def test_news_that_nobody_may_write_down_are_more_than_news(watch: Watch) -> None:
    watch.gitlab.fault(Fault("status", path="/issues$", status=403))
    watch.use(group=watch.group_token(20))
    ended = watch.run("--issues")
    assert ended.code == 62  # a pipeline passes over 64, which an issue tells of
    assert f"error: {PROJECT}: the server accepts this credential, but not for this" in ended.err
    assert "due soon" in ended.err
    assert "in 20 days" in ended.out
    watch.use(group=watch.group_token())
    assert watch.run("--issues").code == 62  # all is well but this
    watch.use(group="")
    ended = watch.run("--issues")
    assert ended.code == 62
    assert "PYTHON_CI_GROUP_TOKEN is not set: the issue cannot be written" in ended.err


# -------------------------------------------------------------------- the forge


def forge(watch: Watch, *, dry_run: bool = False) -> GitLabIssues:
    return GitLabIssues(watch.url, PROJECT, watch.env["PYTHON_CI_GROUP_TOKEN"], dry_run=dry_run)


def test_issues_of_others_are_left_alone(watch: Watch) -> None:
    ours = forge(watch)
    ours.upsert_issue("one", "One", "body", LABELS)
    ours.upsert_issue("two", "Two", "body", LABELS)
    ours.upsert_issue("one", "One again", "body", LABELS)
    assert [issue.title for issue in watch.open_issues] == ["One again", "Two"]
    assert ours.close_issue("two", "done", LABELS).action == "close"
    assert ours.close_issue("three", "done", LABELS) == ActionResult("none")
    assert [issue.title for issue in watch.open_issues] == ["One again"]


def test_it_is_found_among_many(watch: Watch) -> None:
    ours = forge(watch)
    ours.upsert_issue("key", "Old", "body", LABELS)
    user = watch.gitlab.tokens[watch.env["PYTHON_CI_GROUP_TOKEN"]].user
    first = watch.project.issues[1]
    for number in range(2, 152):
        watch.project.issues[number] = type(first)(
            1000 + number, number, user, "x", "no mark", ["tokens"], first.created_at, first.created_at
        )
    assert ours.upsert_issue("key", "New", "body", LABELS).action == "update"
    assert watch.project.issues[1].title == "New"


def test_doubles_are_closed_and_the_oldest_is_kept(watch: Watch) -> None:
    ours = forge(watch)
    ours.upsert_issue("key", "title", "body", LABELS)
    watch.project.issues[1].state = "closed"
    ours.upsert_issue("key", "title", "body", LABELS)
    ours.upsert_issue("other", "title", "body", LABELS)
    watch.project.issues[1].state = "opened"
    assert ours.upsert_issue("key", "title", "body", LABELS).url.endswith("/issues/1")
    assert [issue.iid for issue in watch.open_issues] == [1, 3]
    assert watch.project.issues[2].notes[-1][2] == "A double of #1."


def test_two_runs_at_once_leave_one_issue(watch: Watch) -> None:
    """Each looks before the other writes, and both write."""
    actions = []
    for key in ("a", "b", "c"):
        watch.gitlab.fault(Fault("stall", method="GET", path="/issues$", seconds=0.5, after=True, times=2))
        made = [forge(watch) for _ in range(2)]
        with ThreadPoolExecutor(2) as pool:
            changes = [pool.submit(one.upsert_issue, key, "title", "body", LABELS) for one in made]
        actions.append([change.result().action for change in changes])
        mine = [issue for issue in watch.open_issues if f"wheelyard: {key} " in issue.description]
        assert len(mine) == 1
        assert {change.result().url for change in changes} == {f"{watch.url}/{PROJECT}/-/issues/{mine[0].iid}"}
    assert ["open", "open"] in actions


def test_what_the_forge_refuses(watch: Watch) -> None:
    with pytest.raises(CredentialsError) as caught:
        GitLabIssues(watch.url, "no/such", watch.env["PYTHON_CI_GROUP_TOKEN"]).upsert_issue("k", "t", "b", LABELS)
    assert caught.value.where == "no/such"
    watch.gitlab.fault(Fault("reset", method="POST", path="/issues$"))
    with pytest.raises(NetworkError):
        forge(watch).upsert_issue("k", "t", "b", LABELS)
    assert watch.project.issues == {}


def test_a_lost_answer_leaves_one_issue(watch: Watch) -> None:
    watch.gitlab.fault(Fault("reset_after", method="POST", path="/issues$", times=1))
    watch.use(group=watch.group_token(20))
    assert watch.run("--issues").code == 70  # who knows whether it was written
    assert watch.run("--issues").code == 64
    assert len(watch.project.issues) == 1
    assert NAME in watch.project.issues[1].description
