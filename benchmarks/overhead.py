"""A job's overhead over the bare cibuildwheel call it makes: checks and records apart, one second at most.

The very call is recorded from a build (``cibuildwheel.toml``, source tree, environment) and run again bare.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.measure import claim, project
from wheelyard.builder import BuildRequest, build, run_job
from wheelyard.builder.cibuildwheel import command, environment
from wheelyard.core.values import ImageChoice
from wheelyard.images import ensure, resolve
from wheelyard.planning.plan import make_plan
from wheelyard.planning.target import find_target, prepare_source
from wheelyard.project.config import find_project

RUNS = 3


def main() -> bool:
    """Measure in pairs, print, and return whether the claim holds."""
    request = _request()
    ours, bare = [], []
    for _ in range(RUNS):
        started = time.monotonic()
        build(request)
        ours.append(time.monotonic() - started)
        bare.append(_bare(request))
    pairs = [mine - plain for mine, plain in zip(ours, bare, strict=True)]
    print(
        f"through wheelyard {statistics.median(ours):.1f} s, bare {statistics.median(bare):.1f} s (medians of {RUNS})"
    )
    print("differences, pair by pair: " + ", ".join(f"{pair:+.2f} s" for pair in pairs))
    return claim("a job costs at most 1 s more than the bare call", holds=statistics.median(pairs) <= 1)


def _request() -> BuildRequest:
    here = find_project(project())
    target = find_target(here, "markupsafe")
    image = ensure(resolve(ImageChoice.parse("local"), here.config.policy))
    plan = make_plan(target.package, target.settings, target.locked, image, here.config, ())
    work = Path(tempfile.mkdtemp(prefix="wheelyard-bench-"))
    source = prepare_source(here, target, work, log_file=work / "sdist.log")
    needed: dict[str, str] = {}
    context = run_job.BuildContext(here, target, source, image, needed, test=False, folder=work, work=work)
    return BuildRequest(
        plan.jobs[0], source, target.settings, image, run_job.container(context), False, work, work / "build.log"
    )


def _bare(request: BuildRequest) -> float:
    out = Path(tempfile.mkdtemp(prefix="wheelyard-bench-"))
    argv = command(request, request.work / "cibuildwheel.toml", out)
    with (out / "log").open("wb") as log:
        started = time.monotonic()
        subprocess.run(argv, cwd=request.source.folder, env=environment(request), stdout=log, stderr=log, check=True)
        return time.monotonic() - started


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
