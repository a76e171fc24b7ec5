"""Arguments and options that several verbs take, so that each has one spelling and one meaning."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wheelyard.core.tags import Interpreter

if TYPE_CHECKING:
    from collections.abc import Callable

    from wheelyard.project.config import Project
    from wheelyard.registries.open_registry import NamedRegistry

NO_REGISTRY = "none"


class InterpreterType(click.ParamType[Interpreter]):
    """An interpreter on the command line."""

    name = "cpXY"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Interpreter:
        """Read ``cp313``."""
        try:
            return Interpreter.parse(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


packages_argument = click.argument("packages", metavar="[PACKAGE...]", nargs=-1)
version_option = click.option("--version", "version", metavar="V", help="A version other than the newest locked one.")
python_option = click.option(
    "--python",
    "pythons",
    metavar="TAG",
    type=InterpreterType(),
    multiple=True,
    help="Only this interpreter, such as cp313; repeatable.",
)
image_option = click.option(
    "--image", metavar="IMAGE", help="auto, official, local, local:forky, local:trixie+emulated."
)
json_option = click.option("--json", "as_json", is_flag=True, help="JSON on standard output.")
to_option = click.option(
    "--to",
    "target",
    required=True,
    metavar="REGISTRY|DIR",
    help="The registry to write: a name in the site configuration, or the folder of an index.",
)
registry_option = click.option(
    "--registry",
    metavar="REGISTRY|DIR",
    help="The registry to read; by default the only one of the site configuration.",
)
optional_registry_option = click.option(
    "--registry",
    metavar="REGISTRY|DIR|none",
    help="The registry to compare with; by default the only one of the site configuration, none for no registry.",
)
delete_option = click.option("--delete", is_flag=True, help="Delete; without it, only the table is shown.")
issues_option = click.option(
    "--issues",
    is_flag=True,
    help="Open, update and close issues on the forge as the report requires.",
)


def out_option(text: str, **settings: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return the option ``--out DIR``, whose help is *text*."""
    path = click.Path(path_type=Path, file_okay=False)
    return click.option("--out", metavar="DIR", type=path, help=text, **settings)


def dry_run_option(text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return the option ``--dry-run``, whose help is *text*."""
    return click.option("--dry-run", is_flag=True, help=text)


def open_optional(project: Project, registry: str | None) -> NamedRegistry | None:
    """Return the registry of ``--registry``, None if the site configuration has none or it is ``none``."""
    if registry == NO_REGISTRY or (registry is None and not project.config.registries):
        return None
    from wheelyard.registries.open_registry import open_configured  # python-gitlab is slow to import

    return open_configured(project, registry)
