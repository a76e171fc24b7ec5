"""``wheelyard registry prune``: delete versions that the site configuration does not keep."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from wheelyard.cli import output
from wheelyard.cli.options import delete_option, packages_argument, registry_option
from wheelyard.io.table import table_text
from wheelyard.project.config import find_project

if TYPE_CHECKING:
    from wheelyard.registries.prune import Pruned


@click.command("prune")
@packages_argument
@registry_option
@click.option("--keep", type=click.IntRange(1), metavar="N", help="Versions to keep, instead of the configured number.")
@delete_option
def registry_prune(packages: tuple[str, ...], registry: str | None, keep: int | None, *, delete: bool) -> None:
    """Delete the versions of PACKAGE, by default of every package, that the site configuration does not keep."""
    from wheelyard.registries import prune
    from wheelyard.registries.open_registry import open_configured

    project = find_project()
    result = prune.prune(project, open_configured(project, registry), packages, keep=keep, delete=delete)
    click.echo(prune_text(result))
    output.raise_all("not deleted", result.refused, complete=result.complete)


def prune_text(result: Pruned) -> str:
    """Return the action for each version."""
    rows = [
        (
            "keep" if version.reason else "delete",
            version.project,
            version.version,
            len(version.files),
            version.reason,
        )
        for version in result.plan
    ]
    doomed = result.deleted if not result.dry_run else [version for version in result.plan if not version.reason]
    count = f"{len(doomed)} versions, {sum(len(version.files) for version in doomed)} files"
    if not result.keep:
        end = "site configuration keeps all versions (keep = 0); --keep N keeps N"
    elif result.dry_run:
        end = f"would be deleted: {count}; nothing was, without --delete"
    else:
        end = f"deleted: {count}" + (f"; {output.COMMIT}" if doomed and result.recorded else "")
    columns = ("", "package", "version", "files", "why")
    table = table_text(columns, rows) if rows else "the registry is empty"
    return f"{table}\n\n{end}"
