"""What a build and its tests need installed, for which interpreters, and what is to be said of it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from packaging.markers import UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement
from packaging.utils import canonicalize_name

from wheelyard.core.pep508 import read_requirement
from wheelyard.io import log
from wheelyard.preflight.preflight_report import PreflightFinding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from packaging.requirements import Requirement

    from wheelyard.core.tags import Interpreter

Purpose = Literal["build", "run", "test"]
_LONGEST_TOLD = 200  # characters
_VERBS: dict[Purpose, str] = {"build": "to be built", "run": "to run", "test": "for its tests"}


@dataclass(frozen=True)
class Need:
    """A requirement.

    Attributes:
        requirement: it.
        purpose: what for.
        interpreters: those for which its marker holds.
        recipe: whether the recipe says so, and not upstream.
    """

    requirement: Requirement
    purpose: Purpose
    interpreters: tuple[Interpreter, ...]
    recipe: bool = False

    @property
    def name(self) -> str:
        """The canonical name of what is needed."""
        return canonicalize_name(self.requirement.name)


@dataclass(frozen=True)
class Offer:
    """What an installer gets for a requirement; see :mod:`wheelyard.index.installer_choice`.

    Attributes:
        kind: ``wheel``, ``pure``, ``ours``, ``sdist`` or ``none``.
        version: which version, empty if there is none.
        reason: why there is none.
    """

    kind: str
    version: str = ""
    reason: str = ""


def needs_of(
    texts: Iterable[str],
    purpose: Purpose,
    interpreters: Sequence[Interpreter],
    *,
    recipe: bool = False,
    extras: Sequence[str] = (),
) -> tuple[tuple[Need, ...], tuple[str, ...]]:
    """Return the requirements in *texts* that hold for an interpreter on riscv64, and what is none at all.

    Args:
        texts: requirements (PEP 508).
        purpose: what for.
        interpreters: the interpreters in question.
        recipe: whether the recipe says so, and not upstream.
        extras: extras that are asked for.
    """
    needs: list[Need] = []
    broken: list[str] = []
    for text in dict.fromkeys(texts):
        try:
            requirement = read_requirement(text)
        except InvalidRequirement:
            broken.append(log.clean(text)[:_LONGEST_TOLD])
            continue
        try:
            kept = tuple(each for each in interpreters if _holds(requirement, each, extras))
        except (ValueError, UndefinedEnvironmentName):  # a marker that compares what cannot be compared
            broken.append(log.clean(text)[:_LONGEST_TOLD])
            continue
        if kept:
            needs.append(Need(requirement, purpose, kept, recipe=recipe))
    return tuple(needs), tuple(broken)


def _holds(requirement: Requirement, interpreter: Interpreter, extras: Sequence[str]) -> bool:
    if requirement.marker is None:
        return True
    return any(requirement.marker.evaluate({**interpreter.markers(), "extra": extra}) for extra in ("", *extras))


def requirement_findings(
    needs: Sequence[Need],
    offers: Mapping[tuple[str, Interpreter], Offer],
    *,
    needed: Iterable[str],
    recipes: Iterable[str],
    where: Callable[[Need], str],
    minutes: Callable[[str], float | None],
) -> list[PreflightFinding]:
    """Return what is to be said: what cannot be had, what would be compiled, and how many are well.

    Args:
        needs: all requirements.
        offers: what there is, by requirement and interpreter; what is missing could not be looked at.
        needed: canonical names in the recipe's ``needs``: what of them would be compiled is told elsewhere.
        recipes: the packages that have a recipe here.
        where: the line of the recipe that a requirement is mended in.
        minutes: how long compiling a package took here, None if nobody knows.
    """
    found: list[PreflightFinding] = []
    told, ported = set(needed), set(recipes)
    counts: dict[str, int] = defaultdict(int)
    for need in needs:
        groups: dict[Offer, list[Interpreter]] = defaultdict(list)
        for interpreter in need.interpreters:
            if offer := offers.get((str(need.requirement), interpreter)):
                groups[offer].append(interpreter)
        if need.name in told:
            groups = {offer: each for offer, each in groups.items() if offer.kind != "sdist"}
        bad = {offer: each for offer, each in groups.items() if offer.kind in {"none", "sdist"}}
        if groups and not bad:
            counts[need.purpose] += 1
        found += [_finding(need, offer, each, ported, where, minutes) for offer, each in bad.items()]
    if counts:
        texts = [f"{number} {_VERBS[purpose]}" for purpose in _VERBS if (number := counts[purpose])]
        found.insert(0, PreflightFinding(step="requirements", state="ok", text=f"with a wheel: {', '.join(texts)}"))
    return found


def _finding(  # noqa: PLR0917 - one line, made of all of this
    need: Need,
    offer: Offer,
    interpreters: Sequence[Interpreter],
    ported: set[str],
    where: Callable[[Need], str],
    minutes: Callable[[str], float | None],
) -> PreflightFinding:
    who = f"{_short(need.requirement)} ({_VERBS[need.purpose]}, {', '.join(map(str, interpreters))})"
    if offer.kind == "sdist":
        took = minutes(need.name)
        time = f"{took:.0f} minutes, the last time here" if took is not None else "nobody knows how long that takes"
        return PreflightFinding(
            step="requirements",
            state="ok",
            text=f"{who}: there is no riscv64 wheel; {offer.version} will be compiled ({time})",
            where=where(need),
            fix=_first(need, ported),
        )
    return PreflightFinding(
        step="requirements",
        state="failed",
        text=f"{who}: {offer.reason or 'there is neither a wheel nor a source'}",
        where=where(need),
        fix=_instead(need),
    )


def _short(requirement: Requirement) -> str:
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    return f"{requirement.name}{extras}{requirement.specifier}"


def _first(need: Need, ported: set[str]) -> str:
    begin = f"nox -s build-{need.name}" if need.name in ported else f"a recipe for {need.name}"
    table = "test" if need.purpose == "test" else "build"
    return f'{begin}, then [{table}] needs = ["{need.name}"] here: that spares the compiling'


def _instead(need: Need) -> str:
    if need.purpose == "test":
        return "do without it: [test] command and requires in the recipe" if not need.recipe else "do without it"
    return "skip these interpreters ([interpreters] skip), or mend the requirement with a patch"
