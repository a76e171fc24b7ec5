"""``wheelyard check``: check wheels in dist/ again."""

from __future__ import annotations

import sys

import click

from wheelyard.cli import output
from wheelyard.cli.options import json_option, version_option
from wheelyard.project.config import find_project

_FAILED = 50  # the exit code of a CheckError


@click.command()
@click.argument("package")
@version_option
@json_option
def check(package: str, version: str | None, *, as_json: bool) -> None:
    """Check the wheels of PACKAGE in dist/ again; changes nothing."""
    from wheelyard.builder.check_package import check_package
    from wheelyard.checks import verdict_table

    verdict = check_package(find_project(), package, version)
    click.echo(output.model(verdict) if as_json else verdict_table(verdict))
    if not verdict.ok:
        sys.exit(_FAILED)
