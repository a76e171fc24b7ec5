"""The published JSON schema of recipes, made from the models: editors complete and check by it."""

from __future__ import annotations

import json
from typing import Any

from wheelyard.project.recipe import RecipeFile

FILE = "docs/reference/schemas/recipe.schema.json"
_DRAFT = "http://json-schema.org/draft-07/schema#"


def recipe_schema() -> dict[str, Any]:
    """Return the schema of ``recipes/<package>/recipe.toml`` (JSON Schema draft 7, which editors of TOML know).

    What only code can judge is left to the tool: version specifiers, files that must exist, settings that exclude
    each other.
    """
    made = _plain(RecipeFile.model_json_schema(by_alias=True))
    defs = dict(sorted(made.pop("$defs").items()))
    return {"$schema": _DRAFT, "title": "wheelyard recipe", **made, "definitions": defs}


def schema_text() -> str:
    """Return the schema as its file holds it."""
    return json.dumps(recipe_schema(), indent=2, ensure_ascii=False) + "\n"


def _plain(node: Any) -> Any:
    """Drop what says nothing in TOML: null, which it has not, and titles that repeat their key."""
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
