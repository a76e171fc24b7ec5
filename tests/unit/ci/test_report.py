"""What came of a plan's jobs: nobody is forgotten, nothing is invented, and what upstream prints commands nobody."""

from __future__ import annotations

import contextlib
import re
from types import SimpleNamespace
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.plans import ESTIMATE, KEY, job_entry
from support.project import PYPROJECT, make_project
from wheelyard.ci import report as flow
from wheelyard.ci.jobs_report import JobsReport
from wheelyard.ci.outcome import Failure, JobSpec, WheelOutcome, line_of, outcomes, parse_job_spec, write_outcome
from wheelyard.cli.ci_report import report_text
from wheelyard.forges.forge import ActionResult
from wheelyard.records.lockfile import lock_file, pin
from wheelyard.records.models import LockedVersion
from wheelyard.records.releases import RELEASES, ReleasedFile, record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from wheelyard.project.config import Project


def plan(*jobs: tuple[str, tuple[str, ...]]) -> JobsReport:
    """Return a plan of one job for each package and its interpreters, all of version 1.0."""
    entries = [job_entry(f"{package} 1.0 {' '.join(pythons)}", package, pythons) for package, pythons in jobs]
    left_out = [{"package": "old", "version": "1.0", "reason": "retired"}]
    return JobsReport.model_validate({"selection": "due", "estimate": ESTIMATE, "jobs": entries, "left-out": left_out})


def wheel(package: str, python: str) -> str:
    return f"{package}-1.0-{python}-{python}-manylinux_2_39_riscv64.whl"


def advance(project: Project, job: str, python: str, state: str = "built", **failure: object) -> None:
    package = job.partition(" ")[0]
    told = WheelOutcome.model_validate(
        {
            "job": job,
            "key": KEY,
            "package": package,
            "package_version": "1.0",
            "interpreters": (python,),
            "state": state,
            "files": (wheel(package, python),) if state in {"built", "reused"} else (),
            "seconds": 61,
            "failure": Failure.model_validate({"code": 40, "what": "it broke", **failure}) if failure else None,
            "ended": "2026-11-24T01:00:00+00:00",
        }
    )
    write_outcome(project.dist / package / "1.0", told)
    for file in told.files:
        (project.dist / package / "1.0" / file).write_bytes(b"")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path)


def rows(project: Project, made: JobsReport) -> dict[str, str]:
    return {row.package: row.result for row in flow.report(project, made).rows}


def test_each_package_of_the_plan_has_its_row(project: Project) -> None:
    made = plan(
        ("a", ("cp312", "cp313")), ("b", ("cp312",)), ("c", ("cp312",)), ("d", ("cp312", "cp313")), ("e", ("cp312",))
    )
    advance(project, "a 1.0 cp312 cp313", "cp312")
    advance(project, "a 1.0 cp312 cp313", "cp313", "reused")
    advance(project, "b 1.0 cp312", "cp312", "failed", line="b.c:1: error: no")
    advance(project, "c 1.0 cp312", "cp312", "stopped", what="b is nowhere")
    advance(project, "d 1.0 cp312 cp313", "cp312")
    night = flow.report(project, made)
    assert {row.package: row.result for row in night.rows} == {
        "a": "built",
        "b": "failed",
        "c": "stopped",
        "d": "silent",
        "e": "silent",
    }
    assert [(row.wheels, row.expected) for row in night.rows] == [(2, 2), (0, 1), (0, 1), (1, 2), (0, 1)]
    assert night.rows[1].line == "it broke: b.c:1: error: no"
    assert night.rows[3].failed == ("cp313",)
    assert night.left_out == ("old 1.0: retired",)
    problem = flow.problem(night)
    assert problem is not None
    assert problem.exit_code == 43
    assert [line.partition(" ")[0] for line in problem.details] == ["b", "c", "d", "e"]


def test_what_another_job_left_does_not_count(project: Project) -> None:
    """A folder of results may hold those of an earlier plan."""
    advance(project, "a 0.9 cp312", "cp312")
    assert rows(project, plan(("a", ("cp312",)))) == {"a": "silent"}


def test_what_the_same_job_of_an_earlier_plan_left_does_not_count(project: Project) -> None:
    made = plan(("a", ("cp312",)))
    advance(project, "a 1.0 cp312", "cp312")
    assert rows(project, made) == {"a": "built"}
    later = made.model_copy(update={"jobs": tuple(job.model_copy(update={"key": "8" * 64}) for job in made.jobs)})
    assert rows(project, later) == {"a": "silent"}


def test_an_outcome_whose_wheel_is_not_there_does_not_count(project: Project) -> None:
    advance(project, "a 1.0 cp312", "cp312")
    (project.dist / "a" / "1.0" / wheel("a", "cp312")).unlink()
    assert rows(project, plan(("a", ("cp312",)))) == {"a": "silent"}


