"""The one retry policy: which failures pass by themselves, how often a request is sent again, and after how long."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from wheelyard.core.errors import NetworkError, WheelyardError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from requests import Response
    from urllib3.util import Retry

READS = 3  # retries of a request that reads
UPLOADS = 7  # retries of one step of a long upload or copy
_STRANGER = 2  # retries where the server was never reached: an address that is wrong, a server that is down
_PAUSE = 0.2  # seconds; doubled with each further retry
_LONGEST_PAUSE = 10.0
_LONGEST_WAIT = 120.0  # seconds that a server may ask us to wait
_BROKEN = 500
_PASSING = frozenset({408, 425, 429})  # beside all that begin with 5, those of proxies in front included
_NUMBER = re.compile(r"[0-9]{1,12}")


class UnansweredError(Exception):
    """A request without an answer that counts: a time-out, a reset, an answer cut short, a busy server.

    Whether the server has done what it was asked is not known. Not a
    :class:`~wheelyard.core.errors.WheelyardError`: the caller may have to check before it reports anything.

    Attributes:
        answer: the answer of a busy or broken server; None if none came.
    """

    def __init__(self, text: str, answer: Response | None = None) -> None:
        super().__init__(text)
        self.answer = answer


class UnreachedError(UnansweredError):
    """No connection was made: nothing was sent."""


class Host:
    """What is known of one server while requests are sent to it. Threads may share it, and share its waits.

    Args:
        name: the server's name.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.reached = False
        self._not_before = 0.0
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Wait until the time from which the server takes requests again, if it has sent one."""
        if (wait := self._not_before - time.monotonic()) > 0:
            time.sleep(wait)

    def pause(self, answer: Response | None, seconds: float) -> None:
        """Pause before a retry: at least *seconds*, and for every thread as long as the server asks.

        Raises:
            NetworkError: it asks for more than two minutes.
        """
        wait = asked_wait(answer.headers) if answer is not None else None
        if wait is None:
            time.sleep(seconds)
            return
        if wait > _LONGEST_WAIT:
            raise NetworkError(
                f"{self.name} asks to wait {wait:.0f} seconds",
                fix="run the same command again then: it goes on where it stopped",
            )
        with self._lock:
            self._not_before = max(self._not_before, time.monotonic() + max(wait, seconds))


class Attempt:
    """One of several attempts: a context manager that swallows an error which a retry may mend."""

    def __init__(self, host: Host, action: str, policy: Retry) -> None:
        self.policy = policy
        self._host = host
        self._action = action

    def take(self, answer: Response) -> Response:
        """Return *answer*, unless its status is that of a busy or broken server."""
        if passes(answer.status_code):
            self.again(answer)
        return answer

    def again(self, answer: Response) -> None:
        """Give this attempt up because of *answer*."""
        raise UnansweredError(f"answers {answer.status_code}", answer)

    def __enter__(self) -> None:
        """Begin the attempt."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        """Wait for the next attempt, or turn the last one's failure into an error for people."""
        if not isinstance(error, UnansweredError):
            return False
        from urllib3.exceptions import ConnectTimeoutError, MaxRetryError

        stranger = isinstance(error, UnreachedError) and not self._host.reached
        try:
            self.policy = self.policy.increment("GET", error=ConnectTimeoutError() if stranger else None)
        except MaxRetryError:
            count = len(self.policy.history) + 1
            raise NetworkError(
                f"{self._host.name} does not answer as it should, {count} times in a row",
                details=[f"{self._action}: {error}"],
                fix="run the same command again later: it goes on where it stopped",
            ) from error
        if error.answer is not None:
            error.answer.close()
        self._host.pause(error.answer, self.policy.get_backoff_time())
        return True


def attempts(host: Host, action: str, *, retries: int = READS) -> Iterator[Attempt]:
    """Yield attempts at *action* until one of them succeeds; the last one raises a NetworkError."""
    from urllib3.util import Retry

    policy = Retry(
        total=retries,
        connect=_STRANGER,
        backoff_factor=_PAUSE,
        backoff_max=_LONGEST_PAUSE,
        backoff_jitter=_PAUSE,
    )
    while True:
        attempt = Attempt(host, action, policy)
        yield attempt
        policy = attempt.policy


def passes(status: int) -> bool:
    """Return whether a status is that of a busy or broken server, which may or may not have done its work."""
    return status in _PASSING or status >= _BROKEN


def silent(error: WheelyardError) -> bool:
    """Return whether *error* is that no answer came that counts, after all retries."""
    return isinstance(error.__cause__, UnansweredError)


def unreached(error: WheelyardError) -> bool:
    """Return whether *error* is that no connection was made: further requests to that server fail as well."""
    return isinstance(error.__cause__, UnreachedError)


def asked_wait(headers: Mapping[str, str]) -> float | None:
    """Return how many seconds a server asks us to wait, None if it sends no time.

    ``Retry-After`` is a number of seconds or a date (RFC 9110, 10.2.3). GitLab also sends ``RateLimit-Reset``, in
    seconds since 1970 (lib/gitlab/rack_attack.rb); GitHub sends ``X-RateLimit-Reset`` with every answer, which counts
    when no request is left (rest/using-the-rest-api/rate-limits-for-the-rest-api).
    """
    now = time.time()
    with contextlib.suppress(ValueError, TypeError, OverflowError, OSError):  # the server's clock, if it sends it
        now = parsedate_to_datetime(headers.get("Date", "")).timestamp()
    text = headers.get("Retry-After", "").strip()
    if _NUMBER.fullmatch(text):
        return float(text)
    if text:
        with contextlib.suppress(ValueError, TypeError, OverflowError, OSError):
            return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    reset = headers.get("RateLimit-Reset", "").strip()
    if not reset and headers.get("X-RateLimit-Remaining", "").strip() == "0":
        reset = headers.get("X-RateLimit-Reset", "").strip()
    return max(0.0, float(reset) - now) + 1 if _NUMBER.fullmatch(reset) else None  # all of these are whole seconds
