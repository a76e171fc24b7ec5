"""Tables: aligned, clean, folded, and coloured on a terminal only."""

from __future__ import annotations

import os
import pty
import string
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wheelyard.io import table
from wheelyard.io.table import table_text

WIDE = "from wheelyard.io.table import table_text; print(table_text(['name', 'what'], [['a', 'word ' * 30]]))"


def test_a_table_is_aligned_and_clean() -> None:
    text = table_text(["name", "what"], [["a", "first"], ["longer", "\x1b[31mred"]])
    assert text.splitlines() == ["name    what", "------- --------", "a       first", "longer   [31mred"]


@given(st.lists(st.lists(st.text(string.ascii_letters + " -", max_size=9), min_size=3, max_size=3), max_size=5))
def test_a_table_that_does_not_fold_is_as_rich_has_it(rows: list[list[str]]) -> None:
    columns = ["", "name", "what"]
    plain = table._unfolded([columns, *rows])
    assert plain == table._folded(columns, rows, 80, plain=True)


def test_a_table_that_does_not_fold_needs_no_rich() -> None:
    program = "import sys; from wheelyard.io.table import table_text; table_text(['a'], [['b']]); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "wheelyard.io.table" in done.stdout.split()
    assert "rich" not in done.stdout.split()


def test_wide_letters_are_aligned() -> None:
    lines = table_text(["name", "what"], [["日本", "x"], ["name", "y"]]).splitlines()
    assert lines[2:] == ["日本  x", "name  y"]


def test_markup_is_no_markup() -> None:
    assert table_text(["name"], [["[red]x[/red]"], [":smile:"]]).splitlines()[2:] == ["[red]x[/red]", ":smile:"]


def test_a_wide_cell_goes_on_in_the_next_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    wheel = "demo-1.0-cp313-cp313-manylinux_2_39_riscv64.whl"
    lines = table_text(["name", "wheel"], [["demo", wheel]]).splitlines()
    assert max(map(len, lines)) <= 20
    assert "".join(line.removeprefix("demo").strip() for line in lines[2:]) == wheel


def test_the_width_is_80_columns_where_there_is_no_terminal() -> None:
    env = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    done = subprocess.run([sys.executable, "-c", WIDE], env=env, capture_output=True, text=True, check=True)
    assert 70 < max(map(len, done.stdout.splitlines())) <= 80
    assert done.stdout.count("word") == 30
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize(("more", "colour"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_colour_is_for_terminals_that_want_it(more: dict[str, str], colour: bool) -> None:
    env = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "FORCE_COLOR"}}
    ours, theirs = pty.openpty()
    with subprocess.Popen([sys.executable, "-c", WIDE], env=env | {"TERM": "xterm"} | more, stdout=theirs) as process:
        os.close(theirs)
        shown = b""
        try:
            while part := os.read(ours, 4096):
                shown += part
        except OSError:  # how Linux says that the other side is closed
            pass
        assert process.wait() == 0
    os.close(ours)
    assert (b"\x1b[" in shown) == colour
