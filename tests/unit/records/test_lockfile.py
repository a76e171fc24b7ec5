from __future__ import annotations

import multiprocessing
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from wheelyard.core.errors import PlanError
from wheelyard.records.lockfile import dump, find, newest, pin, read_lock, write_lock
from wheelyard.records.models import Lock, LockedVersion

if TYPE_CHECKING:
    from pathlib import Path

SHA = "0123456789abcdef" * 4
VERSIONS = st.from_regex(r"\A[1-9]\.(0|[1-9][0-9]?)(rc[1-9])?\Z")
PAIRS = st.sampled_from(["cp313-cp313", "cp314-cp314t", "cp38-abi3", "py3-none"])
ENTRIES = st.builds(
    LockedVersion,
    version=VERSIONS,
    file=st.just("demo-1.0.tar.gz"),
    size=st.integers(1, 9**9),
    sha256=st.just(SHA),
    requires_python=st.sampled_from(["", ">=3.9", "!=3.10.*,>=3.8"]),
    wheels=st.lists(PAIRS, unique=True).map(tuple),
    reference=st.sampled_from(["", "aarch64"]),
)


@pytest.fixture(autouse=True)
def private_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHEELYARD_CACHE", str(tmp_path / "cache"))


def entry(version: str, **more: str) -> LockedVersion:
    return LockedVersion(version=version, file=f"demo-{version}.tar.gz", sha256=SHA, **more)


def test_a_lock_reads_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "packages" / "demo" / "lock.toml"
    pinned = LockedVersion(
        version="1.0",
        file="demo-1.0.tar.gz",
        size=10,
        sha256=SHA,
        requires_python=">=3.9",
        wheels=("cp313-cp313", "cp314-cp314t"),
        reference="aarch64",
    )
    assert pin(path, pinned) == pinned
    assert path.read_text() == (
        "# Written by wheelyard: what each version is pinned to. To pin one anew, remove its entry.\n"
        'schema = "wheelyard/lock"\n'
        "layout = 1\n"
        "\n"
        "[[version]]\n"
        'version = "1.0"\n'
        'file = "demo-1.0.tar.gz"\n'
        "size = 10\n"
        f'sha256 = "{SHA}"\n'
        'requires-python = ">=3.9"\n'
        "wheels = [\n"
        '    "cp313-cp313",\n'
        '    "cp314-cp314t",\n'
        "]\n"
        'reference = "aarch64"\n'
    )
    assert read_lock(path) == Lock(versions=(pinned,))


@given(st.lists(ENTRIES, unique_by=lambda item: Version(item.version), max_size=4))
def test_any_lock_survives_being_written_in_any_order(
    tmp_path_factory: pytest.TempPathFactory, items: list[LockedVersion]
) -> None:
    path = tmp_path_factory.mktemp("lock") / "lock.toml"
    write_lock(path, Lock(versions=tuple(items)))
    ordered = tuple(sorted(items, key=lambda item: Version(item.version), reverse=True))
    assert read_lock(path).versions == ordered
    assert dump(Lock(versions=ordered)) == path.read_text()


def test_pinning_again_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "lock.toml"
    pin(path, entry("1.0"))
    before = path.stat().st_mtime_ns, path.stat().st_ino
    other = LockedVersion(version="1.0.0", commit="a" * 40, tag="v1.0.0")
    assert pin(path, other) == entry("1.0")
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == before
    assert pin(path, other, replace=True) == other
    assert read_lock(path).versions == (other,)


def test_the_newest_is_final_unless_there_are_only_prereleases() -> None:
    assert newest(Lock()) is None
    found = newest(Lock(versions=(entry("1.9"), entry("2.0rc1"), entry("1.10"))))
    assert found is not None
    assert found.version == "1.10"
    only = newest(Lock(versions=(entry("2.0a1"), entry("2.0rc1"))))
    assert only is not None
    assert only.version == "2.0rc1"


def test_versions_are_compared_as_versions() -> None:
    lock = Lock(versions=(entry("1.0"),))
    assert find(lock, "1.0.0") == entry("1.0")
    assert find(lock, "1.0.1") is None


def _pin_many(path: Path, first: int) -> None:
    for number in range(first, first + 20, 2):
        pin(path, entry(f"1.{number}"))


def test_runs_at_once_do_not_lose_each_others_pins(tmp_path: Path) -> None:
    path = tmp_path / "lock.toml"
    context = multiprocessing.get_context("spawn")
    others = [context.Process(target=_pin_many, args=(path, first)) for first in (0, 1)]
    for process in others:
        process.start()
    for process in others:
        process.join()
    assert [process.exitcode for process in others] == [0, 0]
    assert {item.version for item in read_lock(path).versions} == {f"1.{number}" for number in range(20)}


HEAD = 'schema = "wheelyard/lock"\nlayout = 1\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("schema = ", "is not valid TOML"),
        ('schema = "wheelyard/lock"\nlayout = 2\n', ":1: this is not a wheelyard/lock file of layout 1"),
        ("", ":1: this is not a wheelyard/lock file of layout 1"),
        (HEAD + "[[version]]\nsize = 1\n", ":3: version.0.version: Field required"),
        (HEAD + '[[version]]\nversion = "1"\nsha = "x"\n', ":5: version.0.sha: Extra inputs"),
        (HEAD + '[[version]]\nversion = "new"\n', ":4: 'new' is not a version"),
        (HEAD + '[[version]]\nversion = "1"\n[[version]]\nversion = "1.0"\n', ":6: 1.0 is pinned twice"),
        (HEAD + '[[version]]\nversion = "1"\nrequires-python = "three"\n', ":5: 'three' is not a version specifier"),
        (HEAD + f'[[version]]\nversion = "1"\nfile = "../x.tar.gz"\nsha256 = "{SHA}"\n', ":5: '../x.tar.gz' must be"),
        (HEAD + '[[version]]\nversion = "1"\nfile = "x.tar.gz"\n', ":5: 'x.tar.gz' must be"),
        (HEAD + '[[version]]\nversion = "1"\nwheels = ["cp313"]\n', ":5: 'cp313' is not a pair of tags"),
    ],
)
def test_a_lock_that_is_none_names_the_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "lock.toml"
    path.write_text(text)
    with pytest.raises(PlanError) as caught:
        read_lock(path)
    assert said in "\n".join(caught.value.details)
    assert caught.value.fix is not None


def test_a_lock_that_is_not_text(tmp_path: Path) -> None:
    path = tmp_path / "lock.toml"
    path.write_bytes(b"\xff")
    with pytest.raises(PlanError):
        read_lock(path)


def test_a_broken_lock_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "lock.toml"
    path.write_text("broken")
    with pytest.raises(PlanError):
        pin(path, entry("1.0"))
    assert path.read_text() == "broken"
