"""Tokens, members and issues of the GitLab of the tests: each point with its file in GitLab's source or specs."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import requests

from support.gitlab import GitLab, serve
from support.gitlab.instance import TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


class Lab:
    """A group with a project and its token, and a way to ask as whoever holds a token."""

    def __init__(self, root: Path) -> None:
        self.moment = NOW
        self.gitlab = GitLab(root, now=lambda: self.moment)
        self.project = self.gitlab.add_project("riseproject/python/wheel_builder")
        self.group = self.gitlab.add_group("riseproject/python")
        self.token = self.gitlab.add_group_token(self.group, expires_at=date(2027, 4, 19))
        self.api = ""

    def ask(self, method: str, path: str, token: str | None = None, **json: Any) -> requests.Response:
        headers = {"PRIVATE-TOKEN": token} if token else {}
        return requests.request(method, self.api + path, headers=headers, timeout=TIMEOUT, json=json or None)

    def rotate(self, token: str, **json: Any) -> requests.Response:
        return self.ask("POST", f"/groups/{self.group.id}/access_tokens/self/rotate", token, **json)

    def shown(self, token: str) -> dict[str, Any]:
        found: dict[str, Any] = self.ask("GET", "/personal_access_tokens/self", token).json()
        return found


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    made = Lab(tmp_path)
    with serve(made.gitlab) as server:
        made.api = server.api
        yield made


def test_a_token_of_any_scope_looks_at_itself(lab: Lab) -> None:
    """lib/api/personal_access_tokens/self_information.rb: `all_available_scopes`."""
    token = lab.gitlab.add_group_token(lab.group, scopes=("read_repository",), expires_at=date(2027, 4, 19))
    shown = lab.shown(token)
    assert (shown["scopes"], shown["expires_at"], shown["active"]) == (["read_repository"], "2027-04-19", True)
    assert lab.ask("GET", "/user", token).json()["error"] == "insufficient_scope"
    assert lab.ask("GET", "/version", token).status_code == 403
    assert lab.ask("GET", "/personal_access_tokens/self").status_code == 401


def test_a_token_dies_at_midnight_when_its_last_day_begins(lab: Lab) -> None:
    """app/models/concerns/expirable.rb; the words are lib/api/api_guard.rb's."""
    lab.moment = datetime(2027, 4, 18, 23, 59, 59, tzinfo=UTC)
    assert lab.shown(lab.token)["active"]
    lab.moment += timedelta(seconds=1)
    answer = lab.ask("GET", "/personal_access_tokens/self", lab.token)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
    assert "Token is expired" in answer.json()["error_description"]


def test_a_deploy_token_is_dead_a_day_before_the_list_says_so(lab: Lab) -> None:
    """app/models/deploy_token.rb: scope `active` compares moments, `expired?` compares days."""
    secret = lab.gitlab.add_deploy_token(lab.project, expires_at=date(2026, 6, 29), username="ci")
    path = f"/projects/{lab.project.id}/deploy_tokens"

    def state() -> tuple[int, bool]:
        (listed,) = lab.ask("GET", path, lab.token).json()
        assert (listed["name"], listed["username"]) == ("rise-github-package-registry", "ci")
        assert listed["scopes"] == ["read_package_registry", "write_package_registry"]
        assert (listed["expires_at"], listed["revoked"]) == ("2026-06-29T00:00:00.000Z", False)
        probe = requests.post(
            f"{lab.api}/projects/{lab.project.id}/packages/pypi",
            files={"probe": (None, "1")},
            auth=("x", secret),
            timeout=TIMEOUT,
        )
        return probe.status_code, listed["expired"]

    assert state() == (400, False)
    lab.moment = datetime(2026, 6, 29, 1, tzinfo=UTC)
    assert state() == (401, False)
    lab.moment = datetime(2026, 6, 30, 1, tzinfo=UTC)
    assert state() == (401, True)
    assert lab.ask("GET", f"{path}?active=true", lab.token).json() == []


