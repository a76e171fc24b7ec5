"""GitLab's pipelines for real: the project's own files, run by gitlab-ci-local in a clean clone, against servers here.

Only ``ci/bootstrap`` is a stand-in, which starts what it is given with the tool of this run: it has tests of its own.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.gitlab import Fault, GitLab, Project, Server, serve
from support.gitlab_ci import MERGE_REQUEST, PUSH, ROOT, Checkout, schedule
from support.index import IndexServer
from support.publishing import UPLOAD
from support.remote import Bare, git
from support.site import TESTED
from support.tiny import add_tiny
from wheelyard.io import cache
from wheelyard.record.lock import lock_file, pin
from wheelyard.record.models import LockedVersion

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

SCOPES = ("api", "read_api", "read_repository", "write_repository")
PROJECT = "riseproject/python/wheel_builder"
POLICY = """\
[tool.wheelyard]
interpreters = ["cp313"]
policy = "manylinux_2_39_riscv64"
image = "local"
min-free-gib = {space}

[tool.wheelyard.registries.gitlab]
kind = "gitlab"
url = "{url}"
project = "{project}"
local-images = true

[tool.wheelyard.proposals]
forge = "gitlab"
url = "{url}"
project = "{project}"
remote = "{remote}"
variable = "PYTHON_CI_GROUP_TOKEN"

[tool.wheelyard.issues]
url = "{url}"
project = "{project}"
variable = "PYTHON_CI_GROUP_TOKEN"

[[tool.wheelyard.tokens]]
name = "PYTHON_CI_GROUP_TOKEN"
kind = "group"
url = "{url}"
group = "riseproject/python"
variable = "PYTHON_CI_GROUP_TOKEN"
role = "Maintainer"
scopes = ["api", "read_api", "read_repository", "write_repository"]
"""
# What gitlab-ci-local lacks: `needs:pipeline:job` brings what a job of the parent has left. And what has tests of its
# own, with servers of its own, is left out.
LOCAL = """\
audit: { stage: build, script: ["true"], rules: [{ when: never }] }
installs: { stage: build, script: ["true"], rules: [{ when: never }] }
default:
  before_script:
    - if [ "$CI_JOB_NAME" = jobs ]; then cp -R "../../artifacts/$WHEELYARD_PLANNED_BY/." .; fi
"""
STAND_IN = """\
#!/bin/sh
export PATH="{path}:$PATH"
exec "$@"
"""


@dataclass
class Night:
    """A GitLab with a project, and a clone of it in which pipelines run."""

    gitlab: GitLab
    project: Project
    server: Server
    bare: Bare
    index: IndexServer
    checkout: Checkout
    space: int = 1

    @property
    def root(self) -> Path:
        return self.checkout.root

    def policy(self) -> None:
        text = POLICY.format(url=self.server.url, project=PROJECT, remote=self.bare.url, space=self.space)
        (self.root / "pyproject.toml").write_text(text, encoding="utf-8")

    def commit(self, message: str = "a change") -> None:
        git(self.root, "add", "--all")
        git(self.root, "commit", "--quiet", "--message", message)

    def run(self, kind: dict[str, str]) -> subprocess.CompletedProcess[str]:
        """Run a pipeline of *kind*; no token is in what it says."""
        # What the machine has learned of its containers and images is kept: no test is about that.
        mine = {"WHEELYARD_IMAGE": "local", "WHEELYARD_CACHE": str(cache.cache_dir())}
        done = self.checkout.run(kind | mine, timeout=900)
        for name in ("PYTHON_CI_GROUP_TOKEN", "WHEELYARD_GITLAB_TOKEN"):
            assert self.checkout.env[name] not in done.stdout + done.stderr
        return done

    @property
    def report(self) -> str:
        return (self.checkout.artifacts("report") / "dist/report.md").read_text(encoding="utf-8")

    @property
    def published(self) -> list[str]:
        return sorted(file.file_name for file in self.gitlab.files(self.project))


def red(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Return the jobs that failed, those of child pipelines too, for which the runner's own status does not stand."""
    said = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)
    return re.findall(r"(?m)^.*?(\S+)\s+finished in .* FAIL \d+", said)


