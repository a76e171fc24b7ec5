"""``ci report``: the results of a plan's jobs, as a report, Markdown and JUnit, and one issue per failing package."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET  # only written

from pydantic import ValidationError

from wheelyard.ci.jobs_report import JobsReport
from wheelyard.ci.outcome import CIReport, PackageResult, line_of, outcomes
from wheelyard.core.errors import ConfigError, JobsFailedError
from wheelyard.core.tags import WheelName
from wheelyard.forges import sync_issues as issues
from wheelyard.forges.site_forge import open_site_forge
from wheelyard.forges.sync_issues import IssueText, inline
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
WAITS = "more jobs are due than one pipeline takes; this one waits for the next run"
SILENT = "a job ended without a result; look at its log on the forge"


def read_plan(path: Path, *, matrices: bool = False) -> JobsReport:
    """Return the plan that ``wheelyard ci plan --out`` wrote.

    Args:
        path: the file.
        matrices: whether GitHub's must be in it.

    Raises:
        ConfigError: it is none, or not for GitHub.
    """
    try:
        plan = JobsReport.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ConfigError("there is no plan", where=str(path), fix="wheelyard ci plan … --out dist/jobs") from error
    except ValidationError as error:
        details = [message for _, message in validation_problems(error)][:20]
        raise ConfigError(
            "this is no plan", where=str(path), details=details, fix="wheelyard ci plan … --out dist/jobs writes one"
        ) from error
    if matrices and plan.jobs and not plan.matrices:
        fix = "wheelyard ci plan … --format github --out dist/jobs"
        raise ConfigError("this plan has no matrices", where=str(path), fix=fix)
    return plan


def report(project: Project, plan: JobsReport, pipeline: int | None = None) -> CIReport:
    """Return the results of the jobs of *plan*, from the outcomes in ``dist/`` that ``ci collect`` put there.

    Args:
        project: the project.
        plan: the plan.
        pipeline: only the jobs of this GitLab pipeline; the jobs of all others are left out, and wait.
    """
    own_jobs = [job for job in plan.jobs if pipeline in {None, job.pipeline}]
    other_jobs = [job for job in plan.jobs if pipeline not in {None, job.pipeline}]
    waiting = dict.fromkeys(f"{job.package} {job.version}: {WAITS}" for job in other_jobs)
    plan = plan.model_copy(update={"jobs": tuple(own_jobs)})
    outcomes_by_job = job_outcomes(project, plan)
    rows = [_row(*package_version, entries, outcomes_by_job) for package_version, entries in _by_version(plan).items()]
    left_out = (f"{omission.package} {omission.version}".strip() + f": {omission.reason}" for omission in plan.left_out)
    return CIReport(selection=plan.selection, rows=tuple(rows), left_out=(*left_out, *waiting))


def job_outcomes(project: Project, plan: JobsReport) -> dict[str, list[WheelOutcome]]:
    """Return the outcomes of each job of *plan*, by its name; a job that ended early may have none."""
    outcomes_by_job: dict[str, list[WheelOutcome]] = {job.name: [] for job in plan.jobs}
    for (package, version), entries in _by_version(plan).items():
        folder = project.dist / package / version
        expected_files = {
            (job.name, job.key, expected_file.interpreters): expected_file
            for job in entries
            for expected_file in job.expected
        }
        present_wheels = {path.name for path in folder.glob("*.whl")}
        for outcome in outcomes(folder):
            # Jobs of other runs have the same names; and a wheel that ``ci collect`` refused is not built.
            expected = expected_files.get((outcome.job, outcome.key, outcome.interpreters))
            if expected and (not outcome.ok or _there(present_wheels, outcome, expected)):
                outcomes_by_job[outcome.job].append(outcome)
    return outcomes_by_job


def _by_version(plan: JobsReport) -> dict[tuple[str, str], list[JobEntry]]:
    jobs: dict[tuple[str, str], list[JobEntry]] = defaultdict(list)
    for job in plan.jobs:
        jobs[job.package, job.version].append(job)
    return jobs


def problem(night: CIReport) -> JobsFailedError | None:
    """Return the error for packages that are not built, None if all are."""
    failed = [f"{row.package} {row.version}: {row.line or row.result}" for row in night.rows if row.result != "built"]
    if not failed:
        return None
    return JobsFailedError(
        f"{len(failed)} of {len(night.rows)} packages are not built, or not all of their wheels",
        details=failed,
        fix="see the table for the reasons; built wheels are kept, and the next run builds the rest",
    )


def issue_texts(night: CIReport) -> tuple[dict[str, IssueText], tuple[str, ...]]:
    """Return the issues of failing packages, by package, and the packages that build again.

    A package that was only stopped by another one neither opens an issue nor closes one.
    """
    failed: dict[str, list[PackageResult]] = defaultdict(list)
    for row in night.rows:
        if row.result in {"failed", "silent"}:
            failed[row.package].append(row)
    failing_packages = {row.package for row in night.rows if row.result != "built"}
    well = tuple(sorted({row.package for row in night.rows} - failing_packages))
    return {package: _issue_text(package, rows) for package, rows in failed.items()}, well


def keep_issues(project: Project, night: CIReport, *, dry_run: bool) -> CIReport:
    """Open, update or close the issue of each package; return the report with these issues.

    A package that failed in an earlier run and is not in this plan counts as built if nothing of it is due any more.

    Raises:
        ConfigError: the site configuration names no forge for issues.
        CredentialsError: there is no token, or it may not.
        NetworkError: the forge does not answer.
    """
    texts, built = issue_texts(night)
    planned = {row.package for row in night.rows}

    def well(package: str) -> bool:
        return package in built if package in planned else _nothing_due(project, package)

    with open_site_forge(project, dry_run=dry_run) as (forge, config):
        records = issues.sync(
            forge,
            KIND,
            texts,
            is_solved=well,
            comment="It builds again, or nothing of it is due any more.",
            labels=("build-failure", *config.labels),
        )
    return night.model_copy(update={"issues": records})


def _nothing_due(project: Project, package: str) -> bool:
    if package not in list_recipes(project):
        return True
    missing = selection.missing(selection.DuePlanner.of_site(project), (package,))
    return not missing.due and not missing.problems


def markdown(night: CIReport) -> str:
    """Return the summary that a forge shows."""
    built = sum(row.result == "built" for row in night.rows)
    lines = [f"## {built} of {len(night.rows)} packages built" if night.rows else "## Nothing was due", ""]
    if night.rows:
        lines += ["| package | version | due why | result | wheels | time | what matters |", "|" + "---|" * 7]
        lines += [f"| {' | '.join(_cells(row))} |" for row in night.ordered]
    if night.left_out:
        lines += ["", "Left out:", "", *(f"- {inline(line)}" for line in night.left_out)]
    if night.issues:
        lines += [
            "",
            "Issues:",
            "",
            *(f"- {inline(issue.package)}: {issue.action} {issue.url}" for issue in night.issues),
        ]
    return "\n".join([*lines, ""])


def junit(night: CIReport) -> bytes:
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


def _cells(row: PackageResult) -> list[str]:
    wheels = f"{row.wheels} of {row.expected}"
    cells = [row.package, row.version, row.why, row.result, wheels, log.duration(row.seconds), row.line]
    return [inline(text) for text in cells]


def _there(present_wheels: set[str], outcome: WheelOutcome, expected: ExpectedFile) -> bool:
    """Return whether the built wheel is the expected one, and present."""
    return (
        len(outcome.files) == 1 and outcome.files[0] in present_wheels and _is_wheel(outcome.files[0], expected.pattern)
    )


def _is_wheel(file: str, pattern: str) -> bool:
    try:
        name, expected_name = WheelName.parse(file), WheelName.parse(pattern.replace("*", "0_0"))
    except ValueError:
        return False
    return (name.name, name.version, name.pair) == (expected_name.name, expected_name.version, expected_name.pair)


def _row(
    package: str, version: str, jobs: Sequence[JobEntry], outcomes_by_job: dict[str, list[WheelOutcome]]
) -> PackageResult:
    row_outcomes = [outcome for job in jobs for outcome in outcomes_by_job[job.name]]
    reported = {(outcome.job, python) for outcome in row_outcomes for python in outcome.interpreters}
    silent = [python for job in jobs for python in job.interpreters if (job.name, python) not in reported]
    not_built = [outcome for outcome in row_outcomes if not outcome.ok]
    failed = [outcome for outcome in not_built if outcome.state == "failed"]
    first = next(iter([*failed, *not_built]), None)
    failure = first.failure if first else None
    line = SILENT if silent and not failure else ""
    if failure:  # from another machine: tamed here as well
        message, log_line = line_of(failure.what), line_of(failure.line)
        line = f"{message}: {log_line}" if log_line and message not in log_line else log_line or message
    result = "failed" if failed else "silent" if silent else "stopped" if not_built else "built"
    return PackageResult(
        package=package,
        version=version,
        why=jobs[0].why,
        result=result,
        wheels=sum(outcome.ok for outcome in row_outcomes),
        expected=sum(len(job.expected) for job in jobs),
        seconds=round(sum(outcome.seconds for outcome in row_outcomes), 1),
        line=line,
        fix=line_of(failure.fix) if failure else "",
        failed=tuple(sorted({*silent, *(python for outcome in not_built for python in outcome.interpreters)})),
    )


def _issue_text(package: str, rows: Sequence[PackageResult]) -> IssueText:
    """Return the issue of a package; the same failure gives the same text on every run: no times, no dates."""
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
        "`wheelyard ci report` updates this issue when the failure changes, and closes it after a success.",
    ]
    return IssueText(f"{package} does not build", "\n".join(lines))
