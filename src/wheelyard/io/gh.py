"""GitHub's REST API through the ``gh`` program, which knows GitHub Enterprise, proxies and its own certificates.

It is asked for one answer at a time, with its headers, and nobody's configuration of it counts.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from wheelyard.core.errors import (
    ConfigError,
    CredentialsError,
    NetworkError,
    ProgramError,
    PublishError,
    SourceError,
    WheelyardError,
)
from wheelyard.io import log
from wheelyard.io.files import disk_errors
from wheelyard.io.run import run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_TIMEOUT = 120.0  # seconds for one exchange
_LONGEST_DOWNLOAD = 1800.0
_FINAL = re.compile(r"HTTP 4\d\d")  # as gh ends its message
_ATTEMPTS = 4
_PAUSE = 0.5  # seconds before the second attempt, doubled before each further one
_LONGEST_WAIT = 120.0  # seconds that GitHub may ask us to wait
_PAGE = 100  # the most that GitHub lists at once
_MOST_PAGES = 1000
_LOST, _OK, _BROKEN = 0, range(200, 300), 500
_LIMITED = (403, 429)
_SECONDS = re.compile(r"[0-9]{1,12}")
_STATUS = re.compile(r"HTTP/\S+ (\d{3})")
_NEXT = re.compile(r'<[^<>]*>; *rel="next"')
_REFUSED = {
    401: "the server does not accept this credential",
    403: "the server accepts this credential, but not for this",
    404: "there is no such thing, or this credential may not see it",
}


@dataclass(frozen=True)
class Answer:
    """What came back.

    Attributes:
        status: its HTTP status; 0 if none came, or one that was cut short.
        headers: by name in lower case.
        value: the body, as JSON has it; None where there is none.
    """

    status: int
    headers: Mapping[str, str]
    value: Any


class StatusError(Exception):
    """An answer that is an error, as the cause of the error that people see; :func:`answer_to` gives it back."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(str(answer.status))
        self.answer = answer


