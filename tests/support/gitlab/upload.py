"""Uploads: received while they stream, stored or refused (app/services/packages/pypi/create_package_service.rb)."""

from __future__ import annotations

import hashlib
import re
import shutil
from dataclasses import replace
from email.message import Message
from typing import TYPE_CHECKING, BinaryIO

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser

from support.gitlab import auth, pypi
from support.gitlab.store import Received, TakenError
from support.gitlab.wire import HaltError, as_json, message

if TYPE_CHECKING:
    from pathlib import Path

    from support.gitlab.auth import Caller
    from support.gitlab.model import Project
    from support.gitlab.state import GitLab
    from support.gitlab.wire import Answer, Request

# What the parameters of the route and the columns of packages_pypi_metadata hold.
FIELDS = (
    "name", "version", "requires_python", "md5_digest", "sha256_digest", "metadata_version", "author_email",
    "description", "description_content_type", "summary", "keywords",
)  # fmt: skip
_LONGEST = {  # app/models/packages/pypi/metadatum.rb
    "requires_python": 255,
    "summary": 255,
    "keywords": 1024,
    "metadata_version": 16,
    "author_email": 2048,
    "description_content_type": 128,
    "description": 4000,
}
_SHA256 = re.compile(r"[0-9a-f]{64}", re.IGNORECASE)
# lib/gitlab/regex/packages.rb, package_name_regex and pypi_version_regex
_NAME = re.compile(r"@?((?:[\w\-.+]*/)*[\w\-.]+)@?(?:[\w\-.+]*/)*[\w\-.]*", re.ASCII)
_VERSION = re.compile(
    r"v?(?:\d+!)?\d+(?:\.\d+)*(?:[-_.]?(?:a|b|c|rc|alpha|beta|pre|preview)[-_.]?\d*)?"
    r"(?:-\d+|[-_.]?(?:post|rev|r)[-_.]?\d*)?(?:[-_.]?dev[-_.]?\d*)?(?:\+[a-z0-9]+(?:[-_.][a-z0-9]+)*)?",
    re.ASCII | re.IGNORECASE,
)


class Form:
    """A multipart body on its way in: fields in memory, `content` in the file *path*."""

    def __init__(self, boundary: str, path: Path) -> None:
        self.fields: dict[str, bytearray] = {}
        self.path = path
        self.file_name: str | None = None
        self.sha256 = hashlib.sha256()
        self.size = 0
        self.done = False
        self._header = (bytearray(), bytearray())
        self._disposition = ""
        self._field: bytearray | None = None
        self._file: BinaryIO | None = None
        self._parser = MultipartParser(
            boundary,
            {
                "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
                "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
                "on_header_end": self._end_header,
                "on_headers_finished": self._begin_part,
                "on_part_data": self._data,
                "on_end": self._end,
            },
        )

    def write(self, chunk: bytes) -> None:
        self._parser.write(chunk)

    def close(self) -> None:
        if self._file:
            self._file.close()
            self._file = None

    def _end_header(self) -> None:
        name, value = (bytes(part).decode("utf-8", "replace") for part in self._header)
        if name.lower() == "content-disposition":
            self._disposition = value
        self._header = (bytearray(), bytearray())

    def _begin_part(self) -> None:
        self.close()
        parsed = Message()
        parsed["content-disposition"] = self._disposition
        name, file_name = parsed.get_param("name", "", "content-disposition"), parsed.get_filename()
        self._field = None
        if name == "content" and file_name is not None:
            self.file_name = file_name.replace("\\", "/").rpartition("/")[2]
            self._file = self.path.open("wb")
            self.sha256, self.size = hashlib.sha256(), 0
        else:
            self._field = self.fields[str(name)] = bytearray()  # of several of a name, the last one counts

    def _data(self, data: bytes, start: int, end: int) -> None:
        piece = data[start:end]
        if self._field is not None:
            self._field.extend(piece)
        elif self._file:
            self._file.write(piece)
            self.sha256.update(piece)
            self.size += len(piece)

    def _end(self) -> None:
        self.done = True
        self.close()


