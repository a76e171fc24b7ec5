"""Who is asking, and what may they do.

The order in which credentials are looked at is that of `find_user_from_sources` (lib/api/api_guard.rb) and
lib/gitlab/auth/auth_finders.rb: a deploy token, a bearer job token, an access token (`PRIVATE-TOKEN`, bearer, then the
password of Basic where a route allows it), a job token in Basic, a `JOB-TOKEN` header where a route allows that.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING

from support.gitlab.model import ROLES, Group
from support.gitlab.wire import HaltError, as_json, message

if TYPE_CHECKING:
    from support.gitlab.model import AccessToken, DeployToken, Job, Project, User
    from support.gitlab.state import GitLab
    from support.gitlab.wire import Answer, Request

CI_JOB_USER = "gitlab-ci-token"
JOB_PREFIX = "glcbt-"
REALM = {"WWW-Authenticate": 'Basic realm="GitLab Packages Registry"'}  # lib/api/helpers/packages/basic_auth_helpers.rb


@dataclass(frozen=True)
class Doors:
    """How a route lets itself be opened (its `route_setting :authentication`).

    Attributes:
        deploy_token: a deploy token, in Basic, bearer or Deploy-Token.
        basic_token: an access token as Basic's password.
        job_basic, job_header: a job token in Basic, or as JOB-TOKEN.
        any_scope: a token of any scope will do.
        scopes: further scopes than `api` (and `read_api` for reading) that will do.
    """

    deploy_token: bool = False
    basic_token: bool = False
    job_basic: bool = False
    job_header: bool = False
    any_scope: bool = False
    scopes: tuple[str, ...] = ()


API = Doors()  # an access token in PRIVATE-TOKEN or as bearer, nothing else


@dataclass(frozen=True)
class Caller:
    """Whoever asks; nobody when all is None."""

    user: User | None = None
    token: AccessToken | None = None
    deploy_token: DeployToken | None = None
    job: Job | None = None

    @property
    def anonymous(self) -> bool:
        return self.user is None and self.deploy_token is None


def kind(request: Request) -> str:
    """Return how the client introduces itself, empty when it does not."""
    for header in ("PRIVATE-TOKEN", "Deploy-Token", "JOB-TOKEN"):
        if header.lower() in request.headers:
            return header
    return request.headers.get("authorization", "").partition(" ")[0].title()


def identify(gitlab: GitLab, request: Request, doors: Doors) -> Caller:
    """Find out who asks.

    Raises:
        HaltError: credentials that do not count as nobody's, but as wrong ones.
    """
    name, password = _basic(request)
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    bearer = bearer if scheme.lower() == "bearer" else ""
    if doors.deploy_token:
        secret = password or request.headers.get("deploy-token") or bearer
        deploy_token = gitlab.deploy_tokens.get(secret)
        if deploy_token and deploy_token.active(gitlab.now()):
            return Caller(deploy_token=deploy_token)
    job = gitlab.jobs.get(bearer)
    if job and job.running and (doors.job_basic or doors.job_header):
        return Caller(job.user, job=job)
    given = request.query.get("private_token") or request.headers.get("private-token") or bearer
    given = "" if given.startswith(JOB_PREFIX) else given
    if given or (doors.basic_token and password in gitlab.tokens):
        token = gitlab.tokens.get(given or password)
        if not token:
            raise HaltError(unauthorized())
        _validate(gitlab, request, token, doors)
        token.last_used_at = gitlab.now()
        return Caller(token.user, token)
    if doors.job_basic and name == CI_JOB_USER:
        return _job(gitlab, password)
    if doors.job_header and "job-token" in request.headers:
        return _job(gitlab, request.headers["job-token"])
    return Caller()


def _basic(request: Request) -> tuple[str, str]:
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        name, _, password = base64.b64decode(given).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return name, password


def _job(gitlab: GitLab, secret: str) -> Caller:
    """As `find_valid_running_job_by_token!`: a wrong job token is never nobody's."""
    job = gitlab.jobs.get(secret)
    if not job or not job.running:
        raise HaltError(unauthorized())
    return Caller(job.user, job=job)


def _validate(gitlab: GitLab, request: Request, token: AccessToken, doors: Doors) -> None:
    """As app/services/access_token_validation_service.rb; the words are those of lib/api/api_guard.rb."""
    if token.expired(gitlab.now()):
        raise HaltError(_bearer_error("Token is expired. You can either do re-authorization or token refresh."))
    if token.revoked:
        if request.path.endswith("/rotate"):
            revoke_descendants(gitlab, token)
        raise HaltError(_bearer_error("Token was revoked. You have to re-authorize from the user."))
    wanted = {"api", *doors.scopes} | ({"read_api"} if request.method == "GET" else set())
    if not doors.any_scope and not wanted & set(token.scopes):
        text = "The request requires higher privileges than provided by the access token."
        body = {"error": "insufficient_scope", "error_description": text, "scope": " ".join(sorted(wanted))}
        raise HaltError(as_json(body, 403))


def revoke_descendants(gitlab: GitLab, token: AccessToken) -> None:
    """Revoke all that was rotated from *token* (app/services/personal_access_tokens/revoke_token_family_service.rb)."""
    for each in gitlab.tokens.values():
        if each.previous == token.id:
            each.revoked = True
            revoke_descendants(gitlab, each)


def _bearer_error(text: str) -> Answer:
    header = {
        "WWW-Authenticate": f'Bearer realm="Protected by OAuth 2.0", error="invalid_token", error_description="{text}"'
    }
    return as_json({"error": "invalid_token", "error_description": text}, 401, header)


def unauthorized(*, packages: bool = False) -> Answer:
    return message(401, "401 Unauthorized", REALM if packages else None)


# ------------------------------------------- abilities, as app/policies/project_policy.rb has them


def _level(gitlab: GitLab, caller: Caller, where: Project | Group) -> int:
    if caller.user is None or (caller.job and caller.job.project is not where and not isinstance(where, Group)):
        return 0
    return gitlab.role(caller.user, where)


def _deploy(caller: Caller, where: Project | Group, *scopes: str) -> bool:
    token = caller.deploy_token
    if token is None or not set(scopes) & set(token.scopes):
        return False
    return token.owner is where if isinstance(where, Group) else token.covers(where)


def can_read(gitlab: GitLab, caller: Caller, where: Project | Group) -> bool:
    """Tell whether somebody may know that it exists (`read_project`, `read_group`)."""
    if where.visibility == "public" or (where.visibility == "internal" and caller.user and not caller.job):
        return True
    return _level(gitlab, caller, where) > 0 or _deploy(
        caller, where, "read_package_registry", "write_package_registry"
    )


def can_read_packages(gitlab: GitLab, caller: Caller, where: Project | Group) -> bool:
    """`read_package`: guests of a private project have `read_project` without it."""
    if where.visibility != "private" and can_read(gitlab, caller, where):
        return True
    readable = _deploy(caller, where, "read_package_registry", "write_package_registry")
    return readable or _level(gitlab, caller, where) >= ROLES["reporter"]


def can_create_packages(gitlab: GitLab, caller: Caller, project: Project) -> bool:
    return _deploy(caller, project, "write_package_registry") or has_role(gitlab, caller, project, "developer")


def has_role(gitlab: GitLab, caller: Caller, where: Project | Group, role: str) -> bool:
    return _level(gitlab, caller, where) >= ROLES[role]
