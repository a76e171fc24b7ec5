"""``wheelyard registry yank``: mark a version so that installers skip it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from wheelyard.cli import output
from wheelyard.cli.options import registry_option
from wheelyard.io import log
from wheelyard.project.config import find_project

if TYPE_CHECKING:
    from wheelyard.registries.prune import Yanked


@click.command("yank")
@click.argument("package")
@click.argument("version")
@registry_option
@click.option("--reason", default="", metavar="TEXT", help="The reason; installers show it.")
@click.option("--undo", is_flag=True, help="Remove the mark.")
def registry_yank(package: str, version: str, registry: str | None, reason: str, *, undo: bool) -> None:
    """Mark PACKAGE VERSION as yanked: installers skip it unless exactly that version is asked for."""
    from wheelyard.registries import prune
    from wheelyard.registries.open_registry import open_configured

    reason = " ".join(log.clean(reason).split())
    if undo and reason:
        raise click.UsageError("--undo takes no reason")
    if not undo and not reason:
        raise click.UsageError("--reason TEXT is needed: installers show it to people")
    project = find_project()
    opened = open_configured(project, registry)
    result = prune.yank(project, opened, package, version, None if undo else reason)
    click.echo(yank_text(result, opened.name, undo=undo))


def yank_text(result: Yanked, registry: str, *, undo: bool) -> str:
    """Return the marked files, and where installers see the mark."""
    lines = [f"{'no longer yanked' if undo else 'yanked'}: {file}" for file in result.files]
    if not result.shown:
        command = f"wheelyard registry index --registry {registry} --out DIR"
        lines.append(f"{registry} cannot show it; write our index anew: {command}")
    if result.recorded:
        lines.append(output.COMMIT)
    return "\n".join(lines)
