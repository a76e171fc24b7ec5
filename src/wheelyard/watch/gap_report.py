"""``radar``: find projects that ship binary wheels and none for riscv64, the heaviest first.

Names are streamed: only the heaviest gaps are kept. The costly part, the build requirements in each source, is read
for these alone.
"""

from __future__ import annotations

import functools
import heapq
import json
import tomllib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from wheelyard.core import toml
from wheelyard.core.errors import (
    NetworkError,
    SourceError,
    UnknownPackageError,
    UpstreamUnknownError,
    WheelyardError,
)
from wheelyard.core.pep508 import read_requirement
from wheelyard.core.tags import Interpreter, wheel_for
from wheelyard.index import index_url
from wheelyard.index.installer_choice import judge
from wheelyard.index.project_summary import ProjectFacts, Upstream
from wheelyard.index.sdist_file import find_sdist
from wheelyard.io import archive, cache, downloads, files, log, threads
from wheelyard.watch.availability import OwnRegistry, ProjectPages, applies
from wheelyard.watch.availability_report import Failed, Gap, Lacking, RadarReport
from wheelyard.watch.name_lists import read_names

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from wheelyard.index.project_summary import ReleaseFacts
    from wheelyard.index.sdist_file import Sdist
    from wheelyard.project.config import Project, SiteConfig
    from wheelyard.registries.open_registry import NamedRegistry
    from wheelyard.watch.name_lists import Entry, NameList

_NEWEST = 12  # versions to read; the newest final one is nearly always among them
_PATIENCE = 25  # failed requests in a row before the run stops
_MOST_FAILED = 100  # failures to report by name
_SOURCES = 4  # downloads at a time: each may be large
_LARGEST_PYPROJECT = 1 << 20  # bytes
_LONGEST_NAME = 200  # characters of a file in the cache, a longer one's first
_LAYOUT = 1


def radar(project: Project, path: Path, *, top: int, registry: NamedRegistry | None) -> RadarReport:
    """Return the *top* gaps among the names in the file *path*; one project's failure does not stop the others.

    Args:
        project: its site configuration has the interpreters and the number of parallel requests.
        path: the list; see :mod:`wheelyard.watch.name_lists`.
        top: how many gaps are reported.
        registry: our registry, None to compare without one.

    Raises:
        ListError: the list cannot be read.
        NetworkError: the index stops answering. A second run uses the cached answers.
        ConfigError: the configured index has no usable address.
    """
    listed = read_names(path)
    pythons = tuple(map(Interpreter.parse, project.config.interpreters))
    tally = _sweep(listed, project.config.watch.parallel, top, pythons)
    registry_wheels = OwnRegistry(registry)
    gaps = [_covered(gap, registry_wheels, pythons) for gap in tally.gaps()]
    gaps = _with_needs(gaps, project.config, pythons, registry_wheels)
    return RadarReport(
        checked=datetime.now(UTC).replace(microsecond=0),
        source=listed.source,
        names=listed.names,
        looked_at=tally.looked_at,
        gaps=tally.count,
        registry=registry_wheels.name,
        top=tuple(gaps),
        failed=tuple(sorted(tally.failed, key=lambda failure: failure.name)),
        failures=tally.failures,
        notes=tuple(registry_wheels.notes),
    )


def problem(report: RadarReport) -> WheelyardError | None:
    """Return the error for a report's exit code, None if every project could be read."""
    if not report.failures:
        return None
    return UpstreamUnknownError(
        f"{report.failures} of {report.names} projects could not be read",
        details=[f"{failure.name}: {failure.text}" for failure in report.failed],
        fix="run the same command again: cached answers are reused; correct misspelt names",
    )


# --------------------------------------------------------------------- sweep


