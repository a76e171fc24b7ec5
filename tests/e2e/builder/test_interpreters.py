"""Several interpreters: an image that has them, jobs at once, and only what is missing built again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from support.tiny import add_tiny

if TYPE_CHECKING:
    from pathlib import Path

    from support.site import Site

BOTH = ("cp313", "cp314")
FORKY = ("--image", "local:forky")


@pytest.fixture
def both(site: Site) -> Site:
    add_tiny(site.index, pythons=BOTH)
    site.pythons = BOTH
    site.recipe('[test]\ncommand = "python {project}/test_tiny.py"\n')
    return site


def tags(wheels: list[Path]) -> list[str]:
    return [wheel.name.split("-")[2] for wheel in wheels]


def test_jobs_at_once_and_only_what_is_missing(both: Site) -> None:
    code, output = both.build(*FORKY, "--jobs", "2")
    assert code == 0, output
    assert tags(both.wheels) == list(BOTH)
    folder = both.wheels[0].parent
    verdict = json.loads((folder / "verdict.json").read_text())
    assert {item["wheel"] for item in verdict["wheels"]} == {wheel.name for wheel in both.wheels}
    both.wheels[1].unlink()
    code, output = both.build(*FORKY)
    assert code == 0, output
    assert "Building wheel (cp314)" in output
    assert "Building wheel (cp313)" not in output
    assert tags(both.wheels) == list(BOTH)


def test_one_interpreter_of_several(both: Site) -> None:
    code, output = both.build(*FORKY, "--python", "cp314")
    assert code == 0, output
    assert tags(both.wheels) == ["cp314"]


def test_one_of_two_jobs_fails_and_the_other_is_kept(both: Site) -> None:
    failing = "[test]\ncommand = \"python -c 'import sys; sys.exit(sys.version_info.minor == 14)'\"\n"
    both.recipe(failing)
    code, output = both.build(*FORKY, "--jobs", "2")
    assert code == 41, output
    assert tags(both.wheels) == ["cp313"]
    both.recipe(
        '[test]\ncommand = "python -c \'import sys; sys.exit(sys.version_info.minor == 14)\'"\nskip = ["cp314"]\n'
    )
    code, output = both.build(*FORKY)
    assert code == 0, output
    assert tags(both.wheels) == list(BOTH)


def test_an_interpreter_that_the_image_lacks(both: Site) -> None:
    code, output = both.build("--python", "cp314")
    assert code == 20, output
    assert "does not have it" in output
