"""Issues and pull requests of one GitHub repository (https://docs.github.com/en/rest)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wheelyard.core.errors import NetworkError, WheelyardError
from wheelyard.forges import github_api
from wheelyard.forges.forge import (
    ActionResult,
    AlreadyOpenError,
    IssueAction,
    PostedRequest,
    issue_keys,
    issue_mark,
    marked,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wheelyard.forges.github_api import GitHubApi

_INVALID = 422
# Not in GitHub's documentation, but in its answers: "body is too long (maximum is 65536 characters)".
_LONGEST = 65_536
_TAKEN = "a pull request already exists"


class GitHubIssues:
    """The issues of one GitHub repository. Who may see the repository sees them: GitHub has no confidential ones.

    Args:
        client: the server's API.
        repository: ``owner/name``.
        dry_run: whether to read only and change nothing.
    """

    def __init__(self, client: GitHubApi, repository: str, *, dry_run: bool = False) -> None:
        self._client = client
        self._path = f"repos/{repository}/issues"
        self._dry_run = dry_run

    def upsert_issue(self, key: str, title: str, body: str, labels: Sequence[str]) -> ActionResult[IssueAction]:
        """Open or update the issue."""
        fields = {"title": title, "body": marked(body.rstrip(), issue_mark(key), _LONGEST)}
        issues = self._open(key, labels)
        if not issues:
            if self._dry_run:
                return ActionResult("open")
            created = self._client.ask("POST", self._path, fields | {"labels": list(labels)})
            # Two runs at once may both find none: both then keep the older issue.
            return ActionResult("open", self._one(self._open(key, labels) or [created])["html_url"])
        current = all(issues[0][name] == text for name, text in fields.items())
        if not self._dry_run:
            issue = self._one(issues)
            if not current:
                self._client.ask("PATCH", f"{self._path}/{issue['number']}", fields)
        return ActionResult("keep" if current else "update", issues[0]["html_url"])

    def close_issue(self, key: str, comment: str, labels: Sequence[str]) -> ActionResult[IssueAction]:
        """Close the issue, and every double of it."""
        issues = self._open(key, labels)
        if not self._dry_run:
            for issue in issues:
                self._close(issue, comment)
        return ActionResult("close", issues[0]["html_url"]) if issues else ActionResult("none")

    def open_issues(self, labels: Sequence[str]) -> frozenset[str]:
        """Return the keys of the open issues."""
        return issue_keys(entry["body"] or "" for entry in self._listed(labels))

    def _open(self, key: str, labels: Sequence[str]) -> list[dict[str, Any]]:
        """Return the open issues of *key*, the oldest first."""
        matches = [entry for entry in self._listed(labels) if issue_mark(key) in (entry["body"] or "")]
        return sorted(matches, key=lambda issue: int(issue["number"]))

    def _listed(self, labels: Sequence[str]) -> list[dict[str, Any]]:
        """Return all open issues; GitHub lists pull requests among them."""
        listed = self._client.pages(self._path, state="open", labels=",".join(labels))
        return [entry for entry in listed if "pull_request" not in entry]

    def _one(self, issues: list[dict[str, Any]]) -> dict[str, Any]:
        oldest, *doubles = issues
        for issue in doubles:
            self._close(issue, f"A double of #{oldest['number']}.")
        return oldest

    def _close(self, issue: dict[str, Any], comment: str) -> None:
        self._client.ask("POST", f"{self._path}/{issue['number']}/comments", {"body": comment})
        self._client.ask("PATCH", f"{self._path}/{issue['number']}", {"state": "closed"})


class GitHubPullRequests:
    """The pull requests of one GitHub repository.

    Args:
        client: the server's API.
        repository: ``owner/name``.
    """

    longest_body = _LONGEST
    longest_title = 256

    def __init__(self, client: GitHubApi, repository: str) -> None:
        self._client = client
        self._repository = repository
        self._owner = repository.partition("/")[0]
        self._path = f"repos/{repository}"

    def inert(self, text: str) -> str:
        """Return *text*: GitHub takes no commands from it."""
        return text

    def of_branch(self, branch: str) -> list[PostedRequest]:
        """Return every pull request of a branch of the repository itself: forks may have one of the same name."""
        return [entry for entry in self._list(state="all", head=f"{self._owner}:{branch}") if entry.branch == branch]

    def all_open(self) -> list[PostedRequest]:
        """Return every open pull request from a branch of the repository itself."""
        return self._list(state="open")

    def _list(self, **query: str) -> list[PostedRequest]:
        listed = list(self._client.pages(f"{self._path}/pulls", **query))
        own = [_request(entry) for entry in listed if self._is_own(entry)]
        return sorted(own, key=lambda request: request.number)

    def _is_own(self, entry: dict[str, Any]) -> bool:
        # A fork that was deleted leaves null behind.
        repository = entry["head"].get("repo") or {}
        return str(repository.get("full_name", "")).lower() == self._repository.lower()

    def create(self, branch: str, base: str, title: str, body: str, labels: Sequence[str]) -> PostedRequest:
        """Open a pull request, and label it: GitHub takes labels in a second step only.

        Raises:
            AlreadyOpenError: there is an open one already (422).
        """
        fields = {"head": branch, "base": base, "title": title, "body": body, "maintainer_can_modify": True}
        try:
            created = _request(self._client.ask("POST", f"{self._path}/pulls", fields))
        except WheelyardError as error:
            if github_api.status(error) == _INVALID and any(_TAKEN in line.lower() for line in error.details):
                raise AlreadyOpenError(branch) from error
            raise
        self._label(created, labels)
        return created

    def update(self, request: PostedRequest, title: str, body: str, labels: Sequence[str]) -> None:
        """Change title and body, and add labels."""
        self._client.ask("PATCH", f"{self._path}/pulls/{request.number}", {"title": title, "body": body})
        self._label(request, [label for label in labels if label not in request.labels])

    def close(self, request: PostedRequest) -> None:
        """Close the request; a closed one stays closed."""
        self._client.ask("PATCH", f"{self._path}/pulls/{request.number}", {"state": "closed"})

    def comment(self, request: PostedRequest, text: str) -> None:
        """Add a comment; those below a pull request are those of an issue."""
        self._client.ask("POST", f"{self._path}/issues/{request.number}/comments", {"body": text})

    def _label(self, request: PostedRequest, labels: Sequence[str]) -> None:
        if labels:
            self._client.ask("POST", f"{self._path}/issues/{request.number}/labels", {"labels": list(labels)})


def _request(entry: Any) -> PostedRequest:
    try:
        return PostedRequest(
            number=int(entry["number"]),
            url=str(entry["html_url"]),
            branch=str(entry["head"]["ref"]),
            head=str(entry["head"]["sha"]),
            state="merged" if entry.get("merged_at") else "open" if entry["state"] == "open" else "closed",
            title=str(entry["title"]),
            body=str(entry["body"] or ""),
            labels=frozenset(str(label["name"]) for label in entry["labels"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise NetworkError("the answer is not one of GitHub's") from error
