"""HTTP to a server that knows us: credentials go to its origin only, and no answer is told apart from a bad one.

Redirects are never followed with credentials. Whatever may be asked again without harm is asked again here; what
may not (an upload) is sent once by :meth:`Server.send`, and whoever sent it decides.
"""

from __future__ import annotations

import contextlib
import functools
import random
import re
import threading
import time
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from wheelyard.core.errors import NetworkError
from wheelyard.io import body as bodies
from wheelyard.io import http
from wheelyard.io.body import PATIENCE, Patience

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from requests import PreparedRequest, Response
    from requests.auth import AuthBase

    from wheelyard.core.errors import WheelyardError

ATTEMPTS = 8
_FIRST_ATTEMPTS = 3  # where nobody was ever reached: an address that is wrong, a server that is down
_PAUSE = 0.2  # seconds before the second attempt, doubled before each further one
_LONGEST_BACKOFF = 10.0  # seconds
_LONGEST_WAIT = 120.0  # seconds that a server may ask us to wait; see Server.pause
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_HOPS = 5
_BROKEN = 500
_NUMBER = re.compile(r"[0-9]{1,12}")
_PASSING = frozenset({408, 425, 429})  # beside all that begin with 5, those of proxies in front included
_LARGEST_ANSWER = 128 << 20  # bytes, unpacked: an index page of a hundred thousand files is a third of it


class UnansweredError(Exception):
    """A request was not answered: a time-out, a reset, an answer cut short. What came of it is not known.

    Not a :class:`~wheelyard.core.errors.WheelyardError`: whoever sends something that must not be sent twice has
    to look before anybody is told.
    """


class UnreachedError(UnansweredError):
    """Nobody could be connected to: nothing was sent."""


@dataclass(frozen=True)
class Login:
    """A user name and a password or token, for Basic authentication (RFC 7617). Neither is ever shown."""

    user: str = field(repr=False)
    password: str = field(repr=False)


