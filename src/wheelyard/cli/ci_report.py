"""``wheelyard ci report``: report the result of each job of a plan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from wheelyard.cli import output
from wheelyard.cli.options import dry_run_option, issues_option, json_option
from wheelyard.core.errors import WheelyardError
from wheelyard.io import files, log
from wheelyard.io.table import table_text
from wheelyard.project.config import find_project

if TYPE_CHECKING:
    from wheelyard.ci.outcome import CIReport

plan_option = click.option(
    "--plan",
    "plan_file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    default="dist/jobs/jobs.json",
    show_default=True,
    help="The plan that `ci plan --out` wrote.",
)


@click.command("report")
@plan_option
@click.option("--summary", metavar="FILE", type=click.Path(path_type=Path), help="Append the report as Markdown.")
@click.option("--junit", metavar="FILE", type=click.Path(path_type=Path), help="Write the report as JUnit's XML.")
@click.option("--pipeline", metavar="N", type=click.IntRange(1), help="Only the jobs of GitLab's pipeline N.")
@issues_option
@dry_run_option("With --issues: show the issues, change none.")
@json_option
def ci_report(
    plan_file: Path,
    summary: Path | None,
    junit: Path | None,
    pipeline: int | None,
    *,
    issues: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Report for each planned package why it was due and whether it is built, by the outcomes in dist/.

    `ci collect` puts the outcomes there. The exit code is 0 if all wheels are built, 43 if not.
    """
    from wheelyard.ci import report as reports
    from wheelyard.forges.sync_issues import issues_table, sync_error

    if dry_run and not issues:
        raise click.UsageError("--dry-run goes with --issues")
    project = find_project()
    report = reports.report(project, reports.read_plan(plan_file), pipeline)
    failure: WheelyardError | None = None
    if issues:
        try:
            report = reports.keep_issues(project, report, dry_run=dry_run)
            failure = sync_error(report.issues)
        except WheelyardError as error:
            failure = error
    if summary:
        files.append_text(summary, reports.markdown(report))
    if junit:
        files.write_bytes(junit, reports.junit(report))
    click.echo(output.model(report) if as_json else report_text(report))
    if issues and not as_json:
        click.echo(f"\n{issues_table(report.issues)}")
    output.raise_worst(reports.problem(report), failure)


def report_text(report: CIReport) -> str:
    """Return the result of each package, failures first, and the omissions with their reasons."""
    omissions = output.left_out(report.left_out)
    if not report.rows:
        return "\n".join(["nothing is to be built" if omissions else "nothing was due", *omissions])
    rows = [
        (
            row.package,
            row.version,
            row.why,
            row.result,
            f"{row.wheels} of {row.expected}",
            log.duration(row.seconds),
            row.line or "-",
        )
        for row in report.ordered
    ]
    table = table_text(("package", "version", "due why", "result", "wheels", "time", "message"), rows)
    return "\n".join([table, *omissions])