def test_built_without_any_wheel_is_not_believed(project: Project) -> None:
    advance(project, "a 1.0 cp312", "cp312")
    path = next(project.dist.rglob("outcome-*.json"))
    path.write_text(path.read_text().replace(f'"{wheel("a", "cp312")}"', ""))
    assert rows(project, plan(("a", ("cp312",)))) == {"a": "silent"}


@pytest.mark.parametrize("pythons", [("cp314",), ("cp312", "cp313"), ("cp313", "cp312"), ("cp312,cp313",), ()])
def test_more_than_a_job_was_to_build_does_not_count(project: Project, pythons: tuple[str, ...]) -> None:
    made = plan(("a", ("cp312", "cp313")))
    for python in ("cp312", "cp313"):
        advance(project, "a 1.0 cp312 cp313", python)
    one = next(outcomes(project.dist / "a/1.0"))
    write_outcome(project.dist / "a/1.0", one.model_copy(update={"interpreters": pythons}))
    (row,) = flow.report(project, made).rows
    assert (row.wheels, row.expected, row.result) == (2, 2, "built")


def test_one_wheel_does_not_pass_for_another(project: Project) -> None:
    made = plan(("a", ("cp312", "cp313")))
    advance(project, "a 1.0 cp312 cp313", "cp312")
    one = next(outcomes(project.dist / "a/1.0"))
    write_outcome(project.dist / "a/1.0", one.model_copy(update={"interpreters": ("cp313",)}))
    (row,) = flow.report(project, made).rows
    assert (row.wheels, row.result, row.failed) == (1, "silent", ("cp313",))


def test_a_plan_of_nothing_is_well(project: Project) -> None:
    night = flow.report(project, plan())
    assert flow.problem(night) is None
    assert "Nothing was due" in flow.markdown(night)
    assert flow.issue_texts(night) == ({}, ())


def test_what_another_pipeline_builds_is_no_failure(project: Project) -> None:
    made = plan(("a", ("cp312",)), ("b", ("cp312",)))
    jobs = tuple(job.model_copy(update={"pipeline": which}) for which, job in enumerate(made.jobs, 1))
    made = made.model_copy(update={"jobs": jobs})
    advance(project, "a 1.0 cp312", "cp312")
    night = flow.report(project, made, 1)
    assert [row.package for row in night.rows] == ["a"]
    assert flow.problem(night) is None
    assert flow.issue_texts(night) == ({}, ("a",))
    assert "- b 1.0: more jobs are due than one pipeline takes; this one waits for the next run" in flow.markdown(night)
    assert [row.package for row in flow.report(project, made).rows] == ["a", "b"]


def test_the_table_tells_why_and_how_long_and_what_is_left_out(project: Project) -> None:
    made = plan(("a", ("cp312",)))
    advance(project, "a 1.0 cp312", "cp312")
    night = flow.report(project, made)
    why = made.jobs[0].why
    assert f"| a | 1.0 | {why} | built | 1 of 1 | 61 s |  |" in flow.markdown(night).splitlines()
    head, _, row, *rest = report_text(night).splitlines()
    assert re.split(r"  +", head) == ["package", "version", "due why", "result", "wheels", "time", "message"]
    assert re.split(r"  +", row) == ["a", "1.0", why, "built", "1 of 1", "61 s", "-"]
    assert rest == ["", "left out:", "  old 1.0: retired"]
    assert report_text(flow.report(project, plan())).splitlines() == ["nothing is to be built", *rest]


def test_an_issue_is_wanted_for_failures_and_no_longer_for_successes(project: Project) -> None:
    made = plan(("a", ("cp312",)), ("b", ("cp312",)), ("c", ("cp312",)), ("e", ("cp312",)))
    advance(project, "a 1.0 cp312", "cp312")
    advance(project, "b 1.0 cp312", "cp312", "failed", line="no")
    advance(project, "c 1.0 cp312", "cp312", "stopped", what="b is nowhere")
    wanted, well = flow.issue_texts(flow.report(project, made))
    assert sorted(wanted) == ["b", "e"]
    assert well == ("a",)


def test_the_same_failure_asks_for_the_same_issue_on_another_night(project: Project) -> None:
    made = plan(("b", ("cp312",)))
    advance(project, "b 1.0 cp312", "cp312", "failed", line="b.c:1: error: no")
    before, _ = flow.issue_texts(flow.report(project, made))
    path = next(project.dist.rglob("outcome-*.json"))
    path.write_text(path.read_text().replace("61", "99").replace("2026-11-24", "2026-11-25"))
    assert flow.issue_texts(flow.report(project, made))[0] == before


class Board:
    """A forge on which these packages have an issue."""

    def __init__(self, *packages: str) -> None:
        self.open = [f"{flow.KIND}/{package}" for package in packages]
        self.closed: list[str] = []

    def open_issues(self, _labels: object) -> list[str]:
        return [*self.open, "vulnerability/d"]

    def upsert_issue(self, *_: object) -> ActionResult[str]:
        return ActionResult("update", "")

    def close_issue(self, key: str, *_: object) -> ActionResult[str]:
        self.closed.append(key.partition("/")[2])
        return ActionResult("close", "")


