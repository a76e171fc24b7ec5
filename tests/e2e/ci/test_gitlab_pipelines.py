"""GitLab's pipelines for real: the project's own files, run by gitlab-ci-local in a clean clone, with servers here."""

from __future__ import annotations

import os
import re
import shutil
from typing import TYPE_CHECKING

import pytest

from support.gitlab_ci import MERGE_REQUEST, PUSH, schedule
from support.gitlab_project import GitLabProject, ended, open_project, red, well
from support.remote import git
from support.stand_ins import FAIL, widen
from support.tiny import add_tiny, add_twin, add_user
from wheelyard.records.expiry_table import PAGE
from wheelyard.records.lockfile import lock_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[GitLabProject]:
    with open_project(tmp_path) as made:
        yield made


def test_a_merge_request_builds_what_it_touches_and_publishes_nothing(yard: GitLabProject, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    git(yard.root, "checkout", "--quiet", "-b", f"x$(touch${{IFS}}{marker});touch${{IFS}}{marker}")
    base, _ = yard.change()
    kind = MERGE_REQUEST | {
        "CI_MERGE_REQUEST_DIFF_BASE_SHA": base,
        "CI_MERGE_REQUEST_TITLE": f"$(touch {marker})`touch {marker}`",
        "CI_MERGE_REQUEST_DESCRIPTION": f"'; touch {marker}; '",
    }
    done = yard.run(kind)
    well(done)
    assert not marker.exists()
    assert [(job["package"], job["why"]) for job in yard.plan] == [("tiny", "changed")]
    assert re.search(r"(?m)^\| tiny \| 1\.0 \| changed \| built \| 1 of 1 \| [\d.]+ s \|", yard.report), yard.report
    assert yard.published == []
    assert not yard.project.merge_requests


def test_a_recipe_with_a_malicious_name_is_refused_and_runs_nothing(yard: GitLabProject, tmp_path: Path) -> None:
    base = git(yard.root, "rev-parse", "HEAD")
    folder = yard.root / "recipes" / "x$(touch${IFS}marker);touch marker"
    folder.mkdir()
    (folder / "recipe.toml").touch()
    yard.commit("what a name")
    done = yard.run(MERGE_REQUEST | {"CI_MERGE_REQUEST_DIFF_BASE_SHA": base})
    assert set(red(done)) >= {"review", "preflight"}, done.stdout + done.stderr
    assert not list(tmp_path.rglob("marker"))
    assert not list(yard.root.rglob("marker"))


def test_a_package_that_fails_is_red_in_a_merge_request(yard: GitLabProject) -> None:
    yard.machines("instead", FAIL)
    base, _ = yard.change()
    done = yard.run(MERGE_REQUEST | {"CI_MERGE_REQUEST_DIFF_BASE_SHA": base})
    assert "report" in red(done), done.stdout
    assert not yard.project.issues


def test_a_wheel_goes_to_the_job_that_needs_it(yard: GitLabProject) -> None:
    add_user(yard.index, yard.root)
    yard.commit("one that needs tiny")
    well(yard.run(schedule("nightly")))
    assert [name.partition("-")[0] for name in yard.published] == ["tiny", "tiny_user"]


@pytest.mark.parametrize("asks", [["tiny"], ["tiny", "other"]])
def test_a_description_asks_for_no_build_twice(yard: GitLabProject, asks: list[str]) -> None:
    add_twin(yard.root, "other")
    yard.commit("one more")
    base, _ = yard.change()  # of tiny
    body = "".join(f"Trigger: {name}:1.0\n" for name in asks)
    kind = MERGE_REQUEST | {"CI_MERGE_REQUEST_DIFF_BASE_SHA": base, "CI_MERGE_REQUEST_DESCRIPTION": body}
    for job in ("review", "plan-triggered"):
        done = yard.run(kind, job)
        well(done)
    assert [job["package"] for job in yard.planned("plan-triggered")] == asks[1:]
    assert (yard.checkout.artifacts("plan-triggered") / "dist/jobs/pipeline-1.yml").exists()


def test_a_push_to_the_default_branch_publishes_and_proposes_its_records_once(yard: GitLabProject) -> None:
    before, _ = yard.change()
    git(yard.root, "push", "--quiet", "origin", "main")
    for _ in range(2):  # a pipeline that somebody starts again does nothing twice
        done = yard.run(PUSH | {"CI_COMMIT_BEFORE_SHA": before})
        well(done)
        (wheel,) = yard.published
        (request,) = yard.project.merge_requests.values()
        assert wheel in git(yard.bare.path, "show", f"{request.source_branch}:packages/tiny/releases.toml")
        assert len([seen for seen in yard.gitlab.requests if seen.method == "POST" and seen.body > 1000]) == 1
        overview = (yard.checkout.artifacts("pages") / "public/index.html").read_text(encoding="utf-8")
        assert "tiny" in overview
    assert not yard.project.issues


@pytest.mark.parametrize("before", ["another history", "1" * 40, "0" * 40])
def test_after_a_push_that_replaces_history_what_is_due_is_planned(yard: GitLabProject, before: str) -> None:
    _, replaced = yard.change()
    git(yard.root, "commit", "--quiet", "--amend", "--message", "tiny takes its time, as it says")
    done = yard.run(PUSH | {"CI_COMMIT_BEFORE_SHA": replaced if before == "another history" else before}, "plan")
    well(done)
    assert [(job["package"], job["why"]) for job in yard.plan] == [("tiny", "missing for cp313")]


def test_the_tokens_schedule_looks_at_tokens_and_at_nothing_else(yard: GitLabProject) -> None:
    done = yard.run(schedule("tokens"))
    well(done)
    assert "PYTHON_CI_GROUP_TOKEN" in done.stdout
    assert not yard.checkout.artifacts("plan").exists()
    (request,) = yard.project.merge_requests.values()
    page = git(yard.bare.path, "show", f"{request.source_branch}:{PAGE}")
    assert re.search(r"(?m)^\| `PYTHON_CI_GROUP_TOKEN` \| \d{4}-\d\d-\d\d \|", page)


def test_the_versions_schedule_proposes_what_is_new_and_keeps_what_it_saw(yard: GitLabProject) -> None:
    add_tiny(yard.index, "1.1")
    yard.policy(more="[tool.wheelyard.watch]\ncool-down = 0\n")
    yard.commit("no patience")
    for _ in range(2):  # nothing comes twice
        done = yard.run(schedule("versions"))
        well(done)
        assert ended(done, "WARN") == {"versions": 17}
        branches = [each.source_branch for each in yard.project.merge_requests.values()]
        changed = [git(yard.bare.path, "diff", "--name-only", f"main...{branch}") for branch in branches]
        assert sorted(changed) == ["packages/tiny/history.toml", "packages/tiny/lock.toml"]


def test_a_misspelt_schedule_is_red(yard: GitLabProject) -> None:
    done = yard.run(schedule("nigthly"))
    assert done.returncode != 0
    assert "must be nightly, versions or tokens" in done.stdout + done.stderr


def test_a_night_with_nothing_due_is_green_and_closes_what_failed(yard: GitLabProject) -> None:
    yard.machines("instead", FAIL)
    well(yard.run(schedule("nightly")))
    (issue,) = yard.project.issues.values()
    assert (issue.title, issue.state) == ("tiny does not build", "opened")

    shutil.rmtree(yard.root / "recipes/tiny")
    shutil.rmtree(yard.root / "packages/tiny")
    (yard.root / "recipes/_shared").mkdir()
    (yard.root / "recipes/_shared/none.toml").touch()
    yard.commit("nothing is left")
    done = yard.run(schedule("nightly"))
    well(done)
    assert yard.plan == []
    assert "nothing is due" in done.stdout
    assert issue.state == "closed"


def test_three_hundred_jobs_are_one_pipeline_and_one_report(yard: GitLabProject) -> None:
    widen(lock_file(yard.root / "packages", "tiny"), 299)
    yard.commit("three hundred versions")
    yard.machines("instead", FAIL)
    done = yard.run(schedule("nightly"))
    assert len(yard.plan) == 300
    assert not (yard.checkout.artifacts("plan") / "dist/jobs/pipeline-2.yml").exists()
    assert ended(done, "WARN")["report"] == 43, done.stdout + done.stderr
    well(done)
    assert "## 0 of 300 packages built" in yard.report
    told = re.findall(r"\n\| tiny \| (\S+) \|.*\| failed \| 0 of 1 \|.*\| (\S+) has its own reason \|", yard.report)
    assert len(told) == len(set(told)) == 300
    assert all(version == said for version, said in told)


def test_a_machine_without_room_says_so_and_is_red(yard: GitLabProject) -> None:
    yard.policy(space=1_000_000)
    yard.commit("more room than any machine has")
    done = yard.run(schedule("nightly"))
    said = done.stdout + done.stderr
    assert "min-free-gib" in said
    assert 71 in ended(done, "FAIL").values()
    assert yard.published == []


@pytest.mark.skipif(os.geteuid() != 0, reason="a mount namespace of its own wants root")
def test_a_machine_without_an_emulator_says_so_and_is_red(yard: GitLabProject) -> None:
    yard.machines("no-qemu")
    done = yard.run(schedule("nightly"))
    assert "fix: ci/bootstrap true" in done.stdout + done.stderr
    assert 30 in ended(done, "FAIL").values()
    assert "failed | 0 of 1" in yard.report
    assert "QEMU is not registered with binfmt_misc" in yard.report
    (issue,) = yard.project.issues.values()
    assert "What to do: ci/bootstrap true" in issue.description
    assert yard.published == []
