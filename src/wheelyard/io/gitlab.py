"""GitLab's API through python-gitlab, over our one session: with time limits, and no credential sent astray.

python-gitlab alone follows redirects and paging links with the token in a header that requests does not take off
for another host, waits for as long as a 429 asks, and has no time limit. Here nothing is followed, and each of its
exceptions becomes an error of ours.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from wheelyard import __version__
from wheelyard.core.errors import CredentialsError, NetworkError, PublishError, WheelyardError
from wheelyard.io import body, http, log

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gitlab import Gitlab
    from gitlab.exceptions import GitlabError
    from requests import Response, Session

_BROKEN = 500
_TOO_MANY = 429
_REDIRECTS = range(300, 400)
_NOT_THERE = 404
_LARGEST_ANSWER = 32 << 20  # bytes: a page has a hundred entries
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
    retries: int = 3,
    ca_bundle: str = "",
    patience: body.Patience = body.PATIENCE,
) -> Gitlab:
    """Return a client of the GitLab server at *url*; nothing is asked yet.

    Call it inside :func:`errors`. What it raises beyond python-gitlab's own exceptions is a NetworkError.

    Args:
        url: the server's address, without ``/api``.
        token: a personal, project or group access token; kept out of the log from now on.
        job: it is a CI job's token, which has a header of its own.
        timeout: seconds to connect, and between two bytes.
        retries: how often a request that only reads is sent again when the server is busy or broken for a moment;
            others never are.
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
        ssl_verify=ca_bundle or True,
        user_agent=f"wheelyard/{__version__}",
        keep_base_url=True,
        session=cast("Session", _Session(url, retries, patience)),
    )


class _Session:
    """What python-gitlab needs of a session: the process's own, for one server only."""

    def __init__(self, url: str, retries: int, patience: body.Patience) -> None:
        self._base = url.rstrip("/") + "/"
        self._retries = retries
        self._patience = patience

    def request(self, method: str, url: str, **options: Any) -> Response:
        """Return the answer to one request, unless it is one that only says: not now, or not here.

        Raises:
            NetworkError: no answer came, or too slowly, or the server is busy, broken, or elsewhere.
        """
        import requests

        if not url.startswith(self._base):
            raise self._astray(url)
        headers = {**body.ACCEPT_ENCODING, **(options.pop("headers", None) or {})}
        options |= {"headers": headers, "stream": True, "allow_redirects": False}
        try:
            answer = http.session(retries=self._retries).request(method, url, **options)
            body.keep(answer, body.read(answer, largest=_LARGEST_ANSWER, patience=self._patience))
        except (requests.exceptions.RequestException, OSError) as error:
            raise http.unreachable(url, error) from error
        told = requests.HTTPError(str(answer.status_code), response=answer)
        if answer.status_code in _REDIRECTS:
            raise self._astray(answer.headers.get("Location", "")) from told
        if answer.status_code == _TOO_MANY:
            asked = log.clean(answer.headers.get("Retry-After", ""))[:40]
            wait = f"ask again after {asked} seconds" if asked.isdigit() else "try again later"
            raise NetworkError(f"{self._host} answers 429: it was asked too often", fix=wait) from told
        if answer.status_code >= _BROKEN:
            raise NetworkError(f"{self._host} answers {answer.status_code}", fix="try again later") from told
        return answer

    @property
    def _host(self) -> str:
        return urlsplit(self._base).hostname or self._base

    def _astray(self, target: str) -> NetworkError:
        return NetworkError(
            f"{self._host} refers to another address, where no credential of ours goes",
            details=[http.plain(target)[:200]],
            fix="if the server has moved, set its new address in site policy",
        )


@contextlib.contextmanager
def errors(where: str) -> Iterator[None]:
    """Turn what python-gitlab raises inside into errors of ours; :func:`status` tells the answer's status.

    Args:
        where: what is being asked, for people.

    Raises:
        CredentialsError: 401, 403, or 404, which GitLab also answers for what a credential may not see.
        PublishError: the server does not take what it was sent.
        NetworkError: the answer is none of GitLab's.
    """
    from gitlab.exceptions import GitlabError

    try:
        yield
    except GitlabError as error:
        raise _translated(error, where) from error


def _translated(error: GitlabError, where: str) -> WheelyardError:
    said = log.redact(log.clean(str(error)))[:300]
    code = error.response_code
    if code in _REFUSED:
        return CredentialsError(_REFUSED[code], where=where, details=[said])
    if code is None:
        return NetworkError("the answer is not one of GitLab's", where=where, details=[said])
    return PublishError("the server does not take this", where=where, details=[said])


def status(error: WheelyardError) -> int | None:
    """Return the status of the answer that *error* came from, None if no answer came."""
    from gitlab.exceptions import GitlabError
    from requests import HTTPError

    match error.__cause__:
        case GitlabError() as cause:
            return cause.response_code
        case HTTPError() as cause:
            return cause.response.status_code
        case _:
            return None
