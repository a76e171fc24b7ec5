"""Prepare the source of a locked version: obtained, patched, run through the sdist script."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from wheelyard.io.files import remove
from wheelyard.sources import patches, sdist_script, tree
from wheelyard.sources.source_kind import Origin, kind_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from wheelyard.core.values import SourceTree
    from wheelyard.project.config import SiteConfig
    from wheelyard.project.recipe import Settings
    from wheelyard.records.models import LockedVersion


def prepare(
    package: str,
    locked: LockedVersion,
    settings: Settings,
    *,
    recipe_folder: Path,
    work: Path,
    config: SiteConfig,
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
        settings: the recipe's settings for this version.
        recipe_folder: what the recipe's paths are relative to.
        work: where the tree is made.
        config: the limits.
        find_url: asks the index for the locked sdist's address, None if it is gone; called only if need be.
        where: the place of the n-th patch in the recipe, ``file:line``.
        log_file: where the output of the sdist script is appended.

    Raises:
        SourceError: the source cannot be had, is not what it should be, or builds no wheel; subclasses
            for a wrong hash, an unsafe archive, and a patch that does not apply.
        PlanError: the lock does not pin what the recipe asks for.
        NetworkError: a server cannot be reached.
        DiskError: no space.
    """
    origin = Origin(package, locked, settings, recipe_folder, config, find_url)
    tree = obtain(origin, work)
    place = where or (lambda index: f"{recipe_folder / 'recipe.toml'}, [[patch]] {index + 1}")
    applied = patches.apply(tree.folder, settings.patch, locked.version, folder=recipe_folder, where=place)
    return settle(origin, replace(tree, patches=applied), work, log_file=log_file)


def obtain(origin: Origin, work: Path) -> SourceTree:
    """Return upstream's tree in a new folder of *work*, verified and unpacked, nothing patched; see :func:`prepare`."""
    upstream = work / "upstream"
    remove(upstream)
    work.mkdir(parents=True, exist_ok=True)
    return kind_of(origin.settings.source).obtain(origin, upstream, work)


def settle(origin: Origin, source_tree: SourceTree, work: Path, *, log_file: Path | None = None) -> SourceTree:
    """Return the tree to build from, which takes the place of the patched *source_tree*; see :func:`prepare`."""
    settings, upstream = origin.settings, source_tree.folder
    if source_tree.patches:
        tree.refuse_links_out(upstream, tree.entries(upstream))
    folder = work / f"{origin.name}-{origin.locked.version}"
    remove(folder)
    if settings.sdist.run:
        sdist_script.make(
            origin.recipe_folder / settings.sdist.run,
            upstream,
            folder,
            name=origin.name,
            version=origin.locked.version,
            epoch=source_tree.epoch,
            timeout=settings.sdist.timeout,
            limits=origin.limits,
            log_file=log_file,
        )
        remove(upstream)
    else:
        upstream.rename(folder)
    tree.check_builds(folder, settings.build.subdirectory, source_tree.name)
    return replace(source_tree, folder=folder)


def identity(locked: LockedVersion, settings: Settings, *, recipe_folder: Path) -> str:
    """Return a digest of the source before it is prepared: the sdist's hash, the commit, or the folder's digest.

    Raises:
        SourceError: the local folder is not there.
        PlanError: the lock does not pin what the recipe asks for.
    """
    return kind_of(settings.source).identity(locked, settings.source, recipe_folder)
