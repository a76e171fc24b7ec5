"""What the public index says of a project, condensed to what is decided by: the watch, the radar, doctor.

A page of the largest projects is five megabytes; what is kept of it is a few kilobytes. They are cached with the
page's validators, so that a server which gives such (RFC 9110, 8.8) is asked whether anything changed, and no more.
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
        since: when it came (PEP 700), None if the index does not say.
    """

    pair: str
    glibc: tuple[int, int]
    since: date | None = None


@dataclass(frozen=True)
class ReleaseFacts:
    """One version.

    Attributes:
        version: the version.
        released: when its first file came (PEP 700), None if the index does not say.
        requires_python: a valid specifier, empty if there is none.
        yanked: why all of it was taken back, which may be empty; None if it was not (PEP 592).
        sdist: whether there is one.
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
        name: its canonical name, as its page has it: another than the one asked for where it was renamed.
        status: ``active``, ``archived``, ``quarantined`` or ``deprecated`` (PEP 792).
        reason: why, if the index says.
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
        newest: how many final versions of a project are wanted, all if None. Fewer is a good deal faster.
    """

    def __init__(self, index: str, folder: Path | None = None, *, newest: int | None = None) -> None:
        self.index = index
        self._newest = newest
        self._turn = threading.Lock()  # threads that compute at the same time only hinder each other
        base = folder or cache.cache_dir("upstream", sha256_bytes(index.encode())[:16])
        self._folder = base / (f"newest-{newest}" if newest else "all")

    def facts(self, project: str, known: Iterable[str] = (), *, back_to: Version | None = None) -> ProjectFacts:
        """Return what the index says of *project* now.

        Args:
            project: its name.
            known: names to suggest if there is none.
            back_to: a version that is wanted as well, with all that are newer.

        Raises:
            UnknownPackageError: the index has no such project.
            NetworkError: it cannot be reached, or does not answer as an index.
        """
        name = canonical(project)
        file = self._folder / sha256_bytes(name.encode())[:2] / f"{name}.json"  # no folder of 15,000 files
        validators, facts = _cached(file, back_to)
        page = fetch(name, self.index, known, validators)
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
    """Return the facts of *page*; files of other projects, and those whose names do not parse, are passed over."""
    dates: dict[str, date] = {}
    for package in page.packages:
        if package.upload_time:
            day = package.upload_time.date()
            dates[package.filename] = min(day, dates.get(package.filename, day))
    found = releases(project, page)
    status = str(page.status or "active")
    return ProjectFacts(
        name=_name(project, page.project),
        status=status if status in _STATUSES else "active",
        reason=log.clean(page.status_reason or "")[:200],
        releases=tuple(_facts(found[version], dates) for version in sorted(found, reverse=True)),
    )


def _name(asked: str, told: str) -> str:
    try:
        return canonical(told)
    except UnknownPackageError:
        return asked


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
    """Return the riscv64 wheels, of several for the same interpreter the one that more systems can install."""
    found: dict[str, Shipped] = {}
    for wheel in wheels:
        if (floor := wheel.floor(TARGET)) is None:
            continue
        for pair in pairs_for([wheel], TARGET):
            shipped = Shipped(pair, floor, dates.get(wheel.file))
            found[pair] = min(shipped, found.get(pair, shipped), key=lambda each: each.glibc)
    return tuple(found[pair] for pair in sorted(found))


def _specifier(text: str | None) -> str:
    try:
        return str(read_specifier(text or ""))
    except InvalidSpecifier:
        return ""


# --------------------------------------------------------------------- cache


def _keep(file: Path, page: Page, facts: ProjectFacts, back_to: Version | None) -> None:
    depth = str(back_to) if back_to else None
    kept = {"layout": _LAYOUT, "validators": dict(page.validators), "back_to": depth, "facts": _to_json(facts)}
    files.write_text(file, json.dumps(kept, separators=(",", ":")))


def _cached(file: Path, back_to: Version | None) -> tuple[dict[str, str], ProjectFacts | None]:
    """Return validators and facts of an earlier answer; none where none can be used, or reaches as far as wanted."""
    try:
        kept = json.loads(file.read_bytes())
        if kept["layout"] != _LAYOUT:
            return {}, None
        facts = _from_json(kept["facts"])  # first: validators without facts would be of no use
        reached = {release.version for release in facts.releases[-1:]}
        reached |= {Version(kept["back_to"])} if kept["back_to"] else set()
        if back_to and not any(version <= back_to for version in reached):
            return {}, None
        return {str(name): str(value) for name, value in kept["validators"].items()}, facts
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
        [[each.pair, *each.glibc, _day(each.since)] for each in release.ships],
    ]


def _from_json(told: list[Any]) -> ProjectFacts:
    name, status, reason, found = told
    return ProjectFacts(name, status, reason, tuple(map(_release_from_json, found)))


def _release_from_json(told: list[Any]) -> ReleaseFacts:
    version, released, requires_python, yanked, sdist, pure, reference, wheels, ships = told
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
