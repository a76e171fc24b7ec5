"""What local images are made by, and what their names depend on."""

from __future__ import annotations

import re

import pytest

from wheelyard.core.errors import ConfigError
from wheelyard.images import ImageChoice, local_extras, suites
from wheelyard.images.local import definition

POLICY = "manylinux_2_39_riscv64"


def load(text: str) -> definition.Definition:
    return definition.load(ImageChoice.parse(text), POLICY)


@pytest.mark.parametrize("suite", suites())
def test_every_shipped_suite_loads(suite: str) -> None:
    made = load(f"local:{suite}")
    assert made.interpreters
    assert re.fullmatch(rf"localhost/wheelyard/{POLICY}:{suite}-[0-9a-f]{{12}}", made.reference)
    for interpreter in made.interpreters:
        assert f"python{interpreter.version}-dev" in made.packages


def test_the_name_depends_on_what_makes_the_image() -> None:
    texts = ["local", "local:forky", "local+emulated", *(f"local+{extra}" for extra in local_extras())]
    digests = {load(text).digest for text in texts}
    assert len(digests) == len(texts)
    other = definition.load(ImageChoice.parse("local"), "manylinux_2_41_riscv64")
    assert other.digest not in digests


def test_the_local_image_is_not_public_and_known_before_it_is_made() -> None:
    image = load("local:forky").image()
    assert not image.public
    assert image.digest == ""
    assert [str(each) for each in image.interpreters] == ["cp313", "cp314", "cp315"]


def test_an_emulated_image_has_no_compiler_of_this_machine() -> None:
    assert load("local+emulated").hosted == ()


def test_unknown_words_are_answered_with_the_near_one() -> None:
    with pytest.raises(ConfigError, match="perhaps you meant 'trixie'"):
        load("local:trixy")
    with pytest.raises(ConfigError, match="perhaps you meant 'rust'"):
        load("local+rusty")


def test_every_tool_is_locked_by_hash() -> None:
    made = load("local")
    pins = {pin.name: pin for pin in made.pins()}
    assert all(pin.hashes for pin in pins.values())
    assert set(made.interpreter_wheels) <= set(pins)
    # One lock entry per requirement line: the parser must not lose any.
    assert len(pins) == made.requirements.count("==")
    assert "://" not in made.requirements
