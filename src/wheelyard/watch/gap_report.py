"""``radar``: of many projects, those that ship binary wheels and none for riscv64, the heaviest first.

Names stream through: of those looked at only the heaviest gaps are kept. What is costly, the source of each with its
build requirements, is asked for these alone.
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
from wheelyard.watch.availability import Ours, Shelf, applies
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

_NEWEST = 12  # versions that are looked at; the newest final one is nearly always among them
_PATIENCE = 25  # projects in a row that the index may not answer for
_MOST_FAILED = 100  # that are told by name
_SOURCES = 4  # downloaded at once: each may be large
_LARGEST_PYPROJECT = 1 << 20  # bytes
_LONGEST_NAME = 200  # characters of a file in the cache, a longer one's first
_LAYOUT = 1


def radar(project: Project, path: Path, *, top: int, registry: NamedRegistry | None) -> RadarReport:
    """Return the *top* gaps among the names in the file *path*; one project's failure does not stop the others.

    Args:
        project: its policy says for which interpreters, and how many pages are read at once.
        path: the list; see :mod:`wheelyard.watch.name_lists`.
        top: how many gaps are told.
        registry: our registry, None to compare with none.

    Raises:
        ListError: the list cannot be read.
        NetworkError: the index answers for nobody any more. What was cached counts when the command is run again.
        ConfigError: the public index that is configured is none.
    """
    listed = read_names(path)
    pythons = tuple(map(Interpreter.parse, project.config.interpreters))
    tally = _sweep(listed, project.config.watch.parallel, top, pythons)
    ours = Ours(registry)
    gaps = [_covered(gap, ours, pythons) for gap in tally.gaps()]
    gaps = _with_needs(gaps, project.config, pythons, ours)
    return RadarReport(
        checked=datetime.now(UTC).replace(microsecond=0),
        source=listed.source,
        names=listed.names,
        looked_at=tally.looked_at,
        gaps=tally.count,
        registry=ours.name,
        top=tuple(gaps),
        failed=tuple(sorted(tally.failed, key=lambda each: each.name)),
        failures=tally.failures,
        notes=tuple(ours.notes),
    )


def problem(report: RadarReport) -> WheelyardError | None:
    """Return the error that a report is for a shell, None if every project could be looked at."""
    if not report.failures:
        return None
    return UpstreamUnknownError(
        f"{report.failures} of {report.names} projects could not be looked at",
        details=[f"{each.name}: {each.text}" for each in report.failed],
        fix="run the same command again: what is cached is not asked for twice; correct names that are none",
    )


# --------------------------------------------------------------------- sweep


@dataclass
class _Tally:
    """What came of a sweep, in bounded memory."""

    top: int
    looked_at: int = 0
    count: int = 0
    failures: int = 0
    failed: list[Failed] = field(default_factory=list)
    _heap: list[tuple[int, int, Gap]] = field(default_factory=list)
    _silent: int = 0

    def add(self, entry: Entry, found: Gap | WheelyardError | None) -> None:
        """Take note of one project; None is one that is no gap."""
        if isinstance(found, WheelyardError):
            self._fail(entry.name, found)
            return
        self._silent = 0
        self.looked_at += 1
        if found is not None:
            self.count += 1
            item = entry.weight or 0, -entry.place, found  # of equal weight, who comes first in the list
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
                f"the index does not answer: not for {_PATIENCE} projects in a row",
                details=error.details,
                fix="run the same command again later: it goes on where it stopped",
            )


def _sweep(listed: NameList, parallel: int, top: int, pythons: Sequence[Interpreter]) -> _Tally:
    tally = _Tally(top)
    look = functools.partial(_look, Upstream(index_url(), newest=_NEWEST), tuple(pythons))
    with log.progress("looking at the index", listed.names, unit="projects") as tell:
        for entry, found in threads.stream(look, listed.entries(), parallel=parallel):
            tally.add(entry, found)
            tell(1)
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


def _covered(gap: Gap, ours: Ours, pythons: Sequence[Interpreter]) -> Gap:
    """Say what our registry has of it."""
    requirement = Requirement(gap.name)
    found = {
        str(python): judge(requirement, ProjectFacts(gap.name), ours.wheels(gap.name, python), python).version
        for python in pythons
    }
    newest = max((version for version in found.values() if version), default=None)
    if newest is None:
        return gap
    covered = tuple(python for python, version in found.items() if version == newest)
    return gap.model_copy(update={"ours": str(newest), "covered": covered})


# --------------------------------------------------------------------- needs


def _with_needs(gaps: Sequence[Gap], config: SiteConfig, pythons: Sequence[Interpreter], ours: Ours) -> list[Gap]:
    """Say of each gap which of its build requirements have no riscv64 wheel."""
    with log.progress("reading sources", len(gaps), unit="projects") as tell:

        def one(gap: Gap) -> tuple[Requirement, ...] | WheelyardError:
            try:
                return _requires(gap, config)
            except WheelyardError as error:
                return error
            finally:
                tell(1)

        found = threads.each(one, gaps, parallel=_SOURCES) if gaps else []
    shelf = Shelf(index_url(), ours, parallel=config.watch.parallel)
    read = [each for each in found if not isinstance(each, WheelyardError)]
    shelf.load({canonicalize_name(one.name) for each in read for one in each})
    return [
        gap.model_copy(update={"note": each.what})
        if isinstance(each, WheelyardError)
        else gap.model_copy(update={"first": tuple(_lacking(each, shelf, pythons))})
        for gap, each in zip(gaps, found, strict=True)
    ]


def _lacking(requires: Sequence[Requirement], shelf: Shelf, pythons: Sequence[Interpreter]) -> list[Lacking]:
    found = []
    for one in requires:
        name = canonicalize_name(one.name)
        kinds: dict[str, list[str]] = {}
        trouble = shelf.trouble(name)
        for python in pythons:
            if not applies(one, python):
                continue
            had = judge(one, shelf.facts(name), shelf.registry.wheels(name, python), python)
            if not had.installs:
                kinds.setdefault("unknown" if isinstance(trouble, NetworkError) else had.kind, []).append(str(python))
        found += [
            Lacking.model_validate({"requirement": str(one), "kind": kind, "interpreters": tags})
            for kind, tags in kinds.items()
        ]
    return found


def _requires(gap: Gap, config: SiteConfig) -> tuple[Requirement, ...]:
    """Return what the sdist's ``[build-system]`` requires; what a build backend asks for beyond that, nobody knows.

    Raises:
        SourceError: there is no sdist, or none that can be read.
        NetworkError: it cannot be had.
        DiskError: no space for it.
    """
    found = find_sdist(gap.name, Version(gap.version), index=index_url(), newest=_NEWEST)
    known = cache.cache_dir("radar") / f"{found.sha256}.json"
    texts = _cached(known)
    if texts is None:
        texts = _read(found, known, config)
    requirements = []
    for text in texts:
        try:
            requirements.append(read_requirement(text))
        except InvalidRequirement:
            log.warn(f"{gap.name}: {log.clean(text)[:100]!r} is not a build requirement; passed over")
    return tuple(requirements)


def _read(found: Sdist, known: Path, config: SiteConfig) -> list[str]:
    """Read an sdist for what it requires, and keep that in *known*."""
    sdist = known.with_name(f"{found.sha256[:16]}-{found.file}"[:_LONGEST_NAME])
    downloads.download(found.url, sdist, sha256=found.sha256, size=found.size, limit=config.max_sdist_mib << 20)
    try:
        limits = archive.Limits(config.max_unpacked_mib << 20, config.max_members)
        texts = _build_requires(
            archive.read_member(sdist, ("pyproject.toml",), limits=limits, largest=_LARGEST_PYPROJECT)
        )
        files.write_text(known, json.dumps({"layout": _LAYOUT, "requires": texts}))
    except FileNotFoundError as error:
        told = _cached(known)  # by another run that wanted it as well, and was faster
        if told is None:
            raise SourceError(f"{found.file} was taken away", fix="run the same command again") from error
        return told
    finally:
        files.remove(sdist)  # hundreds of MB, some of them; the answer is what is kept
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
        kept = json.loads(path.read_bytes())
        if kept["layout"] != _LAYOUT or not all(isinstance(text, str) for text in kept["requires"]):
            return None
        return list(kept["requires"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
