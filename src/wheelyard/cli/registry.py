"""``wheelyard registry …``: what a registry has, whether it is right, and what leaves or enters it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from wheelyard.core.errors import RegistryContentError
from wheelyard.io import log
from wheelyard.project.config import find_project

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wheelyard.core.errors import WheelyardError

of_option = click.option(
    "--of", "target", metavar="REGISTRY|DIR", help="Which registry; the only one of the site configuration by default."
)
json_option = click.option("--json", "as_json", is_flag=True, help="JSON on standard output.")
packages_argument = click.argument("packages", nargs=-1)


@click.group()
def registry() -> None:
    """List, verify, yank, prune and copy what is published."""


@registry.command("list", short_help="Show what is there.")
@packages_argument
@of_option
@click.option("--sizes", is_flag=True, help="Ask GitLab's packages API for sizes that nothing else knows; slow.")
@json_option
def list_(packages: tuple[str, ...], target: str | None, *, sizes: bool, as_json: bool) -> None:
    """Show the files of PACKAGES, all by default."""
    from wheelyard.cli import render, render_registry
    from wheelyard.registries.inspect_registry import list_registry
    from wheelyard.registries.open_registry import open_configured

    project = find_project()
    listing = list_registry(project, open_configured(project, target), packages, sizes=sizes)
    click.echo(render.model(listing.report) if as_json else render_registry.listing(listing.report))
    _refuse("packages cannot be listed", listing.unreadable)


@registry.command(short_help="Compare it with our records.")
@packages_argument
@of_option
@click.option("--download", is_flag=True, help="Read every file back, and hash it.")
@json_option
def verify(packages: tuple[str, ...], target: str | None, *, download: bool, as_json: bool) -> None:
    """Compare a registry with our records of PACKAGES, all by default."""
    from wheelyard.cli import render, render_registry
    from wheelyard.registries.inspect_registry import verify_registry
    from wheelyard.registries.open_registry import open_configured

    project = find_project()
    report = verify_registry(project, open_configured(project, target), packages, download=download)
    click.echo(render.model(report) if as_json else render_registry.verification(report))
    if not report.ok:
        raise RegistryContentError(
            f"{len(report.problems)} problem(s) in {report.registry}", fix="each has its fix above"
        )


@registry.command(short_help="Record what is there and not recorded.")
@packages_argument
@of_option
def adopt(packages: tuple[str, ...], target: str | None) -> None:
    """Record what is there and not recorded, of PACKAGES, all by default."""
    from wheelyard.cli import render_registry
    from wheelyard.registries import inspect_registry as flow
    from wheelyard.registries.open_registry import open_configured

    project = find_project()
    result = flow.adopt(project, open_configured(project, target), packages)
    click.echo(render_registry.adopted(result))
    _refuse("not recorded", result.refused)


@registry.command("try", short_help="Install what is there with pip, and import it.")
@packages_argument
@of_option
@click.option("--python", "pythons", metavar="TAG", multiple=True, help="Only this interpreter, such as cp313.")
@click.option("--newest", type=click.IntRange(1), default=1, show_default=True, help="Versions of each package.")
@click.option("--image", metavar="IMAGE", help="auto, official, local, local:forky …")
@json_option
def try_(
    packages: tuple[str, ...],
    target: str | None,
    pythons: tuple[str, ...],
    newest: int,
    image: str | None,
    *,
    as_json: bool,
) -> None:
    """Install the newest version of PACKAGES, all by default, with pip on riscv64, and import their modules."""
    from wheelyard.cli import render, render_registry
    from wheelyard.core.tags import Interpreter
    from wheelyard.registries import smoke_test as flow
    from wheelyard.registries.open_registry import open_configured

    try:
        wanted = tuple(map(Interpreter.parse, pythons))
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    project = find_project()
    opened = open_configured(project, target)
    report = flow.try_registry(project, opened, packages, pythons=wanted, newest=newest, image=image)
    click.echo(render.model(report) if as_json else render_registry.trial(report))
    if problem := flow.problem(report):
        raise problem


@registry.command(short_help="Delete versions beyond the number to keep.")
@packages_argument
@of_option
@click.option(
    "--keep", type=click.IntRange(1), metavar="N", help="Versions to keep, instead of the site configuration's number."
)
@click.option("--delete", is_flag=True, help="Really delete; without it, only the table is shown.")
def prune(packages: tuple[str, ...], target: str | None, keep: int | None, *, delete: bool) -> None:
    """Delete versions of PACKAGES (all by default) that the site configuration does not keep."""
    from wheelyard.cli import render_registry
    from wheelyard.registries import prune as retire
    from wheelyard.registries.open_registry import open_configured

    project = find_project()
    result = retire.prune(project, open_configured(project, target), packages, keep=keep, delete=delete)
    click.echo(render_registry.pruned(result))
    _refuse("not deleted", result.refused, complete=result.complete)


@registry.command(short_help="Delete what should not be there, file by file.")
@click.argument("package")
@click.argument("files", nargs=-1, required=True)
@of_option
@click.option("--keep", default="", metavar="SHA256", help="Of a file with different bytes, the copy that stays.")
@click.option("--delete", is_flag=True, help="Really delete; without it, only the table is shown.")
def remove(package: str, files: tuple[str, ...], target: str | None, keep: str, *, delete: bool) -> None:
    """Delete FILES that are listed under PACKAGE and not recorded, and second copies of those that are."""
    from wheelyard.cli import render_registry
    from wheelyard.registries import remove as flow
    from wheelyard.registries.open_registry import open_configured

    project = find_project()
    result = flow.remove(project, open_configured(project, target), package, files, keep=keep, delete=delete)
    click.echo(render_registry.removed(result))


@registry.command("yank", short_help="Mark a version so that nobody gets it unasked.")
@click.argument("package")
@click.argument("version")
@of_option
@click.option("--reason", default="", metavar="TEXT", help="Why; installers show it.")
@click.option("--undo", is_flag=True, help="Take it back.")
def yank_(package: str, version: str, target: str | None, reason: str, *, undo: bool) -> None:
    """Mark PACKAGE VERSION as yanked: nobody gets it without asking for exactly that version."""
    from wheelyard.cli import render_registry
    from wheelyard.registries import prune as retire
    from wheelyard.registries.open_registry import open_configured

    reason = " ".join(log.clean(reason).split())
    if undo and reason:
        raise click.UsageError("--undo takes no reason")
    if not undo and not reason:
        raise click.UsageError("--reason TEXT is needed: installers show it to people")
    project = find_project()
    opened = open_configured(project, target)
    result = retire.yank(project, opened, package, version, None if undo else reason)
    click.echo(render_registry.yanked(result, opened.name, undo=undo))


@registry.command(short_help="Copy wheels from one registry into another.")
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@packages_argument
@click.option("--dry-run", is_flag=True, help="Show what would be copied, write nothing.")
def mirror(source: str, target: str, packages: tuple[str, ...], *, dry_run: bool) -> None:
    """Copy the wheels of PACKAGES (all by default) from one registry into another one."""
    from wheelyard.cli import render_registry
    from wheelyard.registries import mirror as flow
    from wheelyard.registries.open_registry import open_registry

    project = find_project()
    places = open_registry(project, source, new=False), open_registry(project, target)
    result = flow.mirror(project, *places, packages, dry_run=dry_run)
    click.echo(render_registry.mirrored(result, target))
    _refuse("not copied", result.refused, complete=result.complete)


@registry.command(short_help="Write static index pages for it.")
@of_option
@click.option(
    "--to",
    "folder",
    required=True,
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder; made if need be.",
)
def index(target: str | None, folder: Path) -> None:
    """Write static index pages for a registry into DIR: JSON, yanks, one link per package."""
    from wheelyard.cli import render_registry
    from wheelyard.registries.open_registry import open_configured
    from wheelyard.registries.write_static_index import write_index

    project = find_project()
    click.echo(render_registry.front(write_index(project, open_configured(project, target), folder)))


def _refuse(what: str, errors: Sequence[WheelyardError], *, complete: bool = True) -> None:
    if errors:
        from wheelyard.registries.inspect_registry import together

        raise together(f"{len(errors)} {what}; {'all else is done' if complete else 'the rest was not tried'}", errors)