def well(done: subprocess.CompletedProcess[str]) -> None:
    """See that nothing is red."""
    assert done.returncode == 0 and not red(done), done.stdout + done.stderr  # noqa: PT018 - one text tells of both


@pytest.fixture
def night(tmp_path: Path) -> Iterator[Night]:
    gitlab = GitLab(tmp_path / "gitlab")
    project = gitlab.add_project(PROJECT)
    group = gitlab.group("riseproject/python")
    assert group
    bare = gitlab.repositories[project.id] = Bare(tmp_path / "origin.git", {"README.md": "a yard\n"})
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(bare.path), str(clone))
    shutil.copy(ROOT / ".gitlab-ci.yml", clone)
    (clone / "ci").mkdir()
    shutil.copytree(ROOT / "ci/gitlab", clone / "ci/gitlab")
    shutil.copy(ROOT / "ci/requirements.txt", clone / "ci")
    (clone / "ci/bootstrap").write_text(STAND_IN.format(path=Path(sys.executable).parent), encoding="utf-8")
    (clone / "ci/bootstrap").chmod(0o755)
    (clone / ".gitignore").write_text("dist/\n.cache/\n.gitlab-ci-local/\npublic/\nbrought/\n", encoding="utf-8")
    (clone / ".gitlab-ci-local.yml").write_text(LOCAL, encoding="utf-8")
    (clone / "recipes/tiny").mkdir(parents=True)
    (clone / "recipes/tiny/recipe.toml").write_text(TESTED, encoding="utf-8")
    soon = (datetime.now(UTC) + timedelta(days=200)).date()
    with serve(gitlab) as server, IndexServer() as index:
        add_tiny(index)
        env = {
            "WHEELYARD_INDEX": index.url,
            "PYTHON_CI_GROUP_TOKEN": gitlab.add_group_token(group, scopes=SCOPES, expires_at=soon),
            "WHEELYARD_GITLAB_TOKEN": gitlab.add_deploy_token(project),
            "NO_PROXY": "127.0.0.1",
        }
        made = Night(gitlab, project, server, bare, index, Checkout(clone, env))
        made.policy()
        (sdist,) = (file for file in index.files("tiny") if file.name.endswith(".tar.gz"))
        entry = LockedVersion(
            version="1.0",
            file=sdist.name,
            size=len(sdist.data),
            sha256=sdist.claimed_sha256,
            wheels=("cp313-cp313",),
            reference="aarch64",
        )
        pin(lock_file(clone / "packages", "tiny"), entry)
        made.commit()
        git(clone, "push", "--quiet", "origin", "main")
        yield made


def plan_of(night: Night) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads((night.checkout.artifacts("plan") / "dist/jobs/jobs.json").read_text())[
        "jobs"
    ]
    return found


def kill_the_job(night: Night, over: threading.Event) -> None:
    """Kill a build's process as soon as its container is at work."""
    while not over.wait(0.2):
        log = night.root / ".gitlab-ci-local/output"
        if not any("Building wheel" in file.read_text(errors="replace") for file in log.glob("tiny*.log")):
            continue
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                words = (folder / "cmdline").read_bytes().split(b"\0")
                ours = (folder / "cwd").readlink().is_relative_to(night.root)
            except OSError:
                continue
            if ours and words[-2:] == [b"job", b""]:
                os.kill(int(folder.name), signal.SIGKILL)
                return