@pytest.mark.parametrize(
    ("role", "status"), [("guest", 403), ("developer", 403), ("maintainer", 200), ("owner", 200), (None, 403)]
)
def test_deploy_tokens_are_shown_to_maintainers(lab: Lab, role: str | None, status: int) -> None:
    """lib/api/deploy_tokens.rb, `read_deploy_token`; spec/requests/api/deploy_tokens_spec.rb."""
    user = lab.gitlab.add_user("ann")
    if role:
        lab.gitlab.add_member(lab.project, user, role)
    token = lab.gitlab.add_pat(user)
    assert lab.ask("GET", f"/projects/{lab.project.id}/deploy_tokens", token).status_code == status


def test_tokens_of_a_group_are_listed_to_owners(lab: Lab) -> None:
    """lib/api/resource_access_tokens.rb: everybody else gets 401, not 403."""
    path = f"/groups/{lab.group.id}/access_tokens"
    assert lab.ask("GET", path, lab.token).status_code == 401
    owner = lab.gitlab.add_user("owner")
    lab.gitlab.add_member(lab.gitlab.add_group("riseproject"), owner, "owner")
    (listed,) = lab.ask("GET", path, lab.gitlab.add_pat(owner)).json()
    assert (listed["name"], listed["access_level"]) == ("PYTHON_CI_GROUP_TOKEN", 40)
    assert "token" not in listed


def test_rotation_gives_a_new_token_once_and_revokes_the_old(lab: Lab) -> None:
    """spec/requests/api/resource_access_tokens/self_rotation_spec.rb, 'rotating token succeeds'."""
    answer = lab.rotate(lab.token, expires_at="2027-05-01")
    assert answer.status_code == 200
    new = answer.json()
    assert (new["expires_at"], new["access_level"], new["resource_id"]) == ("2027-05-01", 40, lab.group.id)
    assert lab.shown(new["token"])["active"]
    assert lab.shown(lab.token)["error_description"].startswith("Token was revoked.")
    assert "token" not in lab.shown(new["token"])


def test_without_a_date_a_rotated_token_lives_a_week(lab: Lab) -> None:
    """app/services/personal_access_tokens/rotate_service.rb, EXPIRATION_PERIOD."""
    assert lab.rotate(lab.token).json()["expires_at"] == "2026-06-08"


def test_to_rotate_with_an_old_token_revokes_its_family(lab: Lab) -> None:
    """app/services/personal_access_tokens/revoke_token_family_service.rb; auth_finders.rb: on rotation only."""
    second = lab.rotate(lab.token, expires_at="2027-05-01").json()["token"]
    third = lab.rotate(second, expires_at="2027-05-02").json()["token"]
    assert lab.ask("GET", "/user", lab.token).status_code == 401
    assert lab.ask("GET", "/user", third).status_code == 200, "an old token does harm only where tokens are rotated"
    assert lab.rotate(lab.token, expires_at="2027-05-01").status_code == 401
    assert lab.ask("GET", "/user", third).status_code == 401


def test_who_may_rotate_itself(lab: Lab) -> None:
    """The same spec: 'rotating token denied', scopes, 'when token does not belong to the resource'."""
    gitlab = lab.gitlab
    only = gitlab.add_group_token(lab.group, scopes=("self_rotate",))
    assert lab.rotate(only, expires_at="2027-05-01").status_code == 200
    assert lab.rotate(gitlab.add_group_token(lab.group, scopes=("read_api",))).status_code == 403
    assert lab.rotate(gitlab.add_pat(gitlab.add_user("ann"))).status_code == 405
    assert lab.rotate(gitlab.add_group_token(gitlab.add_group("other"))).status_code == 401
    assert lab.rotate(gitlab.add_deploy_token(lab.project)).status_code == 401
    assert lab.rotate(lab.token, expires_at="soon").status_code == 400
    answer = lab.rotate(lab.token, expires_at="2030-01-01")
    assert (answer.status_code, "Expiration date must be before" in answer.json()["message"]) == (400, True)
    assert lab.shown(lab.token)["active"], "what was refused has not revoked it"