class Client:
    """The API of one GitHub server.

    Args:
        url: the server, such as ``https://github.com``; only https is spoken.
        token: who we are; in gh's environment only.
        where: what is being asked, for people.
        folder: an empty folder, where gh finds no configuration.

    Raises:
        ConfigError: the address is none that gh can ask.
        ProgramError: gh is not installed.
    """

    def __init__(self, url: str, token: str, *, where: str, folder: Path) -> None:
        parts = urlsplit(url)
        if parts.scheme != "https":
            raise ConfigError(f"gh speaks https only, not {url}", fix="correct url in [tool.wheelyard.proposals]")
        if shutil.which("gh") is None:
            fix = "install it: apt-get install gh on Debian and Ubuntu, https://cli.github.com elsewhere"
            raise ProgramError("gh, by which GitHub is asked, is not installed", fix=fix)
        log.add_secret(token)
        self._host = parts.netloc
        self._where = where
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("GH_", "GITHUB_"))}
        # gh takes one variable for github.com and its own clouds, the other for everything else (gh help environment).
        self._env = kept | {
            "GH_HOST": self._host,
            "GH_TOKEN": token,
            "GH_ENTERPRISE_TOKEN": token,
            "GH_CONFIG_DIR": str(folder),
            "GH_PROMPT_DISABLED": "1",
            "GH_NO_UPDATE_NOTIFIER": "1",
            "NO_COLOR": "1",
        }

    def ask(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Answer:
        """Return the answer to one request, if it is a good one.

        What only reads is asked again when the server is busy or broken for a moment; what writes only when the
        server says that it was asked too often, and therefore has done nothing.

        Raises:
            CredentialsError: 401, 403, or 404, which GitHub also answers for what a credential may not see.
            PublishError: GitHub does not take what it was sent.
            NetworkError: no answer came, or the server is busy or broken.
        """
        for attempt in range(_ATTEMPTS):
            answer = self._once(method, path, body)
            if answer.status in _OK:
                return answer
            wait = _asked_wait(answer) if answer.status in _LIMITED else None
            passes = answer.status == _LOST or answer.status >= _BROKEN
            if attempt + 1 == _ATTEMPTS or not (wait is not None or (passes and method == "GET")):
                raise self._problem(answer, f"{method} {path.partition('?')[0]}")
            if wait is not None and wait > _LONGEST_WAIT:
                raise NetworkError(
                    f"{self._host} asks to wait {log.duration(wait)}: it was asked too often",
                    where=self._where,
                    fix="run the same command again then: it goes on where it stopped",
                )
            time.sleep(_PAUSE * 2**attempt if wait is None else wait)
        raise AssertionError("the last attempt returns or raises")

    def pages(self, path: str, **query: str) -> Iterator[Any]:
        """Yield every entry of a list, page by page.

        Only the number of the page comes from us, and no address from the server: no credential goes astray.

        Raises:
            CredentialsError: as :meth:`ask`.
            NetworkError: as :meth:`ask`, or the answer is no list, or one without end.
        """
        for page in range(1, _MOST_PAGES + 1):
            answer = self.ask("GET", f"{path}?{urlencode({**query, 'per_page': _PAGE, 'page': page})}")
            if not isinstance(answer.value, list):
                raise NetworkError(f"{self._host} does not answer with a list", where=self._where)
            yield from answer.value
            if not _NEXT.search(answer.headers.get("link", "")):
                return
        raise NetworkError(f"{self._host} lists more than {_MOST_PAGES} pages of {path}", where=self._where)

    def download(self, path: str, target: Path, *, limit: int) -> None:
        """Write the file that *path* leads to into *target*; redirects are gh's business, as is who gets the token.

        Raises:
            NetworkError: it does not come, or not whole.
            SourceError: it is larger than *limit* bytes.
            DiskError: no space.
        """
        for attempt in range(_ATTEMPTS):
            with disk_errors(target), target.open("wb") as file:
                done = run(
                    ["gh", "api", path],
                    env=self._env,
                    timeout=_LONGEST_DOWNLOAD,
                    check=False,
                    on_bytes=_Taker(file, limit, target.name).take,
                )
            if done.returncode == 0:
                return
            said = log.redact(log.clean(" ".join(done.stderr.split())))[:300]
            if attempt + 1 == _ATTEMPTS or _FINAL.search(said):
                raise NetworkError(f"{self._host} does not give {target.name}", where=self._where, details=[said])
            time.sleep(_PAUSE * 2**attempt)

    def _once(self, method: str, path: str, body: Mapping[str, object] | None) -> Answer:
        words = ["gh", "api", "--include", "--method", method, path]
        words += ["--header", "Accept: application/vnd.github+json", "--header", "X-GitHub-Api-Version: 2022-11-28"]
        data = None if body is None else json.dumps(body).encode()
        words += [] if data is None else ["--input", "-"]
        done = run(words, env=self._env, stdin=data, timeout=_TIMEOUT, check=False)
        answer = _parse(done.stdout)
        if answer is None or (done.returncode and answer.status in _OK):
            return Answer(_LOST, {}, {"message": " ".join(done.stderr.split())})
        return answer

    def _problem(self, answer: Answer, what: str) -> WheelyardError:
        said = [what, *_reasons(answer)]
        error: WheelyardError
        if answer.status == _LOST:
            fix = "check the network and proxy settings; SSL_CERT_FILE names the CA bundle of your network"
            error = NetworkError(f"{self._host} cannot be reached", where=self._where, details=said, fix=fix)
        elif answer.status in _LIMITED and _asked_wait(answer) is not None:
            error = NetworkError(f"{self._host} was asked too often", where=self._where, details=said, fix="try later")
        elif answer.status >= _BROKEN:
            error = NetworkError(
                f"{self._host} answers {answer.status}", where=self._where, details=said, fix="try again later"
            )
        elif answer.status in _REFUSED:
            error = CredentialsError(_REFUSED[answer.status], where=self._where, details=said)
        else:
            error = PublishError("the server does not take this", where=self._where, details=said)
        error.__cause__ = StatusError(answer)
        return error


@dataclass
class _Taker:
    """Writes what comes into a file, up to a limit."""

    file: IO[bytes]
    limit: int
    name: str

    def take(self, data: bytes) -> None:
        self.limit -= len(data)
        if self.limit < 0:
            raise SourceError(f"{self.name} is larger than it may be", fix="look at it before you trust it")
        self.file.write(data)


def answer_to(error: WheelyardError) -> Answer | None:
    """Return the answer that *error* came from, None if no answer came."""
    return error.__cause__.answer if isinstance(error.__cause__, StatusError) else None


def _parse(text: str) -> Answer | None:
    """Read what ``gh api --include`` prints: a status line, headers, an empty line, the body."""
    head, _, body = text.replace("\r\n", "\n").partition("\n\n")
    lines = head.split("\n")
    match = _STATUS.match(lines[0])
    if not match:
        return None
    pairs = (line.partition(":") for line in lines[1:])
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    try:
        value = json.loads(body) if body.strip() else None
    except (ValueError, RecursionError):
        value = None  # a page for people, of a proxy in front perhaps
    return Answer(int(match[1]), headers, value)


def _asked_wait(answer: Answer) -> float | None:
    """Return how many seconds GitHub asks us to wait, None if it is not that which it says.

    https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit
    """
    after = answer.headers.get("retry-after", "")
    if _SECONDS.fullmatch(after):
        return float(after)
    reset = answer.headers.get("x-ratelimit-reset", "")
    if answer.headers.get("x-ratelimit-remaining") == "0" and _SECONDS.fullmatch(reset):
        now = time.time()
        with contextlib.suppress(ValueError, TypeError, OverflowError):  # the server's clock, if it tells
            now = parsedate_to_datetime(answer.headers.get("date", "")).timestamp()
        return max(0.0, int(reset) - now) + 1
    if any("rate limit" in reason.lower() for reason in _reasons(answer)):
        return 60.0
    return None


def _reasons(answer: Answer) -> list[str]:
    """Return what an error says for people."""
    if not isinstance(answer.value, dict):
        return []
    errors = answer.value.get("errors")
    listed = errors if isinstance(errors, list) else []
    said = [answer.value.get("message"), *(each.get("message") if isinstance(each, dict) else each for each in listed)]
    return [log.redact(log.clean(str(each)))[:300] for each in said if each]
