"""What tests against a public index on the loopback begin with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.index import IndexServer
from support.project import make_project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from wheelyard.recipe.policy import Project


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
