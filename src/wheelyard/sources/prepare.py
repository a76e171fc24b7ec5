"""What is locked becomes a tree to build from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from wheelyard.core.errors import PlanError, SourceError
from wheelyard.core.values import SourceTree
from wheelyard.io.archive import Limits, unpack
from wheelyard.io.files import remove
from wheelyard.sources import git, patches, sdist, sdist_download, tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from wheelyard.project.config import Policy
    from wheelyard.project.recipe import Settings
    from wheelyard.records.models import LockedVersion

_MIB = 1 << 20


@dataclass(frozen=True)
class Origin:
    """Where a source comes from, and what may come of it.

    Attributes:
        package: the recipe's name.
        locked: what the version is pinned to.
        settings: what the recipe says for this version.
        recipe_folder: what the recipe's paths are relative to.
        policy: the limits.
    """

    package: str
    locked: LockedVersion
    settings: Settings
    recipe_folder: Path
    policy: Policy

    @property
    def name(self) -> str:
        """What upstream calls it."""
        return self.settings.source.name or self.package

    @property
    def limits(self) -> Limits:
        """What unpacking it may take."""
        return Limits(self.policy.max_unpacked_mib * _MIB, self.policy.max_members)


def prepare(
    package: str,
    locked: LockedVersion,
    settings: Settings,
    *,
    recipe_folder: Path,
    work: Path,
    policy: Policy,
    find_url: Callable[[], str | None] | None = None,
    where: Callable[[int], str] | None = None,
    log_file: Path | None = None,
) -> SourceTree:
    """Return the source of a version: fetched, verified, unpacked, patched, and run through the sdist script if any.

    Patches come before the script, so that it packs what is built. Nothing is built in place: the tree is a new
    folder below *work*, which the caller owns and removes.

    Args:
        package: the recipe's name.
        locked: what the version is pinned to.
        settings: what the recipe says for this version.
        recipe_folder: what the recipe's paths are relative to.
        work: where the tree is made.
        policy: the limits.
        find_url: asks the index for the locked sdist's address, None if it is gone; called only if need be.
        where: the place of the n-th patch in the recipe, ``file:line``.
        log_file: where the output of the sdist script is appended.

    Raises:
        SourceError: the source cannot be had, is not what it should be, or builds no wheel; its subclasses tell
            a wrong hash, an unsafe archive, and a patch that does not apply.
        PlanError: the lock does not pin what the recipe asks for.
        NetworkError: a server cannot be reached.
        DiskError: no space.
    """
    origin = Origin(package, locked, settings, recipe_folder, policy)
    found = obtain(origin, work, find_url)
    place = where or (lambda index: f"{recipe_folder / 'recipe.toml'}, [[patch]] {index + 1}")
    applied = patches.apply(found.folder, settings.patch, locked.version, folder=recipe_folder, where=place)
    return settle(origin, replace(found, patches=applied), work, log_file=log_file)


def obtain(origin: Origin, work: Path, find_url: Callable[[], str | None] | None) -> SourceTree:
    """Return upstream's tree in a new folder of *work*, verified and unpacked, nothing patched; see :func:`prepare`."""
    upstream = work / "upstream"
    remove(upstream)
    if origin.settings.source.git:
        return _from_git(origin, upstream)
    if origin.settings.source.path:
        return _from_folder(origin, upstream, work)
    return _from_index(origin, upstream, find_url)


def settle(origin: Origin, found: SourceTree, work: Path, *, log_file: Path | None = None) -> SourceTree:
    """Return the tree to build from, which takes the place of the patched *found*; see :func:`prepare`."""
    settings, upstream = origin.settings, found.folder
    if found.patches:
        tree.refuse_links_out(upstream, tree.entries(upstream))
    folder = work / f"{origin.name}-{origin.locked.version}"
    remove(folder)
    if settings.sdist.run:
        sdist.make(
            origin.recipe_folder / settings.sdist.run,
            upstream,
            folder,
            name=origin.name,
            version=origin.locked.version,
            epoch=found.epoch,
            timeout=settings.sdist.timeout,
            limits=origin.limits,
            log_file=log_file,
        )
        remove(upstream)
    else:
        upstream.rename(folder)
    tree.check_builds(folder, settings.build.subdirectory, found.name)
    return replace(found, folder=folder)


def identity(locked: LockedVersion, settings: Settings, *, recipe_folder: Path) -> str:
    """Return what a source is known by before it is prepared: the sdist's hash, the commit, or the folder's digest.

    Raises:
        SourceError: the local folder is not there.
        PlanError: the lock does not pin what the recipe asks for.
    """
    if settings.source.git:
        return f"git:{_commit(locked)}"
    if settings.source.path:
        folder = _local_folder(settings.source.path, recipe_folder)
        return f"path:{tree.digest(folder, tree.entries(folder, leftovers=False))}"
    if locked.sha256 is None:
        raise PlanError(
            f"the lock names no sdist for version {locked.version}", fix="remove it from the lock, and run again"
        )
    return f"sdist:{locked.sha256}"


def _from_index(origin: Origin, target: Path, find_url: Callable[[], str | None] | None) -> SourceTree:
    limit = origin.policy.max_sdist_mib * _MIB
    archive = sdist_download.fetch(origin.locked, limit=limit, find_url=find_url)
    epoch = unpack(archive, target, limits=origin.limits)
    sdist.check_metadata(target, origin.name, origin.locked.version, what=archive.name)
    return SourceTree("sdist", target, archive.name, origin.locked.sha256 or "", "", (), epoch)


def _from_git(origin: Origin, target: Path) -> SourceTree:
    source = origin.settings.source
    url, commit = source.git or "", _commit(origin.locked)
    tag = origin.locked.tag or git.tag_for(source.tag, origin.locked.version)
    epoch = git.checkout(url, commit, tag, target, submodules=source.submodules)
    found = tree.entries(target)
    tree.refuse_links_out(target, found)
    tree.set_times(target, found, epoch)
    return SourceTree("git", target, url, tree.digest(target, found), commit, (), epoch)


def _from_folder(origin: Origin, target: Path, work: Path) -> SourceTree:
    folder = _local_folder(origin.settings.source.path or "", origin.recipe_folder)
    found = tree.entries(folder, leftovers=False, without=work)
    tree.refuse_links_out(folder, found)
    tree.copy(folder, target, found, limits=origin.limits)
    sha256 = tree.digest(target, tree.entries(target))  # of the copy: the folder may change under our hands
    return SourceTree("path", target, str(folder), sha256, "", (), tree.newest(found))


def _local_folder(path: str, recipe_folder: Path) -> Path:
    folder = (recipe_folder / path).resolve()
    if not folder.is_dir():
        raise SourceError(f"the source folder {folder} is not there", fix="correct [source] path in the recipe")
    return folder


def _commit(locked: LockedVersion) -> str:
    if locked.commit is None:
        raise PlanError(
            f"version {locked.version} is not locked to a git commit, though its recipe takes it from git",
            fix=f"remove version {locked.version} from packages/<pkg>/lock.toml and run again: it is locked anew",
        )
    return locked.commit
