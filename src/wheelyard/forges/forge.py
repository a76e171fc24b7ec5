"""The seam to a forge: issues and change requests. A further forge is two small classes."""

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
RequestAction = Literal["open", "update", "keep", "close", "none", "moot", "declined", "foreign"]
Action_co = TypeVar("Action_co", bound=str, covariant=True)


@dataclass(frozen=True)
class ActionResult(Generic[Action_co]):
    """The action on an issue or change request; in a dry run, the action that would be.

    Attributes:
        action: ``open``, ``update`` and ``close`` were done; ``keep`` if it is up to date,
            ``none`` if there was none to close. Of change requests only: ``moot`` if the base branch has all of it (one
            that was open is closed), ``declined`` if a person closed the request for the same content, and
            ``foreign`` if a person has pushed to its branch: then all of it is left to them.
        url: its page; empty where there is none, or would be none yet.
    """

    action: Action_co
    url: str = ""


@dataclass(frozen=True)
class Merge:
    """How a change request's files are joined with what others have put there.

    Attributes:
        olds: what each file was when ours was made from it, by path; None where there was none.
        join: of a path, the old content, and both sides', what has the changes of both.
    """

    olds: Mapping[str, bytes | None]
    join: Callable[[str, bytes | None, bytes | None, bytes | None], bytes | None]


@dataclass(frozen=True)
class ChangeRequest:
    """A change of files of the repository for people to merge: a merge request or pull request.

    Attributes:
        key: its name, such as ``update/markupsafe``, by which the next run finds it; its branch is ``wheelyard/<key>``.
        title: one line.
        body: Markdown, cut at the forge's limit.
        labels: its labels, made if need be. Labels that people add stay.
        files: content by path in the repository; None deletes.
        merge: how they are joined with the base branch and an open request; None replaces these.
    """

    key: str
    title: str
    body: str
    labels: tuple[str, ...]
    files: Mapping[str, bytes | None] = field(hash=False)
    merge: Merge | None = field(default=None, hash=False, compare=False)

    def __post_init__(self) -> None:
        if not _KEY.match(self.key):
            raise ValueError(f"{self.key!r} cannot be a change request's key")
        for path in self.files:
            pure = PurePosixPath(path)
            if pure.is_absolute() or str(pure) != path or {"..", ".git"} & {part.lower() for part in pure.parts}:
                raise ValueError(f"{path!r} cannot be a change request's file")

    @property
    def digest(self) -> str:
        """Digest of the files and their content: 64 hexadecimal digits."""
        return sha256_value({path: None if data is None else sha256_bytes(data) for path, data in self.files.items()})


@dataclass(frozen=True)
class OpenRequest:
    """An open change request of the tool.

    Attributes:
        key: as in :class:`ChangeRequest`.
        url: its page.
        title: its title at this moment.
    """

    key: str
    url: str
    title: str


class Issues(Protocol):
    """Issues of a project: one for each key, updated in place, closed when the problem is solved."""

    def upsert_issue(self, key: str, title: str, body: str, labels: Sequence[str]) -> ActionResult[IssueAction]:
        """Open or update the one issue of *key*.

        Args:
            key: its name, which people do not see.
            title: its title.
            body: Markdown.
            labels: its labels, made if need be.

        Raises:
            CredentialsError: the token may not write issues there.
            NetworkError: the forge does not answer.
        """

    def close_issue(self, key: str, comment: str, labels: Sequence[str]) -> ActionResult[IssueAction]:
        """Close the open issue of *key*, if there is one, with a comment.

        Raises:
            CredentialsError: the token may not write issues there.
            NetworkError: the forge does not answer.
        """

    def open_issues(self, labels: Sequence[str]) -> frozenset[str]:
        """Return the keys of the tool's open issues with *labels*.

        Raises:
            CredentialsError: the token may not read issues there.
            NetworkError: the forge does not answer.
        """


