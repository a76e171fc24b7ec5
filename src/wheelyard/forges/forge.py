"""What a verb needs of a forge, and no more, so that a further forge is two small classes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping  # noqa: TC003 - a field of a dataclass
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Generic, Literal, Protocol, TypeVar

from wheelyard.core.digests import sha256_bytes, sha256_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_KEY = re.compile(r"[a-z0-9]+([-/][a-z0-9]+)*\Z")
_CUT = "\n\n*(cut: the rest is too long for this place)*"
_ISSUE = re.compile(r"<!-- wheelyard: (\S+) -->")

IssueAction = Literal["open", "update", "keep", "close", "none"]
ProposalAction = Literal["open", "update", "keep", "close", "none", "moot", "declined", "foreign"]
Action_co = TypeVar("Action_co", bound=str, covariant=True)


@dataclass(frozen=True)
class Change(Generic[Action_co]):
    """What became of an issue or of a proposal; in a dry run, what would become of it.

    Attributes:
        action: ``open``, ``update`` and ``close`` are what was done; ``keep`` if it says already what it should,
            ``none`` if there was none to close. Of proposals only: ``moot`` if the base branch has all of it (one
            that was open is closed), ``declined`` if a person closed the request for the same content, and
            ``foreign`` if a person has pushed to its branch: then all of it is left to them.
        url: where it is; empty where there is none, or would be none yet.
    """

    action: Action_co
    url: str = ""


@dataclass(frozen=True)
class Merge:
    """How a proposal's files are joined with what others have put there.

    Attributes:
        olds: what each file was when ours was made from it, by path; None where there was none.
        join: of a path, the old content, and both sides', what has the changes of both.
    """

    olds: Mapping[str, bytes | None]
    join: Callable[[str, bytes | None, bytes | None, bytes | None], bytes | None]


@dataclass(frozen=True)
class Proposal:
    """A change to files of the repository that people are asked to merge.

    Attributes:
        key: what it is found by again, such as ``update/markupsafe``; its branch is ``wheelyard/<key>``.
        title: one line.
        body: Markdown. Longer ones than a forge takes are cut.
        labels: what it bears; made if need be. What people add stays.
        files: content by path in the repository; None deletes.
        merge: how they are joined with what the base branch and an open request have by now; they are as they are
            without it.
    """

    key: str
    title: str
    body: str
    labels: tuple[str, ...]
    files: Mapping[str, bytes | None] = field(hash=False)
    merge: Merge | None = field(default=None, hash=False, compare=False)

    def __post_init__(self) -> None:
        if not _KEY.match(self.key):
            raise ValueError(f"{self.key!r} cannot be a proposal's key")
        for path in self.files:
            pure = PurePosixPath(path)
            if pure.is_absolute() or str(pure) != path or {"..", ".git"} & {part.lower() for part in pure.parts}:
                raise ValueError(f"{path!r} cannot be a proposal's file")

    @property
    def digest(self) -> str:
        """What tells whether two proposals change the same files to the same content: 64 hexadecimal digits."""
        return sha256_value({path: None if data is None else sha256_bytes(data) for path, data in self.files.items()})


@dataclass(frozen=True)
class Open:
    """A proposal of ours that is open.

    Attributes:
        key: as in :class:`Proposal`.
        url: its request.
        title: what the request says at this moment.
    """

    key: str
    url: str
    title: str


class Issues(Protocol):
    """Where issues are: kept rather than filed. One for each key, changed in place, closed when all is well."""

    def upsert_issue(self, key: str, title: str, body: str, labels: Sequence[str]) -> Change[IssueAction]:
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

    def close_issue(self, key: str, comment: str, labels: Sequence[str]) -> Change[IssueAction]:
        """Close the open issue of *key*, if there is one, with a last word.

        Raises:
            CredentialsError: whoever we are may not write issues there.
            NetworkError: the forge does not answer.
        """

    def open_issues(self, labels: Sequence[str]) -> frozenset[str]:
        """Return the keys of all issues of ours that are open and bear *labels*.

        Raises:
            CredentialsError: whoever we are may not see issues there.
            NetworkError: the forge does not answer.
        """


def marked(body: str, mark: str, longest: int) -> str:
    """Return *body* with a mark behind it, cut where both were longer than the *longest* text that a forge takes."""
    room = longest - len(mark) - 2
    return f"{body if len(body) <= room else body[: room - len(_CUT)] + _CUT}\n\n{mark}"


def issue_mark(key: str) -> str:
    """Return what an issue of *key* is found by again: a comment, which people do not see."""
    return f"<!-- wheelyard: {key} -->"


def issue_keys(bodies: Iterable[str]) -> frozenset[str]:
    """Return the keys of the issues that say this."""
    return frozenset(found[-1] for body in bodies if (found := _ISSUE.findall(body)))  # ours is at the end


class Proposals(Protocol):
    """Where merge requests or pull requests are: one for each key, changed in place, closed when moot."""

    def propose(self, proposal: Proposal) -> Change[ProposalAction]:
        """See to it that there is one open request of the proposal's key that says and changes this, and no second.

        It may be broken off anywhere, or run twice at once: the next run finishes, and there is never a double.

        Raises:
            CredentialsError: whoever we are may not push or open requests there.
            ConfigError: there is no such repository or base branch.
            NetworkError: the forge does not answer.
            PublishError: it does not take the branch or the request.
        """

    def push(self, proposal: Proposal) -> Literal["moot", "pushed"]:
        """See to it that the base branch has what the proposal changes, without asking anybody.

        Raises:
            CredentialsError: whoever we are may not push to that branch.
            ConfigError: there is no such repository or base branch.
            NetworkError: the forge does not answer.
            PublishError: it does not take the commit.
        """

    def withdraw(self, key: str, comment: str) -> Change[ProposalAction]:
        """Close the open request of *key*, if there is one, with a last word, and delete its branch.

        Raises:
            CredentialsError: whoever we are may not do so.
            ConfigError: there is no such repository or base branch.
            NetworkError: the forge does not answer.
        """

    def proposals(self) -> tuple[Open, ...]:
        """Return all of ours that are open, the oldest first.

        Raises:
            CredentialsError: whoever we are may not see them.
            NetworkError: the forge does not answer.
        """


class Forge(Issues, Proposals, Protocol):
    """Where both are."""


# ------------------------------------------------------- what one forge's API can do with requests


@dataclass(frozen=True)
class Request:
    """A merge request or pull request from a branch of the repository itself, never from a fork.

    Attributes:
        number: by which the forge knows it; a later one has a larger one.
        url: its page.
        branch: where its changes are.
        head: the last commit of it that the request had.
        state: whether anybody has decided.
        title, body, labels: what it says.
    """

    number: int
    url: str
    branch: str
    head: str
    state: Literal["open", "closed", "merged"]
    title: str
    body: str
    labels: frozenset[str]


class TakenError(Exception):
    """The forge says that the branch has an open request already."""


class Requests(Protocol):
    """One forge's API for requests, as it is; :class:`~wheelyard.forges.change_requests.Proposer` decides."""

    @property
    def longest_body(self) -> int:
        """How many characters a body may have."""

    @property
    def longest_title(self) -> int:
        """How many characters a title may have."""

    def inert(self, text: str) -> str:
        """Return Markdown that gives the forge no commands, whatever it quotes."""

    def of(self, branch: str) -> list[Request]:
        """Return every request of *branch*, whatever its state, the oldest first."""

    def all_open(self) -> list[Request]:
        """Return every open request, the oldest first."""

    def create(self, branch: str, base: str, title: str, body: str, labels: Sequence[str]) -> Request:
        """Open a request to merge *branch* into *base*.

        Raises:
            TakenError: there is an open one already.
        """

    def update(self, request: Request, title: str, body: str, labels: Sequence[str]) -> None:
        """Change what a request says; *labels* are added to those that it has."""

    def close(self, request: Request) -> None:
        """Close a request without merging it."""

    def comment(self, request: Request, text: str) -> None:
        """Say something below a request."""