class Server:
    """A server below one base address. Threads may share it, and share its patience.

    Args:
        base: the address that all paths are below, without a slash at its end.
        login: who we are; None for nobody.
        ca_bundle: a file with the certificates to trust; the system's if empty.
        timeout: seconds that an upload may take to be answered.
        patience: how slowly answers may come.
    """

    def __init__(
        self,
        base: str,
        login: Login | None,
        *,
        ca_bundle: str = "",
        timeout: float = 300,
        patience: Patience = PATIENCE,
    ) -> None:
        self.base = base
        self.known = login is not None
        self.reached = False
        self.patience = patience
        self._auth = _auth(login)
        self._verify: str | bool = ca_bundle or True
        self._timeout = timeout
        self._not_before = 0.0
        self._lock = threading.Lock()

    @property
    def host(self) -> str:
        """The server's name."""
        return urlsplit(self.base).hostname or self.base

    def send(self, method: str, path: str, body: object, *, headers: Mapping[str, str] | None = None) -> Response:
        """Send one request, once, and return its answer, redirects included.

        Raises:
            UnansweredError: no whole answer came.
            NetworkError: the server's certificate is not trusted: then nothing was sent.
        """
        return self._request(method, self.base + path, headers, body, (http.TIMEOUT[0], self._timeout), stream=False)

    def get(self, path: str, *, headers: Mapping[str, str] | None = None) -> Response:
        """Return the answer to a GET, whatever its status; asked again while what is wrong may pass.

        Raises:
            NetworkError: no answer came, or only such as pass (429, 5xx).
        """
        for attempt in attempts(self, f"GET {path}"):
            with attempt:
                return attempt.take(self._request("GET", self.base + path, headers, None, http.TIMEOUT, stream=False))
        raise AssertionError("attempts() ends with an error")

    def stream(self, path: str, *, headers: Mapping[str, str] | None = None) -> Response:
        """Return the answer to one GET; to wherever it redirects, no credentials go along.

        The body of a good answer is unread; what is said with any other is read.

        Raises:
            UnansweredError: no answer came.
            NetworkError: the server's certificate is not trusted, or it redirects without end.
        """
        url, known = self.base + path, True
        headers = {"Accept-Encoding": "identity", **(headers or {})}
        for _ in range(_HOPS):
            answer = self._request("GET", url, headers, None, http.TIMEOUT, stream=True, known=known)
            if answer.status_code not in _REDIRECTS:
                if not answer.ok:
                    self._read(answer, url)
                return answer
            answer.close()
            url, known = urljoin(url, answer.headers.get("Location", "")), False
        raise NetworkError(f"{self.host} redirects without end", fix="look at the server's storage settings")

    def patient_stream(self, path: str, headers: Mapping[str, str]) -> Response:
        """Return :meth:`stream`'s answer, asked again while what is wrong may pass.

        Raises:
            NetworkError: no answer came, or only such as pass (429, 5xx).
        """
        for attempt in attempts(self, f"GET {path}"):
            with attempt:
                return attempt.take(self.stream(path, headers=headers))
        raise AssertionError("attempts() ends with an error")

    def pause(self, answer: Response | None, attempt: int) -> None:
        """Wait before the next attempt: as long as the server asks (RFC 9110, Retry-After), else longer each time.

        Raises:
            NetworkError: it asks for more than two minutes.
        """
        wait = asked_wait(answer.headers) if answer is not None and passes(answer.status_code) else None
        if wait is not None and wait > _LONGEST_WAIT:
            raise NetworkError(
                f"{self.host} asks to wait {wait:.0f} seconds",
                fix="run the same command again then: it goes on where it stopped",
            )
        own = min(_PAUSE * 2**attempt, _LONGEST_BACKOFF) * random.uniform(0.5, 1.0)  # noqa: S311
        if wait is not None:
            with self._lock:
                self._not_before = max(self._not_before, time.monotonic() + max(wait, own))
        else:
            time.sleep(own)

    @functools.cached_property
    def _settings(self) -> dict[str, Any]:
        return _settings(self.base, verify=self._verify)

    def _request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        body: object,
        timeout: tuple[float, float],
        *,
        stream: bool,
        known: bool = True,
    ) -> Response:
        import requests

        if (wait := self._not_before - time.monotonic()) > 0:
            time.sleep(wait)
        session = http.session(retries=0)
        settings = self._settings if known else _settings(url, verify=self._verify)
        try:
            request = requests.Request(
                method,
                url,
                headers={**session.headers, **bodies.ACCEPT_ENCODING, **(headers or {})},
                data=body,
                auth=self._auth if known else _auth(None),
            )
            answer = session.send(
                request.prepare(), timeout=timeout, allow_redirects=False, **(settings | {"stream": True})
            )
        except requests.exceptions.SSLError as error:
            told = http.unreachable(url, error)
            fix = f"{told.fix}, or the registry's ca-bundle in [tool.wheelyard]"
            raise NetworkError(told.what, details=told.details, fix=fix) from error
        except (requests.exceptions.RequestException, OSError) as error:
            kind = UnreachedError if _unreached(error) else UnansweredError
            self.reached = self.reached or kind is UnansweredError
            raise kind(http.unreachable(url, error).details[0]) from error
        self.reached = True
        if not stream:
            self._read(answer, url)
        return answer

    def _read(self, answer: Response, url: str) -> None:
        """Read a whole body, within bounds.

        Raises:
            UnansweredError: it breaks off.
            NetworkError: it is too large, or comes too slowly.
        """
        import requests

        try:
            bodies.keep(answer, bodies.read(answer, largest=_LARGEST_ANSWER, patience=self.patience))
        except requests.exceptions.ConnectionError as error:
            raise UnansweredError(http.unreachable(url, error).details[0]) from error


