"""What the forges of the tests answer, held against what GitLab's source and GitHub's documentation say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests

from support.forges import BRANCH, LOCK, github_place, gitlab_place

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.forges import GitHubPlace, GitLabPlace


class Api:
    """Raw requests to one forge, without any adapter of ours."""

    def __init__(self, base: str, headers: dict[str, str], ca: str | bool = True) -> None:
        self._base, self._headers, self._ca = base, headers, ca

    def __call__(self, method: str, path: str, **body: Any) -> requests.Response:
        query = body if method == "GET" else {}
        return requests.request(
            method,
            self._base + path,
            params=query,
            json=None if method == "GET" else body,
            headers=self._headers,
            verify=self._ca,
            timeout=30,
        )


@pytest.fixture
def gitlab(tmp_path: Path) -> Iterator[tuple[GitLabPlace, Api]]:
    with gitlab_place(tmp_path) as place:
        place.git.commit(BRANCH, {LOCK: "version = 2\n"})
        yield (
            place,
            Api(
                f"{place.policy.server}/api/v4/projects/{place.project.id}/merge_requests",
                {"PRIVATE-TOKEN": place.token},
            ),
        )


@pytest.fixture
def github(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[GitHubPlace, Api]]:
    import os

    with github_place(tmp_path, monkeypatch) as place:
        place.git.commit(BRANCH, {LOCK: "version = 2\n"})
        base = f"{place.policy.server}/api/v3/repos/{place.policy.project}"
        yield place, Api(base, {"Authorization": f"Bearer {place.token}"}, os.environ["REQUESTS_CA_BUNDLE"])


NEW = {"title": "T", "source_branch": BRANCH, "target_branch": "main"}
PULL = {"title": "T", "head": BRANCH, "base": "main"}


def test_gitlab_takes_one_open_request_of_a_branch(gitlab: tuple[GitLabPlace, Api]) -> None:
    """`validate_branches` and `conflicting_mr_message` in app/models/merge_request.rb; `conflict!` in lib/api."""
    place, api = gitlab
    made = api("POST", "", **NEW, labels=["a", "b"], remove_source_branch=True)
    assert made.status_code == 201
    assert (made.json()["state"], made.json()["labels"]) == ("opened", ["a", "b"])
    assert made.json()["sha"] == place.git.tip(BRANCH)
    again = api("POST", "", **NEW)
    assert again.status_code == 409
    assert again.json() == {"message": ["Another open merge request already exists for this source branch: !1"]}
    assert api("PUT", "/1", state_event="close").json()["state"] == "closed"
    assert api("POST", "", **NEW).status_code == 201
    assert [each["iid"] for each in api("GET", "", source_branch=BRANCH).json()] == [2, 1], "the newest first"
    assert [each["iid"] for each in api("GET", "", state="closed", labels="a,b").json()] == [1]
    assert api("GET", "", state="open").status_code == 400
    assert api("POST", "", title="T").json() == {"error": "source_branch is missing, target_branch is missing"}


def test_gitlab_keeps_a_request_open_whose_branch_is_gone(gitlab: tuple[GitLabPlace, Api]) -> None:
    """refresh_service.rb closes none; `source_branch_exists?` only keeps it from being merged."""
    place, api = gitlab
    tip = api("POST", "", **NEW).json()["sha"]
    place.git.delete(BRANCH)
    assert {key: api("GET", "/1").json()[key] for key in ("state", "sha")} == {"state": "opened", "sha": tip}


def test_gitlab_lists_requests_from_forks(gitlab: tuple[GitLabPlace, Api]) -> None:
    """app/finders/merge_requests_finder.rb looks at the target project; `source_branch` is a name only."""
    place, api = gitlab
    place.fork("a stranger's")
    (listed,) = api("GET", "", source_branch=BRANCH).json()
    assert listed["source_project_id"] != listed["target_project_id"]


def test_gitlab_obeys_what_a_text_says(gitlab: tuple[GitLabPlace, Api]) -> None:
    """lib/gitlab/quick_actions/extractor.rb: a command is a line that begins with a slash."""
    _, api = gitlab
    assert api("POST", "", **NEW, description="text\n/label ~urgent\n").json()["labels"] == ["urgent"]
    api("POST", "/1/notes", body="no: /close")
    assert api("GET", "/1").json()["state"] == "opened"
    api("POST", "/1/notes", body="/close")
    assert api("GET", "/1").json()["state"] == "closed"


def test_gitlab_lets_developers_open_requests(gitlab: tuple[GitLabPlace, Api]) -> None:
    """app/policies/project_policy.rb: `create_merge_request_from` is the developer's."""
    place, _ = gitlab
    for role, status in (("reporter", 403), ("developer", 201)):
        user = place.gitlab.add_user(role)
        place.gitlab.add_member(place.project, user, role)
        base = f"{place.policy.server}/api/v4/projects/{place.project.id}/merge_requests"
        assert Api(base, {"PRIVATE-TOKEN": place.gitlab.add_pat(user)})("POST", "", **NEW).status_code == status


