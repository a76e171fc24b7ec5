"""An index scripted through time: what happens on which day, and the real ``check_upstream`` on any of them.

::

    timeline = Timeline(index)
    timeline.at(0, release("demo", "1.0", *ALL))
    timeline.at(9, release("demo", "1.1", *ALL, *RISCV))
    timeline.advance(12)
    assert timeline.check(project)["demo"].new == ("1.1",)

Days count from :data:`START`; an event happens at noon, UTC.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

from support.index import JSON, Fault, IndexFile
from wheelyard.watch.check_upstream import check_upstream

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.index import IndexServer
    from wheelyard.project.config import Project
    from wheelyard.registries.open_registry import NamedRegistry
    from wheelyard.watch.status_report import PackageStatus

    Event = Callable[[IndexServer, date], None]

START = date(2026, 1, 1)
PYTHONS = ("cp312-cp312", "cp313-cp313", "cp314-cp314", "cp314-cp314t")  # those of support.project's policy
ALL = tuple(f"{pair}-manylinux_2_28_{arch}" for arch in ("aarch64", "x86_64") for pair in PYTHONS)
RISCV = tuple(f"{pair}-manylinux_2_39_riscv64" for pair in PYTHONS)
PURE = ("py3-none-any",)


class Timeline:
    """What happens to *index*, day by day.

    Attributes:
        index: the server.
        start: day 0.
        day: the last day that has come.
    """

    def __init__(self, index: IndexServer, start: date = START) -> None:
        self.index = index
        self.start = start
        self.day = -1
        self._events: defaultdict[int, list[Event]] = defaultdict(list)

    def at(self, day: int, *events: Event) -> None:
        """Have *events* happen on *day*."""
        assert day > self.day, "that day is over"
        self._events[day] += events

    def advance(self, day: int) -> None:
        """Let everything happen up to the end of *day*."""
        while self.day < day:
            self.day += 1
            for event in self._events[self.day]:
                event(self.index, self.today)

    def now(self, *events: Event) -> None:
        """Let *events* happen on the day that it is."""
        for event in events:
            event(self.index, self.today)

    @property
    def today(self) -> date:
        """The last day that has come."""
        return self.start + timedelta(days=max(self.day, 0))

    def check(
        self, project: Project, *packages: str, registry: NamedRegistry | None = None, write: bool = True
    ) -> dict[str, PackageStatus]:
        """Run ``check_upstream`` on the day that it is, and return how each package stands."""
        report = check_upstream(project, packages, registry=registry, write=write, today=self.today)
        return {standing.package: standing for standing in report.packages}


# --------------------------------------------------------------------- events


def release(project: str, version: str, *tags: str, sdist: bool = True, python: str = ">=3.9") -> Event:
    """A version, with its sdist and wheels of these tags."""

    def happen(index: IndexServer, day: date) -> None:
        base = f"{project.replace('-', '_')}-{version}"
        names = ([f"{base}.tar.gz"] if sdist else []) + [f"{base}-{tag}.whl" for tag in tags]
        index.add(project, *(IndexFile(name, requires_python=python, uploaded=f"{day}T12:00:00Z") for name in names))

    return happen


def wheels(project: str, version: str, *tags: str) -> Event:
    """Wheels that come later than their release."""
    return release(project, version, *tags, sdist=False)


def files(project: str, *names: str) -> Event:
    """Files of any name."""
    return lambda index, day: index.add(project, *(IndexFile(name, uploaded=f"{day}T12:00:00Z") for name in names))


def vanish(project: str, *parts: str) -> Event:
    """All files go that have one of *parts* in their names."""
    return lambda index, _: index.set_files(
        project, [file for file in index.files(project) if not any(part in file.name for part in parts)]
    )


def yank(project: str, version: str, reason: str = "") -> Event:
    """A version is yanked."""
    return lambda index, _: index.set_files(
        project,
        [
            replace(file, yanked=reason or True) if f"-{version}" in file.name.replace(".tar.gz", "-") else file
            for file in index.files(project)
        ],
    )


def rename(project: str, name: str) -> Event:
    """The page of *project* says that it is another's."""
    return lambda index, _: index.set_keys(project, name=name)


def status(project: str, word: str, reason: str = "") -> Event:
    """PEP 792's marker; of a quarantined project nothing is listed."""

    def happen(index: IndexServer, _: date) -> None:
        index.set_keys(project, **{"project-status": {"status": word, "reason": reason}})
        if word == "quarantined":
            index.set_files(project, [])

    return happen


def remove(project: str) -> Event:
    """It is not there any more: 404."""
    return lambda index, _: index.remove(project)


def moved(project: str, to: str) -> Event:
    """Its page redirects to another project's."""
    return breaks(project, Fault(status=301, headers={"Location": f"/simple/{to}/"}))


def breaks(project: str, fault: Fault) -> Event:
    """Its page goes wrong."""
    return lambda index, _: index.fault(f"/simple/{project}/", fault)


def says(project: str, page: object) -> Event:
    """Its page is whatever JSON this is."""
    return breaks(project, Fault(body=json.dumps(page).encode(), content_type=JSON))


def heals() -> Event:
    """All goes well again."""
    return lambda index, _: index.heal()
