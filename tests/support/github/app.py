"""The application: routes, who may use them, pages, and what goes wrong."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlencode

from support.github import artifacts, issues
from support.github.state import Seen
from support.gitlab.serve import serve_app
from support.gitlab.wire import Answer, GoneError, HaltError, Request, as_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from support.github.state import GitHub
    from support.gitlab.faults import Fault
    from support.gitlab.serve import Server
    from support.gitlab.wire import Message, Receive, Send

_REPOSITORY = r"/api/v3/repos/([^/]+/[^/]+)"
_COMPILED = [
    (method, re.compile(_REPOSITORY + path), handler) for method, path, handler in [*issues.ROUTES, *artifacts.ROUTES]
]
_LONGEST = 100  # rest/using-the-rest-api/using-pagination-in-the-rest-api


class App:
    """The application over a GitHub's state."""

    def __init__(self, github: GitHub) -> None:
        self._github = github

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        request.fault = self._github.plan.take(request.method, request.path)
        try:
            answer = await self._answer(request)
        except GoneError:
            self._note(request, 0)
            request.cut(reset=True)
            return
        self._note(request, answer.status)
        with contextlib.suppress(OSError):
            await request.start(answer, len(answer.body))
            await self._body(request, answer.body)

    async def _body(self, request: Request, body: bytes) -> None:
        if fault := request.strikes("truncate"):
            await request.send(body[: fault.count], more=True)
            request.cut(reset=False)
            return
        if fault := request.strikes("drip"):
            for byte in body:
                await request.send(bytes([byte]), more=True)
                await asyncio.sleep(fault.seconds)
        await request.send(b"" if fault else body)

    def _note(self, request: Request, status: int) -> None:
        seen = Seen(request.verb, request.path, status, request.query_string, request.headers)
        self._github.requests.append(seen)

    async def _answer(self, request: Request) -> Answer:
        if (fault := request.strikes("status", "reset")) and fault.kind == "status":
            await request.drain()
            return _failure(fault)
        if request.strikes("reset"):
            await request.drain()
            raise GoneError(reset=True)
        try:
            answer = await self._route(request)
        except HaltError as halt:
            answer = halt.answer
        await request.stall(after=True)
        if fault := request.strikes("status_after"):
            return _failure(fault)
        if request.strikes("reset_after"):
            raise GoneError(reset=True)
        return answer

    async def _route(self, request: Request) -> Answer:
        may = _storage(request) if "/blob/" in request.path else self._may(request)
        for method, pattern, handler in _COMPILED:
            match = pattern.fullmatch(unquote(request.raw_path))
            if method != request.method or not match:
                continue
            name, *rest = match.groups()
            if name.lower() != self._github.repository.name.lower():
                break
            if method != "GET" and may != "write":
                # rest/authentication/authenticating-to-the-rest-api: 403 where a token's permissions do not do.
                return as_json({"message": "Resource not accessible by personal access token"}, 403)
            params = await _params(request)
            self._settle()
            made = handler(self._github, _site(request), params, *map(int, rest))
            if isinstance(made, Answer):
                return made
            return _page(request, made) if isinstance(made, list) else as_json(made)
        return as_json({"message": "Not Found"}, 404)

    def _may(self, request: Request) -> str:
        """rest/authentication/authenticating-to-the-rest-api: a token after `token` or `Bearer`, 401 if it is bad."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() in {"token", "bearer"} and token in self._github.tokens:
            return self._github.tokens[token]
        raise HaltError(as_json({"message": "Bad credentials"}, 401))

    def _settle(self) -> None:
        """Close those whose branch is gone.

        pull-requests/collaborating-with-pull-requests/…/deleting-and-restoring-branches-in-a-pull-request: what is
        open for a branch is closed with it.
        """
        repository = self._github.repository
        for issue in repository.issues.values():
            own = issue.pull and issue.pull.source == repository.name
            if own and issue.pull and issue.state == "open" and not repository.git.tip(issue.pull.head):
                issue.state = "closed"


def _storage(request: Request) -> str:
    """Serve what an address allows that is signed; storage refuses requests with a token beside it."""
    if "authorization" in request.headers:
        raise HaltError(as_json({"message": "InvalidAuthenticationInfo"}, 400))
    return "read"


def _site(request: Request) -> str:
    return f"https://{request.headers['host']}"


async def _params(request: Request) -> dict[str, Any]:
    body = b"".join([chunk async for chunk in request.chunks()])
    try:
        given = json.loads(body) if body else {}
    except ValueError:
        # rest/using-the-rest-api/troubleshooting-the-rest-api
        raise HaltError(as_json({"message": "Problems parsing JSON"}, 400)) from None
    return {**request.query, **given}


def _page(request: Request, rows: Sequence[object]) -> Answer:
    """Return a page: 30 entries unless told, 100 at most; a link header only where there is more than one page."""
    page = int(request.query.get("page", 1))
    size = min(int(request.query.get("per_page", 30)), _LONGEST)
    last = max(1, -(-len(rows) // size))
    links = {"prev": page - 1, "next": page + 1, "last": last, "first": 1}
    shown = {
        name: number
        for name, number in links.items()
        if 1 <= number <= last and number != page and (name != "last" or page < last)
    }
    here = _site(request) + request.path
    listed = [
        f'<{here}?{urlencode({**request.query, "page": number})}>; rel="{name}"' for name, number in shown.items()
    ]
    return as_json(
        list(rows[(page - 1) * size : page * size]), headers={"Link": ", ".join(listed)} if last > 1 else None
    )


def _failure(fault: Fault) -> Answer:
    """Fail; over the limit as rest/using-the-rest-api/rate-limits-for-the-rest-api has it."""
    headers: Mapping[str, str] = {**fault.headers, **({"Retry-After": fault.retry_after} if fault.retry_after else {})}
    if fault.status in {403, 429} and headers.get("x-ratelimit-remaining") == "0":
        return as_json({"message": "API rate limit exceeded for user ID 1."}, fault.status, headers)
    if fault.status in {403, 429}:
        return as_json({"message": "You have exceeded a secondary rate limit."}, fault.status, headers)
    return Answer(fault.status, b"<html><body>Unicorn!</body></html>\n", {"Content-Type": "text/html", **headers})


@contextlib.contextmanager
def serve(github: GitHub) -> Iterator[Server]:
    """Serve *github* over TLS while the context lasts."""
    with serve_app(App(github), tls=True) as server:
        yield server
