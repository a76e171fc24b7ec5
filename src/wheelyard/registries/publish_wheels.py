"""``publish``: passing wheels go into a registry; nothing is ever overwritten, and what went out is recorded."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wheelyard.core.errors import InterruptedRunError, PublishError, WheelyardError
from wheelyard.core.names import canonical, did_you_mean
from wheelyard.project.loader import project_name
from wheelyard.records.durations import DURATIONS, Duration, of_record
from wheelyard.records.releases import RELEASES, record
from wheelyard.records.wheel_records import releasable
from wheelyard.registries import Action, Journal, Outcome, plan_uploads, publish, read_release
from wheelyard.registries.open_registry import open_registry
from wheelyard.registries.publish_sources import lacking
from wheelyard.registries.registry_errors import together
from wheelyard.registries.registry_reports import PublicationReport, PublishedFile
from wheelyard.registries.wheel_file import entry_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from wheelyard.project.config import Project
    from wheelyard.records.models import WheelRecord
    from wheelyard.records.releases import ReleasedFile
    from wheelyard.registries import Release, Upload
    from wheelyard.registries.open_registry import NamedRegistry

JOURNALS = ".journal"  # below dist/
_PAGES = 40  # index pages that are read at once: each is small, and most of its time is waiting


@dataclass(frozen=True)
class Publication:
    """What was, or would be, published.

    Attributes:
        registry: the registry.
        uploads: each wheel with what is done about it.
        outcomes: what came of each; of a dry run nothing.
        held: why some wheels may not go.
        recorded: the records that changed.
        dry_run: whether nothing was written.
    """

    registry: NamedRegistry
    uploads: tuple[Upload, ...]
    outcomes: tuple[Outcome, ...]
    held: tuple[PublishError, ...]
    recorded: tuple[Path, ...]
    dry_run: bool

    @property
    def held_back(self) -> tuple[str, ...]:
        """The same in a line each."""
        return tuple(error.head for error in self.held)

    @property
    def failed(self) -> tuple[WheelyardError, ...]:
        """Why wheels that were to go are not there; causes come before what they stopped."""
        errors = [outcome.error for outcome in self.outcomes if outcome.error is not None]
        return tuple(sorted(errors, key=lambda error: isinstance(error, InterruptedRunError)))

    def report(self) -> PublicationReport:
        """Return it for machines."""
        errors = {outcome.upload.release.name.file: outcome.error for outcome in self.outcomes}
        other_reasons = {
            outcome.upload.release.name.file for outcome in self.outcomes if not outcome.new and not outcome.error
        }
        return PublicationReport(
            registry=self.registry.name,
            title=self.registry.adapter.title,
            dry_run=self.dry_run,
            files=tuple(
                PublishedFile(
                    file=(name := upload.release.name.file),
                    sha256=upload.release.sha256,
                    size=upload.release.size,
                    action=(Action.SKIP if name in other_reasons else upload.action).value,
                    error=str(error) if (error := errors.get(name)) else None,
                )
                for upload in self.uploads
            ),
            held_back=self.held_back,
        )


def publish_packages(
    project: Project,
    packages: Sequence[str],
    target: str,
    *,
    dry_run: bool,
    show: Callable[[Sequence[Upload]], object] = lambda _uploads: None,
    advance: Callable[[Publication], object] = lambda _report: None,
) -> Publication:
    """Put the passing wheels of *packages*, all in ``dist/`` by default, into a registry.

    A version goes out whole or not at all; one that may not go does not keep the others back. A run that was
    killed is finished by the next, which reports what both did.

    Args:
        project: the project.
        packages: what to publish.
        target: a registry's name in the site configuration, or a folder.
        dry_run: only report.
        show: is given the plan before anything is done about it.
        advance: is given the report before this run counts as finished: if nobody has read it, the next tells the same.

    Raises:
        PublishError: there is nothing to publish.
        ConflictError: other bytes stand under the same name; then nothing is written.
        CredentialsError: we may not write there; then nothing is sent.
        NetworkError: the registry does not answer.
    """
    registry = open_registry(project, target)
    sources, refusals = _collect(project, packages, registry)
    releases = [release for release, _ in sources]
    folder = project.dist / JOURNALS
    title = registry.adapter.title
    open_journal = contextlib.nullcontext(Journal.look(folder, title)) if dry_run else Journal.of(folder, title)
    with open_journal as journal:
        uploads = plan_uploads(
            registry.adapter, releases, begun=journal.begun, parallel=max(_PAGES, registry.adapter.parallel)
        )
        show(uploads)
        outcomes = [] if dry_run else publish(registry.adapter, uploads, journal, parallel=registry.adapter.parallel)
        published = [outcome.upload.release for outcome in outcomes if outcome.error is None]
        recorded = _record(project, registry, published, dict(sources)) if registry.config.record else ()
        report = Publication(registry, uploads, tuple(outcomes), refusals, recorded, dry_run=dry_run)
        advance(report)
        if not dry_run:
            journal.finish(release.name.file for release in published)
    return report


def problem(publication: Publication) -> WheelyardError | None:
    """Return the error that a publication is for a shell, None if all that was asked for is there, or may go."""
    if failed := publication.failed:
        lines = [line for error in failed for line in str(error).splitlines()]
        return type(failed[0])(
            f"{len(failed)} of {len(publication.uploads)} wheels are not there",
            where=publication.registry.adapter.title,
            details=dict.fromkeys([*lines, *(f"held back: {text}" for text in publication.held_back)]),
            fix="run the same command again: what is there is not sent twice",
        )
    if publication.held:
        rest = "all others may go" if publication.dry_run else "all others are there"
        none = "no wheel may go" if publication.dry_run else "nothing was published"
        return together(
            f"{len(publication.held)} reason(s) to hold wheels back; {rest if publication.uploads else none}",
            publication.held,
        )
    return None


def _collect(
    project: Project, packages: Sequence[str], registry: NamedRegistry
) -> tuple[list[tuple[Release, WheelRecord]], tuple[PublishError, ...]]:
    """Return the wheels that may go to *registry*, each with its record, and why others may not."""
    wheel_records: list[tuple[Release, WheelRecord]] = []
    refusals: list[PublishError] = []
    for folder in _folders(project, packages):
        name = str(folder.relative_to(project.root))
        try:
            wheels = [
                (read_release(wheel, sha256=record.sha256, hashed=True), record) for wheel, record in releasable(folder)
            ]
            _ensure_own(project, folder, wheels)
            _ensure_image(project, registry, [record for _, record in wheels])
        except WheelyardError as error:
            refusals += [PublishError(text, where=name, fix=error.fix) for text in (error.details or (error.what,))]
            continue
        if owed := lacking(project, registry, [(release.path, record) for release, record in wheels]):
            refusals += [PublishError(text, where=name) for text in owed]
            continue
        wheel_records += wheels
    return wheel_records, tuple(refusals)


def _ensure_image(project: Project, registry: NamedRegistry, wheels: Sequence[WheelRecord]) -> None:
    """Make sure that *registry* takes wheels of the images that these were built in.

    Raises:
        PublishError: it does not.
    """
    local = sorted({record.image.reference for record in wheels if record.image.kind == "local"})
    if not local or registry.config.local_images:
        return
    named = registry.name in project.config.registries
    key = "local-images" if named else "local-images-to-folders"
    table = f"[tool.wheelyard.registries.{registry.name}]" if named else "[tool.wheelyard]"
    raise PublishError(
        f"was built in the local image {', '.join(local)}; {registry.name} takes those of the official image only",
        fix=f"build it in the official image (--image official), or set {key} = true in {table}",
    )


def _ensure_own(project: Project, folder: Path, wheels: Sequence[tuple[Release, WheelRecord]]) -> None:
    """Make sure that what lies in a package's folder is that package's: who names one publishes no other.

    Raises:
        PublishError: it is not.
    """
    package = folder.parent.name
    foreign = [release.name.file for release, record in wheels if {release.project, record.package} != {package}]
    if foreign and (name := project_name(project, package)) != package:
        foreign = [file.name.file for file, record in wheels if (file.project, record.package) != (name, package)]
    if foreign:
        raise PublishError(
            f"not wheels of {package}", details=[f"{name}: is not a wheel of {package}" for name in foreign]
        )


def _record(
    project: Project, registry: NamedRegistry, releases: Sequence[Release], records: dict[Release, WheelRecord]
) -> tuple[Path, ...]:
    entries: dict[Path, list[ReleasedFile]] = defaultdict(list)
    took: dict[Path, list[Duration]] = defaultdict(list)
    for release in releases:
        source = records[release]
        entry = entry_of(
            release,
            registry.name,
            patched=bool(source.patches),
            source=f"sha256:{source.source.sha256}",
            image=source.image.digest,
        )
        entries[RELEASES.path(project.packages, release.project)].append(entry)
        took[DURATIONS.path(project.packages, source.package)] += of_record(source)
    changed = [path for path, files in sorted(entries.items()) if record(path, files)]
    return (
        *changed,
        *(
            path
            for path, duration_entries in sorted(took.items())
            if duration_entries and DURATIONS.add(path, duration_entries)
        ),
    )


def _folders(project: Project, packages: Sequence[str]) -> list[Path]:
    """Return the folders of results that hold wheels, of *packages* or of all."""
    built = {folder.parent.parent.name for folder in project.dist.glob("*/*/*.whl")}
    names = [canonical(package) for package in packages] or sorted(built)
    unknown = [name for name in names if name not in built]
    if unknown or not names:
        raise PublishError(
            "nothing is built to publish" if not names else "nothing is built under that name",
            where=str(project.dist),
            details=[f"{name}{did_you_mean(name, built)}" for name in unknown],
            fix="nox -s " + (" ".join(f"build-{name}" for name in unknown) or "build-<pkg>"),
        )
    folders = {wheel.parent for name in names for wheel in (project.dist / name).glob("*/*.whl")}
    return sorted(folders)


def counted(outcomes: Sequence[Outcome]) -> dict[str, int]:
    """Return how many wheels we brought there, were there before, since others may be quicker, and are not there."""
    return {
        "published": sum(outcome.new for outcome in outcomes),
        "there before": sum(outcome.error is None and not outcome.new for outcome in outcomes),
        "failed": sum(outcome.error is not None for outcome in outcomes),
    }
