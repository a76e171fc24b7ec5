"""Read the requirements of a build and its tests per interpreter, and judge what an installer gets for them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from packaging.markers import UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement
from packaging.utils import canonicalize_name

from wheelyard.core.pep508 import read_requirement
from wheelyard.io import log
from wheelyard.preflight.preflight_report import StepResult

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from packaging.requirements import Requirement

    from wheelyard.core.tags import Interpreter

Purpose = Literal["build", "run", "test"]
_MAX_SHOWN = 200  # characters
_VERBS: dict[Purpose, str] = {"build": "to be built", "run": "to run", "test": "for its tests"}


@dataclass(frozen=True)
class Need:
    """A requirement.

    Attributes:
        requirement: the requirement (PEP 508).
        purpose: build, run or test.
        interpreters: the interpreters that its marker applies to.
        recipe: whether the recipe states it, not upstream.
    """

    requirement: Requirement
    purpose: Purpose
    interpreters: tuple[Interpreter, ...]
    recipe: bool = False

    @property
    def name(self) -> str:
        """The canonical name of the required package."""
        return canonicalize_name(self.requirement.name)


@dataclass(frozen=True)
class Offer:
    """The file that an installer chooses for a requirement; see :mod:`wheelyard.index.installer_choice`.

    Attributes:
        kind: ``wheel``, ``pure``, ``ours``, ``sdist`` or ``none``.
        version: its version, empty if there is none.
        reason: why there is none.
    """

    kind: str
    version: str = ""
    reason: str = ""


def read_needs(
    texts: Iterable[str],
    purpose: Purpose,
    interpreters: Sequence[Interpreter],
    *,
    recipe: bool = False,
    extras: Sequence[str] = (),
) -> tuple[tuple[Need, ...], tuple[str, ...]]:
    """Return the requirements in *texts* that apply to an interpreter on riscv64, and the texts that are not valid.

    Args:
        texts: requirements (PEP 508).
        purpose: build, run or test.
        interpreters: the interpreters of the build.
        recipe: whether the recipe states them, not upstream.
        extras: the requested extras.
    """
    needs: list[Need] = []
    broken: list[str] = []
    for text in dict.fromkeys(texts):
        try:
            requirement = read_requirement(text)
        except InvalidRequirement:
            broken.append(log.clean(text)[:_MAX_SHOWN])
            continue
        try:
            applicable = tuple(
                interpreter for interpreter in interpreters if _applies(requirement, interpreter, extras)
            )
        except (ValueError, UndefinedEnvironmentName):  # a marker whose values cannot be compared
            broken.append(log.clean(text)[:_MAX_SHOWN])
            continue
        if applicable:
            needs.append(Need(requirement, purpose, applicable, recipe=recipe))
    return tuple(needs), tuple(broken)


def _applies(requirement: Requirement, interpreter: Interpreter, extras: Sequence[str]) -> bool:
    if requirement.marker is None:
        return True
    return any(requirement.marker.evaluate({**interpreter.markers(), "extra": extra}) for extra in ("", *extras))


def requirement_results(
    needs: Sequence[Need],
    offers: Mapping[tuple[str, Interpreter], Offer],
    *,
    needed: Iterable[str],
    recipes: Iterable[str],
    where: Callable[[Need], str],
    minutes: Callable[[str], float | None],
) -> list[StepResult]:
    """Return a result for each requirement without a wheel, and one that counts those with a wheel.

    Args:
        needs: all requirements.
        offers: the installer's choice by requirement and interpreter; without an entry there is no result.
        needed: canonical names in the recipe's ``needs``, whose missing wheels are reported elsewhere.
        recipes: the packages that have a recipe here.
        where: returns the line of the recipe where a requirement can be changed.
        minutes: returns the duration of the last build of a package here, None if unknown.
    """
    results: list[StepResult] = []
    checked_elsewhere, ported = set(needed), set(recipes)
    counts: dict[str, int] = defaultdict(int)
    for need in needs:
        groups: dict[Offer, list[Interpreter]] = defaultdict(list)
        for interpreter in need.interpreters:
            if offer := offers.get((str(need.requirement), interpreter)):
                groups[offer].append(interpreter)
        if need.name in checked_elsewhere:
            groups = {offer: offered_to for offer, offered_to in groups.items() if offer.kind != "sdist"}
        without_wheel = {offer: offered_to for offer, offered_to in groups.items() if offer.kind in {"none", "sdist"}}
        if groups and not without_wheel:
            counts[need.purpose] += 1
        results += [
            _result(need, offer, offered_to, ported, where, minutes) for offer, offered_to in without_wheel.items()
        ]
    if counts:
        texts = [f"{number} {_VERBS[purpose]}" for purpose in _VERBS if (number := counts[purpose])]
        results.insert(0, StepResult(step="requirements", state="ok", text=f"with a wheel: {', '.join(texts)}"))
    return results


def _result(  # noqa: PLR0917 - one line of text needs all of these
    need: Need,
    offer: Offer,
    interpreters: Sequence[Interpreter],
    ported: set[str],
    where: Callable[[Need], str],
    minutes: Callable[[str], float | None],
) -> StepResult:
    subject = f"{_display(need.requirement)} ({_VERBS[need.purpose]}, {', '.join(map(str, interpreters))})"
    if offer.kind == "sdist":
        took = minutes(need.name)
        time = f"{took:.0f} minutes in its last build here" if took is not None else "its duration is unknown"
        return StepResult(
            step="requirements",
            state="ok",
            text=f"{subject}: there is no riscv64 wheel; {offer.version} will be compiled ({time})",
            where=where(need),
            fix=_use_ours(need, ported),
        )
    return StepResult(
        step="requirements",
        state="failed",
        text=f"{subject}: {offer.reason or 'there is neither a wheel nor a source'}",
        where=where(need),
        fix=_avoid(need),
    )


def _display(requirement: Requirement) -> str:
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    return f"{requirement.name}{extras}{requirement.specifier}"


def _use_ours(need: Need, ported: set[str]) -> str:
    begin = f"nox -s build-{need.name}" if need.name in ported else f"a recipe for {need.name}"
    table = "test" if need.purpose == "test" else "build"
    return f'{begin}, then [{table}] needs = ["{need.name}"] here: then it is not compiled'


def _avoid(need: Need) -> str:
    if need.purpose == "test":
        return "leave it out: [test] command and requires in the recipe" if not need.recipe else "leave it out"
    return "skip these interpreters ([interpreters] skip), or change the requirement with a patch"
