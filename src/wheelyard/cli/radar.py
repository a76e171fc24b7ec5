"""``wheelyard radar``: list popular packages that lack riscv64 wheels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from wheelyard.cli import output
from wheelyard.cli.options import json_option, open_optional, optional_registry_option
from wheelyard.io import log
from wheelyard.io.table import table_text
from wheelyard.project.config import find_project

if TYPE_CHECKING:
    from wheelyard.watch.availability_report import Gap, RadarReport

_LIST = "ci/top-packages.tsv"


@click.command()
@click.option("--top", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many to show.")
@click.option(
    "--list",
    "path",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help=f"The names to look up, with weights; by default {_LIST}.",
)
@optional_registry_option
@json_option
def radar(path: Path | None, registry: str | None, *, top: int, as_json: bool) -> None:
    """List the packages that ship binary wheels but none for riscv64, the heaviest first.

    Shows for each whether our registry has it, and which packages have to be built before it. The exit code is 18 if
    some could not be looked up.
    """
    from wheelyard.watch import gap_report

    project = find_project()
    opened = open_optional(project, registry)
    report = gap_report.radar(project, path or project.root / _LIST, top=top, registry=opened)
    click.echo(output.model(report) if as_json else radar_text(report))
    if failure := gap_report.problem(report):
        raise failure


def radar_text(report: RadarReport) -> str:
    """Return the gaps for people."""
    rows = [
        (
            "-" if gap.weight is None else gap.weight,
            gap.name,
            gap.version,
            gap.reference + (", pure" if gap.pure else ""),
            ", ".join(gap.wanted) or "-",
            f"{gap.ours}: {', '.join(gap.covered)}" if gap.ours else "-",
            _needs_first(gap),
        )
        for gap in report.top
    ]
    columns = ("weight", "package", "newest", "ships", "wheels for", "ours", "needs first")
    lines = [table_text(columns, rows)] if rows else []
    count = f"{report.gaps} of {report.looked_at} packages ship binary wheels, and none for riscv64"
    lines += ["", f"{count}; shown: {len(report.top)}", f"list: {report.source}"]
    lines += [f"note: {log.clean(note)}" for note in report.notes]
    if not report.registry:
        lines.append("note: compared with no registry")
    return "\n".join(lines).lstrip("\n")


def _needs_first(gap: Gap) -> str:
    if gap.first is None:
        return f"unknown: {log.clean(gap.note)}"
    names = dict.fromkeys(log.clean(need.requirement).partition(";")[0].strip() for need in gap.first)
    return ", ".join(names) or "nothing"
