"""``check-upstream``: how every recipe's package stands, between the public index, our registry and our records."""

from __future__ import annotations

import threading
from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from wheelyard.core.errors import (
    ConfigError,
    PlanError,
    UnknownPackageError,
    UpstreamNewsError,
    UpstreamUnknownError,
    WheelyardError,
)
from wheelyard.core.names import canonical
from wheelyard.core.pep440 import read_version
from wheelyard.core.tags import WheelName, manylinux
from wheelyard.index import index_url
from wheelyard.index.project_releases import TARGET, pairs_for
from wheelyard.index.project_summary import ProjectFacts, ReleaseFacts, Upstream
from wheelyard.io import cache, log, threads
from wheelyard.planning.planner import Planner
from wheelyard.planning.target import Target
from wheelyard.project.loader import effective, list_recipes, load_recipe
from wheelyard.records import history
from wheelyard.records.history import UPSTREAM, HistoryEntry
from wheelyard.records.lockfile import lock_file, read_lock
from wheelyard.records.models import LockedVersion
from wheelyard.watch.status import Known, Terms, candidates, judge, ripeness
from wheelyard.watch.status_report import Standing, WatchReport

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from wheelyard.core.tags import Interpreter
    from wheelyard.project.config import Project
    from wheelyard.project.loader import Recipe
    from wheelyard.registries import RegistryFile
    from wheelyard.registries.open_registry import NamedRegistry

_MORE = 1  # versions of a project that are looked at beyond those that are told of
_ALL = Version("0.dev0")
_BROKEN = frozenset({"error"})
_WELL = frozenset({"current"})
_STAYS = "the recipe's [upstream] ships-since says that it is retired: take that out once it is to be built again"


@dataclass(frozen=True)
class _Published:
    """A wheel in our registry: its version, its tags, and the day it came, None if the registry does not say."""

    version: Version
    pair: str
    day: date | None


def check_upstream(
    project: Project,
    packages: Sequence[str] = (),
    *,
    registry: NamedRegistry | None = None,
    write: bool = True,
    today: date | None = None,
) -> WatchReport:
    """Return how *packages* stand, all recipes' when there are none; one that fails does not stop the others.

    Args:
        project: the project.
        packages: names, however they are spelt.
        registry: our registry, None to compare with none.
        write: whether ledgers are brought up to date. Each is when its package is done, so that an interrupted run
            loses nothing.
        today: the day, in UTC.

    Raises:
        UnknownPackageError: one of *packages* has no recipe.
        ConfigError: *registry* has a name that ledgers cannot tell from the public index's.
    """
    known = list_recipes(project)
    chosen = tuple(dict.fromkeys(load_recipe(project, name).package for name in packages)) if packages else known
    if registry and registry.config.record and registry.name == UPSTREAM:
        raise ConfigError(
            f"a registry cannot be called {UPSTREAM!r}: ledgers call the public index so",
            where=f"[tool.wheelyard.registries.{UPSTREAM}]",
            fix="give it another name",
        )
    watch = _Watch(project, registry, today or datetime.now(UTC).date(), write=write)
    with log.progress("checking upstream", len(chosen), unit="") as tell:

        def one(package: str) -> Standing:
            found = watch.standing(package)
            tell(1)
            return found

        standings = threads.each(one, chosen, parallel=project.config.watch.parallel)
    return WatchReport(
        checked=datetime.now(UTC).replace(microsecond=0),
        registry=registry.name if registry else "",
        packages=tuple(standings),
    )


def problem(report: WatchReport, *, fix: str = "") -> WheelyardError | None:
    """Return the error that a report is for a shell, None if there is nothing to do.

    Args:
        report: how packages stand.
        fix: what to do about news first.
    """
    broken = [f"{each.package}: {each.text}" for each in report.packages if each.state in _BROKEN]
    if broken:
        return UpstreamUnknownError(
            f"{len(broken)} of {len(report.packages)} packages could not be checked",
            details=broken,
            fix="run the same command again, with their names",
        )
    news = [f"{each.package}: {each.state}: {each.text}" for each in report.packages if each.state not in _WELL]
    if news:
        return UpstreamNewsError(
            f"{len(news)} of {len(report.packages)} packages want something done",
            details=news,
            fix=(f"{fix}; " if fix else "") + "docs/how-to/upstream.md says what each state asks for",
        )
    return None


