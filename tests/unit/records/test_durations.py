"""Durations: what records say of them, how lines are joined, and what is expected of the next build."""

from __future__ import annotations

import tomllib
from datetime import date
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wheelyard.core.errors import PlanError
from wheelyard.core.tags import Interpreter
from wheelyard.records.durations import DURATIONS, Duration, join, of_record, pace
from wheelyard.records.models import ImageRecord, SourceRecord, TestRecord, WheelRecord

if TYPE_CHECKING:
    from pathlib import Path

CP313, CP314T = Interpreter.parse("cp313"), Interpreter.parse("cp314t")
ENTRIES = st.builds(
    Duration,
    version=st.sampled_from(["1.0", "1.1", "2.0", "2.1", "3.0rc1"]),
    machine=st.sampled_from(["riscv64", "x86_64"]),
    interpreter=st.sampled_from(["", "cp313", "cp314t"]),
    seconds=st.integers(0, 9000).map(float),
    day=st.dates(date(2026, 1, 1), date(2026, 12, 31)),
)


def entry(version: str, interpreter: str, seconds: float, *, machine: str = "riscv64", day: int = 1) -> Duration:
    return Duration(version=version, machine=machine, interpreter=interpreter, seconds=seconds, day=date(2026, 11, day))


def wheel_record(**changes: object) -> WheelRecord:
    values: dict[str, object] = {
        "package": "demo",
        "package_version": "1.0",
        "wheel": "demo-1.0-cp313-cp313-manylinux_2_39_riscv64.whl",
        "sha256": "0" * 64,
        "size": 1,
        "interpreters": ("cp313",),
        "fingerprint": "0" * 64,
        "source": SourceRecord(kind="sdist", name="demo-1.0.tar.gz", sha256="0" * 64),
        "recipe": "0" * 64,
        "image": ImageRecord(kind="official", reference="", digest=""),
        "tools": {},
        "durations": {
            "Starting container": 30.0,
            "Copying project into container": 1.0,
            "Running before_all": 9.0,
            "Building wheel (cp313)": 100.0,
            "Testing wheel (cp313)": 20.0,
            "Building wheel (cp314t)": 50.0,
        },
        "tests": TestRecord(ran=True),
        "verdict": "passed",
        "built_at": "2026-11-24T12:00:00+00:00",
        "machine": "riscv64",
    }
    return WheelRecord.model_validate(values | changes)


def test_a_record_tells_of_each_interpreter_and_of_what_they_share() -> None:
    found = {each.interpreter: each for each in of_record(wheel_record())}
    assert {name: each.seconds for name, each in found.items()} == {"": 10.0, "cp313": 120.0, "cp314t": 50.0}
    assert found["cp313"].day == date(2026, 11, 24)


def test_a_record_that_names_no_machine_is_not_taken_for_a_native_one() -> None:
    known = [*of_record(wheel_record(machine="")), entry("0.9", "cp313", 60)]
    found = pace(known, "1.0")
    assert found is not None
    assert found.seconds(CP313) == 60


def test_a_record_without_durations_tells_nothing() -> None:
    assert of_record(wheel_record(durations={})) == ()
    assert of_record(wheel_record(durations={"Copying project into container": 1.0})) == ()


@given(st.lists(ENTRIES), st.lists(ENTRIES))
def test_neither_order_nor_repetition_counts(one: list[Duration], other: list[Duration]) -> None:
    joined = join([*one, *other])
    assert joined == join([*other, *one, *one])
    assert joined == join([*join(one), *join(other)])


@given(st.lists(ENTRIES))
def test_what_is_written_is_read_back(entries: list[Duration]) -> None:
    table = tomllib.loads(DURATIONS.dump(entries))
    assert tuple(map(Duration.model_validate, table["builds"])) == join(entries)
    assert len(DURATIONS.dump(entries).splitlines()) == 5 + len(join(entries))  # one line each: branches merge by lines


