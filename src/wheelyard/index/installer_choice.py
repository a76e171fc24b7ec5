"""What an installer on riscv64 gets for a requirement: a wheel, ours or the public one, or a source to compile.

The rules are those of ``pip install --prefer-binary`` with the public index and ours together: what is not usable is
out first (tags, Requires-Python), then what the specifier does not take (pre-releases as PEP 440 says), then what is
yanked (PEP 592); of the rest the newest wheel, or the newest source where there is no wheel (pip,
``_internal/index/package_finder.py``, ``CandidateEvaluator``, and ``_internal/resolution/resolvelib/factory.py``).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from packaging.utils import canonicalize_name

from wheelyard.core.tags import WheelName, wheel_for
from wheelyard.index.project_releases import TARGET

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet
    from packaging.version import Version

    from wheelyard.core.tags import Interpreter
    from wheelyard.index.project_summary import ProjectFacts, ReleaseFacts

Kind = Literal["wheel", "pure", "ours", "sdist", "none"]
Glibc = tuple[int, int]
# Of one version: what was made for the machine goes before what runs everywhere (PEP 425), and what upstream ships
# itself before our copy; pip may take either of these two.
_BETTER: tuple[Kind, ...] = ("none", "sdist", "pure", "ours", "wheel")


@dataclass(frozen=True)
class Availability:
    """What can be had for a requirement.

    Attributes:
        kind: ``wheel``, a public riscv64 one; ``pure``, a public one that runs everywhere; ``ours``, one of our
            registry; ``sdist``, a source that would be compiled; ``none``.
        version: which version that is, None if there is none.
        glibc: the C library that the wheel needs at least, None if it needs none.
        reason: why there is none, empty otherwise.
    """

    kind: Kind
    version: Version | None = None
    glibc: Glibc | None = None
    reason: str = ""

    @property
    def installs(self) -> bool:
        """Whether nothing has to be compiled."""
        return self.kind in {"wheel", "pure", "ours"}


class _Option(NamedTuple):
    """Something that an installer could take."""

    version: Version
    kind: Kind
    glibc: Glibc | None = None
    yanked: bool = False


def judge(
    requirement: Requirement,
    facts: ProjectFacts,
    ours: Iterable[str],
    interpreter: Interpreter,
    *,
    glibc: Glibc | None = None,
) -> Availability:
    """Return what ``pip install --prefer-binary`` takes for *requirement*.

    Args:
        requirement: its specifier counts; its marker, extras and address do not.
        facts: the public index's facts of the project.
        ours: file names of wheels in our registry that are neither yanked nor for other Pythons by Requires-Python;
            other files are passed over.
        interpreter: for which Python.
        glibc: the C library of the machine; any if None.
    """
    name = canonicalize_name(requirement.name)
    options = [*_public(facts, interpreter, glibc), *_ours(name, ours, interpreter, glibc)]
    versions = set(requirement.specifier.filter({option.version for option in options}))
    matching = [option for option in options if option.version in versions]
    if not (is_pinned(requirement.specifier) and all(option.yanked for option in matching)):
        matching = [option for option in matching if not option.yanked]
    if not matching:
        return Availability("none", reason=_reason(requirement, facts, options, interpreter))
    best = max(matching, key=_rank)
    return Availability(best.kind, best.version, best.glibc)


def _rank(option: _Option) -> tuple[bool, Version, int, bool]:
    return option.kind != "sdist", option.version, _BETTER.index(option.kind), option.glibc is not None


def is_pinned(specifier: SpecifierSet) -> bool:
    """Return whether a specifier names one version: only then a yanked one may be taken."""
    return any(
        clause.operator == "===" or (clause.operator == "==" and not clause.version.endswith(".*"))
        for clause in specifier
    )


def _public(facts: ProjectFacts, interpreter: Interpreter, glibc: Glibc | None) -> Iterator[_Option]:
    for release in facts.releases:
        if not interpreter.allowed_by(release.requires_python):
            continue
        yanked = release.yanked is not None
        floors = {wheel.pair: wheel.glibc for wheel in release.ships}
        if floor := _floor(floors, interpreter, glibc):
            yield _Option(release.version, "wheel", floor, yanked)
        if _taken(interpreter, release.pure):
            yield _Option(release.version, "pure", None, yanked)
        if release.sdist:
            yield _Option(release.version, "sdist", None, yanked)


def _ours(name: str, files: Iterable[str], interpreter: Interpreter, glibc: Glibc | None) -> Iterator[_Option]:
    floors: dict[Version, dict[str, Glibc]] = {}
    for file in files:
        try:
            wheel = WheelName.parse(file)
        except ValueError:
            continue
        if wheel.name != name:
            continue
        if "any" in wheel.platforms and _taken(interpreter, (wheel.pair,)):
            yield _Option(wheel.version, "ours")
        if floor_version := wheel.floor(TARGET):
            floors_by_pair = floors.setdefault(wheel.version, {})
            floors_by_pair[wheel.pair] = min(floor_version, floors_by_pair.get(wheel.pair, floor_version))
    for version, pairs in floors.items():
        if floor := _floor(pairs, interpreter, glibc):
            yield _Option(version, "ours", floor)


def _floor(pairs: Mapping[str, Glibc], interpreter: Interpreter, glibc: Glibc | None) -> Glibc | None:
    """Return what the wheel that *interpreter* takes needs, None if it takes none of them."""
    usable = tuple(pair for pair, floor in pairs.items() if glibc is None or floor <= glibc)
    pair = _taken(interpreter, usable)
    return pairs[pair] if pair else None


@functools.lru_cache(4096)
def _taken(interpreter: Interpreter, pairs: tuple[str, ...]) -> str | None:
    """Most releases of a project have the same tags, and to make an interpreter's list of tags takes time."""
    return wheel_for(interpreter, pairs) if pairs else None


def _reason(requirement: Requirement, facts: ProjectFacts, options: Iterable[_Option], interpreter: Interpreter) -> str:
    """Return why nothing is left."""
    if facts.status == "quarantined":
        return "the index has quarantined it"
    if not facts.releases and not options:
        return "nobody has a file of it that it takes"
    if any(requirement.specifier.contains(option.version, prereleases=True) for option in options):
        return "all that it takes is yanked, or a pre-release"
    matching = [each for each in facts.releases if requirement.specifier.contains(each.version, prereleases=True)]
    if not matching:
        return f"no version of it is {requirement.specifier}"
    if not any(interpreter.allowed_by(release.requires_python) for release in matching):
        return f"its Requires-Python is {_newest(matching).requires_python}"
    return "there is no wheel for it, and no source"


def _newest(releases: Iterable[ReleaseFacts]) -> ReleaseFacts:
    return max(releases, key=lambda release: release.version)