class _Watch:
    """What the packages of one run share."""

    def __init__(self, project: Project, registry: NamedRegistry | None, today: date, *, write: bool) -> None:
        self._project = project
        self._registry = registry
        self._write = write
        watch = project.config.watch
        glibc, _ = manylinux(project.config.policy) or (Terms.glibc, "")
        self._terms = Terms(today, watch.cool_down, watch.versions, glibc)
        # Older ones are no news, and to take thousands of files apart takes time.
        self._upstream = Upstream(index_url(), newest=watch.versions + _MORE)
        self._preflights = any(cache.cache_dir("preflight", "reports").iterdir())
        self._planner = Planner.of_site(project)
        self._room = threading.BoundedSemaphore(
            registry.adapter.parallel if registry else 1
        )  # what our registry takes at once

    def standing(self, package: str) -> Standing:
        """Return how one package stands, whatever goes wrong with it."""
        try:
            return self._standing(load_recipe(self._project, package))
        except WheelyardError as error:
            notes = (*error.details, *([f"fix: {error.fix}"] if error.fix else []))
            return Standing(package=package, state="error", text=error.head, notes=notes)

    def _standing(self, recipe: Recipe) -> Standing:
        settings, _ = effective(recipe, None)
        name = canonical(settings.source.name or recipe.package)
        lock = read_lock(lock_file(self._project.packages, recipe.package))
        pinned = tuple(Version(entry.version) for entry in lock.versions)
        published = self._published(name)
        upstream: ProjectFacts | WheelyardError
        try:
            upstream = self._facts(name, pinned, settings.upstream.versions)
        except UnknownPackageError as error:
            upstream = error
        file = history.HISTORY.path(self._project.packages, recipe.package)
        if isinstance(upstream, ProjectFacts) and upstream.name == name:
            facts = self._record(file, upstream, pinned, published)
        else:
            facts = history.HISTORY.read(file)
        retired = lock.retired or settings.upstream.ships_since
        known = Known(
            package=recipe.package,
            project=name,
            upstream=upstream,
            pinned=pinned,
            published=None if published is None else _by_version(published),
            retired=_version(retired) if retired else None,
            taken=settings.upstream.versions,
            own_tags=bool(settings.expect.tags),
            seen={Version(each.version): each.first for each in facts if (each.where, each.wheel) == (UPSTREAM, "")},
        )
        if isinstance(upstream, ProjectFacts):
            ripe, _ = ripeness(upstream, known, self._terms)
            planned = self._planned(recipe, upstream, pinned, ripe[:1])
            known = replace(
                known, planned=planned, obstacles=self._obstacles(recipe.package, ripe, pinned, known.taken)
            )
        found = judge(known, self._terms)
        if found.state == "regressed" and not lock.retired:
            return found.model_copy(update={"notes": (*found.notes, _STAYS)})
        return found

    def _facts(self, name: str, pinned: tuple[Version, ...], taken: str) -> ProjectFacts:
        """Return what the index says: of the newest versions, and all the way to where a version to take may be."""
        back_to = max(pinned, default=_ALL if taken else None)
        found = self._upstream.facts(name, back_to=back_to)
        ripe = self._terms.today - timedelta(days=self._terms.cool_down)
        young = [each for each in found.releases if each.released and each.released > ripe]
        if back_to is None and young and len(young) == len(found.releases):
            return self._upstream.facts(name, back_to=_ALL)  # behind many that nobody takes yet
        return found

    def _obstacles(
        self, package: str, ripe: Iterable[ReleaseFacts], pinned: tuple[Version, ...], taken: str
    ) -> Mapping[Version, str]:
        """Return why the newest to take cannot be, as a preflight of the last days found; see :func:`stored_report`."""
        new = [release.version for release in ripe if not pinned or release.version > max(pinned)]
        version = next((version for version in new if SpecifierSet(taken).contains(version)), None)
        if version is None or not self._preflights:
            return {}
        from wheelyard.preflight.preflight_package import stored_report  # most runs need not pay for it

        kept = stored_report(self._project, package, str(version))
        if kept is None or kept.ok:
            return {}
        return {version: kept.failures[0].head}

    def _published(self, name: str) -> tuple[_Published, ...] | None:
        if self._registry is None:
            return None
        try:
            with self._room:
                files = self._registry.adapter.files(name)
        except WheelyardError as error:
            raise type(error)(f"our registry: {error.what}", details=error.details, fix=error.fix) from error
        return tuple(found for file in files if (found := _wheel(file)) is not None)

    def _planned(
        self, recipe: Recipe, upstream: ProjectFacts, pinned: tuple[Version, ...], ripe: Iterable[ReleaseFacts]
    ) -> Mapping[Version, tuple[Interpreter, ...]]:
        """Return the interpreters that the plan has, for the newest candidates, what is ripe and what is pinned."""
        releases = candidates(upstream, pinned)
        wanted = [*releases[: self._terms.limit], *ripe, *(each for each in releases if each.version in pinned)]
        if upstream.newest:
            wanted.append(upstream.newest)
        by_version = {each.version: each for each in wanted}  # each once: to plan takes time
        return {version: self._interpreters(recipe, each) for version, each in by_version.items()}

    def _interpreters(self, recipe: Recipe, release: ReleaseFacts) -> tuple[Interpreter, ...]:
        locked = LockedVersion(
            version=str(release.version),
            requires_python=release.requires_python,
            wheels=release.wheels,
            reference=release.reference,
        )
        target = Target(recipe, *effective(recipe, release.version), locked)
        try:
            return self._planner.plan(target).interpreters
        except PlanError:
            return ()  # no interpreter is left; the plan says why

    def _record(
        self,
        file: Path,
        upstream: ProjectFacts,
        pinned: tuple[Version, ...],
        published: tuple[_Published, ...] | None,
    ) -> tuple[HistoryEntry, ...]:
        """Bring a package's ledger up to date, on disk if that is wanted."""
        today, where = self._terms.today, self._registry.name if self._registry else ""
        if (
            self._registry and not self._registry.config.record
        ):  # any folder: none of the places that the ledger is about
            published = None
        seen = _observed(upstream, pinned, published or (), where, today, self._terms.limit)
        oldest = min((release.version for release in upstream.releases), default=_ALL)

        def looked(version: str, place: str) -> bool:
            return Version(version) >= oldest if place == UPSTREAM else place == where and published is not None

        if self._write:
            return history.update(file, seen, looked=looked, today=today)
        return history.observe(history.HISTORY.read(file), seen, looked=looked, today=today)


