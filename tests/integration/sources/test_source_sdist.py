"""From a lock to a tree: sdists from an index, local folders and sdist scripts, with real downloads and real tools."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import signal
import subprocess
import sys
import tarfile
import time
from typing import TYPE_CHECKING

import pytest

from support.index import Fault, IndexFile, IndexServer
from wheelyard.core.errors import (
    DigestMismatchError,
    DiskError,
    NetworkError,
    PatchError,
    PlanError,
    SourceError,
    StepTimeoutError,
    UnsafeArchiveError,
)
from wheelyard.io import http, retry
from wheelyard.project.config import SiteConfig
from wheelyard.project.recipe import Settings
from wheelyard.records.models import LockedVersion
from wheelyard.sources.prepare import identity, prepare

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from wheelyard.core.values import SourceTree

BASE = {"interpreters": ["cp313"], "policy": "manylinux_2_39_riscv64"}
CONFIG = SiteConfig.model_validate(BASE)
METADATA = "Metadata-Version: 2.4\nName: Demo.Pkg\nVersion: 1.0\n\nA description.\n"
FILES = {"PKG-INFO": METADATA, "pyproject.toml": "", "src/a.c": "int a;\n"}
NAME = "demo_pkg-1.0.tar.gz"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("WHEELYARD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(retry, "_PAUSE", 0.01)
    http.session.cache_clear()
    yield
    http.session.cache_clear()


@pytest.fixture
def index() -> Iterator[IndexServer]:
    with IndexServer() as server:
        yield server


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    folder = tmp_path / "recipe"
    folder.mkdir()
    return folder


def sdist(files: dict[str, str], top: str = "demo_pkg-1.0") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(f"{top}/{name}")
            info.size, info.mtime = len(text.encode()), 1_700_000_000
            tar.addfile(info, io.BytesIO(text.encode()))
    return gzip.compress(buffer.getvalue(), mtime=0)


def lock(data: bytes, **changes: object) -> LockedVersion:
    sha256 = hashlib.sha256(data).hexdigest()
    fields = {"version": "1.0", "file": NAME, "size": len(data), "sha256": sha256, **changes}
    return LockedVersion.model_validate(fields)


class Bench:
    """One package on one index, prepared as the flow does it."""

    def __init__(self, index: IndexServer, recipe: Path, work: Path) -> None:
        self.index, self.recipe, self.work = index, recipe, work
        self.asked = 0

    def serve(self, files: dict[str, str] = FILES, **changes: object) -> LockedVersion:
        data = sdist(files)
        self.index.add("demo-pkg", IndexFile(NAME, data))
        return lock(data, **changes)

    def find(self) -> str:
        self.asked += 1
        return self.index.file_url("demo-pkg", NAME)

    def prepare(
        self,
        locked: LockedVersion,
        settings: dict[str, object] | None = None,
        *,
        config: SiteConfig = CONFIG,
        find_url: Callable[[], str | None] | None = None,
    ) -> SourceTree:
        return prepare(
            "demo-pkg",
            locked,
            Settings.model_validate(settings or {}),
            recipe_folder=self.recipe,
            work=self.work,
            config=config,
            find_url=find_url or self.find,
            where=lambda place: f"recipe.toml:{place + 7}",
        )


@pytest.fixture
def bench(index: IndexServer, recipe: Path, tmp_path: Path) -> Bench:
    return Bench(index, recipe, tmp_path / "work")


def fault(bench: Bench, what: Fault) -> None:
    bench.index.fault(f"/files/demo-pkg/{NAME}", what)


def files_in(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


# ---------------------------------------------------------------- from the index


def test_an_sdist_becomes_a_tree(bench: Bench) -> None:
    locked = bench.serve()
    source = bench.prepare(locked)
    assert (source.kind, source.name, source.sha256) == ("sdist", NAME, locked.sha256)
    assert (source.commit, source.patches, source.epoch) == ("", (), 1_700_000_000)
    assert source.folder == bench.work / "demo-pkg-1.0"
    assert files_in(source.folder) == FILES
    assert [path.name for path in bench.work.iterdir()] == ["demo-pkg-1.0"]
    assert identity(locked, Settings(), recipe_folder=bench.recipe) == f"sdist:{locked.sha256}"


def test_the_second_time_no_network_is_needed(bench: Bench) -> None:
    locked = bench.serve()
    bench.prepare(locked)
    before = len(bench.index.requests)
    (bench.work / "demo-pkg-1.0/src/a.c").write_text("changed by a build")
    again = bench.prepare(locked)
    assert files_in(again.folder) == FILES, "and the tree is made anew"
    assert (len(bench.index.requests), bench.asked) == (before, 1)


def test_a_cached_file_that_has_changed_is_not_believed(bench: Bench, tmp_path: Path) -> None:
    locked = bench.serve()
    bench.prepare(locked)
    cached = next((tmp_path / "cache/sdists").rglob(NAME))
    cached.write_bytes(b"rotten" + cached.read_bytes()[6:])
    assert files_in(bench.prepare(locked).folder) == FILES
    assert bench.asked == 2


def test_a_wrong_hash_is_refused_and_nothing_stays(bench: Bench, tmp_path: Path) -> None:
    locked = bench.serve()
    fault(bench, Fault(body=sdist({**FILES, "src/a.c": "evil\n"})))
    with pytest.raises(DigestMismatchError) as caught:
        bench.prepare(locked)
    assert "lock.toml" in str(caught.value.fix)
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == []
    assert not (bench.work / "demo-pkg-1.0").exists()


def test_a_truncated_download_is_resumed(bench: Bench) -> None:
    locked = bench.serve({**FILES, "noise": os.urandom(60_000).hex()})
    fault(bench, Fault(cut_after=20_000, times=1))
    bench.prepare(locked)
    assert [request.headers.get("Range") for request in bench.index.requests] == [None, "bytes=20000-"]


def test_a_file_that_is_gone_from_the_index_is_told(bench: Bench) -> None:
    with pytest.raises(SourceError, match=f"the index has no {NAME}") as caught:
        bench.prepare(lock(b"gone"), find_url=lambda: None)
    assert "lock.toml" in str(caught.value.fix)


def test_a_file_that_is_gone_from_the_server_is_told(bench: Bench) -> None:
    locked = bench.serve()
    fault(bench, Fault(status=404))
    with pytest.raises(NetworkError, match="answers 404"):
        bench.prepare(locked)


def test_an_sdist_that_is_too_large_is_not_asked_for(bench: Bench) -> None:
    config = SiteConfig.model_validate({**BASE, "max-sdist-mib": 1})
    with pytest.raises(SourceError, match="more than the 1 MiB"):
        bench.prepare(lock(b"", size=2_000_000), config=config)
    assert bench.asked == 0


def test_limits_of_policy_hold_when_unpacking(bench: Bench) -> None:
    config = SiteConfig.model_validate({**BASE, "max-members": 2})
    with pytest.raises(UnsafeArchiveError, match="more than 2 members"):
        bench.prepare(bench.serve(), config=config)


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        (METADATA.replace("Demo.Pkg", "other"), "says of itself that it is 'other' '1.0'"),
        (METADATA.replace("1.0", "1.1"), "says of itself that it is 'Demo.Pkg' '1.1'"),
        (METADATA.replace("1.0", "one"), "'one'"),
        ("", "says of itself"),
        (None, "no PKG-INFO"),
    ],
)
def test_an_sdist_of_another_package_or_version_is_refused(bench: Bench, metadata: str | None, words: str) -> None:
    files = {**FILES, "PKG-INFO": metadata or ""}
    if metadata is None:
        del files["PKG-INFO"]
    with pytest.raises(SourceError, match=words):
        bench.prepare(bench.serve(files))


def test_the_index_may_know_it_by_another_name(bench: Bench) -> None:
    locked = bench.serve({**FILES, "PKG-INFO": METADATA.replace("Demo.Pkg", "other")})
    assert bench.prepare(locked, {"source": {"name": "Other"}}).folder.name == "other-1.0"


@pytest.mark.parametrize(
    "changes", [{"file": None}, {"sha256": None}, {"file": "../x-1.0.tar.gz"}, {"file": "demo.exe"}]
)
def test_a_lock_that_names_no_sdist_is_told(bench: Bench, changes: dict[str, object]) -> None:
    with pytest.raises(PlanError):
        bench.prepare(lock(b"", **changes))


# ---------------------------------------------------------------- what can be built


def test_a_source_that_builds_no_wheel_is_told_with_the_likely_folder(bench: Bench) -> None:
    locked = bench.serve({"PKG-INFO": METADATA, "python/pyproject.toml": "", "README": ""})
    with pytest.raises(SourceError, match="builds no wheel") as caught:
        bench.prepare(locked)
    assert "such as python" in str(caught.value.fix)
    assert bench.prepare(locked, {"build": {"subdirectory": "python"}}).kind == "sdist"


@pytest.mark.parametrize("place", ["none", "src/a.c"])
def test_a_subdirectory_must_be_one(bench: Bench, place: str) -> None:
    with pytest.raises(SourceError, match="has no folder"):
        bench.prepare(bench.serve(), {"build": {"subdirectory": place}})


def test_a_folder_by_another_name_is_fine(bench: Bench, tmp_path: Path) -> None:
    folder = local(tmp_path / "checkout")
    (folder / "alias").symlink_to("src")
    (folder / "src/setup.py").touch()
    settings: dict[str, object] = {"source": {"path": "../checkout"}, "build": {"subdirectory": "alias"}}
    assert bench.prepare(LockedVersion(version="1.0"), settings).kind == "path"


# ---------------------------------------------------------------- patches

PATCH = "--- a/src/a.c\n+++ b/src/a.c\n@@ -1 +1 @@\n-int a;\n+int b;\n"
ENTRY = {"file": "fix.patch", "why": "a test", "status": "Inappropriate [a test]"}


def test_patches_are_applied_and_recorded(bench: Bench) -> None:
    (bench.recipe / "fix.patch").write_text(PATCH)
    source = bench.prepare(bench.serve(), {"patch": [ENTRY, {**ENTRY, "versions": "<1"}]})
    assert (source.folder / "src/a.c").read_text() == "int b;\n"
    assert [patch.sha256 for patch in source.patches] == [hashlib.sha256(PATCH.encode()).hexdigest()]


def test_a_patch_that_does_not_apply_names_file_hunk_and_recipe_line(bench: Bench) -> None:
    (bench.recipe / "fix.patch").write_text(PATCH.replace("int a", "int x"))
    with pytest.raises(PatchError) as caught:
        bench.prepare(bench.serve(), {"patch": [{**ENTRY, "versions": "<1"}, ENTRY]})
    assert str(caught.value).splitlines()[:2] == [
        "recipe.toml:8: fix.patch does not apply",
        "  - fix.patch:3: hunk 1 does not fit src/a.c at line 1",
    ]


def test_a_patch_may_not_make_a_link_out(bench: Bench) -> None:
    text = "diff --git a/l b/l\nnew file mode 120000\n--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n+/etc/passwd\n"
    (bench.recipe / "fix.patch").write_text(text + "\\ No newline at end of file\n")
    with pytest.raises(UnsafeArchiveError, match="links that lead out"):
        bench.prepare(bench.serve(), {"patch": [ENTRY]})


# ---------------------------------------------------------------- a local folder


def local(folder: Path) -> Path:
    for name, text in {
        **FILES,
        ".git/config": "",
        "build/lib/a.o": "",
        "src/build/keep.py": "",
        "src/__pycache__/x.pyc": "",
        "env/pyvenv.cfg": "",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
        os.utime(folder / name, (1_650_000_000, 1_650_000_000))
    (folder / "link").symlink_to("src/a.c")
    return folder


def test_a_local_folder_is_copied_without_what_building_leaves(bench: Bench, tmp_path: Path) -> None:
    folder = local(tmp_path / "checkout")
    locked = LockedVersion(version="1.0")
    settings: dict[str, object] = {"source": {"path": "../checkout"}}
    source = bench.prepare(locked, settings)
    assert set(files_in(source.folder)) == {*FILES, "src/build/keep.py", "link"}
    assert (source.folder / "link").is_symlink()
    assert (source.kind, source.name, source.epoch) == ("path", str(folder), 1_650_000_000)
    before = identity(locked, Settings.model_validate(settings), recipe_folder=bench.recipe)
    assert before == f"path:{source.sha256}"
    (folder / "build/lib/b.o").write_text("")
    os.utime(folder / "src/a.c")
    assert identity(locked, Settings.model_validate(settings), recipe_folder=bench.recipe) == before
    (folder / "src/a.c").chmod(0o755)
    assert identity(locked, Settings.model_validate(settings), recipe_folder=bench.recipe) != before


def test_a_folder_that_holds_our_own_work_is_copied_without_it(bench: Bench, tmp_path: Path) -> None:
    local(tmp_path)
    bench.work = tmp_path / "results/work"
    (bench.work / "left").mkdir(parents=True)
    (bench.work / "left/over").touch()
    source = bench.prepare(LockedVersion(version="1.0"), {"source": {"path": ".."}})
    assert "src/a.c" in files_in(source.folder)
    assert not (source.folder / "results").exists()


def test_a_local_folder_may_hold_no_pipe_and_no_link_out(bench: Bench, tmp_path: Path) -> None:
    folder = local(tmp_path / "checkout")
    os.mkfifo(folder / "pipe")
    with pytest.raises(SourceError, match="neither a file nor a folder"):
        bench.prepare(LockedVersion(version="1.0"), {"source": {"path": "../checkout"}})
    (folder / "pipe").unlink()
    (folder / "out").symlink_to("../other")
    with pytest.raises(UnsafeArchiveError, match="lead out"):
        bench.prepare(LockedVersion(version="1.0"), {"source": {"path": "../checkout"}})


def test_a_local_folder_that_is_missing_or_too_much_is_told(bench: Bench, tmp_path: Path) -> None:
    locked = LockedVersion(version="1.0")
    with pytest.raises(SourceError, match="is not there"):
        bench.prepare(locked, {"source": {"path": "../none"}})
    local(tmp_path / "checkout")
    with pytest.raises(SourceError, match="more than is allowed"):
        bench.prepare(
            locked, {"source": {"path": "../checkout"}}, config=SiteConfig.model_validate({**BASE, "max-members": 2})
        )


# ---------------------------------------------------------------- the sdist script

MAKE = """
set -eu
cd "$SRC"
mkdir -p "$TMPDIR/demo_pkg-$VERSION"
cp -r . "$TMPDIR/demo_pkg-$VERSION"
env -0 | sort -z | cut -z -d= -f1 | tr '\\0' ' ' > "$TMPDIR/demo_pkg-$VERSION/variables"
tar -C "$TMPDIR" -czf "$OUT/demo_pkg-$VERSION.tar.gz" "demo_pkg-$VERSION"
"""


def script(bench: Bench, text: str, **more: object) -> dict[str, object]:
    (bench.recipe / "sdist.sh").write_text(text)
    return {"sdist": {"run": "sdist.sh", **more}}


def test_a_script_makes_the_sdist_from_the_patched_tree(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "x")
    monkeypatch.setenv("https_proxy", "http://proxy.example")
    (bench.recipe / "fix.patch").write_text(PATCH)
    locked = bench.serve()
    source = bench.prepare(locked, script(bench, MAKE) | {"patch": [ENTRY]})
    assert (source.folder / "src/a.c").read_text() == "int b;\n"
    assert source.sha256 == locked.sha256, "known by what it was made of"
    variables = set((source.folder / "variables").read_text().split())
    assert {"SRC", "VERSION", "OUT", "SOURCE_DATE_EPOCH", "https_proxy"} <= variables
    assert "SECRET_TOKEN" not in variables
    assert [path.name for path in bench.work.iterdir()] == ["demo-pkg-1.0"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("true", "it left nothing"),
        (MAKE + 'cp "$OUT/demo_pkg-1.0.tar.gz" "$OUT/demo_pkg-1.0.zip"', "exactly one sdist"),
        (MAKE + 'mv "$OUT"/* "$OUT/demo_pkg-1.1.tar.gz"', "exactly one sdist"),
        (MAKE + 'mv "$OUT"/* "$OUT/other-1.0.tar.gz"', "exactly one sdist"),
        (MAKE + 'mv "$OUT"/* "$OUT/demo.whl"', "exactly one sdist"),
        ('ln -s /etc/passwd "$OUT/demo_pkg-1.0.tar.gz"', "exactly one sdist"),
        (
            MAKE.replace("cp -r .", 'rm PKG-INFO; printf "Name: a\\nVersion: 1.0\\n" > PKG-INFO; cp -r .'),
            "says of itself",
        ),
        ("echo the reason >&2; exit 3", "the reason"),
    ],
)
def test_a_script_that_does_not_do_its_duty_is_told(bench: Bench, text: str, words: str) -> None:
    with pytest.raises(SourceError) as caught:
        bench.prepare(bench.serve(), script(bench, text))
    assert words in str(caught.value)
    assert not (bench.work / "demo-pkg-1.0").exists() or "says of itself" in words


def test_what_a_script_leaves_is_hostile_too(bench: Bench) -> None:
    text = 'ln -s /etc evil-link; tar -czf "$OUT/demo_pkg-1.0.tar.gz" --transform "s,^\\.,demo_pkg-1.0," .'
    with pytest.raises(UnsafeArchiveError):
        bench.prepare(bench.serve(), script(bench, text))


def test_a_script_that_takes_too_long_is_ended(bench: Bench) -> None:
    with pytest.raises(StepTimeoutError, match=r"sdist\.sh did not end within 1\.0 s"):
        bench.prepare(bench.serve(), script(bench, "sleep 600", timeout=1))
    assert [path.name for path in bench.work.iterdir()] == ["upstream"]


def test_a_missing_script_is_told(bench: Bench) -> None:
    with pytest.raises(SourceError, match="is missing"):
        bench.prepare(bench.serve(), {"sdist": {"run": "none.sh"}})


# ---------------------------------------------------------------- the disk and kill -9


def test_a_disk_that_fills_up_while_unpacking_is_told_and_nothing_stays(bench: Bench) -> None:
    bench.work.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(bench.work)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("needs the right to mount a small disk")
    try:
        with pytest.raises(DiskError, match="no space"):
            bench.prepare(bench.serve({**FILES, "large": "x" * 3_000_000}))
        assert list(bench.work.iterdir()) == []
    finally:
        subprocess.run(["umount", str(bench.work)], check=True)


PROGRAM = """
import sys
from pathlib import Path
from wheelyard.project.recipe import Settings
from wheelyard.project.config import SiteConfig
from wheelyard.records.models import LockedVersion
from wheelyard.sources.prepare import prepare
recipe, work, locked, settings, url, policy = sys.argv[1:]
prepare("demo-pkg", LockedVersion.model_validate_json(locked), Settings.model_validate_json(settings),
        recipe_folder=Path(recipe), work=Path(work), config=SiteConfig.model_validate_json(policy),
        find_url=lambda: url)
"""


def test_kill_9_while_the_script_runs_ends_it_and_the_next_run_goes_on(bench: Bench, tmp_path: Path) -> None:
    locked = bench.serve()
    beat = tmp_path / "beat"
    endless = f'while :; do date +%s%N > "{beat}"; sleep 0.05; done'
    settings = Settings.model_validate(script(bench, endless))
    words = [str(bench.recipe), str(bench.work), locked.model_dump_json(), settings.model_dump_json(), bench.find()]
    with subprocess.Popen([sys.executable, "-c", PROGRAM, *words, CONFIG.model_dump_json()]) as process:
        deadline = time.monotonic() + 60
        while not (beat.exists() and beat.read_text()):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    # Its number is none of ours where it runs apart: what tells is that it does nothing any more.
    while time.time() - int(beat.read_text() or "0") / 1e9 < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    source = bench.prepare(locked, script(bench, MAKE))
    assert (source.folder / "src/a.c").exists()
    assert [path.name for path in bench.work.iterdir()] == ["demo-pkg-1.0"]
