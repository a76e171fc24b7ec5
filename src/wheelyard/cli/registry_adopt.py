"""``wheelyard registry adopt``: record published files that no record lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from wheelyard.cli import output
from wheelyard.cli.options import packages_argument, registry_option
from wheelyard.project.config import find_project

if TYPE_CHECKING:
    from wheelyard.registries.adopt_registry import Adoption


@click.command("adopt")
@packages_argument
@registry_option
def registry_adopt(packages: tuple[str, ...], registry: str | None) -> None:
    """Record the published files of PACKAGE, by default of every package, that no record lists."""
    from wheelyard.registries import adopt_registry
    from wheelyard.registries.open_registry import open_configured

    project = find_project()
    adoption = adopt_registry.adopt(project, open_configured(project, registry), packages)
    click.echo(adoption_text(adoption))
    output.raise_all("not recorded", adoption.refused)


def adoption_text(adoption: Adoption) -> str:
    """Return the files that are recorded now."""
    lines = [f"recorded: {file}" for file in adoption.adopted]
    end = f"{len(adoption.adopted)} recorded"
    return "\n".join([*lines, f"{end}; {output.COMMIT}" if lines else end])
