"""Change requests that are opened, updated and closed by the same rules on every forge.

A run may end between any two steps, and two may be at work at once. So each step reads the state first, the branch is
pushed before its request is opened, and a request is closed last: the next run finds one that is open.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from wheelyard.core.errors import NetworkError
from wheelyard.forges.branches import PREFIX
from wheelyard.forges.forge import ActionResult, AlreadyOpenError, OpenRequest, marked
from wheelyard.io import log

if TYPE_CHECKING:
    from wheelyard.forges.branches import Branches
    from wheelyard.forges.forge import ChangeRequest, PostedRequest, RequestAction, RequestApi

_MARK = re.compile(r"<!-- wheelyard: (\S+) (\S+) -->")
_WITHDRAWN = "withdrawn"  # instead of a digest: the tool has closed it, so no person has declined it


class RequestKeeper:
    """ChangeRequests over one forge's API and one repository's branches.

    Args:
        requests: the forge's API.
        branches: where branches are pushed.
        dry_run: whether to read only and change nothing; *branches* must have the same.
    """

    def __init__(self, requests: RequestApi, branches: Branches, *, dry_run: bool = False) -> None:
        self._requests = requests
        self._branches = branches
        self._dry_run = dry_run

    def propose(self, change: ChangeRequest) -> ActionResult[RequestAction]:
        """Open or update the one request of this key; see :class:`wheelyard.forges.forge.ChangeRequests`."""
        posted = self._requests.of_branch(PREFIX + change.key)
        opened = [request for request in posted if request.state == "open"]
        declined = [request for request in posted if _is_declined(request, change)]
        if not opened and declined and not self._branches.is_moot(change.files, change.merge):
            return ActionResult("declined", declined[-1].url)
        # A commit without any request belongs to a run that is about to open one, or that died before.
        live = bool(opened) or self._branches.tip(change.key) not in {request.head for request in posted}
        written = self._branches.write(change.key, change.files, change.title, change.merge, live=live)
        if written == "foreign":
            return ActionResult("foreign", opened[0].url if opened else "")
        if written == "moot":
            result = self.withdraw(change.key, f"`{self._branches.base}` has all of this by now.")
            return result if result.action == "foreign" else ActionResult("moot", result.url)
        if opened:
            return self._keep(opened, change, pushed=written == "pushed")
        if self._dry_run:
            return ActionResult("open")
        return self._open(change)

    def push(self, change: ChangeRequest) -> Literal["moot", "pushed"]:
        """Push the change to the base branch; see :class:`wheelyard.forges.forge.ChangeRequests`."""
        result = self._branches.push(change.files, change.title, change.merge)
        if not self._dry_run and self._branches.has_landed(change.key, change.merge):
            self.withdraw(change.key, f"`{self._branches.base}` has all of this by now.")
        return result

    def withdraw(self, key: str, comment: str) -> ActionResult[RequestAction]:
        """Close the open request of *key* and delete its branch."""
        opened = [request for request in self._requests.of_branch(PREFIX + key) if request.state == "open"]
        url = opened[0].url if opened else ""
        if self._branches.is_foreign(key):
            return ActionResult("foreign", url)
        if not self._dry_run:
            for request in opened:
                self._bury(request, key, comment)
            self._branches.remove(key)
            # Some forges close it with its branch. This comes last: the next run finds a request that is open.
            for request in opened:
                self._requests.close(request)
        return ActionResult("close", url) if opened else ActionResult("none")

    def open_requests(self) -> tuple[OpenRequest, ...]:
        """Return every open request of the tool."""
        requests = (request for request in self._requests.all_open() if request.branch.startswith(PREFIX))
        return tuple(
            OpenRequest(request.branch.removeprefix(PREFIX), request.url, request.title) for request in requests
        )

    # ----------------------------------------------------------------- steps

    def _open(self, change: ChangeRequest) -> ActionResult[RequestAction]:
        branch, lost = PREFIX + change.key, None
        title, body = self._texts(change)
        try:
            created = [self._requests.create(branch, self._branches.base, title, body, change.labels)]
        except AlreadyOpenError:
            created = []  # of two runs at once the other one was first
        except NetworkError as error:
            created, lost = [], error  # it may have been created all the same
        opened = [request for request in self._requests.of_branch(branch) if request.state == "open"] or created
        if not opened:
            if lost:
                raise lost
            return ActionResult("none")
        result = self._keep(opened, change, pushed=False)
        return ActionResult("open", result.url) if created or lost else result

    def _keep(self, opened: list[PostedRequest], change: ChangeRequest, *, pushed: bool) -> ActionResult[RequestAction]:
        """Update the oldest, and close the others."""
        oldest, *doubles = opened
        title, body = self._texts(change)
        if change.merge:  # runs that add to one request differ in their marks only
            body = body if pushed else f"{_MARK.sub('', body).strip()}\n\n{''.join(_last_mark(oldest))}".strip()
        current = _same(oldest.title, title) and _same(oldest.body, body) and set(change.labels) <= oldest.labels
        if not self._dry_run:
            for double in doubles:
                self._bury(double, change.key, f"A double of {oldest.url}")
                self._requests.close(double)
            if not current:
                self._requests.update(oldest, title, body, change.labels)
        return ActionResult("keep" if current and not pushed else "update", oldest.url)

    def _bury(self, request: PostedRequest, key: str, comment: str) -> None:
        """Add the last comment, once, and a mark that the tool closes it."""
        if _marks(request)[-1:] == [(key, _WITHDRAWN)]:
            return
        self._requests.comment(request, self._requests.inert(comment))
        body = f"{_MARK.sub('', request.body).rstrip()}\n\n{_mark(key, _WITHDRAWN)}"
        self._requests.update(request, request.title, body, ())

    def _texts(self, change: ChangeRequest) -> tuple[str, str]:
        """Return title and body within the forge's limits, with the mark that people do not see."""
        title = " ".join(log.clean(change.title).split())[: self._requests.longest_title]
        mark = _mark(change.key, change.digest)
        body = self._requests.inert(_MARK.sub("", change.body).strip())
        return title, marked(body, mark, self._requests.longest_body)


def _is_declined(request: PostedRequest, change: ChangeRequest) -> bool:
    return request.state == "closed" and _marks(request)[-1:] == [(change.key, change.digest)]


def _mark(key: str, digest: str) -> str:
    return f"<!-- wheelyard: {key} {digest} -->"


def _last_mark(request: PostedRequest) -> list[str]:
    return [_mark(*mark) for mark in _marks(request)[-1:]]


def _marks(request: PostedRequest) -> list[tuple[str, str]]:
    return _MARK.findall(request.body)


def _same(one: str, other: str) -> bool:
    """Return whether two texts are the same but for line ends and blanks at their ends, which forges change."""
    return one.replace("\r\n", "\n").strip() == other.replace("\r\n", "\n").strip()
