"""``plan`` for all recipes, once they are locked: half a second at most, as a whole process."""

from __future__ import annotations

import sys

from benchmarks.measure import WHEELYARD, claim, median, project


def main() -> bool:
    """Measure, print, and return whether the claim holds."""
    folder = project()
    bare = median([sys.executable, "-c", "import click, pydantic, packaging"], cwd=folder)
    taken = median([*WHEELYARD, "plan", "--image", "local"], cwd=folder)
    print(f"plan for all recipes: {taken:.2f} s; Python with click, pydantic and packaging imported: {bare:.2f} s")
    return claim("plan for all recipes takes at most 0.5 s", holds=taken <= 0.5)  # noqa: PLR2004


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
