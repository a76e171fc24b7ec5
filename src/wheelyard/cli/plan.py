"""``wheelyard plan``: which wheels would be built, and why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wheelyard.cli import output
from wheelyard.cli.options import image_option, json_option, packages_argument, python_option, version_option
from wheelyard.core.errors import PlanError
from wheelyard.io import log
from wheelyard.io.table import table_text
from wheelyard.project.config import find_project

if TYPE_CHECKING:
    from wheelyard.core.tags import Interpreter
    from wheelyard.planning.plan_packages import Plans
    from wheelyard.project.inheritance import Explanation

_NAMED = 3  # packages that share a reason, before they are counted instead
from_option = click.option(
    "--from",
    "list_file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Add the packages of this file, one NAME or NAME==VERSION a line, as `review --triggers` writes it.",
)


@click.command()
@packages_argument
@version_option
@python_option
@image_option
@from_option
@click.option("--explain", is_flag=True, help="Show every setting, its value, and the file that sets it.")
@json_option
def plan(
    packages: tuple[str, ...],
    list_file: Path | None,
    version: str | None,
    pythons: tuple[Interpreter, ...],
    image: str | None,
    *,
    explain: bool,
    as_json: bool,
) -> None:
    """Show which wheels of PACKAGE would be built, and why; each is a NAME or NAME==VERSION, by default every recipe.

    `wheelyard ci plan` makes the jobs that build them on a forge.
    """
    from wheelyard.planning import plan_packages as planning

    packages = add_listed(packages, list_file, versions=not (version or explain))
    for option, value in (("--version", version), ("--explain", explain)):
        if value and len(packages) != 1:
            raise click.UsageError(f"{option} needs exactly one package")
    project = find_project()
    if explain:
        settings = planning.explain(project, packages[0], version)
        text = output.as_json(planning.explain_json(packages[0], settings)) if as_json else explanation_text(settings)
        click.echo(text)
        return
    plans = planning.plan_packages(project, packages, version=version, pythons=pythons, image=image)
    if as_json:
        click.echo(output.as_json(plans.to_json()))
    elif text := plans_text(plans):
        click.echo(text)
    if plans.problems:
        raise plans.problems[0]


def add_listed(packages: tuple[str, ...], list_file: Path | None, *, versions: bool) -> tuple[str, ...]:
    """Return *packages* and the packages that a file lists.

    Args:
        packages: each ``NAME`` or ``NAME==VERSION``.
        list_file: the file, if there is one.
        versions: whether ``NAME==VERSION`` is allowed: no other option selects the versions.

    Raises:
        PlanError: the file cannot be read, or lists no package.
    """
    if list_file:
        from wheelyard.planning.package_words import read_file

        packages += read_file(list_file)
        if not packages:
            raise PlanError("lists no package", where=str(list_file), fix="leave --from out to plan every recipe")
    if not versions and any("==" in package for package in packages):
        raise click.UsageError("NAME==VERSION goes with none of --version, --explain, --due")
    return packages


def plans_text(plans: Plans) -> str:
    """Return the plans as a table, with omissions and their reasons; the first problem is left to the caller."""
    if not plans.plans and not plans.problems:
        return "nothing to plan: there is no recipe in recipes/"
    rows = []
    for plan in plans.plans:
        for index, wheel in enumerate(plan.expected):
            head = (plan.package, plan.version) if index == 0 else ("", "")
            rows.append((*head, ", ".join(map(str, wheel.interpreters)), wheel.pattern))
    lines = [table_text(("package", "version", "for", "expected wheel"), rows)] if rows else []
    packages_by_reason: dict[str, list[str]] = {}
    for plan in plans.plans:
        for omission in plan.omissions:
            reason = f"{omission.interpreter}: {omission.reason}"
            packages_by_reason.setdefault(reason, []).append(plan.package)
    lines += output.left_out(f"{reason} ({_names(names)})" for reason, names in packages_by_reason.items())
    notes = [f"  {plan.package}: {note}" for plan in plans.plans for note in plan.notes]
    if notes:
        lines += ["", "notes:", *map(log.tame, notes)]
    for problem in plans.problems[1:]:
        lines += ["", log.tame(f"error: {problem}")]
    return "\n".join(lines).lstrip("\n")


def _names(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= _NAMED else f"{len(names)} packages"


def explanation_text(settings: Explanation) -> str:
    """Return every setting, its value, and the file that sets it."""
    rows = [(key, json.dumps(item.value, ensure_ascii=False), item.where) for key, item in settings.items()]
    return table_text(("setting", "value", "from"), rows)
