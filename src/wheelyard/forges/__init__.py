"""Forges: issues and change requests (merge requests, pull requests) on GitHub and GitLab."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from wheelyard.forges.artifacts import Artifact, Artifacts, GitHubArtifacts, open_artifacts
from wheelyard.forges.branches import PREFIX, Branches, open_branches
from wheelyard.forges.change_requests import RequestKeeper
from wheelyard.forges.forge import (
    ActionResult,
    AlreadyOpenError,
    ChangeRequest,
    ChangeRequests,
    Forge,
    IssueAction,
    Issues,
    Merge,
    OpenRequest,
    PostedRequest,
    RequestAction,
    RequestApi,
)
from wheelyard.forges.github import GitHubIssues, GitHubPullRequests
from wheelyard.forges.github_api import GitHubApi
from wheelyard.forges.gitlab import GitLabIssues, GitLabMergeRequests
from wheelyard.forges.remote import Remote, address
from wheelyard.io import git_program

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from wheelyard.project.config_change_requests import ChangeRequestConfig

__all__ = [
    "PREFIX",
    "ActionResult",
    "AlreadyOpenError",
    "Artifact",
    "Artifacts",
    "Branches",
    "ChangeRequest",
    "ChangeRequests",
    "Forge",
    "GitHubArtifacts",
    "GitHubIssues",
    "GitHubPullRequests",
    "GitLabIssues",
    "GitLabMergeRequests",
    "IssueAction",
    "Issues",
    "Merge",
    "OpenRequest",
    "PostedRequest",
    "Remote",
    "RequestAction",
    "RequestApi",
    "RequestKeeper",
    "address",
    "open_artifacts",
    "open_branches",
    "open_forge",
]
# Git takes any user name with a token; these are the names in the forges' documentation.
_USERS = {"gitlab": "oauth2", "github": "x-access-token"}


class _Forge(RequestKeeper):
    """Issues and change requests of one project."""

    def __init__(self, issues: Issues, requests: RequestApi, branches: Branches, *, dry_run: bool) -> None:
        super().__init__(requests, branches, dry_run=dry_run)
        self._issues = issues

    def upsert_issue(self, key: str, title: str, body: str, labels: Sequence[str]) -> ActionResult[IssueAction]:
        return self._issues.upsert_issue(key, title, body, labels)

    def close_issue(self, key: str, comment: str, labels: Sequence[str]) -> ActionResult[IssueAction]:
        return self._issues.close_issue(key, comment, labels)

    def open_issues(self, labels: Sequence[str]) -> frozenset[str]:
        return self._issues.open_issues(labels)


@contextlib.contextmanager
def open_forge(config: ChangeRequestConfig, token: str, root: Path, *, dry_run: bool = False) -> Iterator[Forge]:
    """Yield the forge that the site configuration names for change requests; nothing is asked yet.

    Args:
        config: ``[tool.wheelyard.change-requests]``.
        token: for its API, and for pushing if that is over https; never in an argument or a file.
        root: the checkout, whose git remotes may be named; nothing in it is changed.
        dry_run: whether to read only and change nothing.

    Raises:
        ConfigError: the checkout has no such git remote.
        DiskError: no space, or no right to write in the cache.
    """
    url = address(config.address, root)
    remote = Remote(url, config.base, git_program.login(url, _USERS[config.forge], token))
    with open_branches(remote, dry_run=dry_run) as branches:
        issues: Issues
        requests: RequestApi
        if config.forge == "gitlab":
            issues = GitLabIssues(config.server, config.project, token, dry_run=dry_run, confidential=False)
            requests = GitLabMergeRequests(config.server, config.project, token)
        else:
            client = GitHubApi(config.server, token, where=config.project)
            issues = GitHubIssues(client, config.project, dry_run=dry_run)
            requests = GitHubPullRequests(client, config.project)
        yield _Forge(issues, requests, branches, dry_run=dry_run)
