"""Check whether the requirements of a build and its tests are available: on the public index, or among our wheels."""

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
from wheelyard.preflight.preflight_report import StepResult
from wheelyard.preflight.requirements import Need, Offer, read_needs, requirement_results
from wheelyard.preflight.source_facts import project_table
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
_BUILDING = "Building wheel"  # cibuildwheel's title of that step in records


@dataclass(frozen=True)
class Requirements:
    """The direct requirements of a version.

    Attributes:
        needs: requirements, each with the interpreters that its marker applies to.
        broken: texts that are not valid requirements.
    """

    needs: tuple[Need, ...]
    broken: tuple[str, ...]


def tests_of(target: Target, package: Path, interpreters: Sequence[Interpreter]) -> dict[Interpreter, Tests]:
    """Return the test options of each interpreter, without those that the recipe skips.

    Raises:
        SourceError: upstream's ``pyproject.toml`` cannot be read.
    """
    table = options(upstream_table(package), target.settings)
    tested = [interpreter for interpreter in interpreters if str(interpreter) not in target.settings.test.skip]
    return {interpreter: effective_tests(table, interpreter.identifier()) for interpreter in tested}


def collect_requirements(
    target: Target,
    package: Path,
    *,
    requires: Sequence[str],
    metadata: bytes,
    tests: Mapping[Interpreter, Tests],
    interpreters: Sequence[Interpreter],
) -> Requirements:
    """Return the direct requirements of a build, of the wheel and of its tests.

    Args:
        target: the version.
        package: its folder, with ``pyproject.toml``.
        requires: the build requirements, from the backend and ``pyproject.toml``.
        metadata: its PKG-INFO, empty if there is none.
        tests: see :func:`tests_of`.
        interpreters: the interpreters of the expected wheels.
    """
    if not requires:  # the backend did not run
        system = project_table(package).get("build-system")
        listed = system.get("requires") if isinstance(system, dict) else None
        requires = listed if isinstance(listed, list) else ()
    parts = [read_needs(map(str, requires), "build", interpreters)]
    run_requires = (parse_email(metadata)[0] if metadata else {}).get("requires_dist", [])
    parts.append(read_needs(run_requires, "run", interpreters))
    groups = project_table(package).get("dependency-groups", {})
    by_recipe = set(target.settings.test.requires)
    for interpreter, test_options in tests.items():
        if not test_options.command:
            continue
        grouped, broken = _from_groups(groups, test_options.groups)
        from_upstream = [text for text in (*test_options.requires, *grouped) if text not in by_recipe]
        from_recipe = [text for text in test_options.requires if text in by_recipe]
        parts.append(read_needs(from_recipe, "test", [interpreter], recipe=True))
        parts.append(read_needs(from_upstream, "test", [interpreter]))
        # Of the wheel's requirements, only those of an extra; the others are in the list already.
        extras = tuple(map(canonicalize_name, test_options.extras))
        with_extras, _ = read_needs(run_requires, "test", [interpreter], extras=extras)
        plain = {str(need.requirement) for need in read_needs(run_requires, "run", [interpreter])[0]}
        parts.append((tuple(need for need in with_extras if str(need.requirement) not in plain), broken))
    broken_ones = dict.fromkeys(text for _, texts in parts for text in texts)
    return Requirements(_merge(need for needs, _ in parts for need in needs), tuple(broken_ones))


def recipe_requirements(target: Target, interpreters: Sequence[Interpreter]) -> Requirements:
    """Return the test requirements in the recipe, where no source is available."""
    needs, broken = read_needs(target.settings.test.requires, "test", interpreters, recipe=True)
    return Requirements(needs, broken)


