"""A project that watches its tokens on a GitLab on the loopback, and the real command in it."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from support.gitlab import GitLab
from support.policy import GROUP_TOKEN, SCOPES
from support.project import PYPROJECT

if TYPE_CHECKING:
    from datetime import date
    from pathlib import Path

    from support.gitlab.model import Issue

GROUP, PROJECT = "riseproject/python", "riseproject/python/wheel_builder"
NAME, DEPLOY_NAME = "PYTHON_CI_GROUP_TOKEN", "rise-github-package-registry"
REST = """
[[tool.wheelyard.tokens]]
name = "rise-github-package-registry"
kind = "deploy"
url = "{url}"
project = "{project}"
variable = "PUSH_WHEELS"
scopes = ["read_package_registry", "write_package_registry"]

[[tool.wheelyard.renewals]]
name = "GitLab for Open Source"
due = {due}
how = "an owner of the group applies again"
"""
POLICY = GROUP_TOKEN + REST


class Ended(NamedTuple):
    """How the command ended."""

    code: int
    out: str
    err: str

    @property
    def states(self) -> dict[str, list[str]]:
        """The states in the table's first column, by the name in its second."""
        found: dict[str, list[str]] = {}
        for line in self.out.partition("\n\n")[0].splitlines()[2:]:
            if line.startswith(" "):  # the rest of a cell that folds
                continue
            state, _, rest = line.partition("  ")
            name = next(name for name in (NAME, DEPLOY_NAME, "GitLab for Open Source") if rest.strip().startswith(name))
            found.setdefault(name, []).append(state)
        return found


class Watch:
    """A GitLab with the project's tokens, all well, and a project folder that watches them."""

    def __init__(self, root: Path) -> None:
        self.root = root / "site"
        self.root.mkdir()
        self.home = root / "home"  # empty: no credential of this machine's user is found
        self.home.mkdir()
        self.gitlab = GitLab(root / "gitlab")
        self.project = self.gitlab.add_project(PROJECT)
        self.env: dict[str, str] = {}
        self.url = ""
        self.use(group=self.group_token(), deploy=self.deploy_token())

    def settle(self, url: str, *, project: str = PROJECT, due: int = 200) -> None:
        """Write site configuration: which server, which project, days until the renewal is due."""
        self.url = url
        text = POLICY.format(url=url, project=project, due=in_days(due), scopes=list(SCOPES))
        (self.root / "pyproject.toml").write_text(PYPROJECT + text, encoding="utf-8")

    def group_token(self, days: int = 200, *, role: str = "maintainer", scopes: tuple[str, ...] = SCOPES) -> str:
        group = self.gitlab.group(GROUP)
        assert group
        return self.gitlab.add_group_token(group, NAME, role, scopes, in_days(days))

    def deploy_token(
        self, days: int = 200, *, scopes: tuple[str, ...] = ("read_package_registry", "write_package_registry")
    ) -> str:
        return self.gitlab.add_deploy_token(self.project, DEPLOY_NAME, scopes, in_days(days))

    def use(self, *, group: str | None = None, deploy: str | None = None) -> None:
        """Put tokens into the environment; the empty one takes it out."""
        for variable, token in (("PYTHON_CI_GROUP_TOKEN", group), ("PUSH_WHEELS", deploy)):
            if token is not None:
                self.env[variable] = token

    def run(self, *words: str, **more: str) -> Ended:
        """Run ``wheelyard check-tokens``, and see that no token is shown that is not meant to be."""
        ours = ("WHEELYARD_", "CI", "GITHUB_", "GITLAB_", "PYTHON_CI_", "PYTHON_GITLAB_", "NETRC")
        env = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
        done = subprocess.run(
            [sys.executable, "-m", "wheelyard", "check-tokens", *words],
            cwd=self.root,
            env=env | {"HOME": str(self.home)} | self.env | more,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert "Traceback" not in done.stderr, done.stderr
        self.see_no_secret(done.stderr, "" if "--rotate" in words else done.stdout)
        return Ended(done.returncode, done.stdout, done.stderr)

    def see_no_secret(self, *texts: str) -> None:
        held = [value for value in self.env.values() if value and not value.startswith("/")]  # paths may be told
        secrets = [*self.gitlab.tokens, *self.gitlab.deploy_tokens, *held]
        written = [text for issue in self.project.issues.values() for text in (issue.title, issue.description)]
        written += [str(note) for issue in self.project.issues.values() for note in issue.notes]
        for text in (*texts, *written):
            for secret in secrets:
                assert secret not in text

    @property
    def open_issues(self) -> list[Issue]:
        return [issue for issue in self.project.issues.values() if issue.state == "opened"]

    def asked(self, method: str, end: str) -> list[int]:
        """The statuses of the answers to requests of that kind."""
        return [seen.status for seen in self.gitlab.requests if seen.method == method and seen.path.endswith(end)]


def in_days(days: int) -> date:
    return datetime.now(UTC).date() + timedelta(days=days)
