"""Issues and merge requests of one GitLab project, through python-gitlab.

A merge request that is opened or pushed to with a group access token starts its pipeline by itself: the token's bot is
a user like any other (GitLab's app/services/merge_requests/after_create_service.rb, refresh_service.rb).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from wheelyard.core.errors import WheelyardError
from wheelyard.forges.forge import (
    ActionResult,
    AlreadyOpenError,
    IssueAction,
    PostedRequest,
    issue_keys,
    issue_mark,
    marked,
)
from wheelyard.registries.gitlab import gitlab_api

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Literal

    from gitlab.v4.objects import Project, ProjectIssue, ProjectMergeRequest

_TAKEN = 409
_LONGEST = 1 << 20  # characters of a description (app/models/concerns/issuable.rb)
_STATES: dict[str, Literal["open", "closed", "merged"]] = {
    "opened": "open",
    "locked": "open",  # while it is being merged
    "closed": "closed",
    "merged": "merged",
}
# A line that begins like this is a command (lib/gitlab/quick_actions/extractor.rb): what we quote must not give any.
_COMMAND = re.compile(r"^([ \t]*)/(?=[a-z])", re.MULTILINE | re.IGNORECASE)


def _project(url: str, path: str, token: str) -> Project:
    return gitlab_api.client(url, token=token).projects.get(path, lazy=True)


def _inert(text: str) -> str:
    return _COMMAND.sub(r"\1\\/", text)


class GitLabIssues:
    """The issues of one GitLab project.

    Args:
        url: the server.
        project: the project's path or number.
        token: a token that may write issues there.
        dry_run: whether to read only and change nothing.
        confidential: whether the issues are confidential.
    """

    def __init__(self, url: str, project: str, token: str, *, dry_run: bool = False, confidential: bool = True) -> None:
        self._confidential = confidential
        self._project_path = project
        self._project = _project(url, project, token)
        self._dry_run = dry_run

    def upsert_issue(self, key: str, title: str, body: str, labels: Sequence[str]) -> ActionResult[IssueAction]:
        """Open or update the issue."""
        fields = {"title": title, "description": marked(_inert(body.rstrip()), issue_mark(key), _LONGEST)}
        with gitlab_api.errors(self._project_path):
            issues = self._open(key, labels)
            if not issues:
                if self._dry_run:
                    return ActionResult("open")
                created = self._project.issues.create(
                    fields | {"labels": list(labels), "confidential": self._confidential}
                )
                # Two runs at once may both find none: both then keep the older issue.
                return ActionResult("open", self._one(self._open(key, labels) or [created]).web_url)
            if self._dry_run:
                return ActionResult("keep" if _is_current(issues[0], fields) else "update", issues[0].web_url)
            issue = self._one(issues)
            if _is_current(issue, fields):
                return ActionResult("keep", issue.web_url)
            self._project.issues.update(issue.iid, fields)
            return ActionResult("update", issue.web_url)

    def close_issue(self, key: str, comment: str, labels: Sequence[str]) -> ActionResult[IssueAction]:
        """Close the issue, and every double of it."""
        with gitlab_api.errors(self._project_path):
            issues = self._open(key, labels)
            if not self._dry_run:
                for issue in issues:
                    self._close(issue, comment)
        return ActionResult("close", issues[0].web_url) if issues else ActionResult("none")

    def open_issues(self, labels: Sequence[str]) -> frozenset[str]:
        """Return the keys of the open issues."""
        with gitlab_api.errors(self._project_path):
            return issue_keys(issue.description or "" for issue in self._listed(labels))

    def _open(self, key: str, labels: Sequence[str]) -> list[ProjectIssue]:
        """Return the open issues of *key*, the oldest first; there should be no more than one."""
        matches = [issue for issue in self._listed(labels) if issue_mark(key) in (issue.description or "")]
        return sorted(matches, key=lambda issue: int(issue.iid))

    def _listed(self, labels: Sequence[str]) -> list[ProjectIssue]:
        return list(self._project.issues.list(iterator=True, state="opened", labels=list(labels), per_page=100))

    def _one(self, issues: list[ProjectIssue]) -> ProjectIssue:
        oldest, *doubles = issues
        for issue in doubles:
            self._close(issue, f"A double of #{oldest.iid}.")
        return oldest

    def _close(self, issue: ProjectIssue, comment: str) -> None:
        issue.notes.create({"body": comment})
        self._project.issues.update(issue.iid, {"state_event": "close"})


class GitLabMergeRequests:
    """The merge requests of one GitLab project (lib/api/merge_requests.rb).

    Args:
        url: the server.
        project: the project's path or number.
        token: a token that may open merge requests there.
    """

    longest_body = _LONGEST
    longest_title = 255

    def __init__(self, url: str, project: str, token: str) -> None:
        self._path = project
        self._project = _project(url, project, token)

    def inert(self, text: str) -> str:
        """Return *text* without quick actions."""
        return _inert(text)

    def of_branch(self, branch: str) -> list[PostedRequest]:
        """Return every merge request of a branch of the project itself: forks may have one of the same name."""
        return self._list(source_branch=branch)

    def all_open(self) -> list[PostedRequest]:
        """Return every open merge request from a branch of the project itself."""
        return self._list(state="opened")

    def _list(self, **query: str) -> list[PostedRequest]:
        with gitlab_api.errors(self._path):
            listed = list(self._project.mergerequests.list(iterator=True, per_page=100, **query))
        own = [_request(entry) for entry in listed if entry.source_project_id == entry.target_project_id]
        return sorted(own, key=lambda request: request.number)

    def create(self, branch: str, base: str, title: str, body: str, labels: Sequence[str]) -> PostedRequest:
        """Open a merge request whose branch goes when it is merged.

        Raises:
            AlreadyOpenError: there is an open one already (409).
        """
        fields = {
            "source_branch": branch,
            "target_branch": base,
            "title": title,
            "description": body,
            "labels": list(labels),
            "remove_source_branch": True,
        }
        try:
            with gitlab_api.errors(self._path):
                return _request(self._project.mergerequests.create(fields))
        except WheelyardError as error:
            if gitlab_api.status(error) == _TAKEN:
                raise AlreadyOpenError(branch) from error
            raise

    def update(self, request: PostedRequest, title: str, body: str, labels: Sequence[str]) -> None:
        """Change title and description, and add labels."""
        fields: dict[str, Any] = {"title": title, "description": body}
        if labels:
            fields["add_labels"] = ",".join(labels)
        with gitlab_api.errors(self._path):
            self._project.mergerequests.update(request.number, fields)

    def close(self, request: PostedRequest) -> None:
        """Close the request; a closed one stays closed."""
        with gitlab_api.errors(self._path):
            self._project.mergerequests.update(request.number, {"state_event": "close"})

    def comment(self, request: PostedRequest, text: str) -> None:
        """Add a note."""
        with gitlab_api.errors(self._path):
            self._project.mergerequests.get(request.number, lazy=True).notes.create({"body": text})


def _request(entry: ProjectMergeRequest) -> PostedRequest:
    return PostedRequest(
        number=int(entry.iid),
        url=str(entry.web_url),
        branch=str(entry.source_branch),
        head=str(entry.sha or ""),
        state=_STATES.get(str(entry.state), "open"),
        title=str(entry.title),
        body=str(entry.description or ""),
        labels=frozenset(map(str, entry.labels)),
    )


def _is_current(issue: ProjectIssue, fields: dict[str, Any]) -> bool:
    return all(getattr(issue, name) == text for name, text in fields.items())
