"""``wheelyard sources``: publish the sources of copyleft libraries in wheels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from wheelyard.cli import output
from wheelyard.cli.options import dry_run_option, json_option, packages_argument, to_option
from wheelyard.core.errors import PublishError
from wheelyard.project.config import find_project

if TYPE_CHECKING:
    from wheelyard.records.copyleft_sources import SourcesReport


@click.command()
@packages_argument
@to_option
@dry_run_option("Show which sources would be fetched, write nothing.")
@json_option
def sources(packages: tuple[str, ...], target: str, *, dry_run: bool, as_json: bool) -> None:
    """Publish the source packages of the copyleft libraries that the wheels of PACKAGE got from the build image.

    By default for every package.
    """
    from wheelyard.registries.publish_sources import store_sources

    report = store_sources(find_project(), packages, target, dry_run=dry_run)
    click.echo(output.model(report) if as_json else sources_text(report))
    if report.unknown:
        raise PublishError(
            f"{len(report.unknown)} libraries are not from a package of the build image",
            details=report.unknown,
            fix="look at their licences, then name them in cleared-grafts in [tool.wheelyard]",
        )


def sources_text(report: SourcesReport) -> str:
    """Return a line for each stored and each missing source."""
    lines = [f"{file.name} {file.version}  {file.file}  {file.url}" for file in report.stored]
    lines += [f"{name}  {'would be fetched' if report.dry_run else 'is missing'}" for name in report.missing]
    return "\n".join(lines) or "no source is owed"
