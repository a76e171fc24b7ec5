"""The one place for HTTP: one session for the package index, GitLab and GitHub alike, retried by one policy.

The session itself never retries: a body that breaks off or comes too slowly is part of an answer, too, so that
:mod:`wheelyard.io.retry` decides, and :mod:`wheelyard.io.body` limits each answer. Servers that are asked with a
credential are :class:`wheelyard.io.server.Server`.
"""

from __future__ import annotations

import functools
import re
import threading
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from wheelyard import __version__
from wheelyard.core.errors import NetworkError
from wheelyard.io import body, log
from wheelyard.io.retry import READS, Host, UnansweredError, UnreachedError, asked_wait, attempts, passes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from ssl import SSLContext

    from requests import Response as Response  # noqa: PLC0414 - what others annotate with
    from requests import Session
    from requests.adapters import HTTPAdapter

TIMEOUT = (10.0, 60.0)  # seconds to connect, and between two bytes
_LIMITED = (403, 429)  # GitHub answers either where it was asked too often
_MINUTE = 60.0
_QUERY = re.compile(r"\?[^\s'\"<>)]+")
_USER = re.compile(r"(?<=//)[^\s/'\"<>]*@")
_TRUSTING = threading.Lock()


@functools.cache
def session() -> Session:
    """Return the process's session: a name for the server's log, connections that are used again, and no cookies."""
    from http.cookiejar import DefaultCookiePolicy

    import requests  # a tenth of a second that offline verbs need not pay

    shared = requests.Session()
    shared.headers["User-Agent"] = f"wheelyard/{__version__}"
    shared.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    for scheme in ("https://", "http://"):
        shared.mount(scheme, _adapter())
    return shared


def _adapter() -> HTTPAdapter:
    """Return an adapter that reads the certificates to trust once, and not for each connection.

    Measured over a network, 42 pages of the package index on 16 connections: 1.4 s instead of 3.2 s.
    That requests leaves to each connection what to trust is by its design; cert_verify() is its hook for others.
    """
    from requests.adapters import HTTPAdapter

    class Adapter(HTTPAdapter):
        def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
            with _TRUSTING:  # conn is the host's pool: one thread would take away what another has just seen
                super().cert_verify(conn, url, verify, cert)  # type: ignore[no-untyped-call]
                if conn.ca_certs:
                    conn.conn_kw["ssl_context"] = _trusting(conn.ca_certs)
                    conn.ca_certs = None

    return Adapter(pool_maxsize=64)


@functools.cache
def _trusting(certificates: str) -> SSLContext:
    from urllib3.util.ssl_ import create_urllib3_context

    context = create_urllib3_context()
    context.load_verify_locations(certificates)
    return context


def settings_for(url: str, *, verify: str | bool = True) -> dict[str, Any]:
    """Return the proxies and certificates for *url*; to find them in the environment is half of a small request."""
    return dict(session().merge_environment_settings(url, {}, None, verify, None))


def exchange(
    host: Host,
    method: str,
    url: str,
    *,
    settings: Mapping[str, Any],
    timeout: tuple[float, float] | None = None,
    follow: bool = False,
    **content: Any,
) -> Response:
    """Send one request, once, and return its answer, the body unread.

    Args:
        host: the server.
        method: the method.
        url: the address.
        settings: what :func:`settings_for` returns for it.
        timeout: seconds to connect, and between two bytes.
        follow: whether to follow redirects; those to another host get no credential.
        content: further arguments of :class:`requests.Request`.

    Raises:
        UnansweredError: no answer came.
        NetworkError: the certificate is not trusted, or it redirects without end: a retry mends neither.
    """
    import requests

    host.wait()
    try:
        request = session().prepare_request(requests.Request(method, url, **content))
        answer = session().send(
            request, timeout=timeout or TIMEOUT, allow_redirects=follow, **(dict(settings) | {"stream": True})
        )
    except requests.exceptions.SSLError as error:
        raise NetworkError(
            f"{body.host_of(url)} shows a certificate that is not trusted here",
            details=[plain(str(error))[:300]],
            fix="point REQUESTS_CA_BUNDLE and SSL_CERT_FILE to the CA bundle of your network, or the registry's "
            "ca-bundle in [tool.wheelyard] to its own",
        ) from error
    except OSError as error:  # all of requests' exceptions are such
        passing = (requests.exceptions.ConnectionError, requests.exceptions.Timeout)
        if isinstance(error, requests.exceptions.RequestException) and not isinstance(error, passing):
            raise unreachable(url, error) from error
        kind = UnreachedError if _unreached(error) else UnansweredError
        host.reached = host.reached or kind is UnansweredError
        raise kind(plain(str(error))[:300]) from error
    host.reached = True
    return answer


