"""A package index on the loopback interface, over real HTTP, with faults on request.

It speaks PEP 503 (HTML) and PEP 691 (JSON, with PEP 700's sizes, versions and upload times), PEP 592's yanks, PEP
658's metadata files, PEP 792's project status, byte ranges, and conditional requests (RFC 9110, section 13)::

    with IndexServer() as index:
        index.add("demo", IndexFile("demo-1.0.tar.gz", data, requires_python=">=3.9"))
        index.fault("/files/demo/demo-1.0.tar.gz", Fault(cut_after=1000, times=1))
        look_up("demo", None, index=index.url)
        assert index.paths == ["/simple/demo/"]
"""

from __future__ import annotations

import hashlib
import html
import json
import re
import threading
import time
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import unquote

from support.loopback import Loopback

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

JSON = "application/vnd.pypi.simple.v1+json"
_PIECE = 1 << 16  # bytes of a body that are sent at once
_RANGE = re.compile(r"\Abytes=(\d+)-(\d*)\Z")


@dataclass(frozen=True)
class IndexFile:
    """A file that the index lists.

    Attributes:
        name: its file name.
        data: its bytes.
        requires_python: PEP 503's ``data-requires-python``.
        yanked: False, True, or the reason (PEP 592).
        sha256: what the index claims; the true one when None, no hash at all when empty.
        size: what the index claims; the true one when None. Only JSON carries sizes.
        metadata: the PEP 658 metadata file's bytes.
        url: where the index says it is; on this server when None.
        uploaded: PEP 700's ``upload-time``. Only JSON carries it.
    """

    name: str
    data: bytes = b""
    requires_python: str | None = None
    yanked: bool | str = False
    sha256: str | None = None
    size: int | None = None
    metadata: bytes | None = None
    url: str | None = None
    uploaded: str | None = None

    @property
    def claimed_sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest() if self.sha256 is None else self.sha256


@dataclass(frozen=True)
class Fault:
    """What goes wrong with the answers for one path.

    Attributes:
        status: answer this status instead, with an empty body.
        headers: further headers, such as ``Retry-After`` or ``Location``.
        body: answer these bytes instead of the file's (a wrong hash, a broken page).
        content_type: answer with this one.
        cut_after: announce the whole length, send this many bytes, then close the connection.
        drop: close the connection without any answer.
        delay: seconds to wait before the answer.
        chunk_delay: seconds to wait between pieces of 1 KiB.
        no_range: answer the whole file even when a range is asked for.
        no_length: leave Content-Length out.
        times: for how many requests; for all when None.
    """

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    content_type: str | None = None
    cut_after: int | None = None
    drop: bool = False
    delay: float = 0
    chunk_delay: float = 0
    no_range: bool = False
    no_length: bool = False
    times: int | None = None


@dataclass(frozen=True)
class Request:
    """A request that arrived."""

    method: str
    path: str
    headers: Mapping[str, str]