def marked(body: str, mark: str, longest: int) -> str:
    """Return *body* with a mark behind it, cut so that both fit into the *longest* text of a forge."""
    room = longest - len(mark) - 2
    return f"{body if len(body) <= room else body[: room - len(_CUT)] + _CUT}\n\n{mark}"


def issue_mark(key: str) -> str:
    """Return the mark of an issue of *key*: a comment, which people do not see."""
    return f"<!-- wheelyard: {key} -->"


def issue_keys(bodies: Iterable[str]) -> frozenset[str]:
    """Return the keys of the issues with these bodies."""
    return frozenset(keys[-1] for body in bodies if (keys := _ISSUE.findall(body)))  # ours is at the end


class ChangeRequests(Protocol):
    """Change requests of a project: one for each key, updated in place, closed when moot."""

    def propose(self, change: ChangeRequest) -> ActionResult[RequestAction]:
        """Open or update the one request of its key.

        A run may be killed anywhere, or run twice at once: the next run finishes, and there is never a double.

        Raises:
            CredentialsError: the token may not push or open requests there.
            ConfigError: there is no such repository or base branch.
            NetworkError: the forge does not answer.
            PublishError: it refuses the branch or the request.
        """

    def push(self, change: ChangeRequest) -> Literal["moot", "pushed"]:
        """Push the change to the base branch, without a request.

        Raises:
            CredentialsError: the token may not push to that branch.
            ConfigError: there is no such repository or base branch.
            NetworkError: the forge does not answer.
            PublishError: it refuses the commit.
        """

    def withdraw(self, key: str, comment: str) -> ActionResult[RequestAction]:
        """Close the open request of *key*, if there is one, with a comment, and delete its branch.

        Raises:
            CredentialsError: the token may not do so.
            ConfigError: there is no such repository or base branch.
            NetworkError: the forge does not answer.
        """

    def open_requests(self) -> tuple[OpenRequest, ...]:
        """Return the tool's open change requests, the oldest first.

        Raises:
            CredentialsError: the token may not read them.
            NetworkError: the forge does not answer.
        """


class Forge(Issues, ChangeRequests, Protocol):
    """Issues and change requests of a project."""


# ------------------------------------------------------- the API of one forge


@dataclass(frozen=True)
class PostedRequest:
    """A change request as the forge has it, from a branch of the repository itself, never from a fork.

    Attributes:
        number: its number; a later one has a larger one.
        url: its page.
        branch: its source branch.
        head: the last commit of the branch that the request had.
        state: its state.
        title, body, labels: its texts.
    """

    number: int
    url: str
    branch: str
    head: str
    state: Literal["open", "closed", "merged"]
    title: str
    body: str
    labels: frozenset[str]


class AlreadyOpenError(Exception):
    """The branch has an open request already."""


class RequestApi(Protocol):
    """Change requests in one forge's API; :class:`~wheelyard.forges.change_requests.RequestKeeper` has the rules."""

    @property
    def longest_body(self) -> int:
        """How many characters a body may have."""

    @property
    def longest_title(self) -> int:
        """How many characters a title may have."""

    def inert(self, text: str) -> str:
        """Return Markdown that gives the forge no commands, whatever it quotes."""

    def of_branch(self, branch: str) -> list[PostedRequest]:
        """Return every request of *branch*, whatever its state, the oldest first."""

    def all_open(self) -> list[PostedRequest]:
        """Return every open request, the oldest first."""

    def create(self, branch: str, base: str, title: str, body: str, labels: Sequence[str]) -> PostedRequest:
        """Open a request to merge *branch* into *base*.

        Raises:
            AlreadyOpenError: there is an open one already.
        """

    def update(self, request: PostedRequest, title: str, body: str, labels: Sequence[str]) -> None:
        """Change the text of a request; *labels* are added to those that it has."""

    def close(self, request: PostedRequest) -> None:
        """Close a request without merging it."""

    def comment(self, request: PostedRequest, text: str) -> None:
        """Comment on a request."""
