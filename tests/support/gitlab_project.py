"""A project whose pipelines run here: repository and registry on a GitLab, its clone under gitlab-ci-local.

``ci/bootstrap`` is a stand-in, which starts what it is given with the tool of this run: it has tests of its own. Files
beside the clone tell it what goes wrong with machines that build.
"""

from __future__ import annotations

import contextlib
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

from support.gitlab import GitLab, Project, Server, serve
from support.gitlab_ci import ROOT, Checkout
from support.index import IndexServer
from support.osv import OSV
from support.policy import BUILDS, GROUP_TOKEN, REGISTRY, SCOPES
from support.remote import Bare, git
from support.site import TESTED
from support.tiny import add_tiny
from wheelyard.io import cache
from wheelyard.records.expiry_table import PAGE
from wheelyard.records.lockfile import lock_file, pin
from wheelyard.records.models import LockedVersion

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

PROJECT = "riseproject/python/wheel_builder"
PROPOSALS = """
[tool.wheelyard.change-requests]
forge = "gitlab"
url = "{url}"
project = "{project}"
remote = "{remote}"
variable = "PYTHON_CI_GROUP_TOKEN"
"""
POLICY = BUILDS + REGISTRY + PROPOSALS + GROUP_TOKEN
# What gitlab-ci-local lacks: `needs:pipeline:job` brings what a job of the parent has left.
LOCAL = """\
default:
  before_script:
    - if [ "$CI_JOB_NAME" = jobs ]; then cp -R "../../artifacts/$WHEELYARD_PLANNED_BY/." .; fi
"""
# Only in a mount namespace of its own is the kernel's list of emulators empty.
STAND_IN = """\
#!/bin/bash
export PATH="{path}:$PATH"
if [[ $* == *" run-job"* ]]; then
    if [[ -e "{scratch}/instead" ]]; then . "{scratch}/instead"; exit; fi
    if [[ -e "{scratch}/no-qemu" ]]; then
        set -- unshare --mount sh -c 'mount -t tmpfs none /proc/sys/fs/binfmt_misc && exec "$@"' sh "$@"
    fi
fi
exec "$@"
"""


@dataclass
class GitLabProject:
    """A GitLab with a project, and a clone of it in which pipelines run."""

    gitlab: GitLab
    project: Project
    server: Server
    bare: Bare
    index: IndexServer
    osv: OSV
    checkout: Checkout
    scratch: Path
    image: str = "local"

    @property
    def root(self) -> Path:
        return self.checkout.root

    def policy(self, *, space: int = 1, pythons: tuple[str, ...] = ("cp313",), more: str = "") -> None:
        """Write site configuration: GiB that must be free, the interpreters, and further tables."""
        given = {"url": self.server.url, "project": PROJECT, "remote": self.bare.url, "scopes": list(SCOPES)}
        text = POLICY.format(**given, image=self.image, space=space, pythons=list(pythons))
        (self.root / "pyproject.toml").write_text(text + more, encoding="utf-8")

    def machines(self, name: str, text: str = "") -> None:
        """Let machines that build do something else, or let something go wrong with them: see the stand-in."""
        (self.scratch / name).write_text(text, encoding="utf-8")

    def commit(self, message: str = "a change") -> str:
        git(self.root, "add", "--all")
        git(self.root, "commit", "--quiet", "--message", message)
        return git(self.root, "rev-parse", "HEAD")

    def change(self) -> tuple[str, str]:
        """Commit a change of the recipe, and return the commits before and behind it."""
        base = git(self.root, "rev-parse", "HEAD")
        (self.root / "recipes/tiny/recipe.toml").write_text("[build]\ntimeout = '1h'\n" + TESTED, encoding="utf-8")
        return base, self.commit("tiny takes its time")

    def merge(self) -> None:
        """Merge the open merge requests, as a person does, and bring the clone up to date."""
        for request in self.project.merge_requests.values():
            if request.state == "opened":
                assert self.bare.merge(request.source_branch)
                request.state = "merged"
        git(self.root, "pull", "--quiet", "--ff-only", "origin", "main")

    def token(self, days: int = 200) -> str:
        """Return a new group token that ends in so many days."""
        group = self.gitlab.group("riseproject/python")
        assert group
        ends = (datetime.now(UTC) + timedelta(days=days)).date()
        return self.gitlab.add_group_token(group, scopes=SCOPES, expires_at=ends)

    def run(self, kind: dict[str, str], *jobs: str) -> subprocess.CompletedProcess[str]:
        """Run a pipeline of *kind*, or only these of its jobs; no token is in what it says."""
        # What the machine has learned of its containers and images is kept: no test is about that.
        mine = {"WHEELYARD_CACHE": str(cache.cache_dir())}
        done = self.checkout.run(kind | mine, *jobs, timeout=900)
        for name in ("PYTHON_CI_GROUP_TOKEN", "WHEELYARD_GITLAB_TOKEN"):
            assert self.checkout.env[name] not in done.stdout + done.stderr
        return done

    @property
    def plan(self) -> list[dict[str, object]]:
        """The jobs that were planned last."""
        return self.planned("plan")

    def planned(self, by: str) -> list[dict[str, object]]:
        """Return what a job has planned."""
        text = (self.checkout.artifacts(by) / "dist/jobs/jobs.json").read_text(encoding="utf-8")
        found: list[dict[str, object]] = json.loads(text)["jobs"]
        return found

    @property
    def report(self) -> str:
        return (self.checkout.artifacts("report") / "dist/report.md").read_text(encoding="utf-8")

    @property
    def published(self) -> list[str]:
        return sorted(file.file_name for file in self.gitlab.files(self.project))

    @contextlib.contextmanager
    def killing(self, word: str) -> Iterator[None]:
        """Kill a build's process as soon as *word* is in its log."""
        over = threading.Event()
        killer = threading.Thread(target=self._kill, args=(word, over))
        killer.start()
        try:
            yield
        finally:
            over.set()
            killer.join()

    def _kill(self, word: str, over: threading.Event) -> None:
        output = self.root / ".gitlab-ci-local/output"
        while not over.wait(0.2):
            if not any(word in file.read_text(errors="replace") for file in output.glob("tiny*.log")):
                continue
            for folder in Path("/proc").glob("[0-9]*"):
                try:
                    words = (folder / "cmdline").read_bytes().split(b"\0")
                    ours = (folder / "cwd").readlink().is_relative_to(self.root)
                except OSError:
                    continue
                if ours and b"run-job" in words:
                    os.kill(int(folder.name), signal.SIGKILL)
                    return


