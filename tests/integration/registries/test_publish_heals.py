"""Publishing what is there already mends an index folder: a killed run, or a person, may have left its pages wrong."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from support.built_wheels import BuiltWheels
from support.killing import shape
from support.wheels import WheelSpec

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DAMAGE: dict[str, Callable[[Path], object]] = {
    "a project's page is gone": lambda index: (index / "simple/demo/index.html").unlink(),
    "a project's page is empty": lambda index: (index / "simple/demo/index.json").write_bytes(b""),
    "a project's page lists nothing": lambda index: shutil.copy(
        index / "simple/index.json", index / "simple/demo/index.json"
    ),
    "the root page is gone": lambda index: (index / "simple/index.html").unlink(),
    "all pages are gone": lambda index: shutil.rmtree(index / "simple"),
    "the wheel is cut short": lambda index: next(index.glob("files/demo/*.whl")).write_bytes(b"PK"),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_a_wheel_that_is_skipped_mends_the_folder(tmp_path: Path, what: str) -> None:
    stock = BuiltWheels(tmp_path / "project")
    stock.add(WheelSpec(), WheelSpec(name="other"))
    index = stock.root / "index"
    done = stock.run("publish", "--to", "./index")
    assert done.returncode == 0, done.stderr
    whole = shape(index)
    assert any(name.startswith("simple/demo/") for name in whole)
    DAMAGE[what](index)
    assert shape(index) != whole
    done = stock.run("publish", "--to", "./index")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("skip  ") == 2
    assert shape(index) == whole
