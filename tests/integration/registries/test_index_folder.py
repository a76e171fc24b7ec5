"""The index folder: real pip and uv over real HTTP and ``file://``; kill -9 at every step; two publishers at once."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pypi_simple import PyPISimple

from support.installers import pip_download, uv_compile, uv_install
from support.killing import shape
from support.static import StaticServer
from support.wheels import WheelSpec
from wheelyard.core.digests import sha256_file
from wheelyard.core.errors import ConflictError, DiskError, PublishError
from wheelyard.registries import DirectoryRegistry, Release, read_release

PUT_CODE = """
import sys
from pathlib import Path
from wheelyard.registries import DirectoryRegistry, read_release
folder = DirectoryRegistry(Path(sys.argv[1]))
for word in sys.argv[2:]:
    path, _, sha256 = word.rpartition("=")
    folder.put(read_release(Path(path), sha256=sha256))
"""
PUT = (sys.executable, "-c", PUT_CODE)
TESTS = Path(__file__).parents[2]


def release(folder: Path, spec: WheelSpec | None = None, *, salt: bytes = b"") -> Release:
    wheel = (spec or WheelSpec()).write(folder, salt=salt)
    return read_release(wheel, sha256=sha256_file(wheel))


@pytest.fixture
def filled(tmp_path: Path) -> tuple[DirectoryRegistry, dict[str, Release]]:
    """An index folder of three projects, one of which has a local version and needs another."""
    folder = DirectoryRegistry(tmp_path / "index folder")
    specs = {
        "demo": WheelSpec(headers="Requires-Dist: Needed.Thing>=1\n"),
        "local": WheelSpec(name="local", version="2.0+cpu"),
        "needed": WheelSpec(name="Needed.Thing", version="1.5", python="cp39", abi="abi3"),
    }
    releases = {key: release(tmp_path / "dist", spec) for key, spec in specs.items()}
    for one in releases.values():
        folder.put(one)
    return folder, releases


def test_pip_downloads_over_http(filled: tuple[DirectoryRegistry, dict[str, Release]], tmp_path: Path) -> None:
    """pip resolves with the metadata files (PEP 658), follows dependencies, and verifies hashes."""
    folder, releases = filled
    with StaticServer(folder.root) as server:
        done = pip_download(f"{server.url}/simple/", "demo", tmp_path)
    assert done.returncode == 0, done.stderr
    got = {path.name: sha256_file(path) for path in (tmp_path / "got").iterdir()}
    assert got == {releases[key].name.file: releases[key].sha256 for key in ("demo", "needed")}
    asked = f"/files/demo/{releases['demo'].name.file}.metadata"
    assert server.statuses[asked] == 200
    assert server.paths.index(asked) < server.paths.index(asked.removesuffix(".metadata"))


@pytest.mark.parametrize("way", ["http", "file"])
def test_pip_takes_a_local_version(
    filled: tuple[DirectoryRegistry, dict[str, Release]], tmp_path: Path, way: str
) -> None:
    folder, releases = filled
    with StaticServer(folder.root) as server:
        base = server.url if way == "http" else folder.root.as_uri()
        done = pip_download(f"{base}/simple/", "local==2.0+cpu", tmp_path)
    assert done.returncode == 0, done.stderr
    assert sha256_file(tmp_path / "got" / releases["local"].name.file) == releases["local"].sha256


@pytest.mark.parametrize("way", ["http", "file"])
def test_uv_resolves_and_sees_the_hashes(
    filled: tuple[DirectoryRegistry, dict[str, Release]], tmp_path: Path, way: str
) -> None:
    folder, releases = filled
    with StaticServer(folder.root) as server:
        base = server.url if way == "http" else folder.root.as_uri()
        done = uv_compile(f"{base}/simple/", "demo\nlocal", tmp_path)
    assert done.returncode == 0, done.stderr
    assert set(re.findall(r"sha256:([0-9a-f]{64})", done.stdout)) == {one.sha256 for one in releases.values()}
    if way == "http":
        assert server.statuses[f"/files/demo/{releases['demo'].name.file}.metadata"] == 200


@pytest.mark.parametrize("way", ["http", "file"])
def test_uv_installs(filled: tuple[DirectoryRegistry, dict[str, Release]], tmp_path: Path, way: str) -> None:
    folder, _ = filled
    with StaticServer(folder.root) as server:
        base = server.url if way == "http" else folder.root.as_uri()
        done = uv_install(f"{base}/simple/", "demo local", tmp_path)
    assert done.returncode == 0, done.stderr
    assert {"demo", "local", "needed_thing"} <= {path.name for path in (tmp_path / "site").iterdir()}


def test_pip_refuses_a_file_that_was_tampered_with(
    filled: tuple[DirectoryRegistry, dict[str, Release]], tmp_path: Path
) -> None:
    folder, releases = filled
    victim = folder.root / "files" / "local" / releases["local"].name.file
    WheelSpec(name="local", version="2.0+cpu").write(victim.parent, salt=b"evil")
    with StaticServer(folder.root) as server:
        done = pip_download(f"{server.url}/simple/", "local", tmp_path)
    assert done.returncode != 0
    assert "HASHES" in done.stderr or "hash" in done.stderr
    assert len(folder.rebuild()) == 1
    assert folder.files("local")[0].sha256 == releases["local"].sha256
    assert not folder.put(releases["local"])
    assert sha256_file(victim) == releases["local"].sha256
    assert folder.rebuild() == ()


def test_requires_python_keeps_old_pythons_away(tmp_path: Path) -> None:
    """PEP 503's ``data-requires-python`` is honoured by pip, so it must be there and escaped."""
    folder = DirectoryRegistry(tmp_path / "index")
    for version, requires in (("1.0", ">=3.9"), ("2.0", ">=3.14,<4")):
        folder.put(release(tmp_path / "dist", WheelSpec(version=version, requires_python=requires)))
    with StaticServer(folder.root) as server:
        done = pip_download(f"{server.url}/simple/", "demo", tmp_path)
    assert done.returncode == 0, done.stderr
    assert [path.name.split("-")[1] for path in (tmp_path / "got").iterdir()] == ["1.0"]


