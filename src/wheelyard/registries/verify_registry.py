"""``registry verify``: whether a registry and its records agree."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from wheelyard.core.errors import RegistryContentError, WheelyardError
from wheelyard.io import log, threads
from wheelyard.io.circuit_breaker import CircuitBreaker
from wheelyard.project.loader import list_recipes, project_name
from wheelyard.registries.compare import Kind, Problem, compare
from wheelyard.registries.registry_listings import listings, projects_of, recorded
from wheelyard.registries.registry_reports import FoundProblem, RegistryVerification

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wheelyard.project.config import Project
    from wheelyard.registries.open_registry import NamedRegistry
    from wheelyard.registries.registry import RegistryFile


def verify_registry(
    project: Project, registry: NamedRegistry, packages: Sequence[str], *, download: bool
) -> RegistryVerification:
    """Compare a registry's index with our records; with *download* read every file back too.

    One package's failure is one of the problems, and does not stop the rest, unless the server is silent: then what
    was not looked at is reported.

    Raises:
        UnknownPackageError: neither the registry nor our records have such a package.
        PublishError: there is no such registry.
        NetworkError: it does not answer at all.
    """
    recorded_packages = (
        {path.parent.name for path in project.packages.glob("*/releases.toml")} if registry.config.record else set()
    )
    projects = projects_of(registry, packages, recorded_projects=recorded_packages)
    recipes = _own_names(project)
    where = registry.name if registry.config.record else None
    problems: list[Problem] = []
    count = 0
    breaker = CircuitBreaker()
    for package, listing in listings(registry, projects, breaker):
        try:
            if isinstance(listing, WheelyardError):
                raise listing
            count += len(listing)
            if download:
                problems += _damaged(registry, package, listing, breaker)
            records = recorded(project, registry, package)
            problems += compare(package, listing, records, is_known_project=package in recipes, where=where)
        except WheelyardError as error:
            problems.append(_problem(Kind.UNREADABLE, package, "", error))
    # What is recorded and has left the registry altogether.
    for package in sorted(recorded_packages.difference(projects)) if not packages else ():
        try:
            problems += compare(package, (), recorded(project, registry, package), is_known_project=True, where=where)
        except WheelyardError as error:
            problems.append(_problem(Kind.UNREADABLE, package, "", error))
    return RegistryVerification(
        registry=registry.name,
        packages=len(projects),
        files=count,
        downloaded=download,
        problems=tuple(
            FoundProblem(
                kind=problem.kind.value, package=problem.project, file=problem.file, text=problem.text, fix=problem.fix
            )
            for problem in problems
        ),
    )


def _own_names(project: Project) -> set[str]:
    """Return what wheels of ours are called; a recipe that is not valid is another verb's news."""
    names = set()
    for package in list_recipes(project):
        try:
            names.add(project_name(project, package))
        except WheelyardError:
            names.add(package)
    return names


def _problem(kind: Kind, package: str, file: str, error: WheelyardError) -> Problem:
    text = "; ".join((error.what, *error.details))
    return Problem(kind, package, file, text, error.fix or "run the same command again")


def _damaged(
    registry: NamedRegistry, package: str, file_list: Sequence[RegistryFile], breaker: CircuitBreaker
) -> list[Problem]:
    """Read files back, and return what is wrong with them; one without a hash cannot be judged."""
    hashed = [file for file in file_list if file.sha256]
    with log.progress(f"reading {package} back", len(hashed), unit="files") as advance:

        def read(file: RegistryFile) -> Problem | None:
            try:
                breaker.ask(functools.partial(registry.adapter.confirm, package, file.file, file.sha256 or ""))
            except RegistryContentError as error:
                return _problem(Kind.DAMAGED, package, file.file, error)
            except WheelyardError as error:
                return _problem(Kind.UNREADABLE, package, file.file, error)
            advance(1)
            return None

        return [problem for problem in threads.each(read, hashed, parallel=registry.adapter.parallel) if problem]
