"""Issues and pull requests of one GitHub repository (https://docs.github.com/en/rest)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wheelyard.core.errors import NetworkError, WheelyardError
from wheelyard.forges import github_api
from wheelyard.forges.forge import Change, IssueAction, Request, TakenError, issue_keys, issue_mark, marked

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
        dry_run: whether to look and change nothing.
    """

    def __init__(self, client: GitHubApi, repository: str, *, dry_run: bool = False) -> None:
        self._client = client
        self._path = f"repos/{repository}/issues"
        self._dry_run = dry_run

    def upsert_issue(self, key: str, title: str, body: str, labels: Sequence[str]) -> Change[IssueAction]:
        """Open or change the issue."""
        wanted = {"title": title, "body": marked(body.rstrip(), issue_mark(key), _LONGEST)}
        found = self._open(key, labels)
        if not found:
            if self._dry_run:
                return Change("open")
            made = self._client.ask("POST", self._path, wanted | {"labels": list(labels)})
            # Of two runs at once both may find none; both then keep the older of the two.
            return Change("open", self._one(self._open(key, labels) or [made])["html_url"])
        says = all(found[0][name] == text for name, text in wanted.items())
        if not self._dry_run:
            kept = self._one(found)
            if not says:
                self._client.ask("PATCH", f"{self._path}/{kept['number']}", wanted)
        return Change("keep" if says else "update", found[0]["html_url"])

    def close_issue(self, key: str, comment: str, labels: Sequence[str]) -> Change[IssueAction]:
        """Close the issue, and every double of it."""
        found = self._open(key, labels)
        if not self._dry_run:
            for issue in found:
                self._close(issue, comment)
        return Change("close", found[0]["html_url"]) if found else Change("none")

    def open_issues(self, labels: Sequence[str]) -> frozenset[str]:
        """Return the keys of those that are open."""
        return issue_keys(each["body"] or "" for each in self._listed(labels))

    def _open(self, key: str, labels: Sequence[str]) -> list[dict[str, Any]]:
        """Return the open issues of *key*, the oldest first."""
        mine = [each for each in self._listed(labels) if issue_mark(key) in (each["body"] or "")]
        return sorted(mine, key=lambda issue: int(issue["number"]))

    def _listed(self, labels: Sequence[str]) -> list[dict[str, Any]]:
        """Return all open issues; GitHub lists pull requests among them."""
        listed = self._client.pages(self._path, state="open", labels=",".join(labels))
        return [each for each in listed if "pull_request" not in each]

    def _one(self, found: list[dict[str, Any]]) -> dict[str, Any]:
        kept, *doubles = found
        for issue in doubles:
            self._close(issue, f"A double of #{kept['number']}.")
        return kept

    def _close(self, issue: dict[str, Any], comment: str) -> None:
        self._client.ask("POST", f"{self._path}/{issue['number']}/comments", {"body": comment})
        self._client.ask("PATCH", f"{self._path}/{issue['number']}", {"state": "closed"})


class GitHubRequests:
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

    def of(self, branch: str) -> list[Request]:
        """Return every pull request of a branch of the repository itself: forks may have one of the same name."""
        return [each for each in self._list(state="all", head=f"{self._owner}:{branch}") if each.branch == branch]

    def all_open(self) -> list[Request]:
        """Return every open pull request from a branch of the repository itself."""
        return self._list(state="open")

    def _list(self, **query: str) -> list[Request]:
        listed = list(self._client.pages(f"{self._path}/pulls", **query))
        own = [_request(each) for each in listed if self._is_own(each)]
        return sorted(own, key=lambda request: request.number)

    def _is_own(self, given: dict[str, Any]) -> bool:
        # A fork that was deleted leaves null behind.
        repository = given["head"].get("repo") or {}
        return str(repository.get("full_name", "")).lower() == self._repository.lower()

    def create(self, branch: str, base: str, title: str, body: str, labels: Sequence[str]) -> Request:
        """Open a pull request, and label it: GitHub takes labels in a second step only.

        Raises:
            TakenError: there is an open one already (422).
        """
        wanted = {"head": branch, "base": base, "title": title, "body": body, "maintainer_can_modify": True}
        try:
            made = _request(self._client.ask("POST", f"{self._path}/pulls", wanted))
        except WheelyardError as error:
            if github_api.status(error) == _INVALID and any(_TAKEN in line.lower() for line in error.details):
                raise TakenError(branch) from error
            raise
        self._label(made, labels)
        return made

    def update(self, request: Request, title: str, body: str, labels: Sequence[str]) -> None:
        """Change title and body, and add labels."""
        self._client.ask("PATCH", f"{self._path}/pulls/{request.number}", {"title": title, "body": body})
        self._label(request, [label for label in labels if label not in request.labels])

    def close(self, request: Request) -> None:
        """Close it; one that is closed stays so."""
        self._client.ask("PATCH", f"{self._path}/pulls/{request.number}", {"state": "closed"})

    def comment(self, request: Request, text: str) -> None:
        """Add a comment; those below a pull request are those of an issue."""
        self._client.ask("POST", f"{self._path}/issues/{request.number}/comments", {"body": text})

    def _label(self, request: Request, labels: Sequence[str]) -> None:
        if labels:
            self._client.ask("POST", f"{self._path}/issues/{request.number}/labels", {"labels": list(labels)})


def _request(given: Any) -> Request:
    try:
        return Request(
            number=int(given["number"]),
            url=str(given["html_url"]),
            branch=str(given["head"]["ref"]),
            head=str(given["head"]["sha"]),
            state="merged" if given.get("merged_at") else "open" if given["state"] == "open" else "closed",
            title=str(given["title"]),
            body=str(given["body"] or ""),
            labels=frozenset(str(label["name"]) for label in given["labels"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise NetworkError("the answer is not one of GitHub's") from error
