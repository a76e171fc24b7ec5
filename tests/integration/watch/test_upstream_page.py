"""The commands of docs/how-to/upstream.md, run in order with real nox, against an index and a registry of the tests."""

from __future__ import annotations

import re
import shutil
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.index import IndexServer
from support.pages import ROOT, Snippet, commands
from support.publishing import yard_in
from support.timeline import ALL, RISCV, Timeline, release
from support.wheels import WheelSpec
from wheelyard.records.lockfile import lock_file, pin
from wheelyard.records.models import LockedVersion
from wheelyard.watch.status_report import STATES

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

PAGE = "docs/how-to/upstream.md"
COMMANDS = commands(PAGE)
# How each ends, and what must be read on the screen.
SAYS = {
    "nox -s check-upstream": (1, r"(?s)markupsafe +new +1\.0 +2\.0 .*kiwisolver +ships"),
    "nox -s check-upstream -- markupsafe": (1, r"markupsafe +new +1\.0 +2\.0 +2\.0 is out, 1\.0 is pinned"),
    "nox -s check-upstream -- --registry none --json": (1, r'"schema": "wheelyard/upstream"'),
    "nox -s check-upstream -- --dry-run": (1, r"kiwisolver +ships"),
    "wheelyard history markupsafe": (0, r"(?m)^1\.0 +20\d\d-\d\d-\d\d +20\d\d-\d\d-\d\d +\d+ "),
    "wheelyard history --json": (0, r'"ours-after": \d+'),
}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, subprocess.CompletedProcess[str]]]:
    with yard_in(tmp_path_factory.mktemp("pages")) as yard, IndexServer(validators=("ETag",)) as index:
        stock = yard.stock
        timeline = Timeline(index, datetime.now(UTC).date() - timedelta(days=40))
        timeline.at(0, release("markupsafe", "1.0", *ALL), release("kiwisolver", "1.0", *ALL))
        timeline.at(20, release("markupsafe", "2.0", *ALL), release("kiwisolver", "2.0", *ALL, *RISCV))
        timeline.advance(40)
        shutil.copy(ROOT / "noxfile.py", stock.root)
        yard.have(*(WheelSpec(name=name, version="1.0") for name in ("markupsafe", "kiwisolver")))
        stock.env |= {"WHEELYARD_INDEX": index.url, "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
        for name in ("markupsafe", "kiwisolver"):
            entry = LockedVersion(version="1.0", file=f"{name}-1.0.tar.gz", size=1, sha256="1" * 64)
            pin(lock_file(stock.root / "packages", name), entry)
        yield {command.text: stock.shell(command.text) for command in COMMANDS}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: f"{command}-{command.text}")
def test_a_command_does_what_its_page_says(
    command: Snippet, results: dict[str, subprocess.CompletedProcess[str]]
) -> None:
    done = results[command.text]
    code, text = SAYS[command.text]
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert re.search(text, done.stdout), done.stdout


def test_nothing_is_expected_of_commands_that_are_gone() -> None:
    assert set(SAYS) == {command.text for command in COMMANDS}


def test_every_state_is_on_the_page() -> None:
    text = (ROOT / PAGE).read_text(encoding="utf-8")
    assert re.findall(r"(?m)^\| `(\w+)` \|", text) == list(STATES)
