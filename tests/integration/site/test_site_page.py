"""The commands of the pages site.md and infrastructure.md, run in order with real nox against a local forge."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.built_wheels import BuiltWheels, specs
from support.forges import GitLabPlace, gitlab_place
from support.gitlab import serve
from support.pages import ROOT, commands
from support.project import make_project
from support.remote import git
from support.watch import DEPLOY_NAME, NAME, Watch, in_days

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.pages import Snippet

POLICY = """\
[tool.wheelyard]
interpreters = ["cp313"]
policy = "manylinux_2_39_riscv64"

[tool.wheelyard.registries.folder]
kind = "directory"
path = "dist/index"
local-images = true

[tool.wheelyard.change-requests]
"""
COMMANDS = commands("docs/how-to/site.md")
# What must be read on the screen.
SAYS = {
    "nox -s site -- --out dist/site": r"page",
    "nox -s site -- --out dist/index --registry dist/index": r"page",
    "nox -s records": r"packages/demo/releases\.toml",
    "nox -s records -- --propose --dry-run": r"open",
    "nox -s records -- --propose": r"open",
}


def run(folder: Path, text: str, **more: str) -> subprocess.CompletedProcess[str]:
    ours = ("WHEELYARD_", "CI", "GIT", "GITHUB_", "GITLAB_", "NOX", "PYTHON_CI_")
    env = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    env |= {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "NO_PROXY": "127.0.0.1", **more}
    return subprocess.run(
        ["bash", "-euc", text], cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=300
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitLabPlace]:
    with gitlab_place(tmp_path_factory.mktemp("forge")) as served:
        yield served


@pytest.fixture(scope="module")
def results(
    tmp_path_factory: pytest.TempPathFactory, place: GitLabPlace
) -> dict[Snippet, subprocess.CompletedProcess[str]]:
    """A checkout in which a wheel has just been published to the index folder."""
    folder = tmp_path_factory.mktemp("site")
    place.git.commit("main", {"README.md": "x\n"})
    git(folder, "clone", "--quiet", place.git.url, "yard")
    root = folder / "yard"
    shutil.rmtree(root / "packages")  # what other tests have there is no lock
    given = place.policy.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    table = "\n".join(f"{key} = {json.dumps(value)}" for key, value in given.items())
    stock = BuiltWheels(root)
    stock.add(specs(1)[0].but(python="cp313", abi="cp313"), kind="local")
    make_project(root, {"demo/recipe.toml": ""}, pyproject=f"{POLICY}{table}\n")
    shutil.copy(ROOT / "noxfile.py", root)
    more = {place.policy.variable: place.token, "WHEELYARD_CACHE": str(folder / "cache")}
    published = run(root, "nox -s publish -- --to folder", **more)
    assert published.returncode == 0, published.stderr
    found = {command: run(root, command.text, **more) for command in COMMANDS}
    for done in found.values():
        assert done.returncode == 0, done.stdout + done.stderr
    pages = root / "dist/site"
    assert "demo" in (pages / "index.html").read_text()
    assert "1.0" in (pages / "package/demo/index.html").read_text()
    assert json.loads((pages / "packages.json").read_text())["packages"]
    assert (root / "dist/index/simple/demo/index.html").is_file()
    assert (root / "dist/index/package/demo/index.html").is_file()
    assert list((root / "dist/index/files/demo").glob("*.whl"))
    return found


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: f"{command}-{command.text}")
def test_a_command_does_what_its_page_says(
    command: Snippet, results: dict[Snippet, subprocess.CompletedProcess[str]], place: GitLabPlace
) -> None:
    done = results[command]
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(SAYS[command.text], done.stdout), done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert place.token not in done.stdout + done.stderr
    assert [each.state for each in place.shown()] == ["open"]


def test_nothing_is_expected_of_commands_that_are_gone() -> None:
    assert {command.text for command in COMMANDS} == set(SAYS)


# -------------------------------------------------------------- infrastructure.md


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Watch]:
    made = Watch(tmp_path)
    with serve(made.gitlab) as server:
        made.settle(server.url)
        (made.root / "docs/how-to").mkdir(parents=True)
        shutil.copy(ROOT / "docs/how-to/infrastructure.md", made.root / "docs/how-to")
        shutil.copy(ROOT / "noxfile.py", made.root)
        yield made


def ends(watch: Watch) -> dict[str, str]:
    text = (watch.root / "docs/how-to/infrastructure.md").read_text(encoding="utf-8")
    between = text.partition("<!-- check-tokens: begin -->")[2].partition("<!-- check-tokens: end -->")[0]
    return dict(re.findall(r"(?m)^\| `([^`]+)` \| (\S+) \| \S+ \|$", between))


def test_the_page_shows_when_tokens_end_as_they_were_last_seen(watch: Watch) -> None:
    (command,) = commands("docs/how-to/infrastructure.md")
    assert command.text == "nox -s check-tokens -- --record"
    done = run(watch.root, command.text, HOME=str(watch.home), **watch.env)
    assert done.returncode == 0, done.stdout + done.stderr
    watch.see_no_secret(done.stdout, done.stderr)
    first = ends(watch)
    assert first == {
        NAME: str(in_days(200)),
        DEPLOY_NAME: str(in_days(200)),
        "GitLab for Open Source": str(in_days(200)),
    }
    page = watch.root / "docs/how-to/infrastructure.md"
    before = page.read_bytes()
    assert watch.run("--record").code == 0
    assert page.read_bytes() == before
    watch.use(group="")  # not seen this time
    assert watch.run("--record").code != 0
    assert ends(watch) == first
    watch.use(group=watch.group_token(100))
    watch.run("--record")
    assert ends(watch)[NAME] == str(in_days(100))


def test_a_page_without_its_marks_is_told(watch: Watch) -> None:
    (watch.root / "docs/how-to/infrastructure.md").write_text("# Nothing\n")
    ended = watch.run("--record")
    assert ended.code == 4, ended.err
    assert "marks" in ended.err
    assert (watch.root / "docs/how-to/infrastructure.md").read_text() == "# Nothing\n"
