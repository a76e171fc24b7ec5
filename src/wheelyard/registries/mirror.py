"""``registry mirror``: a registry's wheels in another one, verified on both ways, resumable."""

from __future__ import annotations

import contextlib
import functools
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from wheelyard.core.digests import sha256_bytes
from wheelyard.core.errors import (
    ConfigError,
    ConflictError,
    CredentialsError,
    DiskError,
    InterruptedRunError,
    NetworkError,
    NotServedError,
    PublishError,
    WheelyardError,
)
from wheelyard.io import cache, files, log, threads
from wheelyard.records.releases import RELEASES, record
from wheelyard.registries import Journal, Release, plan_uploads, publish, read_release
from wheelyard.registries.prune import mark
from wheelyard.registries.publish_wheels import JOURNALS
from wheelyard.registries.registry import nobody
from wheelyard.registries.registry_errors import about
from wheelyard.registries.registry_listings import listings, projects_of, recorded
from wheelyard.registries.simple_index import identity, version_of
from wheelyard.registries.static_index import enrich, listable
from wheelyard.registries.wheel_file import entry_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from wheelyard.project.config import Project
    from wheelyard.registries import Outcome, RegistryFile
    from wheelyard.registries.open_registry import NamedRegistry
    from wheelyard.registries.registry import Progress

_HOPELESS = (CredentialsError, DiskError)  # the next wheel would meet it too
_PATIENCE = 3  # batches in a row that may fail for want of an answer
_CONFLICT = "a file is never replaced: find out which is right, and delete the other for good"


@dataclass(frozen=True)
class Mirroring:
    """What was, or would be, copied.

    Attributes:
        copied: the files that are new there.
        yanked: those that were marked as they are in the source.
        there: how many were there before.
        refused: why others are not.
        complete: whether everything was tried.
        dry_run: whether nothing was written.
        recorded: whether our records list what is there.
    """

    copied: tuple[str, ...]
    yanked: tuple[str, ...]
    there: int
    refused: tuple[WheelyardError, ...]
    complete: bool
    dry_run: bool
    recorded: bool


@dataclass(frozen=True)
class _Work:
    """What is to be done for one package.

    Attributes:
        missing: what has to be copied.
        there: what need not.
        refused: why the rest cannot be.
        yanks: which of these files are yanked in the source and not in the target, by their reason.
    """

    missing: tuple[RegistryFile, ...]
    there: tuple[str, ...]
    refused: tuple[WheelyardError, ...]
    yanks: dict[str, list[str]]


@dataclass
class _Tally:
    """What has come of it so far.

    Attributes:
        silent: batches in a row that failed for want of an answer.
        hopeless: whether the next batch would meet the same.
        advance: is called with the number of bytes of each part.
    """

    copied: list[str] = field(default_factory=list)
    yanked: list[str] = field(default_factory=list)
    refused: list[WheelyardError] = field(default_factory=list)
    there: int = 0
    silent: int = 0
    hopeless: bool = False
    advance: Progress = nobody

    def add(self, copied: Sequence[str], refused: Sequence[WheelyardError]) -> None:
        self.copied += copied
        self.refused += refused
        if copied or refused:
            self.silent = 0 if copied or not all(map(_unanswered, refused)) else self.silent + 1
        self.hopeless = self.silent == _PATIENCE or any(isinstance(error, _HOPELESS) for error in refused)


