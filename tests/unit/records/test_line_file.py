"""The one line format of records: union merges are read and tidied, problems have lines, every kind has the laws."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wheelyard.core.errors import RegistryContentError
from wheelyard.records.copyleft_sources import SOURCES, SourceFile
from wheelyard.records.durations import DURATIONS, Duration
from wheelyard.records.history import HISTORY, HistoryEntry
from wheelyard.records.merge import NAMES, merge
from wheelyard.records.releases import RELEASES, ReleasedFile

if TYPE_CHECKING:
    from wheelyard.records.line_file import LineFile

SHA = "0123456789abcdef" * 4
DAY = date(2026, 11, 1)


def source(number: int) -> SourceFile:
    file = f"gcc_{number}.dsc"
    return SourceFile(name="gcc", version="14", where="gitlab", file=file, sha256=SHA, size=number, url=f"gcc/{file}")


def release(number: int) -> ReleasedFile:
    file = f"demo-1.{number}-cp313-cp313-manylinux_2_39_riscv64.whl"
    return ReleasedFile(file=file, where="gitlab", sha256=SHA, size=number, tags=("cp313-cp313-x",))


def build(number: int) -> Duration:
    return Duration(version="1.0", machine="riscv64", interpreter=f"cp3{number + 10}", seconds=number, day=DAY)


def wheel(number: int) -> HistoryEntry:
    return HistoryEntry(version=f"1.{number}", where="upstream", wheel="cp313-cp313", first=DAY)


KINDS = [
    pytest.param(SOURCES, source, id="sources"),
    pytest.param(RELEASES, release, id="releases"),
    pytest.param(DURATIONS, build, id="durations"),
    pytest.param(HISTORY, wheel, id="history"),
]
NUMBERS = st.frozensets(st.integers(0, 9))


def test_every_kind_merges_in_git_and_here() -> None:
    attributes = (Path(__file__).parents[3] / ".gitattributes").read_text(encoding="utf-8").splitlines()
    assert sorted(line for line in attributes if not line.startswith("#")) == sorted(
        f"packages/*/{name} merge=union" for name in NAMES
    )


@pytest.mark.parametrize(("kind", "entry"), KINDS)
@given(old=NUMBERS, one=NUMBERS, two=NUMBERS)
def test_a_change_of_either_side_stays(
    kind: LineFile[Any], entry: Any, old: frozenset[int], one: frozenset[int], two: frozenset[int]
) -> None:
    def text(numbers: frozenset[int]) -> bytes:
        return kind.dump(map(entry, numbers)).encode()

    path, merged = f"packages/demo/{kind.name}.toml", text((one & two) | (one - old) | (two - old))
    assert merge(path, text(old), text(one), text(two)) == merged
    assert merge(path, text(old), text(two), text(one)) == merged


@pytest.mark.parametrize(("kind", "entry"), KINDS)
def test_lines_of_a_union_merge_count_once_and_the_next_write_tidies_them(
    tmp_path: Path, kind: LineFile[Any], entry: Any
) -> None:
    path, entries = kind.path(tmp_path, "demo"), tuple(map(entry, (1, 2)))
    *head, one, two, end = kind.dump(entries).splitlines()
    path.parent.mkdir()
    path.write_text("\n".join([*head, two, one, two, end, ""]), encoding="utf-8")
    assert kind.read(path) == entries
    assert kind.add(path, [])
    assert path.read_text(encoding="utf-8") == kind.dump(entries)
    assert not kind.add(path, [])


@pytest.mark.parametrize(("kind", "entry"), KINDS)
def test_each_broken_line_is_named(tmp_path: Path, kind: LineFile[Any], entry: Any) -> None:
    path = kind.path(tmp_path, "demo")
    *head, line, end = kind.dump([entry(1)]).splitlines()
    path.parent.mkdir()
    path.write_text("\n".join([*head, "  7,", line, line.replace(" }", ", more = 1 }"), end, ""]), encoding="utf-8")
    with pytest.raises(kind.error) as caught:
        kind.add(path, [entry(2)])
    first = len(head) + 1
    assert [detail.partition(": ")[0] for detail in caught.value.details] == [f"{path}:{first}", f"{path}:{first + 2}"]
    assert "more: Extra inputs are not permitted" in caught.value.details[1]
    assert "7" in path.read_text(encoding="utf-8")  # a broken file is not overwritten


def test_a_side_that_is_not_text_names_the_record() -> None:
    with pytest.raises(RegistryContentError, match=r"packages/demo/sources\.toml: is not UTF-8"):
        merge("packages/demo/sources.toml", None, SOURCES.dump([source(1)]).encode(), b"\xff")
