"""Packages that nobody has, of the shapes that the project's own have: for trying plans."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, NamedTuple

from wheelyard.ci.job_model import PackageBuild, PlannedWheel
from wheelyard.core.tags import Interpreter
from wheelyard.core.values import ExpectedWheel

if TYPE_CHECKING:
    from collections.abc import Sequence

DEFAULT_INTERPRETERS = tuple(map(Interpreter.parse, ("cp312", "cp313", "cp314", "cp314t")))


class Shape(NamedTuple):
    """A kind of package.

    Attributes:
        share: how many of a hundred packages are of it.
        minutes: a wheel takes between these, on a riscv64 board.
        abi3: whether most of its wheels are one for the stable ABI.
        needs: how many of the packages before it one needs, at most.
    """

    share: int
    minutes: tuple[float, float]
    abi3: bool = False
    needs: int = 0


# How many of RISE's documented packages are built in which way; the minutes are rough figures for its boards.
SHAPES = (
    Shape(52, (1, 6)),  # C and Cython
    Shape(14, (4, 12), abi3=True),  # Rust, stable ABI
    Shape(14, (4, 12)),  # Rust, a wheel for each
    Shape(8, (1, 5), abi3=True),  # tools, and C over a bundled library
    Shape(8, (8, 25), needs=2),  # meson over numpy
    Shape(4, (15, 40)),  # C++ with much of its own
)


def builds(
    number: int, *, seed: int = 0, interpreters: Sequence[Interpreter] = DEFAULT_INTERPRETERS, giants: int = 0
) -> tuple[PackageBuild, ...]:
    """Return *number* packages, the same for the same seed.

    Args:
        number: how many.
        seed: which.
        interpreters: those that wheels are built for.
        giants: how many of them take hours for each wheel, as torch does.
    """
    chance = random.Random(seed)  # noqa: S311 - nothing is kept secret with it
    shapes = chance.choices(SHAPES, [shape.share for shape in SHAPES], k=number)
    bases = [index for index, shape in enumerate(shapes) if not shape.needs]
    found = []
    for index, shape in enumerate(shapes):
        giant = index < giants
        low, high = (300.0, 600.0) if giant else shape.minutes
        pace = chance.uniform(low, high) * 60
        count = min(shape.needs, len(bases))
        needs = chance.sample(bases[:20], min(count, len(bases[:20]))) if count and not giant else []
        found.append(
            PackageBuild(
                package=_name(index),
                version="1.0",
                wheels=tuple(_pieces(_name(index), interpreters, pace, chance, abi3=shape.abi3)),
                needs=tuple(_name(other) for other in sorted(needs) if other != index),
                shared=chance.uniform(5, 60),
                timeout=86_400,
            )
        )
    return tuple(found)


def _name(index: int) -> str:
    return f"package-{index:04}"


def _pieces(
    name: str, interpreters: Sequence[Interpreter], pace: float, chance: random.Random, *, abi3: bool
) -> list[PlannedWheel]:
    stable = [one for one in interpreters if not one.free_threaded] if abi3 else []
    groups = [tuple(stable)] if stable else []
    groups += [(one,) for one in interpreters if one not in stable]
    wheels = []
    for group in groups:
        first = group[0]
        abi = "abi3" if len(group) > 1 else str(first)
        wheel = ExpectedWheel(name, "1.0", str(first).rstrip("t"), abi, group)
        wheels.append(PlannedWheel(wheel, pace * chance.uniform(0.9, 1.1)))
    return wheels
