"""``wheelyard doctor``: check whether this machine can build."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from wheelyard.cli import output
from wheelyard.cli.options import json_option
from wheelyard.io.table import table_text
from wheelyard.project.config import find_project

if TYPE_CHECKING:
    from wheelyard.preflight.doctor import DoctorReport

_FAILED = 30  # the exit code of a MachineError


@click.command()
@json_option
def doctor(*, as_json: bool) -> None:
    """Check whether this machine can build wheels, and show the fix of each missing part."""
    from wheelyard.preflight.doctor import examine

    report = examine(find_project())
    click.echo(output.model(report) if as_json else doctor_text(report))
    if not report.ok:
        sys.exit(_FAILED)


def doctor_text(report: DoctorReport) -> str:
    """Return every check, then the fixes of the missing tools."""
    rows = [(check.state, check.name, check.text) for check in report.findings]
    text = table_text(("", "tool", "result"), rows)
    fixes = [f"  {check.name}: {check.fix}" for check in report.findings if check.state == "missing"]
    return "\n".join([text, "", *(["To fix:", *fixes] if fixes else ["This machine can build."])])
