"""``registry smoke-test``: what the yard has published, installed with the image's own pip, and imported."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from support.static import StaticServer
from support.wheels import WheelSpec
from wheelyard.core.digests import sha256_file
from wheelyard.io import cache
from wheelyard.registries import DirectoryRegistry, read_release

if TYPE_CHECKING:
    from pathlib import Path

    from support.built_recipes import BuiltRecipes
    from support.site import Site

FEW = ("markupsafe", "ujson")


def results(done: subprocess.CompletedProcess[str]) -> dict[str, tuple[str, str]]:
    told: dict[str, Any] = json.loads(done.stdout)
    return {each["package"]: (each["state"], each["text"]) for each in told["results"]}


def run(yard: BuiltRecipes, *words: str) -> subprocess.CompletedProcess[str]:
    return yard.run("registry", "smoke-test", *words, "--image", "local", "--python", "cp313")


@pytest.fixture
def broken(yard: BuiltRecipes, tmp_path: Path) -> Path:
    """A copy of an index of two packages, of which one wheel has other bytes than its page says."""
    index = tmp_path / "index"
    for name in FEW:
        shutil.copytree(yard.root / "dist/index/files" / name, index / "files" / name)
        shutil.copytree(yard.root / "dist/index/simple" / name, index / "simple" / name)
    return index


def test_what_installs_and_what_does_not_is_told_side_by_side(yard: BuiltRecipes, broken: Path) -> None:
    (wheel,) = (broken / "files/markupsafe").glob("*.whl")
    wheel.write_bytes(wheel.read_bytes()[:-100])
    done = run(yard, "--registry", str(broken))
    assert done.returncode == 68, done.stderr
    assert re.search(r"ujson +[\d.]+ +cp313 +ok +1 compiled modules loaded", done.stdout), done.stdout
    assert re.search(r"markupsafe +[\d.]+ +cp313 +install +", done.stdout), done.stdout
    assert re.search(r"2 tested in localhost/wheelyard/.*, 1 failed", done.stdout)
    log = (yard.root / "dist/try/cp313.log").read_text(encoding="utf-8")
    assert "import ujson" in log
    assert "import markupsafe" not in log


def test_a_file_that_another_index_has_is_not_ours(
    yard: BuiltRecipes, broken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if upstream had published its own riscv64 wheel of the same version.
    (wheel,) = (broken / "files/markupsafe").glob("*.whl")
    served = tmp_path / "upstream/simple/markupsafe"
    served.mkdir(parents=True)
    name, version, rest = wheel.name.split("-", 2)
    other = served / f"{name}-{version}-1-{rest}"  # of two builds the higher one is taken (PEP 427)
    shutil.copy(wheel, other)
    with zipfile.ZipFile(other, "a") as archive:
        archive.comment = b"upstream's own"
    (served / "index.html").write_text(f'<a href="{other.name}">{other.name}</a>', encoding="utf-8")
    with StaticServer(tmp_path / "upstream") as upstream:
        monkeypatch.setenv("PIP_INDEX_URL", f"{upstream.url}/simple/")
        done = run(yard, "--registry", str(broken), "--json", "markupsafe")
    state, text = results(done)["markupsafe"]
    assert (done.returncode, state) == (68, "other"), text
    assert sha256_file(other)[:16] in text


def test_of_two_trials_at_once_the_second_waits(site: Site) -> None:
    """What is said goes into one log for each interpreter, from which each run takes its own reports."""
    wheel = WheelSpec(python="py3", abi="none", platform="any", elf=None, purelib="true").write(site.root)
    DirectoryRegistry(site.root / "index").put(read_release(wheel, sha256=sha256_file(wheel)))
    words = ["registry", "smoke-test", "--registry", "./index", "--image", "local", "--python", "cp313"]
    with cache.lock(site.root / "dist/try/.lock", what="the first"):
        process = subprocess.Popen(
            [sys.executable, "-m", "wheelyard", *words],
            cwd=site.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout
        assert any("waiting for another run: trying what is published" in line for line in process.stdout)
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said
    assert re.search(r"demo +1\.0 +cp313 +ok ", said), said
