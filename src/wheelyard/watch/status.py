"""How a package stands, judged from what is known: a pure function whose states exclude each other.

The first that holds is the state; all else that was found stands beside it, so nothing is hidden by what counts more:
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
from wheelyard.watch.status_report import Ships, Standing, State, Waiting

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from wheelyard.core.tags import Interpreter
    from wheelyard.index.project_summary import ProjectFacts, ReleaseFacts

_NO_VERSION = Version("0.dev0")


@dataclass(frozen=True)
class Known:
    """What is known of one package.

    Attributes:
        package: the recipe's name.
        project: its canonical name on the index.
        upstream: what the index says, or why it does not.
        pinned: the versions in the lock.
        published: the tag pairs that our registry has, by version; None if it was not asked.
        planned: the interpreters that the plan has, by version, for those that it was made for.
        retired: the version from which on upstream is expected to ship, None if the package is not retired.
        taken: the specifier that versions must obey.
        own_tags: whether the recipe says itself which wheels are built, a pure release or not.
        seen: when a release was first seen, for indexes that do not tell.
        obstacles: why a new version cannot be taken, by version; from an earlier preflight.
    """

    package: str
    project: str
    upstream: ProjectFacts | WheelyardError
    pinned: tuple[Version, ...] = ()
    published: Mapping[Version, Iterable[str]] | None = None
    planned: Mapping[Version, tuple[Interpreter, ...]] = field(default_factory=dict)
    retired: Version | None = None
    taken: str = ""
    own_tags: bool = False
    seen: Mapping[Version, date] = field(default_factory=dict)
    obstacles: Mapping[Version, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Terms:
    """What it is judged by.

    Attributes:
        today: the day, UTC.
        cool_down: days that a release is left alone.
        limit: how many new versions are told.
        glibc: what systems have; a wheel of upstream's that needs a newer one is none for us.
    """

    today: date
    cool_down: int = 0
    limit: int = 3
    glibc: tuple[int, int] = (99, 0)


def judge(known: Known, terms: Terms) -> Standing:
    """Return how a package stands."""
    have = max(known.pinned, default=None)
    base = Standing(
        package=known.package,
        state="current",
        text="up to date",
        have=str(have or ""),
        retired=str(known.retired or ""),
    )
    upstream = known.upstream
    if isinstance(upstream, UnknownPackageError):
        return _as(base, "gone", f"{upstream.what}")
    if isinstance(upstream, WheelyardError):
        return _as(base, "error", upstream.what, notes=upstream.details)
    if upstream.status == "quarantined":
        return _as(base, "quarantined", f"the index has quarantined it{_because(upstream.reason)}")
    if upstream.name != known.project:
        return _as(base, "renamed", f"the index answers with {upstream.name!r}: is that its name now?")
    whole, upstream = upstream, _installable(upstream, terms.glibc)
    ripe, waiting = ripeness(upstream, known, terms)
    told = _told(known, upstream, ripe)
    notes = (*_notes(known, upstream), *_too_new(known, whole, told, terms.glibc))
    base = base.model_copy(
        update={
            "newest": str(upstream.newest.version) if upstream.newest else "",
            "waiting": waiting[: terms.limit],
            "missing": _missing(known, upstream),
            "ships": _ships(upstream, known, told),
            "notes": notes,
        }
    )
    if upstream.newest is None:
        return _as(base, "gone", "no final release of it is left on the index")
    return _judge_releases(base, known, ripe, terms.limit)


def ripeness(facts: ProjectFacts, known: Known, terms: Terms) -> tuple[tuple[ReleaseFacts, ...], tuple[Waiting, ...]]:
    """Return the final releases that have cooled down, the newest first, and the new ones that have not."""
    ripe, waiting = [], []
    have = max(known.pinned, default=_NO_VERSION)
    for release in facts.releases:
        if not release.final:
            continue
        until = _since(release, known, terms.today) + timedelta(days=terms.cool_down)
        if until <= terms.today or release.version <= have:
            ripe.append(release)
        else:
            waiting.append(Waiting(version=str(release.version), until=until))
    return tuple(ripe), tuple(waiting)


def _since(release: ReleaseFacts, known: Known, today: date) -> date:
    """Return when a release came: the index's word if it can be true, else when we saw it first."""
    if release.released and release.released <= today:
        return release.released
    return min(known.seen.get(release.version, today), today)


def _installable(facts: ProjectFacts, glibc: tuple[int, int]) -> ProjectFacts:
    """Leave out the riscv64 wheels that need a newer C library than systems have."""
    releases = [
        replace(release, ships=tuple(each for each in release.ships if each.glibc <= glibc))
        for release in facts.releases
    ]
    return replace(facts, releases=tuple(releases))


def _notes(known: Known, facts: ProjectFacts) -> Iterator[str]:
    if facts.status != "active":
        yield f"the index calls it {facts.status}{_because(facts.reason)}"
    have = max(known.pinned, default=None)
    pinned = next((release for release in facts.releases if release.version == have), None)
    if have and pinned is None:
        yield f"{have} is pinned, and is not on the index any more"
    elif pinned and pinned.yanked is not None:
        yield f"{have} is pinned, and yanked upstream{_because(pinned.yanked)}"
    newest = facts.newest
    if newest is None:
        return
    if newest.version > (have or _NO_VERSION) and not _taken(known, newest.version):
        yield f"{newest.version} is out: the recipe takes {known.taken} only"
    if known.own_tags and _is_pure(newest):
        yield f"{newest.version} is pure Python upstream: built all the same, since the recipe has [expect] tags"


