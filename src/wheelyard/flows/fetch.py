"""From a locked version to a source tree: verified, unpacked, patched."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from wheelyard.io import log
from wheelyard.stages import source, upstream

if TYPE_CHECKING:
    from pathlib import Path

    from wheelyard.core.values import SourceTree
    from wheelyard.flows.target import Target
    from wheelyard.recipe.policy import Project


def prepare_source(project: Project, target: Target, work: Path) -> SourceTree:
    """Return the source of *target*, ready to build, inside *work*.

    Raises:
        SourceError: it cannot be had; a subclass tells wrong bytes, unsafe archives and bad patches apart.
        NetworkError: the server does not answer.
    """
    name = target.settings.source.name or target.package
    with log.step("Preparing source"):
        return source.prepare(
            target.package,
            target.locked,
            target.settings,
            recipe_folder=target.recipe.folder,
            work=work,
            limits=source.Limits.of(project.policy),
            find_url=partial(upstream.find_url, name, target.locked),
            patch_places=tuple(target.recipe.patch_place(index) for index in range(len(target.settings.patch))),
        )
