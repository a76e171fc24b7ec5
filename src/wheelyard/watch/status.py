"""Judge a package's status: a pure function with states that exclude each other.

The first state that applies is the status; other findings are listed beside it. The order:
error or gone, quarantined, renamed; retired and regressed, or still well; pure; upstream ships all; new or blocked;
partial; upstream ships a part; current.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from wheelyard.core.errors import UnknownPackageError, WheelyardError
from wheelyard.core.tags import wheel_for
from wheelyard.watch.status_report import PackageStatus, Ships, State, Waiting

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from wheelyard.core.tags import Interpreter
    from wheelyard.index.project_summary import ProjectFacts, ReleaseFacts

_NO_VERSION = Version("0.dev0")


@dataclass(frozen=True)
class StatusInputs:
    """The facts to judge one package by.

    Attributes:
        package: the recipe's name.
        project: its canonical name on the index.
        upstream: the index's facts, or the error of the look-up.
        pinned: the versions in the lock.
        published: the tag pairs that our registry has, by version; None without a registry.
        planned: the interpreters of the plan, for each planned version.
        retired: the first version that upstream is expected to ship, None if the package is not retired.
        versions: the specifier of the versions that the recipe allows.
        own_tags: whether the recipe lists the expected tags itself, so that a pure release is built too.
        first_seen: the first day on which a release was seen, for indexes that give no dates.
        obstacles: the preflight failure of a new version, by version.
    """

    package: str
    project: str
    upstream: ProjectFacts | WheelyardError
    pinned: tuple[Version, ...] = ()
    published: Mapping[Version, Iterable[str]] | None = None
    planned: Mapping[Version, tuple[Interpreter, ...]] = field(default_factory=dict)
    retired: Version | None = None
    versions: str = ""
    own_tags: bool = False
    first_seen: Mapping[Version, date] = field(default_factory=dict)
    obstacles: Mapping[Version, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Terms:
    """The limits to judge by.

    Attributes:
        today: the day, UTC.
        cool_down: days that a release is left alone.
        limit: how many new versions are reported.
        glibc: the systems' glibc; an upstream wheel that needs a newer one does not count.
    """

    today: date
    cool_down: int = 0
    limit: int = 3
    glibc: tuple[int, int] = (99, 0)


def judge(inputs: StatusInputs, terms: Terms) -> PackageStatus:
    """Return a package's status."""
    pinned = max(inputs.pinned, default=None)
    base = PackageStatus(
        package=inputs.package,
        state="current",
        text="up to date",
        pinned=str(pinned or ""),
        retired=str(inputs.retired or ""),
    )
    facts = inputs.upstream
    if isinstance(facts, UnknownPackageError):
        return _as(base, "gone", f"{facts.what}")
    if isinstance(facts, WheelyardError):
        return _as(base, "error", facts.what, notes=facts.details)
    if facts.status == "quarantined":
        return _as(base, "quarantined", f"the index has quarantined it{_because(facts.reason)}")
    if facts.name != inputs.project:
        return _as(base, "renamed", f"the index answers with {facts.name!r}: is that its name now?")
    all_facts, facts = facts, _installable(facts, terms.glibc)
    ripe, waiting = ripeness(facts, inputs, terms)
    reported = _reported_versions(inputs, facts, ripe)
    notes = (*_notes(inputs, facts), *_too_new(inputs, all_facts, reported, terms.glibc))
    base = base.model_copy(
        update={
            "newest": str(facts.newest.version) if facts.newest else "",
            "waiting": waiting[: terms.limit],
            "missing": _missing(inputs, facts),
            "ships": _ships(facts, inputs, reported),
            "notes": notes,
        }
    )
    if facts.newest is None:
        return _as(base, "gone", "no final release of it is left on the index")
    return _judge_releases(base, inputs, ripe, terms.limit)


def ripeness(
    facts: ProjectFacts, inputs: StatusInputs, terms: Terms
) -> tuple[tuple[ReleaseFacts, ...], tuple[Waiting, ...]]:
    """Return the final releases that have cooled down, the newest first, and the newer ones that have not."""
    ripe, waiting = [], []
    newest_pinned = max(inputs.pinned, default=_NO_VERSION)
    for release in facts.releases:
        if not release.final:
            continue
        until = _since(release, inputs, terms.today) + timedelta(days=terms.cool_down)
        if until <= terms.today or release.version <= newest_pinned:
            ripe.append(release)
        else:
            waiting.append(Waiting(version=str(release.version), until=until))
    return tuple(ripe), tuple(waiting)


