"""The sdist of one version: where it is, and what it hashes to."""

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
    """A source as an index lists it; *size* in bytes, None if the index does not say."""

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
        newest: how many versions are looked at, all if None; fewer is a good deal faster.

    Raises:
        SourceError: there is none, or none that could be verified.
        UnknownPackageError: the index has no such project.
        NetworkError: it cannot be reached, or does not answer as an index.
    """
    release = releases(project, fetch(project, index).parse(project, newest)).get(version)
    sdist = release.sdist if release else None
    if sdist is None:
        raise SourceError(f"{project} {version} has no sdist on the index")
    sha256 = stated_sha256(sdist.digests.get("sha256", ""))
    if not sha256 or not is_served(sdist.url, "https:"):
        raise SourceError(f"the index gives no sha256 for {sdist.filename}, or no address to have it from")
    return Sdist(sdist.filename, sdist.url, sha256, sdist.size if sdist.size and sdist.size > 0 else None)
