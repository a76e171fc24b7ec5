"""Real riscv64 wheels: one yard, filled once, that all end-to-end tests look at."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from support.built_recipes import AFTER, AT_ONCE, RECIPES, BuiltRecipes, copy_project, wheelyard
from support.index import IndexServer
from support.site import Site

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Make a project whose only package is built in seconds."""
    with IndexServer() as index:
        yield Site(tmp_path, index)


@pytest.fixture(scope="session")
def yard(tmp_path_factory: pytest.TempPathFactory) -> BuiltRecipes:
    """Build every recipe on the local image, and put what passes into the index folder."""
    root = copy_project(tmp_path_factory.mktemp("yard") / "project")
    made = wheelyard(root, "image", "build", "local", timeout=1200)
    assert made.returncode == 0, made.stderr
    results: dict[str, subprocess.CompletedProcess[str]] = {}

    def build(package: str) -> None:
        results[package] = wheelyard(root, "build", package, "--image", "local", timeout=3600)
        for later in (name for name, first in AFTER.items() if first == package):
            wheelyard(root, "publish", "--to", "dist/index", package)
            build(later)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(build, [name for name in RECIPES if name not in AFTER]))
    results["publish"] = wheelyard(root, "publish", "--to", "dist/index")
    return BuiltRecipes(root, results)