class IndexServer(Loopback):
    """The server; a context manager. ``url`` is the root of the simple API.

    Attributes:
        requests: what has been asked so far, in order.
        json: whether it speaks PEP 691; HTML only when False.
        validators: which validators its pages have: ``ETag``, ``Last-Modified``, both, or none.
        answers: path and status of each answer so far.
        most: how many requests, at most, were waiting at the same time.
        rate: bytes a second that all answers together may take; None for no limit.
    """

    rate: float | None = None

    def __init__(self, *, json: bool = True, validators: tuple[str, ...] = ()) -> None:
        self.requests: list[Request] = []
        self.answers: list[tuple[str, int]] = []
        self.most = 0
        self._waiting = 0
        self._busy_until = 0.0
        self.json = json
        self.validators = validators
        self._told: dict[str, dict[str, object]] = {}
        self._known: dict[bytes, dict[str, str]] = {}
        self._projects: dict[str, dict[str, IndexFile]] = {}
        self._static: dict[str, tuple[bytes, str]] = {}
        self._faults: dict[str, list[tuple[Fault, list[int]]]] = {}
        self._lock = threading.Lock()
        server = _Server(("127.0.0.1", 0), _Handler)
        server.index = self
        super().__init__(server, poll=0.02)

    @property
    def url(self) -> str:
        return f"{self.root}/simple/"

    @property
    def paths(self) -> list[str]:
        """The paths asked for so far, in order."""
        return [request.path for request in self.requests]

    def add(self, project: str, *files: IndexFile) -> None:
        """List *files* under *project* (its canonical name)."""
        with self._lock:
            self._projects.setdefault(project, {}).update({file.name: file for file in files})

    def files(self, project: str) -> tuple[IndexFile, ...]:
        """Return what is listed under *project*, none if there is no such project."""
        with self._lock:
            return tuple(self._projects.get(project, {}).values())

    def set_files(self, project: str, files: Iterable[IndexFile]) -> None:
        """List *files* under *project*, and no others."""
        with self._lock:
            self._projects[project] = {file.name: file for file in files}

    def remove(self, project: str) -> None:
        """Know nothing of *project* from now on."""
        with self._lock:
            self._projects.pop(project, None)
            self._told.pop(project, None)

    def set_keys(self, project: str, **keys: object) -> None:
        """Have the JSON page of *project* say *keys* at its top level, such as ``name`` or ``project-status``."""
        with self._lock:
            self._told.setdefault(project, {}).update(keys)

    def validators_of(self, body: bytes) -> dict[str, str]:
        """Return a page's validators: each new page is a second younger than the one before."""
        with self._lock:
            if body not in self._known:
                self._known[body] = {
                    "ETag": f'"{hashlib.sha256(body).hexdigest()[:16]}"',
                    "Last-Modified": formatdate(1_700_000_000 + len(self._known), usegmt=True),
                }
            return {name: self._known[body][name] for name in self.validators}

    def add_static(self, path: str, data: bytes, content_type: str = "application/octet-stream") -> str:
        """Serve *data* under *path*, and return its address."""
        with self._lock:
            self._static[path] = (data, content_type)
        return self.root + path

    def file_url(self, project: str, name: str) -> str:
        return f"{self.root}/files/{project}/{name}"

    def fault(self, path: str, fault: Fault) -> None:
        """Let *path* go wrong; several faults of a path come one after the other as each one's ``times`` is used up."""
        with self._lock:
            self._faults.setdefault(path, []).append((fault, [0]))

    def heal(self) -> None:
        """Forget all faults."""
        with self._lock:
            self._faults.clear()

    def take_fault(self, path: str) -> Fault:
        with self._lock:
            for fault, used in self._faults.get(path, []):
                if fault.times is None or used[0] < fault.times:
                    used[0] += 1
                    return fault
        return Fault()

    def wait(self, seconds: float) -> None:
        """Let a request wait."""
        with self._lock:
            self._waiting += 1
            self.most = max(self.most, self._waiting)
        time.sleep(seconds)
        with self._lock:
            self._waiting -= 1

    def carry(self, size: int) -> None:
        """Take as long as *size* bytes take on a line that all connections share."""
        if self.rate:
            with self._lock:
                self._busy_until = max(self._busy_until, time.monotonic()) + size / self.rate
                left = self._busy_until - time.monotonic()
            time.sleep(max(left, 0))

    def resource(self, path: str, accept: str) -> tuple[bytes, str] | None:
        """Return body and content type of *path*, None if there is no such thing."""
        with self._lock:
            if path in self._static:
                return self._static[path]
            match path.strip("/").split("/"):
                case ["simple"]:
                    return self._page_of_projects(as_json=self.json and JSON in accept)
                case ["simple", project] if project in self._projects and path.endswith("/"):
                    return self._page_of_files(project, as_json=self.json and JSON in accept)
                case ["files", project, name] if project in self._projects:
                    file = self._projects[project].get(name)
                    if file:
                        return file.data, "application/octet-stream"
                    file = self._projects[project].get(name.removesuffix(".metadata"))
                    if file and file.metadata is not None:
                        return file.metadata, "application/octet-stream"
        return None

    def _page_of_projects(self, *, as_json: bool) -> tuple[bytes, str]:
        if as_json:
            page = {"meta": {"api-version": "1.1"}, "projects": [{"name": name} for name in self._projects]}
            return json.dumps(page).encode(), JSON
        links = "".join(f'<a href="/simple/{name}/">{name}</a><br>' for name in self._projects)
        return _html(links), "text/html; charset=utf-8"

    def _page_of_files(self, project: str, *, as_json: bool) -> tuple[bytes, str]:
        files = self._projects[project].values()
        if as_json:
            page = {
                "meta": {"api-version": "1.1"},
                "name": project,
                "versions": sorted(
                    {file.name.split("-")[1].removesuffix(".tar.gz") for file in files if "-" in file.name}
                ),
                "files": [self._json_entry(project, file) for file in files],
            }
            return json.dumps(page | self._told.get(project, {})).encode(), JSON
        return _html("".join(self._anchor(project, file) for file in files)), "text/html; charset=utf-8"

    def _json_entry(self, project: str, file: IndexFile) -> dict[str, object]:
        entry: dict[str, object] = {
            "filename": file.name,
            "url": file.url or self.file_url(project, file.name),
            "hashes": {"sha256": file.claimed_sha256} if file.claimed_sha256 else {},
            "yanked": file.yanked,
            "size": len(file.data) if file.size is None else file.size,
        }
        if file.requires_python is not None:
            entry["requires-python"] = file.requires_python
        if file.uploaded is not None:
            entry["upload-time"] = file.uploaded
        if file.metadata is not None:
            entry["core-metadata"] = {"sha256": hashlib.sha256(file.metadata).hexdigest()}
        return entry

    def _anchor(self, project: str, file: IndexFile) -> str:
        address = file.url or self.file_url(project, file.name)
        attributes = {"href": address + (f"#sha256={file.claimed_sha256}" if file.claimed_sha256 else "")}
        if file.requires_python is not None:
            attributes["data-requires-python"] = file.requires_python
        if file.yanked is not False:
            attributes["data-yanked"] = file.yanked if isinstance(file.yanked, str) else ""
        if file.metadata is not None:
            attributes["data-core-metadata"] = f"sha256={hashlib.sha256(file.metadata).hexdigest()}"
        text = " ".join(f'{key}="{html.escape(value)}"' for key, value in attributes.items())
        return f"<a {text}>{html.escape(file.name)}</a><br>"


