"""The published JSON schemas, as validators."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fastjsonschema

if TYPE_CHECKING:
    from collections.abc import Callable

SCHEMAS = Path(__file__).parents[2] / "docs/reference/schemas"


def schema(stem: str) -> dict[str, Any]:
    """Return the schema ``docs/reference/schemas/<stem>.schema.json``."""
    value: dict[str, Any] = json.loads((SCHEMAS / f"{stem}.schema.json").read_text(encoding="utf-8"))
    return value


def validator(stem: str) -> Callable[[Any], Any]:
    """Return a function that checks a value against a schema and raises ``JsonSchemaException``."""
    check: Callable[[Any], Any] = fastjsonschema.compile(schema(stem))
    return check
