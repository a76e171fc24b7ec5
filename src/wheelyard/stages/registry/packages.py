"""What GitLab's packages API has beyond its PyPI routes, through python-gitlab: sizes, doubles, deletion.

It takes access tokens and job tokens; a deploy token is nobody here (lib/api/project_packages.rb).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from wheelyard.core.errors import CredentialsError, PublishError
from wheelyard.io import gitlab

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gitlab.v4.objects import Project

_PAGE = 100  # the most that one page may hold


@dataclass(frozen=True)
class StoredFile:
    """A file as GitLab keeps it.

    Attributes:
        file: its name.
        package: its package record's name, to the letter.
        version: its package record's version.
        package_id: that record's number.
        file_id: its own number.
        sha256: the hash that the client gave, None if it gave none.
        size: bytes.
        created: when it came, ISO 8601.
    """

    file: str
    package: str
    version: str
    package_id: int
    file_id: int
    sha256: str | None
    size: int
    created: str


def open_project(url: str, project: str, token: str | None, *, ca_bundle: str = "") -> Project:
    """Return the project for python-gitlab; nothing is asked yet.

    Raises:
        CredentialsError: there is no token.
    """
    if token is None:
        raise CredentialsError(
            "GitLab's packages API needs an access token with the scope api",
            where=f"{url}/{project}",
            fix="set the registry's variable to a personal, project or group access token, not to a deploy token",
        )
    return gitlab.client(url, token=token, ca_bundle=ca_bundle).projects.get(project, lazy=True)


def stored(remote: Project, name: str | None = None) -> Iterator[StoredFile]:
    """Yield the files of all PyPI packages, or of those whose canonical name is *name*.

    Raises:
        CredentialsError: the token may not read them.
        NetworkError: the server does not answer.
    """
    with gitlab.errors("listing packages"):
        # GitLab's own filter by name is a fuzzy one; what it lets through is compared here.
        search = {"package_name": name} if name else {}
        for package in remote.packages.list(iterator=True, per_page=_PAGE, package_type="pypi", **search):
            if name and canonicalize_name(package.name) != name:
                continue
            for file in package.package_files.list(iterator=True, per_page=_PAGE):
                yield StoredFile(
                    file=file.file_name,
                    package=package.name,
                    version=package.version,
                    package_id=package.id,
                    file_id=file.id,
                    sha256=getattr(file, "file_sha256", None) or None,
                    size=file.size,
                    created=file.created_at,
                )


def sizes(remote: Project, name: str) -> dict[str, int]:
    """Return the size in bytes of each file of a project, which GitLab's index does not say.

    Raises:
        CredentialsError: the token may not read them.
        NetworkError: the server does not answer.
    """
    return {file.file: file.size for file in stored(remote, name)}


def delete(remote: Project, project: str, wheels: Sequence[str]) -> None:
    """Delete files; a package record of which nothing would be left goes whole.

    Raises:
        CredentialsError: the token may not delete.
        PublishError: one of them is not there; then nothing is deleted.
        NetworkError: the server does not answer.
    """
    records: dict[int, list[StoredFile]] = defaultdict(list)
    for file in stored(remote, project):
        records[file.package_id].append(file)
    gone = set(wheels)
    missing = sorted(gone - {file.file for each in records.values() for file in each})
    if missing:
        raise PublishError(f"there is no {', '.join(missing)}", where=project, fix=f"wheelyard registry list {project}")
    with gitlab.errors("deleting packages"):
        for number, there in records.items():
            doomed = [file for file in there if file.file in gone]
            if len(doomed) == len(there):
                remote.packages.delete(number)
                continue
            package = remote.packages.get(number, lazy=True)
            for file in doomed:
                package.package_files.delete(file.file_id)
