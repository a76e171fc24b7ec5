"""Tokens and members (lib/api/personal_access_tokens/, resource_access_tokens.rb, deploy_tokens.rb, members.rb)."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from support.gitlab import api, auth
from support.gitlab.paging import paged
from support.gitlab.wire import HaltError, as_json, message

if TYPE_CHECKING:
    from support.gitlab.auth import Caller
    from support.gitlab.model import AccessToken, DeployToken, Group, Project, User
    from support.gitlab.state import GitLab
    from support.gitlab.wire import Answer, Request, Route

ROTATED_FOR = timedelta(weeks=1)  # app/services/personal_access_tokens/rotate_service.rb, EXPIRATION_PERIOD
LONGEST_LIFE = timedelta(days=400)  # app/models/personal_access_token.rb, with `buffered_token_expiration_limit`
_SELF_ROTATE = auth.Doors(scopes=("self_rotate",))


def authenticated(gitlab: GitLab, request: Request, doors: auth.Doors = auth.API) -> tuple[Caller, User]:
    """As `authenticate!`: somebody has to be logged in."""
    caller = auth.identify(gitlab, request, doors)
    if not caller.user:
        raise HaltError(auth.unauthorized())
    return caller, caller.user


def _group(gitlab: GitLab, caller: Caller, key: str) -> Group:
    group = gitlab.group(key)
    if not group or not auth.can_read(gitlab, caller, group):
        raise HaltError(message(404, "404 Group Not Found"))
    return group


# ---------------------------------------------------------------- access tokens


async def show_self(gitlab: GitLab, request: Request) -> Answer:
    """Serve `GET /personal_access_tokens/self`: a token of any scope may look at itself (self_information.rb)."""
    caller, _ = authenticated(gitlab, request, auth.Doors(any_scope=True))
    if not caller.token:
        return message(400, "400 Bad request - This endpoint requires token type to be a personal access token")
    return as_json(_token_entity(gitlab, caller.token))


def _token_entity(gitlab: GitLab, token: AccessToken) -> dict[str, object]:
    """As lib/api/entities/personal_access_token.rb."""
    return {
        "id": token.id,
        "name": token.name,
        "revoked": token.revoked,
        "created_at": token.created_at.isoformat(),
        "description": None,
        "scopes": list(token.scopes),
        "user_id": token.user.id,
        "last_used_at": token.last_used_at and token.last_used_at.isoformat(),
        "active": not token.revoked and not token.expired(gitlab.now()),
        "expires_at": token.expires_at and token.expires_at.isoformat(),
    }


def _resource_entity(gitlab: GitLab, token: AccessToken, group: Group) -> dict[str, object]:
    """As lib/api/entities/resource_access_token.rb."""
    level = group.members.get(token.user.id, 0)
    more = {"access_level": level, "resource_type": "group", "resource_id": group.id}
    return _token_entity(gitlab, token) | more


async def list_group_tokens(gitlab: GitLab, request: Request, key: str) -> Answer:
    """List a group's tokens: for owners, everybody else gets 401, not 403 (resource_access_tokens.rb)."""
    caller, _ = authenticated(gitlab, request)
    group = _group(gitlab, caller, key)
    if not auth.has_role(gitlab, caller, group, "owner"):
        return auth.unauthorized()
    tokens = [token for token in gitlab.tokens.values() if token.group is group]
    return paged(gitlab, request, tokens, lambda token: _resource_entity(gitlab, token, group))


async def rotate_self(gitlab: GitLab, request: Request, key: str) -> Answer:
    """Serve `POST /groups/:id/access_tokens/self/rotate` (self_rotation.rb, spec/…/self_rotation_spec.rb)."""
    caller, user = authenticated(gitlab, request, _SELF_ROTATE)
    if not caller.token or not user.bot:
        return message(405, "405 Method Not Allowed")
    group = _group(gitlab, caller, key)
    if caller.token.group is not group:
        return auth.unauthorized()
    return _rotate(gitlab, caller.token, group, await _expiry(gitlab, request))


async def rotate(gitlab: GitLab, request: Request, key: str, number: str) -> Answer:
    """Serve `POST /groups/:id/access_tokens/:token_id/rotate`: for owners (`manage_resource_access_tokens`)."""
    caller, _ = authenticated(gitlab, request)
    group = _group(gitlab, caller, key)
    token = next((t for t in gitlab.tokens.values() if t.group is group and t.id == int(number)), None)
    if not token or not auth.has_role(gitlab, caller, group, "owner"):
        return auth.unauthorized()
    if token.revoked:
        return message(400, "400 Bad request - Token already revoked")
    return _rotate(gitlab, token, group, await _expiry(gitlab, request))


async def _expiry(gitlab: GitLab, request: Request) -> date:
    """Return the last day that is asked for: one week from now when none is (rotate_service.rb)."""
    today = gitlab.now().date()
    given = (await request.params()).get("expires_at")
    if not given:
        return today + ROTATED_FOR
    try:
        wanted = date.fromisoformat(str(given))
    except ValueError:
        raise HaltError(as_json({"error": "expires_at is invalid"}, 400)) from None
    if wanted > today + LONGEST_LIFE:
        text = f"400 Bad request - Expiration date must be before {today + LONGEST_LIFE}"
        raise HaltError(message(400, text))
    return wanted