def mirror(
    project: Project, source: NamedRegistry, target: NamedRegistry, packages: Sequence[str], *, dry_run: bool
) -> Mirroring:
    """Copy every wheel of *source* into *target*, each verified on both ways; what is there is not copied again.

    What cannot be copied (a file without a hash, an sdist, other bytes under the same name) is listed, and does not
    stop the rest. What is yanked in the source becomes so in the target. A run that was killed goes on where it
    stopped, within a file too.

    Raises:
        ConfigError: they are one and the same registry.
        UnknownPackageError: the source has no such package.
        PublishError: there is no such registry.
        CredentialsError: we may not write there.
        NetworkError: a registry does not answer at all.
    """
    if source.adapter.title == target.adapter.title:
        raise ConfigError(f"{source.name} and {target.name} are the same registry", fix="name two")
    projects = projects_of(source, packages)
    tally = _Tally()
    if dry_run:
        for package, listing in listings(source, projects):
            work = _work(project, source, target, package, listing)
            tally.there += len(work.there)
            tally.yanked += (name for names in work.yanks.values() for name in names)
            tally.add([file.file for file in work.missing], work.refused)
    else:
        target.adapter.check_access()
        store = cache.cache_dir("mirror") / sha256_bytes(target.adapter.title.encode())[:16]
        with (
            cache.lock(store.with_suffix(".lock"), what=f"copying to {target.adapter.title}"),
            _announced(source, target, tally),
        ):
            for package, listing in listings(source, projects):
                work = _work(project, source, target, package, listing)
                _copy_all(project, source, target, package, work=work, folder=store / package, tally=tally)
                if tally.hopeless:
                    break
            if not tally.refused:
                files.remove(store)  # what a killed run left, and nobody needs any more
    return Mirroring(
        copied=tuple(tally.copied),
        yanked=tuple(tally.yanked),
        there=tally.there,
        refused=tuple(tally.refused),
        complete=dry_run or not tally.hopeless,
        dry_run=dry_run,
        recorded=target.config.record,
    )


@contextlib.contextmanager
def _announced(source: NamedRegistry, target: NamedRegistry, tally: _Tally) -> Iterator[None]:
    """Make the whole one step with one count, however many batches it takes."""
    steps, over = log.Steps(), False
    steps.open(f"Copying {source.name} to {target.name}")
    try:
        with log.progress("sent", None) as tally.advance:
            yield
        over = True
    finally:
        steps.close(ok=over and not tally.refused)


def _unanswered(error: WheelyardError) -> bool:
    return isinstance(error, (NetworkError, InterruptedRunError)) and not isinstance(error, NotServedError)


def _work(
    project: Project,
    source: NamedRegistry,
    target: NamedRegistry,
    package: str,
    listing: tuple[RegistryFile, ...] | WheelyardError,
) -> _Work:
    """Compare a package's files in both registries."""
    try:
        if isinstance(listing, WheelyardError):
            raise listing
        target_files = target.adapter.files(package)
        target_by_name = {file.file: file for file in enrich(target_files, recorded(project, target, package))}
        named = enrich(listing, recorded(project, source, package))
    except WheelyardError as error:
        return _Work((), (), (about(package, error),), {})
    # What a killed run has begun counts as missing: it is still to be verified and recorded.
    begun = Journal.look(project.dist / JOURNALS, target.adapter.title).begun
    missing: list[RegistryFile] = []
    copies: list[str] = []
    refused: list[WheelyardError] = []
    yanks: dict[str, list[str]] = defaultdict(list)
    source_files, reasons = listable(named, recorded(project, source, package))
    spelt = {identity(name): name for name in target_by_name}
    refused += (PublishError(reason, fix="delete it there, and publish it again") for reason in reasons)
    for file in source_files:
        copy = target_by_name.get(file.file)
        if not file.file.endswith(".whl"):
            refused.append(PublishError("is not a wheel", where=file.file, fix="leave it there, or build it"))
            continue
        if conflict := _conflict(file, copy, spelt.setdefault(identity(file.file), file.file)):
            refused.append(conflict)
            continue
        if copy is None or begun.get(file.file) == file.sha256:
            missing.append(file)
        else:
            copies.append(file.file)
        if file.yanked is not None and (copy is None or copy.yanked is None):
            yanks[file.yanked].append(file.file)
    return _Work(tuple(missing), tuple(copies), tuple(refused), yanks)


def _conflict(file: RegistryFile, copy: RegistryFile | None, other: str) -> ConflictError | None:
    """Return why *file* would replace or double what is there.

    Args:
        file: what is to be copied.
        copy: the file of that name.
        other: a name of that wheel, which may be spelt in several ways.
    """
    if copy is not None and copy.sha256 != file.sha256:
        details = [f"there: sha256 {copy.sha256 or 'unknown'}", f"source: sha256 {file.sha256}"]
        return ConflictError("other bytes are there", where=file.file, details=details, fix=_CONFLICT)
    if copy is None and other != file.file:
        return ConflictError(f"is the same wheel, spelt another way, as {other}", where=file.file, fix=_CONFLICT)
    return None


