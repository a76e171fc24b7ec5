"""``wheelyard review``: check a change, as far as that needs no build."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wheelyard.cli import output
from wheelyard.cli.options import json_option
from wheelyard.io import log
from wheelyard.io.table import table_text

if TYPE_CHECKING:
    from wheelyard.ci.review_report import ReviewReport

BODY = "WHEELYARD_BODY"


@click.command()
@click.argument("commits", metavar="BASE..HEAD")
@click.option(
    "--body",
    "file",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help=f"The description of the change request; ${BODY} by default.",
)
@click.option(
    "--triggers",
    "triggers_file",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the builds that the description asks for there, one package==version a line.",
)
@json_option
def review(commits: str, file: Path | None, triggers_file: Path | None, *, as_json: bool) -> None:
    """Check whether the change BASE..HEAD may be merged, as far as that needs no build.

    Checks commit messages, site configuration, recipes, patches and their status, records, and the lines
    'Trigger: package:version' of the description. Reads git, runs nothing of the change, and asks no server.
    """
    from wheelyard.ci import review as change
    from wheelyard.io import files

    try:
        body = file.read_text(encoding="utf-8", errors="replace") if file else os.environ.get(BODY, "")
    except OSError as error:
        raise click.UsageError(f"{file} cannot be read: {error.strerror}") from error
    report = change.review(Path.cwd(), commits, body)
    if triggers_file:
        files.write_text(triggers_file, "".join(f"{trigger}\n" for trigger in report.triggers))
    if outputs := os.environ.get("GITHUB_OUTPUT"):
        # Names and versions in their one spelling: nothing in them ends a line, or means anything to a shell.
        files.append_text(Path(outputs), "\n".join(["triggers<<WHEELYARD", *report.triggers, "WHEELYARD", ""]))
    click.echo(output.model(report) if as_json else review_text(report))
    if problem := change.problem(report):
        raise problem


def review_text(report: ReviewReport) -> str:
    """Return the findings and their fixes, for people."""
    lines = [f"{report.commits} commits, {report.recipes} recipes: {len(report.findings) or 'nothing'} to mend"]
    if report.findings:
        rows = [(finding.kind, finding.where, finding.text) for finding in report.findings]
        lines += ["", table_text(("what", "where", "found"), rows)]
        fixes = dict.fromkeys((finding.where, finding.fix) for finding in report.findings if finding.fix)
        lines += ["", "To fix:", *(log.tame(log.clean(f"  {where}: {fix}")) for where, fix in fixes)]
    if report.triggers:
        lines += ["", f"asked to build: {', '.join(report.triggers)}"]
    return "\n".join(lines)
