"""``check-upstream``: compare each recipe's package on the public index, in our registry and in our records."""

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
from wheelyard.watch.status import StatusInputs, Terms, candidates, judge, ripeness
from wheelyard.watch.status_report import PackageStatus, WatchReport

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from wheelyard.core.tags import Interpreter
    from wheelyard.project.config import Project
    from wheelyard.project.loader import Recipe
    from wheelyard.registries import RegistryFile
    from wheelyard.registries.open_registry import NamedRegistry

_MORE = 1  # versions to read beyond those in the report
_ALL = Version("0.dev0")
_BROKEN = frozenset({"error"})
_WELL = frozenset({"current"})
_STAYS = "the recipe's [upstream] ships-since retires it: remove that line to build it again"


@dataclass(frozen=True)
class _Published:
    """A wheel in our registry: its version, its tags and the day of its upload, None if the registry gives none."""

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
    """Return the status of *packages*, or of all recipes' packages; a failed package does not stop the others.

    Args:
        project: the project.
        packages: names in any spelling.
        registry: our registry, None to compare without one.
        write: whether history files are updated. Each is written when its package is done, so that an interrupted
            run loses nothing.
        today: the day, in UTC.

    Raises:
        UnknownPackageError: one of *packages* has no recipe.
        ConfigError: *registry* has the name that history files use for the public index.
    """
    recipes = list_recipes(project)
    chosen = tuple(dict.fromkeys(load_recipe(project, name).package for name in packages)) if packages else recipes
    if registry and registry.config.record and registry.name == UPSTREAM:
        raise ConfigError(
            f"a registry cannot be called {UPSTREAM!r}: history files use that name for the public index",
            where=f"[tool.wheelyard.registries.{UPSTREAM}]",
            fix="give it another name",
        )
    watch = _Watch(project, registry, today or datetime.now(UTC).date(), write=write)
    with log.progress("checking upstream", len(chosen), unit="") as advance:

        def check(package: str) -> PackageStatus:
            status = watch.status(package)
            advance(1)
            return status

        statuses = threads.each(check, chosen, parallel=project.config.watch.parallel)
    return WatchReport(
        checked=datetime.now(UTC).replace(microsecond=0),
        registry=registry.name if registry else "",
        packages=tuple(statuses),
    )


def problem(report: WatchReport, *, fix: str = "") -> WheelyardError | None:
    """Return the error for a report's exit code, None if nothing is to do.

    Args:
        report: the status of packages.
        fix: the first step to advise for news.
    """
    broken = [f"{status.package}: {status.text}" for status in report.packages if status.state in _BROKEN]
    if broken:
        return UpstreamUnknownError(
            f"{len(broken)} of {len(report.packages)} packages could not be checked",
            details=broken,
            fix="run the same command again, with their names",
        )
    news = [
        f"{status.package}: {status.state}: {status.text}" for status in report.packages if status.state not in _WELL
    ]
    if news:
        return UpstreamNewsError(
            f"{len(news)} of {len(report.packages)} packages need a decision",
            details=news,
            fix=(f"{fix}; " if fix else "") + "docs/how-to/upstream.md lists what to do for each state",
        )
    return None


