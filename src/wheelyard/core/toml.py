"""Read TOML of any origin: every mistake is a ``TOMLDecodeError``, and reading always ends."""

from __future__ import annotations

import re
import tomllib
from typing import Any

# tomllib keeps every prefix of a dotted key: memory grows with the square of its parts.
_PART = r"""(?:[A-Za-z0-9_-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+"""
_LONG_KEY = re.compile(rf"(?<![A-Za-z0-9_-]){_PART}(?:\.[ \t]*+{_PART}){{100}}")


def loads(text: str) -> dict[str, Any]:
    """Return the table of *text* (TOML 1.0.0, toml.io).

    Raises:
        tomllib.TOMLDecodeError: it is not valid, or nested too deeply, or holds a number of thousands of digits.
    """
    if match := _LONG_KEY.search(text):
        line = text.count("\n", 0, match.start()) + 1
        raise tomllib.TOMLDecodeError(f"A key of more than 100 parts (at line {line}, column 1)")
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise tomllib.TOMLDecodeError("It is nested too deeply") from error
    except tomllib.TOMLDecodeError:
        raise
    except ValueError as error:  # int() refuses thousands of digits
        raise tomllib.TOMLDecodeError(str(error)) from error