def test_the_same_again_changes_nothing(tmp_path: Path) -> None:
    path = DURATIONS.path(tmp_path, "demo")
    assert DURATIONS.add(path, [entry("1.0", "cp313", 60)])
    assert not DURATIONS.add(path, [entry("1.0", "cp313", 60)])
    assert DURATIONS.add(path, [entry("1.1", "cp313", 70)])
    assert [each.version for each in DURATIONS.read(path)] == ["1.0", "1.1"]
    assert not DURATIONS.add(DURATIONS.path(tmp_path, "other"), [])
    assert not (tmp_path / "other").exists()


def test_two_branches_lines_are_joined_by_reading_them(tmp_path: Path) -> None:
    one, other = DURATIONS.dump([entry("1.0", "cp313", 60)]), DURATIONS.dump([entry("1.0", "cp313", 90, day=2)])
    lines = one.splitlines()
    lines.insert(-1, other.splitlines()[-2])  # as git's union driver does
    path = tmp_path / "durations.toml"
    path.write_text("\n".join(lines), encoding="utf-8")
    assert [each.seconds for each in DURATIONS.read(path)] == [90]


def test_only_the_newest_versions_are_kept() -> None:
    found = join(entry(f"1.{minor}", "cp313", 60) for minor in range(12))
    assert [each.version for each in found] == ["1.9", "1.10", "1.11"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{ version = "one", machine = "riscv64", seconds = 1, day = 2026-11-24 }', "is not a version"),
        ('{ version = "1", machine = "riscv64", seconds = -1, day = 2026-11-24 }', "greater than or equal to 0"),
        ('{ version = "1", machine = "riscv64", seconds = 1, day = 2026-11-24, x = 1 }', "Extra inputs"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "durations.toml"
    path.write_text(DURATIONS.dump([]).replace("]", f"  {line},\n]"), encoding="utf-8")
    with pytest.raises(PlanError) as raised:
        DURATIONS.read(path)
    assert any(f"{path}:5" in detail and said in detail for detail in raised.value.details), raised.value.details


# ---------------------------------------------------------------------- pace


def test_nothing_is_known_of_nothing() -> None:
    assert pace([], "1.0") is None
    assert pace([entry("1.0", "", 5)], "1.0") is None


def test_the_version_itself_says_most_then_the_newest() -> None:
    known = [entry("1.0", "cp313", 60), entry("1.1", "cp313", 70), entry("1.2", "cp313", 80)]
    for version, seconds in (("1.0", 60), ("1.1", 70), ("2.0", 80)):
        found = pace(known, version)
        assert found is not None
        assert found.seconds(CP313) == seconds


def test_the_machine_it_will_run_on_goes_first() -> None:
    emulated = entry("1.0", "cp313", 900, machine="x86_64")
    found = pace([emulated, entry("0.9", "cp313", 60)], "1.0")
    assert found is not None
    assert found.seconds(CP313) == 60
    found = pace([emulated], "1.0")
    assert found is not None
    assert found.seconds(CP313) == 900


def test_an_interpreter_that_is_not_known_takes_as_long_as_others_do() -> None:
    found = pace([entry("1.0", "cp313", 60), entry("1.0", "cp312", 80), entry("1.0", "", 5)], "1.0")
    assert found is not None
    assert (found.seconds(CP314T), found.shared) == (70, 5)


@pytest.mark.parametrize(
    "lie",
    [
        {"built_at": "yesterday"},
        {"built_at": ""},
        {"built_at": "2026-13-45T00:00:00Z"},
        {"machine": "a machine"},
        {"package_version": "9" * 5000},
        {"durations": {"Building (cp313)": -1.0}},
        {"durations": {"Building (cp313)": 1e300}},
        {"durations": {f"Building {number} (cp313)": 86_400.0 for number in range(31)}},
    ],
)
def test_a_record_that_says_what_cannot_be_says_nothing(lie: dict[str, object]) -> None:
    """It may be another machine's; its wheel is published all the same, and that is recorded."""
    known = {"durations": {"Building (cp313)": 60.0}}
    assert len(of_record(wheel_record(**known))) == 1
    assert of_record(wheel_record(**known).model_copy(update=lie)) == ()
