"""TOML from anywhere: whatever is wrong with it is one kind of error, and neither time nor memory runs out."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from typing import Any

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from wheelyard.core import toml

LONG = ".".join("a" * 100_000)
HOSTILE = {
    "a dotted key": f"{LONG} = 1",
    "a table's name": f"[{LONG}]",
    "an array of tables' name": f"[[{LONG}]]",
    "a key in a table": f"x = {{ {LONG} = 1 }}",
    "quoted parts": '"a" . ' * 100_000 + "a = 1",
    "arrays": f"x = {'[' * 100_000}",
    "tables": f"x = {'{a = ' * 100_000}",
    "digits": f"x = {'9' * 5000}",
    "a day": "x = 2026-13-45",
    "nothing but quotes": '"' * 1_000_000,
}
# Whatever grows with the square of these would take gigabytes.
PROGRAM = """
import resource, sys, tomllib
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
from wheelyard.core import toml
try:
    toml.loads(sys.stdin.read())
except tomllib.TOMLDecodeError as error:
    print("refused:", str(error)[:200])
"""


@pytest.mark.parametrize("name", HOSTILE)
def test_what_never_ends_is_refused(name: str) -> None:
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, input=HOSTILE[name], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout[:8]) == (0, "refused:"), done.stderr[-500:]


def test_the_place_of_a_key_without_end_is_told() -> None:
    with pytest.raises(tomllib.TOMLDecodeError, match=r"at line 3, column 1"):
        toml.loads(f"a = 1\n\n{LONG} = 1")


@pytest.mark.parametrize(
    "text",
    [
        ".".join("a" * 100) + " = 1",
        f"x = '{'a b ' * 10_000}'",
        f"x = '{'a' * 1_000_000}'",
        f"{'a' * 1_000_000} = 1",
        "\n".join(f"[a.b{number}]\nc.d = {number}" for number in range(1000)),
        f"x = {'[' * 50}{']' * 50}",
    ],
)
def test_what_people_may_write_is_read(text: str) -> None:
    assert toml.loads(text) == tomllib.loads(text)


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=20) | st.floats(allow_nan=False) | st.dates(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(max_size=8), VALUES, max_size=6))
def test_it_reads_what_the_standard_library_reads(value: dict[str, Any]) -> None:
    text = tomli_w.dumps(value)
    assert toml.loads(text) == tomllib.loads(text)


@given(st.text(alphabet="ab.=[]{}\"' \n#1_-,", max_size=60))
def test_whatever_is_written_it_reads_or_refuses_as_the_standard_library_does(text: str) -> None:
    try:
        wanted = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        with pytest.raises(tomllib.TOMLDecodeError):
            toml.loads(text)
    else:
        assert toml.loads(text) == wanted
