"""The address and sha256 of one version's sdist."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wheelyard.core.digests import stated_sha256
from wheelyard.core.errors import SourceError
from wheelyard.index.client import fetch, is_served
from wheelyard.index.project_releases import releases

if TYPE_CHECKING:
    from packaging.version import Version


@dataclass(frozen=True)
class Sdist:
    """An sdist on an index; *size* in bytes, None if the index does not give it."""

    file: str
    url: str
    sha256: str
    size: int | None


def find_sdist(project: str, version: Version, *, index: str, newest: int | None = None) -> Sdist:
    """Return the sdist of a version.

    Args:
        project: its canonical name.
        version: the version.
        index: the root of the simple API.
        newest: how many versions are read, all if None; fewer is much faster.

    Raises:
        SourceError: it has no sdist, or one that cannot be verified.
        UnknownPackageError: the index has no such project.
        NetworkError: it cannot be reached, or does not answer as an index.
    """
    release = releases(project, fetch(project, index).parse(project, newest)).get(version)
    sdist = release.sdist if release else None
    if sdist is None:
        raise SourceError(f"{project} {version} has no sdist on the index")
    sha256 = stated_sha256(sdist.digests.get("sha256", ""))
    if not sha256 or not is_served(sdist.url, "https:"):
        raise SourceError(f"the index gives no sha256 or no usable address of {sdist.filename}")
    return Sdist(sdist.filename, sdist.url, sha256, sdist.size if sdist.size and sdist.size > 0 else None)
