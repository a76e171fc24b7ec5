"""Which image a word means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from wheelyard.core.errors import ConfigError
from wheelyard.images import ImageChoice, local_extras, official, resolve, suites
from wheelyard.project.recipe import Build

POLICY = "manylinux_2_39_riscv64"


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("auto", ImageChoice("auto")),
        ("official", ImageChoice("official")),
        ("local", ImageChoice("local", "trixie")),
        ("local:forky", ImageChoice("local", "forky")),
        ("local:trixie+emulated", ImageChoice("local", "trixie", emulated_compiler=True)),
        ("local+rust+fortran", ImageChoice("local", extras=("fortran", "rust"))),
    ],
)
def test_words(text: str, choice: ImageChoice) -> None:
    assert ImageChoice.parse(text) == choice


@pytest.mark.parametrize("text", ["", "ubuntu", "official:2", "auto:trixie", "local:", "official+rust", "LOCAL"])
def test_other_words_are_refused_with_what_there_is(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        ImageChoice.parse(text)
    assert "local:<suite>" in str(caught.value)


@given(st.sampled_from(suites()), st.booleans(), st.sets(st.sampled_from(local_extras())))
def test_a_local_choice_survives_being_written(suite: str, emulated: bool, extras: set[str]) -> None:
    choice = ImageChoice("local", suite, emulated, tuple(sorted(extras)))
    assert ImageChoice.parse(str(choice)) == choice


def test_extras_are_added_once() -> None:
    assert ImageChoice.parse("local+rust").with_extras(("rust", "fortran")).extras == ("fortran", "rust")


def test_the_official_image_is_cibuildwheels_own_pin_by_digest() -> None:
    image = official.resolve(POLICY)
    name, _, digest = image.reference.partition("@sha256:")
    assert name.endswith("/manylinux_2_39_riscv64")
    assert len(digest) == 64
    assert image.digest == f"sha256:{digest}"
    assert image.public
    assert {"cp313", "cp314t"} <= {str(each) for each in image.interpreters}
    assert (image.kind, image.glibc) == ("official", "2.39")


@pytest.mark.parametrize("word", ["$CI_JOB_TOKEN", "${X}", "%X%", "$(id)", "trixie\n", "../x", "${{ secrets.X }}"])
def test_what_a_forge_would_expand_is_no_suite_and_no_extra(word: str) -> None:
    """What is chosen is told to jobs, in a variable, and recipes name extras."""
    for choice in (ImageChoice("local", word), ImageChoice("local").with_extras((word,))):
        with pytest.raises(ConfigError):
            resolve(choice, POLICY, offline=True)
    assert str(resolve(ImageChoice("official").with_extras((word,)), POLICY).choice) == "official"
    with pytest.raises(ValidationError):
        Build.model_validate({"runner": word})
