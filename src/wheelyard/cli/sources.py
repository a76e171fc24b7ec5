"""``wheelyard sources``: the sources of copyleft libraries in wheels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from wheelyard.core.errors import PublishError
from wheelyard.project.config import find_project

if TYPE_CHECKING:
    from wheelyard.records.copyleft_sources import SourcesReport


@click.command(short_help="Put the sources of copyleft libraries in wheels beside them.")
@click.argument("packages", nargs=-1)
@click.option(
    "--to",
    "target",
    required=True,
    metavar="REGISTRY|DIR",
    help="A registry of the site configuration, or an index folder.",
)
@click.option("--dry-run", is_flag=True, help="Show what would be fetched, write nothing.")
@click.option("--json", "as_json", is_flag=True, help="JSON on standard output.")
def sources(packages: tuple[str, ...], target: str, *, dry_run: bool, as_json: bool) -> None:
    """Store the source packages of the copyleft libraries that PACKAGES' wheels (all by default) got from the image."""
    from wheelyard.cli import render
    from wheelyard.registries.publish_sources import store_sources

    report = store_sources(find_project(), packages, target, dry_run=dry_run)
    click.echo(render.model(report) if as_json else _shown(report))
    if report.unknown:
        raise PublishError(
            f"{len(report.unknown)} libraries are not from a package of the build image",
            details=report.unknown,
            fix="look at their licences, then name them in cleared-grafts in [tool.wheelyard]",
        )


def _shown(report: SourcesReport) -> str:
    lines = [f"{file.name} {file.version}  {file.file}  {file.url}" for file in report.stored]
    lines += [f"{name}  {'would be fetched' if report.dry_run else 'is missing'}" for name in report.missing]
    return "\n".join(lines) or "no source is owed"
