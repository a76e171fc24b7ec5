"""A job of a plan leaves word of each wheel, whatever ends it, and nothing of an earlier try passes for it."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, NoReturn

import pytest

from support.project import make_project
from wheelyard.ci import run_planned_job as flow
from wheelyard.ci.outcome import JobSpec, outcomes
from wheelyard.core.errors import BuildError

if TYPE_CHECKING:
    from pathlib import Path

    from wheelyard.project.config import Project

TICKET = JobSpec(name="demo 1.0 cp312 cp313", package="demo", version="1.0", wheels=("cp312", "cp313"), key="7" * 64)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path, {"demo/recipe.toml": ""})


def states(folder: Path) -> dict[str, tuple[str, int]]:
    return {each.file: (each.state, each.failure.code if each.failure else 0) for each in outcomes(folder)}


def ends_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def build_package(*_: object) -> NoReturn:
        raise error

    monkeypatch.setattr(flow, "build_package", build_package)


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (RuntimeError("it is not so\x1b[31m\n::error::x"), 1, "RuntimeError: it is not so [31m ::error::x"),
        (OSError(errno.ENOSPC, "No space left on device"), 1, "No space left on device"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (SystemExit(3), 1, "SystemExit"),
    ],
)
def test_word_is_left_of_what_nobody_foresaw_and_it_goes_its_way(
    project: Project, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, says: str
) -> None:
    ends_with(monkeypatch, error)
    keep = project.root / "kept"
    with pytest.raises(type(error)) as caught:
        flow.run_job(project, TICKET, keep=keep)
    assert caught.value is error
    for folder in (project.dist / "demo/1.0", keep):
        (outcome,) = outcomes(folder)
        assert states(folder) == {"outcome-cp312.json": ("failed", code)}
        assert outcome.failure
        assert says in outcome.failure.what


def test_where_no_word_can_be_left_the_cause_is_told_all_the_same(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = RuntimeError("the cause")
    ends_with(monkeypatch, error)
    project.dist.mkdir()
    (project.dist / "demo").mkdir()
    (project.dist / "demo/1.0").touch()
    with pytest.raises(RuntimeError, match="the cause"):
        flow.run_job(project, TICKET, 0)


def test_of_an_earlier_try_nothing_is_left_once_a_job_has_started(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor of a wheel whose turn has not come when the job dies; of others' wheels all is."""
    folder, keep = project.dist / "demo/1.0", project.root / "kept"
    ends_with(monkeypatch, BuildError("no"))
    flow.run_job(project, TICKET, keep=keep)
    other = TICKET.model_copy(update={"wheels": ("cp314",)})
    flow.run_job(project, other, keep=keep)
    failed = dict.fromkeys(["outcome-cp312.json", "outcome-cp313.json", "outcome-cp314.json"], ("failed", 40))
    assert states(folder) == states(keep) == failed

    class Killed(BaseException):
        """As if the process were gone: nothing can be done any more."""

    def die(*_: object) -> NoReturn:
        found.append((states(folder), states(keep)))
        raise Killed

    found: list[object] = []
    monkeypatch.setattr(flow, "build_package", die)
    with pytest.raises(Killed):
        flow.run_job(project, TICKET, keep=keep)
    left = {"outcome-cp314.json": ("failed", 40)}
    assert found == [(left, left)]
