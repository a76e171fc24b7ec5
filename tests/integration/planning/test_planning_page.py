"""The commands of docs/how-to/planning.md, run in order with real nox; and what publishing leaves for the next plan."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.built_recipes import copy_project
from support.built_wheels import PROJECT, BuiltWheels
from support.gitlab import GitLab, serve
from support.pages import ROOT, Snippet, commands
from support.wheels import WheelSpec
from wheelyard.records.durations import DURATIONS
from wheelyard.records.wheel_records import read_record, write_record

COMMANDS = commands("docs/how-to/planning.md")
# What must be read on the screen.
SAYS = {
    "nox -s ci -- plan --format table": r"11 jobs, .*critical path",
    "nox -s ci -- plan markupsafe==3.0.3 cffi --format table": r"markupsafe +3.0.3 .*cffi",
    "nox -s ci -- plan --due": r"cffi .*missing for .*pynacl",
    "nox -s ci -- plan --changed HEAD~1..HEAD": r"cffi .* changed",
    "nox -s ci -- plan --due --runners 20": r" 20 at once",
    "nox -s ci -- plan --due --format github --out dist/jobs": r"critical path",
    "nox -s ci -- plan --due --format gitlab --out dist/jobs": r"critical path",
}


def git(root: Path, *words: str) -> None:
    command = ["git", "-c", "user.name=A", "-c", "user.email=a@example.org", *words]
    subprocess.run(command, cwd=root, check=True, timeout=60, capture_output=True)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = copy_project(tmp_path_factory.mktemp("pages") / "project")
    shutil.copy(ROOT / "noxfile.py", root)
    git(root, "init", "--quiet")
    for text in ("", "\n[test.environment]\nA = '1'\n"):
        recipe = root / "recipes/cffi/recipe.toml"
        recipe.write_text(recipe.read_text() + text)
        git(root, "add", "--all")
        git(root, "commit", "--quiet", "--allow-empty", "--message=x")
    return root


@pytest.fixture(scope="module")
def results(site: Path) -> dict[str, subprocess.CompletedProcess[str]]:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("GITHUB_", "GITLAB_", "NOX"))}
    env["PATH"] = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    return {
        command.text: subprocess.run(
            ["bash", "-euc", command.text], cwd=site, env=env, capture_output=True, text=True, check=False, timeout=120
        )
        for command in COMMANDS
    }


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: f"{command}-{command.text}")
def test_a_command_does_what_its_page_says(
    command: Snippet, results: dict[str, subprocess.CompletedProcess[str]]
) -> None:
    done = results[command.text]
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(SAYS[command.text], done.stdout, re.DOTALL), done.stdout


def test_nothing_is_expected_of_commands_that_are_gone() -> None:
    assert set(SAYS) == {command.text for command in COMMANDS}


@pytest.mark.usefixtures("results")
def test_the_last_plan_is_what_lies_in_the_folder(site: Path) -> None:
    folder = site / "dist/jobs"
    assert {path.name for path in folder.iterdir()} == {"jobs.json", "pipeline-1.yml"}
    jobs = {job["package"]: job for job in json.loads((folder / "jobs.json").read_text())["jobs"]}
    assert jobs["pynacl"]["needs"] == [jobs["cffi"]["name"]]


def test_published_builds_tell_how_long_the_next_take(tmp_path: Path) -> None:
    gitlab = GitLab(tmp_path / "gitlab")
    with serve(gitlab) as server:
        stock = BuiltWheels(tmp_path / "project", server.url)
        stock.env["WHEELYARD_GITLAB_TOKEN"] = gitlab.add_deploy_token(gitlab.add_project(PROJECT))
        (wheel,) = stock.add(WheelSpec(name="demo", version="1.0"))
        took = {"Starting container": 5.0, "Running before_all": 30.0, "Building wheel (cp313)": 100.0}
        update = {"durations": took, "machine": "riscv64"}
        write_record(wheel.parent, read_record(wheel).model_copy(update=update))
        done = stock.run("publish", "--to", "gitlab")
        path = DURATIONS.path(stock.root / "packages", "demo")
        assert done.returncode == 0, done.stderr
        assert f"recorded in {path}" in done.stdout
        assert [(each.interpreter, each.seconds) for each in DURATIONS.read(path)] == [("", 30.0), ("cp313", 100.0)]
        before = path.read_bytes()
        assert stock.run("publish", "--to", "gitlab").returncode == 0
        assert path.read_bytes() == before
