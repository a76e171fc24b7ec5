"""``wheelyard records``: bring changed records to the base branch."""

from __future__ import annotations

import click

from wheelyard.cli import output
from wheelyard.cli.options import dry_run_option, json_option
from wheelyard.project.config import find_project


@click.command()
@click.option("--propose", is_flag=True, help="Keep one change request for them, or push, as configured.")
@click.option("--push", is_flag=True, help="Push them to the base branch, whatever is configured.")
@dry_run_option("Show the result of --propose or --push, change nothing.")
@json_option
def records(*, propose: bool, push: bool, dry_run: bool, as_json: bool) -> None:
    """List the changed records of this checkout; --propose and --push bring them to the base branch."""
    from wheelyard.watch import records_request
    from wheelyard.watch.records_request import RecordsReport

    project = find_project()
    if propose or push:
        report = records_request.bring_out(project, push=push, dry_run=dry_run)
    else:
        files = tuple(records_request.changed(project))
        report = RecordsReport(action="changed" if files else "none", done=False, files=files)
    if as_json:
        click.echo(output.model(report))
        return
    for name in report.files:
        click.echo(name)
    action = "no record has changed" if report.action == "none" else report.action
    click.echo(" ".join(filter(None, [f"records: {action}", report.url, "(a dry run)" if dry_run else ""])))