def _rotate(gitlab: GitLab, token: AccessToken, group: Group, expires_at: date) -> Answer:
    """Revoke it, and make one like it."""
    token.revoked = True
    new = gitlab.new_token(token.name, token.user, token.scopes, expires_at, group=group, previous=token.id)
    return as_json(_resource_entity(gitlab, new, group) | {"token": new.secret})


# ---------------------------------------------------------------- deploy tokens


async def list_deploy_tokens(gitlab: GitLab, request: Request, key: str) -> Answer:
    """List a project's deploy tokens, dead ones too: for maintainers (`read_deploy_token`)."""
    caller = auth.identify(gitlab, request, auth.API)
    project = api.find_project(gitlab, caller, key)
    return _deploy_tokens(gitlab, request, caller, project)


async def list_group_deploy_tokens(gitlab: GitLab, request: Request, key: str) -> Answer:
    caller = auth.identify(gitlab, request, auth.API)
    return _deploy_tokens(gitlab, request, caller, _group(gitlab, caller, key))


def _deploy_tokens(gitlab: GitLab, request: Request, caller: Caller, owner: Project | Group) -> Answer:
    if not auth.has_role(gitlab, caller, owner, "maintainer"):
        return api.FORBIDDEN
    tokens = [token for token in gitlab.deploy_tokens.values() if token.owner is owner]
    if request.query.get("active") == "true":
        tokens = [token for token in tokens if token.active(gitlab.now())]
    return paged(gitlab, request, tokens, lambda token: _deploy_entity(gitlab, token))


def _deploy_entity(gitlab: GitLab, token: DeployToken) -> dict[str, object]:
    """As lib/api/entities/deploy_token.rb.

    `expired` compares days (deploy_token.rb, `expired?`): on its last day a token is dead and not yet called so.
    """
    moment = token.expires_at and datetime.combine(token.expires_at, time(), UTC)
    return {
        "id": token.id,
        "name": token.name,
        "username": token.username,
        "expires_at": moment and moment.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "scopes": list(token.scopes),
        "revoked": token.revoked,
        "expired": token.expires_at is not None and token.expires_at < gitlab.now().date(),
    }


# ---------------------------------------------------------------- members, users


async def show_member(gitlab: GitLab, request: Request, key: str, number: str) -> Answer:
    """Serve `GET /groups/:id/members/:user_id`: who is a member of this very group."""
    return _member(gitlab, request, key, number, above=False)


async def show_any_member(gitlab: GitLab, request: Request, key: str, number: str) -> Answer:
    """Serve `GET /groups/:id/members/all/:user_id`: members of the groups above count."""
    return _member(gitlab, request, key, number, above=True)


def _member(gitlab: GitLab, request: Request, key: str, number: str, *, above: bool) -> Answer:
    caller, _ = authenticated(gitlab, request)
    group = _group(gitlab, caller, key)
    user = gitlab.users.get(int(number))
    level = (gitlab.role(user, group) if above else group.members.get(user.id)) if user else None
    if not user or not level:
        return api.NOT_FOUND
    return as_json(_user_entity(user) | {"access_level": level, "expires_at": None})


def _user_entity(user: User) -> dict[str, object]:
    return {"id": user.id, "username": user.name, "name": user.name, "state": "active"}


async def show_user(gitlab: GitLab, request: Request) -> Answer:
    """Serve `GET /user`: `read_user` is enough (lib/api/users.rb)."""
    _, user = authenticated(gitlab, request, auth.Doors(scopes=("read_user",)))
    return as_json(_user_entity(user) | {"bot": user.bot})


async def show_version(gitlab: GitLab, request: Request) -> Answer:
    """Serve `GET /version` (lib/api/metadata.rb)."""
    authenticated(gitlab, request, auth.Doors(scopes=("read_user",)))
    return as_json({"version": "19.0.0-pre", "revision": "made-up"})


async def show_group(gitlab: GitLab, request: Request, key: str) -> Answer:
    group = _group(gitlab, auth.identify(gitlab, request, auth.API), key)
    return as_json({"id": group.id, "name": group.name, "full_path": group.path, "visibility": group.visibility})


PROJECT_ROUTES: list[Route] = [("GET", "/deploy_tokens", list_deploy_tokens)]
GROUP_ROUTES: list[Route] = [
    ("GET", "", show_group),
    ("GET", "/access_tokens", list_group_tokens),
    ("POST", "/access_tokens/self/rotate", rotate_self),
    ("POST", r"/access_tokens/(\d+)/rotate", rotate),
    ("GET", "/deploy_tokens", list_group_deploy_tokens),
    ("GET", r"/members/(\d+)", show_member),
    ("GET", r"/members/all/(\d+)", show_any_member),
]
ROUTES: list[Route] = [
    ("GET", "/personal_access_tokens/self", show_self),
    ("GET", "/user", show_user),
    ("GET", "/version", show_version),
]
