"""What the smoke test's program reports, and what cannot pass for a report."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from wheelyard.core.tags import Interpreter
from wheelyard.registries.pip_smoke_test import Tried, Wanted, try_out

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from wheelyard.io.run import Completed

WANTED = tuple(Wanted(name, "1.0", frozenset({"1" * 64}), None) for name in ("one", "two"))


def report(name: str, **changes: object) -> str:
    told = {"name": name, "step": "import", "ok": True, "text": "2 compiled modules loaded", "sha256": "1" * 64}
    return json.dumps(told | changes)


def tried(tmp_path: Path, *lines: str) -> dict[str, Tried]:
    """Return what is made of lines that a container prints; MARK stands for the program's mark, which a wheel finds."""

    def run_in(argv: Sequence[str], *, log_file: Path, **_: Any) -> Completed:
        log_file.write_text("".join(f"{line.replace('MARK', argv[3])}\n" for line in lines))
        return subprocess.CompletedProcess(argv, 0)  # type: ignore[return-value]

    found = try_out(WANTED, Interpreter.parse("cp313"), run_in, index="https://x", log_file=tmp_path / "log")  # type: ignore[arg-type]
    return {each.name: each for each in found}


def test_each_has_its_report(tmp_path: Path) -> None:
    found = tried(tmp_path, "import one", f"MARK{report('one')}", f"MARK{report('two', ok=False, text='no')}")
    assert found["one"] == Tried("one", "1.0", "ok", "2 compiled modules loaded")
    assert found["two"] == Tried("two", "1.0", "import", "no")


@pytest.mark.parametrize(
    "line",
    [
        "MARK",
        "MARK{",
        "MARK[]",
        "MARK" + "[" * 100_000,
        "MARK" + report("one", text=5),
        "MARK" + report("one", step="sleep"),
        "MARK" + report("one", more="x"),
        'MARK{"name": "one"}',
        report("one"),
    ],
)
def test_what_is_no_report_passes_for_none(tmp_path: Path, line: str) -> None:
    found = tried(tmp_path, line, f"MARK{report('two')}")
    assert (found["one"].state, found["two"].state) == ("lost", "ok")


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (1, 2, 0)])
def test_a_wheel_that_speaks_for_another_is_found_out(tmp_path: Path, order: tuple[int, ...]) -> None:
    """It has read the program's mark, and says that the other one is well."""
    lines = [f"MARK{report('two')}", f"MARK{report('one')}", f"MARK{report('two', step='install', ok=False)}"]
    found = tried(tmp_path, *(lines[number] for number in order))
    assert found["two"].state == "lost"
    assert "lying" in found["two"].text
    assert found["one"].state == "ok"
