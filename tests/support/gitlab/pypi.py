"""The PyPI routes: upload, simple index, downloads (lib/api/pypi_packages.rb)."""

from __future__ import annotations

import html
import json
import re
from typing import TYPE_CHECKING

from support.gitlab import auth
from support.gitlab.model import Group, Project
from support.gitlab.store import normalise
from support.gitlab.wire import Answer, HaltError, message, site

if TYPE_CHECKING:
    from support.gitlab.auth import Caller
    from support.gitlab.model import Package, StoredFile
    from support.gitlab.state import GitLab
    from support.gitlab.wire import Request

DOORS = auth.Doors(deploy_token=True, basic_token=True, job_basic=True)
JSON = "application/vnd.pypi.simple.v1+json"
LATEST_JSON = "application/vnd.pypi.simple.latest+json"
_NOT_FOUND = message(404, "404 Not Found")
_WRONG_SHA256 = "0" * 64


def unauthorized_or(caller: Caller, answer: Answer) -> Answer:
    """As `unauthorized_or!`: whoever is not logged in is told to do that first (basic_auth_helpers.rb)."""
    return auth.unauthorized(packages=True) if caller.anonymous else answer


def find_project(gitlab: GitLab, caller: Caller, key: str) -> Project:
    """As `project!`: what does not exist is 404 for everybody, what may not be seen is 401 or 404."""
    project = gitlab.project(key)
    if not project:
        raise HaltError(_NOT_FOUND)
    if not auth.can_read(gitlab, caller, project):
        raise HaltError(unauthorized_or(caller, _NOT_FOUND))
    return project


def _readable(gitlab: GitLab, request: Request, key: str, *, group: bool) -> tuple[Project | Group, list[Project]]:
    """Return the project or group, and the projects whose packages it shows."""
    caller = identify(gitlab, request)
    where: Project | Group
    if group:
        found = gitlab.group(key)
        if not found:
            raise HaltError(_NOT_FOUND)
        where = found
        if not auth.can_read(gitlab, caller, where):
            raise HaltError(unauthorized_or(caller, _NOT_FOUND))
    else:
        where = find_project(gitlab, caller, key)
    if not auth.can_read_packages(gitlab, caller, where):
        raise HaltError(unauthorized_or(caller, message(403, "403 Forbidden")))
    if isinstance(where, Project):
        return where, [where]
    return where, [each for each in gitlab.projects_of(where) if auth.can_read_packages(gitlab, caller, each)]


def identify(gitlab: GitLab, request: Request) -> Caller:
    """Who asks; a wrong token's 401 carries the registry's realm (`unauthorized!`, basic_auth_helpers.rb)."""
    try:
        return auth.identify(gitlab, request, DOORS)
    except HaltError as halt:
        if halt.answer.status == 401 and "WWW-Authenticate" not in halt.answer.headers:
            raise HaltError(auth.unauthorized(packages=True)) from None
        raise


def _base(gitlab: GitLab, request: Request, where: Project | Group) -> str:
    host = site(request, gitlab.project_setting.external_url)
    if isinstance(where, Group):
        return f"{host}/api/v4/groups/{where.id}/-/packages/pypi"
    return f"{host}/api/v4/projects/{where.id}/packages/pypi"


# ------------------------------------------------------------------- the index


async def root(gitlab: GitLab, request: Request, key: str) -> Answer:
    return _root(gitlab, request, key, group=False)


async def group_root(gitlab: GitLab, request: Request, key: str) -> Answer:
    return _root(gitlab, request, key, group=True)


async def page(gitlab: GitLab, request: Request, key: str, name: str) -> Answer:
    return _page(gitlab, request, key, name, group=False)


async def group_page(gitlab: GitLab, request: Request, key: str, name: str) -> Answer:
    return _page(gitlab, request, key, name, group=True)


def _root(gitlab: GitLab, request: Request, key: str, *, group: bool) -> Answer:
    """List all: a link per name *and version* (simple_index_presenter.rb), names once in JSON (…_json_presenter.rb)."""
    where, projects = _readable(gitlab, request, key, group=group)
    packages = [package for project in projects for package in gitlab.store.of(project)]
    if _wants_json(gitlab, request):
        names = sorted({normalise(package.name) for package in packages})
        return _json({"meta": {"api-version": "1.0"}, "projects": [{"name": name} for name in names]})
    base = _base(gitlab, request, where)
    links = (_link(f"{base}/simple/{normalise(p.name)}", p.requires_python, p.name) for p in packages)
    return _html(gitlab, where.name, "".join(links))


