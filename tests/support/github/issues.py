"""Issues, pull requests, labels and comments (rest/issues/issues, rest/pulls/pulls, rest/issues/labels, …/comments)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from support.github.state import Pull
from support.gitlab.wire import HaltError, as_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.github.state import GitHub, Issue, Repository
    from support.gitlab.wire import Answer

Params = dict[str, Any]
_LONGEST_BODY = 65_536  # in GitHub's answers: "body is too long (maximum is 65536 characters)"
_LONGEST_TITLE = 256


def _invalid(resource: str, **error: str) -> HaltError:
    """Return 422 (rest/using-the-rest-api/troubleshooting-the-rest-api, "Validation failed")."""
    return HaltError(as_json({"message": "Validation Failed", "errors": [{"resource": resource, **error}]}, 422))


def list_issues(github: GitHub, site: str, params: Params) -> list[object]:
    """List issues, the newest first; pull requests are among them. `labels` must all be there."""
    wanted = {label for label in params.get("labels", "").split(",") if label}
    state = params.get("state", "open")
    rows = reversed(github.repository.issues.values())
    return [_issue(github, site, each) for each in rows if state in {"all", each.state} and wanted <= set(each.labels)]


def create_issue(github: GitHub, site: str, params: Params) -> Answer:
    made = github.add(_title(params), _body(params))
    _label(github.repository, made, params.get("labels", []))
    return as_json(_issue(github, site, made), 201)


def update_issue(github: GitHub, site: str, params: Params, number: int) -> object:
    return _issue(github, site, _change(github, params, _find(github, number)))


def add_labels(github: GitHub, _site: str, params: Params, number: int) -> Answer:
    """Add labels to those that are there; unknown ones are made."""
    issue = _find(github, number)
    _label(github.repository, issue, params["labels"])
    return as_json([{"name": label} for label in issue.labels])


def create_comment(github: GitHub, _site: str, params: Params, number: int) -> Answer:
    _find(github, number).comments.append(_body(params))
    return as_json({"id": number, "body": params["body"]}, 201)


def list_pulls(github: GitHub, site: str, params: Params) -> list[object]:
    """List pull requests, the newest first; `head` is `owner:branch`, and those of forks are listed without it."""
    owner, _, branch = params.get("head", "").partition(":")
    state, base = params.get("state", "open"), params.get("base", "")
    found: list[object] = []
    for each in reversed(github.repository.issues.values()):
        if each.pull is None or state not in {"all", each.state} or base not in {"", each.pull.base}:
            continue
        if not branch or (each.pull.head == branch and each.pull.source.partition("/")[0] == owner):
            found.append(_pull(github, site, each))
    return found


def create_pull(github: GitHub, site: str, params: Params) -> Answer:
    """Open a pull request; one of the same two branches that is open already is not opened again.

    The words of the errors are those of GitHub's answers, as google/go-github#1441 and others have them on record.
    """
    repository = github.repository
    title, body, head, base = _title(params), _body(params), params["head"], params["base"]
    if not repository.git.tip(head):
        raise _invalid("PullRequest", field="head", code="invalid")
    if not repository.git.tip(base):
        raise _invalid("PullRequest", field="base", code="invalid")
    for each in repository.issues.values():
        same = each.pull and (each.pull.head, each.pull.base, each.pull.source) == (head, base, repository.name)
        if same and each.state == "open":
            text = f"A pull request already exists for {repository.owner}:{head}."
            raise _invalid("PullRequest", code="custom", message=text)
    if not repository.git.ahead(head, base):
        raise _invalid("PullRequest", code="custom", message=f"No commits between {base} and {head}")
    made = github.add(title, body, Pull(head, repository.name, base))
    return as_json(_pull(github, site, made), 201)


def update_pull(github: GitHub, site: str, params: Params, number: int) -> object:
    issue = _find(github, number)
    if issue.pull is None:
        raise HaltError(as_json({"message": "Not Found"}, 404))
    return _pull(github, site, _change(github, params, issue))


def _find(github: GitHub, number: int) -> Issue:
    issue = github.repository.issues.get(number)
    if issue is None:
        raise HaltError(as_json({"message": "Not Found"}, 404))
    return issue


def _change(_github: GitHub, params: Params, issue: Issue) -> Issue:
    if "title" in params:
        issue.title = _title(params)
    if "body" in params:
        issue.body = _body(params)
    if params.get("state", "open") not in {"open", "closed"}:
        raise _invalid("Issue", field="state", code="invalid")
    if not (issue.pull and issue.pull.merged):
        issue.state = params.get("state", issue.state)
    return issue


def _title(params: Params) -> str:
    title = str(params.get("title") or "")
    if not title:
        raise _invalid("Issue", field="title", code="missing_field")
    if len(title) > _LONGEST_TITLE:
        message = "title is too long (maximum is 256 characters)"
        raise _invalid("Issue", field="title", code="custom", message=message)
    return title


def _body(params: Params) -> str:
    body = str(params.get("body") or "")
    if len(body) > _LONGEST_BODY:
        message = "body is too long (maximum is 65536 characters)"
        raise _invalid("Issue", field="body", code="custom", message=message)
    return body


def _label(repository: Repository, issue: Issue, labels: list[str]) -> None:
    repository.labels |= set(labels)
    issue.labels = list(dict.fromkeys([*issue.labels, *labels]))


def _issue(github: GitHub, site: str, issue: Issue) -> dict[str, object]:
    place = f"{site}/{github.repository.name}/{'pull' if issue.pull else 'issues'}/{issue.number}"
    shown: dict[str, object] = {
        "number": issue.number,
        "title": issue.title,
        "body": issue.body or None,
        "state": issue.state,
        "labels": [{"name": label} for label in issue.labels],
        "html_url": place,
    }
    return shown | ({"pull_request": {"html_url": place}} if issue.pull else {})


def _pull(github: GitHub, site: str, issue: Issue) -> dict[str, object]:
    assert issue.pull
    shown = _issue(github, site, issue)
    del shown["pull_request"]
    if issue.state == "open":  # as it is closed, it keeps the commit that it had last
        issue.pull.sha = github.repository.git.tip(issue.pull.head) or issue.pull.sha
    source = {"full_name": issue.pull.source} if issue.pull.source else None
    return shown | {
        "head": {"ref": issue.pull.head, "repo": source, "sha": issue.pull.sha},
        "base": {"ref": issue.pull.base},
        "merged_at": "2026-11-24T00:00:00Z" if issue.pull.merged else None,
    }


ROUTES: list[tuple[str, str, Callable[..., object]]] = [
    ("GET", "/issues", list_issues),
    ("POST", "/issues", create_issue),
    ("PATCH", r"/issues/(\d+)", update_issue),
    ("POST", r"/issues/(\d+)/labels", add_labels),
    ("POST", r"/issues/(\d+)/comments", create_comment),
    ("GET", "/pulls", list_pulls),
    ("POST", "/pulls", create_pull),
    ("PATCH", r"/pulls/(\d+)", update_pull),
]
