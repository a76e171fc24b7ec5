"""Files under ``packages/<pkg>/`` that the tool writes: how each kind is read, checked, changed and merged.

A :class:`LineFile` has one line an entry. Git joins the lines of two branches by itself (``.gitattributes``:
``merge=union``); an entry that is there twice afterwards counts once, and the next write puts the lines in order.
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeVar

from pydantic import Field, ValidationError, create_model

from wheelyard.core import toml
from wheelyard.core.model import Model
from wheelyard.core.toml import key_lines, line_of
from wheelyard.io import cache, files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from wheelyard.core.errors import WheelyardError
    from wheelyard.core.toml import Path as KeyPath


class Entry(Model):
    """One line of a :class:`LineFile`."""

    @property
    def key(self) -> tuple[str, ...]:
        """The values that only one entry of a file has."""
        raise NotImplementedError


class Keyed(Protocol):
    """An entry that has a key."""

    @property
    def key(self) -> tuple[str, ...]:
        """The values that only one entry has."""


E = TypeVar("E", bound=Entry)
K = TypeVar("K", bound=Keyed)


@dataclass(frozen=True)
class RecordFile:
    """A kind of TOML file of a package.

    Attributes:
        name: the file's name without suffix, and the kind in its ``schema``.
        error: the error for a file that cannot be used.
        fix: what to do about such a file; ``{path}`` is replaced.
    """

    name: str
    error: type[WheelyardError]
    fix: str

    def path(self, packages: Path, package: str) -> Path:
        """Return the file of *package* in the folder of records."""
        return packages / package / f"{self.name}.toml"

    def text(self, path: Path) -> str | None:
        """Return the text of *path*, None if there is no such file.

        Raises:
            WheelyardError: the file cannot be read as text.
        """
        try:
            return path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (UnicodeDecodeError, OSError) as error:
            raise self.refuse(path, [f"{path}: {error}"]) from error

    def table(self, text: str, path: Path) -> dict[str, Any]:
        """Return the TOML table of *text*; *path* is for messages.

        Raises:
            WheelyardError: the text is not TOML, or not of this kind and layout 1.
        """
        try:
            table = toml.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise self.refuse(path, [f"{path}: is not valid TOML: {error}"]) from error
        if table.get("schema") != f"wheelyard/{self.name}" or table.get("layout") != 1:
            raise self.refuse_keys(path, text, [(("schema",), f"this is not a wheelyard/{self.name} file of layout 1")])
        return table

    def refuse_keys(self, path: Path, text: str, problems: Iterable[tuple[KeyPath, str]]) -> WheelyardError:
        """Return the error for *problems*, each with the line of its key, in the order of lines."""
        lines = key_lines(text)
        numbered = sorted((line_of(lines, key), problem) for key, problem in problems)
        return self.refuse(path, [f"{path}:{line}: {problem}" for line, problem in numbered])

    def refuse(self, path: Path, details: list[str]) -> WheelyardError:
        """Return the error for a file that cannot be used."""
        return self.error(
            f"{self.name}.toml cannot be used", where=str(path), details=details, fix=self.fix.format(path=path)
        )


@dataclass(frozen=True)
class LineFile(RecordFile, Generic[E]):
    """A kind of file with one line an entry.

    Attributes:
        key: the array of entries.
        entry: the model of an entry.
        header: the comment at the top.
        join: returns entries sorted, each key once; neither order nor repetition of its input counts.
        check: yields contradictions between entries, each with the index of an entry.
        both: returns the entry or entries for a key that both sides of a merge changed; see ``join``.
    """

    key: str
    entry: type[E]
    header: str
    join: Callable[[Iterable[E]], tuple[E, ...]]
    check: Callable[[Mapping[int, E], Path], Iterable[tuple[int, str]]] = lambda _entries, _path: ()
    both: Callable[[str, E, E], Iterable[E]] = lambda _path, first, second: (first, second)

    @cached_property
    def model(self) -> type[Model]:
        """The model of the whole file."""
        schema = f"wheelyard/{self.name}"
        fields: dict[str, Any] = {
            "schema_": (Literal[schema], Field(schema, alias="schema")),
            "layout": (Literal[1], 1),
            self.key: (tuple[self.entry, ...], ()),  # type: ignore[name-defined]
        }
        return create_model(self.name.title(), __base__=Model, __doc__="The whole file.", **fields)

    def read(self, path: Path) -> tuple[E, ...]:
        """Return the entries of *path*, joined; none if there is no such file.

        Raises:
            WheelyardError: the file cannot be used; the error names every problem with its line.
        """
        text = self.text(path)
        return () if text is None else self.parse(text, path)

    def parse(self, text: str, path: Path) -> tuple[E, ...]:
        """Return the entries of a file's *text*, joined; *path* is for messages.

        Raises:
            WheelyardError: the text cannot be used; the error names every problem with its line.
        """
        table = self.table(text, path)
        entries, problems = self._validate(table)
        problems += [((self.key, index), problem) for index, problem in self.check(entries, path)]
        if problems:
            raise self.refuse_keys(path, text, problems)
        return self.join(entries.values())

    def _validate(self, table: Mapping[str, Any]) -> tuple[dict[int, E], list[tuple[KeyPath, str]]]:
        items = table.get(self.key, [])
        is_list = isinstance(items, list)
        entries: dict[int, E] = {}
        problems: list[tuple[KeyPath, str]] = []
        try:
            self.model.model_validate({**table, self.key: [] if is_list else items})
        except ValidationError as error:
            problems += validation_problems(error)
        for index, item in enumerate(items if is_list else []):
            try:
                entries[index] = self.entry.model_validate(item)
            except ValidationError as error:
                problems += validation_problems(error, (self.key, index))
        return entries, problems

    def dump(self, entries: Iterable[E]) -> str:
        """Return the text of a file: a line for each of the joined *entries*, without default values."""
        lines = [f"  {_inline(entry)}," for entry in self.join(entries)]
        head = [f'{self.header}schema = "wheelyard/{self.name}"', "layout = 1", f"{self.key} = ["]
        return "\n".join([*head, *lines, "]", ""])

    def update(self, path: Path, change: Callable[[tuple[E, ...]], Iterable[E]]) -> tuple[bool, tuple[E, ...]]:
        """Change the entries of *path*; runs that do so at the same time lose no entry.

        Returns:
            Whether the file changed, and the entries that it has now. Without entries no file is made.

        Raises:
            WheelyardError: the file cannot be used.
            DiskError: the file cannot be written.
        """
        with cache.writing(path):
            before = self.text(path)
            entries = self.join(change(() if before is None else self.parse(before, path)))
            text = self.dump(entries)
            changed = text != before and (before is not None or bool(entries))
            if changed:
                files.write_text(path, text)
            return changed, entries

    def add(self, path: Path, entries: Iterable[E]) -> bool:
        """Add *entries* to *path*, and return whether the file changed; see :meth:`update` for errors."""
        return self.update(path, lambda recorded: [*recorded, *entries])[0]

    def merge(self, path: Path, old: str | None, local: str | None, remote: str | None) -> str:
        """Return the text with the changes of both sides since *old*; None is a side without the file.

        Raises:
            WheelyardError: a side cannot be used, or ``both`` refuses two entries.
        """
        sides = [() if side is None else self.parse(side, path) for side in (old, local, remote)]
        return self.dump(three_way(*sides, both=lambda first, second: self.both(str(path), first, second)))


def three_way(
    old: Iterable[K], local: Iterable[K], remote: Iterable[K], *, both: Callable[[K, K], Iterable[K]]
) -> list[K]:
    """Return the entries of both sides: the changed one if one side changed it, *both* of them if both did.

    An entry that one side removed and the other changed stays.
    """
    old_by_key, local_by_key, remote_by_key = ({entry.key: entry for entry in side} for side in (old, local, remote))
    merged: list[K] = []
    for key in dict.fromkeys([*local_by_key, *remote_by_key]):
        before, local_entry, remote_entry = old_by_key.get(key), local_by_key.get(key), remote_by_key.get(key)
        if local_entry in (remote_entry, before):
            merged += [] if remote_entry is None else [remote_entry]
        elif remote_entry in (before, None):
            merged += [] if local_entry is None else [local_entry]
        else:
            merged += [remote_entry] if local_entry is None else both(local_entry, remote_entry)
    return merged


def validation_problems(error: ValidationError, key: KeyPath = ()) -> Iterator[tuple[KeyPath, str]]:
    """Yield each problem of *error* with its key, below *key*."""
    for item in error.errors(include_url=False):
        message = item["msg"].removeprefix("Value error, ")
        yield (*key, *item["loc"]), f"{'.'.join(map(str, item['loc']))}: {message}"


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
