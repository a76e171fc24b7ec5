"""``wheelyard audit``: report published versions with known vulnerabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from wheelyard.cli import output
from wheelyard.cli.options import dry_run_option, issues_option, json_option, packages_argument
from wheelyard.core.errors import WheelyardError
from wheelyard.io.table import table_text
from wheelyard.project.config import find_project

if TYPE_CHECKING:
    from wheelyard.security.vulnerability_report import AuditReport


@click.command()
@packages_argument
@issues_option
@dry_run_option("With --issues: show the issues, change none.")
@json_option
def audit(packages: tuple[str, ...], *, issues: bool, dry_run: bool, as_json: bool) -> None:
    """Report which published versions of PACKAGE, by default of all, have known vulnerabilities, by OSV's database.

    Published are the versions that packages/<pkg>/releases.toml lists and that are not yanked. The exit code is 0 if
    there is no vulnerability that the site configuration does not ignore, 67 if there is one.
    """
    from wheelyard.forges import sync_issues
    from wheelyard.security import audit as vulnerabilities

    if dry_run and not issues:
        raise click.UsageError("--dry-run goes with --issues")
    if issues and packages:
        raise click.UsageError("--issues goes with no PACKAGE: issues of the others would be closed")
    project = find_project()
    report = vulnerabilities.audit(project, packages)
    failure: WheelyardError | None = None
    if issues:
        try:
            report = vulnerabilities.keep_issues(project, report, dry_run=dry_run)
            failure = sync_issues.sync_error(report.issues)
        except WheelyardError as error:
            failure = error
    if as_json:
        click.echo(output.model(report))
    else:
        click.echo(audit_text(report))
        if report.issues or (issues and not failure):
            click.echo(f"\n{sync_issues.issues_table(report.issues)}")
    output.raise_worst(vulnerabilities.problem(report), failure)


def audit_text(report: AuditReport) -> str:
    """Return the known vulnerabilities for people; ignored ones come last."""
    lines = [f"{report.versions} published versions of {report.packages} packages"]
    if report.vulnerabilities:
        entries = [(entry, entry.summary or entry.url) for entry in report.counting]
        entries += [
            (entry, f"ignored until {entry.ignored.until}") for entry in report.vulnerabilities if entry.ignored
        ]
        rows = [
            (entry.package, entry.version, entry.id, ", ".join(entry.fixed) or "-", text) for entry, text in entries
        ]
        lines += ["", table_text(("package", "version", "vulnerability", "fixed in", "what"), rows)]
    else:
        lines.append("no vulnerability of them is known")
    if report.expired:
        lines += ["", f"to take out of [[tool.wheelyard.audit.ignore]]: {', '.join(report.expired)}"]
    return "\n".join(lines)
