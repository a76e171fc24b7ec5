"""What the GitHub in the tests knows: tokens, one repository's issues and pull requests, and faults."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from support.gitlab.faults import Plan

if TYPE_CHECKING:
    from collections.abc import Mapping

    from support.gitlab.faults import Fault
    from support.remote import Bare


@dataclass
class Pull:
    """What makes an issue a pull request.

    Attributes:
        head: its branch.
        source: the full name of the repository that the branch is in; empty for a fork that was deleted.
        base: the branch it is to be merged into.
        merged: whether it was.
        sha: the last commit of its branch while it was open.
    """

    head: str
    source: str
    base: str
    merged: bool = False
    sha: str = ""


@dataclass
class Issue:
    """An issue, or a pull request: they share numbers, labels and comments (rest/issues/issues)."""

    number: int
    title: str
    body: str
    state: str = "open"
    labels: list[str] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    pull: Pull | None = None


@dataclass
class Artifact:
    """What a job of a run has uploaded (rest/actions/artifacts); of a fork's pull request where *fork* is set."""

    number: int
    name: str
    data: bytes
    run: int
    fork: bool = False
    expired: bool = False
    commit: str = "1" * 40


class Seen(NamedTuple):
    """A request that arrived; status 0 when its connection was cut."""

    method: str
    path: str
    status: int
    query: str
    headers: Mapping[str, str]


@dataclass
class Repository:
    """The one repository."""

    name: str
    git: Bare
    issues: dict[int, Issue] = field(default_factory=dict)
    labels: set[str] = field(default_factory=set)

    @property
    def owner(self) -> str:
        return self.name.partition("/")[0]


class GitHub:
    """A server with one repository. Set it up, then ``serve`` it.

    Attributes:
        tokens: what each may do: ``read`` or ``write``.
        requests: what has been asked so far.
        storage: where downloads of artifacts lead to; to the server itself if empty.
    """

    def __init__(self, name: str, git: Bare) -> None:
        self.repository = Repository(name, git)
        self.tokens: dict[str, str] = {}
        self.requests: list[Seen] = []
        self.artifacts: dict[int, Artifact] = {}
        self.plan = Plan()
        self.storage = ""
        self._numbers = itertools.count(1)

    def add_token(self, may: str = "write") -> str:
        token = f"ghp_madeup{len(self.tokens):028}"
        self.tokens[token] = may
        return token

    def add(self, title: str, body: str, pull: Pull | None = None) -> Issue:
        """Open an issue or a pull request."""
        issue = Issue(next(self._numbers), title, body, pull=pull)
        self.repository.issues[issue.number] = issue
        return issue

    def upload(self, name: str, data: bytes, **more: Any) -> Artifact:
        """Keep an artifact; *more* is what else an :class:`Artifact` has."""
        given: dict[str, Any] = {"run": 1} | more
        made = Artifact(next(self._numbers), name, data, **given)
        self.artifacts[made.number] = made
        return made

    def fault(self, fault: Fault) -> None:
        self.plan.add(fault)

    def heal(self) -> None:
        self.plan.clear()
