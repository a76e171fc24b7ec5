"""Tables for people: they fold at the width of the terminal, and of 80 columns elsewhere."""

from __future__ import annotations

import io
import os
import shutil
import sys
from typing import TYPE_CHECKING

from wheelyard.io import log

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_COLUMNS = 80  # where neither $COLUMNS nor a terminal gives a width


def table_text(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return an aligned table; a cell that is too wide goes on in its next line.

    On a terminal its header is coloured, unless ``$NO_COLOR`` is set.
    """
    cells = [[log.tame(log.clean(str(cell))) for cell in row] for row in rows]
    plain = not sys.stdout.isatty() or bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    width = shutil.get_terminal_size((_COLUMNS, 24)).columns
    # To import rich takes 0.1 s, a quarter of `wheelyard plan`: a table without folds and colour does without it.
    text = _unfolded([list(columns), *cells]) if plain else ""
    if plain and text.isascii() and max(map(len, text.splitlines())) <= width:
        return text
    return _folded(columns, cells, width, plain=plain)


def _unfolded(cells: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in cells]
    lines.insert(1, " ".join("-" * (width + 1) for width in widths)[:-1])
    return "\n".join(lines)


def _folded(columns: Sequence[str], cells: Sequence[Sequence[str]], width: int, *, plain: bool) -> str:
    from rich.box import Box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    rule = Box("    \n    \n -  \n    \n    \n    \n    \n    \n", ascii=True)
    grid = Table(box=rule, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold cyan")
    for column in columns:
        grid.add_column(Text(column), overflow="fold")
    for row in cells:
        grid.add_row(*map(Text, row))
    console = Console(file=io.StringIO(), width=width, color_system=None if plain else "auto", force_terminal=not plain)
    with console.capture() as capture:
        console.print(grid)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())
