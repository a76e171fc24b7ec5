"""``report``: what came of a plan's jobs, for people, for machines, and as one issue for each package that fails."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET  # only written

from pydantic import ValidationError

from wheelyard.ci.jobs_report import JobsReport
from wheelyard.ci.outcome import NightReport, RowEntry, line_of, outcomes
from wheelyard.core.errors import ConfigError, JobsFailedError
from wheelyard.core.tags import WheelName
from wheelyard.forges import sync_issues as issues
from wheelyard.forges.site_forge import forge_of
from wheelyard.forges.sync_issues import Ticket, inline
from wheelyard.io import log
from wheelyard.planning import selection
from wheelyard.project.loader import list_recipes
from wheelyard.records.line_file import validation_problems

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from wheelyard.ci.jobs_report import ExpectedFile, JobEntry
    from wheelyard.ci.outcome import WheelOutcome
    from wheelyard.project.config import Project

KIND = "failure"
WAITS = "more is due than one pipeline takes, it waits for the next night"
SILENT = "a job died without a word; its log on the forge may tell"


def read_plan(path: Path, *, matrices: bool = False) -> JobsReport:
    """Return the plan that ``wheelyard plan --out`` wrote.

    Args:
        path: the file.
        matrices: whether GitHub's must be in it.

    Raises:
        ConfigError: it is none, or not for GitHub.
    """
    try:
        plan = JobsReport.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ConfigError("there is no plan", where=str(path), fix="wheelyard plan … --out dist/jobs") from error
    except ValidationError as error:
        details = [said for _, said in validation_problems(error)][:20]
        raise ConfigError(
            "this is no plan", where=str(path), details=details, fix="wheelyard plan … --out dist/jobs writes one"
        ) from error
    if matrices and plan.jobs and not plan.matrices:
        fix = "wheelyard plan … --format github --out dist/jobs"
        raise ConfigError("this plan has no matrices", where=str(path), fix=fix)
    return plan


def report(project: Project, plan: JobsReport, pipeline: int | None = None) -> NightReport:
    """Return what came of the jobs of *plan*, by the outcomes in ``dist/``; see ``gather``.

    Args:
        project: the project.
        plan: the plan.
        pipeline: the one of GitLab's that it is about; the jobs of all others are left out, and wait.
    """
    here = [job for job in plan.jobs if pipeline in {None, job.pipeline}]
    others = [job for job in plan.jobs if pipeline not in {None, job.pipeline}]
    waiting = dict.fromkeys(f"{job.package} {job.version}: {WAITS}" for job in others)
    plan = plan.model_copy(update={"jobs": tuple(here)})
    said = heard(project, plan)
    rows = [_row(*which, entries, said) for which, entries in _by_version(plan).items()]
    left_out = (f"{each.package} {each.version}".strip() + f": {each.reason}" for each in plan.left_out)
    return NightReport(asked=plan.asked, rows=tuple(rows), left_out=(*left_out, *waiting))


def heard(project: Project, plan: JobsReport) -> dict[str, list[WheelOutcome]]:
    """Return what each job of *plan* has said, by its name; of one that died, perhaps nothing."""
    found: dict[str, list[WheelOutcome]] = {job.name: [] for job in plan.jobs}
    for (package, version), entries in _by_version(plan).items():
        folder = project.dist / package / version
        wanted = {(job.name, job.key, each.interpreters): each for job in entries for each in job.expected}
        here = {path.name for path in folder.glob("*.whl")}
        for outcome in outcomes(folder):
            # Jobs of other nights bear the same names; and a wheel that gather refused is not built.
            expected = wanted.get((outcome.job, outcome.key, outcome.interpreters))
            if expected and (not outcome.ok or _there(here, outcome, expected)):
                found[outcome.job].append(outcome)
    return found


def _by_version(plan: JobsReport) -> dict[tuple[str, str], list[JobEntry]]:
    jobs: dict[tuple[str, str], list[JobEntry]] = defaultdict(list)
    for job in plan.jobs:
        jobs[job.package, job.version].append(job)
    return jobs


def problem(night: NightReport) -> JobsFailedError | None:
    """Return the error that a night is for a shell, None if all is built."""
    failed = [f"{row.package} {row.version}: {row.line or row.result}" for row in night.rows if row.result != "built"]
    if not failed:
        return None
    return JobsFailedError(
        f"{len(failed)} of {len(night.rows)} packages are not built, or not all of their wheels",
        details=failed,
        fix="the table says why; what is built is kept, and the next run builds the rest",
    )


def tickets(night: NightReport) -> tuple[dict[str, Ticket], tuple[str, ...]]:
    """Return the issues that a night asks for, by package, and the packages that are well again.

    What was only stopped by another package, or cannot be told of, neither opens an issue nor closes one.
    """
    failed: dict[str, list[RowEntry]] = defaultdict(list)
    for row in night.rows:
        if row.result in {"failed", "silent"}:
            failed[row.package].append(row)
    others = {row.package for row in night.rows if row.result != "built"}
    well = tuple(sorted({row.package for row in night.rows} - others))
    return {package: _ticket(package, rows) for package, rows in failed.items()}, well


def keep_issues(project: Project, night: NightReport, *, dry_run: bool) -> NightReport:
    """Open, change or close the issue of each package that fails; return the report with what became of them.

    One that failed on another night, and was not in this plan, is well if nothing of it is due any more by the records.

    Raises:
        ConfigError: site policy does not say where issues go.
        CredentialsError: there is no token, or it may not.
        NetworkError: the forge does not answer.
    """
    wanted, built = tickets(night)
    planned = {row.package for row in night.rows}

    def well(package: str) -> bool:
        return package in built if package in planned else _nothing_due(project, package)

    with forge_of(project, dry_run=dry_run) as (forge, policy):
        records = issues.keep(
            forge,
            KIND,
            wanted,
            well=well,
            comment="It builds again, or nothing of it is due any more.",
            labels=("build-failure", *policy.labels),
        )
    return night.model_copy(update={"issues": records})


def _nothing_due(project: Project, package: str) -> bool:
    if package not in list_recipes(project):
        return True
    found = selection.missing(selection.DuePlanner.of_site(project), (package,))
    return not found.due and not found.problems


def markdown(night: NightReport) -> str:
    """Return the summary that a forge shows."""
    built = sum(row.result == "built" for row in night.rows)
    lines = [f"## {built} of {len(night.rows)} packages built" if night.rows else "## Nothing was due", ""]
    if night.rows:
        lines += ["| package | version | due why | result | wheels | time | what matters |", "|" + "---|" * 7]
        lines += [f"| {' | '.join(_cells(row))} |" for row in night.ordered]
    if night.left_out:
        lines += ["", "Left out:", "", *(f"- {inline(each)}" for each in night.left_out)]
    if night.issues:
        lines += ["", "Issues:", "", *(f"- {inline(each.package)}: {each.action} {each.url}" for each in night.issues)]
    return "\n".join([*lines, ""])


def junit(night: NightReport) -> bytes:
    """Return it as JUnit's XML, which GitLab shows in a merge request (docs.gitlab.com, "Unit test reports")."""
    counts = {"tests": str(len(night.rows)), "failures": str(sum(row.result != "built" for row in night.rows))}
    suite = ET.Element("testsuite", {"name": "packages", **counts})
    for row in night.rows:
        about = {"classname": row.package, "name": f"{row.package} {row.version}", "time": f"{row.seconds:.1f}"}
        case = ET.SubElement(suite, "testcase", about)
        if row.result != "built":
            ET.SubElement(case, "failure", {"message": row.result}).text = f"{row.line}\n{row.fix}".strip()
    text: bytes = ET.tostring(suite, encoding="utf-8", xml_declaration=True)
    return text


