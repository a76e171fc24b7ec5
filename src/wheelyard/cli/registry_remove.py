"""``wheelyard registry remove``: delete single files that should not be there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from wheelyard.cli.options import delete_option, registry_option
from wheelyard.io.table import table_text
from wheelyard.project.config import find_project

if TYPE_CHECKING:
    from wheelyard.registries.remove import Removal


@click.command("remove")
@click.argument("package")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@registry_option
@click.option("--keep-copy", "copy", default="", metavar="SHA256", help="Of different copies, the one that stays.")
@delete_option
def registry_remove(package: str, files: tuple[str, ...], registry: str | None, copy: str, *, delete: bool) -> None:
    """Delete FILEs of PACKAGE that no record lists, and second copies of recorded files."""
    from wheelyard.registries import remove
    from wheelyard.registries.open_registry import open_configured

    project = find_project()
    result = remove.remove(project, open_configured(project, registry), package, files, keep=copy, delete=delete)
    click.echo(removal_text(result))


def removal_text(result: Removal) -> str:
    """Return the action for each file."""
    rows = [
        ("delete", file.file, file.copies, f"sha256 {file.staying}" if file.staying else "nothing")
        for file in result.files
    ]
    count = f"{sum(file.copies for file in result.files)} files of {result.package}"
    end = f"would be deleted: {count}; nothing was, without --delete" if result.dry_run else f"deleted: {count}"
    return f"{table_text(('', 'file', 'copies', 'stays'), rows)}\n\n{end}"