def ask(
    host: Host, method: str, url: str, send: Callable[[], Response], *, retries: int = READS, loaded: bool = False
) -> Response:
    """Return the answer that *send* brings, whatever its status, retried while what is wrong may pass.

    A request that writes is retried only if the server refuses it for now and sends a time to wait: then it has done
    nothing.

    Args:
        host: the server.
        method: the method.
        url: the address.
        send: sends the request once.
        retries: how often it is sent again at most.
        loaded: whether the body is read already.

    Raises:
        NetworkError: no answer came, or the server asks for too long a wait.
    """
    reads = method in {"GET", "HEAD"}
    try:
        for attempt in attempts(host, f"{method} {urlsplit(url).path}", retries=retries):
            with attempt:
                try:
                    answer = send()
                except UnansweredError as error:
                    if reads:
                        raise
                    raise unreachable(url, error) from error
                if (reads and passes(answer.status_code)) or is_limit(answer, loaded=loaded):
                    attempt.again(answer)
                return answer
    except NetworkError as error:
        match error.__cause__:
            case UnansweredError() as cause if cause.answer is None:
                raise unreachable(url, cause) from cause
            case UnansweredError() as cause:
                return cast("Response", cause.answer)
        raise
    raise AssertionError("attempts() ends with an error")


def is_limit(answer: Response, *, loaded: bool) -> bool:
    """Return whether the server refuses a request because of too many, and has done nothing.

    GitHub need not send how long to wait; its documentation asks for a minute then.
    """
    if answer.status_code not in _LIMITED:
        return False
    if asked_wait(answer.headers) is None and loaded and "rate limit" in answer.text[:10_000].lower():
        answer.headers["Retry-After"] = f"{_MINUTE:.0f}"
    return asked_wait(answer.headers) is not None


def get(url: str, *, headers: dict[str, str] | None = None) -> Response:
    """Return the answer to a GET, whatever its status, the body unread.

    Raises:
        NetworkError: no answer came.
    """
    host = _host(urlsplit(url)[:2])
    headers = {**body.ACCEPT_ENCODING, **(headers or {})}
    settings = settings_for(url)
    return ask(host, "GET", url, lambda: exchange(host, "GET", url, settings=settings, follow=True, headers=headers))


@functools.lru_cache(1024)
def _host(origin: tuple[str, str]) -> Host:
    return Host(body.host_of("//".join(origin)))


def status_of(url: str, *, timeout: float) -> int | None:
    """Return the status of the answer to one GET without retries, None if none comes within *timeout* seconds."""
    host = Host(body.host_of(url))
    limit = (timeout, timeout)
    try:
        with exchange(host, "GET", url, settings=settings_for(url), timeout=limit, follow=True) as answer:
            return answer.status_code
    except (UnansweredError, NetworkError):
        return None


def unreachable(url: str, error: Exception) -> NetworkError:
    """Return the error that no answer came from *url*."""
    return NetworkError(
        f"{body.host_of(url)} cannot be reached",
        details=[plain(str(error))[:300]],
        fix="check the network and proxy settings; locked versions plan offline, builds need the index",
    )


def plain(text: str) -> str:
    """Return *text* for people: tame, its addresses without user names and queries, which may be signed for us."""
    return _QUERY.sub("?…", _USER.sub("", log.clean(text)))


def _unreached(error: Exception) -> bool:
    """Return whether a request failed before anything was connected to."""
    import requests
    from urllib3.exceptions import MaxRetryError, NewConnectionError

    if isinstance(error, (requests.exceptions.ConnectTimeout, requests.exceptions.ProxyError)):
        return True
    cause = error.args[0] if error.args else None
    return isinstance(cause, MaxRetryError) and isinstance(cause.reason, NewConnectionError)