@dataclass
class _Tally:
    """The results of a sweep, in bounded memory."""

    top: int
    looked_at: int = 0
    count: int = 0
    failures: int = 0
    failed: list[Failed] = field(default_factory=list)
    _heap: list[tuple[int, int, Gap]] = field(default_factory=list)
    _silent: int = 0

    def add(self, entry: Entry, result: Gap | WheelyardError | None) -> None:
        """Add the result of one project; None means no gap."""
        if isinstance(result, WheelyardError):
            self._fail(entry.name, result)
            return
        self._silent = 0
        self.looked_at += 1
        if result is not None:
            self.count += 1
            item = entry.weight or 0, -entry.place, result  # of equal weight, the first in the list wins
            (heapq.heappush if len(self._heap) < self.top else heapq.heappushpop)(self._heap, item)

    def gaps(self) -> list[Gap]:
        """Return the heaviest gaps, the heaviest first."""
        return [gap for _, _, gap in sorted(self._heap, key=lambda item: item[:2], reverse=True)]

    def _fail(self, name: str, error: WheelyardError) -> None:
        self.failures += 1
        if len(self.failed) < _MOST_FAILED:
            self.failed.append(Failed(name=name, text=error.what))
        self._silent = self._silent + 1 if isinstance(error, NetworkError) else 0
        if self._silent == _PATIENCE:
            raise NetworkError(
                f"the index does not answer for {_PATIENCE} projects in a row",
                details=error.details,
                fix="run the same command again later: it continues from the cache",
            )


def _sweep(listed: NameList, parallel: int, top: int, pythons: Sequence[Interpreter]) -> _Tally:
    tally = _Tally(top)
    look = functools.partial(_look, Upstream(index_url(), newest=_NEWEST), tuple(pythons))
    with log.progress("looking at the index", listed.names, unit="projects") as advance:
        for entry, result in threads.stream(look, listed.entries(), parallel=parallel):
            tally.add(entry, result)
            advance(1)
    return tally


def _look(
    upstream: Upstream, pythons: Sequence[Interpreter], entry: Entry
) -> tuple[Entry, Gap | WheelyardError | None]:
    try:
        release = upstream.facts(entry.name).newest
    except (NetworkError, UnknownPackageError) as error:
        return entry, error
    return entry, _gap(entry, release, pythons) if release is not None else None


def _gap(entry: Entry, release: ReleaseFacts, pythons: Sequence[Interpreter]) -> Gap | None:
    """Return a gap, None if the release has no binary wheels, or some for riscv64."""
    if release.reference in {"", "any"} or release.ships:
        return None
    return Gap(
        name=entry.name,
        weight=entry.weight,
        version=str(release.version),
        released=release.released,
        reference=release.reference,
        pure=bool(release.pure),
        wanted=tuple(str(python) for python in pythons if wheel_for(python, release.wheels)),
    )


def _covered(gap: Gap, registry_wheels: OwnRegistry, pythons: Sequence[Interpreter]) -> Gap:
    """Return the gap with our registry's version of it."""
    requirement = Requirement(gap.name)
    versions = {
        str(python): judge(
            requirement, ProjectFacts(gap.name), registry_wheels.wheels(gap.name, python), python
        ).version
        for python in pythons
    }
    newest = max((version for version in versions.values() if version), default=None)
    if newest is None:
        return gap
    covered = tuple(python for python, version in versions.items() if version == newest)
    return gap.model_copy(update={"ours": str(newest), "covered": covered})


# --------------------------------------------------------------------- needs


def _with_needs(
    gaps: Sequence[Gap], config: SiteConfig, pythons: Sequence[Interpreter], registry_wheels: OwnRegistry
) -> list[Gap]:
    """Return the gaps with their build requirements that have no riscv64 wheel."""
    with log.progress("reading sources", len(gaps), unit="projects") as advance:

        def read_requires(gap: Gap) -> tuple[Requirement, ...] | WheelyardError:
            try:
                return _requires(gap, config)
            except WheelyardError as error:
                return error
            finally:
                advance(1)

        results = threads.each(read_requires, gaps, parallel=_SOURCES) if gaps else []
    lookup = ProjectPages(index_url(), registry_wheels, parallel=config.watch.parallel)
    read = [result for result in results if not isinstance(result, WheelyardError)]
    lookup.load({canonicalize_name(requirement.name) for requires in read for requirement in requires})
    return [
        gap.model_copy(update={"note": result.what})
        if isinstance(result, WheelyardError)
        else gap.model_copy(update={"first": tuple(_lacking(result, lookup, pythons))})
        for gap, result in zip(gaps, results, strict=True)
    ]


