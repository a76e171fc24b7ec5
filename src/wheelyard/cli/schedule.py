"""``wheelyard plan --format`` and ``promote``: their words and tables."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wheelyard.core.errors import PlanError
from wheelyard.io import log
from wheelyard.project.config import find_project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from wheelyard.ci.jobs_report import JobsReport
    from wheelyard.ci.plan_jobs import Schedule
    from wheelyard.core.tags import Interpreter
    from wheelyard.planning.selection import Selection
    from wheelyard.project.config import Project

_SHOWN = 6  # jobs of a critical path
_WAVES = 4  # that .github/workflows/build.yml writes out
FORGES = ("github", "gitlab")
_OPTIONS = (
    click.option(
        "--format",
        "form",
        type=click.Choice(("table", *FORGES)),
        help="Make jobs: a table with the estimate, GitHub's matrices, or GitLab's child pipeline.",
    ),
    click.option("--changed", metavar="BASE..HEAD", help="Only wheels whose inputs these commits change."),
    click.option("--due", is_flag=True, help="Only wheels of pinned versions that nobody has yet, by the records."),
    click.option(
        "--runners", metavar="N", type=click.IntRange(1, 10_000), help="Jobs at once; site configuration says else."
    ),
    click.option(
        "--out",
        metavar="DIR",
        type=click.Path(path_type=Path, file_okay=False),
        help="Write jobs.json and the forge's files there, and show the table.",
    ),
)


@dataclass(frozen=True)
class Wish:
    """What is asked of ``plan`` about jobs.

    Attributes:
        form: how they are written, None if nobody said.
        changed: a range of commits.
        due: what nobody has yet.
        runners: how many jobs run at once.
        out: a folder to write to.
    """

    form: str | None
    changed: str | None
    due: bool
    runners: int | None
    out: Path | None

    @property
    def jobs(self) -> bool:
        """Whether jobs are wanted at all, not just what would be built."""
        return bool(self.form or self.changed or self.due or self.runners or self.out)


def job_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of a :class:`Wish` to ``plan``."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def asked_for(packages: tuple[str, ...], listed: Path | None, *, alone: bool) -> tuple[str, ...]:
    """Return *packages* and those that a file lists.

    Args:
        packages: each ``NAME`` or ``NAME==VERSION``.
        listed: the file, if there is one.
        alone: whether another option says already which versions are meant.

    Raises:
        PlanError: the file cannot be read, or names nothing.
    """
    if listed:
        from wheelyard.planning.package_words import read_file

        packages += read_file(listed)
        if not packages:
            raise PlanError("names no package", where=str(listed), fix="leave --from out to plan every recipe")
    if alone and any("==" in each for each in packages):
        raise click.UsageError("NAME==VERSION goes with none of --version, --explain, --due")
    return packages


def plan_jobs(
    wish: Wish,
    packages: tuple[str, ...],
    version: str | None,
    pythons: tuple[Interpreter, ...],
    image: str | None,
    *,
    as_json: bool,
    take: Callable[[Project, Selection], Selection] | None = None,
) -> None:
    """Do what ``plan`` does about jobs; *take* says what is left of what is due.

    Raises:
        WheelyardError: some of it cannot be planned; all the rest has been shown.
    """
    from wheelyard.ci.plan_jobs import schedule
    from wheelyard.planning import selection as due
    from wheelyard.planning.changed import changed
    from wheelyard.planning.planner import site_image

    if sum((wish.due, bool(wish.changed), bool(version))) > 1:
        raise click.UsageError("--changed, --due and --version exclude each other")
    if wish.changed and packages:
        raise click.UsageError("--changed finds the packages itself")
    project = find_project()
    if image is None and (take or wish.form in FORGES):
        image = site_image(project)
    planner = due.DuePlanner(project, image, pythons)
    if wish.changed:
        selection = changed(project, wish.changed, image=image, pythons=pythons)
    elif wish.due:
        selection = due.missing(planner, packages)
    else:
        selection = due.by_name(planner, packages, version)
    if take:
        selection = take(project, selection)
    made = schedule(project, selection, runners=wish.runners, gitlab=wish.form == "gitlab")
    _show(made, wish, as_json=as_json)
    if selection.problems:
        raise selection.problems[0]


def _show(made: Schedule, wish: Wish, *, as_json: bool) -> None:
    from wheelyard.cli import render

    report = made.report(github=wish.form == "github", gitlab=wish.form == "gitlab")
    if wish.out:
        write_out(made, report, wish.form, wish.out)
    elif wish.form == "gitlab" and not as_json:
        texts = made.pipelines()
        if len(texts) > 1:
            raise click.UsageError(f"this plan makes {len(texts)} pipelines: name a folder with --out")
        click.echo(texts[0], nl=False)
        return
    elif as_json or wish.form == "github":
        click.echo(render.model(report))
        return
    click.echo(render.model(report) if as_json else jobs_table(report, made.problems[1:]))


def write_out(made: Schedule, report: JobsReport, form: str | None, folder: Path) -> None:
    """Write what a forge is given into *folder*: each file whole, and none of an earlier plan left.

    Raises:
        DiskError: it cannot be written.
    """
    from wheelyard.cli import render

    texts = {"jobs.json": render.model(report) + "\n"}
    if form == "github":
        from wheelyard.ci import matrices

        texts |= {f"{each.name}.json": each.text() + "\n" for each in matrices(made.planned_jobs)}
        texts["outputs"] = "".join(f"{line}\n" for line in github_outputs(report))
    elif form == "gitlab":
        texts |= {f"pipeline-{number}.yml": text for number, text in enumerate(made.pipelines(), 1)}
    replace_all(folder, ("jobs.json", "outputs", "wave-*.json", "pipeline-*.yml"), texts)


def replace_all(folder: Path, old: Iterable[str], texts: dict[str, str]) -> None:
    """Write *texts*, by their names, into *folder*; what an earlier plan left there goes: the patterns *old*.

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
    """Return the lines for ``$GITHUB_OUTPUT``: how many jobs and waves there are, and each row's matrices by name.

    Waves that the workflow has no row for are its last one, ``deeper``, in their order.
    """
    import json

    rows: dict[str, list[str]] = {}
    for each in report.matrices:
        row = f"wave-{each.wave}-{'first' if each.gate else 'rest'}" if each.wave <= _WAVES else "deeper"
        rows.setdefault(row, []).append(each.name)
    lines = [f"jobs={len(report.jobs)}", f"waves={max((each.wave for each in report.matrices), default=0)}"]
    return lines + [f"{row}={json.dumps(names)}" for row, names in rows.items()]


