"""Nights on GitLab, and the days after them: see ``test_gitlab_pipelines``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from support.gitlab import Fault
from support.gitlab_ci import schedule
from support.gitlab_project import GitLabProject, ended, open_project, red, well
from support.publishing import FILE, UPLOAD
from support.remote import git

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

UPKEEP = ("tokens", "audit", "installs")


@dataclass(frozen=True)
class Past:
    """A night that is over, and what it left."""

    done: subprocess.CompletedProcess[str]
    plan: list[dict[str, object]]
    report: str
    published: list[str]
    issues: list[str]

    @property
    def said(self) -> str:
        return self.done.stdout + self.done.stderr


def past(yard: GitLabProject) -> Past:
    done = yard.run(schedule("nightly"))
    return Past(done, yard.plan, yard.report, yard.published, [each.state for each in yard.project.issues.values()])


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[GitLabProject, list[Past]]]:
    """A night whose job is killed over its second wheel, one without a registry, and one on which all is well."""
    with open_project(tmp_path_factory.mktemp("nights")) as made:
        made.image = "local:forky"  # has two interpreters
        made.policy(pythons=("cp313", "cp314"), more="[tool.wheelyard.runners]\ngitlab-wheels = 2\n")
        made.commit("two interpreters")
        git(made.root, "push", "--quiet", "origin", "main")
        with made.killing("Installing and importing (cp314)"):
            killed = past(made)
        made.gitlab.fault(Fault("status", **UPLOAD, status=503))
        down = past(made)
        made.gitlab.heal()
        yield made, [killed, down, past(made)]


@pytest.fixture
def day(nights: tuple[GitLabProject, list[Past]]) -> Iterator[GitLabProject]:
    """The yard on the day after, its records merged."""
    made, _ = nights
    made.merge()
    token = made.checkout.env["PYTHON_CI_GROUP_TOKEN"]
    yield made
    made.gitlab.heal()
    made.osv.affected.clear()
    made.osv.answer = None
    made.checkout.env["PYTHON_CI_GROUP_TOKEN"] = token


def test_what_a_job_had_done_when_it_was_killed_goes_out(nights: tuple[GitLabProject, list[Past]]) -> None:
    _, (killed, _, _) = nights
    assert [(job["package"], job["interpreters"]) for job in killed.plan] == [("tiny", ["cp313", "cp314"])]
    assert ended(killed.done, "FAIL") == {"cp314": 137}, killed.said  # the last word of the job's name
    assert "ended without a result" in killed.report
    assert "1 of 2" in killed.report
    assert killed.issues == ["opened"]
    assert [name[:14] for name in killed.published] == ["tiny-1.0-cp313"]


def test_what_cannot_go_out_is_kept(nights: tuple[GitLabProject, list[Past]]) -> None:
    _, (_, down, _) = nights
    assert red(down.done) == ["deploy"], down.said
    assert len(down.published) == 1
    assert "2 of 2" in down.report
    assert "cp313: reused" in down.said  # the job went on from its cache
    assert "resuming with the unchecked wheels of an earlier build" in down.said
    assert "cp314: built" in down.said
    assert "Building wheel" not in down.said


def test_a_night_on_which_all_is_well_closes_the_issue(nights: tuple[GitLabProject, list[Past]]) -> None:
    yard, (_, _, good) = nights
    well(good.done)
    assert good.issues == ["closed"]
    assert "cp314: reused" in good.said
    pattern = r"tiny-1\.0-(cp31[34])-\1-manylinux_\w+(\.manylinux_\w+)*_riscv64\.whl"
    assert [bool(re.fullmatch(pattern, wheel)) for wheel in good.published] == [True, True]
    (request,) = yard.project.merge_requests.values()
    records = git(yard.bare.path, "show", f"{request.source_branch}:packages/tiny/releases.toml")
    assert all(wheel in records for wheel in good.published)


def test_a_day_on_which_all_is_well_is_green(day: GitLabProject) -> None:
    done = day.run(schedule("nightly"), *UPKEEP)
    well(done)
    assert ended(done, "WARN") == {}
    assert "1 published versions of 1 packages" in done.stdout
    assert re.search(r"tiny +1\.0 +cp313 +ok", done.stdout), done.stdout
    assert re.search(r"tiny +1\.0 +cp314 +ok", done.stdout), done.stdout
    assert "is needed" in done.stdout


def test_news_of_what_is_published_are_yellow_and_have_their_issues(day: GitLabProject) -> None:
    day.checkout.env["PYTHON_CI_GROUP_TOKEN"] = day.token(10)
    day.osv.add("PYSEC-2026-7", "tiny", ("1.0",), fixed=("1.1",), summary="it answers 43")
    day.gitlab.fault(Fault("corrupt", **FILE))
    done = day.run(schedule("nightly"), *UPKEEP)
    assert ended(done, "WARN") == {"tokens": 64, "audit": 67, "installs": 68}, done.stdout + done.stderr
    well(done)
    titles = {issue.title for issue in day.project.issues.values() if issue.state == "opened"}
    assert titles == {"Tokens and renewals: 1 due soon", "tiny: 1 known vulnerability in published versions"}
    log = (day.checkout.artifacts("installs") / "dist/try/cp314.log").read_text(encoding="utf-8")
    assert "DO NOT MATCH THE HASHES" in log


def test_who_cannot_look_is_red(day: GitLabProject) -> None:
    day.checkout.env["PYTHON_CI_GROUP_TOKEN"] = "glpat-ended"
    day.osv.answer = {"results": []}
    day.gitlab.fault(Fault("status", path="/packages/pypi", status=401))
    done = day.run(schedule("nightly"), *UPKEEP)
    assert sorted(red(done)) == sorted(UPKEEP), done.stdout + done.stderr
