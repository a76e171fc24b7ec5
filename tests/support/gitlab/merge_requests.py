"""Merge requests and their notes (lib/api/merge_requests.rb, lib/api/helpers/merge_requests_helpers.rb)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from support.gitlab import api, auth
from support.gitlab.issues import _labels, _note
from support.gitlab.model import ROLES, MergeRequest, Pipeline
from support.gitlab.paging import paged
from support.gitlab.tokens import authenticated
from support.gitlab.wire import Answer, HaltError, as_json, message, site

if TYPE_CHECKING:
    from support.gitlab.model import Project, User
    from support.gitlab.state import GitLab
    from support.gitlab.wire import Request, Route

_STATES = {"all", "opened", "closed", "locked", "merged"}
_UPDATES = {"title", "description", "labels", "add_labels", "remove_labels", "state_event", "target_branch"}
_QUICK = re.compile(r"^/(close|label ~?\"?(\w+)\"?|assign .*)[ \t]*$\n?", re.MULTILINE)


def settle(gitlab: GitLab, project: Project) -> None:
    """Take over what has been pushed (app/services/merge_requests/refresh_service.rb).

    An open one whose source branch is gone stays open, and keeps the commit it had last.
    """
    repository = gitlab.repositories.get(project.id)
    for request in project.merge_requests.values():
        if repository and request.state == "opened" and request.source_project_id == project.id:
            request.sha = repository.tip(request.source_branch) or request.sha


def start(gitlab: GitLab, project: Project, request: MergeRequest, user: User) -> None:
    """Start the pipeline of a merge request as *user*, by whom it was opened or pushed to.

    As app/services/merge_requests/create_pipeline_service.rb: developers may, and of one commit there is one. A
    repository without a CI configuration has none at all.
    """
    known = any(each.sha == request.sha for each in request.pipelines)
    may = gitlab.role(user, project) >= ROLES["developer"]
    if known or not may or ".gitlab-ci.yml" not in gitlab.repositories[project.id].files(request.sha):
        return
    request.pipelines.append(Pipeline(gitlab.next_id(), request.sha, user))


async def list_requests(gitlab: GitLab, request: Request, key: str) -> Answer:
    """List merge requests, the newest first; those from forks are among them (app/finders/merge_requests_finder.rb)."""
    caller = auth.identify(gitlab, request, auth.API)
    project = api.find_project(gitlab, caller, key)
    settle(gitlab, project)
    query = request.query
    state, wanted = query.get("state", "all"), set(_labels(query.get("labels")))
    if state not in _STATES:
        return as_json({"error": "state does not have a valid value"}, 400)
    rows = [
        each
        for each in reversed(project.merge_requests.values())
        if state in {"all", each.state}
        and query.get("source_branch", each.source_branch) == each.source_branch
        and query.get("target_branch", each.target_branch) == each.target_branch
        and wanted <= set(each.labels)
    ]
    return paged(gitlab, request, rows, lambda each: entity(gitlab, request, project, each))


async def show_request(gitlab: GitLab, request: Request, key: str, iid: str) -> Answer:
    caller = auth.identify(gitlab, request, auth.API)
    project = api.find_project(gitlab, caller, key)
    settle(gitlab, project)
    return as_json(entity(gitlab, request, project, _find(project, iid)))


async def create_request(gitlab: GitLab, request: Request, key: str) -> Answer:
    """Open a merge request: developers may (`create_merge_request_from`).

    A second one of the same branches is refused with 409 (`validate_branches` in app/models/merge_request.rb, and
    `handle_merge_request_errors!`).
    """
    caller, user = authenticated(gitlab, request)
    project = api.find_project(gitlab, caller, key)
    if not auth.has_role(gitlab, caller, project, "developer"):
        return api.FORBIDDEN
    params = await request.params()
    missing = [name for name in ("title", "source_branch", "target_branch") if name not in params]
    if missing:
        return as_json({"error": ", ".join(f"{name} is missing" for name in missing)}, 400)
    source, target = str(params["source_branch"]), str(params["target_branch"])
    repository = gitlab.repositories[project.id]
    if source == target:
        return as_json({"message": ["You can't use same project/branch for source and target"]}, 422)
    open_ = [each for each in project.merge_requests.values() if each.state == "opened"]
    if other := next((each for each in open_ if each.branches == (project.id, source, target)), None):
        text = f"Another open merge request already exists for this source branch: !{other.iid}"
        return as_json({"message": [text]}, 409)
    made = add(gitlab, project, user, source=source, target=target, title=str(params["title"]))
    made.sha = repository.tip(source)
    made.labels = _labels(params.get("labels"))
    made.remove_source_branch = params.get("remove_source_branch") in {True, "true", "1"}
    made.description = _commands(made, _text(params.get("description")))
    if made.sha:
        start(gitlab, project, made, user)  # app/services/merge_requests/after_create_service.rb
    return as_json(entity(gitlab, request, project, made), 201)


def add(gitlab: GitLab, project: Project, user: User, *, source: str, target: str, title: str) -> MergeRequest:
    iid, now = len(project.merge_requests) + 1, gitlab.now()
    made = MergeRequest(gitlab.next_id(), iid, user, title, "", source, target, project.id, now, now)
    project.merge_requests[iid] = made
    return made


async def update_request(gitlab: GitLab, request: Request, key: str, iid: str) -> Answer:
    """Change a merge request; what is merged cannot be closed (app/services/merge_requests/close_service.rb)."""
    caller, user = authenticated(gitlab, request)
    project = api.find_project(gitlab, caller, key)
    changed = _find(project, iid)
    if changed.author is not user and not auth.has_role(gitlab, caller, project, "developer"):
        return api.FORBIDDEN
    params = await request.params()
    if not _UPDATES & set(params):
        return as_json({"error": "at least one parameter must be provided"}, 400)
    settle(gitlab, project)
    changed.title = str(params.get("title", changed.title))
    changed.description = _text(params.get("description", changed.description))
    labels = _labels(params["labels"]) if "labels" in params else changed.labels
    gone = _labels(params.get("remove_labels"))
    changed.labels = [label for label in _labels([*labels, *_labels(params.get("add_labels"))]) if label not in gone]
    match params.get("state_event"):
        case "close" if changed.state == "opened":
            changed.state = "closed"
        case "reopen" if changed.state == "closed":
            changed.state = "opened"
        case None | "close" | "reopen":
            pass
        case _:
            return as_json({"error": "state_event does not have a valid value"}, 400)
    changed.updated_at = gitlab.now()
    return as_json(entity(gitlab, request, project, changed))


async def list_pipelines(gitlab: GitLab, request: Request, key: str, iid: str) -> Answer:
    caller = auth.identify(gitlab, request, auth.API)
    project = api.find_project(gitlab, caller, key)
    shown = _find(project, iid)
    return paged(gitlab, request, list(reversed(shown.pipelines)), lambda each: _pipeline(project, shown, each))


def _pipeline(project: Project, request: MergeRequest, shown: Pipeline) -> dict[str, object]:
    """As lib/api/entities/ci/pipeline_basic.rb."""
    return {
        "id": shown.id,
        "project_id": project.id,
        "sha": shown.sha,
        "ref": f"refs/merge-requests/{request.iid}/head",
        "status": "created",
        "source": "merge_request_event",
    }


async def list_notes(gitlab: GitLab, request: Request, key: str, iid: str) -> Answer:
    caller = auth.identify(gitlab, request, auth.API)
    return paged(gitlab, request, list(reversed(_find(api.find_project(gitlab, caller, key), iid).notes)), _note)


async def create_note(gitlab: GitLab, request: Request, key: str, iid: str) -> Answer:
    """Add a note; commands in it are carried out and taken out (app/services/notes/quick_actions_service.rb)."""
    caller, user = authenticated(gitlab, request)
    noted = _find(api.find_project(gitlab, caller, key), iid)
    params = await request.params()
    if "body" not in params:
        return as_json({"error": "body is missing"}, 400)
    body = _commands(noted, str(params["body"]))
    noted.notes.append((gitlab.next_id(), user, body, gitlab.now()))
    return as_json(_note(noted.notes[-1]), 201)


def _find(project: Project, iid: str) -> MergeRequest:
    found = project.merge_requests.get(int(iid))
    if not found:
        raise HaltError(message(404, "404 Not found"))
    return found


def _text(given: Any) -> str:
    return str(given or "")


def _commands(request: MergeRequest, text: str) -> str:
    """Carry out what lines that begin with `/` say, as lib/gitlab/quick_actions/extractor.rb finds them."""
    for match in _QUICK.finditer(text):
        if match[1] == "close":
            request.state = "closed"
        elif match[2]:
            request.labels.append(match[2])
    return _QUICK.sub("", text)


def entity(gitlab: GitLab, request: Request, project: Project, shown: MergeRequest) -> dict[str, object]:
    """As lib/api/entities/merge_request_basic.rb, the parts that a tool looks at."""
    return {
        "id": shown.id,
        "iid": shown.iid,
        "project_id": project.id,
        "title": shown.title,
        "description": shown.description,
        "state": shown.state,
        "labels": shown.labels,
        "source_branch": shown.source_branch,
        "target_branch": shown.target_branch,
        "source_project_id": shown.source_project_id,
        "target_project_id": project.id,
        "sha": shown.sha,
        "force_remove_source_branch": shown.remove_source_branch,
        "author": {"id": shown.author.id, "username": shown.author.name},
        "created_at": shown.created_at.isoformat(),
        "updated_at": shown.updated_at.isoformat(),
        "user_notes_count": len(shown.notes),
        "web_url": f"{site(request, gitlab.project_setting.external_url)}/{project.path}/-/merge_requests/{shown.iid}",
    }


PROJECT_ROUTES: list[Route] = [
    ("GET", "/merge_requests", list_requests),
    ("POST", "/merge_requests", create_request),
    ("GET", r"/merge_requests/(\d+)", show_request),
    ("PUT", r"/merge_requests/(\d+)", update_request),
    ("GET", r"/merge_requests/(\d+)/pipelines", list_pipelines),
    ("GET", r"/merge_requests/(\d+)/notes", list_notes),
    ("POST", r"/merge_requests/(\d+)/notes", create_note),
]
