"""Preflight over real packages and the public index: seconds each, and nothing is built."""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from support.pages import ROOT
from support.project import make_project
from wheelyard.preflight.preflight_package import preflight
from wheelyard.project.config import find_project

if TYPE_CHECKING:
    from pathlib import Path

GIT = "https://github.com/pallets/markupsafe"
FROM_GIT = f"""\
[source]
git = "{GIT}"

[test]
requires = ["pytest"]
command = "pytest {{project}}/tests"
"""


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHEELYARD_CACHE", str(tmp_path / "cache"))


def test_a_recipe_of_ours() -> None:
    started = time.monotonic()
    result = preflight(find_project(ROOT), "markupsafe")
    assert result.ok, result.failures
    assert {each.step for each in result.findings if each.state == "skipped"} <= {"patches"}
    assert result.facts is not None
    assert any(module.endswith("_speedups") for module in result.facts.modules)
    assert time.monotonic() - started < 120


def test_the_same_from_git(tmp_path: Path) -> None:
    asked = subprocess.run(
        ["git", "ls-remote", "--tags", GIT, "3.0.3"],
        capture_output=True,
        check=False,
        timeout=60,
        env={"GIT_TERMINAL_PROMPT": "0", "PATH": "/usr/bin:/bin"},
    )
    if asked.returncode:
        pytest.skip("its forge cannot be reached")
    project = make_project(tmp_path, {"markupsafe/recipe.toml": FROM_GIT})
    result = preflight(project, "markupsafe", "3.0.3")
    assert result.ok, result.failures
    assert result.facts is not None
    assert result.facts.version == "3.0.3"
