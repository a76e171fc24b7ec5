"""``wheelyard audit``: its words and its table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from wheelyard.core.errors import WheelyardError
from wheelyard.io import log
from wheelyard.project.config import find_project

if TYPE_CHECKING:
    from wheelyard.security.vulnerability_report import AuditReport


@click.command(short_help="Tell which published versions have known vulnerabilities.")
@click.argument("packages", metavar="[PACKAGE...]", nargs=-1)
@click.option("--issues", is_flag=True, help="Keep one issue for each package that has any; closed when it has none.")
@click.option("--dry-run", is_flag=True, help="With --issues: say what would become of each, change nothing.")
@click.option("--json", "as_json", is_flag=True, help="JSON on standard output.")
def audit(packages: tuple[str, ...], *, issues: bool, dry_run: bool, as_json: bool) -> None:
    """Tell which published versions of PACKAGE, of all by default, have known vulnerabilities, by OSV's database.

    What is published is what packages/<pkg>/releases.toml lists and is not yanked. The exit code is 0 if nothing is
    known that the site configuration does not ignore, 67 if something is.
    """
    from wheelyard.cli import render
    from wheelyard.forges import sync_issues
    from wheelyard.security import audit as flow

    if dry_run and not issues:
        raise click.UsageError("--dry-run goes with --issues")
    if issues and packages:
        raise click.UsageError("--issues goes with no PACKAGE: issues of the others would be closed")
    project = find_project()
    report = flow.audit(project, packages)
    failure: WheelyardError | None = None
    if issues:
        try:
            report = flow.keep_issues(project, report, dry_run=dry_run)
            failure = sync_issues.problem(report.issues)
        except WheelyardError as error:
            failure = error
    if as_json:
        click.echo(render.model(report))
    else:
        click.echo(audit_text(report))
        if report.issues or (issues and not failure):
            click.echo(f"\n{sync_issues.tickets_table(report.issues)}")
    render.end(flow.problem(report), failure)


def audit_text(report: AuditReport) -> str:
    """Return what is known, for people; what is ignored stands at the end of it."""
    lines = [f"{report.versions} published versions of {report.packages} packages"]
    if report.vulnerabilities:
        rows = [
            (each.package, each.version, each.id, ", ".join(each.fixed) or "-", each.summary or each.url)
            for each in report.counting
        ]
        rows += [
            (each.package, each.version, each.id, ", ".join(each.fixed) or "-", f"ignored until {each.ignored.until}")
            for each in report.vulnerabilities
            if each.ignored
        ]
        lines += ["", log.table(("package", "version", "vulnerability", "fixed in", "what"), rows)]
    else:
        lines.append("no vulnerability of them is known")
    if report.expired:
        lines += ["", f"to take out of [[tool.wheelyard.audit.ignore]]: {', '.join(report.expired)}"]
    return "\n".join(lines)