def _since(release: ReleaseFacts, inputs: StatusInputs, today: date) -> date:
    """Return a release's day: the index's date if it is not in the future, else the first day it was seen."""
    if release.released and release.released <= today:
        return release.released
    return min(inputs.first_seen.get(release.version, today), today)


def _installable(facts: ProjectFacts, glibc: tuple[int, int]) -> ProjectFacts:
    """Drop the riscv64 wheels that need a newer glibc than the systems have."""
    releases = [
        replace(release, ships=tuple(wheel for wheel in release.ships if wheel.glibc <= glibc))
        for release in facts.releases
    ]
    return replace(facts, releases=tuple(releases))


def _notes(inputs: StatusInputs, facts: ProjectFacts) -> Iterator[str]:
    if facts.status != "active":
        yield f"the index calls it {facts.status}{_because(facts.reason)}"
    pinned = max(inputs.pinned, default=None)
    pinned_release = next((release for release in facts.releases if release.version == pinned), None)
    if pinned and pinned_release is None:
        yield f"{pinned} is pinned, and is not on the index any more"
    elif pinned_release and pinned_release.yanked is not None:
        yield f"{pinned} is pinned, and yanked upstream{_because(pinned_release.yanked)}"
    newest = facts.newest
    if newest is None:
        return
    if newest.version > (pinned or _NO_VERSION) and not _is_allowed(inputs, newest.version):
        yield f"{newest.version} is out: the recipe allows {inputs.versions} only"
    if inputs.own_tags and _is_pure(newest):
        yield f"{newest.version} is pure Python upstream: built all the same, since the recipe has [expect] tags"


def _too_new(
    inputs: StatusInputs, facts: ProjectFacts, reported: Iterable[Version], glibc: tuple[int, int]
) -> Iterator[str]:
    """Report upstream's riscv64 wheels that do not count because of their glibc."""
    for release in facts.releases:
        newer = {wheel.pair: wheel.glibc for wheel in release.ships if wheel.glibc > glibc}
        if not newer or release.version not in reported:
            continue
        counted = [wheel.pair for wheel in release.ships if wheel.pair not in newer]
        planned = inputs.planned.get(release.version, ())
        lacking = {
            str(interpreter): pair
            for interpreter in planned
            if not wheel_for(interpreter, counted) and (pair := wheel_for(interpreter, newer))
        }
        if lacking:
            major, minor = max(newer[pair] for pair in lacking.values())
            yield (
                f"upstream's riscv64 wheels of {release.version} for {', '.join(lacking)} need glibc {major}.{minor}, "
                f"newer than the site configuration's {glibc[0]}.{glibc[1]}: they do not count"
            )


def candidates(facts: ProjectFacts, pinned: Iterable[Version]) -> tuple[ReleaseFacts, ...]:
    """Return the releases to plan: final ones newer than the pinned versions, and the newest pinned one."""
    newest_pinned = max(pinned, default=_NO_VERSION)
    return tuple(
        release for release in facts.releases if release.version == newest_pinned or _is_new(release, newest_pinned)
    )


def _judge_releases(
    base: PackageStatus, inputs: StatusInputs, ripe: tuple[ReleaseFacts, ...], limit: int
) -> PackageStatus:
    newest = ripe[0] if ripe else None
    ships = next((entry for entry in base.ships if newest and entry.version == str(newest.version)), None)
    settled = _settled(base, inputs, newest, wholly=ships is not None and ships.wholly) if newest else None
    if status := settled or _new(base, inputs, ripe, limit):
        return status
    if base.missing:
        return _as(base, "partial", f"{base.pinned} lacks {', '.join(base.missing)} in our registry")
    if ships and ships.interpreters:
        return _as(base, "ships", f"upstream ships {ships.version} for {', '.join(ships.interpreters)}, not for all")
    return base


