"""``wheelyard records``: its words."""

from __future__ import annotations

import click

from wheelyard.project.config import find_project


@click.command(short_help="Bring changed records to the base branch.")
@click.option(
    "--propose", is_flag=True, help="Keep one merge or pull request for them, or push, as the site configuration says."
)
@click.option("--push", is_flag=True, help="Push them onto the base branch, whatever the site configuration says.")
@click.option("--dry-run", is_flag=True, help="Say what would become of them, change nothing.")
@click.option("--json", "as_json", is_flag=True, help="JSON on standard output.")
def records(*, propose: bool, push: bool, dry_run: bool, as_json: bool) -> None:
    """Tell which records of this checkout have changed; --propose and --push bring them out."""
    from wheelyard.cli import render
    from wheelyard.watch import records_request as flow
    from wheelyard.watch.records_report import RecordsReport

    project = find_project()
    if propose or push:
        report = flow.bring_out(project, push=push, dry_run=dry_run)
    else:
        found = tuple(flow.changed(project))
        report = RecordsReport(action="changed" if found else "none", done=False, files=found)
    if as_json:
        click.echo(render.model(report))
        return
    for name in report.files:
        click.echo(name)
    words = "no record has changed" if report.action == "none" else report.action
    click.echo(" ".join(filter(None, [f"records: {words}", report.url, "(a dry run)" if dry_run else ""])))
