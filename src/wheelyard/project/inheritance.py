"""Inheritance: which layer a setting comes from, as pure functions.

From the outermost layer to the innermost: the site's ``[tool.wheelyard.defaults]``, the fragments that the recipe
``uses``, the recipe, and those of its ``[[version]]`` overrides whose specifier contains the version. An inner
layer is laid over an outer one by :func:`merge`:

- tables are merged key by key, at any depth;
- ``[[patch]]`` entries are added behind those of the outer layer;
- anything else, lists included, replaces what the outer layer says.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from wheelyard.core.toml import key_lines, line_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from packaging.specifiers import SpecifierSet
    from packaging.version import Version

    from wheelyard.core.toml import Path

Table = Mapping[str, Any]
BUILT_IN = "built-in default"
_ADDED = "patch"  # the one list that grows from layer to layer


@dataclass(frozen=True)
class TomlText:
    """A TOML file as it was read, to find places in.

    Attributes:
        file: its name for people, relative to the project's folder.
        text: what it says.
    """

    file: str
    text: str

    @functools.cached_property
    def _lines(self) -> Mapping[Path, int]:
        return key_lines(self.text)  # only wanted for errors and explanations

    def place(self, path: Path) -> str:
        """Return ``file:line`` of a key, or of the table around it."""
        return f"{self.file}:{line_of(self._lines, path)}"


@dataclass(frozen=True)
class Layer:
    """Settings that one place gives; not all of them.

    Attributes:
        table: what it says.
        origin: the file it stands in.
        prefix: where in that file, such as ``("version", 0)``.
        match: the versions it is for; all when None.
    """

    table: Table
    origin: TomlText
    prefix: Path = ()
    match: SpecifierSet | None = field(default=None, compare=False)

    def place(self, path: Path) -> str:
        """Return ``file:line`` of one of its keys."""
        return self.origin.place((*self.prefix, *path))

    def holds_for(self, version: Version | None) -> bool:
        """Return whether it is for *version*; None stands for no version in particular."""
        if self.match is None:
            return True
        return version is not None and self.match.contains(version, prereleases=True)


@dataclass(frozen=True)
class Explained:
    """Where a setting comes from.

    Attributes:
        value: what it is, as JSON would write it.
        where: ``file:line``, or ``built-in default``.
    """

    value: Any
    where: str


Explanation = Mapping[str, Explained]


@dataclass(frozen=True)
class Sourced:
    """A value that knows its place; a scalar to :func:`merge`."""

    value: Any
    where: str


def merge(outer: Table, inner: Table) -> dict[str, Any]:
    """Lay *inner* over *outer* by the rules of this module; neither is changed.

    The empty table is the identity. For layers that agree on which keys hold tables, as all valid ones do, merging
    is associative.
    """
    merged = _laid_over(outer, inner)
    if _ADDED in outer and _ADDED in inner:
        merged[_ADDED] = [*outer[_ADDED], *inner[_ADDED]]
    return merged


def _laid_over(outer: Table, inner: Table) -> dict[str, Any]:
    merged = dict(outer)
    for key, value in inner.items():
        before = merged.get(key)
        both = isinstance(before, Mapping) and isinstance(value, Mapping)
        merged[key] = _laid_over(before, value) if both and before is not None else value
    return merged


def fold(layers: Iterable[Layer]) -> dict[str, Any]:
    """Merge *layers*, outermost first, to plain values."""
    folded: dict[str, Any] = {}
    for layer in layers:
        folded = merge(folded, layer.table)
    return folded


def fold_places(layers: Iterable[Layer]) -> dict[Path, Sourced]:
    """Merge *layers* and return, for each leaf, its value and who gave it; a patch is one leaf, ``("patch", n)``."""
    folded: dict[str, Any] = {}
    for layer in layers:
        folded = merge(folded, _sourced(layer, layer.table, ()))
    return dict(_leaves(folded, ()))


def _sourced(layer: Layer, table: Table, path: Path) -> dict[str, Any]:
    marked: dict[str, Any] = {}
    for key, value in table.items():
        place = (*path, key)
        if isinstance(value, Mapping) and value:
            marked[key] = _sourced(layer, value, place)
        elif place == (_ADDED,):
            marked[key] = [Sourced(item, layer.place((*place, index))) for index, item in enumerate(value)]
        elif not isinstance(value, Mapping):
            marked[key] = Sourced(value, layer.place(place))
    return marked


def _leaves(value: Any, path: Path) -> Iterator[tuple[Path, Sourced]]:
    if isinstance(value, Sourced):
        yield path, value
        return
    for key, inner in value.items() if isinstance(value, Mapping) else enumerate(value):
        yield from _leaves(inner, (*path, key))


def explain(settings: Table, places: Mapping[Path, Sourced]) -> dict[str, Explained]:
    """Return for every setting, by its dotted key, its value and where it comes from.

    Args:
        settings: all of them after inheritance, defaults included, as JSON-like values.
        places: the result of :func:`fold_places`.
    """
    explained: dict[str, Explained] = {}

    def walk(value: Any, path: Path) -> None:
        origin = places.get(path)
        if isinstance(value, Mapping) and value and origin is None:
            for key, inner in value.items():
                walk(inner, (*path, key))
        elif path == (_ADDED,):
            for index, inner in enumerate(value):
                walk(inner, (*path, index))
        else:
            explained[dotted(path)] = Explained(value, origin.where if origin else BUILT_IN)

    walk(settings, ())
    return explained


def dotted(path: Path) -> str:
    """Return a path as people write it: ``build.cibuildwheel.environment``, ``patch[0].file``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text