def _page(gitlab: GitLab, request: Request, key: str, name: str, *, group: bool) -> Answer:
    where, projects = _readable(gitlab, request, key, group=group)
    name = name.rstrip("/")
    packages = [package for project in projects for package in gitlab.store.named(project, name)]
    if not packages:
        if gitlab.project_setting.forwarding:  # dependency_proxy_helpers.rb
            return Answer(302, b"", {"Location": f"{gitlab.project_setting.forward_to}{name}/"})
        return message(404, "404 Package Not Found")
    base = _base(gitlab, request, where)
    shown = [(package, file) for package in packages for file in list(package.files.values())]
    if hide := request.strikes("hide"):
        shown = [(package, file) for package, file in shown if not re.search(hide.files, file.file_name)]
    wrong = _WRONG_SHA256 if request.strikes("lie") else None
    if _wants_json(gitlab, request):
        files = [_entry(base, file, package, wrong) for package, file in shown]
        return _json({"meta": {"api-version": "1.0"}, "name": normalise(packages[0].name), "files": files})
    links = (_link(_file_url(base, file, wrong), package.requires_python, file.file_name) for package, file in shown)
    return _html(gitlab, packages[0].name, "".join(links))


def _file_url(base: str, file: StoredFile, wrong: str | None) -> str:
    """A null sha256 leaves both places empty: the address leads nowhere (simple_package_versions_presenter.rb)."""
    return f"{base}/files/{file.sha256 or ''}/{file.file_name}#sha256={wrong or file.sha256 or ''}"


def _link(url: str, requires_python: str, text: str) -> str:
    return f'<a href="{url}" data-requires-python="{html.escape(requires_python)}">{text}</a>'


def _entry(base: str, file: StoredFile, package: Package, wrong: str | None) -> dict[str, object]:
    """As simple_package_versions_json_presenter.rb: there, Requires-Python is the file's own before the package's."""
    entry: dict[str, object] = {
        "filename": file.file_name,
        "url": _file_url(base, file, wrong),
        "hashes": {"sha256": wrong or file.sha256},
    }
    if requires_python := file.requires_python or package.requires_python:
        entry["requires-python"] = requires_python
    return entry


def _wants_json(gitlab: GitLab, request: Request) -> bool:
    accepted = [each.strip() for each in request.headers.get("accept", "").split(",")]
    return gitlab.project_setting.pep691 and any(each.startswith((JSON, LATEST_JSON)) for each in accepted)


def _json(data: object) -> Answer:
    body = json.dumps(data, separators=(",", ":")).encode()
    return Answer(200, body, {"Content-Type": f"{JSON}; charset=utf-8", "Vary": "Accept"})


def _html(gitlab: GitLab, title: str, links: str) -> Answer:
    title = html.escape(title)
    body = (
        f"<!DOCTYPE html>\n<html>\n  <head>\n    <title>Links for {title}</title>\n  </head>\n"
        f"  <body>\n    <h1>Links for {title}</h1>\n    {links}\n  </body>\n</html>\n"
    )
    vary = {"Vary": "Accept"} if gitlab.project_setting.pep691 else {}
    return Answer(200, body.encode(), {"Content-Type": "text/html; charset=utf-8", **vary})


# ------------------------------------------------------------------- downloads


async def download(gitlab: GitLab, request: Request, key: str, sha256: str, file_name: str) -> Answer:
    return _download(gitlab, request, key, sha256, file_name, group=False)


async def group_download(gitlab: GitLab, request: Request, key: str, sha256: str, file_name: str) -> Answer:
    return _download(gitlab, request, key, sha256, file_name, group=True)


def _download(gitlab: GitLab, request: Request, key: str, sha256: str, file_name: str, *, group: bool) -> Answer:
    """Find a file by the sha256 that its client claimed; what the bytes hash to, nobody looks at."""
    _, projects = _readable(gitlab, request, key, group=group)
    found = next((f for f in (gitlab.store.download(p, sha256, file_name) for p in projects) if f), None)
    if not found or found.path is None:
        return message(404, "404 Package Not Found")
    if gitlab.project_setting.object_storage:
        return Answer(302, b"", {"Location": f"{gitlab.project_setting.object_storage}/{sha256}/{file_name}"})
    headers = {
        "Content-Type": "application/octet-stream",
        "Content-Disposition": f'attachment; filename="{file_name}"',
        "Accept-Ranges": "bytes",
    }
    if request.strikes("corrupt"):
        data = bytearray(found.path.read_bytes() or b"?")
        data[len(data) // 2] ^= 1
        return Answer(200, bytes(data), headers)
    return Answer(200, b"", headers, found.path)
