"""Select the wheels to build: of named packages, of changed inputs, or missing in the registry."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from packaging.version import Version

from wheelyard.core.errors import PlanError, WheelyardError
from wheelyard.core.names import canonical
from wheelyard.core.tags import WheelName, wheel_for
from wheelyard.io import log
from wheelyard.planning import build_requires
from wheelyard.planning.fingerprint import wheel_fingerprint
from wheelyard.planning.package_words import pairs
from wheelyard.planning.planner import Planner
from wheelyard.planning.target import Target, find_target
from wheelyard.project.loader import effective, list_recipes, load_recipe, project_name
from wheelyard.records.history import HISTORY, UPSTREAM
from wheelyard.records.lockfile import lock_file, read_lock
from wheelyard.records.releases import RELEASES
from wheelyard.sources.prepare import identity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from wheelyard.core.values import ExpectedWheel
    from wheelyard.planning.plan import Plan
    from wheelyard.project.config import Project


@dataclass(frozen=True)
class Due:
    """A version of which wheels are due.

    Attributes:
        target: the version.
        plan: all that it would be built into.
        wheels: the wheels to build, at least one.
        fingerprints: the fingerprint of each wheel.
        exact: whether that is all of them; not so while the index folder lacks what the build takes from it.
        why: what made them due, for people.
    """

    target: Target
    plan: Plan
    wheels: tuple[ExpectedWheel, ...]
    fingerprints: Mapping[ExpectedWheel, str]
    exact: bool
    why: str


@dataclass(frozen=True)
class Selection:
    """The versions whose wheels are due, and the versions that cannot be planned.

    Attributes:
        selected_by: ``names``, ``due``, or a range of commits.
        due: the versions to build.
        left_out: what is not, with its version and the reason.
        problems: why more cannot be planned; one package's mistake does not hide the rest.
    """

    selected_by: str
    due: tuple[Due, ...] = ()
    left_out: tuple[tuple[str, str, str], ...] = ()
    problems: tuple[WheelyardError, ...] = ()


@dataclass
class DuePlanner(Planner):
    """Plans versions, and computes their wheels' fingerprints.

    Attributes:
        index: the index folder, where it is not the project's own.
    """

    index: Path | None = None

    def fingerprints(self, target: Target, plan: Plan, needed: dict[str, str]) -> dict[ExpectedWheel, str]:
        """Return the fingerprint of each wheel, as a build records it that takes *needed* from the index folder.

        Raises:
            PlanError: the lock does not pin what the recipe asks for.
            SourceError: a local folder is not there.
        """
        mark = identity(target.locked, target.settings, recipe_folder=target.recipe.folder)
        digest = partial(wheel_fingerprint, target, source=mark, needed=needed, config=self.project.config, test=True)
        return {wheel: digest(wheel, plan.image) for wheel in plan.expected}

    def due(self, target: Target, plan: Plan, wheels: tuple[ExpectedWheel, ...], why: str) -> Due:
        """Return *wheels* with their fingerprints."""
        try:
            needed, exact = build_requires.find(target, self.index or self.project.index), True
        except PlanError:
            needed, exact = {}, False
        return Due(target, plan, wheels, self.fingerprints(target, plan, needed), exact, why)


def by_name(planner: DuePlanner, packages: Sequence[str] = (), version: str | None = None) -> Selection:
    """Return all wheels of *packages*, each a name or ``name==version``; of every recipe when there are none.

    Where no version is given, it is *version*, or else the one that is pinned last. One that is not pinned is looked
    up, and not pinned by that.
    """
    due: list[Due] = []
    problems: list[WheelyardError] = []
    for word in packages or list_recipes(planner.project):
        try:
            ((package, requested_version),) = pairs((word,))
            with log.package(package):
                target = find_target(planner.project, package, requested_version or version, write=False)
                plan = planner.plan(target)
                due.append(planner.due(target, plan, plan.expected, "asked for"))
        except WheelyardError as error:
            problems.append(error)
    return Selection("names", tuple(due), problems=tuple(problems))


def missing(planner: DuePlanner, packages: Sequence[str] = (), *, registry: str | None = None) -> Selection:
    """Return the wheels of pinned versions that neither our registry nor upstream has, by the records alone.

    Args:
        planner: the project.
        packages: which to look at; every recipe's when there are none.
        registry: whose records count; by default those of every registry of the site configuration.
    """
    due: list[Due] = []
    left_out: list[tuple[str, str, str]] = []
    problems: list[WheelyardError] = []
    for package in packages or list_recipes(planner.project):
        try:
            with log.package(package):
                for due_version in _missing_of(planner, canonical(package), registry):
                    if isinstance(due_version, Due):
                        due.append(due_version)
                    else:
                        left_out.append(due_version)
        except WheelyardError as error:
            problems.append(error)
    return Selection("due", tuple(due), tuple(left_out), tuple(problems))


def targets(project: Project, package: str) -> tuple[tuple[Target, ...], Version | None]:
    """Return every pinned version of *package*, newest first, and the version from which on it is retired.

    Raises:
        RecipeError: the recipe is not valid.
        PlanError: the lock is not.
    """
    recipe = load_recipe(project, package)
    lock = read_lock(lock_file(project.packages, recipe.package))
    entries = sorted(lock.versions, key=lambda entry: Version(entry.version), reverse=True)
    target_list = tuple(Target(recipe, *effective(recipe, entry.version), entry) for entry in entries)
    return target_list, Version(lock.retired) if lock.retired else None


def _missing_of(planner: DuePlanner, package: str, registry: str | None) -> Iterator[Due | tuple[str, str, str]]:
    project = planner.project
    package_targets, retired = targets(project, package)
    if not package_targets:
        yield package, "", "no version is pinned"
        return
    published = _there(project, package, registry)
    for target in package_targets:
        version = Version(target.version)
        if retired is not None and version >= retired:
            yield package, target.version, f"retired: upstream ships it from {retired} on"
            continue
        try:
            plan = planner.plan(target)
        except PlanError as error:  # an old version may have no interpreter left; that is no news
            yield package, target.version, error.what
            continue
        pairs = [*published.get(version, ()), *target.locked.ships]
        lacking = [interpreter for interpreter in plan.interpreters if not wheel_for(interpreter, pairs)]
        wheels = tuple(wheel for wheel in plan.expected if set(wheel.interpreters) & set(lacking))
        if wheels:
            yield planner.due(target, plan, wheels, f"missing for {', '.join(map(str, lacking))}")


def _there(project: Project, package: str, registry: str | None) -> dict[Version, list[str]]:
    """Return the tag pairs of the riscv64 wheels in the records, by version."""
    names = {registry} if registry else set(project.config.registries)
    pairs_by_version: dict[Version, list[str]] = {}
    for entry in RELEASES.read(RELEASES.path(project.packages, project_name(project, package))):
        if entry.where in names:
            name = WheelName.parse(entry.file)
            pairs_by_version.setdefault(name.version, []).append(name.pair)
    for fact in HISTORY.read(HISTORY.path(project.packages, package)):
        if fact.wheel and fact.removed is None and fact.where in {*names, UPSTREAM}:
            pairs_by_version.setdefault(Version(fact.version), []).append(fact.wheel)
    return pairs_by_version
