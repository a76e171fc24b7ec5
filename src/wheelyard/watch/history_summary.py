"""``history``: how long releases took to reach riscv64, and since when upstream ships, from history files alone."""

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
    """Return the history of *packages*, or of all recipes' packages.

    Raises:
        UnknownPackageError: one of *packages* has no recipe.
        PlanError: a history file cannot be used.
    """
    names = [load_recipe(project, name).package for name in packages] or list_recipes(project)
    return tuple(history(name, HISTORY.read(HISTORY.path(project.packages, name))) for name in names)


def history(package: str, facts: Iterable[HistoryEntry]) -> History:
    """Return one package's history from its file's entries."""
    by_version = defaultdict(list)
    for fact in facts:
        by_version[Version(fact.version)].append(fact)
    versions = [_version(str(version), by_version[version]) for version in sorted(by_version, reverse=True)]
    shipped = [summary for summary in versions if summary.upstream]
    return History(
        package=package,
        ships_since=min((summary.version for summary in shipped), key=Version, default=""),
        began=min((summary.upstream for summary in shipped if summary.upstream), default=None),
        versions=tuple(versions),
    )


def _version(version: str, facts: Sequence[HistoryEntry]) -> VersionHistory:
    released = min((fact.first for fact in facts if (fact.where, fact.wheel) == (UPSTREAM, "")), default=None)
    published = min((fact.first for fact in facts if fact.where != UPSTREAM and fact.wheel), default=None)
    wheels = [fact for fact in facts if fact.where == UPSTREAM and fact.wheel]
    upstream = min((fact.first for fact in wheels), default=None)
    removed = [fact.removed for fact in wheels if fact.removed]
    return VersionHistory(
        version=version,
        released=released,
        ours=published,
        ours_after=(published - released).days if published and released else None,
        upstream=upstream,
        upstream_after=(upstream - released).days if upstream and released else None,
        upstream_gone=max(removed) if removed and len(removed) == len(wheels) else None,
    )
