"""Facts of a project on the public index, condensed for ``check-upstream``, ``radar`` and ``available``.

The page of a large project is five megabytes; its facts are a few kilobytes. They are cached with the page's
validators (RFC 9110, 8.8), so that an unchanged page is not downloaded again.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from packaging.specifiers import InvalidSpecifier
from packaging.version import Version

from wheelyard.core.digests import sha256_bytes
from wheelyard.core.errors import UnknownPackageError
from wheelyard.core.names import canonical
from wheelyard.core.pep440 import read_specifier
from wheelyard.index.client import Page, fetch
from wheelyard.index.project_releases import TARGET, pairs_for, reference_pairs, releases
from wheelyard.io import cache, files, log

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from pypi_simple import ProjectPage

    from wheelyard.core.tags import WheelName
    from wheelyard.index.project_releases import Release

_LAYOUT = 2
_STATUSES = ("active", "archived", "quarantined", "deprecated")


@dataclass(frozen=True)
class Shipped:
    """A riscv64 wheel upstream.

    Attributes:
        pair: its ``python-abi`` tags.
        glibc: the C library that it needs at least.
        since: the day of its upload (PEP 700), None if the index does not give one.
    """

    pair: str
    glibc: tuple[int, int]
    since: date | None = None


@dataclass(frozen=True)
class ReleaseFacts:
    """One version.

    Attributes:
        version: the version.
        released: the day of its first upload (PEP 700), None if the index does not give one.
        requires_python: a valid specifier, empty if there is none.
        yanked: the reason for its yank (PEP 592), which may be empty; None if it is not yanked.
        sdist: whether it has an sdist.
        pure: the tag pairs of its wheels that run everywhere.
        reference: the platform that *wheels* are for; see :func:`reference_pairs`.
        wheels: the tag pairs of its wheels for that platform.
        ships: its riscv64 wheels.
    """

    version: Version
    released: date | None = None
    requires_python: str = ""
    yanked: str | None = None
    sdist: bool = True
    pure: tuple[str, ...] = ()
    reference: str = ""
    wheels: tuple[str, ...] = ()
    ships: tuple[Shipped, ...] = ()

    @property
    def final(self) -> bool:
        """Whether it is neither yanked nor a pre-release."""
        return self.yanked is None and not self.version.is_prerelease


@dataclass(frozen=True)
class ProjectFacts:
    """A project on the index.

    Attributes:
        name: its canonical name on its page; it differs from the requested name where the project was renamed.
        status: ``active``, ``archived``, ``quarantined`` or ``deprecated`` (PEP 792).
        reason: the index's reason for the status, if it gives one.
        releases: its versions, the newest first; yanked ones and pre-releases as well.
    """

    name: str
    status: str = "active"
    reason: str = ""
    releases: tuple[ReleaseFacts, ...] = ()

    @property
    def newest(self) -> ReleaseFacts | None:
        """The newest final release, None if there is none."""
        return next((release for release in self.releases if release.final), None)


class Upstream:
    """The public index. Threads may share one.

    Args:
        index: the root of its simple API.
        folder: where facts are cached; the user's cache if None.
        newest: how many final versions of a project are read, all if None. Fewer is much faster.
    """

    def __init__(self, index: str, folder: Path | None = None, *, newest: int | None = None) -> None:
        self.index = index
        self._newest = newest
        self._turn = threading.Lock()  # threads that compute at the same time only hinder each other
        base = folder or cache.cache_dir("upstream", sha256_bytes(index.encode())[:16])
        self._folder = base / (f"newest-{newest}" if newest else "all")

    def facts(self, project: str, suggestions: Iterable[str] = (), *, back_to: Version | None = None) -> ProjectFacts:
        """Return the current facts of *project*.

        Args:
            project: its name.
            suggestions: names to suggest if the index has no such project.
            back_to: the oldest version to read; all newer ones are read as well.

        Raises:
            UnknownPackageError: the index has no such project.
            NetworkError: it cannot be reached, or does not answer as an index.
        """
        name = canonical(project)
        file = self._folder / sha256_bytes(name.encode())[:2] / f"{name}.json"  # no folder of 15,000 files
        validators, facts = _cached(file, back_to)
        page = fetch(name, self.index, suggestions, validators)
        if facts is not None and not page.changed:
            return facts
        with self._turn:
            facts = condense(name, page.parse(name, self._newest, back_to))
            if self._newest and facts.newest is None:  # all of the newest are yanked
                facts = condense(name, page.parse(name))
        if page.validators:
            _keep(file, page, facts, back_to)
        return facts


def condense(project: str, page: ProjectPage) -> ProjectFacts:
    """Return the facts of *page*; skip files of other projects and files whose names do not parse."""
    dates: dict[str, date] = {}
    for package in page.packages:
        if package.upload_time:
            day = package.upload_time.date()
            dates[package.filename] = min(day, dates.get(package.filename, day))
    by_version = releases(project, page)
    status = str(page.status or "active")
    return ProjectFacts(
        name=_name(project, page.project),
        status=status if status in _STATUSES else "active",
        reason=log.clean(page.status_reason or "")[:200],
        releases=tuple(_facts(by_version[version], dates) for version in sorted(by_version, reverse=True)),
    )


def _name(requested: str, page_name: str) -> str:
    try:
        return canonical(page_name)
    except UnknownPackageError:
        return requested


def _facts(release: Release, dates: Mapping[str, date]) -> ReleaseFacts:
    wheels, reference = reference_pairs(release.wheels)
    names = [wheel.file for wheel in release.wheels] + ([release.sdist.filename] if release.sdist else [])
    return ReleaseFacts(
        version=release.version,
        released=min((dates[name] for name in names if name in dates), default=None),
        requires_python=_specifier(release.requires_python),
        yanked=release.yanked,
        sdist=release.sdist is not None,
        pure=pairs_for(release.wheels, "any"),
        reference=reference,
        wheels=wheels,
        ships=_shipped(release.wheels, dates),
    )


def _shipped(wheels: Iterable[WheelName], dates: Mapping[str, date]) -> tuple[Shipped, ...]:
    """Return the riscv64 wheels: for each tag pair the one with the lowest glibc."""
    by_pair: dict[str, Shipped] = {}
    for wheel in wheels:
        if (floor := wheel.floor(TARGET)) is None:
            continue
        for pair in pairs_for([wheel], TARGET):
            shipped = Shipped(pair, floor, dates.get(wheel.file))
            by_pair[pair] = min(shipped, by_pair.get(pair, shipped), key=lambda candidate: candidate.glibc)
    return tuple(by_pair[pair] for pair in sorted(by_pair))


def _specifier(text: str | None) -> str:
    try:
        return str(read_specifier(text or ""))
    except InvalidSpecifier:
        return ""


# --------------------------------------------------------------------- cache


def _keep(file: Path, page: Page, facts: ProjectFacts, back_to: Version | None) -> None:
    depth = str(back_to) if back_to else None
    entry = {"layout": _LAYOUT, "validators": dict(page.validators), "back_to": depth, "facts": _to_json(facts)}
    files.write_text(file, json.dumps(entry, separators=(",", ":")))


def _cached(file: Path, back_to: Version | None) -> tuple[dict[str, str], ProjectFacts | None]:
    """Return validators and facts from the cache; none if they are unusable or do not reach back to *back_to*."""
    try:
        entry = json.loads(file.read_bytes())
        if entry["layout"] != _LAYOUT:
            return {}, None
        facts = _from_json(entry["facts"])  # first: validators without facts would be of no use
        reached = {release.version for release in facts.releases[-1:]}
        reached |= {Version(entry["back_to"])} if entry["back_to"] else set()
        if back_to and not any(version <= back_to for version in reached):
            return {}, None
        return {str(name): str(value) for name, value in entry["validators"].items()}, facts
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}, None


def _to_json(facts: ProjectFacts) -> list[Any]:
    return [facts.name, facts.status, facts.reason, [_release_to_json(release) for release in facts.releases]]


def _release_to_json(release: ReleaseFacts) -> list[Any]:
    return [
        str(release.version),
        _day(release.released),
        release.requires_python,
        release.yanked,
        release.sdist,
        release.pure,
        release.reference,
        release.wheels,
        [[wheel.pair, *wheel.glibc, _day(wheel.since)] for wheel in release.ships],
    ]


def _from_json(row: list[Any]) -> ProjectFacts:
    name, status, reason, release_rows = row
    return ProjectFacts(name, status, reason, tuple(map(_release_from_json, release_rows)))


def _release_from_json(row: list[Any]) -> ReleaseFacts:
    version, released, requires_python, yanked, sdist, pure, reference, wheels, ships = row
    return ReleaseFacts(
        version=Version(version),
        released=_parsed(released),
        requires_python=requires_python,
        yanked=yanked,
        sdist=sdist,
        pure=tuple(pure),
        reference=reference,
        wheels=tuple(wheels),
        ships=tuple(Shipped(pair, (major, minor), _parsed(day)) for pair, major, minor, day in ships),
    )


def _day(day: date | None) -> str | None:
    return day.isoformat() if day else None


def _parsed(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None
