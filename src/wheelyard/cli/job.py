"""What pipelines run: ``wheelyard job``, ``gather`` and ``report``."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wheelyard.core.errors import ConfigError, GatherError, JobsFailedError, WheelyardError, all_errors
from wheelyard.io import files, log
from wheelyard.project.config import find_project

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wheelyard.ci.collect import CollectReport
    from wheelyard.ci.outcome import CIReport, JobSpec, WheelOutcome
    from wheelyard.project.config import Project


_plan_option = click.option(
    "--plan",
    "plan_file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    default="dist/jobs/jobs.json",
    show_default=True,
    help="What `plan --out` wrote.",
)


@click.command(short_help="Build the wheels of one job of a plan.")
@click.option("--wheel", "number", metavar="N", type=click.IntRange(0), help="Only its wheel number N, from 0 on.")
@click.option(
    "--keep",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Copy what came of each wheel there, as soon as it is done.",
)
def job(number: int | None, keep: Path | None) -> None:
    """Build the wheels of the job in $WHEELYARD_JOB: a row of what `plan --format github` writes.

    Each wheel is built by itself; what came of it is written beside it, as outcome-<pythons>.json. Wheels that it needs
    come from dist/, where `gather` has put what other jobs built, or from our registries. The exit code is that of the
    first wheel that does not come out.
    """
    from wheelyard.ci import run_planned_job as flow
    from wheelyard.ci.outcome import VARIABLE, parse_job_spec

    text = os.environ.get(VARIABLE, "")
    if not text:
        raise ConfigError(f"${VARIABLE} is not set", fix="a pipeline sets it; by hand: nox -s build-<pkg>")
    project, spec = find_project(), parse_job_spec(text)
    wheels = flow.wheels_of(spec, number)
    alone = wheels[0] if len(wheels) == 1 else None
    if alone:  # first, for a job that dies
        name = flow.artifact_name(spec.package, spec.version, alone, spec.key)
        _hand_on(project, name, flow.files_to_come(project, spec, alone))
    found = flow.run_job(project, spec, number, keep=keep)
    for outcome in found:
        click.echo(f"{' '.join(outcome.interpreters)}: {outcome.state} {' '.join(outcome.files)}".rstrip())
    if alone:
        _hand_on(project, flow.artifact(spec, found[0]), flow.artifact_files(project, found[0]))
    failed = [outcome for outcome in found if outcome.failure]
    if failed:
        raise _error(spec, failed)


def _hand_on(project: Project, name: str, paths: Sequence[Path]) -> None:
    """Tell GitHub under which name to keep which files: a job's outputs, of which the last ones count.

    docs.github.com, "Workflow commands".
    """
    if output := os.environ.get("GITHUB_OUTPUT"):
        told = [str(path.relative_to(project.root)) for path in paths]
        files.append_text(Path(output), "\n".join([f"artifact={name}", "path<<WHEELYARD", *told, "WHEELYARD", ""]))


def _error(spec: JobSpec, failed: list[WheelOutcome]) -> WheelyardError:
    told = [f"{' '.join(each.interpreters)}: {each.failure.what}" for each in failed if each.failure]
    kinds = {kind.exit_code: kind for kind in all_errors()}
    code = failed[0].failure.code if failed[0].failure else 0
    return kinds.get(code, JobsFailedError)(
        f"{len(failed)} of {len(spec.wheels)} wheels did not come out",
        where=spec.name,
        details=told,
        fix=failed[0].failure.fix if failed[0].failure else None,
    )


@click.command(short_help="Take what jobs brought into dist/.")
@click.argument("folders", metavar="DIR...", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
def gather(folders: tuple[Path, ...]) -> None:
    """Take wheels and outcomes that lie anywhere below DIR into dist/, once everything about them has been checked.

    A wheel comes with its record and its verdict, and is what they say. What may not be taken is told, and does not
    keep the rest back; then the exit code is 44.
    """
    from wheelyard.ci.collect import collect

    found = collect(find_project(), folders)
    click.echo(_gathered(found))
    if found.refused:
        raise GatherError(
            f"{len(found.refused)} of what was brought may not be taken",
            details=found.refused,
            fix="look at the run that left it, and run its job again; all the rest is in dist/",
        )


def _gathered(found: CollectReport) -> str:
    return "\n".join([*(f"taken: {name}" for name in found.taken), f"{len(found.there)} were there before"])


@click.command(short_help="Tell which jobs of a plan died, to try them once more.")
@_plan_option
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    default="dist/again",
    show_default=True,
    help="Write GitHub's matrices there.",
)
def again(plan_file: Path, out: Path) -> None:
    """Write the jobs of a plan that died without a word, and those that only waited for them, as GitHub's matrices.

    By what `gather` has put into dist/. What failed in words of its own is not tried again.
    """
    from wheelyard.ci.report import read_plan
    from wheelyard.ci.retry import ROWS, jobs_to_retry
    from wheelyard.cli.schedule import replace_all

    found = jobs_to_retry(find_project(), read_plan(plan_file, matrices=True))
    rows: dict[str, list[str]] = {}
    for part in found:
        rows.setdefault(ROWS[part.wave - 1], []).append(part.name)
    outputs = "".join(f"{row}={json.dumps(names)}\n" for row, names in rows.items())
    texts = {f"{part.name}.json": part.text() + "\n" for part in found} | {"outputs": outputs}
    replace_all(out, ("again-*.json", "outputs"), texts)
    for part in found:
        for row in part.include:
            click.echo(f"{row['name']}: {'once more' if part.wave == 1 else 'once more, after what it needs'}")


@click.command(short_help="Tell what came of a plan's jobs.")
@_plan_option
@click.option("--summary", metavar="FILE", type=click.Path(path_type=Path), help="Append it as Markdown to this file.")
@click.option("--junit", metavar="FILE", type=click.Path(path_type=Path), help="Write it as JUnit's XML to this file.")
@click.option("--pipeline", metavar="N", type=click.IntRange(1), help="Only what GitLab's pipeline N of the plan has.")
@click.option("--issues", is_flag=True, help="Keep one issue for each package that fails; closed when it builds.")
@click.option("--dry-run", is_flag=True, help="With --issues: say what would become of each, change nothing.")
@click.option("--json", "as_json", is_flag=True, help="JSON on standard output.")
def report(
    plan_file: Path,
    summary: Path | None,
    junit: Path | None,
    pipeline: int | None,
    *,
    issues: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Tell of each package that was planned why it was due and what came of it, by what `gather` has put into dist/.

    The exit code is 0 if all is built, 43 if not.
    """
    from wheelyard.ci import report as flow
    from wheelyard.cli import render
    from wheelyard.forges.sync_issues import problem, tickets_table

    if dry_run and not issues:
        raise click.UsageError("--dry-run goes with --issues")
    project = find_project()
    night = flow.report(project, flow.read_plan(plan_file), pipeline)
    failure: WheelyardError | None = None
    if issues:
        try:
            night = flow.keep_issues(project, night, dry_run=dry_run)
            failure = problem(night.issues)
        except WheelyardError as caught:
            failure = caught
    if summary:
        files.append_text(summary, flow.markdown(night))
    if junit:
        files.write_bytes(junit, flow.junit(night))
    click.echo(render.model(night) if as_json else night_table(night))
    if issues and not as_json:
        click.echo(f"\n{tickets_table(night.issues)}")
    render.end(flow.problem(night), failure)


def night_table(night: CIReport) -> str:
    """Return what came of a plan's jobs, for people, what failed first; and what was not to be built, and why."""
    from wheelyard.cli.schedule import left_out

    rest = left_out(night.left_out)
    if not night.rows:
        return "\n".join(["nothing is to be built" if rest else "nothing was due", *rest])
    rows = [
        (
            row.package,
            row.version,
            row.why,
            row.result,
            f"{row.wheels} of {row.expected}",
            log.duration(row.seconds),
            row.line or "-",
        )
        for row in night.ordered
    ]
    table = log.table(("package", "version", "due why", "result", "wheels", "time", "what matters"), rows)
    return "\n".join([table, *rest])