def _lacking(requires: Sequence[Requirement], lookup: ProjectPages, pythons: Sequence[Interpreter]) -> list[Lacking]:
    lacking = []
    for requirement in requires:
        name = canonicalize_name(requirement.name)
        kinds: dict[str, list[str]] = {}
        trouble = lookup.trouble(name)
        for python in pythons:
            if not applies(requirement, python):
                continue
            availability = judge(requirement, lookup.facts(name), lookup.registry.wheels(name, python), python)
            if not availability.installs:
                kinds.setdefault("unknown" if isinstance(trouble, NetworkError) else availability.kind, []).append(
                    str(python)
                )
        lacking += [
            Lacking.model_validate({"requirement": str(requirement), "kind": kind, "interpreters": tags})
            for kind, tags in kinds.items()
        ]
    return lacking


def _requires(gap: Gap, config: SiteConfig) -> tuple[Requirement, ...]:
    """Return the sdist's ``[build-system] requires``; a backend's dynamic requirements are not read.

    Raises:
        SourceError: it has no sdist, or one that cannot be read.
        NetworkError: it cannot be downloaded.
        DiskError: the disk is full.
    """
    sdist = find_sdist(gap.name, Version(gap.version), index=index_url(), newest=_NEWEST)
    cache_file = cache.cache_dir("radar") / f"{sdist.sha256}.json"
    texts = _cached(cache_file)
    if texts is None:
        texts = _read(sdist, cache_file, config)
    requirements = []
    for text in texts:
        try:
            requirements.append(read_requirement(text))
        except InvalidRequirement:
            log.warn(f"{gap.name}: {log.clean(text)[:100]!r} is not a build requirement; skipped")
    return tuple(requirements)


def _read(sdist: Sdist, cache_file: Path, config: SiteConfig) -> list[str]:
    """Read an sdist's build requirements, and cache them in *cache_file*."""
    archive_file = cache_file.with_name(f"{sdist.sha256[:16]}-{sdist.file}"[:_LONGEST_NAME])
    downloads.download(sdist.url, archive_file, sha256=sdist.sha256, size=sdist.size, limit=config.max_sdist_mib << 20)
    try:
        limits = archive.Limits(config.max_unpacked_mib << 20, config.max_members)
        texts = _build_requires(
            archive.read_member(archive_file, ("pyproject.toml",), limits=limits, largest=_LARGEST_PYPROJECT)
        )
        files.write_text(cache_file, json.dumps({"layout": _LAYOUT, "requires": texts}))
    except FileNotFoundError as error:
        cached = _cached(cache_file)  # by a faster run of the same command
        if cached is None:
            raise SourceError(f"{sdist.file} was removed during the run", fix="run the same command again") from error
        return cached
    finally:
        files.remove(archive_file)  # may be hundreds of MB; only the answer is kept
    return texts


def _build_requires(pyproject: bytes | None) -> list[str]:
    """Return ``[build-system] requires``; setuptools where there is no such table (PEP 518)."""
    table: Any = {}
    if pyproject is not None:
        try:
            table = toml.loads(pyproject.decode()).get("build-system", {})
        except (tomllib.TOMLDecodeError, UnicodeDecodeError):
            table = {}
    requires = table.get("requires", ["setuptools"]) if isinstance(table, dict) else ["setuptools"]
    return [text for text in requires if isinstance(text, str)] if isinstance(requires, list) else ["setuptools"]


def _cached(path: Path) -> list[str] | None:
    try:
        entry = json.loads(path.read_bytes())
        if entry["layout"] != _LAYOUT or not all(isinstance(text, str) for text in entry["requires"]):
            return None
        return list(entry["requires"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
