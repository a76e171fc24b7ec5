"""The end of a job: taking up what was kept, uniting verdicts, making way for a wheel of another name."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from support.wheels import WheelSpec
from wheelyard.builder import BuildResult, run_job, store_results
from wheelyard.core.digests import sha256_file
from wheelyard.records.models import Finding, Verdict, WheelVerdict
from wheelyard.records.wheel_records import write_verdict

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DURATIONS = {"Building wheel (cp313)": 1.5}
UNPACKED = "work"  # a folder beside what is held


@pytest.fixture
def held(tmp_path: Path) -> Path:
    """What a build leaves before its checks."""
    wheels = tuple(WheelSpec(python=tag, abi=tag).write(tmp_path / UNPACKED) for tag in ("cp313", "cp314"))
    run_job._store_unchecked(
        tmp_path / "unchecked", BuildResult(wheels, "5 passed", "pytest", ("old-option",)), DURATIONS
    )
    return tmp_path / "unchecked"


def test_what_is_held_is_taken_up(held: Path) -> None:
    found = run_job._load_unchecked(held)
    assert found is not None
    outcome, durations = found
    assert [wheel.parent for wheel in outcome.wheels] == [held, held]
    assert (outcome.test_summary, outcome.test_command, outcome.dropped) == ("5 passed", "pytest", ("old-option",))
    assert durations == DURATIONS
    assert json.loads((held / "unchecked.json").read_text())["schema"] == "wheelyard/unchecked-build"


def edit(**changes: Any) -> Callable[[Path], None]:
    def change(held: Path) -> None:
        file = held / "unchecked.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | changes))

    return change


def first_wheel(held: Path) -> Path:
    return min(held.glob("*.whl"))


def shorten(held: Path) -> None:
    file = held / "unchecked.json"
    file.write_bytes(file.read_bytes()[:-20])


def becomes_folder(held: Path) -> None:
    wheel = first_wheel(held)
    wheel.unlink()
    wheel.mkdir()


def outside(held: Path) -> None:
    name = f"../{UNPACKED}/demo-1.0-cp313-cp313-manylinux_2_39_riscv64.whl"
    edit(wheels={name: sha256_file(held / name)})(held)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "nothing there": lambda held: (held / "unchecked.json").unlink(),
    "cut off": shorten,
    "empty": lambda held: (held / "unchecked.json").write_bytes(b""),
    "zeros, as after a power cut": lambda held: (held / "unchecked.json").write_bytes(bytes(300)),
    "another kind of JSON": lambda held: (held / "unchecked.json").write_text("[]"),
    "no wheels": edit(wheels={}),
    "wheels of another kind": edit(wheels=["a.whl"]),
    "durations of another kind": edit(durations=None),
    "no such hash": edit(wheels={"demo-1.0-cp313-cp313-manylinux_2_39_riscv64.whl": "0" * 64}),
    "no hash at all": edit(wheels={"demo-1.0-cp313-cp313-manylinux_2_39_riscv64.whl": 1}),
    "a later layout": edit(version=2),
    "more than we know": edit(more=1),
    "outside of the folder": outside,
    "a wheel gone": lambda held: first_wheel(held).unlink(),
    "a wheel cut off": lambda held: first_wheel(held).write_bytes(first_wheel(held).read_bytes()[:-1]),
    "a folder for a wheel": becomes_folder,
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_not_whole_is_built_again(held: Path, damage: str) -> None:
    DAMAGE[damage](held)
    assert run_job._load_unchecked(held) is None


def test_holding_replaces_what_was_held(held: Path, tmp_path: Path) -> None:
    wheel = WheelSpec(python="cp315", abi="cp315").write(tmp_path / UNPACKED)
    run_job._store_unchecked(held, BuildResult((wheel,), "", "", ()), {})
    assert [file.name for file in sorted(held.iterdir())] == [wheel.name, "unchecked.json"]


# ---------------------------------------------------------------------- verdicts


def verdict_of(*wheels: str, text: str = "seen", overall: bool = True) -> Verdict:
    finding = Finding(rule="record", ok=True, text=text)
    return Verdict(
        package="demo",
        package_version="1.0",
        wheels=tuple(WheelVerdict(wheel=name, sha256="1" * 64, findings=(finding,)) for name in wheels),
        overall=(Finding(rule="expected-wheels", ok=overall, text="seen"),),
    )


def test_verdicts_of_wheels_that_are_still_here_stay(tmp_path: Path) -> None:
    (tmp_path / "a.whl").touch()
    write_verdict(tmp_path, verdict_of("a.whl", "gone.whl", "b.whl", text="earlier"))
    merged = store_results._with_earlier(tmp_path, verdict_of("b.whl", text="now"))
    assert [(one.wheel, one.findings[0].text) for one in merged.wheels] == [("b.whl", "now"), ("a.whl", "earlier")]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": "wheelyard/verdict", "version": 9}', "\0" * 50])
def test_a_damaged_verdict_gives_way(tmp_path: Path, text: str) -> None:
    (tmp_path / "verdict.json").write_text(text)
    assert store_results._with_earlier(tmp_path, verdict_of("b.whl")) == verdict_of("b.whl")


# -------------------------------------------------------------------- making way


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_another_glibc_floor_replaces_the_wheel_and_its_record(tmp_path: Path) -> None:
    old = WheelSpec(platform="manylinux_2_31_riscv64").write(tmp_path)
    old.with_name(f"{old.name}.json").write_text("{}")
    others = [
        WheelSpec(python="cp314", abi="cp314").write(tmp_path),
        WheelSpec(python="cp314", abi="cp314t").write(tmp_path),
        WheelSpec(python="cp313", abi="abi3").write(tmp_path),
    ]
    store_results._remove_replaced(tmp_path, WheelSpec(platform="manylinux_2_31_riscv64.manylinux_2_39_riscv64").file)
    assert names(tmp_path) == sorted(other.name for other in others)


def test_the_same_name_and_what_is_no_wheel_of_ours_stay(tmp_path: Path) -> None:
    wheel = WheelSpec().write(tmp_path)
    (tmp_path / "notes.whl").touch()
    store_results._remove_replaced(tmp_path, wheel.name)
    assert names(tmp_path) == sorted([wheel.name, "notes.whl"])
