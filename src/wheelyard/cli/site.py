"""``wheelyard site``: write the pages that show the published wheels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from wheelyard.cli.options import out_option
from wheelyard.project.config import find_project

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@out_option("The folder to write; made if it does not exist.", required=True)
@click.option(
    "--registry", metavar="REGISTRY|DIR", help="Write the index pages of this registry there, too; this reads it."
)
def site(out: Path, registry: str | None) -> None:
    """Write the pages: one for each package, an overview, and packages.json; from records only."""
    from wheelyard.site.build_site import make_site

    project = find_project()
    report = make_site(project, out)
    click.echo(f"{report.folder}: {report.files} files of {report.packages} packages; {report.changed} pages changed")
    if registry is not None:
        from wheelyard.cli.registry_index import index_text
        from wheelyard.registries.open_registry import open_configured
        from wheelyard.registries.write_static_index import write_index

        click.echo(index_text(write_index(project, open_configured(project, registry), out)))
