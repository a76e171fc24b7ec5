"""``wheelyard history``: show when riscv64 wheels became available."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from wheelyard.cli import output
from wheelyard.cli.options import json_option, packages_argument
from wheelyard.io.table import table_text
from wheelyard.project.config import find_project

if TYPE_CHECKING:
    from wheelyard.watch.status_report import History

NO_RECIPE = "there is no recipe in recipes/"


@click.command()
@packages_argument
@json_option
def history(packages: tuple[str, ...], *, as_json: bool) -> None:
    """Show since when each version of PACKAGE has riscv64 wheels, ours and upstream's, from the histories alone.

    By default for every recipe.
    """
    from wheelyard.watch.history_summary import histories
    from wheelyard.watch.status_report import Histories

    summaries = histories(find_project(), packages)
    if as_json:
        click.echo(output.model(Histories(packages=summaries)))
    else:
        click.echo("\n\n".join(map(history_text, summaries)) or NO_RECIPE)


def history_text(summary: History) -> str:
    """Return the versions of one package with their dates, for people."""
    rows = [
        (
            version.version,
            version.released or "-",
            version.ours or "-",
            "-" if version.ours_after is None else version.ours_after,
            version.upstream or "-",
            "-" if version.upstream_after is None else version.upstream_after,
            version.upstream_gone or "",
        )
        for version in summary.versions
    ]
    head = summary.package
    if summary.ships_since:
        head += f": upstream's first riscv64 wheels are of {summary.ships_since}; the first came on {summary.began}"
    if not rows:
        return f"{head}: nothing is known yet; wheelyard check-upstream {summary.package}"
    columns = ("version", "released", "ours", "days later", "upstream's", "days later", "gone")
    return f"{head}\n{table_text(columns, rows)}"
