"""Lists of names: three formats, each name once, and all that is wrong with its line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from wheelyard.core.errors import ListError
from wheelyard.watch.name_lists import Entry, read_names

ROOT = Path(__file__).parents[3]


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "names"
    path.write_text(text, encoding="utf-8")
    return path


def test_names_alone_and_names_with_weights(tmp_path: Path) -> None:
    found = read_names(written(tmp_path, "# downloads,\n# of a month\nNumPy\t20\nscipy\n\nnum.py # x\nnumpy\t7\r\n"))
    assert found.source == "downloads, of a month"
    assert list(found.entries()) == [Entry(0, "numpy", 20), Entry(1, "scipy", None), Entry(2, "num-py", None)]
    assert found.names == 3


def test_the_json_of_top_pypi_packages(tmp_path: Path) -> None:
    # github.com/hugovk/top-pypi-packages, README.md, "Data"
    rows = [{"download_count": 9, "project": "boto3"}, {"download_count": 5, "project": "PyYAML"}]
    found = read_names(written(tmp_path, json.dumps({"last_update": "2026-08-01 07:34:42", "rows": rows})))
    assert list(found.entries()) == [Entry(0, "boto3", 9), Entry(1, "pyyaml", 5)]
    assert found.source == "names, 2026-08-01 07:34:42"


@pytest.mark.parametrize(
    ("text", "details"),
    [
        ("ok\nno name\n-x\t1\n\x1b[1m\n", ["2: 'no name'", "3: '-x'", "4: "]),
        ("a\tmany\nb\t-1\nc\t1.5\n", ["1: 'many'", "2: '-1'", "3: '1.5'"]),
        (
            '{"rows": [{"project": "a"}, {"project": 3}, [], {"project": "b", "download_count": true}]}',
            ["rows[1]: '3'", "rows[2]: 'None'", "rows[3]: 'True'"],
        ),
    ],
)
def test_all_that_is_wrong_is_told_with_its_line(tmp_path: Path, text: str, details: list[str]) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ListError) as caught:
        read_names(path)
    assert len(caught.value.details) == len(details)
    for told, expected in zip(caught.value.details, details, strict=True):
        assert told.startswith(f"{path}:{expected}")
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "has no names"),
        ("# nothing\n", "has no names"),
        ("{", "cannot be read"),
        ('{"rows": 3}', "it has no rows"),
        ("[" * 20_000, "problem"),
        ('{"rows": ' + "[" * 200_000, "cannot be read"),
        (f"a\t{'9' * 5000}", "is not a weight"),
    ],
)
def test_what_is_no_list_is_refused(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(ListError) as caught:
        read_names(written(tmp_path, text))
    assert why in str(caught.value)


def test_a_file_that_is_not_there_or_none(tmp_path: Path) -> None:
    for path in (tmp_path / "gone", tmp_path, Path("/dev/zero")):
        with pytest.raises(ListError, match="cannot be read"):
            read_names(path)


def test_a_list_of_mistakes_is_cut(tmp_path: Path) -> None:
    with pytest.raises(ListError) as caught:
        read_names(written(tmp_path, "no name\n" * 5000))
    assert len(caught.value.details) == 100


def test_the_list_that_comes_with_the_project_says_where_it_is_from() -> None:
    found = read_names(ROOT / "ci/top-packages.tsv")
    assert found.names == 80
    assert "RISE python-wheels' own package list" in found.source
    assert "weight: versions published" in found.source
    weights = [entry.weight or 0 for entry in found.entries()]
    assert weights == sorted(weights, reverse=True)
