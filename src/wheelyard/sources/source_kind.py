"""The seam for kinds of sources: a class beside ``sdist.py``, ``git.py``, ``path.py``; a line in its table.

The table is ``SOURCES`` in :mod:`wheelyard.project.source_table`; another distribution names its class as an entry
point of the group ``wheelyard.sources`` instead. The name there is the key of ``[source]`` that chooses the kind.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol, cast

from wheelyard.io.archive import Limits
from wheelyard.project.source_table import load_kind

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from wheelyard.core.values import SourceTree
    from wheelyard.project.config import SiteConfig
    from wheelyard.project.recipe import Settings
    from wheelyard.project.source_table import SourceTable
    from wheelyard.records.models import LockedVersion

_MIB = 1 << 20


@dataclass(frozen=True)
class Origin:
    """Where the source of a version comes from, and its limits.

    Attributes:
        package: the recipe's name.
        locked: what the version is pinned to.
        settings: the recipe's, effective for this version.
        recipe_folder: what the recipe's paths are relative to.
        config: the limits.
        find_url: returns the locked sdist's address on the package index, None if it is gone; called only if need be.
    """

    package: str
    locked: LockedVersion
    settings: Settings
    recipe_folder: Path
    config: SiteConfig
    find_url: Callable[[], str | None] | None = None

    @property
    def name(self) -> str:
        """The name on the package index."""
        return self.settings.source.name or self.package

    @property
    def limits(self) -> Limits:
        """The limits of unpacking."""
        return Limits(self.config.max_unpacked_mib * _MIB, self.config.max_members)


class SourceKind(Protocol):
    """A kind of source.

    Attributes:
        table: the keys that it adds to a recipe's ``[source]``, all with defaults.
        is_sdist: whether its tree is an sdist of the package index, whose metadata is made.
        is_local: whether it is on this machine only, so that a commit may not name it.
        version_keys: the keys that decide which version is taken, the likeliest mistake first.
    """

    table: ClassVar[type[SourceTable]]
    is_sdist: ClassVar[bool]
    is_local: ClassVar[bool]
    version_keys: ClassVar[tuple[str, ...]]

    def pin(self, source: SourceTable, locked: LockedVersion) -> LockedVersion:
        """Return *locked* with what the version is pinned to; upstream may be asked.

        Raises:
            SourceError: there is no such version.
            NetworkError: the server cannot be reached.
        """

    def identity(self, locked: LockedVersion, source: SourceTable, recipe_folder: Path) -> str:
        """Return a digest of the source by which it is known before it is obtained; nobody is asked.

        Raises:
            SourceError: a local source is not there.
            PlanError: the lock does not pin it.
        """

    def obtain(self, origin: Origin, target: Path, work: Path) -> SourceTree:
        """Put the verified, unpatched tree into *target*, a new folder below *work*.

        Raises:
            SourceError: it cannot be had, or is not what it should be.
            PlanError: the lock does not pin it.
            NetworkError: a server cannot be reached.
            DiskError: no space.
        """

    def check(self, origin: Origin) -> str:
        """Return that upstream still has what the version is pinned to; empty if there is nobody to ask.

        Raises:
            SourceError: it has another one, or none.
            NetworkError: the server cannot be reached.
        """


def kind_of(source: SourceTable) -> SourceKind:
    """Return the kind that a recipe's ``[source]`` chooses."""
    return kind_named(source.kind)


def kind_named(name: str) -> SourceKind:
    """Return the kind of this name."""
    return cast("SourceKind", load_kind(name)())