def _too_new(known: Known, facts: ProjectFacts, told: Iterable[Version], glibc: tuple[int, int]) -> Iterator[str]:
    """Tell of upstream's riscv64 wheels that do not count: without them it would look as if there were none."""
    for release in facts.releases:
        newer = {each.pair: each.glibc for each in release.ships if each.glibc > glibc}
        if not newer or release.version not in told:
            continue
        counted = [each.pair for each in release.ships if each.pair not in newer]
        planned = known.planned.get(release.version, ())
        lacking = {str(one): pair for one in planned if not wheel_for(one, counted) and (pair := wheel_for(one, newer))}
        if lacking:
            major, minor = max(newer[pair] for pair in lacking.values())
            yield (
                f"upstream's riscv64 wheels of {release.version} for {', '.join(lacking)} need glibc {major}.{minor}, "
                f"newer than the site configuration's {glibc[0]}.{glibc[1]}: they do not count"
            )


def candidates(facts: ProjectFacts, pinned: Iterable[Version]) -> tuple[ReleaseFacts, ...]:
    """Return the releases that a plan is wanted for: final and newer than all that is pinned, and the newest pinned."""
    have = max(pinned, default=_NO_VERSION)
    return tuple(release for release in facts.releases if release.version == have or _is_new(release, have))


def _judge_releases(base: Standing, known: Known, ripe: tuple[ReleaseFacts, ...], limit: int) -> Standing:
    newest = ripe[0] if ripe else None
    ships = next((each for each in base.ships if newest and each.version == str(newest.version)), None)
    settled = _settled(base, known, newest, wholly=ships is not None and ships.wholly) if newest else None
    if found := settled or _new(base, known, ripe, limit):
        return found
    if base.missing:
        return _as(base, "partial", f"{base.have} lacks {', '.join(base.missing)} in our registry")
    if ships and ships.interpreters:
        return _as(base, "ships", f"upstream ships {ships.version} for {', '.join(ships.interpreters)}, not for all")
    return base


def _settled(base: Standing, known: Known, newest: ReleaseFacts, *, wholly: bool) -> Standing | None:
    """Return how it stands if upstream's newest release needs no wheel of ours, or should not and does."""
    if known.retired is not None and newest.version >= known.retired:
        if wholly or _is_pure(newest):
            return _as(base, "current", f"retired: {newest.version} installs from the public index")
        text = (
            f"upstream shipped riscv64 wheels from {known.retired} on; {newest.version} lacks {_lacking(known, newest)}"
        )
        return _as(base, "regressed", text, new=(str(newest.version),))
    if _is_pure(newest) and not known.own_tags:
        return _as(base, "pure", f"{newest.version} is pure Python and needs no wheel of ours")
    if wholly:
        return _as(base, "ships", f"upstream ships riscv64 wheels of {newest.version} for every interpreter")
    return None


def _new(base: Standing, known: Known, ripe: tuple[ReleaseFacts, ...], limit: int) -> Standing | None:
    """Return how it stands if there is a version to take, or one that cannot be taken."""
    have = max(known.pinned, default=_NO_VERSION)
    new = [release.version for release in ripe if _is_new(release, have)]
    allowed = [version for version in new if _taken(known, version)]
    if not new:
        return None
    if not allowed:
        return _as(base, "blocked", f"{new[0]} is out: the recipe takes {known.taken} only")
    told = tuple(map(str, allowed[:limit]))
    if obstacle := known.obstacles.get(allowed[0]):
        return _as(base, "blocked", f"{allowed[0]} is out: {obstacle}", new=told)
    return _as(base, "new", f"{told[0]} is out" + (f", {base.have} is pinned" if base.have else ""), new=told)


def _as(base: Standing, state: State, text: str, **rest: object) -> Standing:
    return base.model_copy(update={"state": state, "text": text, **rest})


def _because(reason: str) -> str:
    return f": {reason}" if reason else ""


def _is_new(release: ReleaseFacts, have: Version) -> bool:
    return release.final and release.version > have


def _is_pure(release: ReleaseFacts) -> bool:
    """Tell whether its only wheels run everywhere."""
    return release.reference == "any" and bool(release.pure)


def _taken(known: Known, version: Version) -> bool:
    return SpecifierSet(known.taken).contains(version)


def _told(known: Known, facts: ProjectFacts, ripe: tuple[ReleaseFacts, ...]) -> frozenset[Version]:
    """Return the versions whose wheels are told: the newest, the newest that has cooled down, and what is pinned."""
    newest = [facts.newest] if facts.newest else []
    return frozenset([*(each.version for each in (*newest, *ripe[:1])), *sorted(known.pinned)[-1:]])


def _ships(facts: ProjectFacts, known: Known, told: frozenset[Version]) -> tuple[Ships, ...]:
    """Return what upstream ships of these versions."""
    found = []
    for release in facts.releases:
        planned = known.planned.get(release.version, ())
        pairs = [shipped.pair for shipped in release.ships]
        taken = tuple(str(one) for one in planned if wheel_for(one, pairs))
        if taken and release.version in told:
            found.append(Ships(version=str(release.version), interpreters=taken, wholly=len(taken) == len(planned)))
    return tuple(found)


def _lacking(known: Known, release: ReleaseFacts) -> str:
    pairs = [shipped.pair for shipped in release.ships]
    lacking = [str(one) for one in known.planned.get(release.version, ()) if not wheel_for(one, pairs)]
    return f"them for {', '.join(lacking)}" if lacking else "them"


def _missing(known: Known, facts: ProjectFacts) -> tuple[str, ...]:
    """Return the interpreters for which neither our registry nor upstream has a riscv64 wheel of what is pinned."""
    have = max(known.pinned, default=None)
    if have is None or known.published is None:
        return ()
    pairs = [shipped.pair for release in facts.releases if release.version == have for shipped in release.ships]
    pairs += known.published.get(have, ())
    return tuple(str(one) for one in known.planned.get(have, ()) if not wheel_for(one, pairs))
