"""Look up a version on the index, and pin its sdist."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from wheelyard.core.digests import stated_sha256
from wheelyard.core.errors import SourceError, UnknownPackageError, UnknownVersionError
from wheelyard.core.names import canonical
from wheelyard.core.pep440 import read_version
from wheelyard.index.client import is_served, project_page
from wheelyard.index.project_releases import TARGET, Release, pairs_for, reference_pairs, releases
from wheelyard.io import log
from wheelyard.records.models import LockedVersion

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pypi_simple import DistributionPackage


def look_up(
    name: str, version: str | None, *, index: str, suggestions: Iterable[str] = (), sdist: bool = True
) -> LockedVersion:
    """Return the lock entry of *version*.

    Args:
        name: the package, however it is spelt.
        version: a version, yanked and pre-releases included; None for the newest final one.
        index: the root of the simple API.
        suggestions: names to suggest if the index has no such package.
        sdist: whether it must have an sdist; a source from git needs none.

    Raises:
        UnknownPackageError: the index has no such package.
        UnknownVersionError: it has no such version, or no final one that is not yanked.
        SourceError: it has no sdist, or one without a sha256.
        NetworkError: the index cannot be reached, or does not answer as one.
    """
    project = canonical(name)
    by_version = releases(project, project_page(project, index, suggestions))
    if not by_version:
        raise UnknownPackageError(
            f"the index lists no usable file of {project!r}", fix="[source] git = … in its recipe"
        )
    release = _newest(project, by_version, sdist=sdist) if version is None else _named(project, by_version, version)
    if release.sdist is None and sdist:
        raise _no_sdist(project, str(release.version))
    wheels, reference = reference_pairs(release.wheels)
    locked = LockedVersion(
        version=str(release.version),
        requires_python=_specifier(project, release.requires_python),
        wheels=wheels,
        reference=reference,
        ships=pairs_for(release.wheels, TARGET),
    )
    return locked.model_copy(update=_pinned(release.sdist)) if release.sdist and sdist else locked


def sdist_url(name: str, locked: LockedVersion, *, index: str) -> str:
    """Return the address of the pinned sdist; the lock does not keep addresses.

    Raises:
        SourceError: the index does not list the file any more, or lists another sha256.
        NetworkError: the index cannot be reached, or does not answer as one.
    """
    project = canonical(name)
    for package in project_page(project, index, ()).packages:
        if package.filename != locked.file:
            continue
        claimed = package.digests.get("sha256", "").lower()
        if claimed and claimed != locked.sha256:
            raise SourceError(
                f"the index now says that {locked.file} is another file",
                details=[f"pinned: sha256 {locked.sha256}", f"index: sha256 {log.clean(claimed)[:64]}"],
                where=f"packages/{project}/lock.toml",
                fix="find out why upstream's file changed before you remove the entry from the lock",
            )
        if is_served(package.url, index):
            return package.url
    raise SourceError(
        f"the index does not list {locked.file} any more",
        where=f"packages/{project}/lock.toml",
        fix="remove the entry to pin the version anew, or give [source] git",
    )


def _pinned(sdist: DistributionPackage) -> dict[str, object]:
    sha256 = stated_sha256(sdist.digests.get("sha256", ""))
    if not sha256:
        raise SourceError(
            f"the index gives no sha256 for {sdist.filename}, so nothing could be verified",
            fix="use an index that gives hashes (WHEELYARD_INDEX), or [source] git = … in the recipe",
        )
    size = sdist.size if sdist.size and sdist.size > 0 else None
    return {"file": sdist.filename, "size": size, "sha256": sha256}


def _newest(project: str, by_version: Mapping[Version, Release], *, sdist: bool) -> Release:
    final = [release for release in by_version.values() if not release.version.is_prerelease]
    current = [release for release in final if release.yanked is None]
    if not current:
        yanked = [f"{release.version} is yanked: {release.yanked or 'no reason given'}" for release in final][:5]
        problem = "no final version that is not yanked" if final else "only pre-releases"
        newest_version = max(by_version)
        raise UnknownVersionError(
            f"{project} has {problem}", details=yanked, fix=f"ask for one by name: --version {newest_version}"
        )
    usable = [release for release in current if release.sdist or not sdist]
    newest_kept = max(current, key=lambda release: release.version)
    if not usable:
        raise _no_sdist(project, str(newest_kept.version))
    chosen = max(usable, key=lambda release: release.version)
    if chosen is not newest_kept:
        log.warn(f"{project} {newest_kept.version} has no sdist; taking {chosen.version}, the newest that has one")
    return chosen


def _named(project: str, by_version: Mapping[Version, Release], version: str) -> Release:
    try:
        parsed = read_version(version)
    except InvalidVersion as error:
        problem = f"{version[:100]!r} is not a version (PEP 440)"
        raise UnknownVersionError(problem, fix=_offer(by_version, version)) from error
    release = by_version.get(parsed)
    if release is None:
        raise UnknownVersionError(f"{project} has no version {parsed}", fix=_offer(by_version, version))
    if release.yanked is not None:
        log.warn(f"{project} {parsed} is yanked: {release.yanked or 'no reason given'}; taken because you named it")
    return release


def _offer(by_version: Mapping[Version, Release], version: str) -> str:
    current = [str(key) for key in sorted(by_version, reverse=True) if by_version[key].yanked is None]
    near = [word for word in difflib.get_close_matches(version, current, n=3) if word not in current[:3]]
    return f"the newest are {', '.join(current[:3])}" + (f"; near to it are {', '.join(near)}" if near else "")


def _no_sdist(project: str, version: str) -> SourceError:
    return SourceError(
        f"{project} {version} has no sdist on the index",
        where=f"recipes/{project}/recipe.toml",
        fix='say where its source is: [source] git = "https://…", and tag if it is not the version',
    )


def _specifier(project: str, text: str | None) -> str:
    try:
        return str(SpecifierSet(text or ""))
    except InvalidSpecifier:
        log.warn(f"{project}: upstream's Requires-Python {log.clean(text or '')[:80]!r} is not valid; taken as none")
        return ""