class Attempt:
    """One of several attempts; a context manager that swallows what another attempt may mend."""

    def __init__(self, server: Server, what: str, number: int) -> None:
        self.number = number
        self._server = server
        self._what = what
        self._answer: Response | None = None

    def take(self, answer: Response) -> Response:
        """Return *answer*, unless it says that the server is busy or broken for now."""
        if passes(answer.status_code):
            self.again(answer)
        return answer

    def again(self, answer: Response) -> None:
        """Give this attempt up because of *answer*."""
        self._answer = answer
        raise UnansweredError(f"answers {answer.status_code}")

    def __enter__(self) -> None:
        """Begin it."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        """Wait for the next attempt, or make the last one's failure an error for people."""
        if not isinstance(error, UnansweredError):
            return False
        stranger = isinstance(error, UnreachedError) and not self._server.reached
        if self.number + 1 == (_FIRST_ATTEMPTS if stranger else ATTEMPTS):
            raise NetworkError(
                f"{self._server.host} does not answer as it should, {self.number + 1} times in a row",
                details=[f"{self._what}: {error}"],
                fix="run the same command again later: it goes on where it stopped",
            ) from error
        self._server.pause(self._answer, self.number)
        return True


def passes(status: int) -> bool:
    """Tell whether an answer of this status only says: not now. What came of the request is not known then."""
    return status in _PASSING or status >= _BROKEN


def attempts(server: Server, what: str) -> Iterator[Attempt]:
    """Yield attempts at *what* until one of them ends well; the last one raises."""
    for number in range(ATTEMPTS):
        yield Attempt(server, what, number)


def silent(error: WheelyardError) -> bool:
    """Tell whether *error* is that no answer came that counts, however often one was asked for."""
    return isinstance(error.__cause__, UnansweredError)


def unreached(error: WheelyardError) -> bool:
    """Tell whether *error* is that nobody could be connected to: whatever else is asked there meets the same."""
    return isinstance(error.__cause__, UnreachedError)


def asked_wait(headers: Mapping[str, str]) -> float | None:
    """Return how many seconds a server asks us to wait, None if it does not say.

    ``Retry-After`` is a number of seconds or a date (RFC 9110, 10.2.3); GitLab also sends ``RateLimit-Reset``, in
    seconds since 1970 (lib/gitlab/rack_attack.rb).
    """
    now = time.time()
    with contextlib.suppress(ValueError, TypeError, OverflowError, OSError):  # the server's clock, if it tells
        now = parsedate_to_datetime(headers.get("Date", "")).timestamp()
    text = headers.get("Retry-After", "").strip()
    if _NUMBER.fullmatch(text):
        return float(text)
    if text:
        with contextlib.suppress(ValueError, TypeError, OverflowError, OSError):
            return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    reset = headers.get("RateLimit-Reset", "").strip()
    return max(0.0, float(reset) - now) if _NUMBER.fullmatch(reset) else None


def _unreached(error: Exception) -> bool:
    """Tell whether a request failed before anybody was connected to."""
    import requests
    from urllib3.exceptions import MaxRetryError, NewConnectionError

    if isinstance(error, (requests.exceptions.ConnectTimeout, requests.exceptions.ProxyError)):
        return True
    cause = error.args[0] if error.args else None
    return isinstance(cause, MaxRetryError) and isinstance(cause.reason, NewConnectionError)


def _settings(url: str, *, verify: str | bool) -> dict[str, Any]:
    """Return the proxies and certificates for *url*; to find them in the environment is half of a small request."""
    return dict(http.session(retries=0).merge_environment_settings(url, {}, None, verify, None))


def _auth(login: Login | None) -> AuthBase:
    """Return what puts *login* into a request; for nobody, what keeps requests from finding one elsewhere."""
    from requests.auth import AuthBase, HTTPBasicAuth

    class Nobody(AuthBase):
        def __call__(self, request: PreparedRequest) -> PreparedRequest:
            return request

    return HTTPBasicAuth(login.user.encode(), login.password.encode()) if login else Nobody()
