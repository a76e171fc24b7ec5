"""GitHub's workflows for real: the project's own files, run by act in a clean clone, against servers here.

``ci/bootstrap`` is a stand-in, which starts what it is given with the tool of this run: it has tests of its own.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import shutil
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.act import ACT, Checkout, Run
from support.github import GitHub
from support.github.app import serve as serve_github
from support.gitlab import Fault, GitLab, Project, serve
from support.gitlab_ci import ROOT
from support.index import IndexServer
from support.publishing import UPLOAD
from support.remote import Bare, git
from support.site import TESTED
from support.tiny import add_tiny
from wheelyard.core.digests import sha256_file
from wheelyard.io import cache
from wheelyard.record.lock import lock_file, pin
from wheelyard.record.models import LockedVersion

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(not ACT.exists() or not shutil.which("gh"), reason="act or gh is not installed")
REGISTRY, REPOSITORY = "riseproject/python/wheel_builder", "riseproject/wheel_builder"
POLICY = """\
[tool.wheelyard]
interpreters = ["cp313"]
policy = "manylinux_2_39_riscv64"
image = "local"
min-free-gib = 1

[tool.wheelyard.registries.gitlab]
kind = "gitlab"
url = "{gitlab}"
project = "{registry}"
local-images = true

[tool.wheelyard.proposals]
forge = "github"
url = "{github}"
project = "{repository}"
remote = "{remote}"
variable = "WHEELYARD_FORGE_TOKEN"
"""
# What a step's environment holds is written down, to be looked into.
STAND_IN = """\
#!/bin/bash
env >>"{scratch}/seen"
export PATH="{path}:$PATH" WHEELYARD_CACHE="{cache}" WHEELYARD_INDEX="{index}" SSL_CERT_FILE="{ca}" NO_PROXY=127.0.0.1
export WHEELYARD_IMAGE=local
if [[ $* == *" job "* && -e "{scratch}/pretend" ]]; then exit 0; fi
if [[ $* == *" job "* && -e "{scratch}/kill" ]]; then
    rm "{scratch}/kill"; "$@" & sleep 4; kill -9 $!; wait $!; exit 137
