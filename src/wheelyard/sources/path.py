"""The kind of source for development: a folder of this machine, copied."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from wheelyard.core.errors import SourceError
from wheelyard.core.values import SourceTree
from wheelyard.project.source_table import SourceTable
from wheelyard.sources import tree

if TYPE_CHECKING:
    from pathlib import Path

    from wheelyard.records.models import LockedVersion
    from wheelyard.sources.source_kind import Origin


class PathTable(SourceTable):
    """The keys of a local folder."""

    path: str | None = Field(
        None,
        description="A local folder to take instead of the sdist, relative to the recipe's folder; for development: "
        "nothing is planned for a commit that names one.",
    )


class LocalFolder:
    """A local folder; its content decides, and no lock pins it."""

    table = PathTable
    is_sdist = False
    is_local = True
    version_keys = ()

    def pin(self, source: SourceTable, locked: LockedVersion) -> LockedVersion:  # noqa: ARG002
        """Return *locked*: the folder is the version that its metadata states."""
        return locked

    def identity(self, locked: LockedVersion, source: SourceTable, recipe_folder: Path) -> str:  # noqa: ARG002
        """Return the folder's digest."""
        folder = _folder(source, recipe_folder)
        return f"path:{tree.digest(folder, tree.entries(folder, leftovers=False))}"

    def obtain(self, origin: Origin, target: Path, work: Path) -> SourceTree:
        """Copy the folder."""
        folder = _folder(origin.settings.source, origin.recipe_folder)
        entries = tree.entries(folder, leftovers=False, without=work)
        tree.refuse_links_out(folder, entries)
        tree.copy(folder, target, entries, limits=origin.limits)
        sha256 = tree.digest(target, tree.entries(target))  # of the copy: the folder may change under our hands
        return SourceTree("path", target, str(folder), sha256, "", (), tree.newest(entries))

    def check(self, origin: Origin) -> str:  # noqa: ARG002
        """Return nothing: no server has it."""
        return ""


def _folder(source: SourceTable, recipe_folder: Path) -> Path:
    folder = (recipe_folder / (source.keys_of(PathTable).path or "")).resolve()
    if not folder.is_dir():
        raise SourceError(f"the source folder {folder} is not there", fix="correct [source] path in the recipe")
    return folder
