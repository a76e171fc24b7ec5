"""The public index as it is now: every recipe's package is found, and a second run learns nothing new."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from support.built_recipes import RECIPES, copy_project, wheelyard
from support.schemas import validator
from wheelyard.records.history import HISTORY, UPSTREAM

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = copy_project(tmp_path_factory.mktemp("watch") / "project")
    for path in root.glob("packages/*/history.toml"):
        path.unlink()
    return root


def standings(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode in {0, 17}, done.stderr
    value = json.loads(done.stdout)
    validator("upstream")(value)
    return {each["package"]: each for each in value["packages"]}


def test_every_recipe_stands_somewhere(project: Path) -> None:
    found = standings(wheelyard(project, "check-upstream", "--registry", "none", "--json"))
    assert set(found) == set(RECIPES)
    # All of these are on the public index, under these names, and have been for years.
    assert not {each["state"] for each in found.values()} & {"error", "gone", "renamed"}
    assert all(each["newest"] for each in found.values())
    ledgers = {package: HISTORY.read(HISTORY.path(project / "packages", package)) for package in RECIPES}
    for package, facts in ledgers.items():
        released = {each.version for each in facts if (each.where, each.wheel) == (UPSTREAM, "")}
        assert {found[package]["newest"], found[package]["pinned"]} - {""} <= released
    assert standings(wheelyard(project, "check-upstream", "--registry", "none", "--json")) == found
    assert ledgers == {package: HISTORY.read(HISTORY.path(project / "packages", package)) for package in RECIPES}


def test_history_is_told_from_what_was_written(project: Path) -> None:
    done = wheelyard(project, "history", "--json", "PyYAML")
    assert done.returncode == 0, done.stderr
    (package,) = json.loads(done.stdout)["packages"]
    assert package["package"] == "pyyaml"
    assert all(version["released"] for version in package["versions"])
