"""``wheelyard preflight``: its words and its table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from wheelyard.core.errors import WheelyardError
from wheelyard.io import log
from wheelyard.project.config import find_project

if TYPE_CHECKING:
    from wheelyard.preflight.preflight_report import Preflight
    from wheelyard.project.config import Project


@click.command(short_help="Tell whether a build would come to its end.")
@click.argument("package", required=False)
@click.option("--version", "version", metavar="V", help="A version other than the newest locked one.")
@click.option("--changed", "span", metavar="BASE..HEAD", help="Each version whose inputs these commits change.")
@click.option("--force", is_flag=True, help="Look again, even if what was found last still holds.")
@click.option("--json", "as_json", is_flag=True, help="JSON on standard output; with --changed one object a line.")
def preflight(package: str | None, version: str | None, span: str | None, *, force: bool, as_json: bool) -> None:
    """Tell whether a version of PACKAGE would get through a build, and which line of the recipe to change if not.

    Nothing is compiled for riscv64 and nothing is locked. The exit code is 21 if something fails.
    """
    from wheelyard.cli import render
    from wheelyard.preflight import preflight_package as flow

    if (package is None) == (span is None):
        raise click.UsageError("name a package, or say --changed")
    project = find_project()
    if package:
        result = flow.preflight(project, package, version, fresh=force)
        click.echo(render.model(result) if as_json else findings_table(result))
        if failure := flow.problem(result):
            raise failure
        return
    if version:
        raise click.UsageError("--changed and --version exclude each other")
    failures = _of_range(project, span or "", fresh=force, as_json=as_json)
    for failure in failures[1:]:
        log.error(str(failure))
    if failures:
        raise failures[0]


def _of_range(project: Project, span: str, *, fresh: bool, as_json: bool) -> list[WheelyardError]:
    """Show every result as soon as it is there; return what is wrong. One package does not keep the others back."""
    from wheelyard.planning import changed
    from wheelyard.planning.planner import site_image
    from wheelyard.preflight import preflight_package as flow

    found = changed.changed(project, span, image=site_image(project))
    failures = list(found.problems)
    shown = 0
    for package, version in changed.touched(found):
        try:
            result = flow.preflight(project, package, version, fresh=fresh)
        except WheelyardError as error:
            failures.append(error)
            continue
        shown += 1
        click.echo(result.model_dump_json(by_alias=True) if as_json else f"{findings_table(result)}\n")
        if failure := flow.problem(result):
            failures.append(failure)
    if not shown and not failures and not as_json:
        click.echo("nothing is touched")
    return failures


def findings_table(result: Preflight) -> str:
    """Return a result for people: every step, then the single things, then what to do."""
    found = result.findings
    parts = [
        log.clean(f"{result.package} {result.package_version}").rstrip(),
        log.table(("step", "", "what", "where"), [(each.step, each.state, each.text, each.where) for each in found]),
    ]
    if details := [(each.step, line) for each in found for line in each.details]:
        parts.append(log.table(("step", "in detail"), details))
    if fixes := dict.fromkeys((each.where or each.step, each.fix) for each in found if each.fix):
        parts.append(log.table(("where", "to do"), fixes))
    return "\n\n".join(parts)
