"""``wheelyard ci collect``: check the results of jobs, and copy them into dist/."""

from __future__ import annotations

from pathlib import Path

import click

from wheelyard.core.errors import CollectError
from wheelyard.project.config import find_project


@click.command("collect")
@click.argument("folders", metavar="DIR...", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
def ci_collect(folders: tuple[Path, ...]) -> None:
    """Copy the wheels and outcomes below DIR into dist/, after checks.

    A wheel comes with its record and its verdict, and must match them. A result that is refused does not keep the
    others back; then the exit code is 44.
    """
    from wheelyard.ci.collect import collect

    results = collect(find_project(), folders)
    lines = [*(f"collected: {name}" for name in results.new_files), f"{len(results.present_files)} were there before"]
    click.echo("\n".join(lines))
    if results.refused:
        raise CollectError(
            f"{len(results.refused)} results are refused",
            details=results.refused,
            fix="look at the run that left them, and run its job again; all others are in dist/",
        )
