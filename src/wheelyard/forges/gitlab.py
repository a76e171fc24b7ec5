"""Issues and merge requests of one GitLab project, through python-gitlab.

A merge request that is opened or pushed to with a group access token starts its pipeline by itself: the token's bot is
a user like any other (GitLab's app/services/merge_requests/after_create_service.rb, refresh_service.rb).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from wheelyard.core.errors import WheelyardError
from wheelyard.forges.forge import Change, IssueAction, Request, TakenError, issue_keys, issue_mark, marked
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
        token: one that may write issues there.
        dry_run: whether to look and change nothing.
        confidential: whether what it says is nobody else's business.
    """

    def __init__(self, url: str, project: str, token: str, *, dry_run: bool = False, confidential: bool = True) -> None:
        self._confidential = confidential
        self._project_path = project
        self._project = _project(url, project, token)
        self._dry_run = dry_run

    def upsert_issue(self, key: str, title: str, body: str, labels: Sequence[str]) -> Change[IssueAction]:
        """Open or change the issue."""
        wanted = {"title": title, "description": marked(_inert(body.rstrip()), issue_mark(key), _LONGEST)}
        with gitlab_api.errors(self._project_path):
            found = self._open(key, labels)
            if not found:
                if self._dry_run:
                    return Change("open")
                made = self._project.issues.create(
                    wanted | {"labels": list(labels), "confidential": self._confidential}
                )
                # Of two runs at once both may find none; both then keep the older of the two.
                return Change("open", self._one(self._open(key, labels) or [made]).web_url)
            if self._dry_run:
                return Change("keep" if _says(found[0], wanted) else "update", found[0].web_url)
            kept = self._one(found)
            if _says(kept, wanted):
                return Change("keep", kept.web_url)
            self._project.issues.update(kept.iid, wanted)
            return Change("update", kept.web_url)

    def close_issue(self, key: str, comment: str, labels: Sequence[str]) -> Change[IssueAction]:
        """Close the issue, and every double of it."""
        with gitlab_api.errors(self._project_path):
            found = self._open(key, labels)
            if not self._dry_run:
                for issue in found:
                    self._close(issue, comment)
        return Change("close", found[0].web_url) if found else Change("none")

    def open_issues(self, labels: Sequence[str]) -> frozenset[str]:
        """Return the keys of those that are open."""
        with gitlab_api.errors(self._project_path):
            return issue_keys(issue.description or "" for issue in self._listed(labels))

    def _open(self, key: str, labels: Sequence[str]) -> list[ProjectIssue]:
        """Return the open issues of *key*, the oldest first; there should be no more than one."""
        mine = [issue for issue in self._listed(labels) if issue_mark(key) in (issue.description or "")]
        return sorted(mine, key=lambda issue: int(issue.iid))

    def _listed(self, labels: Sequence[str]) -> list[ProjectIssue]:
        return list(self._project.issues.list(iterator=True, state="opened", labels=list(labels), per_page=100))

    def _one(self, found: list[ProjectIssue]) -> ProjectIssue:
        kept, *doubles = found
        for issue in doubles:
            self._close(issue, f"A double of #{kept.iid}.")
        return kept

    def _close(self, issue: ProjectIssue, comment: str) -> None:
        issue.notes.create({"body": comment})
        self._project.issues.update(issue.iid, {"state_event": "close"})


class GitLabRequests:
    """The merge requests of one GitLab project (lib/api/merge_requests.rb).

    Args:
        url: the server.
        project: the project's path or number.
        token: one that may open merge requests there.
    """

    longest_body = _LONGEST
    longest_title = 255

    def __init__(self, url: str, project: str, token: str) -> None:
        self._path = project
        self._project = _project(url, project, token)

    def inert(self, text: str) -> str:
        """Return *text* without quick actions."""
        return _inert(text)

    def of(self, branch: str) -> list[Request]:
        """Return every merge request of a branch of the project itself: forks may have one of the same name."""
        return self._list(source_branch=branch)

    def all_open(self) -> list[Request]:
        """Return every open merge request from a branch of the project itself."""
        return self._list(state="opened")

    def _list(self, **query: str) -> list[Request]:
        with gitlab_api.errors(self._path):
            listed = list(self._project.mergerequests.list(iterator=True, per_page=100, **query))
        own = [_request(each) for each in listed if each.source_project_id == each.target_project_id]
        return sorted(own, key=lambda request: request.number)

    def create(self, branch: str, base: str, title: str, body: str, labels: Sequence[str]) -> Request:
        """Open a merge request whose branch goes when it is merged.

        Raises:
            TakenError: there is an open one already (409).
        """
        wanted = {
            "source_branch": branch,
            "target_branch": base,
            "title": title,
            "description": body,
            "labels": list(labels),
            "remove_source_branch": True,
        }
        try:
            with gitlab_api.errors(self._path):
                return _request(self._project.mergerequests.create(wanted))
        except WheelyardError as error:
            if gitlab_api.status(error) == _TAKEN:
                raise TakenError(branch) from error
            raise

    def update(self, request: Request, title: str, body: str, labels: Sequence[str]) -> None:
        """Change title and description, and add labels."""
        wanted: dict[str, Any] = {"title": title, "description": body}
        if labels:
            wanted["add_labels"] = ",".join(labels)
        with gitlab_api.errors(self._path):
            self._project.mergerequests.update(request.number, wanted)

    def close(self, request: Request) -> None:
        """Close it; one that is closed stays so."""
        with gitlab_api.errors(self._path):
            self._project.mergerequests.update(request.number, {"state_event": "close"})

    def comment(self, request: Request, text: str) -> None:
        """Add a note."""
        with gitlab_api.errors(self._path):
            self._project.mergerequests.get(request.number, lazy=True).notes.create({"body": text})


def _request(given: ProjectMergeRequest) -> Request:
    return Request(
        number=int(given.iid),
        url=str(given.web_url),
        branch=str(given.source_branch),
        head=str(given.sha or ""),
        state=_STATES.get(str(given.state), "open"),
        title=str(given.title),
        body=str(given.description or ""),
        labels=frozenset(map(str, given.labels)),
    )


def _says(issue: ProjectIssue, wanted: dict[str, Any]) -> bool:
    return all(getattr(issue, name) == text for name, text in wanted.items())
