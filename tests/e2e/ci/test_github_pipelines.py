"""GitHub's workflows for real: the project's own files, run by act in a clean clone, against servers here."""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING

import pytest

from support.act import ACT
from support.github_project import GitHubProject, open_project
from support.gitlab import Fault
from support.publishing import UPLOAD
from support.remote import git
from support.stand_ins import FAIL, widen
from support.tiny import add_tiny, add_user
from wheelyard.core.digests import sha256_file
from wheelyard.records.expiry_table import PAGE
from wheelyard.records.lockfile import lock_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(not ACT.exists(), reason="act is not installed")


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[GitHubProject]:
    with open_project(tmp_path) as made:
        yield made


def test_what_a_pull_request_builds_is_what_goes_out(yard: GitHubProject, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    ref = f"x$(touch${{IFS}}{marker});touch${{IFS}}{marker}"
    base, head = yard.change()
    done = yard.pull_request(base, head, ref=ref, body=f"'; touch {marker}; '\n$(touch {marker})\n`touch {marker}`")
    assert done.status == 0, done.said
    assert not marker.exists()
    # No secret is in any step's environment, although the repository has some: so it is with a fork's.
    assert not yard.leaked
    assert yard.published == []
    built = {wheel.name: sha256_file(wheel) for wheel in yard.checkout.store.glob("wheel-tiny-1.0-cp313-*/*.whl")}
    assert len(built) == 1

    yard.keep()
    done = yard.pull_request(base, head, ref=ref, body="a better title", action="edited")
    assert done.status == 0, done.said
    assert yard.plan("changed") == []  # nothing is built a second time

    yard.keep()
    done = yard.push(base)
    assert done.status == 0, done.said
    assert yard.plan("changed") == []
    assert "reused for cp313: run 17 has built it" in yard.summary
    assert {file.file_name: file.sha256 for file in yard.gitlab.files(yard.registry)} == built
    (request,) = yard.github.repository.issues.values()
    assert request.pull
    records = git(yard.bare.path, "show", f"{request.pull.head}:packages/tiny/releases.toml")
    assert all(name in records and sha256 in records for name, sha256 in built.items())


def test_what_a_fork_has_built_is_never_reused(yard: GitHubProject) -> None:
    base, head = yard.change()
    done = yard.pull_request(base, head, fork=True)
    assert done.status == 0, done.said
    assert not yard.leaked
    assert yard.published == []
    assert not [seen for seen in yard.github.requests if seen.method != "GET"]
    assert list(yard.checkout.store.glob("wheel-tiny-1.0-cp313-*/*.whl"))

    yard.keep(fork=True)
    done = yard.push(base)
    assert done.status == 0, done.said
    assert [(job["package"], job["why"]) for job in yard.plan("changed")] == [("tiny", "changed")]
    assert "reused for" not in yard.summary
    (wheel,) = yard.checkout.store.glob("wheel-tiny-1.0-cp313-*/*.whl")  # another one
    (file,) = yard.gitlab.files(yard.registry)
    assert (file.file_name, file.sha256) == (wheel.name, sha256_file(wheel))
    (request,) = yard.github.repository.issues.values()
    assert request.pull
    assert str(file.sha256) in git(yard.bare.path, "show", f"{request.pull.head}:packages/tiny/releases.toml")
    assert re.search(r"(?m)^\| tiny \| 1\.0 \| changed \| built \| 1 of 1 \| [\d.]+ s \|", yard.summary), yard.summary


@pytest.mark.parametrize("before", ["another history", "1" * 40, "0" * 40])
def test_after_a_push_that_replaces_history_what_is_due_is_planned(yard: GitHubProject, before: str) -> None:
    yard.machines("instead")  # to build: this is about what is planned
    _, replaced = yard.change()
    git(yard.root, "commit", "--quiet", "--amend", "--message", "tiny takes its time, as it says")
    yard.push(replaced if before == "another history" else before, "--job", "build")
    assert [(job["package"], job["why"]) for job in yard.plan("changed")] == [("tiny", "missing for cp313")]


def test_a_push_that_got_no_run_of_its_own_is_planned_by_the_next(yard: GitHubProject) -> None:
    yard.machines("instead")  # to build: this is about what is planned
    base, missed = yard.change()
    yard.github.upload("planned", b"", commit=base)
    (yard.root / "README.md").write_text("a better yard\n", encoding="utf-8")
    yard.commit("words")
    yard.push(missed, "--job", "build")
    assert [(job["package"], job["why"]) for job in yard.plan("changed")] == [("tiny", "changed")]
    assert (yard.checkout.store / "planned").is_dir()


def test_a_description_starts_a_build_of_what_nobody_has_touched(yard: GitHubProject) -> None:
    base = git(yard.root, "rev-parse", "HEAD")
    (yard.root / "README.md").write_text("a better yard\n", encoding="utf-8")
    head = yard.commit("words")
    done = yard.pull_request(base, head, body="Trigger: tiny:1.0\r\n")
    assert done.status == 0, done.said
    assert yard.plan("changed") == []
    assert [job["package"] for job in yard.plan("named")] == ["tiny"]
    assert list(yard.checkout.store.glob("wheel-tiny-1.0-cp313-*/*.whl"))

    yard.keep()
    done = yard.pull_request(base, head, body="Trigger: tiny:1.0\r\nA word more.", action="edited")
    assert done.status == 0, done.said
    assert yard.plan("named") == []  # not a second time for a word
    assert list(yard.checkout.store.glob("wheel-reused-named/**/*.whl"))


def test_a_description_asks_for_several_builds_and_for_none_twice(yard: GitHubProject) -> None:
    yard.add("one")
    yard.add("other")
    yard.commit("two more")
    yard.machines("instead")  # to build: this is about what is planned
    base, head = yard.change()  # of tiny
    yard.pull_request(
        base, head, "--job", "triggered", body="Trigger: one:1.0\nTrigger: tiny:1.0\n\n* trigger: other:1.0"
    )
    assert sorted(str(job["package"]) for job in yard.plan("named")) == ["one", "other"]


def test_a_recipe_with_a_malicious_name_is_refused_and_runs_nothing(yard: GitHubProject, tmp_path: Path) -> None:
    base = git(yard.root, "rev-parse", "HEAD")
    folder = yard.root / "recipes" / "x$(touch${IFS}marker);touch marker"
    folder.mkdir()
    (folder / "recipe.toml").touch()
    done = yard.pull_request(base, yard.commit("what a name"))
    assert "Preflight of what is touched" in done.failed, done.said
    assert not list(tmp_path.rglob("marker"))
    assert not list(yard.checkout.store.iterdir())  # not one riscv64 minute
    assert not yard.leaked


def test_a_night_goes_on_after_a_job_is_killed_and_the_registry_was_down(yard: GitHubProject) -> None:
    yard.machines("kill", "***")
    with yard.going_on():
        done = yard.night()
    assert "Report, and keep issues" in done.failed, done.said
    assert len((yard.scratch / "kill").read_text(encoding="utf-8")) == 1  # the job was tried once more,
    assert "Success - Main Download artifacts" in done.said  # and not from nothing
    assert "ended without a result" in yard.summary, done.said
    assert [file.name for file in yard.checkout.store.glob("wheel-tiny-*/*")] == ["build-cp313.log"]
    assert yard.published == []
    (issue,) = yard.github.repository.issues.values()
    assert (issue.state, issue.pull) == ("open", None)

    yard.gitlab.fault(Fault("status", **UPLOAD, status=503))
    with yard.going_on():
        done = yard.night()  # it dies for the last time, and is built in the same night
    assert "Report, and keep issues" not in done.failed, done.said
    assert "Publish" in done.failed, done.said
    assert yard.published == []
    assert issue.state == "closed"
    (wheel,) = yard.checkout.store.glob("wheel-tiny-*/*.whl")  # what was built is kept
    sha256 = sha256_file(wheel)

    yard.gitlab.heal()
    done = yard.night()
    assert done.status == 0, done.said
    assert yard.checkout.secrets["WHEELYARD_GITLAB_TOKEN"] in yard.seen  # so that what is not there is known to be away
    assert not [value for value in yard.checkout.secrets.values() if value in done.said]
    (file,) = yard.gitlab.files(yard.registry)
    assert (file.file_name, file.sha256) == (wheel.name, sha256)
    (request,) = (each for each in yard.github.repository.issues.values() if each.pull)
    assert request.pull
    assert wheel.name in git(yard.bare.path, "show", f"{request.pull.head}:packages/tiny/releases.toml")


def test_what_others_need_is_built_a_wave_before(yard: GitHubProject) -> None:
    yard.machines("instead")  # to build: this is about the order
    yard.add("user", '[build]\nneeds = ["tiny"]\n')
    yard.add("last", '[build]\nneeds = ["user"]\n')
    yard.commit("a chain")
    done = yard.night("build")
    assert "Report, and keep issues" in done.failed, done.said  # nothing was really built
    ended = re.findall(r"part/(\w+) 1\.0 cp313\].*Job succeeded", done.said)
    assert ended == ["tiny", "user", "last"]
    assert done.said.count("Success - Main Download artifacts") == 2


def test_three_hundred_jobs_are_two_matrices_and_one_report(yard: GitHubProject) -> None:
    widen(lock_file(yard.root / "packages", "tiny"), 299)
    yard.commit("three hundred versions")
    yard.machines("instead", FAIL)
    done = yard.night("build", timeout=600)
    assert len(yard.plan("due")) == 300
    parts = [
        json.loads(file.read_text("utf-8"))["include"] for file in yard.checkout.store.glob("jobs-due/wave-*.json")
    ]
    assert sorted(map(len, parts)) == [44, 256]
    assert len(set(re.findall(r"part/(tiny \S+ cp313)-\d+ *\].*Job succeeded", done.said))) == 300
    assert done.failed == ["Report, and keep issues"], done.said
    assert "## 0 of 300 packages built" in yard.summary
    told = re.findall(
        r"(?m)^\| tiny \| (\S+) \|.*\| failed \| 0 of 1 \|.*\| (\S+) has its own reason \|$", yard.summary
    )
    assert len(told) == len(set(told)) == 300
    assert all(version == said for version, said in told)


def test_a_machine_without_room_says_so_and_is_red(yard: GitHubProject) -> None:
    policy = yard.root / "pyproject.toml"
    text = policy.read_text(encoding="utf-8").replace("min-free-gib = 1\n", "min-free-gib = 1000000\n")
    policy.write_text(text, encoding="utf-8")
    yard.commit("more room than any machine has")
    with yard.going_on():
        done = yard.night()
    assert set(done.failed) >= {"Build", "Report, and keep issues"}, done.said
    assert "GiB are free, a build needs 1000000 GiB" in yard.summary
    (issue,) = yard.github.repository.issues.values()
    assert "min-free-gib" in issue.body
    assert yard.published == []


def test_a_night_with_nothing_due_is_green_and_closes_what_failed(yard: GitHubProject) -> None:
    yard.machines("instead", FAIL)
    assert yard.night("build").status != 0
    (issue,) = yard.github.repository.issues.values()
    assert (issue.title, issue.state) == ("tiny does not build", "open")

    yard.keep()
    shutil.rmtree(yard.root / "recipes/tiny")
    shutil.rmtree(yard.root / "packages/tiny")
    (yard.root / "recipes/_shared").mkdir()
    (yard.root / "recipes/_shared/none.toml").touch()
    yard.commit("nothing is left")
    done = yard.night()
    assert done.status == 0, done.said
    assert yard.plan("due") == []
    assert "Nothing was due" in yard.summary
    assert issue.state == "closed"
    assert not list(yard.checkout.store.glob("wheel-*"))


def test_a_night_looks_for_news_upstream_and_keeps_what_it_saw(yard: GitHubProject) -> None:
    add_tiny(yard.index, "1.1")
    with (yard.root / "pyproject.toml").open("a", encoding="utf-8") as policy:
        policy.write("[tool.wheelyard.watch]\ncool-down = 0\n")
    yard.commit("no patience")
    for _ in range(2):  # nothing comes twice
        done = yard.night("upstream")
        assert done.status == 0, done.said
        heads = {each.pull.head for each in yard.github.repository.issues.values() if each.pull}
        assert len(yard.github.repository.issues) == len(heads) == 2
        changed = {head: git(yard.bare.path, "diff", "--name-only", f"main...{head}").split() for head in heads}
        assert sorted(changed.values()) == [["packages/tiny/history.toml"], ["packages/tiny/lock.toml"]]


def test_what_is_seen_of_tokens_goes_out_with_the_records(yard: GitHubProject) -> None:
    done = yard.night("tokens")
    assert done.status == 0, done.said
    (request,) = yard.github.repository.issues.values()
    assert request.pull
    page = git(yard.bare.path, "show", f"{request.pull.head}:{PAGE}")
    assert re.search(r"(?m)^\| `PYTHON_CI_GROUP_TOKEN` \| \d{4}-\d\d-\d\d \|", page)


def test_each_wheel_of_a_job_is_kept_whatever_becomes_of_the_others(yard: GitHubProject) -> None:
    base = git(yard.root, "rev-parse", "HEAD")
    site = yard.root / "pyproject.toml"
    text = site.read_text(encoding="utf-8").replace('"local"', '"local:forky"')  # has two interpreters
    site.write_text(text.replace("['cp313']", "['cp313', 'cp314']"), encoding="utf-8")
    lock = lock_file(yard.root / "packages", "tiny")
    lock.write_text(lock.read_text("utf-8").replace('"cp313-cp313",', '"cp313-cp313",\n    "cp314-cp314",'), "utf-8")
    fails = 'python -c "import sys; sys.exit(sys.version_info[1] == 13)"'
    (yard.root / "recipes/tiny/recipe.toml").write_text(f"[test]\ncommand = '{fails}'\n", encoding="utf-8")
    done = yard.pull_request(base, yard.commit("two interpreters"), "--job", "build")
    assert [job["interpreters"] for job in yard.plan("changed")] == [["cp313", "cp314"]]
    assert "Wheel 1" in done.failed, done.said
    assert "Wheel 2" not in done.failed
    assert list(yard.checkout.store.glob("wheel-tiny-1.0-cp314-*/*.whl")), done.said
    assert not list(yard.checkout.store.glob("wheel-tiny-1.0-cp313-*/*.whl"))
    assert list(yard.checkout.store.glob("wheel-tiny-1.0-cp313-*/build-cp313.log"))


def test_a_wheel_goes_to_the_job_that_needs_it(yard: GitHubProject) -> None:
    add_user(yard.index, yard.root)
    yard.commit("one that needs tiny")
    done = yard.night()
    assert done.status == 0, done.said
    assert [name.partition("-")[0] for name in yard.published] == ["tiny", "tiny_user"]
    assert yard.summary.count("| built | 1 of 1 |") == 2
