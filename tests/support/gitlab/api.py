"""Projects and their packages (lib/api/projects.rb, project_packages.rb, package_files.rb)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.gitlab import auth
from support.gitlab.paging import number, paged
from support.gitlab.wire import Answer, HaltError, as_json, message, site

if TYPE_CHECKING:
    from support.gitlab.auth import Caller
    from support.gitlab.model import Package, Project, StoredFile
    from support.gitlab.state import GitLab
    from support.gitlab.wire import Request, Route

# Neither a deploy token nor Basic opens these routes: with Basic alone, a client is nobody.
PACKAGES = auth.Doors(job_header=True)
FORBIDDEN = message(403, "403 Forbidden")
NOT_FOUND = message(404, "404 Not found")
_ORDERS = {"created_at": "created_at", "name": "name", "version": "version", "type": "created_at"}


def find_project(gitlab: GitLab, caller: Caller, key: str) -> Project:
    """As `find_project!` (lib/api/helpers.rb): what may not be seen is not there, logged in or not."""
    project = gitlab.project(key)
    if not project or not auth.can_read(gitlab, caller, project):
        raise HaltError(message(404, "404 Project Not Found"))
    return project


async def show_project(gitlab: GitLab, request: Request, key: str) -> Answer:
    caller = auth.identify(gitlab, request, auth.API)
    project = find_project(gitlab, caller, key)
    shown = {
        "id": project.id,
        "name": project.name,
        "path": project.name,
        "path_with_namespace": project.path,
        "visibility": project.visibility,
        "web_url": f"{site(request, gitlab.project_setting.external_url)}/{project.path}",
    }
    if caller.user:
        own = project.members.get(caller.user.id)
        above = gitlab.role(caller.user, project)
        shown["permissions"] = {
            "project_access": own and {"access_level": own, "notification_level": 3},
            "group_access": {"access_level": above, "notification_level": 3} if above and above != own else None,
        }
    return as_json(shown)


def _packages(gitlab: GitLab, request: Request, key: str) -> tuple[Caller, Project]:
    caller = auth.identify(gitlab, request, PACKAGES)
    project = find_project(gitlab, caller, key)
    if not auth.can_read_packages(gitlab, caller, project):
        raise HaltError(FORBIDDEN)
    return caller, project


def _package(gitlab: GitLab, project: Project, number_: str) -> Package:
    package = gitlab.store.packages.get(int(number_))
    if not package or package.project is not project or package.status != "default":
        raise HaltError(NOT_FOUND)
    return package


async def list_packages(gitlab: GitLab, request: Request, key: str) -> Answer:
    """List packages: `package_name` finds parts of names in any case, `package_version` is exact.

    What awaits destruction appears only when its status is asked for (Packages::FinderHelper).
    """
    caller, project = _packages(gitlab, request, key)
    query = request.query
    if query.get("package_type", "pypi") != "pypi":
        return paged(gitlab, request, [], dict)
    part, version = query.get("package_name", "").lower(), query.get("package_version")
    status = query.get("status", "default")
    rows = [
        package
        for package in gitlab.store.all_of(project)
        if package.status == status and part in package.name.lower() and version in {None, package.version}
    ]
    order = _ORDERS.get(query.get("order_by", "created_at"))
    if order is None:
        return as_json({"error": "order_by does not have a valid value"}, 400)
    if order != "created_at":
        rows.sort(key=lambda package: getattr(package, order))
    if query.get("sort") == "desc":
        rows.reverse()
    destroyable = auth.has_role(gitlab, caller, project, "maintainer")
    return paged(gitlab, request, rows, lambda package: _entity(request, package, destroyable=destroyable))


async def show_package(gitlab: GitLab, request: Request, key: str, number_: str) -> Answer:
    caller, project = _packages(gitlab, request, key)
    package = _package(gitlab, project, number_)
    return as_json(_entity(request, package, destroyable=auth.has_role(gitlab, caller, project, "maintainer")))


async def list_files(gitlab: GitLab, request: Request, key: str, number_: str) -> Answer:
    """List a package's files; `file_sha256` is null when the client sent none."""
    _, project = _packages(gitlab, request, key)
    return paged(gitlab, request, list(_package(gitlab, project, number_).files.values()), _file_entity)


async def list_pipelines(gitlab: GitLab, request: Request, key: str, number_: str) -> Answer:
    """List the pipelines behind a package, newest first, 20 at most a page (keyset: the link says how to go on)."""
    _, project = _packages(gitlab, request, key)
    package = _package(gitlab, project, number_)
    per_page = number(request.query, "per_page", 20, largest=20)
    before = number(request.query, "cursor", 1 << 62)
    rows = [each for each in sorted(package.pipelines, reverse=True) if each < before]
    headers = {}
    if len(rows) > per_page:
        here = site(request, gitlab.project_setting.external_url) + request.raw_path
        headers = {"Link": f'<{here}?per_page={per_page}&cursor={rows[per_page - 1]}>; rel="next"'}
    shown = [{"id": each, "project_id": project.id, "status": "success"} for each in rows[:per_page]]
    return as_json(shown, headers=headers)


async def delete_package(gitlab: GitLab, request: Request, key: str, number_: str) -> Answer:
    """Mark a package for destruction (mark_package_for_destruction_service.rb); a worker does the rest later."""
    caller, project = _packages(gitlab, request, key)
    if not auth.has_role(gitlab, caller, project, "maintainer"):
        return FORBIDDEN
    gitlab.store.destroy(_package(gitlab, project, number_))
    return Answer(204)


async def delete_file(gitlab: GitLab, request: Request, key: str, number_: str, file_number: str) -> Answer:
    """Delete one file; an emptied package goes with the next run of the worker (``Store.sweep``)."""
    caller, project = _packages(gitlab, request, key)
    if not auth.has_role(gitlab, caller, project, "maintainer"):
        return FORBIDDEN
    files = _package(gitlab, project, number_).files.values()
    file = next((each for each in files if each.id == int(file_number)), None)
    if not file:
        return message(404, "404 Not Found")
    gitlab.store.destroy_file(file)
    return Answer(204)


def _entity(request: Request, package: Package, *, destroyable: bool) -> dict[str, object]:
    """As lib/api/entities/package.rb."""
    links = {"web_path": f"/{package.project.path}/-/packages/{package.id}"}
    if destroyable:
        api = f"{site(request, None)}/api/v4/projects/{package.project.id}/packages/{package.id}"
        links["delete_api_path"] = api
    return {
        "id": package.id,
        "name": package.name,
        "version": package.version,
        "package_type": "pypi",
        "status": package.status,
        "_links": links,
        "created_at": package.created_at.isoformat(),
        "last_downloaded_at": None,
        "tags": [],
        "pipelines": [{"id": each} for each in package.pipelines],
    }


def _file_entity(file: StoredFile) -> dict[str, object]:
    """As lib/api/entities/package_file.rb."""
    return {
        "id": file.id,
        "package_id": file.package_id,
        "created_at": file.created_at.isoformat(),
        "file_name": file.file_name,
        "size": file.size,
        "file_md5": None,
        "file_sha1": None,
        "file_sha256": file.sha256,
    }


_ID = r"/packages/(\d+)"
PROJECT_ROUTES: list[Route] = [
    ("GET", "", show_project),
    ("GET", "/packages", list_packages),
    ("GET", _ID, show_package),
    ("DELETE", _ID, delete_package),
    ("GET", f"{_ID}/package_files", list_files),
    ("DELETE", rf"{_ID}/package_files/(\d+)", delete_file),
    ("GET", f"{_ID}/pipelines", list_pipelines),
]
