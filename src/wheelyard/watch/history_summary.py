"""``ledger``: how long releases took to riscv64, and when upstream began to ship, told from the ledgers alone."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from packaging.version import Version

from wheelyard.project.loader import list_recipes, load_recipe
from wheelyard.records.history import HISTORY, UPSTREAM
from wheelyard.watch.status_report import History, VersionHistory

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from wheelyard.project.config import Project
    from wheelyard.records.history import HistoryEntry


def histories(project: Project, packages: Sequence[str] = ()) -> tuple[History, ...]:
    """Return each package through time, all recipes' when there are none.

    Raises:
        UnknownPackageError: one of *packages* has no recipe.
        PlanError: a ledger cannot be used.
    """
    names = [load_recipe(project, name).package for name in packages] or list_recipes(project)
    return tuple(history(name, HISTORY.read(HISTORY.path(project.packages, name))) for name in names)


def history(package: str, facts: Iterable[HistoryEntry]) -> History:
    """Return one package through time, from the facts of its ledger."""
    by_version = defaultdict(list)
    for fact in facts:
        by_version[Version(fact.version)].append(fact)
    versions = [_version(str(version), by_version[version]) for version in sorted(by_version, reverse=True)]
    shipped = [each for each in versions if each.upstream]
    return History(
        package=package,
        ships_since=min((each.version for each in shipped), key=Version, default=""),
        began=min((each.upstream for each in shipped if each.upstream), default=None),
        versions=tuple(versions),
    )


def _version(version: str, facts: Sequence[HistoryEntry]) -> VersionHistory:
    released = min((fact.first for fact in facts if (fact.where, fact.wheel) == (UPSTREAM, "")), default=None)
    ours = min((fact.first for fact in facts if fact.where != UPSTREAM and fact.wheel), default=None)
    wheels = [fact for fact in facts if fact.where == UPSTREAM and fact.wheel]
    upstream = min((fact.first for fact in wheels), default=None)
    removed = [fact.removed for fact in wheels if fact.removed]
    return VersionHistory(
        version=version,
        released=released,
        ours=ours,
        ours_after=(ours - released).days if ours and released else None,
        upstream=upstream,
        upstream_after=(upstream - released).days if upstream and released else None,
        upstream_gone=max(removed) if removed and len(removed) == len(wheels) else None,
    )
