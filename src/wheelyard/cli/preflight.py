"""``wheelyard preflight``: its words and its table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from wheelyard.io import log
from wheelyard.recipe.policy import find_project

if TYPE_CHECKING:
    from wheelyard.record.preflight import Preflight


@click.command(short_help="Tell whether a build would come to its end.")
@click.argument("package")
@click.option("--version", "version", metavar="V", help="A version other than the newest locked one.")
@click.option("--force", is_flag=True, help="Look again, even if what was found last still holds.")
@click.option("--json", "as_json", is_flag=True, help="JSON on standard output.")
def preflight(package: str, version: str | None, *, force: bool, as_json: bool) -> None:
    """Tell whether a version of PACKAGE would get through a build, and which line of the recipe to change if not.

    Nothing is compiled for riscv64 and nothing is locked. The exit code is 21 if something fails.
    """
    from wheelyard.cli import render
    from wheelyard.flows import preflight as flow

    result = flow.preflight(find_project(), package, version, fresh=force)
    click.echo(render.model(result) if as_json else findings_table(result))
    if failure := flow.problem(result):
        raise failure


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
