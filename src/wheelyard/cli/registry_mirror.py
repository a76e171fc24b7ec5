"""``wheelyard registry mirror``: copy wheels from one registry into another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from wheelyard.cli import output
from wheelyard.cli.options import dry_run_option, packages_argument, registry_option, to_option
from wheelyard.project.config import find_project

if TYPE_CHECKING:
    from wheelyard.registries.mirror import Mirroring


@click.command("mirror")
@packages_argument
@registry_option
@to_option
@dry_run_option("Show which files would be copied, write nothing.")
def registry_mirror(packages: tuple[str, ...], registry: str | None, target: str, *, dry_run: bool) -> None:
    """Copy the wheels of PACKAGE, by default of every package, from one registry into another."""
    from wheelyard.registries import mirror
    from wheelyard.registries.open_registry import open_configured, open_registry

    project = find_project()
    result = mirror.mirror(
        project, open_configured(project, registry), open_registry(project, target), packages, dry_run=dry_run
    )
    click.echo(mirror_text(result, target))
    output.raise_all("not copied", result.refused, complete=result.complete)


def mirror_text(result: Mirroring, target: str) -> str:
    """Return the copied files."""
    would = "would be " if result.dry_run else ""
    lines = [f"{would}copied: {file}" for file in result.copied]
    lines += [f"{would}yanked: {file}" for file in result.yanked]
    lines.append(f"{target}: {len(result.copied)} {would}copied, {result.there} there before")
    if result.recorded and not result.dry_run and (result.copied or result.yanked):
        lines.append(output.COMMIT)
    if not result.complete:
        lines.append("the same command goes on where this one stopped")
    return "\n".join(lines)
