"""``registry mirror`` and ``registry index``: a registry's wheels in another one, and an index in front of one."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wheelyard.core.errors import WheelyardError
from wheelyard.flows.publish import JOURNALS
from wheelyard.flows.registry import entry_of, listings, projects_of, recorded
from wheelyard.io import cache, files, log
from wheelyard.record.releases import record, releases_file
from wheelyard.stages.registry import Action, Journal, plan_uploads, publish, read_release
from wheelyard.stages.registry.front import enrich, write_front

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from wheelyard.flows.registries import Place
    from wheelyard.recipe.policy import Project
    from wheelyard.stages.registry import Registry, RegistryFile, Release


@dataclass(frozen=True)
class Mirroring:
    """What was, or would be, copied.

    Attributes:
        copied: the files that are new there.
        there: how many were there before.
        refused: why others are not there.
        dry_run: whether nothing was written.
    """

    copied: tuple[str, ...]
    there: int
    refused: tuple[str, ...]
    dry_run: bool


def mirror(project: Project, source: Place, target: Place, packages: Sequence[str], *, dry_run: bool) -> Mirroring:
    """Copy every wheel of *source* into *target*, each verified on both ways; what is there is not copied again.

    What cannot be copied (a file without a hash, an sdist, other bytes under the same name) is told, and does not
    stop the rest. A run that was killed goes on where it stopped, within a file too.

    Raises:
        PublishError: there is no such registry.
        CredentialsError: we may not write there.
        NetworkError: a registry does not answer at all.
    """
    copied: list[str] = []
    refused: list[str] = []
    counts: Counter[str] = Counter()
    if not dry_run:
        target.registry.check_access()
    for package, found in listings(source, projects_of(source, packages)):
        try:
            if isinstance(found, WheelyardError):
                raise found
            begun = Journal.look(project.dist / JOURNALS, target.registry.title).begun
            missing, problems = _missing(found, target.registry.files(package), begun)
            counts["there"] += len(found) - len(missing) - len(problems)
            refused += problems
            if dry_run:
                copied += [file.file for file in missing]
                continue
            done, problems = _copy(project, source, target, package, missing)
            copied += done
            refused += problems
        except WheelyardError as error:
            refused.append(f"{package}: {error}")
    return Mirroring(tuple(copied), counts["there"], tuple(refused), dry_run)


def _missing(
    found: Sequence[RegistryFile], there: Sequence[RegistryFile], begun: Mapping[str, str]
) -> tuple[list[RegistryFile], list[str]]:
    """Return what has to be copied, and why the rest of what is not there cannot be.

    What a killed run has *begun* counts as not there: it is still to be verified and recorded.
    """
    known = {file.file: file.sha256 for file in there}
    missing: list[RegistryFile] = []
    problems: list[str] = []
    for file in found:
        if not file.sha256:
            problems.append(f"{file.file}: its hash is not known, so that no copy could be verified")
        elif not file.file.endswith(".whl"):
            problems.append(f"{file.file}: is not a wheel")
        elif file.file not in known or begun.get(file.file) == file.sha256 == known[file.file]:
            missing.append(file)
        elif known[file.file] != file.sha256:
            problems.append(f"{file.file}: other bytes are there, sha256 {known[file.file]}")
    return missing, problems


def _copy(
    project: Project, source: Place, target: Place, package: str, missing: Sequence[RegistryFile]
) -> tuple[list[str], list[str]]:
    """Copy the files of one package; they pass through the cache, which keeps what arrived."""
    folder = cache.cache_dir("mirror", package)
    releases: list[Release] = []
    problems: list[str] = []
    for file in missing:
        try:
            releases.append(_fetched(source.registry, package, file, folder))
        except WheelyardError as error:
            problems.append(f"{file.file}: {'; '.join((error.what, *error.details))}")
    with Journal.of(project.dist / JOURNALS, target.registry.title) as journal:
        uploads = plan_uploads(target.registry, releases, begun=journal.begun)
        outcomes = publish(target.registry, uploads, journal, parallel=target.parallel)
        done = [outcome for outcome in outcomes if outcome.error is None]
        if target.record and done:
            _record(project, source, target, package, [outcome.upload.release for outcome in done])
        journal.finish(outcome.upload.release.name.file for outcome in done)
    for outcome in outcomes:
        if outcome.error is None:
            files.remove(outcome.upload.release.path)
        else:
            problems.append(f"{outcome.upload.release.name.file}: {outcome.error.what}")
    return [each.upload.release.name.file for each in done if each.upload.action is Action.UPLOAD], problems


def _fetched(registry: Registry, package: str, file: RegistryFile, folder: Path) -> Release:
    path = folder / file.file
    if not path.is_file():
        registry.fetch(package, file, path)
    return read_release(path, sha256=file.sha256 or "")


def _record(project: Project, source: Place, target: Place, package: str, releases: Sequence[Release]) -> None:
    """Record copies with what is known of how their originals came to be."""
    known = {(entry.file, entry.sha256): entry for entry in recorded(project, source, package)}
    entries = []
    for release in releases:
        origin = known.get((release.name.file, release.sha256))
        if origin is None:
            entries.append(entry_of(release, target.name))
        else:
            entries.append(origin.model_copy(update={"where": target.name}))
    record(releases_file(project.packages, package), entries)


@dataclass(frozen=True)
class Front:
    """What was written.

    Attributes:
        folder: where.
        packages: how many packages it lists.
        files: how many files.
        changed: how many pages changed.
        left_out: files without a hash.
    """

    folder: Path
    packages: int
    files: int
    changed: int
    left_out: tuple[str, ...]


def write_index(project: Project, place: Place, folder: Path) -> Front:
    """Write static index pages for a registry, with the yanks and sizes of our records.

    All or nothing is read before anything is written: a registry that fails halfway does not empty the index.

    Raises:
        PublishError: there is no such registry, or its content is broken.
        NetworkError: it does not answer.
        DiskError: no space, or no right to write there.
    """
    projects: dict[str, list[RegistryFile]] = {}
    for package, found in listings(place, place.registry.projects()):
        if isinstance(found, WheelyardError):
            raise found
        unique = {file.file: file for file in found}
        projects[package] = enrich(list(unique.values()), recorded(project, place, package))
    left_out = tuple(file.file for listed in projects.values() for file in listed if not file.sha256)
    for file in left_out:
        log.warn(f"{file}: left out, since the registry does not know its sha256")
    changed = write_front(folder, projects)
    count = sum(len(listed) for listed in projects.values()) - len(left_out)
    return Front(folder, len(projects), count, changed, left_out)
