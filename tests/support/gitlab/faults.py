"""What can go wrong between a client and GitLab; every fault really happens on the wire."""

from __future__ import annotations

import random
import re
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = Literal[
    "status", "status_after", "unauthorized_mid_body", "reset", "reset_after", "truncate", "drip", "stall", "race",
    "creation_race", "lie", "corrupt", "redirect", "hide",
]  # fmt: skip


@dataclass(frozen=True)
class Fault:
    """One way to go wrong, and for which requests.

    Kinds, in the order in which a request meets them:

    - ``redirect``: 302 to *location*, to which the request's path and query are appended when it ends in no path.
    - ``stall``: for GET and uploads: nothing happens for *seconds*, with an upload's body read and its commit to come;
      then the request is served, whether its client is still there or not (*after*, for all methods: it is served,
      and then nothing happens before the answer).
    - ``unauthorized_mid_body``: 401 when *count* bytes of the body have been read, and the connection is closed.
    - ``status``: the body is read, *status* is answered, nothing is done. 429 says `Retry later` as text.
    - ``reset``: the body is read, the connection is reset (RST), nothing is done.
    - ``creation_race``: an upload gets `Name has already been taken`, and nothing is stored.
    - ``race``: another client stores the same file right before this upload's commit; other bytes with *other*.
    - ``corrupt``: an upload stores *count* zero bytes (0: an empty file) under the true claims; a download serves its
      bytes with one flipped.
    - ``lie``: an index page gives a wrong sha256.
    - ``hide``: an index page leaves out the files that match *files*, for *times* reads.
    - ``status_after``: done, but the answer is *status*.
    - ``reset_after``: done, but the connection is reset instead of an answer.
    - ``truncate``: the answer breaks off after *count* bytes of its body, of more that were announced.
    - ``drip``: the answer's body comes *count* bytes at a time, with *seconds* between.

    Attributes:
        kind: see above.
        method, path: which requests; *path* is searched for in the decoded path, without the query.
        times: for how many requests; for all when None.
        skip: this many requests that fit are spared first.
        probability: how likely each one is hit, drawn from *seed*.
        status: of ``status`` and ``status_after``.
        retry_after: the Retry-After header's value.
        headers: further headers, such as RateLimit-*.
        seconds, count, location, other, files, after: see the kinds.
    """

    kind: Kind
    method: str | None = None
    path: str = ""
    times: int | None = None
    skip: int = 0
    probability: float = 1.0
    seed: int = 0
    status: int = 500
    retry_after: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    count: int = 0
    location: str = ""
    other: bytes | None = None
    files: str = ""
    after: bool = False


class Plan:
    """The faults that are set, and how often each has struck."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._armed: list[_Armed] = []

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._armed.append(_Armed(fault))

    def clear(self) -> None:
        with self._lock:
            self._armed.clear()

    def take(self, method: str, path: str) -> Fault | None:
        """Return the fault that hits this request, and count it."""
        with self._lock:
            return next((each.fault for each in self._armed if each.strikes(method, path)), None)


class _Armed:
    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self._left = fault.times
        self._spared = 0
        self._random = random.Random(fault.seed)  # noqa: S311 - reproducible is what it must be

    def strikes(self, method: str, path: str) -> bool:
        fault = self.fault
        if fault.method not in {None, method} or not re.search(fault.path, path) or self._left == 0:
            return False
        if self._spared < fault.skip:
            self._spared += 1
            return False
        if self._random.random() >= fault.probability:
            return False
        if self._left is not None:
            self._left -= 1
        return True
