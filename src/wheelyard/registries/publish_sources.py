"""``sources``: what copyleft libraries in wheels were made from goes beside the wheels, and is recorded."""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING

from wheelyard.checks.grafts import grafted
from wheelyard.core.errors import CheckError, PublishError, RegistryContentError, WheelyardError
from wheelyard.core.names import canonical
from wheelyard.images.local.source_packages import SourcePackage, fetch
from wheelyard.io import cache, files, log
from wheelyard.records.copyleft_sources import SOURCES, SourceFile, SourcesReport
from wheelyard.records.wheel_records import releasable
from wheelyard.registries.open_registry import open_registry

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from wheelyard.project.config import Project
    from wheelyard.records.models import GraftRecord, WheelRecord
    from wheelyard.registries.open_registry import NamedRegistry

    Key = tuple[str, str]


def store_sources(project: Project, packages: Sequence[str], target: str, *, dry_run: bool) -> SourcesReport:
    """Have the source packages of the copyleft libraries in passing wheels of *packages* in a registry.

    Each is fetched and sent once, however many wheels have it; a run that was killed is gone on with by the next.

    Args:
        project: the project.
        packages: whose wheels in ``dist/``; all by default.
        target: a registry's name in the site configuration, or a folder.
        dry_run: only report.

    Raises:
        PublishError: there are no such wheels, or a source cannot be had; all of them are listed.
        CredentialsError: we may not write there.
        NetworkError: the registry does not answer.
    """
    registry = open_registry(project, target)
    owed, unknown = _owed(project, packages)
    stored = _stored(project, registry)
    missing = [key for key in dict.fromkeys(key for keys in owed.values() for key in keys) if key not in stored]
    failed: dict[str, WheelyardError] = {}
    if missing and not dry_run:
        registry.adapter.source_store().check_access()
        for key in missing:
            source_package = next(keys[key] for keys in owed.values() if key in keys)
            try:
                stored[key] = _bring(registry, source_package)
            except WheelyardError as error:
                failed[" ".join(key)] = error
    if not dry_run:
        for package, keys in owed.items():
            if stored_files := [file for key in keys if key in stored for file in stored[key]]:
                SOURCES.add(SOURCES.path(project.packages, package), stored_files)
    if failed:
        first = next(iter(failed.values()))
        raise PublishError(
            f"{len(failed)} source package(s) are not there; all others are",
            where=registry.adapter.title,
            details=[f"{name}: {'; '.join((error.head, *error.details))}" for name, error in failed.items()],
            fix=first.fix,
        )
    needed = {key for keys in owed.values() for key in keys}
    return SourcesReport(
        registry=registry.name,
        dry_run=dry_run,
        stored=tuple(file for key in sorted(needed & stored.keys()) for file in stored[key]),
        missing=tuple(" ".join(key) for key in missing if key not in stored),
        unknown=tuple(unknown),
    )


def lacking(project: Project, registry: NamedRegistry, wheels: Iterable[tuple[Path, WheelRecord]]) -> list[str]:
    """Return, for a registry that wants sources, what keeps these wheels from it."""
    if registry.config.copyleft_sources != "required":
        return []
    stored = _stored(project, registry)
    lines = []
    for wheel, record in wheels:
        lines += _unnamed(wheel, record)
        for graft in _copyleft(project, record):
            if not graft.source:
                lines.append(
                    f"{wheel.name}: {graft.file} is not from the build image: look at its licence, then name it in "
                    "cleared-grafts in [tool.wheelyard]"
                )
            elif (graft.source, graft.source_version) not in stored:
                lines.append(
                    f"{wheel.name}: the source of {graft.name} ({graft.source} {graft.source_version}) is not in "
                    f"{registry.name}: wheelyard sources {record.package} --to {registry.name}"
                )
    return list(dict.fromkeys(lines))


def _unnamed(wheel: Path, record: WheelRecord) -> list[str]:
    """Return a problem for each library in a wheel that its record does not name."""
    named = {graft.file for graft in record.grafts or ()}
    try:
        lost = [library.file for library in grafted(wheel) if library.copied and library.file not in named]
    except CheckError as error:
        return [f"{wheel.name}: {error.what}"]
    return [f"{wheel.name}: its record does not say where {file} is from: build it again" for file in lost]


def _copyleft(project: Project, record: WheelRecord) -> list[GraftRecord]:
    cleared = project.config.cleared_grafts
    return [
        graft
        for graft in record.grafts or ()
        if graft.copyleft and (graft.source or not any(fnmatch.fnmatchcase(graft.name, pattern) for pattern in cleared))
    ]


def _owed(project: Project, packages: Sequence[str]) -> tuple[dict[str, dict[Key, SourcePackage]], list[str]]:
    """Return the source packages that wheels of each package ask for, and the libraries of unknown origin."""
    names = {canonical(package) for package in packages}
    folders = sorted({wheel.parent for wheel in project.dist.glob("*/*/*.whl")})
    chosen = [folder for folder in folders if not names or folder.parent.name in names]
    if lost := sorted(names - {folder.parent.name for folder in chosen}):
        raise PublishError("nothing is built under that name", where=str(project.dist), details=lost)
    owed: dict[str, dict[Key, SourcePackage]] = {}
    unknown: list[str] = []
    for folder in chosen:
        try:
            wheels = releasable(folder)
        except PublishError as error:
            log.info(f"{folder.relative_to(project.root)}: {error.what}; left out")
            continue
        keys = owed.setdefault(folder.parent.name, {})
        for wheel, record in wheels:
            for graft in _copyleft(project, record):
                if not graft.source or not graft.kind:
                    unknown.append(f"{wheel.name}: {graft.file}")
                    continue
                keys[graft.source, graft.source_version] = SourcePackage(
                    kind=graft.kind,
                    name=graft.source,
                    version=graft.source_version,
                    binary=graft.package,
                    binary_version=graft.package_version,
                    suite=record.image.suite,
                    image=record.image.reference,
                )
    return owed, unknown


def _stored(project: Project, registry: NamedRegistry) -> dict[Key, tuple[SourceFile, ...]]:
    """Return the source packages that are recorded as being there, whichever package's wheels asked for them."""
    files_by_key: dict[Key, list[SourceFile]] = {}
    for path in sorted(project.packages.glob("*/sources.toml")):
        for file in SOURCES.read(path):
            if file.where == registry.name and file not in files_by_key.setdefault((file.name, file.version), []):
                files_by_key[file.name, file.version].append(file)
    return {key: tuple(source_files) for key, source_files in files_by_key.items() if source_files}


def _bring(registry: NamedRegistry, source_package: SourcePackage) -> tuple[SourceFile, ...]:
    """Fetch one source package, and have all of its files in the registry."""
    store = registry.adapter.source_store()
    folder = cache.cache_dir("sources") / f"{source_package.name}_{source_package.version.replace('/', '_')}"
    with (
        cache.lock(folder.with_suffix(".lock"), what=f"fetching the source of {source_package.name}"),
        files.scratch(cache.cache_dir("work"), "sources") as scratch,
    ):
        entries = []
        for path, sha256 in fetch(source_package, folder, scratch):
            with log.step(f"storing {path.name}"):
                url = store.put(source_package.name, source_package.version, path, sha256)
            entries.append(
                SourceFile(
                    name=source_package.name,
                    version=source_package.version,
                    where=registry.name,
                    file=path.name,
                    sha256=sha256,
                    size=path.stat().st_size,
                    url=url,
                )
            )
    if not entries:
        raise RegistryContentError(f"the source of {source_package.name} {source_package.version} has no files")
    return tuple(entries)
