"""A project whose workflows run here: its repository on a GitHub, its registry on a GitLab, its clone under act.

``ci/bootstrap`` is a stand-in, which starts what it is given with the tool of this run: it has tests of its own. Files
beside the clone tell it what goes wrong with machines that build.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import shutil
import sys
import zipfile
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from support.act import Checkout, Run
from support.github import GitHub
from support.github.app import serve as serve_github
from support.gitlab import GitLab, Project, serve
from support.gitlab_ci import ROOT
from support.index import IndexServer
from support.osv import OSV
from support.policy import BUILDS, GROUP_TOKEN, REGISTRY
from support.remote import Bare, git
from support.site import TESTED
from support.tiny import add_tiny, add_twin
from wheelyard.io import cache
from wheelyard.records.expiry_table import PAGE
from wheelyard.records.lockfile import lock_file, pin
from wheelyard.records.models import LockedVersion

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT, REPOSITORY = "riseproject/python/wheel_builder", "riseproject/wheel_builder"  # on GitLab, on GitHub
PROPOSALS = """
[tool.wheelyard.change-requests]
forge = "github"
url = "{github}"
project = "{repository}"
remote = "{remote}"
variable = "WHEELYARD_FORGE_TOKEN"
"""
POLICY = BUILDS + REGISTRY + PROPOSALS + GROUP_TOKEN
# What a step's environment holds is written down, to be looked into.
STAND_IN = """\
#!/bin/bash
env >>"{scratch}/seen"
export PATH="{path}:$PATH" WHEELYARD_CACHE="{cache}" WHEELYARD_INDEX="{index}"
export REQUESTS_CA_BUNDLE="{ca}" NO_PROXY=127.0.0.1
export WHEELYARD_OSV="{osv}"
if [[ $* == *" run-job"* ]]; then
    if [[ -e "{scratch}/instead" ]]; then . "{scratch}/instead"; exit; fi
    if [[ -s "{scratch}/kill" ]]; then # a letter for each time
        left=$(<"{scratch}/kill"); printf '%s' "${{left#?}}" >"{scratch}/kill"; "$@" &
        until compgen -G "dist/*/*/build-*.log" >/dev/null || ! kill -0 $!; do sleep 0.1; done
        kill -9 $!; wait $!; exit 137
    fi
    # Only in a mount namespace of its own is the kernel's list of emulators empty.
    if [[ -e "{scratch}/no-qemu" && $WHEELYARD_JOB == *"$(<"{scratch}/no-qemu")"* ]]; then
        set -- unshare --mount sh -c 'mount -t tmpfs none /proc/sys/fs/binfmt_misc && exec "$@"' sh "$@"
    fi
fi
status=0; "$@" || status=$?
cat "$GITHUB_STEP_SUMMARY" >>"{scratch}/summary"
exit $status
"""


@dataclass
class GitHubProject:
    """A repository on GitHub, the registry on GitLab, and a clone in which workflows run."""

    gitlab: GitLab
    registry: Project
    github: GitHub
    bare: Bare
    checkout: Checkout
    scratch: Path
    index: IndexServer = field(repr=False)
    osv: OSV = field(repr=False)

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

    @property
    def leaked(self) -> list[str]:
        """The repository's secrets that were in the environment of our steps; a run's own token is none of them."""
        mine = {name: value for name, value in self.checkout.secrets.items() if name != "GITHUB_TOKEN"}
        return [name for name, value in mine.items() if value in self.seen]

    def machines(self, name: str, text: str = "") -> None:
        """Let machines that build do something else, or let something go wrong with them: see the stand-in."""
        (self.scratch / name).write_text(text, encoding="utf-8")

    def add(self, name: str, recipe: str = "") -> None:
        """Add a package, locked as ``tiny`` is."""
        add_twin(self.root, name, recipe)

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
        """Merge the open pull requests, as a person does, and bring the clone up to date."""
        for issue in self.github.repository.issues.values():
            if issue.pull and issue.state == "open":
                assert self.bare.merge(issue.pull.head)
                issue.state, issue.pull.merged = "closed", True
        git(self.root, "pull", "--quiet", "--ff-only", "origin", "main")

    def pull_request(
        self,
        base: str,
        head: str,
        *words: str,
        ref: str = "tiny",
        body: str = "",
        fork: bool = False,
        action: str = "opened",
    ) -> Run:
        """Run what a pull request starts, or what of it *words* name, from a branch here or from a stranger's fork."""
        repository = {"full_name": REPOSITORY, "fork": False}
        source = {"full_name": "stranger/wheel_builder", "fork": True} if fork else repository
        pull = {
            "number": 7,
            "body": body,
            "base": {"sha": base, "ref": "main", "repo": repository},
            "head": {"sha": head, "ref": ref, "repo": source},
        }
        given = {"action": action, "number": 7, "pull_request": pull, "repository": repository}
        return self.checkout.run("pull-request.yml", "pull_request", given, *words)

    def push(self, before: str, *words: str) -> Run:
        """Run what a push to main starts, or what of it *words* name."""
        given = {"before": before, "ref": "refs/heads/main", "repository": {"default_branch": "main"}}
        return self.checkout.run("publish.yml", "push", given, *words)

    def night(self, job: str = "deploy", *, timeout: float = 300) -> Run:
        """Run a job of the night, and those that it needs."""
        given = {"repository": {"default_branch": "main"}}
        return self.checkout.run("nightly.yml", "schedule", given, "--job", job, timeout=timeout)

    @contextlib.contextmanager
    def going_on(self) -> Iterator[None]:
        """Have a run go on when a wheel fails, as GitHub does: act ends it with the called workflow that fails."""
        workflows = self.root / ".github/workflows"
        texts = {name: (workflows / name).read_text(encoding="utf-8") for name in ("part.yml", "build.yml")}
        for name, text in texts.items():
            failing = re.compile(r"(?m)^( +)- name: (Wheel|Report).*\n")
            changed = failing.sub(r"\g<0>\1  continue-on-error: true\n", text)
            changed = changed.replace(" && contains(needs.*.result, 'failure')", "")  # so that there is none
            (workflows / name).write_text(changed, encoding="utf-8")
        yield
        for name, text in texts.items():
            (workflows / name).write_text(text, encoding="utf-8")

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


