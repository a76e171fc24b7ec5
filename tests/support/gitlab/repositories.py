"""Git over HTTP (app/controllers/repositories/git_http_controller.rb): who may push, and what that starts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from support.gitlab import auth
from support.gitlab.merge_requests import start
from support.gitlab.wire import Answer
from support.remote import http_backend

if TYPE_CHECKING:
    from support.gitlab.auth import Caller
    from support.gitlab.model import Project
    from support.gitlab.state import GitLab
    from support.gitlab.wire import Request, Route

_PUSH = "git-receive-pack"
_DOORS = auth.Doors(basic_token=True, job_basic=True, any_scope=True)  # which scopes it has counts below
_DENIED = Answer(401, b"HTTP Basic: Access denied.", {"WWW-Authenticate": 'Basic realm="GitLab"'})


async def serve(gitlab: GitLab, request: Request, path: str, what: str) -> Answer:
    """Serve one request of git's."""
    service = request.query.get("service", "") if what == "info/refs" else what
    project, caller = gitlab.project(path), auth.identify(gitlab, request, _DOORS)
    if project is None or project.id not in gitlab.repositories:
        return _DENIED if caller.anonymous else Answer(404, b"The project you were looking for could not be found.")
    if caller.anonymous and (service == _PUSH or project.visibility != "public"):
        return _DENIED
    if service == _PUSH and (refused := _refused(gitlab, caller, project)):
        return Answer(403, refused.encode(), {"Content-Type": "text/plain"})
    body = b"".join([chunk async for chunk in request.chunks()])
    git = gitlab.repositories[project.id]
    there = f"/{git.path.name}/{what}"
    answered = await asyncio.to_thread(
        http_backend, git.path.parent, request.method, there, request.query_string, request.headers, body
    )
    if what == _PUSH:
        _refresh(gitlab, project, caller)
    status, headers, content = answered
    return Answer(status, content, headers)


def _refused(gitlab: GitLab, caller: Caller, project: Project) -> str:
    """Say why nothing is pushed (lib/gitlab/git_access.rb); a job's token may only fetch (lib/gitlab/auth.rb)."""
    if caller.job or not caller.token or not {"api", "write_repository"} & set(caller.token.scopes):
        return "You are not allowed to upload code."
    if not auth.has_role(gitlab, caller, project, "developer"):
        return "You are not allowed to push code to this project."
    return ""


def _refresh(gitlab: GitLab, project: Project, caller: Caller) -> None:
    """Take over what was pushed, and start the pipelines of its merge requests.

    As app/services/merge_requests/refresh_service.rb.
    """
    git = gitlab.repositories[project.id]
    for request in project.merge_requests.values():
        tip = git.tip(request.source_branch)
        if request.state == "opened" and request.source_project_id == project.id and tip not in {"", request.sha}:
            request.sha = tip
            if caller.user:
                start(gitlab, project, request, caller.user)


ROUTES: list[Route] = [
    ("GET", r"/(.+)\.git/(info/refs)", serve),
    ("POST", r"/(.+)\.git/(git-upload-pack|git-receive-pack)", serve),
]
