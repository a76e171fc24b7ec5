"""``wheelyard registry smoke-test``: install published wheels with pip, and import them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from wheelyard.cli import output
from wheelyard.cli.options import image_option, json_option, packages_argument, python_option, registry_option
from wheelyard.io.table import table_text
from wheelyard.project.config import find_project

if TYPE_CHECKING:
    from wheelyard.core.tags import Interpreter
    from wheelyard.registries.smoke_test_report import SmokeTestReport


@click.command("smoke-test")
@packages_argument
@registry_option
@python_option
@click.option("--newest", type=click.IntRange(1), default=1, show_default=True, help="Versions of each package.")
@image_option
@json_option
def registry_smoke_test(
    packages: tuple[str, ...],
    registry: str | None,
    pythons: tuple[Interpreter, ...],
    newest: int,
    image: str | None,
    *,
    as_json: bool,
) -> None:
    """Install the newest version of PACKAGE, by default of every package, with pip on riscv64, and import it."""
    from wheelyard.registries import smoke_test
    from wheelyard.registries.open_registry import open_configured

    project = find_project()
    opened = open_configured(project, registry)
    report = smoke_test.try_registry(project, opened, packages, pythons=pythons, newest=newest, image=image)
    click.echo(output.model(report) if as_json else smoke_test_text(report))
    if problem := smoke_test.problem(report):
        raise problem


def smoke_test_text(report: SmokeTestReport) -> str:
    """Return the result of each published version with each interpreter."""
    rows = [
        (result.package, result.version, result.interpreter, result.state, result.text) for result in report.results
    ]
    failed = sum(result.state != "ok" for result in report.results)
    columns = ("package", "version", "for", "smoke test", "message")
    lines = [table_text(columns, rows)] if rows else ["nothing was tested"]
    if report.left_out:
        lines += ["", f"no wheel for an interpreter of {report.image}: {', '.join(report.left_out)}"]
    return "\n".join([*lines, "", f"{len(rows)} tested in {report.image}, {failed} failed"])
