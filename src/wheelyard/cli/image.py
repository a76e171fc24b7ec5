"""``wheelyard image …``: the build images of this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from wheelyard.cli import output
from wheelyard.cli.options import json_option
from wheelyard.io.table import table_text
from wheelyard.project.config import find_project

if TYPE_CHECKING:
    from wheelyard.images.manage_images import ImagesReport


@click.group()
def image() -> None:
    """List, make and remove build images."""


@image.command("list")
@json_option
def image_list(*, as_json: bool) -> None:
    """Show the images on this machine, and the image that builds use."""
    from wheelyard.images.manage_images import list_images

    report = list_images(find_project())
    click.echo(output.model(report) if as_json else images_text(report))


@image.command("build")
@click.argument("choice", metavar="[IMAGE]", required=False)
def image_build(choice: str | None) -> None:
    """Pull or make IMAGE, by default that of the site configuration."""
    from wheelyard.images.manage_images import build_image

    click.echo(build_image(find_project(), choice).reference)


@image.command("remove")
@click.argument("references", metavar="REFERENCE...", nargs=-1)
@click.option("--all", "every", is_flag=True, help="Every local image.")
def image_remove(references: tuple[str, ...], *, every: bool) -> None:
    """Remove images from this machine."""
    from wheelyard.images.manage_images import remove_images

    if not references and not every:
        raise click.UsageError("name an image, or --all")
    for reference in remove_images(references, every=every):
        click.echo(f"removed {reference}")


def images_text(report: ImagesReport) -> str:
    """Return a line per image; a star marks the image that builds use."""
    rows = [
        (
            "*" if info.reference == report.chosen else "",
            info.reference,
            info.labels.get("wheelyard.image.interpreters", ""),
            f"{info.size / 1e6:.0f} MB",
            info.digest,
        )
        for info in report.stored
    ]
    if report.chosen not in {info.reference for info in report.stored}:
        rows.insert(0, ("*", report.chosen, " ".join(report.interpreters), "-", "not here yet"))
    return table_text(("", "image", "interpreters", "size", "digest"), rows)
