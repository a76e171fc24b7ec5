"""From a recipe to a pinned version: looked up once, then never asked for again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.index import Fault, IndexFile, IndexServer
from support.project import make_project
from wheelyard.core.errors import UnknownVersionError
from wheelyard.planning.target import find_target
from wheelyard.records.lockfile import lock_file, read_lock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from wheelyard.project.config import Project


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[IndexServer]:
    monkeypatch.setenv("WHEELYARD_CACHE", str(tmp_path / "cache"))
    with IndexServer() as server:
        monkeypatch.setenv("WHEELYARD_INDEX", server.url)
        server.add("demo", IndexFile("demo-1.0.tar.gz", b"one"), IndexFile("demo-1.1.tar.gz", b"two"))
        server.add("demo", IndexFile("demo-1.1-cp38-abi3-manylinux_2_28_aarch64.whl", b"wheel"))
        yield server


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path, {"demo/recipe.toml": '[[version]]\nmatch = "<1.1"\ntest.command = "old"\n'})


def test_a_version_is_looked_up_once_and_then_the_index_is_not_needed(
    project: Project, index: IndexServer, capsys: pytest.CaptureFixture[str]
) -> None:
    first = find_target(project, "demo")
    assert (first.version, first.locked.wheels) == ("1.1", ("cp38-abi3",))
    assert "locked demo 1.1 in packages/demo/lock.toml" in capsys.readouterr().err
    asked = list(index.paths)
    index.fault("/simple/demo/", Fault(status=418))
    assert find_target(project, "demo").locked == first.locked
    assert find_target(project, "Demo", "1.1.0").locked == first.locked
    assert index.paths == asked
    assert capsys.readouterr().err == ""


def test_a_newer_release_does_not_move_what_is_locked(project: Project, index: IndexServer) -> None:
    find_target(project, "demo")
    index.add("demo", IndexFile("demo-2.0.tar.gz", b"three"))
    assert find_target(project, "demo").version == "1.1"
    assert find_target(project, "demo", "2.0").version == "2.0"
    assert find_target(project, "demo").version == "2.0"
    assert [entry.version for entry in read_lock(lock_file(project.packages, "demo")).versions] == ["2.0", "1.1"]


def test_looking_without_locking_writes_nothing(project: Project, index: IndexServer) -> None:
    old = find_target(project, "demo", "1.0", write=False)
    assert (old.version, old.settings.test.command) == ("1.0", "old")
    assert not project.packages.exists()


def test_what_the_index_does_not_have_is_not_locked(project: Project, index: IndexServer) -> None:
    with pytest.raises(UnknownVersionError):
        find_target(project, "demo", "3.0")
    assert not project.packages.exists()


def test_the_index_may_know_the_package_under_another_name(tmp_path: Path, index: IndexServer) -> None:
    renamed = make_project(tmp_path, {"ours/recipe.toml": 'source.name = "Demo"\n'})
    target = find_target(renamed, "ours")
    assert (target.package, target.version, target.locked.file) == ("ours", "1.1", "demo-1.1.tar.gz")
    assert index.paths == ["/simple/demo/"]