@contextlib.contextmanager
def open_project(scratch: Path) -> Iterator[GitHubProject]:
    """Make a yard with one package, ``tiny``, that is due; its servers serve while the context lasts."""
    gitlab = GitLab(scratch / "gitlab")
    registry = gitlab.add_project(PROJECT)
    group = gitlab.group("riseproject/python")
    assert group
    bare = Bare(scratch / "origin.git", {"README.md": "a yard\n"})
    github = GitHub(REPOSITORY, bare)
    clone = scratch / "clone"
    git(scratch, "clone", "--quiet", str(bare.path), str(clone))
    for name in (".github", "ci/actions"):
        shutil.copytree(ROOT / name, clone / name)
    shutil.copy(ROOT / "ci/requirements.txt", clone / "ci")
    (clone / "docs/how-to").mkdir(parents=True)
    shutil.copy(ROOT / PAGE, clone / PAGE)
    (clone / ".gitignore").write_text("dist/\nsite/\nartifacts/\n", encoding="utf-8")
    (clone / "recipes/tiny").mkdir(parents=True)
    (clone / "recipes/tiny/recipe.toml").write_text(TESTED, encoding="utf-8")
    with serve(gitlab) as server, serve_github(github) as forge, IndexServer() as index, OSV() as osv:
        add_tiny(index)
        in_a_year = (datetime.now(UTC) + timedelta(days=300)).date()
        secrets = {
            "WHEELYARD_GITLAB_TOKEN": gitlab.add_deploy_token(registry),
            "PYTHON_CI_GROUP_TOKEN": gitlab.add_group_token(group, expires_at=in_a_year),
            "GITHUB_TOKEN": github.add_token(),
        }
        secrets["WHEELYARD_FORGE_TOKEN"] = github.add_token()
        made = GitHubProject(
            gitlab, registry, github, bare, Checkout(clone, scratch / "act", secrets), scratch, index, osv
        )
        text = STAND_IN.format(
            scratch=scratch,
            path=Path(sys.executable).parent,
            cache=cache.cache_dir(),
            index=index.url,
            ca=forge.ca,
            osv=osv.url,
        )
        (clone / "ci/bootstrap").write_text(text, encoding="utf-8")
        (clone / "ci/bootstrap").chmod(0o755)
        places = {"url": server.url, "project": PROJECT, "github": forge.url, "repository": REPOSITORY}
        builds = {"pythons": ["cp313"], "image": "local", "space": 1, "scopes": ["api"]}
        text = POLICY.format(**places, **builds, remote=bare.url)
        (clone / "pyproject.toml").write_text(text, encoding="utf-8")
        (sdist,) = (file for file in index.files("tiny") if file.name.endswith(".tar.gz"))
        entry = {"version": "1.0", "file": sdist.name, "size": len(sdist.data), "sha256": sdist.claimed_sha256}
        pinned = LockedVersion.model_validate(entry | {"wheels": ["cp313-cp313"], "reference": "aarch64"})
        pin(lock_file(clone / "packages", "tiny"), pinned)
        made.commit()
        git(clone, "push", "--quiet", "origin", "main")
        yield made
