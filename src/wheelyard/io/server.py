"""A server that is asked with a credential: it goes to that server's origin only, and redirects never get it.

:meth:`Server.get` and :meth:`Server.request` retry by the one policy; an upload is sent once by :meth:`Server.send`,
and its caller decides.
"""

from __future__ import annotations

import base64
import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from wheelyard.core.errors import NetworkError
from wheelyard.io import body as bodies
from wheelyard.io import http
from wheelyard.io.body import PATIENCE, Patience
from wheelyard.io.retry import READS, UPLOADS, Host, attempts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from requests import PreparedRequest
    from requests.auth import AuthBase

    from wheelyard.io.http import Response
    from wheelyard.io.retry import Attempt

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_HOPS = 5


@dataclass(frozen=True)
class Login:
    """A user name and a password or token, for Basic authentication (RFC 7617). Neither is ever shown."""

    user: str = field(repr=False)
    password: str = field(repr=False)

    @property
    def header(self) -> str:
        """The value of the Authorization header."""
        return f"Basic {base64.b64encode(f'{self.user}:{self.password}'.encode()).decode()}"


@dataclass(frozen=True)
class Token:
    """A bearer token (RFC 6750), never shown."""

    secret: str = field(repr=False)

    @property
    def header(self) -> str:
        """The value of the Authorization header."""
        return f"Bearer {self.secret}"


class StatusError(Exception):
    """The answer that an error is about, as the cause of that error.

    Attributes:
        answer: the answer.
    """

    def __init__(self, answer: Response) -> None:
        super().__init__(str(answer.status_code))
        self.answer = answer


class Server:
    """A server below one base address. Threads may share it, and share its waits.

    Args:
        base: the address that all paths are below, without a slash at its end.
        login: the credential; None for none.
        ca_bundle: a file with the certificates to trust; the system's if empty.
        timeout: seconds that an upload may take to be answered.
        patience: how slowly answers may come.
    """

    def __init__(
        self,
        base: str,
        login: Login | Token | None,
        *,
        ca_bundle: str = "",
        timeout: float = 300,
        patience: Patience = PATIENCE,
    ) -> None:
        self.base = base
        self.known = login is not None
        self.patience = patience
        self.peer = Host(urlsplit(base).hostname or base)
        self._auth = _auth(login)
        self._verify: str | bool = ca_bundle or True
        self._timeout = timeout

    @property
    def host(self) -> str:
        """The server's name."""
        return self.peer.name

    def attempts(self, action: str) -> Iterator[Attempt]:
        """Yield attempts at one step of a long upload or copy; see :func:`wheelyard.io.retry.attempts`."""
        return attempts(self.peer, action, retries=UPLOADS)

    def send(self, method: str, path: str, body: object, *, headers: Mapping[str, str] | None = None) -> Response:
        """Send one request, once, and return its answer, redirects included.

        Raises:
            UnansweredError: no whole answer came.
            NetworkError: the server's certificate is not trusted: then nothing was sent.
        """
        timeout = (http.TIMEOUT[0], self._timeout)
        return self._loaded(method, self.base + path, headers=headers, data=body, timeout=timeout)

    def get(self, path: str, *, headers: Mapping[str, str] | None = None) -> Response:
        """Return the answer to a GET, whatever its status; retried while what is wrong may pass.

        Raises:
            NetworkError: no answer came, or the server stays busy or broken (429, 5xx).
        """
        for attempt in self.attempts(f"GET {path}"):
            with attempt:
                return attempt.take(self._loaded("GET", self.base + path, headers=headers))
        raise AssertionError("attempts() ends with an error")

    def request(self, method: str, url: str, *, retries: int = READS, **content: Any) -> Response:
        """Return the answer to a request below the base address, whatever its status; see :func:`http.ask`.

        Args:
            method: the method.
            url: the whole address.
            retries: how often it is sent again at most.
            content: further arguments of :class:`requests.Request`, and ``timeout``.

        Raises:
            NetworkError: no answer came, or the server asks for too long a wait.
        """
        send = functools.partial(self._loaded, method, url, **content)
        return http.ask(self.peer, method, url, send, retries=retries, loaded=True)

    def stream(self, path: str, *, headers: Mapping[str, str] | None = None) -> Response:
        """Return the answer to one GET; a redirect's target gets no credential.

        The body of a good answer is unread, any other is read.

        Raises:
            UnansweredError: no answer came.
            NetworkError: the server's certificate is not trusted, or it redirects without end.
        """
        url, own = self.base + path, True
        headers = {"Accept-Encoding": "identity", **(headers or {})}
        for _ in range(_HOPS):
            answer = self._exchange("GET", url, headers=headers, own=own)
            if answer.status_code not in _REDIRECTS:
                if not answer.ok:
                    bodies.load(answer, patience=self.patience)
                return answer
            answer.close()
            url, own = urljoin(url, answer.headers.get("Location", "")), False
        raise NetworkError(f"{self.host} redirects without end", fix="check the server's storage settings")

    def patient_stream(self, path: str, headers: Mapping[str, str]) -> Response:
        """Return :meth:`stream`'s answer, retried while what is wrong may pass.

        Raises:
            NetworkError: no answer came, or the server stays busy or broken (429, 5xx).
        """
        for attempt in self.attempts(f"GET {path}"):
            with attempt:
                return attempt.take(self.stream(path, headers=headers))
        raise AssertionError("attempts() ends with an error")

    @functools.cached_property
    def _settings(self) -> dict[str, Any]:
        return http.settings_for(self.base, verify=self._verify)

    def _loaded(self, method: str, url: str, **content: Any) -> Response:
        """Send one request, once, and return its answer with the body read.

        Raises:
            UnansweredError: no answer came, or it breaks off.
            NetworkError: the certificate is not trusted, or the body is too large or comes too slowly.
        """
        answer = self._exchange(method, url, **content)
        bodies.load(answer, patience=self.patience)
        return answer

    def _exchange(
        self,
        method: str,
        url: str,
        *,
        own: bool = True,
        headers: Mapping[str, str] | None = None,
        auth: AuthBase | None = None,
        **content: Any,
    ) -> Response:
        return http.exchange(
            self.peer,
            method,
            url,
            settings=self._settings if own else http.settings_for(url, verify=self._verify),
            headers={**bodies.ACCEPT_ENCODING, **(headers or {})},
            auth=(auth or self._auth) if own else _auth(None),
            **content,
        )


def _auth(login: Login | Token | None) -> AuthBase:
    """Return what puts *login* into a request; for None, what keeps requests from finding one elsewhere."""
    from requests.auth import AuthBase

    class Authorization(AuthBase):
        def __call__(self, request: PreparedRequest) -> PreparedRequest:
            if login is not None:
                request.headers["Authorization"] = login.header
            return request

    return Authorization()
