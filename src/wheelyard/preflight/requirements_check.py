"""What a build and its tests want installed, and whether it can be had: recipe, upstream and both indexes joined."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.dependency_groups import resolve_dependency_groups
from packaging.metadata import parse_email
from packaging.utils import canonicalize_name

from wheelyard.builder.cibuildwheel_config import options, upstream_table
from wheelyard.builder.effective_tests import Tests, effective_tests
from wheelyard.core.errors import CheckError, RegistryContentError, UnknownPackageError
from wheelyard.index.installer_choice import judge
from wheelyard.index.project_summary import ProjectFacts
from wheelyard.io import threads
from wheelyard.preflight import Need, Offer, needs_of, project_table, requirement_findings
from wheelyard.preflight.preflight_report import PreflightFinding
from wheelyard.project.loader import list_recipes, project_name
from wheelyard.records.releases import RELEASES
from wheelyard.records.wheel_records import read_record

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from packaging.requirements import Requirement

    from wheelyard.core.tags import Interpreter
    from wheelyard.index.project_summary import Upstream
    from wheelyard.planning.target import Target
    from wheelyard.project.config import Project

_PARALLEL = 8
_BUILDING = "Building wheel"  # cibuildwheel's title of that step, as records have it


@dataclass(frozen=True)
class Wanted:
    """What is wanted.

    Attributes:
        needs: requirements, each for the interpreters that its marker holds for.
        broken: what should be a requirement and is none.
    """

    needs: tuple[Need, ...]
    broken: tuple[str, ...]


def tests_of(target: Target, package: Path, interpreters: Sequence[Interpreter]) -> dict[Interpreter, Tests]:
    """Return the tests that run for each interpreter; those that the recipe skips are left out.

    Raises:
        SourceError: upstream's ``pyproject.toml`` cannot be read.
    """
    table = options(upstream_table(package), target.settings)
    tested = [each for each in interpreters if str(each) not in target.settings.test.skip]
    return {each: effective_tests(table, each.identifier()) for each in tested}


def wanted(
    target: Target,
    package: Path,
    *,
    requires: Sequence[str],
    metadata: bytes,
    tests: Mapping[Interpreter, Tests],
    interpreters: Sequence[Interpreter],
) -> Wanted:
    """Return all that is wanted directly; what that wants in turn is the installer's business.

    Args:
        target: the version.
        package: its folder, with ``pyproject.toml``.
        requires: what its backend and ``pyproject.toml`` want for a wheel.
        metadata: its PKG-INFO, empty if there is none.
        tests: see :func:`tests_of`.
        interpreters: those that get a wheel.
    """
    if not requires:  # the backend could not be asked
        system = project_table(package).get("build-system")
        said = system.get("requires") if isinstance(system, dict) else None
        requires = said if isinstance(said, list) else ()
    found = [needs_of(map(str, requires), "build", interpreters)]
    runs = (parse_email(metadata)[0] if metadata else {}).get("requires_dist", [])
    found.append(needs_of(runs, "run", interpreters))
    groups = project_table(package).get("dependency-groups", {})
    by_recipe = set(target.settings.test.requires)
    for interpreter, each in tests.items():
        if not each.command:
            continue
        grouped, broken = _grouped(groups, each.groups)
        theirs = [text for text in (*each.requires, *grouped) if text not in by_recipe]
        ours = [text for text in each.requires if text in by_recipe]
        found.append(needs_of(ours, "test", [interpreter], recipe=True))
        found.append(needs_of(theirs, "test", [interpreter]))
        # Of what runs, only what an extra brings; the rest is in the list already.
        extras = tuple(map(canonicalize_name, each.extras))
        with_extras, _ = needs_of(runs, "test", [interpreter], extras=extras)
        plain = {str(need.requirement) for need in needs_of(runs, "run", [interpreter])[0]}
        found.append((tuple(need for need in with_extras if str(need.requirement) not in plain), broken))
    broken_ones = dict.fromkeys(text for _, texts in found for text in texts)
    return Wanted(_merged(need for needs, _ in found for need in needs), tuple(broken_ones))


def of_recipe(target: Target, interpreters: Sequence[Interpreter]) -> Wanted:
    """Return what the recipe wants for the tests, where there is no source to say more."""
    needs, broken = needs_of(target.settings.test.requires, "test", interpreters, recipe=True)
    return Wanted(needs, broken)


def _grouped(groups: object, names: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if not names:
        return (), ()
    try:
        return tuple(resolve_dependency_groups(groups, *names)), ()  # type: ignore[arg-type] # it checks itself
    except Exception:  # noqa: BLE001 - an ExceptionGroup of many kinds; upstream's table may hold anything
        return (), (f"dependency groups {', '.join(names)}",)


def _merged(needs: Iterable[Need]) -> tuple[Need, ...]:
    merged: dict[tuple[str, str, bool], Need] = {}
    for need in needs:
        key = (str(need.requirement), need.purpose, need.recipe)
        known = merged.get(key)
        both = tuple(sorted({*(known.interpreters if known else ()), *need.interpreters}))
        merged[key] = Need(need.requirement, need.purpose, both, recipe=need.recipe)
    return tuple(merged.values())


# ------------------------------------------------------------------- offered


def judged(project: Project, target: Target, want: Wanted, upstream: Upstream) -> list[PreflightFinding]:
    """Return whether what is wanted can be had.

    Raises:
        NetworkError: the index does not answer.
    """
    direct = [need for need in want.needs if need.requirement.url is None]
    names = list(dict.fromkeys(need.name for need in direct))

    def ask(name: str) -> ProjectFacts:
        try:
            return upstream.facts(name)
        except UnknownPackageError:
            return ProjectFacts(name)

    facts = dict(zip(names, threads.each(ask, names, parallel=_PARALLEL), strict=True))
    ours = {name: our_wheels(project, name) for name in names}
    offers = {
        (str(need.requirement), interpreter): _offer(need.requirement, facts[need.name], ours[need.name], interpreter)
        for need in direct
        for interpreter in need.interpreters
    }
    found = requirement_findings(
        direct,
        offers,
        needed=target.settings.needs,
        recipes=list_recipes(project),
        where=lambda need: _where(target, need),
        minutes=lambda name: _minutes(project, name),
    )
    found += [_missing(project, target, name) for name in target.settings.needs if not our_wheels(project, name)]
    for need in want.needs:
        if need.requirement.url is not None:
            text = f"{need.name} comes from an address of its own; whether it can be had there was not looked at"
            found.append(PreflightFinding(step="requirements", state="skipped", text=text, where=_where(target, need)))
    if want.broken:
        place = target.place("test.requires", "build.upstream")
        text = f"{len(want.broken)} requirement(s) cannot be read (PEP 508)"
        fix = "mend them with a patch, or say [test] command and requires in the recipe"
        found.append(
            PreflightFinding(
                step="requirements", state="failed", text=text, where=place, fix=fix, details=tuple(want.broken)
            )
        )
    return found


def our_wheels(project: Project, name: str) -> tuple[str, ...]:
    """Return the file names of our wheels of a package: in the index folder, and published by our records."""
    here = {wheel.name for wheel in (project.index / "files" / name).glob("*.whl")}
    try:
        published = RELEASES.read(RELEASES.path(project.packages, project_name(project, name)))
    except RegistryContentError:
        published = ()
    return tuple(sorted(here | {each.file for each in published if each.yanked is None}))


def _offer(requirement: Requirement, facts: ProjectFacts, ours: Sequence[str], interpreter: Interpreter) -> Offer:
    found = judge(requirement, facts, ours, interpreter)
    return Offer(found.kind, str(found.version or ""), found.reason)


def _missing(project: Project, target: Target, name: str) -> PreflightFinding:
    table = "build" if name in target.settings.build.needs else "test"
    return PreflightFinding(
        step="requirements",
        state="failed",
        text=f"{name}: [{table}] needs a wheel of ours, and there is none in the index folder or on record",
        where=target.place(f"{table}.needs"),
        fix=f"nox -s build-{name} && wheelyard publish --to {project.config.index} {name}",
    )


def _where(target: Target, need: Need) -> str:
    if need.purpose == "test":
        return target.place("test.requires", "test.command", "build.upstream")
    return target.place(*(("build.needs",) if need.recipe else ()), "interpreters.skip", "build.upstream")


def _minutes(project: Project, name: str) -> float | None:
    """Return how long compiling a package took here the last time, in minutes, for all its wheels; None if unknown."""
    took: dict[str, float] = {}
    for wheel in (project.dist / name).glob("*/*.whl"):
        try:
            record = read_record(wheel)
        except CheckError:
            continue
        took[record.built_at] = sum(took for title, took in record.durations.items() if title.startswith(_BUILDING))
    return took[max(took)] / 60 if took else None
