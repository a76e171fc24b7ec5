from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

import tomli_w
from hypothesis import example, given
from hypothesis import strategies as st

from wheelyard.core.toml import key_lines, line_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wheelyard.core.toml import Path

TEXT = """\
# a comment with [brackets] = 1
top = 1

[build]
uses = ["rust",
    "openssl"]           # two lines
"quoted.key" = '''
[not] = "a table"
'''
environment = { A = "1", B = { "c d" = 2 } }
a.b.c = \"\"\"\\
   text \\\"\"\" = 3 \"\"\"\"\"

[[patch]]
file = "a"

[[patch]]
file = "b"
[patch.more]
x = 1
[[patch.deep]]
y = 2
"""


def test_places_of_a_file_with_everything() -> None:
    tomllib.loads(TEXT)
    lines = key_lines(TEXT)
    assert {
        path: lines[path]
        for path in [
            ("top",),
            ("build",),
            ("build", "uses", 0),
            ("build", "uses", 1),
            ("build", "quoted.key"),
            ("build", "environment", "B", "c d"),
            ("build", "a", "b", "c"),
            ("patch", 0, "file"),
            ("patch", 1, "file"),
            ("patch", 1, "more", "x"),
            ("patch", 1, "deep", 0, "y"),
        ]
    } == {
        ("top",): 2,
        ("build",): 4,
        ("build", "uses", 0): 5,
        ("build", "uses", 1): 6,
        ("build", "quoted.key"): 7,
        ("build", "environment", "B", "c d"): 10,
        ("build", "a", "b", "c"): 11,
        ("patch", 0, "file"): 15,
        ("patch", 1, "file"): 18,
        ("patch", 1, "more", "x"): 20,
        ("patch", 1, "deep", 0, "y"): 22,
    }


def test_an_unknown_place_is_that_of_the_table_around_it() -> None:
    lines = key_lines(TEXT)
    assert line_of(lines, ("patch", 1, "why")) == 17
    assert line_of(lines, ("nothing", "here")) == 1


KEYS = st.text(min_size=1, max_size=8)
SCALARS = st.one_of(st.integers(-9, 9), st.booleans(), st.text(max_size=20), st.floats(allow_nan=False), st.dates())
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=12,
)


def paths(value: Any, here: Path = ()) -> Iterator[Path]:
    if here:
        yield here
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from paths(inner, (*here, key))


@given(st.dictionaries(KEYS, VALUES, max_size=4), st.booleans())
def test_every_key_of_any_document_has_a_line_and_no_other_has(table: dict[str, Any], multiline: bool) -> None:
    text = tomli_w.dumps(table, multiline_strings=multiline)
    parsed = tomllib.loads(text)
    lines = key_lines(text)
    assert set(lines) == set(paths(parsed))
    assert all(1 <= line <= text.count("\n") + 1 for line in lines.values())


@given(st.dictionaries(st.from_regex(r"\A[a-z]{4}\Z"), st.integers(), min_size=1, max_size=9))
def test_the_line_is_the_one_that_bears_the_key(table: dict[str, int]) -> None:
    text = "# first\n[t]\n" + tomli_w.dumps(table)
    written = text.split("\n")
    assert all(written[line - 1].startswith(str(path[1])) for path, line in key_lines(text).items() if len(path) == 2)


@given(st.text(alphabet=st.sampled_from("ab.=[]{}\"'#,\\\n\r\t 1é"), max_size=60))
@example('a = "')
@example("[[a]")
@example("a = {b")
@example("a = [}")
@example("a = [\r}")
@example("a = [1,#\n}")
def test_no_text_at_all_breaks_it(text: str) -> None:
    key_lines(text)
