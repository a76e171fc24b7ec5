"""Find the line of a build's log that matters: the first real error of the step that failed.

Lines that only pass a failure on (a program's exit code, pip's "did not run successfully") count for less than the
error itself, and a line that merely contains the word counts least.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_PASSED_ON = re.compile(
    r"error: (?:Command \[|command '|subprocess-exited|metadata-generation)|did not run successfully|"
    r"Failed (?:building wheel|to build)|Backend subprocess exited|ninja: build stopped|Error \d+\Z"
)
# The first kind that occurs wins. GCC, Clang and Cython; linkers; rustc; CMake, Meson; unittest and pytest; pip.
_KINDS = tuple(
    map(
        re.compile,
        (
            r"\A\S+:\d+(?::\d+)?: (?:fatal )?error: |\Aerror(?:\[E\d+\])?: (?=\S)",
            r"undefined reference to|\A\S*ld(?:\.\w+)?: cannot find|CMake Error|: ERROR: ",
            r"\A(?:FAILED|ERROR) \S+::|\A(?:FAIL|ERROR): \S+ \(",
            r"\AERROR: ",
            r"No space left|Killed|MemoryError|Segmentation fault|Illegal instruction",
            r"\A(?:E +)?[\w.]*(?:Error|Exception|Exit)\b: ",
            r"\bfatal:|\b[Ee]rror: |\bERROR\b",
        ),
    )
)


def find_error_line(lines: Iterable[str], step: re.Pattern[str]) -> str:
    """Return the first line of the most specific kind of error, empty if there is none.

    Args:
        lines: the log, without control characters.
        step: matches the line that opens a step; only the last step counts, as earlier ones succeeded.
    """
    first_by_kind: dict[int, str] = {}
    for line in lines:
        if step.match(line):
            first_by_kind = {}
        elif not _PASSED_ON.search(line):
            kind = next((number for number, pattern in enumerate(_KINDS) if pattern.search(line)), None)
            if kind is not None:
                first_by_kind.setdefault(kind, line)
    return first_by_kind[min(first_by_kind)] if first_by_kind else ""