def test_another_reader_sees_the_same(filled: tuple[DirectoryRegistry, dict[str, Release]]) -> None:
    folder, releases = filled
    with StaticServer(folder.root) as server, PyPISimple(f"{server.url}/simple/") as client:
        assert client.get_index_page().projects == ["demo", "local", "needed-thing"]
        (package,) = client.get_project_page("local").packages
        assert package.digests == {"sha256": releases["local"].sha256}
        assert client.get_package_metadata_bytes(package) == releases["local"].metadata


def test_only_what_is_touched_is_written(filled: tuple[DirectoryRegistry, dict[str, Release]], tmp_path: Path) -> None:
    folder, releases = filled

    def inodes() -> dict[str, int]:
        return {
            str(path.relative_to(folder.root)): path.stat().st_ino for path in folder.root.rglob("*") if path.is_file()
        }

    before = inodes()
    folder.put(releases["demo"])
    assert inodes() == before
    folder.put(release(tmp_path / "dist", WheelSpec(version="1.1")))
    after = inodes()
    assert {name for name in before if after[name] != before[name]} == {
        "simple/demo/index.html",
        "simple/demo/index.json",
    }


@pytest.mark.parametrize("before", [(), ("0.9",)], ids=["first-wheel", "second-wheel"])
def test_kill_in_every_state(tmp_path: Path, before: tuple[str, ...]) -> None:
    """After kill -9 pages list whole wheels only, and the next run ends where an undisturbed one does."""
    earlier = [release(tmp_path / "dist", WheelSpec(version=version)).path for version in before]
    one = release(tmp_path / "dist")
    done = subprocess.run(
        [sys.executable, "-m", "support.killing", tmp_path / "work", one.path, one.sha256, *earlier],
        cwd=TESTS,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 15  # each of five or eight files comes, grows and gets its name


def test_two_publishers_at_once(tmp_path: Path) -> None:
    """Four processes put the same and other wheels into one folder: nothing is lost, no page is stale."""
    wheels = [release(tmp_path / "dist", WheelSpec(version=f"1.{number}")) for number in range(6)]
    words = [f"{one.path}={one.sha256}" for one in wheels]
    orders = [words, words[::-1], words[3:], words[:3]]
    running = [subprocess.Popen([*PUT, tmp_path / "index", *order]) for order in orders]
    assert [process.wait() for process in running] == [0, 0, 0, 0]
    folder = DirectoryRegistry(tmp_path / "index")
    assert {file.file: file.sha256 for file in folder.files("demo")} == {one.name.file: one.sha256 for one in wheels}
    page = json.loads((folder.root / "simple" / "demo" / "index.json").read_text())
    assert len(page["files"]) == 6


def test_two_publishers_of_different_bytes(tmp_path: Path) -> None:
    releases = [release(tmp_path / "a"), release(tmp_path / "b", salt=b"other")]
    running = [
        subprocess.Popen([*PUT, tmp_path / "index", f"{one.path}={one.sha256}"], stderr=subprocess.PIPE, text=True)
        for one in releases
    ]
    errors = [process.communicate()[1] for process in running]
    assert sorted(process.returncode for process in running) == [0, 1]
    assert sum("ConflictError" in error for error in errors) == 1


def test_rebuild_derives_everything_from_the_wheels(
    filled: tuple[DirectoryRegistry, dict[str, Release]], tmp_path: Path
) -> None:
    folder, _ = filled
    before = shape(folder.root)
    for path in folder.root.rglob("*"):
        if path.is_file() and path.suffix in {".html", ".json", ".metadata"}:
            path.unlink()
    assert folder.rebuild() == ()
    assert shape(folder.root) == before


def test_rebuild_forgets_what_is_gone_and_tells_what_is_broken(
    filled: tuple[DirectoryRegistry, dict[str, Release]], tmp_path: Path
) -> None:
    folder, releases = filled
    for path in (folder.root / "files" / "local").iterdir():
        path.unlink()
    broken = folder.root / "files" / "demo" / releases["demo"].name.file
    broken.write_bytes(b"not a zip")
    (folder.root / "files" / "demo" / "notes.txt").write_text("not ours")
    (problem,) = folder.rebuild()
    assert "cannot be read as a wheel" in problem
    assert not (folder.root / "simple" / "local").exists()
    assert folder.projects() == ("demo", "needed-thing")
    with pytest.raises(PublishError, match="does not describe"):
        folder.files("demo")
    assert (folder.root / "files" / "demo" / "notes.txt").exists()


def test_a_conflict_leaves_the_folder_as_it_was(tmp_path: Path) -> None:
    folder = DirectoryRegistry(tmp_path / "index")
    folder.put(release(tmp_path / "a"))
    before = shape(folder.root)
    with pytest.raises(ConflictError):
        folder.put(release(tmp_path / "b", salt=b"other"))
    assert shape(folder.root) == before


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """A read-only file system, made of a file where the folder should be: root may write everywhere else."""
    blocked = Path("/proc/wheelyard-index")
    with pytest.raises((DiskError, OSError)):
        DirectoryRegistry(blocked).put(release(tmp_path))


def test_leftovers_of_another_wheel_go(tmp_path: Path) -> None:
    folder = DirectoryRegistry(tmp_path / "index")
    left = folder.root / "files" / "demo" / ".demo-0.1-cp313-cp313-manylinux_2_39_riscv64.whl.coming"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    folder.put(release(tmp_path / "dist"))
    assert not left.exists()
