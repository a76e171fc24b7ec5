"""A GitLab and a GitHub with one repository each, and what people do there, in the same words."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from support.github import GitHub, Pull
from support.github.app import serve as serve_github
from support.gitlab import GitLab, serve
from support.gitlab.merge_requests import add
from support.remote import Bare
from wheelyard.forges import ChangeRequest, open_forge
from wheelyard.project.config_change_requests import ChangeRequestConfig

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest

    from support.github import Issue
    from support.gitlab import Fault
    from support.gitlab.model import MergeRequest, Project, User
    from wheelyard.forges import Forge

LOCK = "packages/tiny/lock.toml"
KEY, BRANCH = "update/tiny", "wheelyard/update/tiny"
START = {LOCK: "version = 1\n", "recipes/tiny/recipe.toml": "", "README.md": "yard\n"}


@dataclass(frozen=True)
class Shown:
    """A request as people see it, comments included."""

    number: int
    state: str
    title: str
    body: str
    labels: tuple[str, ...]
    branch: str
    comments: tuple[str, ...]


class Place(Protocol):
    """A forge, and who works there.

    Attributes:
        name: which one.
        git: its repository.
        create, list_: what is in the path of a request that opens, or lists, requests.
        policy: site configuration that leads there.
        token: of the tool.
    """

    name: str
    git: Bare
    create: str
    list_: str
    policy: ChangeRequestConfig
    token: str

    def shown(self) -> list[Shown]:
        """Return all requests, the oldest first."""

    def close(self, number: int) -> None:
        """Close one as a person, by its page."""

    def reopen(self, number: int) -> None: ...

    def merge(self, number: int) -> None:
        """Merge one as a person; nothing where there are conflicts."""

    def edit(self, number: int, *, title: str | None = None, body: str | None = None) -> None: ...

    def double(self, title: str, body: str) -> int:
        """Open a second request of the tool's branch, as it comes of a race that the forge lost; return its number."""

    def fork(self, title: str) -> int:
        """Open a request from a stranger's branch of the same name."""

    def fault(self, fault: Fault) -> None: ...

    def heal(self) -> None: ...

    def writes(self) -> int:
        """Return how many requests have arrived that are no GET."""


@contextlib.contextmanager
def opened(place: Place, root: Path, *, dry_run: bool = False, token: str | None = None) -> Iterator[Forge]:
    """Yield the forge of *place* as the tool uses it."""
    with open_forge(place.policy, place.token if token is None else token, root, dry_run=dry_run) as forge:
        yield forge


def proposal(
    version: int, *, body: str = "", labels: tuple[str, ...] = ("wheelyard",), key: str = KEY
) -> ChangeRequest:
    path = f"packages/{key.rpartition('/')[2]}/lock.toml"
    content = f"version = {version}\n".encode()
    name = key.rpartition("/")[2]
    return ChangeRequest(key, f"Update {name} to {version}", body or f"From 1 to {version}.", labels, {path: content})


class GitLabPlace:
    """On GitLab."""

    name = "gitlab"
    ca: Path | None = None
    create = list_ = "/merge_requests$"

    def __init__(self, gitlab: GitLab, project: Project, git: Bare, token: str) -> None:
        self.git, self.gitlab, self.project, self.token = git, gitlab, project, token
        gitlab.repositories[project.id] = git

    def settle(self, url: str) -> None:
        given = {"forge": "gitlab", "url": url, "project": self.project.path, "variable": "T"}
        remote = {} if url.startswith("https:") else {"remote": self.git.url}  # the project's own
        self.policy = ChangeRequestConfig.model_validate(given | remote)

    def shown(self) -> list[Shown]:
        return [
            Shown(
                each.iid,
                each.state.replace("opened", "open"),
                each.title,
                each.description,
                tuple(each.labels),
                each.source_branch,
                tuple(note[2] for note in each.notes),
            )
            for each in self.project.merge_requests.values()
        ]

    def close(self, number: int) -> None:
        self._of(number).state = "closed"

    def reopen(self, number: int) -> None:
        self._of(number).state = "opened"

    def merge(self, number: int) -> None:
        request = self._of(number)
        request.sha = self.git.tip(request.source_branch) or request.sha
        if self.git.tip(request.source_branch) and self.git.merge(request.source_branch):
            request.state = "merged"
            if request.remove_source_branch:
                self.git.delete(request.source_branch)

    def edit(self, number: int, *, title: str | None = None, body: str | None = None) -> None:
        request = self._of(number)
        request.title = request.title if title is None else title
        request.description = request.description if body is None else body

    def double(self, title: str, body: str) -> int:
        made = add(self.gitlab, self.project, self._bot, source=BRANCH, target="main", title=title)
        made.description = body
        return made.iid

    def fork(self, title: str) -> int:
        number = self.double(title, "")
        self._of(number).source_project_id = 4711
        return number

    def fault(self, fault: Fault) -> None:
        self.gitlab.fault(fault)

    def heal(self) -> None:
        self.gitlab.heal()

    def writes(self) -> int:
        return sum(seen.method != "GET" for seen in self.gitlab.requests)

    @property
    def _bot(self) -> User:
        return self.gitlab.tokens[self.token].user

    def _of(self, number: int) -> MergeRequest:
        return self.project.merge_requests[number]


