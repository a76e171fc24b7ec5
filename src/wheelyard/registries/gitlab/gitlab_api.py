"""GitLab's API through python-gitlab over the one HTTP client: retried and limited as every request.

python-gitlab alone follows redirects and paging links with the token in a header that requests does not take off
for another host, waits for as long as a 429 asks, and has no time limit. Here nothing is followed, and each of its
exceptions becomes an error of ours. Only this package and the forges' GitLab modules import python-gitlab.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, cast

from wheelyard import __version__
from wheelyard.core.errors import CredentialsError, NetworkError, PublishError, WheelyardError
from wheelyard.io import http, log
from wheelyard.io.body import PATIENCE, Patience
from wheelyard.io.retry import READS
from wheelyard.io.server import Server, StatusError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gitlab import Gitlab
    from gitlab.exceptions import GitlabError

    from wheelyard.io.http import Response

_BROKEN = 500
_TOO_MANY = 429
_REDIRECTS = range(300, 400)
_NOT_THERE = 404
_REFUSED = {
    401: "the server does not accept this credential",
    403: "the server accepts this credential, but not for this",
    _NOT_THERE: "there is no such thing, or this credential may not see it",
}


def client(
    url: str,
    *,
    token: str,
    job: bool = False,
    timeout: tuple[float, float] = http.TIMEOUT,
    retries: int = READS,
    ca_bundle: str = "",
    patience: Patience = PATIENCE,
) -> Gitlab:
    """Return a client of the GitLab server at *url*; nothing is asked yet.

    Call it inside :func:`errors`. What it raises beyond python-gitlab's own exceptions is a NetworkError.

    Args:
        url: the server's address, without ``/api``.
        token: a personal, project or group access token; kept out of the log from now on.
        job: whether it is a CI job's token, which has a header of its own.
        timeout: seconds to connect, and between two bytes.
        retries: how often a request is sent again at most; see :func:`wheelyard.io.http.ask`.
        ca_bundle: a file with the certificates to trust; the system's if empty.
        patience: how slowly answers may come.
    """
    import gitlab

    log.add_secret(token)
    return gitlab.Gitlab(
        url,
        private_token=None if job else token,
        job_token=token if job else None,
        timeout=cast("float", timeout),  # requests takes the pair, and python-gitlab only passes it on
        user_agent=f"wheelyard/{__version__}",
        keep_base_url=True,
        session=cast("Any", _Session(Server(url.rstrip("/"), None, ca_bundle=ca_bundle, patience=patience), retries)),
    )


class _Session:
    """The part of a session that python-gitlab needs, for one server only."""

    def __init__(self, server: Server, retries: int) -> None:
        self._server = server
        self._retries = retries

    def request(self, method: str, url: str, **content: Any) -> Response:
        """Return the answer to one request, unless its status is 429, 5xx or a redirect.

        Raises:
            NetworkError: no answer came, or too slowly, or the server is busy, broken, or elsewhere.
        """
        if not url.startswith(f"{self._server.base}/"):
            raise self._astray(url)
        for option in ("verify", "stream"):
            content.pop(option, None)
        answer = self._server.request(method.upper(), url, retries=self._retries, **content)
        cause = StatusError(answer)
        if answer.status_code in _REDIRECTS:
            raise self._astray(answer.headers.get("Location", "")) from cause
        if answer.status_code == _TOO_MANY:
            seconds = log.clean(answer.headers.get("Retry-After", ""))[:40]
            wait = f"ask again after {seconds} seconds" if seconds.isdigit() else "try again later"
            raise NetworkError(f"{self._server.host} answers 429: it was asked too often", fix=wait) from cause
        if answer.status_code >= _BROKEN:
            raise NetworkError(f"{self._server.host} answers {answer.status_code}", fix="try again later") from cause
        return answer

    def _astray(self, target: str) -> NetworkError:
        return NetworkError(
            f"{self._server.host} refers to another address, where no credential of ours goes",
            details=[http.plain(target)[:200]],
            fix="if the server has moved, set its new address in the site configuration",
        )


@contextlib.contextmanager
def errors(where: str) -> Iterator[None]:
    """Turn python-gitlab's exceptions into errors of ours; :func:`status` returns the answer's status.

    Args:
        where: what is being asked, for people.

    Raises:
        CredentialsError: 401, 403, or 404, which GitLab also answers for what a credential may not see.
        PublishError: the server refuses what it was sent.
        NetworkError: the answer is not one of GitLab's.
    """
    from gitlab.exceptions import GitlabError

    try:
        yield
    except GitlabError as error:
        raise _translated(error, where) from error


def _translated(error: GitlabError, where: str) -> WheelyardError:
    message = log.redact(log.clean(str(error)))[:300]
    code = error.response_code
    if code in _REFUSED:
        return CredentialsError(_REFUSED[code], where=where, details=[message])
    if code is None:
        return NetworkError("the answer is not one of GitLab's", where=where, details=[message])
    return PublishError("the server does not take this", where=where, details=[message])


def status(error: WheelyardError) -> int | None:
    """Return the status of the answer that *error* came from, None if no answer came."""
    from gitlab.exceptions import GitlabError

    match error.__cause__:
        case GitlabError() as cause:
            return cause.response_code
        case StatusError() as cause:
            return cause.answer.status_code
        case _:
            return None