def _html(body: str) -> bytes:
    return (
        '<!DOCTYPE html><html><head><meta name="pypi:repository-version" content="1.0"></head>'
        f"<body>{body}</body></html>"
    ).encode()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # a connection that finds no room is tried again after a second
    index: IndexServer

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients that hang up are what these tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name for it
        pass

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        index = self.server.index
        path = unquote(self.path.partition("?")[0])
        index.requests.append(Request(self.command, path, dict(self.headers)))
        fault = index.take_fault(path)
        index.wait(fault.delay)
        if fault.drop:
            self.close_connection = True
            return
        found = index.resource(path, self.headers.get("Accept", ""))
        status = HTTPStatus.OK if found else HTTPStatus.NOT_FOUND
        body, content_type = found or (b"not found", "text/plain")
        if fault.body is not None:
            status, body = HTTPStatus.OK, fault.body
        headers = {"Content-Type": fault.content_type or content_type, **fault.headers}
        headers |= index.validators_of(body) if path.startswith("/simple/") and status is HTTPStatus.OK else {}
        if fault.status is not None:
            status, body = HTTPStatus(fault.status), b""
        elif status is HTTPStatus.OK and self._has(headers):
            status, body = HTTPStatus.NOT_MODIFIED, b""
        elif status is HTTPStatus.OK and not fault.no_range:
            status, body = self._ranged(body, headers)
        self._send(status, headers, body if with_body else b"", len(body), fault)

    def _has(self, headers: Mapping[str, str]) -> bool:
        """Tell whether the client has this page: If-None-Match counts before If-Modified-Since (RFC 9110, 13.2.2)."""
        for asked, validator in (("If-None-Match", "ETag"), ("If-Modified-Since", "Last-Modified")):
            if value := self.headers.get(asked):
                return value == headers.get(validator)
        return False

    def _ranged(self, body: bytes, headers: dict[str, str]) -> tuple[HTTPStatus, bytes]:
        """Cut *body* to the range that is asked for (RFC 9110, section 14)."""
        headers["Accept-Ranges"] = "bytes"
        match = _RANGE.match(self.headers.get("Range", ""))
        if not match:
            return HTTPStatus.OK, body
        first, last = int(match[1]), min(int(match[2] or len(body) - 1), len(body) - 1)
        if first >= len(body) or last < first:
            headers["Content-Range"] = f"bytes */{len(body)}"
            return HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, b""
        headers["Content-Range"] = f"bytes {first}-{last}/{len(body)}"
        return HTTPStatus.PARTIAL_CONTENT, body[first : last + 1]

    def _send(self, status: HTTPStatus, headers: Mapping[str, str], body: bytes, length: int, fault: Fault) -> None:
        self.server.index.answers.append((unquote(self.path.partition("?")[0]), int(status)))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if fault.no_length:
            self.send_header("Connection", "close")
            self.close_connection = True
        else:
            self.send_header("Content-Length", str(length))
        self.end_headers()
        if fault.cut_after is not None:
            body = body[: fault.cut_after]
            self.close_connection = True
        step = 1024 if fault.chunk_delay else _PIECE if self.server.index.rate else max(len(body), 1)
        for start in range(0, len(body), step):
            piece = body[start : start + step]
            self.server.index.carry(len(piece))
            self.wfile.write(piece)
            self.wfile.flush()
            time.sleep(fault.chunk_delay)