def test_an_issue_is_closed_once_nothing_of_the_package_is_due_however_that_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("built", "failed", "published", "due", "retired", "broken", "stopped")
    site = PYPROJECT.replace("[tool.wheelyard]", '[tool.wheelyard]\nimage = "official"')
    site += '\n[tool.wheelyard.registries.ours]\nkind = "directory"\npath = "dist/index"\n'
    project = make_project(tmp_path, {f"{name}/recipe.toml": "" for name in names}, pyproject=site)
    for name in names:
        entry = {"version": "1.0", "file": f"{name}-1.0.tar.gz", "size": 1, "sha256": "1" * 64, "reference": "aarch64"}
        pin(
            lock_file(project.packages, name),
            LockedVersion.model_validate(entry | {"wheels": ["cp312-cp312"]}),
        )
    lock = lock_file(project.packages, "retired")
    lock.write_text(lock.read_text().replace("[[", 'retired = "1.0"\n\n[[', 1))
    (project.recipes / "broken/recipe.toml").write_text("tags = 3\n")
    tags = "cp312-cp312-manylinux_2_39_riscv64"
    file = ReleasedFile(file=f"published-1.0-{tags}.whl", where="ours", sha256="0" * 64, size=1, tags=(tags,))
    record(RELEASES.path(project.packages, "published"), [file])
    made = plan(*((name, ("cp312",)) for name in ("built", "failed", "stopped")))
    advance(project, "built 1.0 cp312", "cp312")
    advance(project, "failed 1.0 cp312", "cp312", "failed", line="no")
    advance(project, "stopped 1.0 cp312", "cp312", "stopped", what="another is nowhere")
    board = Board(*names, "gone")

    @contextlib.contextmanager
    def open_site_forge(_project: Project, *, dry_run: bool) -> Iterator[tuple[Board, SimpleNamespace]]:
        yield board, SimpleNamespace(labels=())

    monkeypatch.setattr(flow, "open_site_forge", open_site_forge)
    flow.keep_issues(project, flow.report(project, made), dry_run=False)
    assert sorted(board.closed) == ["built", "gone", "published", "retired"]


HOSTILE = "@everyone | `x` [click](javascript:1) <script>\x1b[31m /close ![i](http://h/p.png)"


def test_what_upstream_prints_commands_nobody(project: Project) -> None:
    made = plan(("b", ("cp312",)))
    advance(project, "b 1.0 cp312", "cp312", "failed", line=HOSTILE, what=HOSTILE, fix=HOSTILE)
    night = flow.report(project, made)
    body = flow.issue_texts(night)[0]["b"].body
    for text in (flow.markdown(night), body):
        for bad in ("@everyone", "[click]", "<script", "\x1b", "![i]"):
            assert bad not in text
        assert "\n/close" not in text
    table = flow.markdown(night).splitlines()[4]
    assert table.replace("\\|", "").count("|") == 8


def test_junit_says_the_same(project: Project) -> None:
    made = plan(("a", ("cp312",)), ("b", ("cp312",)))
    advance(project, "a 1.0 cp312", "cp312")
    advance(project, "b 1.0 cp312", "cp312", "failed", line="<&\x00\x0b>")
    suite = ET.fromstring(flow.junit(flow.report(project, made)))  # noqa: S314 - ours
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    assert [case.get("classname") for case in suite if case.find("failure") is not None] == ["b"]


@given(st.text(max_size=2000))
def test_a_line_is_one_line_and_not_too_long(text: str) -> None:
    line = line_of(text)
    assert len(line) <= 400
    assert len(line.splitlines()) <= 1
    assert "\x1b" not in line


TICKET = JobSpec(name="a 1.0 cp312", package="a", version="1.0", wheels=("cp312",), key=KEY)


def test_a_ticket_is_read_as_it_is_written() -> None:
    assert parse_job_spec(TICKET.model_dump_json(by_alias=True)) == TICKET


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("package", "../a"),
        ("package", "a; rm -rf /"),
        ("package", "--to"),
        ("version", "../1"),
        ("version", "-v"),
        ("version", "1.0 $(id)"),
        ("wheels", []),
        ("wheels", ["cp312; id"]),
        ("needs", ["a/../b"]),
        ("key", "7"),
        ("more", "x"),
    ],
)
def test_a_ticket_that_no_plan_writes_is_refused(field: str, value: object) -> None:
    import json

    from wheelyard.core.errors import ConfigError

    text = json.dumps(TICKET.model_dump(mode="json", by_alias=True) | {field: value})
    with pytest.raises(ConfigError, match="not a job of a plan") as caught:
        parse_job_spec(text)
    assert any(field in line for line in caught.value.details)