def test_an_owner_rotates_a_groups_token(lab: Lab) -> None:
    """lib/api/resource_access_tokens.rb, `manage_resource_access_tokens`."""
    path = f"/groups/{lab.group.id}/access_tokens/{lab.shown(lab.token)['id']}/rotate"
    assert lab.ask("POST", path, lab.token).status_code == 401
    owner = lab.gitlab.add_user("owner")
    lab.gitlab.add_member(lab.group, owner, "owner")
    secret = lab.gitlab.add_pat(owner)
    assert lab.shown(lab.ask("POST", path, secret, expires_at="2027-01-01").json()["token"])["active"]
    assert lab.ask("POST", path, secret).json()["message"].endswith("Token already revoked")


def test_members_of_a_group_and_of_those_above_it(lab: Lab) -> None:
    """lib/api/members.rb: `members/:user_id` is direct members, `members/all/:user_id` inherited ones too."""
    bot = lab.shown(lab.token)["user_id"]
    above = lab.gitlab.add_user("above")
    lab.gitlab.add_member(lab.gitlab.add_group("riseproject"), above, "owner")

    def level(path: str) -> int | None:
        answer = lab.ask("GET", f"/groups/riseproject%2Fpython/members/{path}", lab.token)
        found: int | None = answer.json().get("access_level")
        return found

    assert (level(str(bot)), level(f"all/{bot}")) == (40, 40)
    assert (level(str(above.id)), level(f"all/{above.id}")) == (None, 50)
    assert level("999") is None
    assert lab.ask("GET", f"/groups/{lab.group.id}/members/{bot}").status_code == 401


# ---------------------------------------------------------------------- issues


def test_issues_are_opened_found_changed_and_closed(lab: Lab) -> None:
    """lib/api/issues.rb, notes.rb."""
    path = f"/projects/{lab.project.id}/issues"
    made = lab.ask("POST", path, lab.token, title="A token dies", description="in 9 days", labels="tokens,ci")
    assert (made.status_code, made.json()["iid"], made.json()["state"]) == (201, 1, "opened")
    lab.ask("POST", path, lab.token, title="Another one", labels=["ci"])

    def found(query: str) -> list[int]:
        return [issue["iid"] for issue in lab.ask("GET", f"{path}?{query}", lab.token).json()]

    assert found("state=opened") == [2, 1]
    assert (found("labels=ci,tokens"), found("labels=tokens&state=closed")) == ([1], [])
    assert (found("search=token+dies&in=title"), found("search=9+days&in=title"), found("search=days")) == (
        [1],
        [],
        [1],
    )
    changed = lab.ask("PUT", f"{path}/1", lab.token, description="in 8 days", state_event="close").json()
    assert (changed["description"], changed["state"], changed["labels"]) == ("in 8 days", "closed", ["tokens", "ci"])
    assert found("labels=tokens&state=opened") == []
    assert lab.ask("POST", f"{path}/1/notes", lab.token, body="renewed").status_code == 201
    assert [note["body"] for note in lab.ask("GET", f"{path}/1/notes", lab.token).json()] == ["renewed"]


def test_who_may_write_issues(lab: Lab) -> None:
    gitlab, path = lab.gitlab, f"/projects/{lab.project.id}/issues"
    lab.ask("POST", path, lab.token, title="A token dies")
    stranger = gitlab.add_user("stranger")
    assert lab.ask("POST", path, gitlab.add_pat(stranger), title="Another one").status_code == 201
    assert lab.ask("PUT", f"{path}/1", gitlab.add_pat(stranger), title="x").status_code == 403
    assert lab.ask("PUT", f"{path}/2", gitlab.add_pat(stranger), title="x").status_code == 200
    assert lab.ask("POST", path, gitlab.add_pat(stranger, ("read_api",)), title="x").status_code == 403
    assert lab.ask("POST", path, title="x").status_code == 401
    assert lab.ask("POST", path, lab.token, description="x").json() == {"error": "title is missing"}
    assert lab.ask("PUT", f"{path}/3", lab.token, title="x").status_code == 404
    assert lab.ask("GET", path).status_code == 200
