"""Records of one line an entry, so that git joins two branches' lines by itself: how they are written and refused."""

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pydantic import ValidationError

    from wheelyard.core.toml_positions import Path as KeyPath
    from wheelyard.records.models import Model


def dump(header: str, schema: str, key: str, entries: Iterable[Model]) -> str:
    """Return the text of a record of layout 1: *entries* under *key*, a line each, without what is empty."""
    lines = [f"  {_inline(entry)}," for entry in entries]
    return "\n".join([f'{header}schema = "{schema}"', "layout = 1", f"{key} = [", *lines, "]", ""])


def _inline(entry: Model) -> str:
    table = entry.model_dump(exclude_defaults=True)
    return "{ " + ", ".join(f"{key} = {_value(value)}" for key, value in table.items()) + " }"


def _value(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    if isinstance(value, date):
        return value.isoformat()
    # A JSON string is a TOML basic string, but for DEL, which TOML wants escaped (TOML 1.0, "String").
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def told(error: ValidationError, key: KeyPath = ()) -> Iterator[tuple[KeyPath, str]]:
    """Yield each thing that is wrong, with its place below *key*."""
    for item in error.errors(include_url=False):
        yield (*key, *item["loc"]), f"{'.'.join(map(str, item['loc']))}: {item['msg']}"
