"""``wheelyard build``: build, test and check the wheels of a package."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import click

from wheelyard.cli import output
from wheelyard.cli.options import image_option, json_option, python_option, version_option
from wheelyard.io import log
from wheelyard.io.table import table_text
from wheelyard.project.config import find_project

if TYPE_CHECKING:
    from wheelyard.builder.build_package import BuildReport
    from wheelyard.core.tags import Interpreter
    from wheelyard.records.models import Verdict, WheelRecord


@click.command()
@click.argument("package")
@version_option
@python_option
@image_option
@click.option("--force", is_flag=True, help="Build even if the same inputs were built before.")
@click.option("--no-test", is_flag=True, help="Leave out upstream's tests; the record says so.")
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
    """Build, test and check the riscv64 wheels of PACKAGE."""
    from wheelyard.builder.build_package import BuildOptions, build_package

    options = BuildOptions(version, pythons, image, force=force, test=not no_test, jobs=jobs)
    report = build_package(find_project(), package, options)
    click.echo(output.model(report) if as_json else build_text(report))


def build_text(report: BuildReport) -> str:
    """Return the wheels, the time of each step, the checks, and how to install the wheels."""
    lines = ["", f"{report.package} {report.package_version} on {report.image}"]
    if not report.built:
        lines.append("nothing to build: the same inputs were built before")
    lines += ["", "wheels in " + str(report.folder)]
    for record in (*report.built, *report.reused):
        state = "" if record in report.built else "  (built before)"
        lines.append(f"  {record.wheel}  {record.size / 1000:.0f} kB{state}")
        lines.append(f"    tests: {_tests(record)}")
    if report.built:
        rows = [(step.title, log.duration(step.seconds)) for step in report.steps]
        rows.append(("in all", log.duration(report.seconds)))
        lines += ["", table_text(("step", "time"), rows)]
    if report.verdict:
        lines += ["", _checked(report.verdict)]
    if report.notes:
        lines += ["", *(f"note: {note}" for note in report.notes)]
    names = " ".join(shlex.quote(str(report.folder / record.wheel)) for record in (*report.built, *report.reused))
    index = (report.folder.parents[1] / "index/simple").as_uri()
    lines += [
        "",
        "install on riscv64:",
        f"  pip install {names}",
        "or from an index folder:",
        f"  wheelyard publish --to dist/index {report.package}",
        f"  pip install {report.package} --prefer-binary --extra-index-url {index}/",
    ]
    return "\n".join(lines)


def _tests(record: WheelRecord) -> str:
    tests = record.tests
    if not tests.ran:
        return "none ran"
    subset = f" (a subset: {tests.subset})" if tests.subset else ""
    return log.clean((tests.summary or "passed") + subset)


def _checked(verdict: Verdict) -> str:
    rules = sorted({finding.rule for wheel in verdict.wheels for finding in wheel.findings})
    rules += sorted({finding.rule for finding in verdict.overall})
    count = sum(len(wheel.findings) for wheel in verdict.wheels) + len(verdict.overall)
    return f"checked ({count} findings, all well): {', '.join(rules)}"