def test_github_takes_one_open_request_of_a_branch(github: tuple[GitHubPlace, Api]) -> None:
    """rest/pulls/pulls; the error's words are on record in google/go-github#1441."""
    place, api = github
    made = api("POST", "/pulls", **PULL)
    assert (made.status_code, made.json()["state"], made.json()["labels"]) == (201, "open", [])
    again = api("POST", "/pulls", **PULL)
    assert again.status_code == 422
    text = f"A pull request already exists for riseproject:{BRANCH}."
    assert again.json()["errors"] == [{"resource": "PullRequest", "code": "custom", "message": text}]
    assert api("PATCH", "/pulls/1", state="closed").json()["state"] == "closed"
    assert api("POST", "/pulls", **PULL).status_code == 201
    head = {"head": f"riseproject:{BRANCH}"}
    assert [each["number"] for each in api("GET", "/pulls", **head, state="all").json()] == [2, 1]
    assert [each["number"] for each in api("GET", "/pulls", **head).json()] == [2], "open ones, unless told otherwise"
    place.fork("a stranger's")
    assert len(api("GET", "/pulls", **head).json()) == 1
    assert len(api("GET", "/pulls").json()) == 2


def test_github_wants_something_to_merge(github: tuple[GitHubPlace, Api]) -> None:
    """rest/pulls/pulls, 422 "Validation failed"."""
    place, api = github
    place.git.commit("main", {LOCK: "version = 2\n"})
    assert api("POST", "/pulls", **PULL | {"head": "none"}).json()["errors"][0]["field"] == "head"
    place.git.merge(BRANCH)
    said = api("POST", "/pulls", **PULL).json()["errors"][0]["message"]
    assert said == f"No commits between main and {BRANCH}"
    long = api("POST", "/issues", title="T", body="x" * 65_537).json()["errors"][0]
    assert long["message"] == "body is too long (maximum is 65536 characters)"


def test_github_closes_a_request_whose_branch_is_gone(github: tuple[GitHubPlace, Api]) -> None:
    """pull-requests/…/deleting-and-restoring-branches-in-a-pull-request."""
    place, api = github
    api("POST", "/pulls", **PULL)
    place.git.delete(BRANCH)
    (listed,) = api("GET", "/pulls", state="all").json()
    assert (listed["state"], listed["merged_at"]) == ("closed", None)


def test_github_treats_pull_requests_as_issues(github: tuple[GitHubPlace, Api]) -> None:
    """rest/issues/issues: listed among them, told apart by `pull_request`; labels and comments are theirs."""
    _, api = github
    api("POST", "/pulls", **PULL)
    assert [each["name"] for each in api("POST", "/issues/1/labels", labels=["new", "b"]).json()] == ["new", "b"]
    assert api("POST", "/issues/1/comments", body="hi").status_code == 201
    (listed,) = api("GET", "/issues", labels="new").json()
    assert "pull_request" in listed


def test_github_pages(github: tuple[GitHubPlace, Api]) -> None:
    """rest/using-the-rest-api/using-pagination-in-the-rest-api: 30, at most 100; a link only where there is more."""
    place, api = github
    for number in range(101):
        place.github.add(str(number), "")
    first = api("GET", "/issues")
    assert (len(first.json()), set(first.links)) == (30, {"next", "last"})
    second = requests.get(
        first.links["next"]["url"], headers=first.request.headers, verify=api._ca, timeout=30
    )  # the headers hold the login
    assert (len(second.json()), set(second.links)) == (30, {"first", "prev", "next", "last"})
    assert len(api("GET", "/issues", per_page=1000).json()) == 100
    assert api("GET", "/pulls").headers.get("Link") is None


def test_github_says_who_may(github: tuple[GitHubPlace, Api]) -> None:
    """rest/using-the-rest-api/troubleshooting-the-rest-api: 401, 403, and 404 for what may not be seen."""
    place, api = github
    base = f"{place.policy.server}/api/v3/repos/"
    reads = Api(base, {"Authorization": f"token {place.github.add_token('read')}"}, api._ca)
    assert reads("GET", f"{place.policy.project}/pulls").status_code == 200
    assert reads("POST", f"{place.policy.project}/pulls", **PULL).status_code == 403
    assert reads("GET", "riseproject/other/pulls").status_code == 404
    bad = Api(base, {"Authorization": "token none"}, api._ca)("GET", f"{place.policy.project}/pulls")
    assert (bad.status_code, bad.json()) == (401, {"message": "Bad credentials"})
