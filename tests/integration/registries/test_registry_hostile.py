"""A registry that lies: names that leave their folder, pages that are none, files that are not what they were."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from support.built_wheels import BuiltWheels
from support.index import JSON, Fault, IndexServer
from support.wheels import WheelSpec
from wheelyard.core.digests import sha256_file
from wheelyard.core.errors import NetworkError, RegistryContentError
from wheelyard.registries import GitLabRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BASE = "/api/v4/projects/it/packages/pypi"
NAMES = ["../../evil.whl", "/etc/passwd", "..", ".hidden.whl", "a\\b.whl", "a\x1b[31m.whl", "a b.whl", ""]


@pytest.fixture
def server() -> Iterator[IndexServer]:
    with IndexServer() as made:
        yield made


def page(server: IndexServer, project: str, *files: dict[str, object]) -> None:
    body = {"meta": {"api-version": "1.1"}, "name": project, "versions": [], "files": files}
    server.add_static(f"{BASE}/simple/{project}", json.dumps(body).encode(), JSON)
    root = f'<html><body><a href="{project}">{project}</a></body></html>'
    server.add_static(f"{BASE}/simple", root.encode(), "text/html")


@pytest.mark.parametrize("name", NAMES)
def test_a_file_name_that_is_none(server: IndexServer, tmp_path: Path, name: str) -> None:
    page(server, "demo", {"filename": name, "url": "x", "hashes": {"sha256": "0" * 64}})
    with pytest.raises((RegistryContentError, NetworkError)):
        GitLabRegistry(server.root, "it", None).files("demo")
    stock = BuiltWheels(tmp_path / "project", server.root)
    text = (stock.root / "pyproject.toml").read_text().replace("riseproject/python/wheel_builder", "it")
    (stock.root / "pyproject.toml").write_text(text)
    before = {path for path in tmp_path.rglob("*") if "cache" not in path.parts}
    done = stock.run("registry", "mirror", "--registry", "gitlab", "--to", "./copy")
    assert done.returncode in {60, 63, 70}, done.stderr
    assert "\x1b" not in done.stderr
    new = {path for path in tmp_path.rglob("*") if "cache" not in path.parts} - before
    assert not [path for path in new if path.is_file() and path.suffix == ".whl"]


@pytest.mark.parametrize("name", ["../evil", "a/b", "", "-", "a b"])
def test_a_project_name_that_is_none(server: IndexServer, name: str) -> None:
    root = f'<html><body><a href="x">{name}</a></body></html>'
    server.add_static(f"{BASE}/simple", root.encode(), "text/html")
    with pytest.raises(RegistryContentError, match="no name at all"):
        GitLabRegistry(server.root, "it", None).projects()


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"files": 1}', b"\xff\xfe", b'{"meta": {"api-version": "9.0"}}'])
def test_a_page_that_is_none(server: IndexServer, body: bytes) -> None:
    server.add_static(f"{BASE}/simple/demo", body, JSON)
    with pytest.raises(NetworkError):
        GitLabRegistry(server.root, "it", None).files("demo")


def test_a_file_that_is_not_what_the_index_says_is_not_kept(server: IndexServer, tmp_path: Path) -> None:
    wheel = WheelSpec().write(tmp_path)
    sha256 = sha256_file(wheel)
    page(server, "demo", {"filename": wheel.name, "url": "x", "hashes": {"sha256": sha256}})
    path = f"{BASE}/files/{sha256}/{wheel.name}"
    server.add_static(path, wheel.read_bytes())
    server.fault(path, Fault(body=b"something else"))
    stock = BuiltWheels(tmp_path / "project", server.root)
    text = (stock.root / "pyproject.toml").read_text().replace("riseproject/python/wheel_builder", "it")
    (stock.root / "pyproject.toml").write_text(text)
    done = stock.run("registry", "mirror", "--registry", "gitlab", "--to", "./copy")
    assert done.returncode == 60, done.stderr
    assert "is not the file that was promised" in done.stderr
    assert list((stock.root / "copy").rglob("*.whl")) == []
    server.heal()
    done = stock.run("registry", "mirror", "--registry", "gitlab", "--to", "./copy")
    assert done.returncode == 0, done.stderr
    assert [sha256_file(path) for path in (stock.root / "copy").rglob("*.whl")] == [sha256]