def _copy_all(
    project: Project,
    source: NamedRegistry,
    target: NamedRegistry,
    package: str,
    *,
    work: _Work,
    folder: Path,
    tally: _Tally,
) -> None:
    """Copy what is missing of one package, a few versions at a time, and mark what is yanked."""
    tally.there += len(work.there)
    tally.add((), work.refused)
    present = set(work.there)
    for batch in _batches(work.missing, target.adapter.parallel):
        copied_files, refused = _copy(
            project, source, target, package, batch=batch, folder=folder, advance=tally.advance
        )
        copied = [outcome.upload.release.name.file for outcome in copied_files if outcome.new]
        tally.there += len(copied_files) - len(copied)  # somebody else was quicker
        present.update(outcome.upload.release.name.file for outcome in copied_files)
        tally.add(copied, refused)
        if tally.hopeless:
            return
    for reason, names in work.yanks.items():
        marked = [name for name in names if name in present]
        try:
            if marked:
                mark(project, target, package, marked, reason)
            tally.yanked += marked
        except WheelyardError as error:
            tally.refused.append(about(package, error))


def _batches(missing: Sequence[RegistryFile], versions: int) -> Iterator[list[RegistryFile]]:
    """Yield files, of some versions at a time: what is under way lies on this disk."""
    by_version: dict[object, list[RegistryFile]] = defaultdict(list)
    for file in missing:
        by_version[version_of(file.file)].append(file)
    groups = list(by_version.values())
    for first in range(0, len(groups), versions):
        yield [file for group in groups[first : first + versions] for file in group]


def _copy(
    project: Project,
    source: NamedRegistry,
    target: NamedRegistry,
    package: str,
    *,
    batch: Sequence[RegistryFile],
    folder: Path,
    advance: Progress,
) -> tuple[list[Outcome], list[WheelyardError]]:
    """Copy files of one package through *folder*, which keeps what has arrived; return what is there now."""
    fetched = threads.each(
        functools.partial(_fetched, source, package, folder), batch, parallel=source.adapter.parallel
    )
    releases = [item for item in fetched if isinstance(item, Release)]
    refused = [item for item in fetched if isinstance(item, WheelyardError)]
    if not releases:
        return [], refused
    try:
        with Journal.of(project.dist / JOURNALS, target.adapter.title) as journal:
            uploads = plan_uploads(target.adapter, releases, begun=journal.begun, parallel=target.adapter.parallel)
            outcomes = publish(target.adapter, uploads, journal, parallel=target.adapter.parallel, advance=advance)
            copied = [outcome for outcome in outcomes if outcome.error is None]
            if target.config.record:
                _record(project, source, target, package, [outcome.upload.release for outcome in copied])
            journal.finish(outcome.upload.release.name.file for outcome in copied)
    except WheelyardError as error:
        return [], [*refused, about(package, error)]
    for outcome in copied:
        files.remove(outcome.upload.release.path)
    refused += (about(result.upload.release.name.file, result.error) for result in outcomes if result.error is not None)
    return copied, refused


def _fetched(source: NamedRegistry, package: str, folder: Path, file: RegistryFile) -> Release | WheelyardError:
    path = folder / file.file
    try:
        source.adapter.fetch(package, file, path)
        release = read_release(path, sha256=file.sha256 or "")
        if release.project != package:
            raise PublishError(f"is not a wheel of {package}")
    except WheelyardError as error:
        return about(file.file, error)
    return release


def _record(
    project: Project, source: NamedRegistry, target: NamedRegistry, package: str, releases: Sequence[Release]
) -> None:
    """Record copies with what is known of how their originals came to be, wherever those are recorded."""
    path = RELEASES.path(project.packages, package)
    entry_list = sorted(RELEASES.read(path), key=lambda entry: entry.where == source.name)
    origins = {(entry.file, entry.sha256): entry for entry in entry_list}
    entries = []
    for release in releases:
        origin = origins.get((release.name.file, release.sha256)) or entry_of(release, target.name)
        entries.append(origin.model_copy(update={"where": target.name, "yanked": None}))
    record(path, entries)
