"""``registry list``, ``verify`` and ``adopt``: the files of a registry, and whether our records agree."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from itertools import islice
from queue import SimpleQueue
from typing import TYPE_CHECKING

from packaging.version import Version

from wheelyard.core.errors import (
    ConfigError,
    DiskError,
    NetworkError,
    PublishError,
    RegistryContentError,
    UnknownPackageError,
    WheelyardError,
)
from wheelyard.core.names import canonical, did_you_mean
from wheelyard.core.tags import WheelName
from wheelyard.io import cache, files, log, threads
from wheelyard.io.circuit_breaker import CircuitBreaker
from wheelyard.io.engine import TARGET_ARCH
from wheelyard.project.loader import list_recipes, project_name
from wheelyard.records.releases import RELEASES, ReleasedFile, record
from wheelyard.registries import read_release
from wheelyard.registries.compare import Kind, Problem, compare
from wheelyard.registries.registry_reports import FoundProblem, ListedFile, RegistryListing, RegistryVerification
from wheelyard.registries.simple_index import version_of
from wheelyard.registries.static_index import listable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from wheelyard.project.config import Project
    from wheelyard.registries import RegistryFile, Release
    from wheelyard.registries.open_registry import NamedRegistry

    Found = tuple[RegistryFile, ...] | WheelyardError

_EACH = "mend what each of them says, and run the same command again"
_AGAIN = "delete it there, and publish it again"
_NO_VERSION = Version("0.dev0")  # sorts before all others


def projects_of(
    registry: NamedRegistry, packages: Sequence[str], *, recorded_projects: Collection[str] = ()
) -> tuple[str, ...]:
    """Return the canonical names of *packages*, or of all that the registry has.

    Args:
        registry: the registry.
        packages: as people write them.
        recorded_projects: names that are right though the registry has no such package.

    Raises:
        UnknownPackageError: it has no such packages; all are listed.
        PublishError: there is no such registry, or its content is broken.
        NetworkError: it does not answer.
    """
    names = tuple(dict.fromkeys(map(canonical, packages)))
    listed = registry.adapter.projects()
    unknown = sorted(set(names).difference(listed, recorded_projects))
    if unknown:
        raise UnknownPackageError(
            f"{registry.adapter.title} has no such package",
            details=[f"{name}{did_you_mean(name, listed)}" for name in unknown],
            fix=f"wheelyard registry list --registry {registry.name}",
        )
    return names or listed


def listings(
    registry: NamedRegistry, projects: Sequence[str], breaker: CircuitBreaker | None = None
) -> Iterator[tuple[str, Found]]:
    """Yield each project with its files, or with why they cannot be read; some are read ahead, several at once.

    Args:
        registry: the registry.
        projects: canonical names.
        breaker: the circuit to the server, for a caller that sends it more than this.
    """
    breaker = breaker or CircuitBreaker()
    results: SimpleQueue[tuple[str, Found] | BaseException] = SimpleQueue()
    listing_by_project: dict[str, Found] = {}

    def read(project: str) -> None:
        try:
            results.put((project, breaker.ask(functools.partial(registry.adapter.files, project))))
        except WheelyardError as error:
            results.put((project, about(project, error)))

    with (
        log.progress(f"reading {registry.adapter.title}", len(projects), unit="packages") as advance,
        threads.crew(read, min(registry.adapter.parallel, len(projects)), results.put) as give,
    ):
        coming = iter(projects)
        for project in islice(coming, 2 * registry.adapter.parallel):
            give(project)
        for project in projects:
            while project not in listing_by_project:
                result = results.get()
                if isinstance(result, BaseException):
                    raise result
                listing_by_project[result[0]] = result[1]
            for next_project in islice(coming, 1):
                give(next_project)
            yield project, listing_by_project.pop(project)
            advance(1)


def about(where: str, error: WheelyardError) -> WheelyardError:
    """Return *error* as one of the package or file *where*: one of many, reported together."""
    text = error.what if error.where is None or error.where.endswith(where) else f"{error.where}: {error.what}"
    return type(error)(text, where=where, details=error.details, fix=error.fix)


def together(text: str, errors: Sequence[WheelyardError]) -> WheelyardError:
    """Return one error that lists all of *errors*: of their kind if that is one of this stage, else a PublishError."""
    kinds = {type(error) for error in errors}
    fixes = {error.fix for error in errors}
    lines = []
    for error in errors:
        message = "; ".join((error.what, *error.details))
        line = f"{error.where}: {message}" if error.where else message
        lines.append(line if len(fixes) == 1 or not error.fix else f"{line} ({error.fix})")
    kind = kinds.pop() if len(kinds) == 1 else PublishError
    kind = kind if issubclass(kind, (PublishError, NetworkError, DiskError)) else PublishError
    return kind(text, details=dict.fromkeys(lines), fix=(fixes.pop() if len(fixes) == 1 else None) or _EACH)


def recorded(project: Project, registry: NamedRegistry, package: str) -> tuple[ReleasedFile, ...]:
    """Return what is recorded of a package in this registry.

    Raises:
        RegistryContentError: the record cannot be used.
    """
    return tuple(
        entry for entry in RELEASES.read(RELEASES.path(project.packages, package)) if entry.where == registry.name
    )


def installable(
    project: Project, registry: NamedRegistry, package: str, file_list: Sequence[RegistryFile]
) -> dict[Version, list[tuple[WheelName, RegistryFile]]]:
    """Return the wheels of a package that riscv64 can install and nobody has yanked, there or in our records.

    Of what the registry's page lists beside them nothing counts: `registry verify` reports it.

    Raises:
        RegistryContentError: the record cannot be used.
    """
    yanked = {entry.file for entry in recorded(project, registry, package) if entry.yanked is not None}
    by_version: dict[Version, list[tuple[WheelName, RegistryFile]]] = {}
    for file in file_list:
        try:
            name = WheelName.parse(file.file)
        except ValueError:
            continue
        if name.name == package and name.runs_on(TARGET_ARCH) and file.yanked is None and file.file not in yanked:
            by_version.setdefault(name.version, []).append((name, file))
    return by_version


@dataclass(frozen=True)
class Listing:
    """What a registry has.

    Attributes:
        report: that, as far as it could be read.
        unreadable: why some packages could not be.
    """

    report: RegistryListing
    unreadable: tuple[WheelyardError, ...]


def list_registry(project: Project, registry: NamedRegistry, packages: Sequence[str], *, sizes: bool) -> Listing:
    """Return what a registry has.

    Args:
        project: the project.
        registry: the registry.
        packages: which packages; all by default.
        sizes: ask the registry for the sizes that neither its index nor our records have.

    Raises:
        UnknownPackageError: it has no such package.
        CredentialsError: we may not ask for sizes.
        PublishError: there is no such registry.
        NetworkError: it does not answer.
    """
    listing: dict[str, tuple[ListedFile, ...]] = {}
    unreadable: list[WheelyardError] = []
    for package, file_list in listings(registry, projects_of(registry, packages)):
        try:
            if isinstance(file_list, WheelyardError):
                raise file_list
            records = {(entry.file, entry.sha256): entry for entry in recorded(project, registry, package)}
            listing[package] = tuple(
                _listed(file, records.get((file.file, file.sha256 or ""))) for file in _sorted(file_list)
            )
        except WheelyardError as error:
            unreadable.append(about(package, error))
    if sizes:
        listing |= _with_sizes(registry, listing)
    return Listing(RegistryListing(registry=registry.name, packages=listing), tuple(unreadable))


def _sorted(file_list: Sequence[RegistryFile]) -> list[RegistryFile]:
    return sorted(file_list, key=lambda file: (version_of(file.file) or _NO_VERSION, file.file))


def _listed(file: RegistryFile, record: ReleasedFile | None) -> ListedFile:
    try:
        tags = sorted({f"{tag.interpreter}-{tag.abi}" for tag in WheelName.parse(file.file).tags})
    except ValueError:
        tags = []
    return ListedFile(
        file=file.file,
        version=str(version_of(file.file) or ""),
        interpreters=tuple(tags),
        sha256=file.sha256,
        size=record.size if file.size is None and record else file.size,
        yanked=record.yanked if file.yanked is None and record else file.yanked,
    )


def _with_sizes(
    registry: NamedRegistry, listing: dict[str, tuple[ListedFile, ...]]
) -> dict[str, tuple[ListedFile, ...]]:
    """Return the packages with a file of unknown size, with the sizes that the registry has beside its index."""
    unsized = [package for package, listed in listing.items() if any(file.size is None for file in listed)]

    with log.progress(f"asking {registry.adapter.title} for sizes", len(unsized), unit="packages") as advance:

        def ask(package: str) -> tuple[ListedFile, ...]:
            sizes = registry.adapter.sizes(package)
            advance(1)
            return tuple(
                file.model_copy(update={"size": sizes.get((file.file, file.sha256))}) if file.size is None else file
                for file in listing[package]
            )

        return dict(zip(unsized, threads.each(ask, unsized, parallel=registry.adapter.parallel), strict=True))


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


@dataclass(frozen=True)
class Adoption:
    """What was taken into the records.

    Attributes:
        adopted: the files that are recorded now.
        refused: why others are not.
    """

    adopted: tuple[str, ...]
    refused: tuple[WheelyardError, ...]


def adopt(project: Project, registry: NamedRegistry, packages: Sequence[str]) -> Adoption:
    """Record what a registry has and our records do not: each wheel is downloaded, verified and read.

    What it was built from is unknown afterwards, and is left empty.

    Raises:
        ConfigError: records do not list what is in this registry.
        UnknownPackageError: it has no such package.
        PublishError: there is no such registry.
        NetworkError: it does not answer at all.
    """
    if not registry.config.record:
        raise ConfigError(
            f"our records do not list what is in {registry.name}",
            fix="name it in [tool.wheelyard.registries], with record = true",
        )
    files.sweep_scratch(cache.cache_dir("work"), "adopt")
    adopted: list[str] = []
    refused: list[WheelyardError] = []
    breaker = CircuitBreaker()
    for package, listing in listings(registry, projects_of(registry, packages), breaker):
        try:
            if isinstance(listing, WheelyardError):
                raise listing
            recorded_files = {entry.file for entry in recorded(project, registry, package)}
        except WheelyardError as error:
            refused.append(about(package, error))
            continue
        news = [file for file in listing if file.file not in recorded_files and file.file.endswith(".whl")]
        adoptable, reasons = listable(news, ())
        refused += (RegistryContentError(reason, fix=_AGAIN) for reason in reasons)
        read = threads.each(
            functools.partial(_read, registry, package, breaker), adoptable, parallel=registry.adapter.parallel
        )
        entries = [entry for entry in read if isinstance(entry, ReleasedFile)]
        refused += (error for error in read if isinstance(error, WheelyardError))
        record(RELEASES.path(project.packages, package), entries)
        adopted += (entry.file for entry in entries)
    return Adoption(tuple(adopted), tuple(refused))


def _read(
    registry: NamedRegistry, package: str, breaker: CircuitBreaker, file: RegistryFile
) -> ReleasedFile | WheelyardError:
    """Return the record of a wheel, read from its bytes, or why there can be none."""
    try:
        with files.scratch(cache.cache_dir("work"), "adopt") as scratch:
            breaker.ask(functools.partial(registry.adapter.fetch, package, file, scratch / file.file))
            release = read_release(scratch / file.file, sha256=file.sha256 or "")
        if release.project != package:
            raise RegistryContentError(f"is not a wheel of {package}", fix=_AGAIN)
        return entry_of(release, registry.name, yanked=file.yanked)
    except WheelyardError as error:
        return about(file.file, error)


def entry_of(release: Release, where: str, **stated: object) -> ReleasedFile:
    """Return the record of a wheel in a registry: the wheel's own metadata, and *stated* about its build."""
    facts: dict[str, object] = {
        "file": release.name.file,
        "where": where,
        "sha256": release.sha256,
        "size": release.size,
        "tags": tuple(sorted(map(str, release.name.tags))),
        "licence": release.licence,
    }
    return ReleasedFile.model_validate(facts | stated)
