"""The ASGI application: which route serves a request, and what goes wrong with it on the way."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from dataclasses import replace
from datetime import timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING
from urllib.parse import unquote

from support.gitlab import api, auth, generic, issues, merge_requests, pypi, repositories, tokens, upload
from support.gitlab.state import Seen
from support.gitlab.wire import CHUNK, Answer, GoneError, HaltError, Request, message, ranged, retry_later

if TYPE_CHECKING:
    from support.gitlab.faults import Fault
    from support.gitlab.state import GitLab
    from support.gitlab.wire import Message, Receive, Route, Send

_PROJECT, _GROUP = "/projects/([^/]+)", "/groups/([^/]+)"
ROUTES: list[Route] = [
    ("POST", f"{_PROJECT}/packages/pypi", upload.upload),
    ("GET", f"{_PROJECT}/packages/pypi/simple/?", pypi.root),
    ("GET", f"{_PROJECT}/packages/pypi/simple/(.+)", pypi.page),
    ("GET", f"{_PROJECT}/packages/pypi/files/([^/]+)/(.+)", pypi.download),
    ("GET", f"{_GROUP}/-/packages/pypi/simple/?", pypi.group_root),
    ("GET", f"{_GROUP}/-/packages/pypi/simple/(.+)", pypi.group_page),
    ("GET", f"{_GROUP}/-/packages/pypi/files/([^/]+)/(.+)", pypi.group_download),
    *((method, _PROJECT + path, handler) for method, path, handler in generic.PROJECT_ROUTES),
    *((method, _PROJECT + path, handler) for method, path, handler in api.PROJECT_ROUTES),
    *((method, _PROJECT + path, handler) for method, path, handler in issues.PROJECT_ROUTES),
    *((method, _PROJECT + path, handler) for method, path, handler in merge_requests.PROJECT_ROUTES),
    *((method, _PROJECT + path, handler) for method, path, handler in tokens.PROJECT_ROUTES),
    *((method, _GROUP + path, handler) for method, path, handler in tokens.GROUP_ROUTES),
    *tokens.ROUTES,
]
_COMPILED = [
    *((method, re.compile("/api/v4" + path), handler) for method, path, handler in ROUTES),
    *((method, re.compile(path), handler) for method, path, handler in repositories.ROUTES),
]


class App:
    """The application over a GitLab's state."""

    def __init__(self, gitlab: GitLab) -> None:
        self._gitlab = gitlab
        self._window = 0.0
        self._asked = 0

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        request.fault = self._gitlab.plan.take(request.method, request.path)
        try:
            answer = await self._answer(request)
        except GoneError as gone:
            self._note(request, 0)
            if gone.reset:
                request.cut(reset=True)
        else:
            self._note(request, answer.status)
            with contextlib.suppress(OSError):
                await _deliver(request, answer)

    def _note(self, request: Request, status: int) -> None:
        """Remember a request, before its client can know how it went: tests look as soon as they have the answer."""
        kind = auth.kind(request)
        self._gitlab.requests.append(
            Seen(request.verb, request.path, status, request.headers, kind, request.received, request.query_string)
        )

    async def _answer(self, request: Request) -> Answer:
        if limited := self._over_limit():
            return limited
        fault = request.fault
        if fault and (early := await _before(request, fault)):
            return early
        try:
            answer = await self._route(request)
        except HaltError as halt:
            answer = halt.answer
        if not fault:
            return answer
        return await _after(request, fault, answer)

    async def _route(self, request: Request) -> Answer:
        for method, pattern, handler in _COMPILED:
            if method == request.method and (match := pattern.fullmatch(request.raw_path)):
                return await handler(self._gitlab, request, *map(unquote, match.groups()))
        return message(404, "404 Not Found")

    def _over_limit(self) -> Answer | None:
        """Count requests per window, and refuse with the headers of lib/gitlab/rack_attack.rb."""
        setting = self._gitlab.project_setting
        if setting.rate_limit is None:
            return None
        now = time.monotonic()
        if now >= self._window + setting.rate_window:
            self._window, self._asked = now, 0
        self._asked += 1
        if self._asked <= setting.rate_limit:
            return None
        if not setting.rate_headers:
            return retry_later({})
        left = max(1, round(self._window + setting.rate_window - now))
        reset = self._gitlab.now() + timedelta(seconds=left)
        return retry_later(
            {
                "Retry-After": str(left),
                "RateLimit-Limit": str(setting.rate_limit),
                "RateLimit-Name": "throttle_packages_api",
                "RateLimit-Observed": str(self._asked),
                "RateLimit-Remaining": "0",
                "RateLimit-Reset": str(int(reset.timestamp())),
                "RateLimit-ResetTime": format_datetime(reset, usegmt=True),
            }
        )


async def _before(request: Request, fault: Fault) -> Answer | None:
    """Let go wrong what happens before anything is done."""
    match fault.kind:
        case "redirect":
            query = f"?{request.query_string}" if request.query_string else ""
            here = request.raw_path + query if fault.location.count("/") == 2 else ""
            return Answer(302, b"", {"Location": fault.location + here})
        case "stall" if request.method == "GET":
            await request.stall()
        case "unauthorized_mid_body":
            async for _ in request.chunks():
                if request.received >= fault.count:
                    break
            return replace(auth.unauthorized(packages=True), headers={**auth.REALM, "Connection": "close"})
        case "status":
            await request.drain()
            return _failure(fault)
        case "reset":
            await request.drain()
            raise GoneError(reset=True)
        case _:
            pass
    return None


async def _after(request: Request, fault: Fault, answer: Answer) -> Answer:
    """Let go wrong what happens when all is done."""
    match fault.kind:
        case "stall":
            await request.stall(after=True)
        case "status_after":
            return _failure(fault)
        case "reset_after":
            raise GoneError(reset=True)
        case _:
            pass
    return answer


def _failure(fault: Fault) -> Answer:
    headers = dict(fault.headers) | ({"Retry-After": fault.retry_after} if fault.retry_after is not None else {})
    if fault.status == 429:
        return retry_later(headers)
    return Answer(
        fault.status, b"<html><body>GitLab is not responding</body></html>\n", {"Content-Type": "text/html"} | headers
    )


async def _deliver(request: Request, answer: Answer) -> None:
    answer, first, length = ranged(request, answer)
    cut, drip = request.strikes("truncate"), request.strikes("drip")
    await request.start(answer, max(length, cut.count + 1) if cut else length)
    step = drip.count or 1 if drip else CHUNK
    left = min(length, cut.count) if cut else length
    source = answer.file.open("rb") if answer.file else None
    try:
        if source:
            source.seek(first)
        while left > 0:
            size = min(step, left)
            piece = source.read(size) if source else answer.body[first : first + size]
            first, left = first + size, left - size
            await request.send(piece, more=left > 0 or cut is not None)
            if drip:
                await asyncio.sleep(drip.seconds)
    finally:
        if source:
            source.close()
    if cut:
        request.cut(reset=False)
    elif length == 0:
        await request.send(b"")
