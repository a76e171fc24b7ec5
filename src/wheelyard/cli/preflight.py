"""``wheelyard preflight``: check whether a build would succeed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from wheelyard.cli import output
from wheelyard.cli.options import version_option
from wheelyard.core.errors import WheelyardError
from wheelyard.io import log
from wheelyard.io.table import table_text
from wheelyard.project.config import find_project

if TYPE_CHECKING:
    from wheelyard.preflight.preflight_report import PreflightReport
    from wheelyard.project.config import Project


@click.command()
@click.argument("package", required=False)
@version_option
@click.option("--changed", "span", metavar="BASE..HEAD", help="Each version whose inputs these commits change.")
@click.option("--force", is_flag=True, help="Check again, even if the last result still holds.")
@click.option("--json", "as_json", is_flag=True, help="JSON on standard output; with --changed one object a line.")
def preflight(package: str | None, version: str | None, span: str | None, *, force: bool, as_json: bool) -> None:
    """Check whether a build of PACKAGE would succeed, and show which line of the recipe to change if not.

    Nothing is compiled for riscv64 and nothing is locked. The exit code is 21 if something fails.
    """
    from wheelyard.preflight import preflight_package

    if (package is None) == (span is None):
        raise click.UsageError("name a package, or give --changed")
    project = find_project()
    if package:
        result = preflight_package.preflight(project, package, version, fresh=force)
        click.echo(output.model(result) if as_json else preflight_text(result))
        if failure := preflight_package.problem(result):
            raise failure
        return
    if version:
        raise click.UsageError("--changed and --version exclude each other")
    failures = _preflight_range(project, span or "", fresh=force, as_json=as_json)
    for failure in failures[1:]:
        log.error(str(failure))
    if failures:
        raise failures[0]


def _preflight_range(project: Project, span: str, *, fresh: bool, as_json: bool) -> list[WheelyardError]:
    """Show each result as soon as it is complete; return the errors. A failing package does not end the run."""
    from wheelyard.planning import changed
    from wheelyard.planning.planner import site_image
    from wheelyard.preflight import preflight_package

    selection = changed.changed(project, span, image=site_image(project))
    failures = list(selection.problems)
    results = 0
    for package, version in changed.touched(selection):
        try:
            result = preflight_package.preflight(project, package, version, fresh=fresh)
        except WheelyardError as error:
            failures.append(error)
            continue
        results += 1
        click.echo(result.model_dump_json(by_alias=True) if as_json else f"{preflight_text(result)}\n")
        if failure := preflight_package.problem(result):
            failures.append(failure)
    if not results and not failures and not as_json:
        click.echo("no package is changed")
    return failures


def preflight_text(result: PreflightReport) -> str:
    """Return a result for people: every step, then the details, then the fixes."""
    findings = result.findings
    rows = [(finding.step, finding.state, finding.text, finding.where) for finding in findings]
    parts = [
        log.clean(f"{result.package} {result.package_version}").rstrip(),
        table_text(("step", "", "result", "where"), rows),
    ]
    if details := [(finding.step, line) for finding in findings for line in finding.details]:
        parts.append(table_text(("step", "in detail"), details))
    if fixes := dict.fromkeys((finding.where or finding.step, finding.fix) for finding in findings if finding.fix):
        parts.append(table_text(("where", "to do"), fixes))
    return "\n\n".join(parts)
