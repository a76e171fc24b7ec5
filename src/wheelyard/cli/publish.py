"""``wheelyard publish``: publish passing wheels to a registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from wheelyard.cli import output
from wheelyard.cli.options import dry_run_option, json_option, packages_argument, to_option
from wheelyard.project.config import find_project

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wheelyard.registries import Upload
    from wheelyard.registries.publish_wheels import Publication


@click.command()
@packages_argument
@to_option
@dry_run_option("Show the same table, write nothing.")
@json_option
def publish(packages: tuple[str, ...], target: str, *, dry_run: bool, as_json: bool) -> None:
    """Publish the passing wheels of PACKAGE, by default of every package, to a registry."""
    from wheelyard.registries import publish_wheels

    def show_uploads(uploads: Sequence[Upload]) -> None:
        if not as_json:
            click.echo(uploads_text(uploads))

    def show_publication(publication: Publication) -> None:
        click.echo(output.model(publication.report()) if as_json else publication_text(publication))

    report = publish_wheels.publish_packages(
        find_project(), packages, target, dry_run=dry_run, show=show_uploads, advance=show_publication
    )
    if failure := publish_wheels.problem(report):
        raise failure


def uploads_text(uploads: Sequence[Upload]) -> str:
    """Return the planned action for each wheel."""
    from wheelyard.registries import uploads_table

    return uploads_table(uploads) if uploads else "no wheel may go"


def publication_text(report: Publication) -> str:
    """Return the result of an upload, and how to install from the registry."""
    from wheelyard.registries.publish_wheels import counted

    if report.dry_run:
        return "\na dry run: nothing was written"
    counts = ", ".join(f"{number} {outcome}" for outcome, number in counted(report.outcomes).items() if number)
    lines = ["", f"{report.registry.adapter.title}: {counts or 'nothing was published'}"]
    lines += [f"recorded in {path}" for path in report.recorded]
    lines += ["", f"pip install PACKAGE --prefer-binary --extra-index-url {report.registry.adapter.index_url}"]
    return "\n".join(lines)
