"""``wheelyard radar``: its words and its table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from wheelyard.cli.requirements import own_registry
from wheelyard.io import log
from wheelyard.project.config import find_project

if TYPE_CHECKING:
    from wheelyard.watch.availability_report import Gap, RadarReport

_LIST = "ci/top-packages.tsv"


@click.command(short_help="Tell which popular packages lack riscv64 wheels.")
@click.option("--top", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many are shown.")
@click.option(
    "--list",
    "path",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help=f"The names to look at, with weights; by default {_LIST}.",
)
@click.option(
    "--of",
    "target",
    metavar="REGISTRY|DIR|none",
    help="Our registry, by default the only one of the site configuration; none compares with no registry.",
)
@click.option("--json", "as_json", is_flag=True, help="JSON on standard output.")
def radar(path: Path | None, target: str | None, *, top: int, as_json: bool) -> None:
    """Tell which packages of a list ship binary wheels but none for riscv64, the heaviest first.

    Beside each: whether our registry covers it, and what has to be built before it. The exit code is 18 if some could
    not be looked at.
    """
    from wheelyard.cli import render
    from wheelyard.watch import gap_report as flow

    project = find_project()
    report = flow.radar(project, path or project.root / _LIST, top=top, registry=own_registry(project, target))
    click.echo(render.model(report) if as_json else radar_table(report))
    if failure := flow.problem(report):
        raise failure


def radar_table(report: RadarReport) -> str:
    """Return the gaps for people."""
    rows = [
        (
            "-" if each.weight is None else each.weight,
            each.name,
            each.version,
            each.reference + (", pure" if each.pure else ""),
            ", ".join(each.wanted) or "-",
            f"{each.ours}: {', '.join(each.covered)}" if each.ours else "-",
            _first(each),
        )
        for each in report.top
    ]
    columns = ("weight", "package", "newest", "ships", "wheels for", "ours", "needs first")
    lines = [log.table(columns, rows)] if rows else []
    of = f"{report.gaps} of {report.looked_at} packages ship binary wheels, and none for riscv64"
    lines += ["", f"{of}; shown: {len(report.top)}", f"list: {report.source}"]
    lines += [f"note: {log.clean(note)}" for note in report.notes]
    if not report.registry:
        lines.append("note: compared with no registry of ours")
    return "\n".join(lines).lstrip("\n")


def _first(gap: Gap) -> str:
    if gap.first is None:
        return f"unknown: {log.clean(gap.note)}"
    names = dict.fromkeys(log.clean(each.requirement).partition(";")[0].strip() for each in gap.first)
    return ", ".join(names) or "nothing"
