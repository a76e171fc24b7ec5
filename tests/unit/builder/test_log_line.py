"""Which line of a build's log is told: the cause, not what passes it on."""

from __future__ import annotations

import pytest

from wheelyard.builder.cibuildwheel import _STEP
from wheelyard.builder.error_line import find_error_line

CASES = {
    "the first error of a compiler": (
        [
            "src/x.c:10:5: error: unknown type name 'foo_t'",
            *(f"src/x.c:{number}:5: error: 'foo_t' undeclared" for number in range(11, 40)),
            "error: command '/usr/bin/gcc' failed with exit code 1",
            "ERROR Backend subprocess exited when trying to invoke build_wheel",
            "cibuildwheel: error: Command ['python', '-m', 'build'] failed with code 1.",
        ],
        "src/x.c:10:5: error: unknown type name 'foo_t'",
    ),
    "the first test that failed, not one that has the word in its name": (
        ["tests/t.py::test_error_paths PASSED", "E   AssertionError: 1 == 2", "FAILED tests/t.py::test_x - 1 == 2"],
        "FAILED tests/t.py::test_x - 1 == 2",
    ),
    "what an earlier step survived does not count": (
        ["conf.c:1:1: error: no such header", "Testing wheel...", "ERROR: No matching distribution found for numpy"],
        "ERROR: No matching distribution found for numpy",
    ),
    "rustc": (
        ["   Compiling a v1", "error[E0432]: unresolved import `x`", "error: could not compile `a`"],
        "error[E0432]: unresolved import `x`",
    ),
    "a backend that gives up": (
        ["Traceback (most recent call last):", "SystemExit: error: nothing to build here"],
        "SystemExit: error: nothing to build here",
    ),
    "nothing": (["all is well"], ""),
}


@pytest.mark.parametrize("case", CASES)
def test_the_line_that_matters(case: str) -> None:
    lines, expected = CASES[case]
    assert find_error_line(["Building wheel...", *lines], _STEP) == expected
