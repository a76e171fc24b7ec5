"""``wheelyard review``: its words and its table."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wheelyard.io import log

if TYPE_CHECKING:
    from wheelyard.ci.review_report import ReviewReport

BODY = "WHEELYARD_BODY"


@click.command(short_help="Hold a change to what needs no build.")
@click.argument("commits", metavar="BASE..HEAD")
@click.option(
    "--body",
    "file",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help=f"The description of the merge or pull request; ${BODY} by default.",
)
@click.option(
    "--triggers",
    "target",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write what the description asks to build there, one package==version a line.",
)
@click.option("--json", "as_json", is_flag=True, help="JSON on standard output.")
def review(commits: str, file: Path | None, target: Path | None, *, as_json: bool) -> None:
    """Tell whether the change BASE..HEAD may be merged, as far as that needs no build.

    Looks at commit messages, site configuration, recipes, patches and their status, records, and at the lines
    'Trigger: package:version' of the description. Reads git, runs nothing of the change, and asks no server.
    """
    from wheelyard.ci import review as flow
    from wheelyard.cli import render
    from wheelyard.io import files

    try:
        body = file.read_text(encoding="utf-8", errors="replace") if file else os.environ.get(BODY, "")
    except OSError as error:
        raise click.UsageError(f"{file} cannot be read: {error.strerror}") from error
    report = flow.review(Path.cwd(), commits, body)
    if target:
        files.write_text(target, "".join(f"{each}\n" for each in report.triggers))
    if outputs := os.environ.get("GITHUB_OUTPUT"):
        # Names and versions in their one spelling: nothing in them ends a line, or means anything to a shell.
        files.append_text(Path(outputs), "\n".join(["triggers<<WHEELYARD", *report.triggers, "WHEELYARD", ""]))
    click.echo(render.model(report) if as_json else review_text(report))
    if problem := flow.problem(report):
        raise problem


def review_text(report: ReviewReport) -> str:
    """Return what was looked at and what is to mend, for people."""
    lines = [f"{report.commits} commits, {report.recipes} recipes: {len(report.findings) or 'nothing'} to mend"]
    if report.findings:
        rows = [(each.kind, each.where, each.text) for each in report.findings]
        lines += ["", log.table(("what", "where", "found"), rows)]
        fixes = dict.fromkeys((each.where, each.fix) for each in report.findings if each.fix)
        lines += ["", "To fix:", *(log.tame(log.clean(f"  {where}: {fix}")) for where, fix in fixes)]
    if report.triggers:
        lines += ["", f"asked to build: {', '.join(report.triggers)}"]
    return "\n".join(lines)