def jobs_table(report: JobsReport, problems: tuple[object, ...] = ()) -> str:
    """Return a plan's jobs for people, in the order in which they start, and what they are likely to take."""
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
        lines.append(log.table(("package", "version", "for", "wave", "about", "runner", "why"), rows))
        lines += ["", *_estimate(report)]
    else:
        lines.append("nothing is due")
    lines += left_out(f"{each.package} {each.version}".rstrip() + f": {each.reason}" for each in report.left_out)
    for problem in problems:
        lines += ["", f"error: {problem}"]
    return "\n".join(lines)


def left_out(texts: Iterable[str]) -> list[str]:
    """Return the lines below a table that tell what is not in it, and why; none where all is."""
    said = [f"  {log.clean(text)}" for text in texts]
    return ["", "left out:", *said] if said else []


def _estimate(report: JobsReport) -> list[str]:
    found = report.estimate
    path = [*found.critical.jobs[:_SHOWN], *(["…"] if len(found.critical.jobs) > _SHOWN else [])]
    wheels = sum(len(job.expected) for job in report.jobs)
    guessed = len(report.jobs) - found.known
    lines = [
        (
            f"{len(report.jobs)} jobs, {wheels} wheels, {found.runners} at once: about {log.duration(found.seconds)}"
            f" (no packing beats {log.duration(found.bound)}), {found.runner_minutes} runner-minutes"
        ),
        f"critical path, {log.duration(found.critical.seconds)}: {', then '.join(path)}",
    ]
    if guessed:
        lines.append(f"{guessed} of them have never been timed: their durations are guessed")
    return lines


def mark_planned(mark: Path, span: str | None) -> None:
    """Leave a file that says that all up to a commit is planned, where that is known.

    Raises:
        DiskError: it cannot be written.
    """
    from wheelyard.io import files

    files.remove(mark)
    if span:
        files.write_text(mark, f"{span}\n")


@click.command(short_help="Take wheels that earlier pipelines built; plan the rest.")
@click.argument("packages", nargs=-1)
@job_options
@click.option(
    "--after", metavar="NAME", help="With --changed: go on from where the last run began that left this artifact."
)
@click.option("--json", "as_json", is_flag=True, help="JSON on standard output.")
def promote(packages: tuple[str, ...], *, after: str | None, as_json: bool, **jobs: Any) -> None:
    """Plan jobs as `plan` does, without wheels that earlier pipelines here have built from the same inputs.

    Those are checked and put into dist/; what cannot be had, or is not in order, is built. GitHub only. With --after,
    a file of that name in the folder of --out says that all is planned up to here.
    """
    from wheelyard.ci.reuse import reuse as flow
    from wheelyard.ci.reuse import since_last

    packages = asked_for(packages, None, alone=bool(jobs["due"]))
    if after:
        if not jobs["changed"]:
            raise click.UsageError("--after goes with --changed")
        whole = since_last(find_project(), jobs["changed"], after)
        jobs["changed"] = whole or jobs["changed"]
        if jobs["out"]:
            mark_planned(jobs["out"] / after, whole)
    plan_jobs(Wish(**jobs), packages, None, (), None, as_json=as_json, take=flow)
