"""Issues on a forge, kept rather than filed: one for each key, found again, changed in place, closed when all is well.

The port is what a verb needs and no more, so that a further forge is one class.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from wheelyard.io import gitlab

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gitlab.v4.objects import ProjectIssue


@dataclass(frozen=True)
class Change:
    """What became of an issue.

    Attributes:
        action: ``keep`` if it says already what it should, ``none`` if there was none to close.
        url: the issue; empty where there is none, or would be none yet.
    """

    action: Literal["open", "update", "keep", "close", "none"]
    url: str = ""


class Forge(Protocol):
    """Where issues are."""

    def upsert_issue(self, key: str, title: str, body: str, labels: Sequence[str]) -> Change:
        """See to it that there is one open issue of *key* with this title and body, and no second one.

        Args:
            key: what it is found by again, besides *labels*; people do not see it.
            title: its title.
            body: Markdown.
            labels: what it bears; made if need be.

        Raises:
            CredentialsError: whoever we are may not write issues there.
            NetworkError: the forge does not answer.
        """

    def close_issue(self, key: str, comment: str, labels: Sequence[str]) -> Change:
        """Close the open issue of *key*, if there is one, with a last word.

        Raises:
            CredentialsError: whoever we are may not write issues there.
            NetworkError: the forge does not answer.
        """


class GitLabForge:
    """The issues of one GitLab project.

    Args:
        url: the server.
        project: the project's path or number.
        token: one that may write issues there.
        dry_run: whether to look and change nothing.
    """

    def __init__(self, url: str, project: str, token: str, *, dry_run: bool = False) -> None:
        self._project_path = project
        self._project = gitlab.client(url, token=token).projects.get(project, lazy=True)
        self._dry_run = dry_run

    def upsert_issue(self, key: str, title: str, body: str, labels: Sequence[str]) -> Change:
        """Open or change the issue; it is confidential, as what it says is nobody else's business."""
        wanted = {"title": title, "description": f"{body.rstrip()}\n\n{_mark(key)}"}
        with gitlab.errors(self._project_path):
            found = self._open(key, labels)
            if not found:
                if self._dry_run:
                    return Change("open")
                made = self._project.issues.create(wanted | {"labels": list(labels), "confidential": True})
                # Of two runs at once both may find none; both then keep the older of the two.
                return Change("open", self._one(self._open(key, labels) or [made]).web_url)
            if self._dry_run:
                return Change("keep" if _says(found[0], wanted) else "update", found[0].web_url)
            kept = self._one(found)
            if _says(kept, wanted):
                return Change("keep", kept.web_url)
            self._project.issues.update(kept.iid, wanted)
            return Change("update", kept.web_url)

    def close_issue(self, key: str, comment: str, labels: Sequence[str]) -> Change:
        """Close the issue, and every double of it."""
        with gitlab.errors(self._project_path):
            found = self._open(key, labels)
            if not self._dry_run:
                for issue in found:
                    self._close(issue, comment)
        return Change("close", found[0].web_url) if found else Change("none")

    def _open(self, key: str, labels: Sequence[str]) -> list[ProjectIssue]:
        """Return the open issues of *key*, the oldest first; there should be no more than one."""
        listed = self._project.issues.list(iterator=True, state="opened", labels=list(labels), per_page=100)
        mine = [issue for issue in listed if _mark(key) in (issue.description or "")]
        return sorted(mine, key=lambda issue: int(issue.iid))

    def _one(self, found: list[ProjectIssue]) -> ProjectIssue:
        kept, *doubles = found
        for issue in doubles:
            self._close(issue, f"A double of #{kept.iid}.")
        return kept

    def _close(self, issue: ProjectIssue, comment: str) -> None:
        issue.notes.create({"body": comment})
        self._project.issues.update(issue.iid, {"state_event": "close"})


def _mark(key: str) -> str:
    return f"<!-- wheelyard: {key} -->"


def _says(issue: ProjectIssue, wanted: dict[str, Any]) -> bool:
    return all(getattr(issue, name) == text for name, text in wanted.items())
