from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import fastjsonschema
import pytest

from support.schemas import validator
from wheelyard.project.config import find_project
from wheelyard.project.loader import effective, list_recipes, load_recipe
from wheelyard.project.recipe import RecipeFile
from wheelyard.project.reference import pages

ROOT = Path(__file__).parents[3]
SHIPPED = sorted(ROOT.glob("recipes/*/recipe.toml"))
FRAGMENTS = sorted(ROOT.glob("recipes/_shared/*.toml"))


@pytest.fixture(scope="module")
def validate() -> Any:
    return validator("recipe")


@pytest.mark.parametrize("name", sorted(pages()))
def test_what_is_made_from_the_models_is_up_to_date(name: str) -> None:
    assert (ROOT / name).read_text(encoding="utf-8") == pages()[name], "run `nox -s docs`"


@pytest.mark.parametrize("file", [*SHIPPED, *FRAGMENTS], ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_shipped_recipes_obey_the_published_schema(file: Path, validate: Any) -> None:
    validate(tomllib.loads(file.read_text(encoding="utf-8")))


@pytest.mark.parametrize("package", list_recipes(find_project(ROOT)))
def test_shipped_recipes_are_valid(package: str) -> None:
    settings, explanation = effective(load_recipe(find_project(ROOT), package), None)
    assert settings.build.timeout > 0
    assert explanation["build.frontend"].where.startswith("pyproject.toml:")


GOOD = """\
[source]
git = "https://example.org/x"
tag = "v{minor}"
[build]
timeout = "3h"
frontend = "uv"
environment = { A = "1" }
cibuildwheel = { before-all = "true", environment = { B = "2" } }
[sdist]
timeout = 90
[interpreters]
only = ["cp313", "cp314t"]
[expect]
tags = ["cp38-abi3"]
[[patch]]
file = "a.patch"
why = "needed"
status = "Inappropriate [ours]"
[[version]]
match = ">1"
test.command = "true"
"""


def test_schema_and_models_agree_on_what_is_right(validate: Any) -> None:
    table = tomllib.loads(GOOD)
    validate(table)
    RecipeFile.model_validate(table)


@pytest.mark.parametrize(
    "text",
    [
        "x = 1",
        "[source]\ngitt = 'x'",
        "[source]\ngit = 'x'",
        "[build]\ntimeout = '3 days'",
        "[build]\ntimeout = 0",
        "[build]\nnetwork = 'yes'",
        "[build]\nfrontend = 'make'",
        "[build]\nneeds = 'x'",
        "[build]\nenvironment = { A = 1 }",
        "[interpreters]\nonly = ['py3']",
        "[expect]\ntags = ['cp313']",
        "[[patch]]\nfile = 'x'",
        "[[version]]\ntest.command = 'true'",
        "[[version]]\nmatch = '>1'\ntest.comand = 'true'",
    ],
)
def test_schema_and_models_agree_on_what_is_wrong(text: str, validate: Any) -> None:
    table = tomllib.loads(text)
    with pytest.raises(fastjsonschema.JsonSchemaException):
        validate(table)
    with pytest.raises(ValueError, match="validation error"):
        RecipeFile.model_validate(table)


def test_every_key_of_the_models_is_in_the_reference() -> None:
    page = pages()["docs/reference/recipe.md"]
    for name, field in RecipeFile.model_fields.items():
        heading = (
            f"`[[{name}]]`" if field.annotation is not None and "tuple" in str(field.annotation) else f"`[{name}]`"
        )
        assert f"## {heading}\n" in page
    assert page.count("| required |") == 4
