"""The rule of commit messages, and the hook that git calls for it."""

from __future__ import annotations

import os
import runpy
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from support.pages import ROOT

if TYPE_CHECKING:
    from pathlib import Path

problems = runpy.run_path(str(ROOT / "ci/commit_msg.py"))["problems"]


@pytest.mark.parametrize(
    "message",
    [
        "checks: refuse wheels without a licence file",
        "docs/how-to: split a page\n\nIt mixed two purposes.\n",
        "io: process answers in order",
        "ci: bring the browser to the tests",
        "Merge branch 'main' into topic",
        'Revert "checks: refuse wheels"',
        "fixup! checks: refuse wheels",
        "x: " + "a" * 69,
        "x: add y\n# Please enter the commit message for your changes.\n# On branch main\n",
    ],
)
def test_a_good_message(message: str) -> None:
    assert problems(message) == []


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        ("", "is not 'area: summary'"),
        ("refuse wheels", "is not 'area: summary'"),
        ("checks:refuse wheels", "is not 'area: summary'"),
        ("checks: ", "is not 'area: summary'"),
        ("x: " + "a" * 70, "has 73 characters, the limit is 72"),
        ("checks: refused wheels", "imperative verb: 'refused'"),
        ("checks: refusing wheels", "imperative verb: 'refusing'"),
        ("checks: refuses wheels", "imperative verb: 'refuses'"),
        ("checks: refuse wheels.", "full stop"),
        ("checks: refuse wheels\nbecause", "second line"),
    ],
)
def test_a_bad_message(message: str, problem: str) -> None:
    assert [line for line in problems(message) if problem in line]


def test_git_refuses_a_bad_message(tmp_path: Path) -> None:
    """``nox -s hooks`` runs ``pre-commit install``; then git calls the script."""
    (tmp_path / "ci").mkdir()
    shutil.copy(ROOT / "ci/commit_msg.py", tmp_path / "ci")
    shutil.copy(ROOT / ".pre-commit-config.yaml", tmp_path)
    env = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "PRE_COMMIT"))}
    env |= {"SKIP": "lint", "PRE_COMMIT_HOME": str(tmp_path / "cache"), "HOME": str(tmp_path)}

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)

    assert run("git", "init", "--quiet").returncode == 0
    assert run(sys.executable, "-m", "pre_commit", "install").returncode == 0
    commit = ("git", "-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "--allow-empty", "-m")
    run("git", "add", ".")
    refused = run(*commit, "added a thing")
    assert refused.returncode != 0
    assert "is not 'area: summary'" in refused.stderr + refused.stdout
    accepted = run(*commit, "docs: add a page")
    assert accepted.returncode == 0, accepted.stderr
