"""A night of GitHub's on machines of which one cannot build, and the days after it: see ``test_github_pipelines``."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from support.act import ACT, Run
from support.github_project import GitHubProject, open_project
from support.gitlab import Fault
from support.publishing import FILE
from support.remote import git
from wheelyard.core.digests import sha256_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.github import Issue

pytestmark = [
    pytest.mark.skipif(not ACT.exists(), reason="act is not installed"),
    pytest.mark.skipif(os.geteuid() != 0, reason="a mount namespace of its own wants root"),
]
NEXT_NIGHT = ("tokens", "installs", "audit")


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[GitHubProject, Run]]:
    """A night that builds two packages, one of them where no emulator is; what went out is recorded."""
    with open_project(tmp_path_factory.mktemp("nights")) as made:
        made.add("other")
        made.commit("another package")
        git(made.root, "push", "--quiet", "origin", "main")
        made.machines("no-qemu", '"package": "other"')
        with made.going_on():
            done = made.night()
        made.merge()
        yield made, done


@pytest.fixture
def yard(first: tuple[GitHubProject, Run]) -> Iterator[GitHubProject]:
    """The yard on the day after."""
    made, _ = first
    secrets = dict(made.checkout.secrets)
    yield made
    made.gitlab.heal()
    made.osv.affected.clear()
    made.osv.answer = None
    made.checkout.secrets.update(secrets)


def token(yard: GitHubProject, days: int) -> str:
    """Return a new group token that ends in so many days."""
    group = yard.gitlab.group("riseproject/python")
    assert group
    return yard.gitlab.add_group_token(group, expires_at=(datetime.now(UTC) + timedelta(days=days)).date())


def opened(yard: GitHubProject, word: str) -> list[Issue]:
    issues = yard.github.repository.issues.values()
    return [each for each in issues if not each.pull and each.state == "open" and word in each.title]


def test_a_machine_without_an_emulator_says_so_and_takes_nothing_else_along(first: tuple[GitHubProject, Run]) -> None:
    yard, done = first
    assert "cp313: no riscv64 program runs here: QEMU is not registered with binfmt_misc" in done.said
    assert "fix: ci/bootstrap true" in done.said
    assert set(done.failed) >= {"Build", "Report, and keep issues"}
    assert re.search(r"\| other \| 1\.0 \|.*\| failed \| 0 of 1 \|.*\| no riscv64 program runs here", yard.summary)
    (issue,) = opened(yard, "other does not build")
    assert "What to do: ci/bootstrap true" in issue.body
    assert re.search(r"\| tiny \| 1\.0 \|.*\| built \| 1 of 1 \|", yard.summary)
    (wheel,) = yard.checkout.store.glob("wheel-tiny-*/*.whl")
    (file,) = yard.gitlab.files(yard.registry)
    assert (file.file_name, file.sha256) == (wheel.name, sha256_file(wheel))


def test_a_day_on_which_all_is_well_is_green_and_opens_nothing(yard: GitHubProject) -> None:
    runs = {job: yard.night(job) for job in NEXT_NIGHT}
    assert {job: done.status for job, done in runs.items()} == dict.fromkeys(NEXT_NIGHT, 0), runs
    assert "1 published versions of 1 packages" in runs["audit"].said
    assert "no vulnerability of them is known" in runs["audit"].said
    assert re.search(r"tiny +1\.0 +cp313 +ok", runs["installs"].said), runs["installs"].said
    assert "issue: there is none, and none is needed" in runs["tokens"].said
    assert not yard.registry.issues
    assert not opened(yard, "vulnerabilit")


def test_a_token_that_ends_soon_has_an_issue_and_fails_nothing(yard: GitHubProject) -> None:
    yard.checkout.secrets["PYTHON_CI_GROUP_TOKEN"] = token(yard, 10)
    done = yard.night("tokens")
    assert (done.status, done.failed) == (0, []), done.said
    assert re.search(r"due +PYTHON_CI_GROUP_TOKEN +10 ", done.said), done.said
    (issue,) = yard.registry.issues.values()
    assert (issue.state, issue.title) == ("opened", "Tokens and renewals: 1 due soon")
    yard.checkout.secrets["PYTHON_CI_GROUP_TOKEN"] = token(yard, 300)
    assert yard.night("tokens").status == 0
    assert issue.state == "closed"


def test_a_vulnerability_has_an_issue_and_fails_nothing(yard: GitHubProject) -> None:
    yard.osv.add("PYSEC-2026-7", "tiny", ("1.0",), fixed=("1.1",), summary="it answers 43")
    done = yard.night("audit")
    assert (done.status, done.failed) == (0, []), done.said
    assert re.search(r"tiny +1\.0 +PYSEC-2026-7 +1\.1 +it answers 43", done.said), done.said
    assert "1 published version(s) are vulnerable" in done.said
    (issue,) = opened(yard, "tiny: 1 known vulnerability")
    assert "PYSEC-2026-7" in issue.body
    yard.osv.affected.clear()
    assert yard.night("audit").status == 0
    assert issue.state == "closed"


def test_what_does_not_install_is_red(yard: GitHubProject) -> None:
    yard.gitlab.fault(Fault("corrupt", **FILE))
    done = yard.night("installs")
    assert done.failed == ["Install and import what is published"], done.said
    assert "exit status 68" in done.said
    assert re.search(r"tiny 1\.0 cp313: install: .*Expected sha256", done.said), done.said
    assert "DO NOT MATCH THE HASHES" in (yard.checkout.store / "installs/cp313.log").read_text(encoding="utf-8")


@pytest.mark.parametrize("job", NEXT_NIGHT)
def test_who_cannot_look_is_red(yard: GitHubProject, job: str) -> None:
    yard.checkout.secrets["PYTHON_CI_GROUP_TOKEN"] = "glpat-ended"
    yard.osv.answer = {"results": []}
    yard.gitlab.fault(Fault("status", path="/packages/pypi", status=401))
    done = yard.night(job)
    assert len(done.failed) == 1, done.said
    assert "fix:" in done.said
