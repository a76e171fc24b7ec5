"""From a locked version to a source tree: verified, unpacked, patched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wheelyard import index
from wheelyard.io import log
from wheelyard.sources.prepare import prepare

if TYPE_CHECKING:
    from pathlib import Path

    from wheelyard.core.values import SourceTree
    from wheelyard.planning.target import Target
    from wheelyard.project.config import Project


def prepare_source(project: Project, target: Target, work: Path, *, log_file: Path) -> SourceTree:
    """Return the source of *target*, ready to build, inside *work*.

    Raises:
        SourceError: it cannot be fetched; subclasses for wrong bytes, unsafe archives and bad patches.
        NetworkError: the server does not answer.
    """
    name = target.settings.source.name or target.package
    with log.step("Preparing source"):
        return prepare(
            target.package,
            target.locked,
            target.settings,
            recipe_folder=target.recipe.folder,
            work=work,
            config=project.config,
            find_url=lambda: index.sdist_url(name, target.locked, index=index.index_url()),
            where=target.patch_place,
            log_file=log_file,
        )