def _from_groups(groups: object, names: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if not names:
        return (), ()
    try:
        return tuple(resolve_dependency_groups(groups, *names)), ()  # type: ignore[arg-type] # it checks itself
    except Exception:  # noqa: BLE001 - an ExceptionGroup of many kinds; upstream's table may hold anything
        return (), (f"dependency groups {', '.join(names)}",)


def _merge(needs: Iterable[Need]) -> tuple[Need, ...]:
    merged: dict[tuple[str, str, bool], Need] = {}
    for need in needs:
        key = (str(need.requirement), need.purpose, need.recipe)
        earlier = merged.get(key)
        both = tuple(sorted({*(earlier.interpreters if earlier else ()), *need.interpreters}))
        merged[key] = Need(need.requirement, need.purpose, both, recipe=need.recipe)
    return tuple(merged.values())


# --------------------------------------------------------------------- check


def check_requirements(
    project: Project, target: Target, requirements: Requirements, upstream: Upstream
) -> list[StepResult]:
    """Return the results for all requirements.

    Raises:
        NetworkError: the index does not answer.
    """
    direct = [need for need in requirements.needs if need.requirement.url is None]
    names = list(dict.fromkeys(need.name for need in direct))

    def ask(name: str) -> ProjectFacts:
        try:
            return upstream.facts(name)
        except UnknownPackageError:
            return ProjectFacts(name)

    facts = dict(zip(names, threads.each(ask, names, parallel=_PARALLEL), strict=True))
    our_files = {name: our_wheels(project, name) for name in names}
    offers = {
        (str(need.requirement), interpreter): _offer(
            need.requirement, facts[need.name], our_files[need.name], interpreter
        )
        for need in direct
        for interpreter in need.interpreters
    }
    results = requirement_results(
        direct,
        offers,
        needed=target.settings.needs,
        recipes=list_recipes(project),
        where=lambda need: _where(target, need),
        minutes=lambda name: _minutes(project, name),
    )
    results += [_missing(project, target, name) for name in target.settings.needs if not our_wheels(project, name)]
    for need in requirements.needs:
        if need.requirement.url is not None:
            text = f"{need.name} has an address of its own, which is not checked"
            results.append(StepResult(step="requirements", state="skipped", text=text, where=_where(target, need)))
    if requirements.broken:
        place = target.place("test.requires", "build.upstream")
        text = f"{len(requirements.broken)} requirement(s) cannot be read (PEP 508)"
        fix = "fix them with a patch, or set [test] command and requires in the recipe"
        results.append(
            StepResult(
                step="requirements", state="failed", text=text, where=place, fix=fix, details=tuple(requirements.broken)
            )
        )
    return results


def our_wheels(project: Project, name: str) -> tuple[str, ...]:
    """Return the file names of our wheels of a package: in the index folder, and published according to the records."""
    in_index = {wheel.name for wheel in (project.index / "files" / name).glob("*.whl")}
    try:
        published = RELEASES.read(RELEASES.path(project.packages, project_name(project, name)))
    except RegistryContentError:
        published = ()
    return tuple(sorted(in_index | {release.file for release in published if release.yanked is None}))


def _offer(requirement: Requirement, facts: ProjectFacts, our_files: Sequence[str], interpreter: Interpreter) -> Offer:
    choice = judge(requirement, facts, our_files, interpreter)
    return Offer(choice.kind, str(choice.version or ""), choice.reason)


def _missing(project: Project, target: Target, name: str) -> StepResult:
    table = "build" if name in target.settings.build.needs else "test"
    return StepResult(
        step="requirements",
        state="failed",
        text=f"{name}: [{table}] needs a wheel of ours, and neither the index folder nor the records have one",
        where=target.place(f"{table}.needs"),
        fix=f"nox -s build-{name} && wheelyard publish --to {project.config.index} {name}",
    )


def _where(target: Target, need: Need) -> str:
    if need.purpose == "test":
        return target.place("test.requires", "test.command", "build.upstream")
    return target.place(*(("build.needs",) if need.recipe else ()), "interpreters.skip", "build.upstream")


def _minutes(project: Project, name: str) -> float | None:
    """Return the duration of the last build of a package here in minutes, all wheels together; None if unknown."""
    took: dict[str, float] = {}
    for wheel in (project.dist / name).glob("*/*.whl"):
        try:
            record = read_record(wheel)
        except CheckError:
            continue
        took[record.built_at] = sum(took for title, took in record.durations.items() if title.startswith(_BUILDING))
    return took[max(took)] / 60 if took else None
