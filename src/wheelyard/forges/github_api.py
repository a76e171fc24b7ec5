"""GitHub's REST API over the one HTTP client: errors, pages and downloads (https://docs.github.com/en/rest)."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from wheelyard.core.errors import CredentialsError, NetworkError, PublishError, SourceError, WheelyardError
from wheelyard.io import http, log
from wheelyard.io.body import PATIENCE, Pace, Patience, chunks
from wheelyard.io.files import disk_errors
from wheelyard.io.retry import attempts
from wheelyard.io.server import Server, StatusError, Token

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from wheelyard.io.http import Response

_HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
_PAGE = 100  # the most that GitHub lists at once
_MOST_PAGES = 1000
_OK, _REDIRECTS, _BROKEN = range(200, 300), range(300, 400), 500
_NEXT = re.compile(r'<[^<>]*>; *rel="next"')
_REFUSED = {
    401: "the server does not accept this credential",
    403: "the server accepts this credential, but not for this",
    404: "there is no such thing, or this credential may not see it",
}


class GitHubApi:
    """The API of one GitHub server.

    Args:
        url: the server, such as ``https://github.com``.
        token: the token; kept out of the log from now on.
        where: the repository, for people.
        patience: how slowly answers may come.
    """

    def __init__(self, url: str, token: str, *, where: str, patience: Patience = PATIENCE) -> None:
        log.add_secret(token)
        self._server = Server(_base(url), Token(token), patience=patience)
        self._where = where

    def ask(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:
        """Return the value of the answer to one request, if its status is 2xx; None where it has none.

        It is retried as :func:`wheelyard.io.http.ask` says.

        Raises:
            CredentialsError: 401, 403, or 404, which GitHub also answers for what a credential may not see.
            PublishError: GitHub refuses what it was sent.
            NetworkError: no answer came, or the server is busy or broken.
        """
        return _value(self._ask(method, path, body))

    def pages(self, path: str, **query: str) -> Iterator[Any]:
        """Yield every entry of a list, page by page.

        Only the number of the page comes from us, and no address from the server: no credential goes astray.

        Raises:
            CredentialsError: as :meth:`ask`.
            NetworkError: as :meth:`ask`, or the answer is no list, or one without end.
        """
        for page in range(1, _MOST_PAGES + 1):
            answer = self._ask("GET", f"{path}?{urlencode({**query, 'per_page': _PAGE, 'page': page})}")
            entries = _value(answer)
            if not isinstance(entries, list):
                raise NetworkError(f"{self._server.host} does not answer with a list", where=self._where)
            yield from entries
            if not _NEXT.search(answer.headers.get("Link", "")):
                return
        raise NetworkError(f"{self._server.host} lists more than {_MOST_PAGES} pages of {path}", where=self._where)

    def download(self, path: str, target: Path, *, limit: int) -> None:
        """Write the file that *path* redirects to into *target*; the token does not go there.

        Raises:
            NetworkError: it does not come, or not whole.
            SourceError: it is larger than *limit* bytes.
            DiskError: no space.
        """
        for attempt in attempts(self._server.peer, f"GET {path}"):
            with attempt, self._server.stream(f"/{path}", headers=_HEADERS) as answer:
                attempt.take(answer)
                if answer.status_code not in _OK:
                    details = [f"answers {answer.status_code}", *_reasons(answer)]
                    message = f"{self._server.host} does not give {target.name}"
                    raise NetworkError(message, where=self._where, details=details)
                room = limit
                with disk_errors(target), target.open("wb") as file:
                    for chunk in chunks(answer, Pace(self._server.base, self._server.patience)):
                        room -= len(chunk)
                        if room < 0:
                            raise SourceError(
                                f"{target.name} is larger than it may be",
                                details=[f"allowed: {limit} bytes"],
                                fix="look at it before you trust it",
                            )
                        file.write(chunk)
                return

    def _ask(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Response:
        url = f"{self._server.base}/{path}"
        try:
            answer = self._server.request(method, url, headers=_HEADERS, json=body)
        except NetworkError as error:
            error.where = self._where
            raise
        if answer.status_code not in _OK:
            raise self._error(answer, f"{method} {path.partition('?')[0]}")
        return answer

    def _error(self, answer: Response, what: str) -> WheelyardError:
        status, host = answer.status_code, self._server.host
        details = [what, *_reasons(answer)]
        error: WheelyardError
        if http.is_limit(answer, loaded=True):
            error = NetworkError(f"{host} was asked too often", where=self._where, details=details, fix="try later")
        elif status >= _BROKEN:
            error = NetworkError(f"{host} answers {status}", where=self._where, details=details, fix="try again later")
        elif status in _REDIRECTS:
            details.append(http.plain(answer.headers.get("Location", ""))[:200])
            fix = "if the server or the repository has moved, set its new address in the site configuration"
            error = NetworkError(
                f"{host} refers to another address, where no credential of ours goes",
                where=self._where,
                details=details,
                fix=fix,
            )
        elif status in _REFUSED:
            error = CredentialsError(_REFUSED[status], where=self._where, details=details)
        else:
            error = PublishError("the server does not take this", where=self._where, details=details)
        error.__cause__ = StatusError(answer)
        return error


def status(error: WheelyardError) -> int | None:
    """Return the status of the answer that *error* came from, None if no answer came."""
    return error.__cause__.answer.status_code if isinstance(error.__cause__, StatusError) else None


def _base(url: str) -> str:
    """Return the address of the API of a server (rest/using-the-rest-api/getting-started-with-the-rest-api).

    github.com and the clouds of GitHub Enterprise have a host of its own for it, GitHub Enterprise Server a path.
    """
    parts = urlsplit(url)
    if parts.hostname == "github.com" or (parts.hostname or "").endswith(".ghe.com"):
        return f"{parts.scheme}://api.{parts.netloc}"
    return f"{url.rstrip('/')}/api/v3"


def _value(answer: Response) -> Any:
    try:
        return json.loads(answer.content)
    except (ValueError, RecursionError):
        return None  # there is none, or a page for people, of a proxy in front perhaps


def _reasons(answer: Response) -> list[str]:
    """Return the messages of an error."""
    value = _value(answer)
    if not isinstance(value, dict):
        return []
    errors = value.get("errors")
    entries = errors if isinstance(errors, list) else []
    texts = [entry.get("message") if isinstance(entry, dict) else entry for entry in (value, *entries)]
    return [log.redact(log.clean(str(text)))[:300] for text in texts if text]
