"""What jobs brought is taken whole, or refused with a reason; nothing that lies gets into dist/."""

from __future__ import annotations

import errno
import json
import os
import shutil
import threading
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

import pytest

from support.built_wheels import BuiltWheels, record_of, specs, verdict_of
from support.project import make_project
from wheelyard.ci.collect import collect
from wheelyard.ci.outcome import Failure, WheelOutcome, outcomes, write_outcome
from wheelyard.core.digests import sha256_file
from wheelyard.core.errors import DiskError
from wheelyard.io import files
from wheelyard.records.wheel_records import read_record, read_verdict, releasable, write_record, write_verdict

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from wheelyard.project.config import Project

WHEELS = specs(2)  # demo 1.0 for cp312 and cp313


def outcome(python: str = "cp312", state: str = "built", ended: str = "2026-11-24T01:00:00+00:00") -> WheelOutcome:
    failure = None if state in {"built", "reused"} else Failure(code=40, what="it broke", line="error: no such thing")
    return WheelOutcome.model_validate(
        {
            "job": f"demo 1.0 {python}",
            "key": "6" * 64,
            "package": "demo",
            "package_version": "1.0",
            "interpreters": (python,),
            "state": state,
            "failure": failure,
            "seconds": 61.0,
            "ended": ended,
        }
    )


@pytest.fixture
def project(tmp_path: Path) -> Project:
    root = tmp_path / "here"
    root.mkdir()
    return make_project(root, {"demo/recipe.toml": ""})


@pytest.fixture
def brought(tmp_path: Path) -> list[Path]:
    """Two jobs of one version, each with a verdict of its own."""
    folders = []
    for number, spec in enumerate(WHEELS):
        stock = BuiltWheels(tmp_path / f"machine{number}")
        stock.add(spec)
        write_outcome(stock.root / "dist/demo/1.0", outcome(spec.python))
        folders.append(tmp_path / "brought" / f"artifact{number}")
        shutil.copytree(stock.root / "dist/demo/1.0", folders[-1])
    return folders


def test_jobs_of_one_version_are_joined_and_can_be_published(project: Project, brought: list[Path]) -> None:
    found = collect(project, brought)
    folder = project.dist / "demo/1.0"
    assert found.refused == ()
    assert [wheel.name for wheel, _ in releasable(folder)] == sorted(spec.file for spec in WHEELS)
    assert {one.wheel for one in read_verdict(folder).wheels} == {spec.file for spec in WHEELS}
    assert [each.interpreters for each in outcomes(folder)] == [("cp312",), ("cp313",)]


def test_again_it_changes_nothing(project: Project, brought: list[Path]) -> None:
    collect(project, brought)
    before = {
        path: (path.stat().st_mtime_ns, path.read_bytes()) for path in sorted(project.dist.rglob("*")) if path.is_file()
    }
    found = collect(project, brought)
    assert found.new_files == ()
    assert len(found.present_files) == 4
    assert {
        path: (path.stat().st_mtime_ns, path.read_bytes()) for path in sorted(project.dist.rglob("*")) if path.is_file()
    } == before


@pytest.mark.parametrize("step", ["wheel", "verdict"])
def test_what_was_broken_off_is_finished(project: Project, brought: list[Path], step: str) -> None:
    folder = project.dist / "demo/1.0"
    folder.mkdir(parents=True)
    shutil.copy(brought[0] / WHEELS[0].file, folder)
    if step == "verdict":
        shutil.copy(brought[0] / "verdict.json", folder)
    assert collect(project, brought).refused == ()
    assert len(releasable(folder)) == 2


def _rerecord(folder: Path, **changes: object) -> None:
    wheel = next(folder.glob("*.whl"))
    write_record(folder, read_record(wheel).model_copy(update=changes))


GRAFT = '"grafts": [{"file": "a.libs/b.so", "name": "b.so", "source": "%s", "kind": "debian"}]'


def _rewrite(folder: Path, old: str, new: str) -> None:
    record = next(folder.glob("*.whl.json"))
    text = record.read_text()
    assert old in text
    record.write_text(text.replace(old, new))


def _lie_in_the_wheel(folder: Path) -> None:
    wheel = next(folder.glob("*.whl"))
    wheel.write_bytes(wheel.read_bytes() + b"more")


def _other_bytes(folder: Path) -> None:
    """The same size, another content."""
    wheel = next(folder.glob("*.whl"))
    data = bytearray(wheel.read_bytes())
    data[60] ^= 1
    wheel.write_bytes(bytes(data))


def _link(folder: Path) -> None:
    wheel = next(folder.glob("*.whl"))
    wheel.rename(folder.parent / "elsewhere.bin")
    wheel.symlink_to(folder.parent / "elsewhere.bin")


def _linked_record(folder: Path) -> None:
    record = next(folder.glob("*.whl.json"))
    record.rename(folder.parent / "record.bin")
    record.symlink_to(folder.parent / "record.bin")