def _settled(base: PackageStatus, inputs: StatusInputs, newest: ReleaseFacts, *, wholly: bool) -> PackageStatus | None:
    """Return the status if upstream's newest release needs no wheel of ours, or lacks wheels after a retirement."""
    if inputs.retired is not None and newest.version >= inputs.retired:
        if wholly or _is_pure(newest):
            return _as(base, "current", f"retired: {newest.version} installs from the public index")
        lacking = _lacking(inputs, newest)
        text = f"upstream shipped riscv64 wheels from {inputs.retired} on; {newest.version} lacks {lacking}"
        return _as(base, "regressed", text, new=(str(newest.version),))
    if _is_pure(newest) and not inputs.own_tags:
        return _as(base, "pure", f"{newest.version} is pure Python and needs no wheel of ours")
    if wholly:
        return _as(base, "ships", f"upstream ships riscv64 wheels of {newest.version} for every interpreter")
    return None


def _new(base: PackageStatus, inputs: StatusInputs, ripe: tuple[ReleaseFacts, ...], limit: int) -> PackageStatus | None:
    """Return the status if there is a new version, allowed or blocked."""
    pinned = max(inputs.pinned, default=_NO_VERSION)
    new = [release.version for release in ripe if _is_new(release, pinned)]
    allowed = [version for version in new if _is_allowed(inputs, version)]
    if not new:
        return None
    if not allowed:
        return _as(base, "blocked", f"{new[0]} is out: the recipe allows {inputs.versions} only")
    versions = tuple(map(str, allowed[:limit]))
    if obstacle := inputs.obstacles.get(allowed[0]):
        return _as(base, "blocked", f"{allowed[0]} is out: {obstacle}", new=versions)
    return _as(
        base, "new", f"{versions[0]} is out" + (f", {base.pinned} is pinned" if base.pinned else ""), new=versions
    )


def _as(base: PackageStatus, state: State, text: str, **rest: object) -> PackageStatus:
    return base.model_copy(update={"state": state, "text": text, **rest})


def _because(reason: str) -> str:
    return f": {reason}" if reason else ""


def _is_new(release: ReleaseFacts, pinned: Version) -> bool:
    return release.final and release.version > pinned


def _is_pure(release: ReleaseFacts) -> bool:
    """Check whether all its wheels are pure Python."""
    return release.reference == "any" and bool(release.pure)


def _is_allowed(inputs: StatusInputs, version: Version) -> bool:
    return SpecifierSet(inputs.versions).contains(version)


def _reported_versions(inputs: StatusInputs, facts: ProjectFacts, ripe: tuple[ReleaseFacts, ...]) -> frozenset[Version]:
    """Return the versions whose wheels are reported: the newest, the newest that has cooled down, the newest pinned."""
    newest = [facts.newest] if facts.newest else []
    return frozenset([*(release.version for release in (*newest, *ripe[:1])), *sorted(inputs.pinned)[-1:]])


def _ships(facts: ProjectFacts, inputs: StatusInputs, reported: frozenset[Version]) -> tuple[Ships, ...]:
    """Return upstream's riscv64 wheels of the reported versions."""
    shipped_releases = []
    for release in facts.releases:
        planned = inputs.planned.get(release.version, ())
        pairs = [shipped.pair for shipped in release.ships]
        interpreters = tuple(str(interpreter) for interpreter in planned if wheel_for(interpreter, pairs))
        if interpreters and release.version in reported:
            shipped_releases.append(
                Ships(version=str(release.version), interpreters=interpreters, wholly=len(interpreters) == len(planned))
            )
    return tuple(shipped_releases)


def _lacking(inputs: StatusInputs, release: ReleaseFacts) -> str:
    pairs = [shipped.pair for shipped in release.ships]
    lacking = [
        str(interpreter) for interpreter in inputs.planned.get(release.version, ()) if not wheel_for(interpreter, pairs)
    ]
    return f"them for {', '.join(lacking)}" if lacking else "them"


def _missing(inputs: StatusInputs, facts: ProjectFacts) -> tuple[str, ...]:
    """Return the interpreters without a riscv64 wheel of the pinned version, here or upstream."""
    pinned = max(inputs.pinned, default=None)
    if pinned is None or inputs.published is None:
        return ()
    pairs = [shipped.pair for release in facts.releases if release.version == pinned for shipped in release.ships]
    pairs += inputs.published.get(pinned, ())
    return tuple(
        str(interpreter) for interpreter in inputs.planned.get(pinned, ()) if not wheel_for(interpreter, pairs)
    )
