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
from wheelyard.core.pep440 import read_version
from wheelyard.io import log
from wheelyard.registries.gitlab import gitlab_api
from wheelyard.registries.gitlab.credentials import JOB_USER
from wheelyard.registries.registry import NONE
from wheelyard.registries.simple_index import version_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from gitlab.v4.objects import Project

    from wheelyard.registries.gitlab.credentials import Credential

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
        sha256: the hash that the client gave, in small letters; None if it gave none.
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
    return gitlab_api.client(url, token=token, job=job, ca_bundle=ca_bundle).projects.get(project, lazy=True)


def sizes(remote: Project, name: str) -> dict[tuple[str, str | None], int]:
    """Return the size in bytes of each file of a project, by name and hash: GitLab's index states none.

    Raises:
        CredentialsError: the token may not read them.
        NetworkError: the server does not answer.
    """
    with _errors("asking for sizes"):
        return {(file.file, file.sha256): file.size for file in _stored(remote, name)}


def delete(remote: Project, project: str, wheels: Sequence[str], *, staying: Mapping[str, str] = NONE) -> None:
    """Delete files; a package record of which nothing would be left goes whole.

    Args:
        remote: where.
        project: the package's canonical name.
        wheels: the files' names.
        staying: of files that are there more than once, the sha256 of the one copy that stays; of several such, the
            oldest.

    Raises:
        CredentialsError: the token may not delete.
        PublishError: one of them is not there; then nothing is deleted.
        NetworkError: the server does not answer.
    """
    removed = set(wheels)
    with _errors("deleting packages"):
        records = _records(remote, project, {version for name in wheels if (version := version_of(name)) is not None})
        if removed - _names(records):  # a client may have put a file under any version
            records = _records(remote, project)
        if missing := sorted(removed - _names(records)):
            raise PublishError(
                f"there is no {', '.join(missing)}", where=project, fix=f"wheelyard registry list {project}"
            )
        spared = _spared(records, staying)
        for number, stored in records.items():
            doomed = [file for file in stored if file.file in removed and file.file_id not in spared]
            if len(doomed) == len(stored) and not _grown(remote, number, stored):
                remote.packages.delete(number)
                continue
            package = remote.packages.get(number, lazy=True)
            for file in doomed:
                package.package_files.delete(file.file_id)


def _records(remote: Project, name: str, versions: Collection[Version] | None = None) -> dict[int, list[StoredFile]]:
    """Return the files of each package record."""
    records: dict[int, list[StoredFile]] = defaultdict(list)
    for file in _stored(remote, name, versions):
        records[file.package_id].append(file)
    return records


def _names(records: Mapping[int, Sequence[StoredFile]]) -> set[str]:
    return {file.file for stored in records.values() for file in stored}


def _spared(records: Mapping[int, Sequence[StoredFile]], staying: Mapping[str, str]) -> set[int]:
    """Return the number of the copy of each file that stays.

    Raises:
        PublishError: it is not there any more; then nothing may be deleted.
    """
    spared: dict[str, int] = {}
    for file in sorted((file for stored in records.values() for file in stored), key=lambda file: file.file_id):
        if file.sha256 == staying.get(file.file, ""):
            spared.setdefault(file.file, file.file_id)
    if lost := sorted(staying.keys() - spared.keys()):
        raise PublishError("what is to stay is not there", details=[f"{name}: sha256 {staying[name]}" for name in lost])
    return set(spared.values())


def _grown(remote: Project, number: int, earlier: Sequence[StoredFile]) -> bool:
    """Return whether files have come into a package record, which would go with it: another machine may publish."""
    now = remote.packages.get(number, lazy=True).package_files.list(iterator=True, per_page=_PAGE)
    news = sorted({file.file_name for file in now if file.id not in {earlier_file.file_id for earlier_file in earlier}})
    if news:
        log.warn(f"{', '.join(map(log.clean, news))} came in the meantime, and stays")
    return bool(news)


def _stored(remote: Project, name: str, versions: Collection[Version] | None = None) -> Iterator[StoredFile]:
    """Yield the files of all package records whose canonical name is *name*, of some *versions* or of all."""
    # GitLab filters by a part of the name as it is spelt there, so it is asked for one that every spelling has.
    part = max(name.split("-"), key=len)
    for package in remote.packages.list(iterator=True, per_page=_PAGE, package_type="pypi", package_name=part):
        if canonicalize_name(package.name) != name or not _wanted(package.version, versions):
            continue
        for file in package.package_files.list(iterator=True, per_page=_PAGE):
            sha256 = (getattr(file, "file_sha256", None) or "").lower() or None
            yield StoredFile(file.file_name, package.id, file.id, sha256, file.size)


def _wanted(version: str, versions: Collection[Version] | None) -> bool:
    try:
        return versions is None or read_version(version) in versions
    except InvalidVersion:
        return True


@contextlib.contextmanager
def _errors(action: str) -> Iterator[None]:
    """Turn what python-gitlab raises into errors of ours; who is refused hears which token would not be."""
    try:
        with gitlab_api.errors(action):
            yield
    except CredentialsError as error:
        raise CredentialsError(error.what, where=action, details=error.details, fix=_FIX) from error
