"""Read lists of package names with weights, such as "most downloaded", line by line.

Three formats: a name per line; a name, a tab and a weight per line; and the JSON of
https://github.com/hugovk/top-pypi-packages, ``{"rows": [{"project": …, "download_count": …}]}``. ``#`` begins a
comment; the first one names the list's source.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from packaging.utils import canonicalize_name

from wheelyard.core.errors import ListError
from wheelyard.core.names import NAME
from wheelyard.io import log

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LARGEST = 256 << 20  # bytes
_LONGEST = 1000  # characters of a line
_MOST_REPORTED = 100  # problems
_WEIGHT = re.compile(r"\A[0-9]{1,18}\Z")


class Entry(NamedTuple):
    """A name of a list: its place from 0 on, its canonical spelling, its weight or None."""

    place: int
    name: str
    weight: int | None


@dataclass(frozen=True)
class NameList:
    """A checked list of names.

    Attributes:
        path: its file.
        source: its own description, else its file name.
        names: the number of names.
    """

    path: Path
    source: str
    names: int

    def entries(self) -> Iterator[Entry]:
        """Yield its names, each once."""
        names: set[str] = set()
        for _, raw, weight in _raw(self.path):
            canonical = canonicalize_name(str(raw))
            if canonical not in names:
                yield Entry(len(names), canonical, _number(weight))
                names.add(canonical)


def read_names(path: Path) -> NameList:
    """Return the list in a file, after a check of all lines.

    Raises:
        ListError: it cannot be read, or has invalid lines; the first hundred are reported.
    """
    problems: list[str] = []
    names: set[str] = set()
    count = 0
    try:
        _check(path)
        for where, raw, weight in _raw(path):
            if not isinstance(raw, str) or not NAME.match(raw):
                problems.append(f"{path}:{where}: {log.clean(str(raw))[:100]!r} is not a package name")
            elif weight is not None and _number(weight) is None:
                problems.append(f"{path}:{where}: {log.clean(str(weight))[:100]!r} is not a weight: write a number")
            else:
                names.add(canonicalize_name(raw))
            count += 1
            if len(problems) == _MOST_REPORTED:
                break
        source = _source(path)
    except (OSError, ValueError, RecursionError) as error:
        why = error.strerror if isinstance(error, OSError) else log.clean(str(error))[:200]
        raise ListError(
            f"{path} cannot be read as a list of names: {why}", fix="docs/how-to/radar.md shows the formats"
        ) from error
    if problems or not count:
        raise ListError(
            f"{len(problems)} problem(s) in the list of names" if problems else f"{path} has no names",
            details=problems,
            fix="a name per line, or a name, a tab and a weight, or the JSON of top-pypi-packages",
        )
    return NameList(path, source, len(names))


def _check(path: Path) -> None:
    if not path.is_file():  # a pipe or a device has no end
        raise ValueError("it is not a file" if path.exists() else "it does not exist")
    if path.stat().st_size > _LARGEST:
        raise ValueError(f"it is larger than {_LARGEST >> 20} MiB")


def _raw(path: Path) -> Iterator[tuple[str | int, Any, Any]]:
    """Yield place, name and weight of each entry, unchecked."""
    if _is_json(path):
        rows = json.loads(path.read_bytes())
        rows = rows.get("rows") if isinstance(rows, dict) else None
        if not isinstance(rows, list):
            raise ValueError("it has no rows")
        for number, row in enumerate(rows):
            row = row if isinstance(row, dict) else {}  # noqa: PLW2901 - a malformed row has no name
            yield f"rows[{number}]", row.get("project"), row.get("download_count")
        return
    with path.open(encoding="utf-8-sig") as file:
        number, begins = 0, True
        for part in iter(lambda: file.readline(_LONGEST), ""):
            number += begins
            text = part.partition("#")[0].strip() if begins else ""  # skip the rest of a longer line
            begins = part.endswith("\n")
            if text:
                name, _, weight = text.partition("\t")
                yield number, name.strip(), weight.strip() or None


def _number(weight: Any) -> int | None:
    text = "" if isinstance(weight, bool) or weight is None else str(weight)
    return int(text) if _WEIGHT.match(text) else None


def _is_json(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(1000).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{")


def _source(path: Path) -> str:
    name = log.clean(path.name)
    if _is_json(path):
        updated = json.loads(path.read_bytes()).get("last_update")
        return f"{name}, {log.clean(updated)[:40]}" if isinstance(updated, str) else name
    lines = []
    with path.open(encoding="utf-8-sig") as file:
        for line in file:
            if not line.startswith("#"):
                break
            lines.append(line.lstrip("# ").strip())
    return log.clean(" ".join(lines))[:500] or name
