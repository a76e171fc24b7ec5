"""A kind of source that another distribution brings: a zip at an address, through the public seam and real verbs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from support.index import IndexServer
from support.plugin import install
from support.project import make_project
from support.tiny import sources
from wheelyard.core.digests import sha256_file
from wheelyard.records.lockfile import lock_file, read_lock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from wheelyard.records.models import LockedVersion

KIND = '''\
"""A zip at an address."""

import urllib.request

from pydantic import Field

from wheelyard.core.digests import sha256_bytes, sha256_file
from wheelyard.core.errors import DigestMismatchError, PlanError, SourceError
from wheelyard.core.values import SourceTree
from wheelyard.io.archive import unpack
from wheelyard.project.source_table import SourceTable


class ZipTable(SourceTable):
    zip: str | None = Field(None, pattern=r"^file://", description="The address of a zip, with `{version}` in it.")
    digest: str = Field("", description="The sha256 that it must have.")


class Zip:
    table = ZipTable
    is_sdist = False
    is_local = False
    version_keys = ("zip",)

    def pin(self, source, locked):
        url = source.keys_of(ZipTable).zip.format(version=locked.version)
        sha256 = sha256_bytes(_read(url))
        return locked.model_copy(update={"file": url.rpartition("/")[2], "sha256": sha256})

    def identity(self, locked, source, recipe_folder):
        if locked.sha256 is None:
            raise PlanError("the lock names no zip")
        return f"zip:{locked.sha256}"

    def obtain(self, origin, target, work):
        url = origin.settings.source.keys_of(ZipTable).zip.format(version=origin.locked.version)
        archive = work / origin.locked.file
        archive.write_bytes(_read(url))
        if sha256_file(archive) != origin.locked.sha256:
            raise DigestMismatchError(f"{url} has changed")
        epoch = unpack(archive, target, limits=origin.limits)
        archive.unlink()
        return SourceTree("zip", target, url, origin.locked.sha256, "", (), epoch)

    def check(self, origin):
        if self.pin(origin.settings.source, origin.locked).sha256 != origin.locked.sha256:
            raise SourceError("the zip has changed", fix="find out why")
        return "the zip is there"


def _read(url):
    try:
        with urllib.request.urlopen(url) as answer:
            return answer.read()
    except OSError as error:
        raise SourceError(f"there is no {url}", fix="correct [source] zip in the recipe") from error
'''
RECIPE = """\
[source]
zip = "file://{folder}/tiny-{{version}}.zip"
[test]
command = "python {{project}}/test_tiny.py"
"""
PYPROJECT = """\
[tool.wheelyard]
interpreters = ["cp313"]
policy = "manylinux_2_39_riscv64"
image = "local"
"""


PREPARE = """
from pathlib import Path
from wheelyard.planning.target import prepare_source
from wheelyard.planning.target import find_target
from wheelyard.project.config import find_project
project = find_project()
tree = prepare_source(project, find_target(project, "tiny", "1.0"), Path("work"), log_file=Path("log"))
print(tree.kind, tree.name, sorted(path.name for path in tree.folder.iterdir())[:3])
"""


@dataclass
class Bench:
    """A project whose recipe takes its source from a zip.

    Attributes:
        root: the project.
        zip: the zip.
        env: the variables of the command, which has the other distribution on its path.
    """

    root: Path
    zip: Path
    env: dict[str, str]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self._start("-m", "wheelyard", *words)

    def lock(self) -> LockedVersion:
        """Lock version 1.0, and prepare its source, as a build does."""
        done = self._start("-c", PREPARE)
        assert done.returncode == 0, done.stderr
        assert done.stdout == f"zip file://{self.zip} ['PKG-INFO', 'backend.py', 'pyproject.toml']\n"
        (locked,) = read_lock(lock_file(self.root / "packages", "tiny")).versions
        return locked

    def _start(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *words],
            cwd=self.root,
            env=os.environ | self.env,
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
        )


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    archive = tmp_path / "tiny-1.0.zip"
    with zipfile.ZipFile(archive, "w") as made:
        for name, text in sources().items():
            made.writestr(f"tiny-1.0/{name}", text)
    root = tmp_path / "site"
    root.mkdir()
    make_project(root, {}, pyproject=PYPROJECT)
    (root / "recipes/tiny").mkdir()
    (root / "recipes/tiny/recipe.toml").write_text(RECIPE.format(folder=tmp_path))
    env = install(tmp_path / "other", {"toy_zip": KIND}, "[wheelyard.sources]\nzip = toy_zip:Zip\n")
    with IndexServer() as index:
        env |= {"WHEELYARD_INDEX": index.url, "WHEELYARD_CACHE": str(tmp_path / "cache"), "NO_PROXY": "127.0.0.1"}
        yield Bench(root, archive, env)


def test_a_plan_looks_it_up(bench: Bench) -> None:
    done = bench.run("plan", "tiny", "--version", "1.0", "--json")
    assert done.returncode == 0, done.stderr
    (plan,) = json.loads(done.stdout)["plans"]
    assert [wheel["pattern"] for wheel in plan["expected"]] == ["tiny-1.0-cp313-cp313-manylinux_*_riscv64.whl"]


def test_a_build_pins_and_obtains_it(bench: Bench) -> None:
    locked = bench.lock()
    assert (locked.file, locked.sha256) == ("tiny-1.0.zip", sha256_file(bench.zip))


def test_preflight_checks_and_obtains_it(bench: Bench) -> None:
    bench.lock()
    done = bench.run("preflight", "tiny", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    findings = {finding["step"]: finding for finding in report["findings"]}
    assert findings["version"]["text"] == "the zip is there"
    assert bench.zip.name in findings["source"]["text"]
    assert {findings[step]["state"] for step in ("version", "source", "sdist", "metadata", "tests")} == {"ok"}


def test_other_bytes_than_locked_are_refused_at_the_line_of_its_key(bench: Bench) -> None:
    bench.lock()
    with zipfile.ZipFile(bench.zip, "a") as archive:
        archive.writestr("tiny-1.0/more.txt", "x")
    done = bench.run("preflight", "tiny")
    assert done.returncode != 0
    assert "the zip has changed" in done.stdout + done.stderr
    assert "recipes/tiny/recipe.toml:2" in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[source]\nzip = "https://example.org/x"\n', "recipe.toml:2: source.zip"),
        ('[source]\nzip = "file:///x"\ngit = "https://example.org/x"\n', "'git' and 'zip' exclude each other"),
        ('[source]\nzipp = "file:///x"\n', "unknown key 'zipp'"),
    ],
)
def test_a_mistake_in_its_keys_is_reported_as_in_any_other(bench: Bench, text: str, message: str) -> None:
    (bench.root / "recipes/tiny/recipe.toml").write_text(text)
    done = bench.run("plan", "tiny", "--version", "1.0")
    assert done.returncode != 0
    assert message in done.stderr


def test_its_keys_are_settings_as_others_are(bench: Bench) -> None:
    done = bench.run("plan", "tiny", "--version", "1.0", "--explain")
    assert done.returncode == 0, done.stderr
    assert f"file://{bench.zip.parent}/tiny-{{version}}.zip" in done.stdout
    assert "recipes/tiny/recipe.toml:2" in done.stdout