def _observed(  # noqa: PLR0917 - the places, and the day
    upstream: ProjectFacts,
    pinned: Iterable[Version],
    published: Iterable[_Published],
    where: str,
    today: date,
    limit: int,
) -> list[HistoryEntry]:
    """Return the facts worth a line: of what we pin or publish, and of upstream's newest releases."""
    newest = [release.version for release in upstream.releases if release.final][:limit]
    kept = {*pinned, *newest, *(each.version for each in published)}
    seen = []
    for release in upstream.releases:
        if release.version in kept:
            # A wheel may come long after its release.
            days = {"": release.released} | {each.pair: each.since for each in release.ships}
            seen += [_fact(release.version, UPSTREAM, pair, day, today) for pair, day in days.items()]
    seen += [_fact(each.version, where, each.pair, each.day, today) for each in published]
    return seen


def _fact(version: Version, where: str, wheel: str, told: date | None, today: date) -> HistoryEntry:
    first = min(told or today, today)  # a day that is still to come was not told in earnest
    return HistoryEntry(version=str(version), where=where, wheel=wheel, first=first)


def _wheel(file: RegistryFile) -> _Published | None:
    """Return what a file of our registry is for, None if it is not for riscv64 or yanked."""
    try:
        name = WheelName.parse(file.file)
    except ValueError:
        return None
    pairs = pairs_for([name], TARGET) or pairs_for([name], "any")
    if file.yanked is not None or not pairs:
        return None
    try:
        day = datetime.fromisoformat(file.uploaded).date() if file.uploaded else None
    except ValueError:
        day = None
    return _Published(name.version, pairs[0], day)


def _by_version(published: Iterable[_Published]) -> Mapping[Version, tuple[str, ...]]:
    found: defaultdict[Version, list[str]] = defaultdict(list)
    for each in published:
        found[each.version].append(each.pair)
    return {version: tuple(pairs) for version, pairs in found.items()}


def _version(text: str) -> Version:
    try:
        return read_version(text)
    except InvalidVersion as error:
        raise PlanError(
            f"{text[:100]!r} is not a version (PEP 440)", fix="see [upstream] ships-since in its recipe"
        ) from error
