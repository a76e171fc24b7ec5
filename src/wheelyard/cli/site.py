"""``wheelyard site``: its words."""

from __future__ import annotations

from pathlib import Path

import click

from wheelyard.project.config import find_project


@click.command(short_help="Write the pages that show what is published.")
@click.option(
    "--to",
    "folder",
    required=True,
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder; made if need be.",
)
@click.option(
    "--of", "target", metavar="REGISTRY|DIR", help="Write the index pages of this registry there, too: it is asked."
)
def site(folder: Path, target: str | None) -> None:
    """Write the pages into DIR: one for each package, an overview, and packages.json; from records only."""
    from wheelyard.site.build_site import make_site

    project = find_project()
    report = make_site(project, folder)
    click.echo(f"{report.folder}: {report.files} files of {report.packages} packages; {report.changed} pages changed")
    if target is not None:
        from wheelyard.cli import render_registry
        from wheelyard.registries.open_registry import open_configured
        from wheelyard.registries.write_static_index import write_index

        click.echo(render_registry.front(write_index(project, open_configured(project, target), folder)))
