"""``wheelyard registry list``: show the published files."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

import click

from wheelyard.cli import output
from wheelyard.cli.options import json_option, packages_argument, registry_option
from wheelyard.io.table import table_text
from wheelyard.project.config import find_project

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wheelyard.registries.registry_reports import ListedFile, RegistryListing


@click.command("list")
@packages_argument
@registry_option
@click.option("--sizes", is_flag=True, help="Ask GitLab's packages API for sizes that the index does not list; slow.")
@json_option
def registry_list(packages: tuple[str, ...], registry: str | None, *, sizes: bool, as_json: bool) -> None:
    """Show the published files of PACKAGE, by default of every package."""
    from wheelyard.registries.list_registry import list_registry
    from wheelyard.registries.open_registry import open_configured

    project = find_project()
    listing = list_registry(project, open_configured(project, registry), packages, sizes=sizes)
    click.echo(output.model(listing.report) if as_json else listing_text(listing.report))
    output.raise_all("packages cannot be listed", listing.unreadable)


def listing_text(report: RegistryListing) -> str:
    """Return a line for each version of each package."""
    rows = []
    for package, files in report.packages.items():
        for version, group in groupby(files, key=lambda file: file.version):
            rows.append((package, version or "?", *_version(list(group))))
            package = ""  # noqa: PLW2901 - shown once
    count = sum(map(len, report.packages.values()))
    unhashed = sum(file.sha256 is None for files in report.packages.values() for file in files)
    end = f"{count} files of {len(report.packages)} packages"
    if unhashed:
        end += f"; {unhashed} without a sha256, which no installer can check"
    columns = ("package", "version", "for", "files", "size", "notes")
    table = table_text(columns, rows) if rows else "the registry is empty"
    return f"{table}\n\n{end}"


def _version(files: Sequence[ListedFile]) -> tuple[str, int, str, str]:
    pairs = sorted({pair for file in files for pair in file.interpreters})
    tags = [left if left == right else f"{left} {right}" for left, _, right in (pair.partition("-") for pair in pairs)]
    sizes = [file.size for file in files if file.size is not None]
    size = _amount(sum(sizes)) if len(sizes) == len(files) else "unknown"
    reasons = {file.yanked for file in files if file.yanked is not None}
    notes = [f"yanked: {'; '.join(sorted(reasons))}"] if reasons else []
    unhashed = sum(file.sha256 is None for file in files)
    notes += [f"{unhashed} without a sha256"] if unhashed else []
    return ", ".join(tags) or "-", len(files), size, ", ".join(notes)


def _amount(size: int) -> str:
    return f"{size / 1e3:.0f} kB" if size < 1e6 else f"{size / 1e6:.1f} MB"  # noqa: PLR2004 - a megabyte