class _Watch:
    """Check packages of one run, with shared settings and clients."""

    def __init__(self, project: Project, registry: NamedRegistry | None, today: date, *, write: bool) -> None:
        self._project = project
        self._registry = registry
        self._write = write
        watch = project.config.watch
        glibc, _ = manylinux(project.config.policy) or (Terms.glibc, "")
        self._terms = Terms(today, watch.cool_down, watch.versions, glibc)
        # Older versions are no news, and thousands of files take long to parse.
        self._upstream = Upstream(index_url(), newest=watch.versions + _MORE)
        self._preflights = any(cache.cache_dir("preflight", "reports").iterdir())
        self._planner = Planner.of_site(project)
        self._room = threading.BoundedSemaphore(
            registry.adapter.parallel if registry else 1
        )  # requests to our registry at a time

    def status(self, package: str) -> PackageStatus:
        """Return one package's status; an error becomes the state ``error``."""
        try:
            return self._status(load_recipe(self._project, package))
        except WheelyardError as error:
            notes = (*error.details, *([f"fix: {error.fix}"] if error.fix else []))
            return PackageStatus(package=package, state="error", text=error.head, notes=notes)

    def _status(self, recipe: Recipe) -> PackageStatus:
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
            entries = self._record(file, upstream, pinned, published)
        else:
            entries = history.HISTORY.read(file)
        retired = lock.retired or settings.upstream.ships_since
        inputs = StatusInputs(
            package=recipe.package,
            project=name,
            upstream=upstream,
            pinned=pinned,
            published=None if published is None else _by_version(published),
            retired=_version(retired) if retired else None,
            versions=settings.upstream.versions,
            own_tags=bool(settings.expect.tags),
            first_seen={
                Version(fact.version): fact.first for fact in entries if (fact.where, fact.wheel) == (UPSTREAM, "")
            },
        )
        if isinstance(upstream, ProjectFacts):
            ripe, _ = ripeness(upstream, inputs, self._terms)
            planned = self._planned(recipe, upstream, pinned, ripe[:1])
            inputs = replace(
                inputs, planned=planned, obstacles=self._obstacles(recipe.package, ripe, pinned, inputs.versions)
            )
        status = judge(inputs, self._terms)
        if status.state == "regressed" and not lock.retired:
            return status.model_copy(update={"notes": (*status.notes, _STAYS)})
        return status

    def _facts(self, name: str, pinned: tuple[Version, ...], versions: str) -> ProjectFacts:
        """Return the facts of the newest versions, and of older ones back to the pinned version."""
        back_to = max(pinned, default=_ALL if versions else None)
        facts = self._upstream.facts(name, back_to=back_to)
        ripe = self._terms.today - timedelta(days=self._terms.cool_down)
        young = [release for release in facts.releases if release.released and release.released > ripe]
        if back_to is None and young and len(young) == len(facts.releases):
            return self._upstream.facts(name, back_to=_ALL)  # all read releases still cool down: read the older ones
        return facts

    def _obstacles(
        self, package: str, ripe: Iterable[ReleaseFacts], pinned: tuple[Version, ...], versions: str
    ) -> Mapping[Version, str]:
        """Return the failure of the newest candidate in a recent preflight; see :func:`stored_report`."""
        new = [release.version for release in ripe if not pinned or release.version > max(pinned)]
        candidate = next((version for version in new if SpecifierSet(versions).contains(version)), None)
        if candidate is None or not self._preflights:
            return {}
        from wheelyard.preflight.preflight_package import stored_report  # imported late: most runs do not need it

        report = stored_report(self._project, package, str(candidate))
        if report is None or report.ok:
            return {}
        return {candidate: report.failures[0].head}

    def _published(self, name: str) -> tuple[_Published, ...] | None:
        if self._registry is None:
            return None
        try:
            with self._room:
                files = self._registry.adapter.files(name)
        except WheelyardError as error:
            raise type(error)(f"our registry: {error.what}", details=error.details, fix=error.fix) from error
        return tuple(wheel for file in files if (wheel := _wheel(file)) is not None)

    def _planned(
        self, recipe: Recipe, upstream: ProjectFacts, pinned: tuple[Version, ...], ripe: Iterable[ReleaseFacts]
    ) -> Mapping[Version, tuple[Interpreter, ...]]:
        """Return the planned interpreters of the newest candidates, the ripe releases and the pinned ones."""
        pending = candidates(upstream, pinned)
        releases = [
            *pending[: self._terms.limit],
            *ripe,
            *(release for release in pending if release.version in pinned),
        ]
        if upstream.newest:
            releases.append(upstream.newest)
        by_version = {release.version: release for release in releases}  # plan each version once: it takes time
        return {version: self._interpreters(recipe, release) for version, release in by_version.items()}

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
            return ()  # no interpreter is left; `plan` reports the reason

    def _record(
        self,
        file: Path,
        upstream: ProjectFacts,
        pinned: tuple[Version, ...],
        published: tuple[_Published, ...] | None,
    ) -> tuple[HistoryEntry, ...]:
        """Update a package's history, on disk if the run writes."""
        today, where = self._terms.today, self._registry.name if self._registry else ""
        if (
            self._registry and not self._registry.config.record
        ):  # a folder without records: not a registry of the history
            published = None
        observed = _observed(upstream, pinned, published or (), where, today, self._terms.limit)
        oldest = min((release.version for release in upstream.releases), default=_ALL)

        def was_checked(version: str, place: str) -> bool:
            return Version(version) >= oldest if place == UPSTREAM else place == where and published is not None

        if self._write:
            return history.update(file, observed, looked=was_checked, today=today)
        return history.observe(history.HISTORY.read(file), observed, looked=was_checked, today=today)


def _observed(  # noqa: PLR0917 - the places, and the day
    upstream: ProjectFacts,
    pinned: Iterable[Version],
    published: Iterable[_Published],
    where: str,
    today: date,
    limit: int,
) -> list[HistoryEntry]:
    """Return the history entries of pinned and published versions, and of upstream's newest releases."""
    newest = [release.version for release in upstream.releases if release.final][:limit]
    versions = {*pinned, *newest, *(wheel.version for wheel in published)}
    entries = []
    for release in upstream.releases:
        if release.version in versions:
            # A wheel may be uploaded long after its release.
            days = {"": release.released} | {wheel.pair: wheel.since for wheel in release.ships}
            entries += [_fact(release.version, UPSTREAM, pair, day, today) for pair, day in days.items()]
    entries += [_fact(wheel.version, where, wheel.pair, wheel.day, today) for wheel in published]
    return entries


def _fact(version: Version, where: str, wheel: str, stated: date | None, today: date) -> HistoryEntry:
    first = min(stated or today, today)  # a day in the future cannot be right
    return HistoryEntry(version=str(version), where=where, wheel=wheel, first=first)


def _wheel(file: RegistryFile) -> _Published | None:
    """Parse a file of our registry; None if it is yanked or not for riscv64."""
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
    pairs_by_version: defaultdict[Version, list[str]] = defaultdict(list)
    for wheel in published:
        pairs_by_version[wheel.version].append(wheel.pair)
    return {version: tuple(pairs) for version, pairs in pairs_by_version.items()}


def _version(text: str) -> Version:
    try:
        return read_version(text)
    except InvalidVersion as error:
        raise PlanError(
            f"{text[:100]!r} is not a version (PEP 440)", fix="see [upstream] ships-since in its recipe"
        ) from error
