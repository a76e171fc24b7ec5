"""``wheelyard ci plan``: make the jobs that build the wheels."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from wheelyard.cli import output
from wheelyard.cli.options import (
    image_option,
    json_option,
    out_option,
    packages_argument,
    python_option,
    version_option,
)
from wheelyard.cli.plan import add_listed, from_option
from wheelyard.io import log
from wheelyard.io.table import table_text
from wheelyard.project.config import find_project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from wheelyard.ci.jobs_report import JobsReport
    from wheelyard.ci.plan_jobs import Schedule
    from wheelyard.core.tags import Interpreter
    from wheelyard.planning.selection import Selection
    from wheelyard.project.config import Project

_PATH = 6  # jobs of a critical path that are shown
_WAVES = 4  # waves that .github/workflows/build.yml writes out
_FORGES = ("github", "gitlab")
_OPTIONS = (
    click.option(
        "--format",
        "form",
        type=click.Choice(("table", *_FORGES)),
        default="table",
        show_default=True,
        help="A table with the estimate, GitHub's matrices, or GitLab's child pipeline.",
    ),
    click.option("--changed", metavar="BASE..HEAD", help="Only wheels whose inputs these commits change."),
    click.option("--due", is_flag=True, help="Only wheels of locked versions that are not published, by the records."),
    click.option(
        "--runners",
        metavar="N",
        type=click.IntRange(1, 10_000),
        help="Jobs at once; by default the configured number.",
    ),
    out_option("The folder for jobs.json and the forge's files; the table is shown."),
)


@dataclass(frozen=True)
class JobOptions:
    """The options that ``ci plan`` and ``ci reuse`` share.

    Attributes:
        form: the format of the jobs.
        changed: a range of commits.
        due: whether only wheels that are not published are planned.
        runners: how many jobs run at once.
        out: a folder to write.
    """

    form: str
    changed: str | None
    due: bool
    runners: int | None
    out: Path | None


def job_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of :class:`JobOptions` to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.command("plan")
@packages_argument
@version_option
@python_option
@image_option
@from_option
@job_options
@json_option
def ci_plan(
    packages: tuple[str, ...],
    list_file: Path | None,
    version: str | None,
    pythons: tuple[Interpreter, ...],
    image: str | None,
    *,
    as_json: bool,
    **jobs: Any,
) -> None:
    """Make the jobs that build the wheels of PACKAGE, each a NAME or NAME==VERSION, by default every recipe."""
    packages = add_listed(packages, list_file, versions=not (version or jobs["due"]))
    if version and len(packages) != 1:
        raise click.UsageError("--version needs exactly one package")
    plan_jobs(JobOptions(**jobs), packages, version, pythons, image, as_json=as_json)


def plan_jobs(
    options: JobOptions,
    packages: tuple[str, ...],
    version: str | None,
    pythons: tuple[Interpreter, ...],
    image: str | None,
    *,
    as_json: bool,
    reduce: Callable[[Project, Selection], Selection] | None = None,
) -> None:
    """Plan jobs, write and show them; *reduce* returns the part of a selection that is left to build.

    Raises:
        WheelyardError: a package cannot be planned; all others are shown before.
    """
    from wheelyard.ci.plan_jobs import schedule
    from wheelyard.planning import selection as selections
    from wheelyard.planning.changed import changed
    from wheelyard.planning.planner import site_image

    if sum((options.due, bool(options.changed), bool(version))) > 1:
        raise click.UsageError("--changed, --due and --version exclude each other")
    if options.changed and packages:
        raise click.UsageError("--changed finds the packages itself")
    project = find_project()
    if image is None and (reduce or options.form in _FORGES):
        image = site_image(project)
    planner = selections.DuePlanner(project, image, pythons)
    if options.changed:
        selection = changed(project, options.changed, image=image, pythons=pythons)
    elif options.due:
        selection = selections.missing(planner, packages)
    else:
        selection = selections.by_name(planner, packages, version)
    if reduce:
        selection = reduce(project, selection)
    jobs = schedule(project, selection, runners=options.runners, gitlab=options.form == "gitlab")
    _show(jobs, options, as_json=as_json)
    if selection.problems:
        raise selection.problems[0]


def _show(jobs: Schedule, options: JobOptions, *, as_json: bool) -> None:
    report = jobs.report(github=options.form == "github", gitlab=options.form == "gitlab")
    if options.out:
        write_out(jobs, report, options.form, options.out)
    elif options.form == "gitlab" and not as_json:
        texts = jobs.pipelines()
        if len(texts) > 1:
            raise click.UsageError(f"this plan makes {len(texts)} pipelines: name a folder with --out")
        click.echo(texts[0], nl=False)
        return
    elif options.form == "github":
        as_json = True
    click.echo(output.model(report) if as_json else jobs_text(report, jobs.problems[1:]))


def write_out(jobs: Schedule, report: JobsReport, form: str, folder: Path) -> None:
    """Write the files of a forge into *folder*: each file whole, and none of an earlier plan left.

    Raises:
        DiskError: it cannot be written.
    """
    texts = {"jobs.json": output.model(report) + "\n"}
    if form == "github":
        from wheelyard.ci import matrices

        texts |= {f"{matrix.name}.json": matrix.text() + "\n" for matrix in matrices(jobs.planned_jobs)}
        texts["outputs"] = "".join(f"{line}\n" for line in github_outputs(report))
    elif form == "gitlab":
        texts |= {f"pipeline-{number}.yml": text for number, text in enumerate(jobs.pipelines(), 1)}
    replace_files(folder, ("jobs.json", "outputs", "wave-*.json", "pipeline-*.yml"), texts)


def replace_files(folder: Path, old: Iterable[str], texts: dict[str, str]) -> None:
    """Write *texts*, by file name, into *folder*, and remove the files of an earlier plan, by the patterns *old*.

    Raises:
        DiskError: it cannot be written.
    """
    from wheelyard.io import files

    for pattern in old:
        for file in folder.glob(pattern):
            files.remove(file)
    for name, text in texts.items():
        files.write_text(folder / name, text)


def github_outputs(report: JobsReport) -> list[str]:
    """Return the lines for ``$GITHUB_OUTPUT``: the numbers of jobs and waves, and each row's matrices by name.

    Waves that the workflow has no row for are its last row, ``deeper``, in their order.
    """
    names_by_row: dict[str, list[str]] = {}
    for matrix in report.matrices:
        row = f"wave-{matrix.wave}-{'first' if matrix.gate else 'rest'}" if matrix.wave <= _WAVES else "deeper"
        names_by_row.setdefault(row, []).append(matrix.name)
    lines = [f"jobs={len(report.jobs)}", f"waves={max((matrix.wave for matrix in report.matrices), default=0)}"]
    return lines + [f"{row}={json.dumps(names)}" for row, names in names_by_row.items()]


def jobs_text(report: JobsReport, problems: tuple[object, ...] = ()) -> str:
    """Return the jobs of a plan for people, in the order in which they start, and the estimate."""
    lines = []
    if report.jobs:
        rows = [
            (
                job.package,
                job.version,
                " ".join(job.interpreters),
                job.wave,
                log.duration(job.seconds),
                job.runner,
                job.why,
            )
            for job in report.jobs
        ]
        lines.append(table_text(("package", "version", "for", "wave", "about", "runner", "why"), rows))
        lines += ["", *_estimate(report)]
    else:
        lines.append("nothing is due")
    lines += output.left_out(f"{job.package} {job.version}".rstrip() + f": {job.reason}" for job in report.left_out)
    for problem in problems:
        lines += ["", f"error: {problem}"]
    return "\n".join(lines)


def _estimate(report: JobsReport) -> list[str]:
    estimate = report.estimate
    path = [*estimate.critical.jobs[:_PATH], *(["…"] if len(estimate.critical.jobs) > _PATH else [])]
    wheels = sum(len(job.expected) for job in report.jobs)
    guessed = len(report.jobs) - estimate.timed
    lines = [
        (
            f"{len(report.jobs)} jobs, {wheels} wheels, {estimate.runners} at once: about"
            f" {log.duration(estimate.seconds)} (no packing beats {log.duration(estimate.bound)}),"
            f" {estimate.runner_minutes} runner-minutes"
        ),
        f"critical path, {log.duration(estimate.critical.seconds)}: {', then '.join(path)}",
    ]
    if guessed:
        lines.append(f"{guessed} of them have never been timed: their durations are guessed")
    return lines