def ended(done: subprocess.CompletedProcess[str], word: str) -> dict[str, int]:
    """Return the jobs that ended with this *word*, FAIL or WARN, and their status; those of child pipelines too."""
    said = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)
    found = re.findall(rf"(?m)^.*?(\S+)\s+finished in .* {word} (\d+)", said)
    return {name: int(status) for name, status in found}


def red(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Return the jobs that failed; the runner's own status does not stand for those of child pipelines."""
    return list(ended(done, "FAIL"))


def well(done: subprocess.CompletedProcess[str]) -> None:
    """See that nothing is red."""
    assert done.returncode == 0 and not red(done), done.stdout + done.stderr  # noqa: PT018 - one text tells of both


@contextlib.contextmanager
def open_project(scratch: Path) -> Iterator[GitLabProject]:
    """Make a yard with one package, ``tiny``, that is due; its servers serve while the context lasts."""
    gitlab = GitLab(scratch / "gitlab")
    project = gitlab.add_project(PROJECT)
    bare = gitlab.repositories[project.id] = Bare(scratch / "origin.git", {"README.md": "a yard\n"})
    clone = scratch / "clone"
    git(scratch, "clone", "--quiet", str(bare.path), str(clone))
    shutil.copy(ROOT / ".gitlab-ci.yml", clone)
    (clone / "ci").mkdir()
    shutil.copytree(ROOT / "ci/gitlab", clone / "ci/gitlab")
    shutil.copy(ROOT / "ci/requirements.txt", clone / "ci")
    text = STAND_IN.format(path=Path(sys.executable).parent, scratch=scratch)
    (clone / "ci/bootstrap").write_text(text, encoding="utf-8")
    (clone / "ci/bootstrap").chmod(0o755)
    (clone / "docs/how-to").mkdir(parents=True)
    shutil.copy(ROOT / PAGE, clone / PAGE)
    (clone / ".gitignore").write_text("dist/\n.cache/\n.gitlab-ci-local/\npublic/\nartifacts/\n", encoding="utf-8")
    (clone / ".gitlab-ci-local.yml").write_text(LOCAL, encoding="utf-8")
    (clone / "recipes/tiny").mkdir(parents=True)
    (clone / "recipes/tiny/recipe.toml").write_text(TESTED, encoding="utf-8")
    with serve(gitlab) as server, IndexServer() as index, OSV() as osv:
        add_tiny(index, pythons=("cp313", "cp314"))
        env = {
            "WHEELYARD_INDEX": index.url,
            "WHEELYARD_OSV": osv.url,
            "WHEELYARD_GITLAB_TOKEN": gitlab.add_deploy_token(project),
            "NO_PROXY": "127.0.0.1",
        }
        made = GitLabProject(gitlab, project, server, bare, index, osv, Checkout(clone, env), scratch)
        made.checkout.env["PYTHON_CI_GROUP_TOKEN"] = made.token()
        made.policy()
        (sdist,) = (file for file in index.files("tiny") if file.name.endswith(".tar.gz"))
        entry = LockedVersion(
            version="1.0",
            file=sdist.name,
            size=len(sdist.data),
            sha256=sdist.claimed_sha256,
            wheels=("cp313-cp313", "cp314-cp314"),
            reference="aarch64",
        )
        pin(lock_file(clone / "packages", "tiny"), entry)
        made.commit()
        git(clone, "push", "--quiet", "origin", "main")
        yield made
