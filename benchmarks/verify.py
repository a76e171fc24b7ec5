"""``registry verify`` of up to 100,000 files by the index (JSON) alone: time and memory grow as the files do."""

from __future__ import annotations

import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.gitlab import point, served
from benchmarks.measure import WHEELYARD, claim, run
from support.built_wheels import PROJECT, BuiltWheels
from support.gitlab import GitLab
from wheelyard.core.tags import WheelName
from wheelyard.records.releases import RELEASES, ReleasedFile

if TYPE_CHECKING:
    from benchmarks.measure import Run
    from support.gitlab.model import StoredFile

SIZES = (25_000, 50_000, 100_000)
SLACK = 1.25  # for the noise of a machine: quadratic growth would be 3


def main() -> bool:
    """Measure, print, and return whether the claims hold."""
    _verify(100)  # does not count: the first run writes bytecode
    small, middle, large = runs = [_verify(size) for size in SIZES]
    for size, one in zip(SIZES, runs, strict=True):
        each = one.seconds / size * 1e6
        print(f"{size:7} files: {one.seconds:6.2f} s ({each:.0f} µs a file), {one.mib:.0f} MiB at most")
    ratio = (large.seconds / SIZES[-1]) / (small.seconds / SIZES[0])
    print(f"a file among {SIZES[-1]} takes {ratio:.2f} times what one among {SIZES[0]} takes")
    # What every process takes at its start is in all three: the differences are without it.
    time = _growth(small.seconds, middle.seconds, large.seconds)
    memory = _growth(small.mib, middle.mib, large.mib)
    return all(
        [
            claim(f"verify takes time that grows as the files do: {time:.2f}", holds=time <= SLACK),
            claim(f"verify takes memory that grows as the files do: {memory:.2f}", holds=memory <= SLACK),
        ]
    )


def _growth(small: float, middle: float, large: float) -> float:
    """Return what a further file takes in the upper half of the range, compared with the lower; 1 is linear."""
    lower = (middle - small) / (SIZES[1] - SIZES[0])
    upper = (large - middle) / (SIZES[2] - SIZES[1])
    return upper / lower


def _verify(size: int) -> Run:
    with tempfile.TemporaryDirectory(prefix="wheelyard-bench-") as name:
        folder = Path(name)
        stock = BuiltWheels(folder / "project")
        _record(stock, size, folder / "records")
        with served(folder / "gitlab", "--preload", str(size), "--json") as server:
            command = [*WHEELYARD, "registry", "verify", "--registry", "gitlab"]
            done = run(command, cwd=stock.root, env=point(stock, server))
        assert f"{size} files" in done.output
        assert "all as recorded" in done.output
        return done


def _record(stock: BuiltWheels, size: int, scratch: Path) -> None:
    """Write the records of what the server is preloaded with, and recipes of these names."""
    gitlab = GitLab(scratch)
    files: dict[str, list[StoredFile]] = defaultdict(list)
    for file in gitlab.preload(gitlab.add_project(PROJECT), size):
        files[file.package_name].append(file)
    for package, stored in files.items():
        path = RELEASES.path(stock.root / "packages", package)
        path.parent.mkdir(parents=True)
        path.write_text(RELEASES.dump(map(_entry, stored)), encoding="utf-8")
        recipe = stock.root / "recipes" / package / "recipe.toml"
        recipe.parent.mkdir()
        recipe.touch()


def _entry(file: StoredFile) -> ReleasedFile:
    return ReleasedFile(
        file=file.file_name,
        where="gitlab",
        sha256=file.sha256 or "",
        size=file.size,
        tags=tuple(sorted(map(str, WheelName.parse(file.file_name).tags))),
        licence="MIT",
        source=f"sha256:{'2' * 64}",
        image=f"sha256:{'5' * 64}",
    )


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