def _rename(folder: Path) -> None:
    wheel = next(folder.glob("*.whl"))
    name = wheel.name.replace("cp312-cp312", "cp314-cp314")
    next(folder.glob("*.whl.json")).rename(folder / f"{name}.json")
    wheel.rename(folder / name)


def _huge_record(folder: Path) -> None:
    record = next(folder.glob("*.whl.json"))
    os.truncate(record, 5 << 20)


def _failed(folder: Path) -> None:
    write_verdict(folder, verdict_of("demo", "1.0", [next(folder.glob("*.whl"))], ok=False))


def _failed_overall(folder: Path) -> None:
    verdict = read_verdict(folder)
    bad = verdict.overall[0].model_copy(update={"ok": False})
    write_verdict(folder, verdict.model_copy(update={"overall": (bad,)}))


def _another_project(folder: Path) -> None:
    """All of its papers are in order, and say that it is ours."""
    for path in list(folder.iterdir()):
        path.unlink()
    spec = WHEELS[0].but(name="evil")
    wheel = spec.write(folder)
    write_record(folder, record_of(wheel, spec).model_copy(update={"package": "demo"}))
    write_verdict(folder, verdict_of("demo", "1.0", [wheel]))


def _verdict_elsewhere(folder: Path) -> None:
    write_verdict(folder, verdict_of("other", "1.0", [next(folder.glob("*.whl"))]))


def _pipe(folder: Path) -> None:
    wheel = next(folder.glob("*.whl"))
    wheel.unlink()
    os.mkfifo(wheel)


