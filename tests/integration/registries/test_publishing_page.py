"""The commands of docs/how-to/publishing.md, run in their order with real nox, against the GitLab of the tests."""

from __future__ import annotations

import hashlib
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests

from support.built_wheels import PROJECT, BuiltWheels
from support.gitlab import GitLab, Project, serve
from support.pages import ROOT, Snippet, commands
from support.wheels import WheelSpec

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

# What needs an image is in tests/e2e/registries/test_smoke_test_containers.py.
COMMANDS = [command for command in commands("docs/how-to/publishing.md") if " -- smoke-test" not in command.text]
# What must be read on the screen.
SAYS = {
    "nox -s publish -- --to gitlab --dry-run": r"a dry run: nothing was written",
    "nox -s publish -- --to gitlab": r"6 published",
    "nox -s publish -- --to gitlab markupsafe": r"4 there before",
    "nox -s registry -- list": r"markupsafe +3\.0\.1",
    "nox -s registry -- verify": r"6 files of 2 packages compared by the index: all as recorded",
    "nox -s registry -- verify --download": r"6 files of 2 packages read back: all as recorded",
    'nox -s registry -- yank markupsafe 3.0.3 --reason "crashes without zba"': r"yanked: markupsafe-3\.0\.3",
    "nox -s registry -- prune --keep 3": r"delete +markupsafe +3\.0\.1",
    "nox -s registry -- prune --keep 3 --delete": r"deleted: 1 versions, 1 files",
    "nox -s registry -- remove markupsafe MarkupSafe-1.0.tar.gz": r"would be deleted: 1 files of markupsafe",
    "nox -s registry -- remove markupsafe MarkupSafe-1.0.tar.gz --delete": r"deleted: 1 files of markupsafe",
    "nox -s registry -- mirror --registry gitlab --to dist/backup/": r"5 copied",
    "nox -s registry -- index --out dist/front": r"5 files of 2 packages",
}


def orphan(api: str, project: Project, token: str) -> None:
    """Upload an sdist, as somebody may by mistake."""
    answer = requests.post(
        f"{api}/projects/{project.id}/packages/pypi",
        data={"name": "markupsafe", "version": "1.0", "sha256_digest": hashlib.sha256(b"an sdist").hexdigest()},
        files={"content": ("MarkupSafe-1.0.tar.gz", b"an sdist")},
        auth=("anybody", token),
        timeout=30,
    )
    assert answer.status_code == 201, answer.text


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, subprocess.CompletedProcess[str]]]:
    folder = tmp_path_factory.mktemp("pages")
    gitlab = GitLab(folder / "gitlab")
    project = gitlab.add_project(PROJECT)
    user = gitlab.add_user("ann")
    gitlab.add_member(project, user, "maintainer")
    token, deploy = gitlab.add_pat(user, scopes=("api",), expires_at=None), gitlab.add_deploy_token(project)
    with serve(gitlab) as server:
        stock = BuiltWheels(folder / "project", server.url)
        shutil.copy(ROOT / "noxfile.py", stock.root)
        for name in ("markupsafe", "kiwisolver"):
            (stock.root / "recipes" / name).mkdir(parents=True)
            (stock.root / "recipes" / name / "recipe.toml").touch()
        stock.add(*(WheelSpec(name="markupsafe", version=f"3.0.{micro}") for micro in (1, 2, 3, 4)))
        stock.add(*(WheelSpec(name="kiwisolver", version="1.4.9", python=tag, abi=tag) for tag in ("cp312", "cp313")))
        stock.env["PATH"] = f"{Path(sys.executable).parent}:/usr/bin:/bin"
        done: dict[str, subprocess.CompletedProcess[str]] = {}
        for command in COMMANDS:
            # Deletion and sizes need an access token, as the page says; all else goes with the deploy token.
            more = any(word in command.text for word in ("prune", "remove", "--sizes"))
            if "remove" in command.text and not any("remove" in text for text in done):
                orphan(server.api, project, deploy)
            stock.env["WHEELYARD_GITLAB_TOKEN"] = token if more else deploy
            done[command.text] = stock.shell(command.text)
        yield done


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: f"{command}-{command.text}")
def test_a_command_does_what_its_page_says(
    command: Snippet, results: dict[str, subprocess.CompletedProcess[str]]
) -> None:
    done = results[command.text]
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert re.search(SAYS.get(command.text, ""), done.stdout), done.stdout


def test_nothing_is_expected_of_commands_that_are_gone() -> None:
    assert set(SAYS) <= {command.text for command in COMMANDS}