fi
status=0; "$@" || status=$?
cat "$GITHUB_STEP_SUMMARY" >>"{scratch}/summary"
exit $status
"""


@dataclass
class Yard:
    """A repository on GitHub, the registry on GitLab, and a clone in which workflows run."""

    gitlab: GitLab
    registry: Project
    github: GitHub
    bare: Bare
    checkout: Checkout
    scratch: Path

    @property
    def root(self) -> Path:
        return self.checkout.root

    @property
    def seen(self) -> str:
        """All that was in the environment of our steps."""
        return (self.scratch / "seen").read_text(encoding="utf-8")

    @property
    def summary(self) -> str:
        """What the runs have shown for people."""
        return (self.scratch / "summary").read_text(encoding="utf-8")

    @property
    def published(self) -> list[str]:
        return sorted(file.file_name for file in self.gitlab.files(self.registry))

    def commit(self, message: str = "a change") -> str:
        git(self.root, "add", "--all")
        git(self.root, "commit", "--quiet", "--message", message)
        return git(self.root, "rev-parse", "HEAD")

    def change(self) -> tuple[str, str]:
        """Commit a change of the recipe, and return the commits before and behind it."""
        base = git(self.root, "rev-parse", "HEAD")
        (self.root / "recipes/tiny/recipe.toml").write_text("[build]\ntimeout = '1h'\n" + TESTED, encoding="utf-8")
        return base, self.commit("tiny takes its time")

    def pull_request(self, base: str, head: str, *, ref: str = "tiny", body: str = "") -> Run:
        pull = {"number": 7, "body": body, "base": {"sha": base, "ref": "main"}, "head": {"sha": head, "ref": ref}}
        given = {"action": "opened", "number": 7, "pull_request": pull}
        return self.checkout.run("pull-request.yml", "pull_request", given)

    def push(self, base: str) -> Run:
        given = {"before": base, "ref": "refs/heads/main", "repository": {"default_branch": "main"}}
        return self.checkout.run("publish.yml", "push", given)

    def night(self, job: str = "deploy") -> Run:
        """Run a job of the night, and those that it needs."""
        given = {"repository": {"default_branch": "main"}}
        return self.checkout.run("nightly.yml", "schedule", given, "--job", job)

    @contextlib.contextmanager
    def going_on(self) -> Iterator[None]:
        """Have a run go on when a wheel fails, as GitHub does: act ends it with the called workflow that fails."""
        part = self.root / ".github/workflows/part.yml"
        text = part.read_text(encoding="utf-8")
        part.write_text(
            text.replace("uses: ./ci/actions/wheel", "continue-on-error: true\n        uses: ./ci/actions/wheel"),
            encoding="utf-8",
        )
        yield
        part.write_text(text, encoding="utf-8")

    def plan(self, what: str) -> list[dict[str, object]]:
        text = (self.checkout.store / f"jobs-{what}/jobs.json").read_text(encoding="utf-8")
        found: list[dict[str, object]] = json.loads(text)["jobs"]
        return found

    def keep(self, *, fork: bool = False) -> None:
        """Have GitHub keep what the run has uploaded, and begin another run."""
        for folder in self.checkout.store.iterdir():
            raw = io.BytesIO()
            with zipfile.ZipFile(raw, "w") as archive:
                for file in sorted(folder.rglob("*")):
                    archive.write(file, file.relative_to(folder))
            self.github.upload(folder.name, raw.getvalue(), run=17, fork=fork)
            shutil.rmtree(folder)


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    gitlab = GitLab(tmp_path / "gitlab")
    registry = gitlab.add_project(REGISTRY)
    bare = Bare(tmp_path / "origin.git", {"README.md": "a yard\n"})
    github = GitHub(REPOSITORY, bare)
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(bare.path), str(clone))
    for name in (".github", "ci/actions"):
        shutil.copytree(ROOT / name, clone / name)
    shutil.copy(ROOT / "ci/requirements.txt", clone / "ci")
    (clone / ".gitignore").write_text("dist/\nsite/\nbrought/\n", encoding="utf-8")
    (clone / "recipes/tiny").mkdir(parents=True)
    (clone / "recipes/tiny/recipe.toml").write_text(TESTED, encoding="utf-8")
    with serve(gitlab) as server, serve_github(github) as forge, IndexServer() as index:
        add_tiny(index)
        secrets = {"WHEELYARD_GITLAB_TOKEN": gitlab.add_deploy_token(registry), "GITHUB_TOKEN": github.add_token()}
        secrets["WHEELYARD_FORGE_TOKEN"] = secrets["GITHUB_TOKEN"]
        made = Yard(gitlab, registry, github, bare, Checkout(clone, tmp_path / "act", secrets), tmp_path)
        text = STAND_IN.format(
            scratch=tmp_path,
            path=Path(sys.executable).parent,
            cache=cache.cache_dir(),
            index=index.url,
            ca=forge.ca,
        )
        (clone / "ci/bootstrap").write_text(text, encoding="utf-8")
        (clone / "ci/bootstrap").chmod(0o755)
        policy = {"gitlab": server.url, "github": forge.url, "registry": REGISTRY, "repository": REPOSITORY}
        (clone / "pyproject.toml").write_text(POLICY.format(**policy, remote=bare.url), encoding="utf-8")
        (sdist,) = (file for file in index.files("tiny") if file.name.endswith(".tar.gz"))
        entry = {"version": "1.0", "file": sdist.name, "size": len(sdist.data), "sha256": sdist.claimed_sha256}
        pinned = LockedVersion.model_validate(entry | {"wheels": ["cp313-cp313"], "reference": "aarch64"})
        pin(lock_file(clone / "packages", "tiny"), pinned)
        made.commit()
        git(clone, "push", "--quiet", "origin", "main")
        yield made


def test_what_a_pull_request_builds_is_what_goes_out(yard: Yard, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    ref = f"x$(touch${{IFS}}{marker});touch${{IFS}}{marker}"
    base, head = yard.change()
    done = yard.pull_request(base, head, ref=ref, body=f"'; touch {marker}; '\n$(touch {marker})\n`touch {marker}`")
    assert done.status == 0, done.said
    assert not marker.exists()
    # No secret is in any step's environment, although the repository has some: so it is with a fork's.
    assert not [name for name, value in yard.checkout.secrets.items() if value in yard.seen]
    assert yard.published == []
    built = {wheel.name: sha256_file(wheel) for wheel in yard.checkout.store.glob("wheel-tiny-1.0-cp313-*/*.whl")}
    assert len(built) == 1

    yard.keep()
    done = yard.push(base)
    assert done.status == 0, done.said
    assert yard.plan("changed") == []  # nothing was built a second time
    assert "promoted for cp313: run 17 has built it" in yard.summary
    assert {file.file_name: file.sha256 for file in yard.gitlab.files(yard.registry)} == built
    (request,) = yard.github.repository.issues.values()
    assert request.pull
    records = git(yard.bare.path, "show", f"{request.pull.head}:packages/tiny/releases.toml")
    assert all(name in records and sha256 in records for name, sha256 in built.items())


def test_a_description_starts_a_build_of_what_nobody_has_touched(yard: Yard) -> None:
    base = git(yard.root, "rev-parse", "HEAD")
    (yard.root / "README.md").write_text("a better yard\n", encoding="utf-8")
    done = yard.pull_request(base, yard.commit("words"), body="Trigger: tiny:1.0\r\n")
    assert done.status == 0, done.said
    assert yard.plan("changed") == []
    assert [job["package"] for job in yard.plan("named")] == ["tiny"]
    assert list(yard.checkout.store.glob("wheel-tiny-1.0-cp313-*/*.whl"))


def test_a_recipe_with_a_malicious_name_is_refused_and_runs_nothing(yard: Yard, tmp_path: Path) -> None:
    base = git(yard.root, "rev-parse", "HEAD")
    folder = yard.root / "recipes" / "x$(touch${IFS}marker);touch marker"
    folder.mkdir()
    (folder / "recipe.toml").touch()
    done = yard.pull_request(base, yard.commit("what a name"))
    assert "Preflight of what is touched" in done.failed, done.said
    assert not list(tmp_path.rglob("marker"))
    assert not list(yard.checkout.store.iterdir())  # not one riscv64 minute
    assert not [name for name, value in yard.checkout.secrets.items() if value in yard.seen]


def test_a_night_goes_on_after_a_job_is_killed_and_the_registry_was_down(yard: Yard) -> None:
    (yard.scratch / "kill").touch()
    with yard.going_on():
        done = yard.night()
    assert "Report, and keep issues" in done.failed, done.said
    assert "died without a word" in yard.summary, done.said
    assert yard.published == []
    (issue,) = yard.github.repository.issues.values()
    assert (issue.state, issue.pull) == ("open", None)

    yard.gitlab.fault(Fault("status", **UPLOAD, status=503))
    done = yard.night()
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


def test_what_others_need_is_built_a_wave_before(yard: Yard) -> None:
    (yard.scratch / "pretend").touch()  # to build: this is about the order
    for name, needed in {"user": "tiny", "last": "user"}.items():
        (yard.root / "recipes" / name).mkdir()
        (yard.root / "recipes" / name / "recipe.toml").write_text(f'[build]\nneeds = ["{needed}"]\n', encoding="utf-8")
        (yard.root / "packages" / name).mkdir()
        text = (yard.root / "packages/tiny/lock.toml").read_text("utf-8").replace("tiny-", f"{name}-")
        (yard.root / "packages" / name / "lock.toml").write_text(text, encoding="utf-8")
    yard.commit("a chain")
    done = yard.night("build")
    assert "Report, and keep issues" in done.failed, done.said  # nothing was really built
    ended = re.findall(r"part/(\w+) 1\.0 cp313\].*Job succeeded", done.said)
    assert ended == ["tiny", "user", "last"]
    assert done.said.count("Success - Main Bring what is there") == 2


def test_a_night_with_nothing_due_is_green(yard: Yard) -> None:
    shutil.rmtree(yard.root / "recipes/tiny")
    shutil.rmtree(yard.root / "packages/tiny")
    (yard.root / "recipes/_shared").mkdir()
    (yard.root / "recipes/_shared/none.toml").touch()
    yard.commit("nothing is left")
    done = yard.night()
    assert done.status == 0, done.said
    assert yard.plan("due") == []
    assert "Nothing was due" in yard.summary
    assert not list(yard.checkout.store.glob("wheel-*"))


def test_a_night_looks_for_news_upstream(yard: Yard) -> None:
    done = yard.night("upstream")
    assert done.status == 0, done.said
    assert "tiny" in done.said
    assert not yard.github.repository.issues