LIES: dict[str, tuple[Callable[[Path], object], str]] = {
    "the wheel is longer": (_lie_in_the_wheel, "does not match its record"),
    "one bit differs": (_other_bytes, "does not match its record"),
    "the wheel is a link": (_link, "is not a file"),
    "the wheel is a pipe": (_pipe, "is not a file"),
    "the record is a link": (_linked_record, "comes without"),
    "the record is missing": (lambda folder: next(folder.glob("*.whl.json")).unlink(), "comes without"),
    "the record is huge": (_huge_record, "bytes"),
    "the record is of another wheel": (_rename, "the record of another"),
    "the record is no JSON": (lambda folder: next(folder.glob("*.whl.json")).write_text("{"), "is not JSON"),
    "the verdict is missing": (lambda folder: (folder / "verdict.json").unlink(), "comes without verdict.json"),
    "the verdict is bad": (_failed, "has not passed"),
    "the verdict is on something else": (_verdict_elsewhere, "verdict on another"),
    "the whole has not passed": (_failed_overall, "has not passed"),
    "the wheel is another project's": (_another_project, "is a wheel of evil"),
    "the wheel is said to be huge": (
        lambda folder: _rerecord(folder, size=1 << 40),
        "more than the site configuration",
    ),
    "the record says that it failed": (lambda folder: _rerecord(folder, verdict="failed"), "has not passed"),
    "the record nests without end": (
        lambda folder: next(folder.glob("*.whl.json")).write_text("[" * 100_000),
        "is not JSON",
    ),
    "the record holds half a character": (lambda folder: _rewrite(folder, '"sdist"', '"\\ud800"'), "is not JSON"),
    "the record holds what is no number": (lambda folder: _rewrite(folder, "1.5", "NaN"), "is not a valid"),
    "a version of thousands of digits": (
        lambda folder: _rerecord(folder, package_version="9" * 5000),
        "a version that is written",
    ),
    "a library from an option": (lambda folder: _rewrite(folder, '"grafts": null', GRAFT % "-ox=y"), "is not a valid"),
    "a library from a path": (lambda folder: _rewrite(folder, '"grafts": null', GRAFT % "../../x"), "is not a valid"),
    "a library of two lines": (lambda folder: _rewrite(folder, '"grafts": null', GRAFT % "x\\ny"), "is not a valid"),
    "a suite that is an option": (lambda folder: _rewrite(folder, '"suite": ""', '"suite": "--x"'), "is not a valid"),
    "an image that is an option": (
        lambda folder: _rewrite(folder, '"reference": "official"', '"reference": "--x"'),
        "is not a valid",
    ),
    "no recipe": (lambda folder: _rerecord(folder, package="other"), "no recipe here"),
    "a path for a package": (lambda folder: _rerecord(folder, package="../../demo"), "no recipe here"),
    "a path for a version": (
        lambda folder: _rerecord(folder, package_version="../../1.0"),
        "a version that is written",
    ),
    "a version written otherwise": (
        lambda folder: _rerecord(folder, package_version="1.0.0"),
        "record of another|is of a v|verdict on",
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_what_lies_is_refused_and_the_rest_is_taken(project: Project, brought: list[Path], lie: str) -> None:
    change, said = LIES[lie]
    change(brought[0])
    found = collect(project, brought)
    assert len([each for each in found.refused if any(word in each for word in said.split("|"))]) == 1, found.refused
    assert [path.name for path in project.dist.rglob("*.whl")] == [WHEELS[1].file]
    assert len(releasable(project.dist / "demo/1.0")) == 1
    assert not [
        path for path in project.root.parent.iterdir() if path.name not in {"here", "brought", "machine0", "machine1"}
    ]


def test_other_bytes_under_the_same_name_are_refused(project: Project, brought: list[Path], tmp_path: Path) -> None:
    collect(project, brought)
    other = BuiltWheels(tmp_path / "other")
    (wheel,) = other.add(WHEELS[0], salt=b"another build")
    before = sha256_file(project.dist / "demo/1.0" / wheel.name)
    found = collect(project, [other.root / "dist"])
    assert "other bytes" in found.refused[0]
    assert sha256_file(project.dist / "demo/1.0" / wheel.name) == before


def test_a_folder_that_is_a_link_is_not_entered(project: Project, brought: list[Path], tmp_path: Path) -> None:
    (tmp_path / "links").mkdir()
    (tmp_path / "links/artifact").symlink_to(brought[0])
    assert collect(project, [tmp_path / "links"]).new_files == ()


@pytest.mark.parametrize(("first", "second", "stays"), [("failed", "built", "built"), ("built", "failed", "failed")])
def test_of_two_tries_the_later_one_counts(
    project: Project, tmp_path: Path, first: str, second: str, stays: str
) -> None:
    tries = [outcome(state=first), outcome(state=second, ended="2026-11-24T02:00:00+00:00")]
    for order in (tries, tries[::-1]):
        for number, each in enumerate(order):
            folder = tmp_path / f"try{number}"
            folder.mkdir(exist_ok=True)
            write_outcome(folder, each)
        collect(project, [tmp_path / "try0", tmp_path / "try1"])
        assert [each.state for each in outcomes(project.dist / "demo/1.0")] == [stays]


def test_of_two_that_gather_at_once_the_later_outcome_stays(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that brings the older outcome has looked, and is about to write, when the other one comes."""
    folders = []
    for number, ended in enumerate(("2026-11-24T01:00:00+00:00", "2026-11-24T02:00:00+00:00")):
        folders.append(tmp_path / f"try{number}")
        folders[-1].mkdir()
        write_outcome(folders[-1], outcome(state="failed" if number else "built", ended=ended))
    looked, pool, write = threading.Event(), ThreadPoolExecutor(1), files.write_json
    later: list[Future[object]] = []

    def slowly(path: Path, value: object) -> None:
        if not looked.is_set():
            looked.set()
            later.append(pool.submit(collect, project, folders[1:]))
            wait(later, timeout=1)
        write(path, value)

    monkeypatch.setattr(files, "write_json", slowly)
    collect(project, folders[:1])
    wait(later)
    assert [each.state for each in outcomes(project.dist / "demo/1.0")] == ["failed"]


def test_a_full_disk_ends_it_as_what_it_is(
    project: Project, brought: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        with files.disk_errors(project.dist):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "copy_whole", full)
    with pytest.raises(DiskError, match="no space"):
        collect(project, brought)


@pytest.mark.parametrize("ended", ["9999", "zzz", "2099-01-01T00:00:00+00:00", "2026-13-35T00:00:00+00:00"])
def test_an_outcome_of_no_time_or_to_come_is_refused(project: Project, tmp_path: Path, ended: str) -> None:
    """Of two tries the later one counts: none may be later than now."""
    folder = tmp_path / "brought"
    folder.mkdir()
    write_outcome(folder, outcome())
    path = folder / "outcome-cp312.json"
    path.write_text(path.read_text().replace("2026-11-24T01:00:00+00:00", ended))
    assert len(collect(project, [folder]).refused) == 1
    assert list(outcomes(project.dist / "demo/1.0")) == []


def test_an_outcome_that_is_none_is_refused(project: Project, tmp_path: Path) -> None:
    folder = tmp_path / "brought"
    folder.mkdir()
    (folder / "outcome-cp312.json").write_text(json.dumps({"schema": "x"}))
    write_outcome(folder, outcome("cp313"))
    (folder / "outcome-cp313.json").rename(folder / "outcome-cp314.json")
    found = collect(project, [folder])
    assert len(found.refused) == 2
    assert not list(project.dist.rglob("*"))


def test_a_wheel_of_a_package_that_is_spelt_otherwise_is_taken(project: Project, tmp_path: Path) -> None:
    """The wheel's own name is upstream's business; the record tells whose it is."""
    stock = BuiltWheels(tmp_path / "machine")
    spec = WHEELS[0].but(name="Demo")
    (stock.root / "dist/demo/1.0").mkdir(parents=True)
    wheel = spec.write(stock.root / "dist/demo/1.0")
    write_record(wheel.parent, record_of(wheel, spec).model_copy(update={"package": "demo"}))
    write_verdict(wheel.parent, verdict_of("demo", "1.0", [wheel]))
    assert collect(project, [stock.root]).new_files == (wheel.name,)
