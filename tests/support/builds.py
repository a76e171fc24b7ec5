"""Tasks for the planner: written down, and drawn by hypothesis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

from wheelyard.ci import BuildJob, Capacity, PackageBuild, PlannedJob, PlannedWheel, lay_out, pack
from wheelyard.core.tags import Interpreter
from wheelyard.core.values import ExpectedWheel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wheelyard.ci import Layout

PYTHONS = tuple(map(Interpreter.parse, ("cp312", "cp313", "cp314", "cp314t")))


def wheel(package: str, *pythons: Interpreter, version: str = "1.0") -> ExpectedWheel:
    abi = str(pythons[0]) if len(pythons) == 1 else "abi3"
    return ExpectedWheel(package, version, f"cp3{pythons[0].minor}", abi, pythons)


def build_of(
    package: str,
    *seconds: float,
    needs: Sequence[str] = (),
    timed: bool = True,
    version: str = "1.0",
    runner: str = "",
    mark: str = "",
) -> PackageBuild:
    """A package of which each of *seconds* is a wheel for one more interpreter."""
    wheels = tuple(
        PlannedWheel(wheel(package, python, version=version), each, fingerprint=f"{package} {python}{mark}")
        for python, each in zip(PYTHONS, seconds, strict=False)
    )
    return PackageBuild(package, version, wheels, tuple(needs), timed=timed, runner=runner, why="asked for")


def planned_jobs(layout: Layout, *, label: str = "ubuntu-24.04-riscv") -> tuple[PlannedJob, ...]:
    gates = {other for wanted in layout.needs for other in wanted}
    return tuple(
        PlannedJob(
            job=job,
            wave=layout.waves[number],
            gate=number in gates,
            needs=tuple(sorted({layout.jobs[other].build.package for other in layout.needs[number]})),
            runner=job.build.runner or label,
            minutes=197,
            image="official",
            key=f"{number:064x}",
        )
        for number, job in enumerate(layout.jobs)
    )


def packed(*builds: PackageBuild, runners: int = 2, start: float = 60) -> Layout:
    return pack(builds, Capacity(runners, start))


def one_job_each(builds: Sequence[PackageBuild], capacity: Capacity) -> Layout:
    return lay_out(builds, [BuildJob(each, each.wheels) for each in builds], capacity)


@st.composite
def some_builds(draw: st.DrawFn, most: int = 12) -> tuple[PackageBuild, ...]:
    """Packages that need only such as come before them: never a cycle."""
    found: list[PackageBuild] = []
    for index in range(draw(st.integers(0, most))):
        names = [f"p{other}" for other in range(index)]
        needs = draw(st.lists(st.sampled_from(names), unique=True, max_size=3)) if names else []
        seconds = draw(st.lists(st.integers(1, 5000), min_size=1, max_size=len(PYTHONS)))
        found.append(build_of(f"p{index}", *map(float, seconds), needs=needs, timed=draw(st.booleans())))
    return tuple(draw(st.permutations(found)))


capacities = st.builds(Capacity, st.integers(1, 9), st.integers(0, 900).map(float))
