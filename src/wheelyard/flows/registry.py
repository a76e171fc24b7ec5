"""``registry list``, ``verify`` and ``adopt``: what a registry has, and whether our records say the same."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wheelyard.core.errors import WheelyardError
from wheelyard.core.names import canonical
from wheelyard.core.tags import WheelName
from wheelyard.io import cache, files, log
from wheelyard.record.releases import ReleasedFile, read_releases, record, releases_file
from wheelyard.record.reports import FoundProblem, ListedFile, RegistryListing, RegistryVerification
from wheelyard.stages.registry import GitLabRegistry, read_release
from wheelyard.stages.registry.pages import version_of
from wheelyard.stages.registry.verify import Kind, Problem, compare

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from wheelyard.flows.registries import Place
    from wheelyard.recipe.policy import Project
    from wheelyard.stages.registry import RegistryFile, Release


def projects_of(place: Place, packages: Sequence[str]) -> tuple[str, ...]:
    """Return the canonical names of *packages*, or of all that the registry has."""
    return tuple(dict.fromkeys(map(canonical, packages))) or place.registry.projects()


def listings(place: Place, projects: Sequence[str]) -> Iterator[tuple[str, tuple[RegistryFile, ...] | WheelyardError]]:
    """Yield each project with its files, or with why they cannot be read; several are asked for at once."""
    with (
        log.progress(f"reading {place.registry.title}", len(projects), unit="packages") as tell,
        ThreadPoolExecutor(place.parallel, thread_name_prefix="index") as pool,
    ):

        def read(project: str) -> tuple[RegistryFile, ...] | WheelyardError:
            try:
                return place.registry.files(project)
            except WheelyardError as error:
                return error

        for project, found in zip(projects, pool.map(read, projects), strict=True):
            yield project, found
            tell(1)


def recorded(project: Project, place: Place, package: str) -> tuple[ReleasedFile, ...]:
    """Return what is recorded of a package in this registry."""
    return tuple(
        entry for entry in read_releases(releases_file(project.packages, package)) if entry.where == place.name
    )


def list_registry(project: Project, place: Place, packages: Sequence[str], *, sizes: bool) -> RegistryListing:
    """Return what a registry has.

    Args:
        project: the project.
        place: the registry.
        packages: which packages; all by default.
        sizes: ask GitLab's packages API for the sizes that neither its index nor our records know.

    Raises:
        PublishError: there is no such registry, or its content is broken.
        NetworkError: it does not answer.
    """
    listing: dict[str, tuple[ListedFile, ...]] = {}
    for package, found in listings(place, projects_of(place, packages)):
        if isinstance(found, WheelyardError):
            raise found
        known = {entry.file: entry for entry in recorded(project, place, package)}
        asked = _sizes(place, package) if sizes else {}
        listing[package] = tuple(
            _listed(file, known.get(file.file), asked.get(file.file)) for file in sorted(found, key=_rank)
        )
    return RegistryListing(registry=place.name, packages=listing)


def _rank(file: RegistryFile) -> tuple[bool, object, str]:
    version = version_of(file.file)
    return (version is not None, version or "", file.file)


def _sizes(place: Place, package: str) -> dict[str, int]:
    if not isinstance(place.registry, GitLabRegistry):
        return {}
    from wheelyard.stages.registry.packages import sizes

    return sizes(place.registry.remote, package)


def _listed(file: RegistryFile, entry: ReleasedFile | None, asked: int | None) -> ListedFile:
    known = entry if entry is not None and entry.sha256 == file.sha256 else None
    try:
        tags = sorted({f"{tag.interpreter}-{tag.abi}" for tag in WheelName.parse(file.file).tags})
    except ValueError:
        tags = []
    size = next((size for size in (file.size, known and known.size, asked) if size is not None), None)
    return ListedFile(
        file=file.file,
        version=str(version_of(file.file) or ""),
        interpreters=tuple(tags),
        sha256=file.sha256,
        size=size,
        yanked=file.yanked if file.yanked is not None else (known.yanked if known else None),
    )


def verify_registry(project: Project, place: Place, packages: Sequence[str], *, download: bool) -> RegistryVerification:
    """Compare a registry's index with our records; with *download* read every file back too.

    One package's failure is one of the problems, and does not stop the rest.

    Raises:
        PublishError: there is no such registry.
        NetworkError: it does not answer at all.
    """
    there = projects_of(place, packages)
    recipes = {folder.name for folder in project.recipes.iterdir()} if project.recipes.is_dir() else set()
    problems: list[Problem] = []
    count = 0
    for package, found in listings(place, there):
        try:
            if isinstance(found, WheelyardError):
                raise found
            count += len(found)
            records = recorded(project, place, package)
            problems += compare(package, found, records, known=package in recipes)
            if download:
                problems += _damaged(place, package, found)
        except WheelyardError as error:
            problems.append(Problem(Kind.UNREADABLE, package, "", str(error), "run the same command again"))
    if not packages:
        gone = _recorded_packages(project, place) - set(there)
        for package in sorted(gone):
            problems += compare(package, (), recorded(project, place, package), known=True)
    return RegistryVerification(
        registry=place.name,
        packages=len(there),
        files=count,
        downloaded=download,
        problems=tuple(
            FoundProblem(kind=each.kind.value, package=each.project, file=each.file, text=each.text, fix=each.fix)
            for each in problems
        ),
    )


def _recorded_packages(project: Project, place: Place) -> set[str]:
    names = (path.parent.name for path in sorted(project.packages.glob("*/releases.toml")))
    return {name for name in names if recorded(project, place, name)}


def _damaged(place: Place, package: str, found: Iterable[RegistryFile]) -> Iterator[Problem]:
    for file in found:
        if not file.sha256:
            continue
        try:
            place.registry.confirm(package, file.file, file.sha256)
        except WheelyardError as error:
            text = "; ".join((error.what, *error.details))
            yield Problem(Kind.DAMAGED, package, file.file, text, error.fix or "publish it again")


@dataclass(frozen=True)
class Adoption:
    """What was taken into the records.

    Attributes:
        adopted: the files that are recorded now.
        refused: why others are not.
    """

    adopted: tuple[str, ...]
    refused: tuple[str, ...]


def adopt(project: Project, place: Place, packages: Sequence[str]) -> Adoption:
    """Record what a registry has and our records do not: each wheel is downloaded, verified and read.

    What it was built from cannot be told afterwards, and is left empty.

    Raises:
        PublishError: there is no such registry.
        NetworkError: it does not answer at all.
    """
    adopted: list[str] = []
    refused: list[str] = []
    for package, found in listings(place, projects_of(place, packages)):
        if isinstance(found, WheelyardError):
            refused.append(f"{package}: {found}")
            continue
        known = {entry.file for entry in recorded(project, place, package)}
        for file in found:
            if file.file in known or not file.file.endswith(".whl"):
                continue
            try:
                with files.scratch(cache.cache_dir("work"), "adopt") as scratch:
                    place.registry.fetch(package, file, scratch / file.file)
                    release = read_release(scratch / file.file, sha256=file.sha256 or "")
                    record(releases_file(project.packages, release.project), [entry_of(release, place.name)])
                adopted.append(file.file)
            except WheelyardError as error:
                refused.append(f"{file.file}: {error.what}")
    return Adoption(tuple(adopted), tuple(refused))


def entry_of(release: Release, where: str, **known: object) -> ReleasedFile:
    """Return the record of a wheel in a registry: what the wheel itself says, and *known* of how it came to be."""
    facts: dict[str, object] = {
        "file": release.name.file,
        "where": where,
        "sha256": release.sha256,
        "size": release.size,
        "tags": tuple(sorted(map(str, release.name.tags))),
        "licence": release.licence,
    }
    return ReleasedFile.model_validate(facts | known)
