"""Tasks for the planner: written down, and drawn by hypothesis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

from wheelyard.ci import BuildJob, Piece, Site, Task, Ticket, lay_out, pack
from wheelyard.core.tags import Interpreter
from wheelyard.core.values import ExpectedWheel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wheelyard.ci import Layout

PYTHONS = tuple(map(Interpreter.parse, ("cp312", "cp313", "cp314", "cp314t")))


def wheel(package: str, *pythons: Interpreter, version: str = "1.0") -> ExpectedWheel:
    abi = str(pythons[0]) if len(pythons) == 1 else "abi3"
    return ExpectedWheel(package, version, f"cp3{pythons[0].minor}", abi, pythons)


def task(
    package: str,
    *seconds: float,
    needs: Sequence[str] = (),
    known: bool = True,
    version: str = "1.0",
    runner: str = "",
    mark: str = "",
) -> Task:
    """A package of which each of *seconds* is a wheel for one more interpreter."""
    pieces = tuple(
        Piece(wheel(package, python, version=version), each, inputs=f"{package} {python}{mark}")
        for python, each in zip(PYTHONS, seconds, strict=False)
    )
    return Task(package, version, pieces, tuple(needs), known=known, runner=runner, why="asked for")


def tickets(layout: Layout, *, label: str = "ubuntu-24.04-riscv") -> tuple[Ticket, ...]:
    gates = {other for wanted in layout.needs for other in wanted}
    return tuple(
        Ticket(
            job=job,
            wave=layout.waves[number],
            gate=number in gates,
            needs=tuple(sorted({layout.jobs[other].task.package for other in layout.needs[number]})),
            runner=job.task.runner or label,
            minutes=197,
            image="official",
            key=f"{number:064x}",
        )
        for number, job in enumerate(layout.jobs)
    )


def packed(*tasks: Task, runners: int = 2, start: float = 60) -> Layout:
    return pack(tasks, Site(runners, start))


def one_job_each(tasks: Sequence[Task], site: Site) -> Layout:
    return lay_out(tasks, [BuildJob(each, each.pieces) for each in tasks], site)


@st.composite
def some_tasks(draw: st.DrawFn, most: int = 12) -> tuple[Task, ...]:
    """Packages that need only such as come before them: never a cycle."""
    found: list[Task] = []
    for index in range(draw(st.integers(0, most))):
        names = [f"p{other}" for other in range(index)]
        needs = draw(st.lists(st.sampled_from(names), unique=True, max_size=3)) if names else []
        seconds = draw(st.lists(st.integers(1, 5000), min_size=1, max_size=len(PYTHONS)))
        found.append(task(f"p{index}", *map(float, seconds), needs=needs, known=draw(st.booleans())))
    return tuple(draw(st.permutations(found)))


sites = st.builds(Site, st.integers(1, 9), st.integers(0, 900).map(float))
