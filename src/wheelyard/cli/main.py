"""The ``wheelyard`` command: parses its words, calls one flow, shows the result.

A user's mistake ends with its message and its exit code (:mod:`wheelyard.core.errors`); a bug keeps its
traceback. Results go to standard output, everything else to standard error.
"""

from __future__ import annotations

import json
import signal
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wheelyard import __version__
from wheelyard.cli.audit import audit
from wheelyard.cli.job import again, gather, job, report
from wheelyard.cli.preflight import preflight
from wheelyard.cli.radar import radar
from wheelyard.cli.records import records
from wheelyard.cli.registry import registry
from wheelyard.cli.requirements import GlibcType, doctor_requirements
from wheelyard.cli.review import review
from wheelyard.cli.schedule import Wish, asked_for, job_options, plan_jobs, promote
from wheelyard.cli.site import site
from wheelyard.cli.sources import sources
from wheelyard.cli.tokens import check_tokens
from wheelyard.cli.watch import check_upstream, ledger
from wheelyard.core.errors import InterruptedRunError, WheelyardError
from wheelyard.core.tags import Interpreter
from wheelyard.io import log
from wheelyard.project.config import find_project

if TYPE_CHECKING:
    from types import FrameType


class InterpreterType(click.ParamType[Interpreter]):
    """An interpreter on the command line."""

    name = "cpXY"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Interpreter:
        """Read ``cp313``."""
        try:
            return Interpreter.parse(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


INTERPRETER = InterpreterType()
version_option = click.option("--version", "version", metavar="V", help="A version other than the newest locked one.")
python_option = click.option(
    "--python",
    "pythons",
    metavar="TAG",
    type=INTERPRETER,
    multiple=True,
    help="Only this interpreter, such as cp313; repeatable.",
)
image_option = click.option(
    "--image", metavar="IMAGE", help="auto, official, local, local:forky, local:trixie+emulated."
)
json_option = click.option("--json", "as_json", is_flag=True, help="JSON on standard output.")


class InOrder(click.Group):
    """Its commands are listed as they are written below: in the order in which people want them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click calls it so
        """Return the commands' names."""
        return list(self.commands)


@click.group(cls=InOrder, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="wheelyard")
def cli() -> None:
    """Make tested riscv64 wheels from small recipes."""


@cli.command(short_help="Show what would be built, and why.")
@click.argument("packages", nargs=-1)
@version_option
@python_option
@image_option
@click.option(
    "--from",
    "listed",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Take further packages from this file, one NAME or NAME==VERSION a line, as `review --triggers` writes it.",
)
@click.option("--explain", is_flag=True, help="Every setting, its value, and which file gave it.")
@job_options
@json_option
def plan(
    packages: tuple[str, ...],
    listed: Path | None,
    version: str | None,
    pythons: tuple[Interpreter, ...],
    image: str | None,
    *,
    explain: bool,
    as_json: bool,
    **jobs: Any,
) -> None:
    """Show what would be built for PACKAGES (all recipes by default), and why; each is a NAME or NAME==VERSION.

    With --format, --changed, --due, --runners or --out, make the jobs that build it on a forge.
    """
    from wheelyard.cli import render
    from wheelyard.planning import plan_packages as flow

    packages = asked_for(packages, listed, alone=bool(version or explain or jobs["due"]))
    if version and len(packages) != 1:
        raise click.UsageError("--version needs exactly one package")
    if explain and len(packages) != 1:
        raise click.UsageError("--explain needs exactly one package")
    wish = Wish(**jobs)
    if wish.jobs:
        if explain:
            raise click.UsageError("--explain goes with none of --format, --changed, --due, --runners, --out")
        plan_jobs(wish, packages, version, pythons, image, as_json=as_json)
        return
    project = find_project()
    if explain:
        rows = flow.explain(project, packages[0], version)
        click.echo(render.as_json(flow.explain_json(packages[0], rows)) if as_json else render.explanation(rows))
        return
    result = flow.plan_packages(project, packages, version=version, pythons=pythons, image=image)
    if as_json:
        click.echo(render.as_json(result.to_json()))
    elif text := render.plans(result):
        click.echo(text)
    if result.problems:
        raise result.problems[0]


cli.add_command(preflight)
cli.add_command(review)


@cli.command()
@click.argument("package")
@version_option
@python_option
@image_option
@click.option("--force", is_flag=True, help="Build even if the same inputs were built before.")
@click.option("--no-test", is_flag=True, help="Leave upstream's tests out; the record says so.")
@click.option("--jobs", type=click.IntRange(1, 64), default=1, show_default=True, help="Builds at once.")
@json_option
def build(
    package: str,
    version: str | None,
    pythons: tuple[Interpreter, ...],
    image: str | None,
    *,
    force: bool,
    no_test: bool,
    jobs: int,
    as_json: bool,
) -> None:
    """Build, test and check PACKAGE's riscv64 wheels."""
    from wheelyard.builder.build_package import BuildOptions, build_package
    from wheelyard.cli import render

    options = BuildOptions(version, pythons, image, force=force, test=not no_test, jobs=jobs)
    report = build_package(find_project(), package, options)
    click.echo(render.model(report) if as_json else render.build_summary(report))


@cli.command()
@click.argument("package")
@version_option
@json_option
def check(package: str, version: str | None, *, as_json: bool) -> None:
    """Check PACKAGE's wheels in dist/ once more; changes nothing."""
    from wheelyard.builder.check_package import check_package
    from wheelyard.cli import render

    verdict = check_package(find_project(), package, version)
    if as_json:
        click.echo(json.dumps(verdict.model_dump(mode="json"), indent=2))
    else:
        click.echo(render.verdict(verdict))
    if not verdict.ok:
        sys.exit(50)


@cli.command(short_help="Put passing wheels into a registry.")
@click.argument("packages", nargs=-1)
@click.option(
    "--to",
    "target",
    required=True,
    metavar="REGISTRY|DIR",
    help="A registry of the site configuration, or an index folder.",
)
@click.option("--dry-run", is_flag=True, help="Show the same table, write nothing.")
@json_option
def publish(packages: tuple[str, ...], target: str, *, dry_run: bool, as_json: bool) -> None:
    """Put the passing wheels of PACKAGES (all by default) into a registry."""
    from wheelyard.cli import render
    from wheelyard.registries import publish_wheels as flow

    report = flow.publish_packages(
        find_project(),
        packages,
        target,
        dry_run=dry_run,
        show=lambda uploads: None if as_json else click.echo(render.uploads(uploads)),
        tell=lambda done: click.echo(render.model(done.report()) if as_json else render.publication(done)),
    )
    if failure := flow.problem(report):
        raise failure


cli.add_command(sources)
cli.add_command(registry)
cli.add_command(site)
cli.add_command(records)
cli.add_command(audit)
cli.add_command(check_tokens)
cli.add_command(check_upstream)
cli.add_command(radar)
cli.add_command(ledger)
cli.add_command(promote)
cli.add_command(again)
cli.add_command(job)
cli.add_command(gather)
cli.add_command(report)


@cli.command(short_help="Tell what this machine can do, or what requirements get on riscv64.")
@click.argument("requirements", metavar="[REQUIREMENTS...]", nargs=-1)
@click.option(
    "-r",
    "--requirement",
    "files",
    metavar="FILE",
    multiple=True,
    help="A file of requirements, as pip takes it; repeatable.",
)
@python_option
@click.option(
    "--of",
    "target",
    metavar="REGISTRY|DIR|none",
    help="Our registry, by default the only one of the site configuration; none looks at the public index alone.",
)
@click.option("--glibc", type=GlibcType(), help="The C library of the board; any by default, on riscv64 its own.")
@click.option("--no-deps", is_flag=True, help="Leave out what the requirements depend on.")
@json_option
def doctor(
    requirements: tuple[str, ...],
    files: tuple[str, ...],
    pythons: tuple[Interpreter, ...],
    target: str | None,
    glibc: tuple[int, int] | None,
    *,
    no_deps: bool,
    as_json: bool,
) -> None:
    """Tell what this machine can do; each missing thing with its fix.

    With REQUIREMENTS (files, or such as 'numpy>=2'), tell which of them have a riscv64 wheel publicly or in our
    registry, which would be compiled, and what to tell pip. The exit code is 0 if all can be had, 19 if not, 18 if the
    index did not answer for some.
    """
    from wheelyard.cli import render
    from wheelyard.preflight.doctor import examine

    if files or requirements:
        doctor_requirements(files, requirements, pythons, target, glibc, follow=not no_deps, as_json=as_json)
        return
    if pythons or target or glibc or no_deps:
        raise click.UsageError("--python, --of, --glibc and --no-deps go with REQUIREMENTS")
    report = examine(find_project())
    click.echo(render.model(report) if as_json else render.doctor(report))
    if not report.ok:
        sys.exit(30)


@cli.group()
def image() -> None:
    """List, make and remove build images."""


@image.command("list")
@json_option
def image_list(*, as_json: bool) -> None:
    """Show the images on this machine, and which one builds use."""
    from wheelyard.cli import render
    from wheelyard.images.manage_images import list_images

    report = list_images(find_project())
    click.echo(render.model(report) if as_json else render.images(report))


@image.command("build")
@click.argument("choice", metavar="[IMAGE]", required=False)
def image_build(choice: str | None) -> None:
    """Pull or make IMAGE, such as local:forky; by default the site's."""
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


def main() -> None:
    """Run the command line; the exit code is the error's."""
    log.setup()
    signal.signal(signal.SIGTERM, _terminated)
    try:
        done = cli.main(prog_name="wheelyard", standalone_mode=False)
        sys.exit(done if isinstance(done, int) else 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        log.error("interrupted; nothing is left running, and the same command goes on where it stopped")
        sys.exit(InterruptedRunError.exit_code)
    except WheelyardError as error:
        log.error(str(error))
        sys.exit(error.exit_code)
    except Exception:  # noqa: BLE001 - a bug
        # Python, or a hook of the user's environment that shows variables, would tell what we keep to ourselves.
        log.bug(traceback.format_exc())
        sys.exit(1)


def _terminated(_number: int, _frame: FrameType | None) -> None:
    # A polite end request tidies up the same way as Ctrl-C.
    raise KeyboardInterrupt
