"""Read TOML of any origin, and find the line of each key, which error messages need.

Every mistake is a ``TOMLDecodeError``, and reading always ends.
"""

from __future__ import annotations

import contextlib
import re
import tomllib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

Path = tuple[str | int, ...]

_BLANK = " \t"
_BARE_ENDS = " \t\r\n=.]#,[{}\"'"
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


def key_lines(text: str) -> Mapping[Path, int]:
    """Return the line, counted from 1, on which each key and each array item of *text* is first written.

    A path is made of keys and, in arrays and arrays of tables, of indices counted from 0. *text* must be valid
    TOML (TOML 1.0.0, toml.io); for other text the mapping has the keys before the first mistake. It never raises
    and always ends: an unknown line must not hide the error that it belongs to.
    """
    scanner = _Scanner(text)
    with contextlib.suppress(IndexError, ValueError, RecursionError):
        scanner.document()
    return scanner.lines


def line_of(lines: Mapping[Path, int], path: Path) -> int:
    """Return the line of *path*, or of the innermost table around it that has one; the first line otherwise."""
    for end in range(len(path), 0, -1):
        if path[:end] in lines:
            return lines[path[:end]]
    return 1


class _Scanner:
    """A scanner that notes the lines of keys and skips values; tomllib decides whether the text is valid."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.line = 1
        self.lines: dict[Path, int] = {}
        self.counts: dict[Path, int] = {}  # arrays of tables: how many there are so far

    def document(self) -> None:
        table: Path = ()
        while self._skip(newlines=True):
            if self.text.startswith("[[", self.at):
                table = self._header(double=True)
            elif self.text[self.at] == "[":
                table = self._header(double=False)
            else:
                self._pair(table)

    def _header(self, *, double: bool) -> Path:
        line = self.line
        self._advance(2 if double else 1)
        keys = self._keys()
        self._advance(2 if double else 1)
        path: Path = ()
        for key in keys[:-1]:
            path = self._newest((*path, key), line)
        path = (*path, keys[-1])
        if not double:
            return self._newest(path, line)
        self._note(path, line)
        index = self.counts.get(path, 0)
        self.counts[path] = index + 1
        self._note((*path, index), line)
        return (*path, index)

    def _newest(self, path: Path, line: int) -> Path:
        """A header that goes through an array of tables means its newest element."""
        self._note(path, line)
        return (*path, self.counts[path] - 1) if path in self.counts else path

    def _pair(self, table: Path) -> None:
        line = self.line
        path = table
        for key in self._keys():
            path = (*path, key)
            self._note(path, line)
        self._advance(1)  # the equals sign
        self._value(path)

    def _value(self, path: Path) -> None:
        self._skip(newlines=False)
        char = self.text[self.at]
        if char in "\"'":
            self._string()
        elif char == "[":
            self._sequence(path, "]")
        elif char == "{":
            self._sequence(path, "}")
        else:
            start = self.at
            while self.at < len(self.text) and self.text[self.at] not in ",]}#\r\n":
                self._advance(1)
            if self.at == start:  # an array would look for its next item here for ever
                raise ValueError(f"no value on line {self.line}")

    def _sequence(self, path: Path, end: str) -> None:
        """An array, or an inline table."""
        self._advance(1)
        index = 0
        while self._skip(newlines=True) and self.text[self.at] != end:
            if end == "]":
                self._note((*path, index), self.line)
                self._value((*path, index))
            else:
                self._pair(path)
            index += 1
            self._skip(newlines=True)
            if self.text[self.at] == ",":
                self._advance(1)
        self._advance(1)

    def _keys(self) -> list[str]:
        keys = [self._key()]
        while self._skip(newlines=False) and self.text[self.at] == ".":
            self._advance(1)
            keys.append(self._key())
        return keys

    def _key(self) -> str:
        self._skip(newlines=False)
        start = self.at
        if self.text[start] in "\"'":
            self._string()
            (key,) = tomllib.loads(f"{self.text[start : self.at]} = 0")
            return key
        while self.text[self.at] not in _BARE_ENDS:
            self._advance(1)
        if self.at == start:
            raise ValueError(f"no key on line {self.line}")
        return self.text[start : self.at]

    def _string(self) -> None:
        quote = self.text[self.at]
        triple = self.text.startswith(quote * 3, self.at)
        mark = quote * 3 if triple else quote
        self._advance(len(mark))
        while not self.text.startswith(mark, self.at):
            escaped = quote == '"' and self.text[self.at] == "\\"
            self._advance(2 if escaped else 1)
        self._advance(len(mark))
        # Up to two quotes may stand right before the closing three: the string then ends with them.
        while triple and self.at < len(self.text) and self.text[self.at] == quote:
            self._advance(1)

    def _skip(self, *, newlines: bool) -> bool:
        """Skip blanks and comments, and line ends with *newlines*; return whether any text is left."""
        while self.at < len(self.text):
            char = self.text[self.at]
            if char == "#":
                while self.at < len(self.text) and self.text[self.at] != "\n":
                    self._advance(1)
            elif char in _BLANK or (newlines and char in "\r\n"):
                self._advance(1)
            else:
                return True
        return False

    def _advance(self, count: int) -> None:
        if self.at + count > len(self.text):
            raise IndexError(self.at)
        self.line += self.text.count("\n", self.at, self.at + count)
        self.at += count

    def _note(self, path: Path, line: int) -> None:
        self.lines.setdefault(path, line)
