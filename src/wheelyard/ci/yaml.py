"""Just enough YAML: mappings, lists, strings, numbers and truth, written the same way every time.

Every string is double-quoted, as JSON writes it (YAML 1.2.2, 7.3.1), so that none can be taken for anything else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

_PLAIN = re.compile(r"\A[A-Za-z_.][A-Za-z0-9_.-]*\Z")
# YAML 1.1 readers, GitLab's among them, take these for truth or nothing (yaml.org/type/bool.html).
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "."})


def dump(value: Mapping[str, object]) -> str:
    """Return *value* as YAML.

    Raises:
        TypeError: something in it is of no kind that is written.
    """
    return "\n".join([*_mapping(value, ""), ""])


def _mapping(value: Mapping[str, object], indent: str) -> list[str]:
    lines = []
    for key, inner in value.items():
        name = key if _PLAIN.match(key) and key.lower() not in _WORDS else _text(key)
        if isinstance(inner, Mapping) and inner:
            lines += [f"{indent}{name}:", *_mapping(inner, f"{indent}  ")]
        elif isinstance(inner, list | tuple) and inner:
            lines += [f"{indent}{name}:", *_list(inner, f"{indent}  ")]
        else:
            lines.append(f"{indent}{name}: {_scalar(inner)}")
    return lines


def _list(value: Sequence[object], indent: str) -> list[str]:
    lines = []
    for inner in value:
        if isinstance(inner, Mapping) and inner:
            first, *rest = _mapping(inner, f"{indent}  ")
            lines += [f"{indent}- {first.strip()}", *rest]
        else:
            lines.append(f"{indent}- {_scalar(inner)}")
    return lines


def _scalar(value: object) -> str:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bool | int):
        return json.dumps(value)
    if value in ({}, [], ()):
        return "{}" if isinstance(value, Mapping) else "[]"
    raise TypeError(f"{type(value).__name__} is not written as YAML")


def _text(value: str) -> str:
    quoted = json.dumps(value, ensure_ascii=False)
    return "".join(char if char.isprintable() else _escape(ord(char)) for char in quoted)


def _escape(code: int) -> str:
    if code > 0xFFFF:  # noqa: PLR2004 - the longest that \u holds
        return f"\\U{code:08X}"
    return f"\\u{code:04X}"
