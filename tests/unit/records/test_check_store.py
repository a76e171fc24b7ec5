"""Verdicts and records on disk: written whole, read with suspicion, found again by what they were made of."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from support.schemas import schema
from support.wheels import WheelSpec
from wheelyard.cli.docs import schemas
from wheelyard.core.digests import sha256_file
from wheelyard.core.errors import CheckError, PublishError
from wheelyard.records.models import Finding, ImageRecord, SourceRecord, TestRecord, Verdict, WheelRecord, WheelVerdict
from wheelyard.records.wheel_records import (
    find_by_fingerprint,
    read_record,
    read_verdict,
    releasable,
    wheel_record_path,
    write_record,
    write_verdict,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

INPUTS = "1" * 64


def record_of(wheel: Path, **changes: Any) -> WheelRecord:
    made = WheelRecord(
        package="demo",
        package_version="1.0",
        wheel=wheel.name,
        sha256=sha256_file(wheel),
        size=wheel.stat().st_size,
        interpreters=("cp313",),
        fingerprint=INPUTS,
        source=SourceRecord(kind="sdist", name="demo-1.0.tar.gz", sha256="2" * 64),
        recipe="3" * 64,
        image=ImageRecord(kind="local", reference="local", digest="sha256:4"),
        tools={"cibuildwheel": "4.3.3"},
        durations={"build": 1.5},
        tests=TestRecord(ran=False),
        verdict="passed",
        built_at="2026-11-22T10:00:00Z",
    )
    return made.model_copy(update=changes)


def verdict_of(*wheels: Path, ok: bool = True, overall: bool = True) -> Verdict:
    return Verdict(
        package="demo",
        package_version="1.0",
        wheels=tuple(
            WheelVerdict(
                wheel=wheel.name, sha256=sha256_file(wheel), findings=(Finding(rule="record", ok=ok, text="seen"),)
            )
            for wheel in wheels
        ),
        overall=(Finding(rule="expected-wheels", ok=overall, text="seen"),),
    )


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    """A folder of results with two passing wheels."""
    wheels = [WheelSpec(python=python, abi=python).write(tmp_path) for python in ("cp313", "cp314")]
    for wheel, inputs in zip(wheels, (INPUTS, "5" * 64), strict=True):
        write_record(tmp_path, record_of(wheel, fingerprint=inputs))
    write_verdict(tmp_path, verdict_of(*wheels))
    return tmp_path


def wheels_in(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.whl"))


def test_what_was_written_is_read(dist: Path) -> None:
    wheel = wheels_in(dist)[0]
    assert wheel_record_path(wheel).name == f"{wheel.name}.json"
    assert read_record(wheel) == record_of(wheel)
    assert read_verdict(dist) == verdict_of(*wheels_in(dist))
    text = json.loads(wheel_record_path(wheel).read_text())
    assert (text["schema"], text["version"]) == ("wheelyard/wheel", 1)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda value: value | {"version": 2}, "has version 2 of its layout; this wheelyard reads 1"),
        (lambda value: value | {"schema": "other/wheel"}, "is not a wheelyard/wheel file"),
        (lambda _: [], "is not a wheelyard/wheel file"),
        (lambda value: value | {"sha256": "short", "surprise": 1}, "is not a valid wheelyard/wheel file"),
    ],
)
def test_what_is_not_known_is_refused(dist: Path, change: Callable[[Any], Any], said: str) -> None:
    path = wheel_record_path(wheels_in(dist)[0])
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    with pytest.raises(CheckError, match=said) as caught:
        read_record(wheels_in(dist)[0])
    assert str(path) in str(caught.value)
    assert "fix:" in str(caught.value)


def test_what_is_missing_or_torn_is_told(tmp_path: Path) -> None:
    with pytest.raises(CheckError, match="does not exist"):
        read_verdict(tmp_path)
    (tmp_path / "verdict.json").write_text('{"schema": "wheely')
    with pytest.raises(CheckError, match="is not JSON"):
        read_verdict(tmp_path)


def test_a_wheel_is_found_by_its_inputs(dist: Path) -> None:
    found = find_by_fingerprint(dist, INPUTS)
    assert found is not None
    assert found.wheel == wheels_in(dist)[0].name
    assert find_by_fingerprint(dist, "6" * 64) is None
    assert find_by_fingerprint(dist / "nowhere", INPUTS) is None


def test_a_wheel_is_not_found_when_it_cannot_be_relied_on(dist: Path) -> None:
    wheel = wheels_in(dist)[0]
    good = wheel.read_bytes()
    wheel.write_bytes(good[:-1] + b"x")
    assert find_by_fingerprint(dist, INPUTS) is None
    wheel.unlink()
    assert find_by_fingerprint(dist, INPUTS) is None
    wheel.write_bytes(good)
    assert find_by_fingerprint(dist, INPUTS) is not None
    write_record(dist, record_of(wheel, verdict="failed"))
    assert find_by_fingerprint(dist, INPUTS) is None
    wheel_record_path(wheel).write_text(f"torn {INPUTS}")
    assert find_by_fingerprint(dist, INPUTS) is None


def test_a_record_that_names_another_file_is_not_followed(dist: Path, tmp_path: Path) -> None:
    wheel = wheels_in(dist)[0]
    record = record_of(wheel).model_dump(mode="json", by_alias=True) | {"wheel": f"../{tmp_path.name}/{wheel.name}"}
    wheel_record_path(wheel).write_text(json.dumps(record))
    assert find_by_fingerprint(dist, INPUTS) is None


def test_passing_wheels_may_be_published(dist: Path) -> None:
    assert [(path.name, record.wheel) for path, record in releasable(dist)] == [
        (wheel.name, wheel.name) for wheel in wheels_in(dist)
    ]


def test_what_may_not_be_published_is_told_at_once(dist: Path) -> None:
    first, second = wheels_in(dist)
    third = WheelSpec(python="cp315", abi="cp315").write(dist)
    write_verdict(dist, verdict_of(first, second, ok=False, overall=False))
    WheelSpec(python="cp314", abi="cp314").write(dist, salt=b"changed")
    wheel_record_path(first).unlink()
    with pytest.raises(PublishError) as caught:
        releasable(dist)
    text = str(caught.value)
    for said in (
        "expected-wheels: seen",
        f"{first.name}: record: seen",
        f"{first.name}: its record does not exist",
        f"{second.name}: was changed after its verdict",
        f"{second.name}: its record is of another file",
        f"{third.name}: has no verdict",
    ):
        assert said in text


def test_no_verdict_no_wheels_no_record_no_publishing(dist: Path, tmp_path: Path) -> None:
    with pytest.raises(PublishError, match="the folder has no wheel"):
        releasable(tmp_path / "empty")
    gone = wheels_in(dist)[1]
    gone.unlink()
    with pytest.raises(PublishError, match="is in the verdict, but not in the folder"):
        releasable(dist)
    (dist / "verdict.json").unlink()
    with pytest.raises(PublishError, match="the verdict does not exist"):
        releasable(dist)


def test_a_failed_record_is_not_published(dist: Path) -> None:
    wheel = wheels_in(dist)[0]
    write_record(dist, record_of(wheel, verdict="failed"))
    with pytest.raises(PublishError, match="may not be published") as caught:
        releasable(dist)
    assert "its record has the verdict 'failed'" in str(caught.value)


@pytest.mark.parametrize("stem", ["tokens", "verdict", "wheel"])
def test_published_schemas_are_current(stem: str) -> None:
    """The fix is: ``wheelyard docs`` (``nox -s docs``)."""
    assert schema(stem) == schemas()[stem]
