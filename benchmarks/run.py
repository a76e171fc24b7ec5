"""The speed claims, as ratios in one run: ``nox -s bench``, or ``nox -s bench -- plan reuse``.

Each benchmark prints a table and says whether its claim holds; the exit code tells whether all of them do. Nothing
here is a test: figures belong to the machine they were measured on, ratios are what lasts.
"""

from __future__ import annotations

import sys

from benchmarks import compiler, overhead, plan_jobs, planning, publish, radar, reuse, upstream, verify

ALL = {
    "plan": planning.main,
    "jobs": plan_jobs.main,
    "reuse": reuse.main,
    "overhead": overhead.main,
    "compiler": compiler.main,
    "publish": publish.main,
    "verify": verify.main,
    "upstream": upstream.main,
    "radar": radar.main,
}


def main(names: list[str]) -> int:
    """Run the benchmarks named, all by default."""
    unknown = [name for name in names if name not in ALL]
    if unknown:
        print(f"no such benchmark: {', '.join(unknown)}; there are: {', '.join(ALL)}")
        return 2
    results = [ALL[name]() for name in names or ALL]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
