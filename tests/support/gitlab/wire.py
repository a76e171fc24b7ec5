"""Requests and answers as the rest of the server sees them."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from pathlib import Path

    from support.gitlab.faults import Fault

    Message = dict[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    Route = tuple[str, str, Callable[..., Awaitable["Answer"]]]  # method, pattern of the path, handler

CHUNK = 1 << 18
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


@dataclass(frozen=True)
class Answer:
    """What is answered.

    Attributes:
        status: the HTTP status.
        body: its bytes.
        headers: by name.
        file: a file that is the body instead.
    """

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    file: Path | None = None

    @property
    def length(self) -> int:
        return self.file.stat().st_size if self.file else len(self.body)


class HaltError(Exception):
    """The request ends here, with this answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


class GoneError(Exception):
    """There is nobody to answer: the client hung up, or the connection is to be reset."""

    def __init__(self, *, reset: bool = False) -> None:
        super().__init__()
        self.reset = reset


def as_json(data: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    body = json.dumps(data, separators=(",", ":")).encode()
    return Answer(status, body, {"Content-Type": "application/json", **(headers or {})})


def message(status: int, text: str, headers: Mapping[str, str] | None = None) -> Answer:
    """Say it as `render_api_error!` does (lib/api/helpers.rb)."""
    return as_json({"message": text}, status, headers)


def retry_later(headers: Mapping[str, str]) -> Answer:
    """429 as config/initializers/rack_attack.rb has it."""
    return Answer(429, b"Retry later\n", {"Content-Type": "text/plain", **headers})


class Request:
    """A request; its body is read by whoever serves it, once."""

    def __init__(self, scope: Message, receive: Receive, send: Send) -> None:
        self.verb = str(scope["method"])
        self.method = "GET" if self.verb == "HEAD" else self.verb  # as far as routes and faults are concerned
        self.raw_path = scope["raw_path"].decode("ascii")
        self.path = str(scope["path"])
        self.query_string = scope["query_string"].decode("ascii")
        self.query = {key: values[-1] for key, values in parse_qs(self.query_string, keep_blank_values=True).items()}
        self.headers: dict[str, str] = {
            key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]
        }
        self.scheme = str(scope["scheme"])
        self.received = 0
        self.fault: Fault | None = None
        self._receive, self._send = receive, send
        self._more = True

    def strikes(self, *kinds: str) -> Fault | None:
        """Return the request's fault if it is one of these kinds."""
        return self.fault if self.fault and self.fault.kind in kinds else None

    async def stall(self, *, after: bool = False) -> None:
        """Do nothing for a while if that is the request's fault. Whoever reads a body does so first.

        A client that gives up in between has then sent everything, and is served as if it were still there.
        """
        if (fault := self.strikes("stall")) and fault.after == after:
            await asyncio.sleep(fault.seconds)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield what is left of the body.

        Raises:
            GoneError: the client hung up.
        """
        while self._more:
            event = await self._receive()
            if event["type"] == "http.disconnect":
                raise GoneError
            self._more = event.get("more_body", False)
            self.received += len(event["body"])
            yield event["body"]

    async def drain(self) -> None:
        async for _ in self.chunks():
            pass

    async def params(self) -> dict[str, Any]:
        """Return query and body (JSON or form) as one, as Grape does."""
        body = b"".join([chunk async for chunk in self.chunks()])
        if not body:
            return dict(self.query)
        if "json" in self.headers.get("content-type", ""):
            try:
                given = json.loads(body)
            except ValueError:
                raise HaltError(as_json({"error": "The request body is not valid JSON"}, 400)) from None
            return {**self.query, **given} if isinstance(given, dict) else dict(self.query)
        form = parse_qs(body.decode(errors="replace"), keep_blank_values=True)
        return {**self.query, **{key: values[-1] for key, values in form.items()}}

    async def start(self, answer: Answer, length: int, **headers: str) -> None:
        pairs = {"Content-Length": str(length), **answer.headers, **headers}
        listed = [(name.lower().encode(), value.encode("latin-1")) for name, value in pairs.items()]
        await self._send({"type": "http.response.start", "status": answer.status, "headers": listed})

    async def send(self, body: bytes, *, more: bool = False) -> None:
        await self._send({"type": "http.response.body", "body": body, "more_body": more})

    @property
    def transport(self) -> asyncio.Transport:
        """The connection: uvicorn's `send` is a bound method of the cycle that holds it (h11_impl.py)."""
        transport: asyncio.Transport = self._send.__self__.transport  # type: ignore[attr-defined]
        return transport

    def cut(self, *, reset: bool) -> None:
        """End the connection: with RST, or after what is written already."""
        if reset:
            connection = self.transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.transport.abort()
        else:
            self.transport.close()


def ranged(request: Request, answer: Answer) -> tuple[Answer, int, int]:
    """Return the answer, where its body begins, and how long that is: Workhorse's send-file knows ranges."""
    length = answer.length
    match = _RANGE.fullmatch(request.headers.get("range", ""))
    if not answer.file or answer.status != 200 or not match:
        return answer, 0, length
    first, last = int(match[1]), min(int(match[2] or length - 1), length - 1)
    if first > last:
        return Answer(416, b"", {"Content-Range": f"bytes */{length}"}), 0, 0
    headers = {**answer.headers, "Content-Range": f"bytes {first}-{last}/{length}"}
    return Answer(206, b"", headers, answer.file), first, last - first + 1


def site(request: Request, external_url: str | None) -> str:
    """Return what the instance's addresses begin with."""
    return external_url or f"{request.scheme}://{request.headers.get('host', 'localhost')}"
