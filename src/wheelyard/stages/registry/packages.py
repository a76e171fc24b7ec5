"""What GitLab's packages API has beyond its PyPI routes, through python-gitlab: sizes, doubles, deletion.

It takes access tokens and job tokens; a deploy token is nobody here (lib/api/project_packages.rb).
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from wheelyard.core.errors import CredentialsError, PublishError
from wheelyard.io import gitlab
from wheelyard.stages.registry.credentials import JOB_USER
from wheelyard.stages.registry.pages import version_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from gitlab.v4.objects import Project

    from wheelyard.stages.registry.credentials import Credential

_PAGE = 100  # the most that one page may hold


_FIX = (
    "set the registry's variable to a personal, project or group access token with the scope api, and for deleting the "
    "role Maintainer; a deploy token is nobody here"
)


@dataclass(frozen=True)
class StoredFile:
    """A file as GitLab keeps it.

    Attributes:
        file: its name.
        package_id: its package record's number.
        file_id: its own number.
        sha256: the hash that the client gave, None if it gave none.
        size: bytes.
    """

    file: str
    package_id: int
    file_id: int
    sha256: str | None
    size: int


def open_project(url: str, project: str, credential: Credential | None, *, ca_bundle: str = "") -> Project:
    """Return the project for python-gitlab; nothing is asked yet.

    Raises:
        CredentialsError: there is no credential.
    """
    if credential is None:
        raise CredentialsError("GitLab's packages API needs an access token", where=f"{url}/{project}", fix=_FIX)
    token, job = credential.login.password, credential.login.user == JOB_USER
    return gitlab.client(url, token=token, job=job, ca_bundle=ca_bundle).projects.get(project, lazy=True)


def sizes(remote: Project, name: str) -> dict[tuple[str, str | None], int]:
    """Return the size in bytes of each file of a project, by name and hash: GitLab's index does not say it.

    Raises:
        CredentialsError: the token may not read them.
        NetworkError: the server does not answer.
    """
    with _errors("asking for sizes"):
        return {(file.file, file.sha256): file.size for file in _stored(remote, name)}


def delete(remote: Project, project: str, wheels: Sequence[str]) -> None:
    """Delete files; a package record of which nothing would be left goes whole.

    Raises:
        CredentialsError: the token may not delete.
        PublishError: one of them is not there; then nothing is deleted.
        NetworkError: the server does not answer.
    """
    gone = set(wheels)
    versions = {version for name in wheels if (version := version_of(name)) is not None}
    with _errors("deleting packages"):
        records: dict[int, list[StoredFile]] = defaultdict(list)
        for file in _stored(remote, project, versions):
            records[file.package_id].append(file)
        missing = sorted(gone - {file.file for each in records.values() for file in each})
        if missing:
            raise PublishError(
                f"there is no {', '.join(missing)}", where=project, fix=f"wheelyard registry list {project}"
            )
        for number, there in records.items():
            doomed = [file for file in there if file.file in gone]
            if len(doomed) == len(there):
                remote.packages.delete(number)
                continue
            package = remote.packages.get(number, lazy=True)
            for file in doomed:
                package.package_files.delete(file.file_id)


def _stored(remote: Project, name: str, versions: Collection[Version] | None = None) -> Iterator[StoredFile]:
    """Yield the files of all package records whose canonical name is *name*, of some *versions* or of all."""
    # GitLab filters by a part of the name as it is spelt there, so it is asked for one that every spelling has.
    part = max(name.split("-"), key=len)
    for package in remote.packages.list(iterator=True, per_page=_PAGE, package_type="pypi", package_name=part):
        if canonicalize_name(package.name) != name or not _wanted(package.version, versions):
            continue
        for file in package.package_files.list(iterator=True, per_page=_PAGE):
            sha256 = getattr(file, "file_sha256", None) or None
            yield StoredFile(file.file_name, package.id, file.id, sha256, file.size)


def _wanted(version: str, versions: Collection[Version] | None) -> bool:
    try:
        return versions is None or Version(version) in versions
    except InvalidVersion:
        return True


@contextlib.contextmanager
def _errors(what: str) -> Iterator[None]:
    """Turn what python-gitlab raises into errors of ours; who is refused hears which token would not be."""
    try:
        with gitlab.errors(what):
            yield
    except CredentialsError as error:
        raise CredentialsError(error.what, where=what, details=error.details, fix=_FIX) from error
