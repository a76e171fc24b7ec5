"""The generic package routes (lib/api/generic_packages.rb; docs: user/packages/generic_packages).

Not here: `select`, `status`, folders in file names. Duplicates are allowed, as they are by default
(app/services/packages/generic/create_package_file_service.rb): the newest file of a name is the one that is served.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from support.gitlab import auth, pypi
from support.gitlab.wire import Answer, HaltError, as_json, message

if TYPE_CHECKING:
    from support.gitlab.state import GitLab
    from support.gitlab.wire import Request, Route

# lib/gitlab/regex/packages.rb: generic names and file names are maven_file_name_regex, versions maven_version_regex.
_NAME = re.compile(r"[A-Za-z0-9._\-+~@]+")
_VERSION = re.compile(r"(?!.*\.\.)[\w+.-]+", re.ASCII)


def _checked(name: str, version: str, file: str) -> None:
    wrong = [] if _NAME.fullmatch(name) else ["package_name is invalid"]
    wrong += [] if _VERSION.fullmatch(version) else ["package_version is invalid"]
    wrong += [] if _NAME.fullmatch(file) else ["file_name is invalid"]
    if wrong:
        raise HaltError(as_json({"error": ", ".join(wrong)}, 400))


async def put(gitlab: GitLab, request: Request, key: str, *words: str) -> Answer:
    name, version, file = words
    caller = pypi.identify(gitlab, request)
    project = pypi.find_project(gitlab, caller, key)
    if not auth.can_create_packages(gitlab, caller, project):
        raise HaltError(pypi.unauthorized_or(caller, message(403, "403 Forbidden")))
    _checked(name, version, file)
    data = b"".join([chunk async for chunk in request.chunks()])
    if len(data) > gitlab.project_setting.max_file_size:
        raise HaltError(message(400, "400 Bad request - File is too large"))
    if request.strikes("corrupt"):
        data = bytes(len(data))
    folder = gitlab.incoming / "generic" / str(project.id) / name / version
    folder.mkdir(parents=True, exist_ok=True)
    (folder / file).write_bytes(data)
    return message(201, "201 Created")


async def get(gitlab: GitLab, request: Request, key: str, *words: str) -> Answer:
    name, version, file = words
    caller = pypi.identify(gitlab, request)
    project = pypi.find_project(gitlab, caller, key)
    if not auth.can_read_packages(gitlab, caller, project):
        raise HaltError(pypi.unauthorized_or(caller, message(403, "403 Forbidden")))
    _checked(name, version, file)
    path = gitlab.incoming / "generic" / str(project.id) / name / version / file
    if not path.is_file():
        return message(404, "404 Not Found")
    headers = {
        "Content-Type": "application/octet-stream",
        "X-Checksum-SHA256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }
    return Answer(200, b"", headers, path)


_FILE = "/packages/generic/([^/]+)/([^/]+)/([^/]+)"
PROJECT_ROUTES: list[Route] = [("PUT", _FILE, put), ("GET", _FILE, get)]
