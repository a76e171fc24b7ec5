"""The recipe's reference page and JSON schema, made from the models.

The page has a table's docstring and a key's type, default and description; editors complete and check by the schema.
"""

from __future__ import annotations

import json
from enum import Enum
from typing import TYPE_CHECKING, Any, get_args

from wheelyard.project.recipe import RecipeFile, Settings, VersionOverride

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic import BaseModel

FILE = "docs/reference/recipe.md"
SCHEMA_FILE = "docs/reference/schemas/recipe.schema.json"
_DRAFT = "http://json-schema.org/draft-07/schema#"

_HEAD = """\
# Recipes: the reference

<!-- Made from src/wheelyard/project/recipe.py by `nox -s docs`; change it there. -->

A recipe says how one package is built for riscv64: `recipes/<package>/recipe.toml`, where the folder bears the
package's [canonical name](https://packaging.python.org/en/latest/specifications/name-normalization/). Everything has a
default, so the shortest recipe is an empty file: the sdist from the package index, built with upstream's own
cibuildwheel configuration, into the wheels that upstream publishes for aarch64 or x86-64.

```toml
[test]
requires = ["pytest"]
command = "pytest {project}/tests"
```

Patches and scripts lie beside `recipe.toml` in the same folder. A mistake in a recipe is reported with its file and
line, and all mistakes at once. [recipe.schema.json](schemas/recipe.schema.json) is the same reference for editors.

## Where a setting comes from

Four layers, the later over the earlier:

1. the site's `[tool.wheelyard.defaults]` in `pyproject.toml`;
2. fragments, `recipes/_shared/<name>.toml`, that the recipe names in `[build] uses`, in that order;
3. the recipe;
4. those of its `[[version]]` overrides whose `match` contains the version, in the order they are written.

Tables are merged key by key, at any depth; `[[patch]]` entries are added to those before; anything else, lists
included, replaces what was there. Fragments and site defaults hold neither patches nor `uses`.
`wheelyard plan --explain <package>` prints every setting with the file and line that gave it.

```toml
[build]
uses = ["rust"]

[[version]]
match = "<2"
build.timeout = "6h"
test.command = "python -m unittest"
```
"""

_TAIL = """\
## Options of cibuildwheel

`[build.cibuildwheel]` takes the options that
[an override of cibuildwheel](https://cibuildwheel.pypa.io/en/stable/configuration/#overrides) may set, under their
names in its `pyproject.toml` table; unknown ones are reported. What the tool decides is said elsewhere: `build` and
`skip` in `[interpreters]`, `test-skip` in `[test] skip`, `build-frontend` in `[build] frontend`, images and `enable` by
the site; what would run on the building machine (`audit-command`) nowhere. `test-environment` is said in `[test]`;
`test-command`, `test-requires` and `test-extras` are said either there or in `[test]`, not in both.
"""

# What a type is called, by its JSON schema.
_WORDS = {"string": "string", "boolean": "true or false", "integer": "number", "object": "table"}


def pages() -> dict[str, str]:
    """Return the generated files: path, relative to the project's folder, to text."""
    return {FILE: recipe_page(), SCHEMA_FILE: schema_text()}


def recipe_page() -> str:
    """Return the text of ``docs/reference/recipe.md``."""
    published = recipe_schema()
    sections = [_HEAD]
    for name, field in Settings.model_fields.items():
        model = _model(field.annotation)
        heading = f"## `[[{name}]]`" if field.annotation is not model else f"## `[{name}]`"
        sections.append(_section(heading, model, published))
    own = {name: field for name, field in VersionOverride.model_fields.items() if name not in Settings.model_fields}
    rows = _rows(own, published["definitions"]["VersionOverride"]["properties"], published)
    lead = f"{_text(VersionOverride)} {RecipeFile.model_fields['version'].description}"
    sections.append("\n".join(["## `[[version]]`", "", lead, "", *rows, ""]))
    return "\n".join([*sections, _TAIL])


def _section(heading: str, model: type[BaseModel], published: Mapping[str, Any]) -> str:
    properties = published["definitions"][model.__name__]["properties"]
    return "\n".join([heading, "", _text(model), "", *_rows(model.model_fields, properties, published), ""])


def _rows(fields: Mapping[str, Any], properties: Mapping[str, Any], published: Mapping[str, Any]) -> Iterator[str]:
    yield "| key | type | default | meaning |"
    yield "|---|---|---|---|"
    for name, field in fields.items():
        key = field.alias or name
        default = "required" if field.is_required() else _default(field.get_default(call_default_factory=True))
        yield f"| `{key}` | {_type(properties[key], published)} | {default} | {field.description} |"


def _type(node: Mapping[str, Any], published: Mapping[str, Any]) -> str:
    if reference := node.get("$ref"):
        return _type(published["definitions"][reference.rpartition("/")[2]], published)
    if "enum" in node:
        return " or ".join(f"`{word}`" for word in node["enum"])
    if "anyOf" in node:  # the only such type: seconds, or a string with a unit
        return "duration such as `45min` or `3h`, or seconds"
    if node.get("type") == "array":
        return f"list of {_type(node['items'], published)}s"
    if isinstance(node.get("additionalProperties"), dict):
        return f"table of {_type(node['additionalProperties'], published)}s"
    return _WORDS[node["type"]]


def _default(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, Enum):
        value = value.value
    text = json.dumps(value, ensure_ascii=False)
    return {"[]": "empty", "{}": "empty"}.get(text, f"`{text}`")


def _text(model: type[BaseModel]) -> str:
    return " ".join((model.__doc__ or "").split())


def _model(annotation: Any) -> Any:
    arguments = get_args(annotation)
    return arguments[0] if arguments else annotation


# -------------------------------------------------------------------- schema


def recipe_schema() -> dict[str, Any]:
    """Return the schema of ``recipes/<package>/recipe.toml`` (JSON Schema draft 7, which editors of TOML know).

    The tool checks the rest: version specifiers, files that must exist, settings that exclude each other.
    """
    schema = _plain(RecipeFile.model_json_schema(by_alias=True))
    definitions = dict(sorted(schema.pop("$defs").items()))
    return {"$schema": _DRAFT, "title": "wheelyard recipe", **schema, "definitions": definitions}


def schema_text() -> str:
    """Return the text of the schema's file."""
    return json.dumps(recipe_schema(), indent=2, ensure_ascii=False) + "\n"


def _plain(node: Any) -> Any:
    """Remove null, which TOML has not, and titles that repeat their key."""
    if isinstance(node, list):
        return [_plain(item) for item in node]
    if isinstance(node, str):
        return node.replace("#/$defs/", "#/definitions/")
    if not isinstance(node, dict):
        return node
    plain: dict[str, Any] = {}
    for key, value in node.items():
        if key in {"properties", "$defs"}:
            plain[key] = {name: _plain(inner) for name, inner in value.items()}
        elif key != "title" and not (key == "default" and value is None):
            plain[key] = _plain(value)
    options = [option for option in plain.get("anyOf", []) if option != {"type": "null"}]
    if len(options) == 1:
        del plain["anyOf"]
        plain = {**options[0], **plain}
    elif options:
        plain["anyOf"] = options
    return plain