class GitHubPlace:
    """On GitHub."""

    name = "github"
    create = list_ = "/pulls$"

    def __init__(self, github: GitHub, token: str) -> None:
        self.github, self.git, self.token = github, github.repository.git, token

    def settle(self, url: str) -> None:
        name = self.github.repository.name
        given = {"forge": "github", "url": url, "project": name, "remote": self.git.url, "variable": "T"}
        self.policy = ChangeRequestConfig.model_validate(given)

    def shown(self) -> list[Shown]:
        return [
            Shown(
                each.number,
                "merged" if each.pull.merged else each.state,
                each.title,
                each.body,
                tuple(each.labels),
                each.pull.head,
                tuple(each.comments),
            )
            for each in self.github.repository.issues.values()
            if each.pull
        ]

    def close(self, number: int) -> None:
        self._of(number).state = "closed"

    def reopen(self, number: int) -> None:
        """Reopen one; GitHub does not while its branch is gone."""
        pull = self._of(number).pull
        if pull and self.git.tip(pull.head):
            self._of(number).state = "open"

    def merge(self, number: int) -> None:
        pull = self._of(number).pull
        if pull:
            pull.sha = self.git.tip(pull.head) or pull.sha
        if pull and self.git.tip(pull.head) and self.git.merge(pull.head):
            self._of(number).state, pull.merged = "closed", True

    def edit(self, number: int, *, title: str | None = None, body: str | None = None) -> None:
        issue = self._of(number)
        issue.title = issue.title if title is None else title
        issue.body = issue.body if body is None else body

    def double(self, title: str, body: str) -> int:
        return self.github.add(title, body, Pull(BRANCH, self.github.repository.name, "main")).number

    def fork(self, title: str) -> int:
        return self.github.add(title, "", Pull(BRANCH, "stranger/yard", "main")).number

    def fault(self, fault: Fault) -> None:
        self.github.fault(fault)

    def heal(self) -> None:
        self.github.heal()

    def writes(self) -> int:
        return sum(seen.method != "GET" for seen in self.github.requests)

    def _of(self, number: int) -> Issue:
        return self.github.repository.issues[number]


@contextlib.contextmanager
def gitlab_place(root: Path, *, tls: bool = False) -> Iterator[GitLabPlace]:
    """Serve a GitLab whose group token is the tool's; over TLS its repository is there, too, for who may push."""
    gitlab = GitLab(root / "gitlab")
    project = gitlab.add_project("riseproject/python/wheel_builder")
    group = gitlab.group("riseproject/python")
    assert group
    place = GitLabPlace(gitlab, project, Bare(root / "gitlab.git", START), gitlab.add_group_token(group))
    with serve(gitlab, tls=tls) as server:
        place.settle(server.url)
        place.ca = server.ca
        yield place


@contextlib.contextmanager
def github_place(root: Path, patch: pytest.MonkeyPatch) -> Iterator[GitHubPlace]:
    """Serve a GitHub over TLS, by a certificate that is to be trusted."""
    github = GitHub("riseproject/wheel_builder", Bare(root / "github.git", START))
    place = GitHubPlace(github, github.add_token())
    with serve_github(github) as server:
        patch.setenv("REQUESTS_CA_BUNDLE", str(server.ca))
        place.settle(server.url)
        yield place
