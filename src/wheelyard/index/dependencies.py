"""What a release depends on, without downloading it: the metadata file that an index serves beside a wheel (PEP 658).

The dependencies of a version are taken to be the same in all its wheels, so that of another platform's wheel does where
riscv64 has none. They need not be; uv goes by the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from packaging.metadata import parse_email
from packaging.requirements import InvalidRequirement

from wheelyard.core.digests import sha256_bytes, stated_sha256
from wheelyard.core.errors import NetworkError
from wheelyard.core.pep508 import read_requirement
from wheelyard.core.tags import WheelName, manylinux
from wheelyard.index.client import is_served, project_page
from wheelyard.index.project_releases import TARGET
from wheelyard.index.project_summary import condense
from wheelyard.io import body, http, log
from wheelyard.io.retry import UnansweredError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from packaging.requirements import Requirement
    from packaging.version import Version
    from pypi_simple import DistributionPackage

    from wheelyard.index.project_summary import ProjectFacts

_LARGEST = 4 << 20  # bytes; a long description is some hundred thousand
_MOST = 5000  # dependencies of one version
_OTHERS = ("aarch64", "x86_64")


@dataclass(frozen=True)
class MetadataFile:
    """Where the metadata of a version can be had; *sha256* is empty if the index gives none."""

    url: str
    sha256: str


@dataclass(frozen=True)
class Project:
    """A project, and where the metadata of its versions can be had; versions without such are not listed."""

    facts: ProjectFacts
    metadata: Mapping[Version, MetadataFile]


def look(project: str, index: str) -> Project:
    """Return what the index says of *project*, a canonical name.

    Raises:
        UnknownPackageError: the index has no such project.
        NetworkError: it cannot be reached, or does not answer as an index.
    """
    page = project_page(project, index, ())
    best: dict[Version, tuple[int, DistributionPackage]] = {}
    for package in page.packages:
        try:
            wheel = WheelName.parse(package.filename)
        except ValueError:
            continue
        if not package.has_metadata or wheel.name != project or not is_served(package.url, index):
            continue
        rank = _rank(wheel)
        if wheel.version not in best or rank < best[wheel.version][0]:
            best[wheel.version] = rank, package
    return Project(condense(project, page), {version: _file(package) for version, (_, package) in best.items()})


def dependencies(file: MetadataFile) -> tuple[Requirement, ...]:
    """Return what a version requires, with markers and extras; what is no requirement is passed over, and told.

    Raises:
        NetworkError: it cannot be had, or is not what the index promised.
    """
    data = _read(file)
    if file.sha256 and sha256_bytes(data) != file.sha256:
        raise NetworkError(f"{_name(file.url)} is not what the index promised", fix="run the same command again")
    try:
        found, _ = parse_email(data)
    except (ValueError, RecursionError) as error:
        raise NetworkError(f"{_name(file.url)} cannot be read", details=[log.clean(str(error))[:200]]) from error
    requirements = []
    for text in found.get("requires_dist", [])[:_MOST]:
        try:
            requirements.append(read_requirement(text))
        except InvalidRequirement:
            log.warn(f"{_name(file.url)}: {log.clean(text)[:100]!r} is not a requirement; passed over")
    return tuple(requirements)


def _rank(wheel: WheelName) -> int:
    """Say whose metadata is wanted: of a wheel for this machine, of one for every machine, of one near to it."""
    archs = {parsed[1] for tag in wheel.platforms if (parsed := manylinux(tag))}
    order = (TARGET in archs, "any" in wheel.platforms, *(arch in archs for arch in _OTHERS), True)
    return order.index(True)


def _file(package: DistributionPackage) -> MetadataFile:
    sha256 = stated_sha256((package.metadata_digests or {}).get("sha256", ""))
    return MetadataFile(package.metadata_url, sha256 or "")


def _read(file: MetadataFile) -> bytes:
    parts = urlsplit(file.url)
    try:
        if parts.scheme == "file":
            with Path(unquote(parts.path)).open("rb") as local:
                return local.read(_LARGEST)
        answer = http.get(file.url)
        if not answer.ok:
            answer.close()
            raise NetworkError(f"{parts.hostname} answers {answer.status_code} for {_name(file.url)}")
        return body.read(answer, largest=_LARGEST)
    except (UnansweredError, OSError) as error:
        raise NetworkError(f"{_name(file.url)} cannot be had", details=[http.plain(str(error))[:200]]) from error


def _name(url: str) -> str:
    return log.clean(unquote(urlsplit(url).path).rpartition("/")[2])[:200]
