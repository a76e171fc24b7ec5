"""``wheelyard ci retry``: write the jobs to run once more."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from wheelyard.cli.ci_plan import replace_files
from wheelyard.cli.ci_report import plan_option
from wheelyard.cli.options import out_option
from wheelyard.project.config import find_project

if TYPE_CHECKING:
    from pathlib import Path


@click.command("retry")
@plan_option
@out_option("The folder for GitHub's matrices.", default="dist/retry", show_default=True)
def ci_retry(plan_file: Path, out: Path) -> None:
    """Write the jobs of a plan that left no outcome, and the jobs that waited for them, as GitHub's matrices.

    Reads the outcomes that `ci collect` has put into dist/. A job that failed with an outcome is not run again.
    """
    from wheelyard.ci.report import read_plan
    from wheelyard.ci.retry import ROWS, jobs_to_retry

    matrices = jobs_to_retry(find_project(), read_plan(plan_file, matrices=True))
    names_by_row: dict[str, list[str]] = {}
    for matrix in matrices:
        names_by_row.setdefault(ROWS[matrix.wave - 1], []).append(matrix.name)
    outputs = "".join(f"{row}={json.dumps(names)}\n" for row, names in names_by_row.items())
    texts = {f"{matrix.name}.json": matrix.text() + "\n" for matrix in matrices} | {"outputs": outputs}
    replace_files(out, ("retry-*.json", "outputs"), texts)
    for matrix in matrices:
        for row in matrix.include:
            click.echo(f"{row['name']}: {'once more' if matrix.wave == 1 else 'once more, after its needs'}")