async def upload(gitlab: GitLab, request: Request, key: str) -> Answer:
    """Serve `POST /projects/:id/packages/pypi`.

    Workhorse asks the route `authorize` before it takes a byte of the body: who may not upload learns that first.
    """
    caller = pypi.identify(gitlab, request)
    project = pypi.find_project(gitlab, caller, key)
    if not auth.can_create_packages(gitlab, caller, project):
        raise HaltError(pypi.unauthorized_or(caller, message(403, "403 Forbidden")))
    path = gitlab.incoming / str(gitlab.next_id())
    try:
        received = _checked(gitlab, await _receive(request, path))
        await request.stall()
        _store(gitlab, caller, project, received, request)
    finally:
        path.unlink(missing_ok=True)
    return message(201, "201 Created")


def _bad_request(reason: str) -> HaltError:
    return HaltError(message(400, f"400 Bad request - {reason}"))


async def _receive(request: Request, path: Path) -> Form:
    parsed = Message()
    parsed["content-type"] = request.headers.get("content-type", "")
    boundary = parsed.get_boundary()
    if not boundary:
        await request.drain()
        raise HaltError(as_json({"error": "content is missing, name is missing, version is missing"}, 400))
    form = Form(boundary, path)
    try:
        async for chunk in request.chunks():
            form.write(chunk)
    except FormParserError as error:
        raise _bad_request(str(error)) from None
    finally:
        form.close()
    if not form.done:
        raise _bad_request("unexpected EOF")
    return form


def _checked(gitlab: GitLab, form: Form) -> Received:
    """Check what the route declares (Grape's words), then the size, then what FIPS wants."""
    fields = {key: bytes(value).decode("utf-8", "replace") for key, value in form.fields.items() if key in FIELDS}
    wrong = [f"{key} is missing" for key in ("name", "version") if key not in fields]
    if form.file_name is None:
        wrong.insert(0, "content is invalid" if "content" in form.fields else "content is missing")
    if "sha256_digest" in fields and not _SHA256.fullmatch(fields["sha256_digest"]):
        wrong.append("sha256_digest is invalid")
    if wrong or form.file_name is None:
        raise HaltError(as_json({"error": ", ".join(wrong)}, 400))
    if form.size > gitlab.project_setting.max_file_size:
        raise _bad_request("File is too large")
    if gitlab.project_setting.fips and not fields.get("sha256_digest"):
        raise HaltError(message(422, "422 Unprocessable Entity"))
    fields |= {key: _cut(fields[key], longest) for key, longest in _LONGEST.items() if key in fields}
    return Received(fields, form.file_name, form.path, form.sha256.hexdigest(), form.size)


def _cut(text: str, longest: int) -> str:
    """As ActiveSupport's `truncate`: the three dots count."""
    return text if len(text) <= longest else text[: longest - 3] + "..."


def _store(gitlab: GitLab, caller: Caller, project: Project, received: Received, request: Request) -> None:
    name, version = received.fields["name"], received.fields["version"]
    level = gitlab.role(caller.user, project) if caller.user else 0
    if any(rule.matches(name) and level < rule.role for rule in project.rules):
        raise HaltError(message(403, "403 Forbidden - Package protected."))
    wrong = [] if _NAME.fullmatch(name) else ["Name is invalid"]
    wrong += [] if _VERSION.fullmatch(version) else ["Version is invalid"]
    wrong += ["Name has already been taken"] if request.strikes("creation_race") else []
    if wrong:
        raise _bad_request(f"Validation failed: {', '.join(wrong)}")
    if race := request.strikes("race"):
        _win(gitlab, project, received, race.other)
    if damage := request.strikes("corrupt"):
        received = _damaged(received, bytes(damage.count))
    pipeline = caller.job.id if caller.job else None
    try:
        gitlab.store.add(project, received, now=gitlab.now(), creator=caller.user, pipeline=pipeline)
    except TakenError:
        raise _bad_request("Validation failed: File name has already been taken") from None


def _win(gitlab: GitLab, project: Project, received: Received, other: bytes | None) -> None:
    """Store the same file as another client, a moment earlier; with other bytes if there are any."""
    path = gitlab.incoming / str(gitlab.next_id())
    if other is None:
        shutil.copyfile(str(received.path), path)
        winner = replace(received, path=path)
    else:
        fields = {**received.fields, "sha256_digest": hashlib.sha256(other).hexdigest()}
        winner = _damaged(replace(received, path=path, fields=fields), other)
    try:
        gitlab.store.add(project, winner, now=gitlab.now())
    except TakenError:
        path.unlink()


def _damaged(received: Received, data: bytes) -> Received:
    if received.path:
        received.path.write_bytes(data)
    return replace(received, actual_sha256=hashlib.sha256(data).hexdigest(), size=len(data))
