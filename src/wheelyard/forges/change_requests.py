"""What becomes of a proposal, the same on every forge.

A run may end between any two steps, and two may be at work at once. So each step looks first, the branch comes before
its request, and what is to be closed stays open, and is therefore found again, until everything else is done.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from wheelyard.core.errors import NetworkError
from wheelyard.forges.branches import PREFIX
from wheelyard.forges.forge import Change, Open, TakenError, marked
from wheelyard.io import log

if TYPE_CHECKING:
    from wheelyard.forges.branches import Branches
    from wheelyard.forges.forge import Proposal, ProposalAction, Request, Requests

_MARK = re.compile(r"<!-- wheelyard: (\S+) (\S+) -->")
_OVER = "withdrawn"  # instead of a digest: we have closed it, so nobody has declined it


class Proposer:
    """Proposals over one forge's API and one repository's branches.

    Args:
        requests: the forge's API.
        branches: where branches are pushed.
        dry_run: whether to look and change nothing; *branches* must know it, too.
    """

    def __init__(self, requests: Requests, branches: Branches, *, dry_run: bool = False) -> None:
        self._requests = requests
        self._branches = branches
        self._dry_run = dry_run

    def propose(self, proposal: Proposal) -> Change[ProposalAction]:
        """See to it that there is one open request that says and changes this; see the port."""
        found = self._requests.of(PREFIX + proposal.key)
        opened = [request for request in found if request.state == "open"]
        declined = [request for request in found if _is_declined(request, proposal)]
        if not opened and declined and not self._branches.is_moot(proposal.files, proposal.merge):
            return Change("declined", declined[-1].url)
        # A commit that no request was ever opened for belongs to a run that is about to, or that died before it could.
        live = bool(opened) or self._branches.tip(proposal.key) not in {request.head for request in found}
        written = self._branches.write(proposal.key, proposal.files, proposal.title, proposal.merge, live=live)
        if written == "foreign":
            return Change("foreign", opened[0].url if opened else "")
        if written == "moot":
            gone = self.withdraw(proposal.key, f"`{self._branches.base}` has all of this by now.")
            return gone if gone.action == "foreign" else Change("moot", gone.url)
        if opened:
            return self._keep(opened, proposal, pushed=written == "pushed")
        if self._dry_run:
            return Change("open")
        return self._open(proposal)

    def push(self, proposal: Proposal) -> Literal["moot", "pushed"]:
        """Put it onto the base branch; see the port."""
        done = self._branches.push(proposal.files, proposal.title, proposal.merge)
        if not self._dry_run and self._branches.has_landed(proposal.key, proposal.merge):
            self.withdraw(proposal.key, f"`{self._branches.base}` has all of this by now.")
        return done

    def withdraw(self, key: str, comment: str) -> Change[ProposalAction]:
        """Close the open request of *key* and delete its branch; see the port."""
        opened = [request for request in self._requests.of(PREFIX + key) if request.state == "open"]
        url = opened[0].url if opened else ""
        if self._branches.is_foreign(key):
            return Change("foreign", url)
        if not self._dry_run:
            for request in opened:
                self._bury(request, key, comment)
            self._branches.remove(key)
            # Some forges close it as its branch goes. This comes last: what is open is found by the next run.
            for request in opened:
                self._requests.close(request)
        return Change("close", url) if opened else Change("none")

    def proposals(self) -> tuple[Open, ...]:
        """Return all of ours that are open."""
        listed = (request for request in self._requests.all_open() if request.branch.startswith(PREFIX))
        return tuple(Open(request.branch.removeprefix(PREFIX), request.url, request.title) for request in listed)

    # ----------------------------------------------------------------- steps

    def _open(self, proposal: Proposal) -> Change[ProposalAction]:
        branch, lost = PREFIX + proposal.key, None
        title, body = self._texts(proposal)
        try:
            made = [self._requests.create(branch, self._branches.base, title, body, proposal.labels)]
        except TakenError:
            made = []  # of two runs at once the other one was first
        except NetworkError as error:
            made, lost = [], error  # it may have been made all the same
        opened = [request for request in self._requests.of(branch) if request.state == "open"] or made
        if not opened:
            if lost:
                raise lost
            return Change("none")
        kept = self._keep(opened, proposal, pushed=False)
        return Change("open", kept.url) if made or lost else kept

    def _keep(self, opened: list[Request], proposal: Proposal, *, pushed: bool) -> Change[ProposalAction]:
        """Have the oldest say what it should, and close the others."""
        kept, *doubles = opened
        title, body = self._texts(proposal)
        if proposal.merge:  # runs that add to one request differ in their marks only
            body = body if pushed else f"{_MARK.sub('', body).strip()}\n\n{''.join(_last_mark(kept))}".strip()
        says = _same(kept.title, title) and _same(kept.body, body) and set(proposal.labels) <= kept.labels
        if not self._dry_run:
            for double in doubles:
                self._bury(double, proposal.key, f"A double of {kept.url}")
                self._requests.close(double)
            if not says:
                self._requests.update(kept, title, body, proposal.labels)
        return Change("keep" if says and not pushed else "update", kept.url)

    def _bury(self, request: Request, key: str, comment: str) -> None:
        """Say the last word, once, and mark that it is we who close it."""
        if _marks(request)[-1:] == [(key, _OVER)]:
            return
        self._requests.comment(request, self._requests.inert(comment))
        body = f"{_MARK.sub('', request.body).rstrip()}\n\n{_mark(key, _OVER)}"
        self._requests.update(request, request.title, body, ())

    def _texts(self, proposal: Proposal) -> tuple[str, str]:
        """Return title and body as the forge takes them, with the mark that people do not see."""
        title = " ".join(log.clean(proposal.title).split())[: self._requests.longest_title]
        mark = _mark(proposal.key, proposal.digest)
        body = self._requests.inert(_MARK.sub("", proposal.body).strip())
        return title, marked(body, mark, self._requests.longest_body)


def _is_declined(request: Request, proposal: Proposal) -> bool:
    return request.state == "closed" and _marks(request)[-1:] == [(proposal.key, proposal.digest)]


def _mark(key: str, what: str) -> str:
    return f"<!-- wheelyard: {key} {what} -->"


def _last_mark(request: Request) -> list[str]:
    return [_mark(*each) for each in _marks(request)[-1:]]


def _marks(request: Request) -> list[tuple[str, str]]:
    return _MARK.findall(request.body)


def _same(one: str, other: str) -> bool:
    """Tell whether two texts are the same but for line ends and blanks at their ends, which forges change."""
    return one.replace("\r\n", "\n").strip() == other.replace("\r\n", "\n").strip()
