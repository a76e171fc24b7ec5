"""What is tried once more: what died, and what waited for it; never what said why it failed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from support.plans import ESTIMATE, KEY, job_entry
from support.project import make_project
from wheelyard.ci.jobs_report import JobsReport
from wheelyard.ci.outcome import Failure, WheelOutcome, write_outcome
from wheelyard.ci.report import read_plan
from wheelyard.ci.retry import jobs_to_retry
from wheelyard.cli.commands import cli
from wheelyard.core.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from wheelyard.project.config import Project


def plan(**jobs: tuple[str, ...]) -> JobsReport:
    """Return a plan of a job for each package, which needs those that are named, for CPython 3.12 and 3.13."""
    entries = [
        job_entry(f"{package} 1.0", package, ("cp312", "cp313"), tuple(f"{each} 1.0" for each in needs))
        for package, needs in jobs.items()
    ]
    rows = [{"name": each["name"], "package": each["package"], "wheels": each["interpreters"]} for each in entries]
    matrices = [{"name": "wave-1-first-1", "wave": 1, "gate": True, "include": rows}]
    return JobsReport.model_validate({"selection": "due", "estimate": ESTIMATE, "jobs": entries, "matrices": matrices})


def advance(project: Project, package: str, **states: str) -> None:
    """Leave what a job says: ``cp312="built"``."""
    folder = project.dist / package / "1.0"
    for python, state in states.items():
        wheel = f"{package}-1.0-{python}-{python}-manylinux_2_39_riscv64.whl"
        built = state == "built"
        outcome = WheelOutcome(
            job=f"{package} 1.0",
            key=KEY,
            package=package,
            package_version="1.0",
            interpreters=(python,),
            state="failed" if state == "ended" else state,
            files=(wheel,) if built else (),
            failure=None if built else Failure(code=130 if state == "ended" else 40, what="it broke"),
            ended="2026-11-24T01:00:00+00:00",
        )
        write_outcome(folder, outcome)
        if built:
            (folder / wheel).touch()


def names(project: Project, made: JobsReport) -> dict[str, list[str]]:
    return {each.name: [str(row["package"]) for row in each.include] for each in jobs_to_retry(project, made)}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path)


def test_what_died_is_jobs_to_retry_and_what_failed_is_not(project: Project) -> None:
    advance(project, "well", cp312="built", cp313="built")
    advance(project, "bad", cp312="built", cp313="failed")
    advance(project, "half", cp312="built")
    made = plan(well=(), bad=(), half=(), lost=())
    assert names(project, made) == {"retry-first-1": ["half", "lost"]}
    half, lost = jobs_to_retry(project, made)[0].include
    assert half == made.matrices[0].include[2] | {"wheels": ("cp313",)}  # but for what is there, the same
    assert lost == made.matrices[0].include[3]


def test_what_said_why_it_failed_is_left_out_also_of_a_job_that_died(project: Project) -> None:
    advance(project, "lost", cp312="failed")
    assert [each.include[0]["wheels"] for each in jobs_to_retry(project, plan(lost=()))] == [("cp313",)]


def test_what_a_machine_has_ended_is_jobs_to_retry(project: Project) -> None:
    advance(project, "lost", cp312="built", cp313="ended")
    assert [each.include[0]["wheels"] for each in jobs_to_retry(project, plan(lost=()))] == [("cp313",)]


def test_a_plan_for_another_forge_has_nothing_to_try(tmp_path: Path) -> None:
    file = tmp_path / "jobs.json"
    file.write_text(plan(lost=()).model_copy(update={"matrices": ()}).model_dump_json(), encoding="utf-8")
    assert read_plan(file).jobs
    with pytest.raises(ConfigError, match="no matrices") as told:
        read_plan(file, matrices=True)
    assert told.value.where == str(file)


def test_a_wheel_that_is_not_there_was_not_built(project: Project) -> None:
    advance(project, "lost", cp312="built", cp313="built")
    next((project.dist / "lost/1.0").glob("*cp313*.whl")).unlink()
    assert names(project, plan(lost=())) == {"retry-first-1": ["lost"]}


def test_what_waited_for_it_comes_after_it_in_the_plans_order(project: Project) -> None:
    made = plan(lost=(), bad=(), near=("lost",), other=("bad",), far=("near",), gone=("far",), well=("lost",))
    advance(project, "bad", cp312="failed", cp313="failed")
    for package in ("near", "other", "far"):
        advance(project, package, cp312="stopped", cp313="stopped")
    advance(project, "well", cp312="built", cp313="built")  # with what a registry had
    assert names(project, made) == {
        "retry-first-1": ["lost"],
        "retry-next-1": ["near"],  # side by side, and then one after another
        "retry-rest-1": ["far", "gone"],
    }


def test_nobody_died(project: Project) -> None:
    advance(project, "well", cp312="built", cp313="built")
    assert jobs_to_retry(project, plan(well=())) == ()


def test_more_than_a_matrix_takes_are_several(project: Project) -> None:
    made = plan(**{f"p{number}": () for number in range(300)})
    assert [len(each.include) for each in jobs_to_retry(project, made)] == [256, 44]


def test_the_verb_writes_what_a_forge_is_given(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.root)
    made = plan(lost=(), near=("lost",))
    advance(project, "near", cp312="stopped", cp313="stopped")
    (project.dist / "jobs").mkdir()
    (project.dist / "jobs/jobs.json").write_text(made.model_dump_json(by_alias=True), encoding="utf-8")
    done = CliRunner().invoke(cli, ["ci", "retry"])
    assert done.exit_code == 0, done.output
    assert done.output.splitlines() == ["lost 1.0: once more", "near 1.0: once more, after its needs"]
    out = project.dist / "retry"
    assert sorted(each.name for each in out.iterdir()) == ["outputs", "retry-first-1.json", "retry-next-1.json"]
    assert (out / "outputs").read_text(encoding="utf-8") == 'first=["retry-first-1"]\nnext=["retry-next-1"]\n'
    (row,) = json.loads((out / "retry-next-1.json").read_text(encoding="utf-8"))["include"]
    assert row["package"] == "near"

    advance(project, "lost", cp312="built", cp313="built")
    advance(project, "near", cp312="built", cp313="built")
    assert CliRunner().invoke(cli, ["ci", "retry"]).output == ""
    assert [(each.name, each.read_text(encoding="utf-8")) for each in out.iterdir()] == [("outputs", "")]
