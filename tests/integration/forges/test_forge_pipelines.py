"""A merge request's pipeline starts by itself: a group token is a user's. A job's own neither pushes nor opens."""

from __future__ import annotations

import json
import ssl
from typing import TYPE_CHECKING
from urllib.request import Request, urlopen

import pytest

from support.forges import BRANCH, gitlab_place, opened, proposal
from wheelyard.core.errors import CredentialsError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.forges import GitLabPlace
    from support.gitlab.model import User


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GitLabPlace]:
    monkeypatch.setenv("WHEELYARD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with gitlab_place(tmp_path, tls=True) as served:
        served.git.commit("main", {".gitlab-ci.yml": "job: {script: 'true'}\n"})
        for name in ("REQUESTS_CA_BUNDLE", "GIT_SSL_CAINFO", "SSL_CERT_FILE"):
            monkeypatch.setenv(name, str(served.ca))
        yield served


def propose(place: GitLabPlace, root: Path, version: int, token: str | None = None) -> str:
    with opened(place, root, token=token) as forge:
        return forge.propose(proposal(version)).action


def pipelines(place: GitLabPlace) -> list[tuple[str, User]]:
    (request,) = place.project.merge_requests.values()
    return [(each.sha, each.user) for each in request.pipelines]


def test_a_group_token_starts_the_merge_requests_pipeline(place: GitLabPlace, tmp_path: Path) -> None:
    bot = place.gitlab.tokens[place.token].user
    assert bot.bot
    assert propose(place, tmp_path, 2) == "open"
    first = place.git.tip(BRANCH)
    assert pipelines(place) == [(first, bot)]
    assert propose(place, tmp_path, 2) == "keep"
    assert pipelines(place) == [(first, bot)], "nothing new, nothing to run"
    assert propose(place, tmp_path, 3) == "update"
    second = place.git.tip(BRANCH)
    assert second != first
    assert pipelines(place) == [(first, bot), (second, bot)]
    with opened(place, tmp_path) as forge:
        assert forge.withdraw("update/tiny", "moot").action == "close"
    assert len(pipelines(place)) == 2


def test_the_api_tells_of_them(place: GitLabPlace, tmp_path: Path) -> None:
    propose(place, tmp_path, 2)
    url = f"{place.policy.server}/api/v4/projects/{place.project.id}/merge_requests/1/pipelines"
    context = ssl.create_default_context(cafile=str(place.ca))
    with urlopen(Request(url, headers={"PRIVATE-TOKEN": place.token}), context=context) as answer:
        (told,) = json.load(answer)
    assert (told["sha"], told["source"]) == (place.git.tip(BRANCH), "merge_request_event")


def test_a_jobs_own_token_neither_pushes_nor_opens(place: GitLabPlace, tmp_path: Path) -> None:
    job = place.gitlab.add_job_token(place.project, place.gitlab.add_user("ann"))
    with pytest.raises(CredentialsError) as caught:
        propose(place, tmp_path, 2, job)
    assert job not in str(caught.value)
    assert (place.git.branches(), place.shown()) == (["main"], [])


@pytest.mark.parametrize(("role", "scopes"), [("reporter", ("api",)), ("developer", ("read_api", "read_repository"))])
def test_a_token_that_may_not_push(place: GitLabPlace, tmp_path: Path, role: str, scopes: tuple[str, ...]) -> None:
    group = place.gitlab.group("riseproject/python")
    assert group
    weak = place.gitlab.add_group_token(group, "weak", role, scopes)
    with pytest.raises(CredentialsError, match="refuses the token") as caught:
        propose(place, tmp_path, 2, weak)
    assert any("You are not allowed to" in line for line in caught.value.details)
    assert (place.git.branches(), place.shown()) == (["main"], [])
