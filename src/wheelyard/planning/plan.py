"""The plan: which interpreters, which wheels, which jobs; and for everything left out, why.

A pure function of recipe, lock, image and site configuration: nothing is read, run or asked. The expected wheels are
derived from upstream's own: riscv64 gets, for each interpreter, the wheel that an installer would take on
upstream's reference platform, with the architecture swapped. So abi3 and free-threading need no configuration.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from wheelyard.core.errors import PlanError
from wheelyard.core.tags import Interpreter, wheel_for
from wheelyard.core.values import ExpectedWheel, Job

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from wheelyard.core.values import Image
    from wheelyard.project.config import SiteConfig
    from wheelyard.project.recipe import Settings
    from wheelyard.records.models import LockedVersion

SCHEMA = "wheelyard/plan"
VERSION = 1
_PURE = "any"  # the reference of a package whose wheels run everywhere


class Omission(NamedTuple):
    """An interpreter that is left out, and why."""

    interpreter: Interpreter
    reason: str


@dataclass(frozen=True)
class Plan:
    """What will be built.

    Attributes:
        package: its canonical name.
        version: the version that is locked.
        image: what it is built in.
        interpreters: the interpreters with a wheel, sorted.
        omissions: the interpreters without one.
        expected: the wheels, each once.
        jobs: the cibuildwheel runs that yield them.
        notes: remarks for people.
    """

    package: str
    version: str
    image: Image
    interpreters: tuple[Interpreter, ...]
    omissions: tuple[Omission, ...]
    expected: tuple[ExpectedWheel, ...]
    jobs: tuple[Job, ...]
    notes: tuple[str, ...]


def make_plan(  # noqa: PLR0917 - the six things that decide a plan
    package: str,
    settings: Settings,
    locked: LockedVersion,
    image: Image,
    config: SiteConfig,
    only: Sequence[Interpreter] = (),
    *,
    split: bool = False,
) -> Plan:
    """Return the plan for one version of a package.

    Args:
        package: its canonical name.
        settings: the recipe's, effective for this version.
        locked: what the version is pinned to.
        image: what it is built in.
        config: the site's.
        only: the interpreters the user asks for; the site's when empty.
        split: one job for each expected wheel instead of one for all.

    Raises:
        PlanError: nothing is left to build; every omission is named.
    """
    candidates = sorted(set(only) or {Interpreter.parse(text) for text in config.interpreters})
    pairs, derived_from = _pairs(settings, locked)
    interpreters: dict[Interpreter, str] = {}
    omissions = []
    for interpreter in candidates:
        reason = _excluded(interpreter, settings, locked, image)
        pair = None if reason else wheel_for(interpreter, pairs) if pairs else _abi_pair(interpreter)
        if pair:
            interpreters[interpreter] = pair
        else:
            omissions.append(Omission(interpreter, reason or _no_wheel(interpreter, pairs, derived_from)))
    if not interpreters:
        raise _nothing_left(package, locked, omissions)
    expected = _expected(settings.source.name or package, locked.version, interpreters)
    return Plan(
        package=package,
        version=locked.version,
        image=image,
        interpreters=tuple(interpreters),
        omissions=tuple(omissions),
        expected=expected,
        jobs=jobs_for(package, locked.version, expected, split=split),
        notes=_notes(package, settings, locked, interpreters, assumed=not pairs),
    )


# ------------------------------------------------------------------ deriving


def _abi_pair(interpreter: Interpreter) -> str:
    return f"cp3{interpreter.minor}-{interpreter}"


def _pairs(settings: Settings, locked: LockedVersion) -> tuple[tuple[str, ...], str]:
    """Return the tag pairs to choose from, and what they are taken from; none means: one wheel per interpreter."""
    if settings.expect.tags is not None:
        return settings.expect.tags, "the recipe's [expect] tags"
    if locked.reference == _PURE:
        return (), ""
    return locked.wheels, f"upstream's {locked.reference} wheels"


def _expected(name: str, version: str, pair_by_interpreter: Mapping[Interpreter, str]) -> tuple[ExpectedWheel, ...]:
    users: dict[str, list[Interpreter]] = {}
    for interpreter, pair in pair_by_interpreter.items():
        users.setdefault(pair, []).append(interpreter)
    wheels = []
    for pair, interpreters in users.items():
        python, _, abi = pair.partition("-")
        wheels.append(ExpectedWheel(name, version, python, abi, tuple(interpreters)))
    return tuple(wheels)


def jobs_for(package: str, version: str, wheels: Sequence[ExpectedWheel], *, split: bool) -> tuple[Job, ...]:
    """Return the cibuildwheel runs that yield *wheels*: one for all, or one for each when *split* is set."""
    groups = [(wheel,) for wheel in wheels] if split else [tuple(wheels)]
    return tuple(_job(package, version, group) for group in groups)


def _job(package: str, version: str, wheels: tuple[ExpectedWheel, ...]) -> Job:
    interpreters = sorted(interpreter for wheel in wheels for interpreter in wheel.interpreters)
    return Job(package, version, tuple(interpreters), wheels)


# ------------------------------------------------------------------- reasons


def _excluded(interpreter: Interpreter, settings: Settings, locked: LockedVersion, image: Image) -> str | None:
    """Return why *interpreter* is left out of every wheel, None if it is not."""
    text = str(interpreter)
    chosen = settings.interpreters
    why = f": {chosen.why}" if chosen.why else ""
    if not interpreter.allowed_by(locked.requires_python):  # as cibuildwheel does
        return f"upstream's Requires-Python is {locked.requires_python}"
    if text in chosen.skip:
        return f"the recipe skips it{why}"
    if chosen.only is not None and text not in chosen.only:
        return f"the recipe builds for {', '.join(chosen.only)} only{why}"
    if interpreter not in image.interpreters:
        name = f"the local image ({image.suite})" if image.kind == "local" else "the official image"
        return f"{name} does not have it"
    return None


def _no_wheel(interpreter: Interpreter, pairs: tuple[str, ...], derived_from: str) -> str:
    free = "free-threaded " if interpreter.free_threaded else ""
    return f"there is no {free}wheel for it among {derived_from} ({', '.join(pairs)})"


def _nothing_left(package: str, locked: LockedVersion, omissions: Iterable[Omission]) -> PlanError:
    return PlanError(
        f"{package} {locked.version}: no interpreter is left to build for",
        details=[f"{omission.interpreter}: {omission.reason}" for omission in omissions],
        fix="choose another --version, --python or --image, or set [expect] tags in the recipe",
    )


def _notes(
    package: str, settings: Settings, locked: LockedVersion, interpreters: Mapping[Interpreter, str], *, assumed: bool
) -> tuple[str, ...]:
    notes = []
    if locked.reference == _PURE and assumed:
        notes.append(
            f"upstream's only wheel of {package} {locked.version} is pure Python and installs on riscv64 as it is: "
            "does it need a recipe?"
        )
    elif assumed:
        notes.append(f"no upstream wheels of {package} {locked.version} are recorded: one per interpreter is assumed")
    elif settings.expect.tags is None and locked.reference not in {"aarch64", "x86_64"}:
        notes.append(
            f"upstream has no aarch64 or x86-64 Linux wheel: tags are derived from those for {locked.reference}"
        )
    shipped = sorted(set(interpreters.values()) & set(locked.ships))
    if shipped:
        notes.append(f"upstream ships {', '.join(shipped)} for riscv64 itself")
    if settings.upstream.note:
        notes.append(settings.upstream.note)
    return tuple(notes)


# --------------------------------------------------------------- for machines


def plan_json(plans: Iterable[Plan]) -> dict[str, Any]:
    """Return plans as ``docs/reference/schemas/plan.schema.json`` describes them."""
    return {"schema": SCHEMA, "version": VERSION, "plans": [_as_json(plan) for plan in plans]}


def _as_json(plan: Plan) -> dict[str, Any]:
    return {
        "package": plan.package,
        "version": plan.version,
        "image": {
            "kind": plan.image.kind,
            "reference": plan.image.reference,
            "digest": plan.image.digest,
        },
        "interpreters": [str(interpreter) for interpreter in plan.interpreters],
        "omissions": [
            {"interpreter": str(omission.interpreter), "reason": omission.reason} for omission in plan.omissions
        ],
        "expected": [_wheel_json(wheel) for wheel in plan.expected],
        "jobs": [
            {
                "interpreters": [str(interpreter) for interpreter in job.interpreters],
                "expected": [wheel.pattern for wheel in job.expected],
            }
            for job in plan.jobs
        ],
        "notes": list(plan.notes),
    }


def _wheel_json(wheel: ExpectedWheel) -> dict[str, Any]:
    return {
        "pattern": wheel.pattern,
        "python": wheel.python,
        "abi": wheel.abi,
        "interpreters": [str(interpreter) for interpreter in wheel.interpreters],
    }