def test_a_night_goes_on_after_a_job_is_killed_and_the_registry_was_down(night: Night) -> None:
    over = threading.Event()
    killer = threading.Thread(target=kill_the_job, args=(night, over))
    killer.start()
    done = night.run(schedule("nightly"))
    over.set()
    killer.join()
    assert [job["package"] for job in plan_of(night)] == ["tiny"]
    assert night.published == []
    assert any(name.startswith("cp313") or "tiny" in name for name in red(done)), done.stdout + done.stderr
    assert "died without a word" in night.report
    (issue,) = night.project.issues.values()
    assert issue.state == "opened"

    night.gitlab.fault(Fault("status", **UPLOAD, status=503))
    done = night.run(schedule("nightly"))
    assert red(done) == ["deploy"], done.stdout + done.stderr
    assert night.published == []
    assert "built" in night.report

    night.gitlab.heal()
    done = night.run(schedule("nightly"))
    well(done)
    assert "tiny 1.0 cp313 > cp313: reused" in done.stdout  # the job went on from its cache
    assert len(night.published) == 1
    (wheel,) = night.published
    assert re.fullmatch(r"tiny-1\.0-cp313-cp313-manylinux_\w+(\.manylinux_\w+)*_riscv64\.whl", wheel)
    assert issue.state == "closed"
    assert len(night.project.merge_requests) == 1
    (request,) = night.project.merge_requests.values()
    assert wheel in git(night.bare.path, "show", f"{request.source_branch}:packages/tiny/releases.toml")


def test_a_merge_request_builds_what_it_touches_and_publishes_nothing(night: Night, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    base = git(night.root, "rev-parse", "HEAD")
    git(night.root, "checkout", "--quiet", "-b", f"x$(touch${{IFS}}{marker});touch${{IFS}}{marker}")
    (night.root / "recipes/tiny/recipe.toml").write_text("[build]\ntimeout = '1h'\n" + TESTED, encoding="utf-8")
    night.commit("tiny takes its time")
    kind = MERGE_REQUEST | {
        "CI_MERGE_REQUEST_DIFF_BASE_SHA": base,
        "CI_MERGE_REQUEST_TITLE": f"$(touch {marker})`touch {marker}`",
        "CI_MERGE_REQUEST_DESCRIPTION": f"'; touch {marker}; '",
    }
    done = night.run(kind)
    well(done)
    assert not marker.exists()
    assert night.published == []
    assert not night.project.merge_requests


def test_a_push_to_the_default_branch_publishes_and_proposes_its_records_once(night: Night) -> None:
    before = git(night.root, "rev-parse", "HEAD")
    (night.root / "recipes/tiny/recipe.toml").write_text("[build]\ntimeout = '1h'\n" + TESTED, encoding="utf-8")
    night.commit("tiny takes its time")
    git(night.root, "push", "--quiet", "origin", "main")
    for _ in range(2):  # a pipeline that somebody starts again does nothing twice
        done = night.run(PUSH | {"CI_COMMIT_BEFORE_SHA": before})
        well(done)
        (wheel,) = night.published
        (request,) = night.project.merge_requests.values()
        assert wheel in git(night.bare.path, "show", f"{request.source_branch}:packages/tiny/releases.toml")
        assert len([seen for seen in night.gitlab.requests if seen.method == "POST" and seen.body > 1000]) == 1
        overview = (night.checkout.artifacts("pages") / "public/index.html").read_text(encoding="utf-8")
        assert "tiny" in overview
    assert not night.project.issues


def test_the_tokens_schedule_looks_at_tokens_and_at_nothing_else(night: Night) -> None:
    done = night.run(schedule("tokens"))
    well(done)
    assert "PYTHON_CI_GROUP_TOKEN" in done.stdout
    assert not night.checkout.artifacts("plan").exists()


def test_a_misspelt_schedule_is_red(night: Night) -> None:
    done = night.run(schedule("nigthly"))
    assert done.returncode != 0
    assert "must be nightly, versions or tokens" in done.stdout + done.stderr


def test_a_night_with_nothing_due_is_green(night: Night) -> None:
    shutil.rmtree(night.root / "recipes/tiny")
    shutil.rmtree(night.root / "packages/tiny")
    (night.root / "recipes/_shared").mkdir()
    (night.root / "recipes/_shared/none.toml").touch()
    night.commit("nothing is left")
    done = night.run(schedule("nightly"))
    well(done)
    assert plan_of(night) == []
    assert "nothing is due" in done.stdout


def test_a_machine_without_room_says_so_and_is_red(night: Night) -> None:
    night.space = 1_000_000
    night.policy()
    night.commit("more room than any machine has")
    done = night.run(schedule("nightly"))
    said = done.stdout + done.stderr
    assert "min-free-gib" in said
    assert "FAIL 71" in said
    assert night.published == []
