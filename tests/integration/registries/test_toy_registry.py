"""A registry that another distribution brings: wheels in one JSON file, through the public seam and real verbs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from support.built_wheels import BuiltWheels, specs
from support.plugin import install
from wheelyard.core.digests import sha256_file
from wheelyard.records.releases import RELEASES

if TYPE_CHECKING:
    from pathlib import Path

KIND = '''\
"""Wheels in a JSON file, in base64."""

import base64
import json
from typing import Literal

from pydantic import Field

from wheelyard.core.digests import sha256_bytes
from wheelyard.core.errors import ConflictError, PublishError, RegistryContentError
from wheelyard.project.config_registries import RegistryConfig
from wheelyard.registries.registry import RegistryFile


class JsonConfig(RegistryConfig):
    adapter = "toy_registry:JsonRegistry"
    kind: Literal["json"] = Field(description="`json`")
    path: str = Field(description="The file.")


class JsonRegistry:
    parallel = 1
    folder = None

    def __init__(self, path):
        self._path = path

    @classmethod
    def open(cls, config, *, name, root):
        return cls(root / config.path)

    @property
    def title(self):
        return str(self._path)

    @property
    def index_url(self):
        return "https://toy.example/simple/"

    def is_public(self):
        return True

    def sizes(self, project):
        return {(name, sha256_bytes(data)): len(data) for name, data in self._read().get(project, {}).items()}

    def source_store(self):
        raise PublishError(f"{self.title} takes no sources")

    def projects(self):
        return tuple(sorted(self._read()))

    def files(self, project):
        wheels = self._read().get(project, {})
        return tuple(
            RegistryFile(name, sha256_bytes(data), url=f"https://toy.example/{name}")
            for name, data in sorted(wheels.items())
        )

    def check_access(self):
        pass

    def put(self, release, *, advance=lambda size: None, stop=None):
        wheels = self._read()
        there = wheels.setdefault(release.project, {})
        data = release.path.read_bytes()
        if there.setdefault(release.name.file, data) != data:
            raise ConflictError(f"{release.name.file} is there with other bytes")
        text = {name: {file: base64.b64encode(data).decode() for file, data in files.items()}
                for name, files in wheels.items()}
        self._path.write_text(json.dumps(text))
        advance(release.size)
        return True

    def confirm(self, project, file, sha256):
        if sha256_bytes(self._read()[project][file]) != sha256:
            raise RegistryContentError(f"{file} has other bytes")

    def fetch(self, project, file, target):
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(self._read()[project][file.file])

    def remove(self, project, wheels, *, staying=()):
        raise PublishError("nothing is ever removed")

    def yank(self, project, file, reason):
        return False

    def _read(self):
        if not self._path.exists():
            return {}
        text = json.loads(self._path.read_text())
        return {name: {file: base64.b64decode(data) for file, data in files.items()} for name, files in text.items()}
'''
CONFIG = """\
[tool.wheelyard]
interpreters = ["cp313"]
policy = "manylinux_2_39_riscv64"

[tool.wheelyard.registries.toy]
kind = "json"
path = "wheels.json"
"""


@pytest.fixture
def stock(tmp_path: Path) -> BuiltWheels:
    made = BuiltWheels(tmp_path / "project")
    (made.root / "pyproject.toml").write_text(CONFIG)
    made.env |= install(
        tmp_path / "other", {"toy_registry": KIND}, "[wheelyard.registries]\njson = toy_registry:JsonConfig\n"
    )
    return made


def test_wheels_are_published_listed_and_verified(stock: BuiltWheels, tmp_path: Path) -> None:
    wheels = stock.add(*specs(2))
    (stock.root / "recipes/demo").mkdir()
    (stock.root / "recipes/demo/recipe.toml").touch()
    done = stock.run("publish", "--to", "toy")
    assert done.returncode == 0, done.stderr
    assert "--extra-index-url https://toy.example/simple/" in done.stdout
    hashes = {path.name: sha256_file(path) for path in wheels}
    entries = RELEASES.read(RELEASES.path(stock.root / "packages", "demo"))
    assert {entry.file: (entry.where, entry.sha256) for entry in entries} == {
        name: ("toy", sha256) for name, sha256 in hashes.items()
    }
    again = stock.run("publish", "--to", "toy")
    assert "2 there before" in again.stdout, again.stdout + again.stderr
    listing = json.loads(stock.run("registry", "list", "--sizes", "--json").stdout)
    assert {file["file"]: (file["sha256"], file["size"]) for file in listing["packages"]["demo"]} == {
        path.name: (sha256_file(path), path.stat().st_size) for path in wheels
    }
    verified = stock.run("registry", "verify", "--download")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    mirrored = stock.run("registry", "mirror", "--registry", "toy", "--to", f"{tmp_path}/copy")
    assert mirrored.returncode == 0, mirrored.stderr
    assert {path.name: sha256_file(path) for path in (tmp_path / "copy/files/demo").glob("*.whl")} == hashes


def test_verify_reports_a_damaged_file(stock: BuiltWheels) -> None:
    stock.add(*specs(1))
    assert stock.run("publish", "--to", "toy").returncode == 0
    file = stock.root / "wheels.json"
    wheels = json.loads(file.read_text())
    (name,) = wheels["demo"]
    wheels["demo"][name] = "AAAA"
    file.write_text(json.dumps(wheels))
    done = stock.run("registry", "verify", "--json")
    assert done.returncode != 0
    assert {problem["kind"] for problem in json.loads(done.stdout)["problems"]} >= {"differs"}


def test_static_pages_of_an_empty_one_are_written(stock: BuiltWheels) -> None:
    done = stock.run("registry", "index", "--out", "pages")
    assert done.returncode == 0, done.stderr
    assert "0 files of 0 packages" in done.stdout


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ('kind = "jsonn"\n', "kind must be one of 'directory', 'gitlab', 'json', not 'jsonn' (did you mean 'json'?)"),
        ('kind = "json"\n', "tool.wheelyard.registries.toy.path: Field required"),
        ('kind = "json"\npath = "x"\nkeeep = 1\n', "tool.wheelyard.registries.toy.keeep: Extra inputs"),
        ('path = "x"\n', "kind must be one of 'directory', 'gitlab', 'json', not None"),
    ],
)
def test_a_mistake_in_its_settings_is_reported_with_its_key(stock: BuiltWheels, config: str, message: str) -> None:
    (stock.root / "pyproject.toml").write_text(CONFIG.partition("kind")[0] + config)
    done = stock.run("registry", "list")
    assert done.returncode != 0
    assert message in done.stderr
