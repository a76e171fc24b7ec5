"""``wheelyard registry index``: write static index pages for a registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from wheelyard.cli.options import out_option, registry_option
from wheelyard.project.config import find_project

if TYPE_CHECKING:
    from pathlib import Path

    from wheelyard.registries.write_static_index import Front


@click.command("index")
@registry_option
@out_option("The folder to write; made if it does not exist.", required=True)
def registry_index(registry: str | None, out: Path) -> None:
    """Write static index pages for a registry: JSON, yanks, one link per package."""
    from wheelyard.registries.open_registry import open_configured
    from wheelyard.registries.write_static_index import write_index

    project = find_project()
    click.echo(index_text(write_index(project, open_configured(project, registry), out)))


def index_text(index: Front) -> str:
    """Return the number of listed files, and how to install from the index."""
    simple = (index.folder.resolve() / "simple").as_uri()
    lines = [f"left out: {reason}" for reason in index.left_out]
    lines.append(f"{index.files} files of {index.packages} packages in {index.folder}; {index.changed} pages changed")
    if index.private:
        lines.append("the project is private: installers need a login for its files, in ~/.netrc")
    return "\n".join([*lines, "", f"pip install PACKAGE --prefer-binary --extra-index-url {simple}/"])
