"""``wheelyard ci reuse``: plan jobs, and reuse wheels of earlier pipelines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from wheelyard.cli.ci_plan import JobOptions, job_options, plan_jobs
from wheelyard.cli.options import json_option, packages_argument
from wheelyard.cli.plan import add_listed
from wheelyard.io import files
from wheelyard.project.config import find_project

if TYPE_CHECKING:
    from pathlib import Path


@click.command("reuse")
@packages_argument
@job_options
@click.option(
    "--after", metavar="NAME", help="With --changed: start where the last run started that left this artifact."
)
@json_option
def ci_reuse(packages: tuple[str, ...], *, after: str | None, as_json: bool, **jobs: Any) -> None:
    """Plan jobs as `ci plan` does, without wheels that earlier pipelines here have built from the same inputs.

    Those wheels are checked and put into dist/; a wheel that is missing or not in order is built. GitHub only. With
    --after, a file of that name in the folder of --out marks that all commits up to this one are planned.
    """
    from wheelyard.ci.reuse import reuse, since_last

    packages = add_listed(packages, None, versions=not jobs["due"])
    if after:
        if not jobs["changed"]:
            raise click.UsageError("--after goes with --changed")
        span = since_last(find_project(), jobs["changed"], after)
        jobs["changed"] = span or jobs["changed"]
        if jobs["out"]:
            _mark_planned(jobs["out"] / after, span)
    plan_jobs(JobOptions(**jobs), packages, None, (), None, as_json=as_json, reduce=reuse)


def _mark_planned(mark: Path, span: str | None) -> None:
    files.remove(mark)
    if span:
        files.write_text(mark, f"{span}\n")
