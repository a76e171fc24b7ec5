"""``ci plan --format`` as a whole process, the planner over ever more packages, and what a night gains by it.

Recipes and locks are made up: 80 of them, four interpreters each. The nights have packages of
the shapes that RISE documents, with rough minutes for its boards; in some one package takes ten hours for each wheel.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from benchmarks.measure import ROOT, WHEELYARD, claim, median
from benchmarks.nights import Night, night
from benchmarks.synthetic import builds as synthetic_builds
from wheelyard.ci import Capacity, matrices, pack
from wheelyard.ci.github_matrix import PlannedJob
from wheelyard.records import durations, lockfile
from wheelyard.records.models import Lock, LockedVersion

RECIPES = 80
PYTHONS = ("cp312", "cp313", "cp314", "cp314t")
SIZES = (625, 1250, 2500, 5000)
RUNNERS = 8
SLOW_IMAGE = 600
NIGHTS = 10
NOISE = 0.2
USUAL = "a usual night"
GIANTS = {USUAL: 0, "with one package of ten hours a wheel": 1}


def main() -> bool:
    """Measure, print, and return whether the claims hold."""
    return all([_process(), _growth(), _nights()])


def _process() -> bool:
    with tempfile.TemporaryDirectory(prefix="wheelyard-bench-") as scratch:
        folder = _project(Path(scratch))
        taken = {
            form: median([*WHEELYARD, "ci", "plan", *words], cwd=folder)
            for form, words in {
                "table": ["--format", "table"],
                "github": ["--format", "github", "--out", "out"],
                "gitlab": ["--due", "--format", "gitlab", "--out", "out"],
            }.items()
        }
    for form, seconds in taken.items():
        print(f"{RECIPES} recipes, {len(PYTHONS)} interpreters, as a {form}: {seconds:.2f} s")
    return claim(
        f"planning {RECIPES} recipes for {len(PYTHONS)} interpreters takes at most 1 s", holds=max(taken.values()) <= 1
    )


def _project(folder: Path) -> Path:
    """Make a project of recipes that are pinned and have been timed."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (folder / "pyproject.toml").write_text(text.replace('image = "auto"', 'image = "official"'), encoding="utf-8")
    for build in synthetic_builds(RECIPES):
        recipe = folder / "recipes" / build.package / "recipe.toml"
        recipe.parent.mkdir(parents=True)
        needs = f"[build]\nneeds = {list(build.needs)}\n" if build.needs else ""
        recipe.write_text(f'{needs}[test]\nrequires = ["pytest"]\ncommand = "pytest {{project}}/tests"\n')
        pairs = tuple(f"{python.rstrip('t')}-{python}" for python in PYTHONS)
        entry = LockedVersion(version="1.0", file="x-1.0.tar.gz", size=1, sha256="1" * 64, wheels=pairs)
        lockfile.write_lock(
            lockfile.lock_file(folder / "packages", build.package), Lock.model_validate({"version": [entry]})
        )
        day = time.strftime("%Y-%m-%d")
        entries = [
            durations.Duration.model_validate(
                {"version": "1.0", "machine": "riscv64", "interpreter": python, "seconds": 60 + len(python), "day": day}
            )
            for python in PYTHONS
        ]
        durations.DURATIONS.add(durations.DURATIONS.path(folder / "packages", build.package), entries)
    return folder


def _growth() -> bool:
    each = {}
    for size in SIZES:
        builds = synthetic_builds(size)
        started = time.process_time()
        layout = pack(builds, Capacity(55, SLOW_IMAGE))
        rows = matrices(
            [
                PlannedJob(job, wave, False, (), "x", 60, "official", "0" * 64)
                for job, wave in zip(layout.jobs, layout.waves, strict=True)
            ]
        )
        taken = time.process_time() - started
        each[size] = taken / size
        print(
            f"{size} made-up packages, {len(layout.jobs)} jobs, {len(rows)} matrices: {taken:.2f} s, "
            f"{each[size] * 1000:.2f} ms each"
        )
    growth = each[SIZES[-1]] / each[SIZES[0]]
    return claim(
        f"planning takes linear time, but for heaps and caches: {SIZES[-1] // SIZES[0]} times as many packages take "
        f"{growth:.2f} times as long each, at most 2",
        holds=growth <= 2,  # noqa: PLR2004
    )


def _nights() -> bool:
    nights = {label: [_night(seed, giants=giants) for seed in range(NIGHTS)] for label, giants in GIANTS.items()}
    for label, several in nights.items():
        of_bound = [one.planned / one.bound for one in several]
        apart = [one.apart / one.planned for one in several]
        print(
            f"{label}: {max(of_bound):.3f} of the bound at worst of {NIGHTS} nights, {several[0].jobs} jobs; "
            f"one job per wheel takes {min(apart):.2f} to {max(apart):.2f} times as long"
        )
    worst = max(one.planned / one.bound for several in nights.values() for one in several)
    slowest = min(one.apart / one.planned for one in nights[USUAL])
    return all(
        [
            claim(
                f"{RECIPES} packages on {RUNNERS} runners end within 1.25 of the bound: {worst:.3f} at worst",
                holds=worst <= 1.25,  # noqa: PLR2004
            ),
            claim(
                f"one job per wheel takes at least 1.5 times as long when an image starts in {SLOW_IMAGE} s: "
                f"{slowest:.2f} at least",
                holds=slowest >= 1.5,  # noqa: PLR2004
            ),
        ]
    )


def _night(seed: int, *, giants: int) -> Night:
    return night(
        synthetic_builds(RECIPES, seed=seed, giants=giants), Capacity(RUNNERS, SLOW_IMAGE), noise=NOISE, seed=seed
    )


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
