"""What tests against a public index, or of the tokens of a GitLab, begin with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.gitlab import serve
from support.index import IndexServer
from support.project import make_project
from support.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from wheelyard.project.config import Project


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[IndexServer]:
    with IndexServer() as server:
        monkeypatch.setenv("WHEELYARD_INDEX", server.url)
        monkeypatch.setenv("WHEELYARD_CACHE", str(tmp_path / "cache"))
        yield server


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "yard").mkdir()
    return make_project(tmp_path / "yard")


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Watch]:
    made = Watch(tmp_path)
    with serve(made.gitlab) as server:
        made.settle(server.url)
        yield made
