"""The commands of docs/how-to/pipelines.md, run in their order: a plan, and what came of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.built_recipes import copy_project
from support.pages import Snippet, commands
from wheelyard.ci.outcome import WheelOutcome, write_outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

COMMANDS = commands("docs/how-to/pipelines.md")
# What must be read on the screen, and the exit code.
SAYS = {
    "wheelyard ci plan --due --format github --out dist/jobs": (0, "critical path"),
    "wheelyard ci report": (43, "ended without a result"),
    "wheelyard ci report --summary report.md --junit report.xml": (0, "built"),
}


def built(root: Path) -> None:
    """Leave what jobs leave when all goes well."""
    for job in json.loads((root / "dist/jobs/jobs.json").read_text())["jobs"]:
        folder = root / "dist" / job["package"] / job["version"]
        for wheel in job["expected"]:
            folder.mkdir(parents=True, exist_ok=True)
            file = wheel["pattern"].replace("*", "2_39")
            (folder / file).touch()
            outcome = WheelOutcome(
                job=job["name"],
                key=job["key"],
                package=job["package"],
                package_version=job["version"],
                interpreters=tuple(wheel["interpreters"]),
                state="built",
                files=(file,),
                ended="2026-11-24T01:00:00+00:00",
            )
            write_outcome(folder, outcome)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Mapping[Snippet, subprocess.CompletedProcess[str]]:
    root = copy_project(tmp_path_factory.mktemp("pages") / "project")
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    env = {name: value for name, value in os.environ.items() if not name.startswith(("GITHUB_", "GITLAB_"))}
    found = {}
    for command in COMMANDS:
        if "--summary" in command.text:
            built(root)
        words = ["bash", "-euc", command.text]
        found[command] = subprocess.run(
            words, cwd=root, env=env | {"PATH": path}, capture_output=True, text=True, check=False, timeout=120
        )
    assert (root / "report.md").read_text().startswith("## ")
    assert (root / "report.xml").read_bytes().startswith(b"<?xml")
    return found


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: f"{command}-{command.text}")
def test_a_command_does_what_its_page_says(
    command: Snippet, results: Mapping[Snippet, subprocess.CompletedProcess[str]]
) -> None:
    code, said = SAYS[command.text]
    done = results[command]
    assert done.returncode == code, done.stdout + done.stderr
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_nothing_is_expected_of_commands_that_are_gone() -> None:
    assert {command.text for command in COMMANDS} == set(SAYS)
