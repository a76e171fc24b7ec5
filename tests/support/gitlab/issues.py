"""Issues and their notes (lib/api/issues.rb, notes.rb)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from support.gitlab import api, auth
from support.gitlab.model import Issue
from support.gitlab.paging import paged
from support.gitlab.tokens import authenticated
from support.gitlab.wire import Answer, HaltError, as_json, message, site

if TYPE_CHECKING:
    from support.gitlab.model import Project, User
    from support.gitlab.state import GitLab
    from support.gitlab.wire import Request, Route


def _labels(given: object) -> list[str]:
    """Return labels from `a,b` or a list, in order and once each."""
    parts = given if isinstance(given, list) else str(given or "").split(",")
    return list(dict.fromkeys(str(part).strip() for part in parts if str(part).strip()))


async def list_issues(gitlab: GitLab, request: Request, key: str) -> Answer:
    """List issues, newest first; `labels` must all be there, `search` looks where `in` says (issues_finder.rb)."""
    caller = auth.identify(gitlab, request, auth.API)
    project = api.find_project(gitlab, caller, key)
    query = request.query
    wanted, words = set(_labels(query.get("labels"))), query.get("search", "").lower().split()
    places = query.get("in", "title,description").split(",")

    def matches(issue: Issue) -> bool:
        text = " ".join(getattr(issue, place) for place in places if place in {"title", "description"}).lower()
        stated = query.get("state", "all") in {"all", issue.state}
        return stated and wanted <= set(issue.labels) and all(word in text for word in words)

    rows = [issue for issue in reversed(project.issues.values()) if matches(issue)]
    return paged(gitlab, request, rows, lambda issue: _entity(gitlab, request, project, issue))


async def show_issue(gitlab: GitLab, request: Request, key: str, iid: str) -> Answer:
    caller = auth.identify(gitlab, request, auth.API)
    project = api.find_project(gitlab, caller, key)
    return as_json(_entity(gitlab, request, project, _issue(project, iid)))


async def create_issue(gitlab: GitLab, request: Request, key: str) -> Answer:
    """Open an issue: whoever may see the project may (`create_issue`)."""
    caller, user = authenticated(gitlab, request)
    project = api.find_project(gitlab, caller, key)
    params = await request.params()
    if "title" not in params:
        return as_json({"error": "title is missing"}, 400)
    if not str(params["title"]).strip():
        return as_json({"message": {"title": ["can't be blank"]}}, 400)
    iid, now = len(project.issues) + 1, gitlab.now()
    title, description = str(params["title"]), str(params.get("description") or "")
    issue = Issue(gitlab.next_id(), iid, user, title, description, _labels(params.get("labels")), now, now)
    project.issues[iid] = issue
    return as_json(_entity(gitlab, request, project, issue), 201)


async def update_issue(gitlab: GitLab, request: Request, key: str, iid: str) -> Answer:
    """Change an issue: its author may, and whoever triages (`update_issue`)."""
    caller, user = authenticated(gitlab, request)
    project = api.find_project(gitlab, caller, key)
    issue = _issue(project, iid)
    if issue.author is not user and not auth.has_role(gitlab, caller, project, "planner"):
        return api.FORBIDDEN
    params = await request.params()
    changes = {"title", "description", "labels", "add_labels", "remove_labels", "state_event"} & set(params)
    if not changes:
        return as_json({"error": "at least one parameter must be provided"}, 400)
    _change(issue, params)
    issue.updated_at = gitlab.now()
    return as_json(_entity(gitlab, request, project, issue))


def _change(issue: Issue, params: dict[str, Any]) -> None:
    issue.title = str(params.get("title", issue.title))
    issue.description = str(params.get("description", issue.description))
    if "labels" in params:
        issue.labels = _labels(params["labels"])
    gone = _labels(params.get("remove_labels"))
    issue.labels = [label for label in _labels(issue.labels + _labels(params.get("add_labels"))) if label not in gone]
    match params.get("state_event"):
        case None:
            pass
        case "close":
            issue.state = "closed"
        case "reopen":
            issue.state = "opened"
        case _:
            raise HaltError(as_json({"error": "state_event does not have a valid value"}, 400))


async def list_notes(gitlab: GitLab, request: Request, key: str, iid: str) -> Answer:
    caller = auth.identify(gitlab, request, auth.API)
    issue = _issue(api.find_project(gitlab, caller, key), iid)
    return paged(gitlab, request, list(reversed(issue.notes)), _note)


async def create_note(gitlab: GitLab, request: Request, key: str, iid: str) -> Answer:
    caller, user = authenticated(gitlab, request)
    issue = _issue(api.find_project(gitlab, caller, key), iid)
    params = await request.params()
    if "body" not in params:
        return as_json({"error": "body is missing"}, 400)
    issue.notes.append((gitlab.next_id(), user, str(params["body"]), gitlab.now()))
    return as_json(_note(issue.notes[-1]), 201)


def _issue(project: Project, iid: str) -> Issue:
    issue = project.issues.get(int(iid))
    if not issue:
        raise HaltError(message(404, "404 Not found"))
    return issue


def _note(note: tuple[int, User, str, Any]) -> dict[str, object]:
    number, user, body, moment = note
    author = {"id": user.id, "username": user.name}
    return {"id": number, "body": body, "author": author, "created_at": moment.isoformat(), "system": False}


def _entity(gitlab: GitLab, request: Request, project: Project, issue: Issue) -> dict[str, object]:
    """As lib/api/entities/issue.rb, the parts that a tool looks at."""
    return {
        "id": issue.id,
        "iid": issue.iid,
        "project_id": project.id,
        "title": issue.title,
        "description": issue.description,
        "state": issue.state,
        "labels": issue.labels,
        "author": {"id": issue.author.id, "username": issue.author.name},
        "created_at": issue.created_at.isoformat(),
        "updated_at": issue.updated_at.isoformat(),
        "user_notes_count": len(issue.notes),
        "web_url": f"{site(request, gitlab.project_setting.external_url)}/{project.path}/-/issues/{issue.iid}",
    }


PROJECT_ROUTES: list[Route] = [
    ("GET", "/issues", list_issues),
    ("POST", "/issues", create_issue),
    ("GET", r"/issues/(\d+)", show_issue),
    ("PUT", r"/issues/(\d+)", update_issue),
    ("GET", r"/issues/(\d+)/notes", list_notes),
    ("POST", r"/issues/(\d+)/notes", create_note),
]