def _cells(row: RowEntry) -> list[str]:
    wheels = f"{row.wheels} of {row.expected}"
    cells = [row.package, row.version, row.why, row.result, wheels, log.duration(row.seconds), row.line]
    return [inline(text) for text in cells]


def _there(here: set[str], outcome: WheelOutcome, expected: ExpectedFile) -> bool:
    """Tell whether what it says was built is the wheel that the job was to yield, and there."""
    return len(outcome.files) == 1 and outcome.files[0] in here and _is_wheel(outcome.files[0], expected.pattern)


def _is_wheel(file: str, pattern: str) -> bool:
    try:
        found, wanted = WheelName.parse(file), WheelName.parse(pattern.replace("*", "0_0"))
    except ValueError:
        return False
    return (found.name, found.version, found.pair) == (wanted.name, wanted.version, wanted.pair)


def _row(package: str, version: str, jobs: Sequence[JobEntry], said: dict[str, list[WheelOutcome]]) -> RowEntry:
    found = [outcome for job in jobs for outcome in said[job.name]]
    spoken = {(outcome.job, python) for outcome in found for python in outcome.interpreters}
    silent = [python for job in jobs for python in job.interpreters if (job.name, python) not in spoken]
    bad = [outcome for outcome in found if not outcome.ok]
    failed = [outcome for outcome in bad if outcome.state == "failed"]
    first = next(iter([*failed, *bad]), None)
    failure = first.failure if first else None
    line = SILENT if silent and not failure else ""
    if failure:  # from another machine: tamed here as well
        what, told_line = line_of(failure.what), line_of(failure.line)
        line = f"{what}: {told_line}" if told_line and what not in told_line else told_line or what
    result = "failed" if failed else "silent" if silent else "stopped" if bad else "built"
    return RowEntry(
        package=package,
        version=version,
        why=jobs[0].why,
        result=result,
        wheels=sum(outcome.ok for outcome in found),
        expected=sum(len(job.expected) for job in jobs),
        seconds=round(sum(outcome.seconds for outcome in found), 1),
        line=line,
        fix=line_of(failure.fix) if failure else "",
        failed=tuple(sorted({*silent, *(python for outcome in bad for python in outcome.interpreters)})),
    )


def _ticket(package: str, rows: Sequence[RowEntry]) -> Ticket:
    """Return an issue that says the same of the same failure on every night: no times, no dates."""
    lines = []
    for row in rows:
        lines += [
            f"**{inline(row.version)}** for {inline(' '.join(row.failed))}: {row.result}",
            "",
            f"> {inline(row.line, 1000)}",
            "",
        ]
        if row.fix:
            lines += [f"What to do: {inline(row.fix)}", ""]
    lines += [
        f"Try it: `ci/bootstrap nox -s build-{package}`.",
        "`wheelyard report` keeps this issue: it changes as the failure does, and is closed by a success.",
    ]
    return Ticket(f"{package} does not build", "\n".join(lines))
