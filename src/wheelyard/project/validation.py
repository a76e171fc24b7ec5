"""Problems of a recipe: all at once, each with its place and the nearest valid word."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel, ValidationError

from wheelyard.core.errors import RecipeError
from wheelyard.core.names import did_you_mean
from wheelyard.project.inheritance import dotted
from wheelyard.project.recipe import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from pydantic_core import ErrorDetails

    from wheelyard.core.toml import Path
    from wheelyard.project.inheritance import Layer, Sourced, Table

    Places = Callable[[], Mapping[Path, Sourced]]

_TYPES = {
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
    "string_type": "a string",
    "int_type": "a number",
    "bool_type": "true or false",
}

# Options of cibuildwheel that the tool decides, and the setting to use instead.
_ELSEWHERE = {
    "audit-command": "it would run on this machine; `wheelyard check` has a rule for the stable ABI",
    "audit-requires": "they would be installed on this machine",
    "build": "set it in [interpreters] only",
    "skip": "set it in [interpreters] skip",
    "test-skip": "set it in [test] skip",
    "enable": "the site's interpreters decide it ([tool.wheelyard] interpreters)",
    "archs": "wheelyard builds for riscv64 alone",
    "build-frontend": "set it in [build] frontend",
    "container-engine": "wheelyard finds it; see `wheelyard doctor`",
    "output-dir": "wheels land in dist/<package>/<version>/",
    "manylinux-riscv64-image": "the site decides it ([tool.wheelyard] image, or --image)",
    "overrides": "set it by version, in [[version]]",
    "linux": "set it in [build.cibuildwheel] itself, which is for Linux alone",
    "test-environment": "set it in [test] environment",
    "select": "set it in [build.cibuildwheel] itself, which is for every interpreter",
}
_ONE_PLACE = {
    "test-command": "command",
    "test-requires": "requires",
    "test-extras": "extras",
}
# Where cibuildwheel's shipped schema cannot be found, nothing is unknown; its own check comes with the build.
_CIBW_SCHEMA = "resources/cibuildwheel.schema.json"


@dataclass(frozen=True)
class Problem:
    """One problem of a recipe.

    Attributes:
        where: ``file:line``.
        text: the problem, and the valid value.
    """

    where: str
    text: str

    @property
    def order(self) -> tuple[str, int]:
        """The key to sort by: file, then line."""
        file, _, line = self.where.rpartition(":")
        return file, int(line) if line.isdigit() else 0


def raise_problems(package: str, problems: Iterable[Problem]) -> None:
    """Raise one error with every problem, if there are any.

    Raises:
        RecipeError: there is a problem.
    """
    ordered = sorted(set(problems), key=lambda problem: (problem.order, problem.text))
    if not ordered:
        return
    fix = "see docs/reference/recipe.md for every key"
    if len(ordered) == 1:
        raise RecipeError(ordered[0].text, where=ordered[0].where, fix=fix)
    raise RecipeError(
        f"the recipe of {package} has {len(ordered)} mistakes",
        details=[f"{problem.where}: {problem.text}" for problem in ordered],
        fix=fix,
    )


def validate(model: type[BaseModel], layer: Layer) -> Iterator[Problem]:
    """Yield the problems of one layer on its own."""
    try:
        model.model_validate(layer.table)
    except ValidationError as error:
        for item in error.errors(include_url=False, include_input=True):
            path = tuple(part for part in item["loc"] if part != "[key]")
            yield Problem(layer.place(path), _message(model, path, item))


def validate_merged(model: type[BaseModel], table: Table, places: Places, file: str) -> Iterator[Problem]:
    """Yield the problems of merged layers, each at the place that gave the value."""
    try:
        model.model_validate(table)
    except ValidationError as error:
        for item in error.errors(include_url=False, include_input=True):
            path: Path = item["loc"]
            inside = [sourced.where for key, sourced in places().items() if key[: len(path)] == path]
            yield Problem(inside[-1] if inside else f"{file}:1", _message(model, path, item))


def _message(model: type[BaseModel], path: Path, item: ErrorDetails) -> str:
    key = path[-1] if path else ""
    kind = item["type"]
    if kind == "extra_forbidden":
        return f"unknown key {key!r}{_unknown(model, path)}"
    if kind == "missing":
        return f"{dotted(path[:-1]) or 'it'} needs {key!r}"
    context = item.get("ctx", {})
    if kind == "value_error":
        message = str(context.get("error", item["msg"]))
    elif kind == "enum":
        message = f"must be {context.get('expected', 'another word')}{_near_enum(item)}"
    elif kind in _TYPES:
        message = f"must be {_TYPES[kind]}, not {_kind_of(item['input'])}"
    else:
        message = item["msg"]
        message = message[:1].lower() + message[1:]
    return f"{dotted(path)}: {message}" if path else message


def _kind_of(value: object) -> str:
    names = {
        str: "a string",
        bool: "true or false",
        int: "a number",
        float: "a number",
        list: "a list",
        dict: "a table",
    }
    return names.get(type(value), f"a {type(value).__name__}")


def _near_enum(item: ErrorDetails) -> str:
    words = re.findall(r"'([^']+)'", str(item.get("ctx", {}).get("expected", "")))
    return did_you_mean(item["input"], words) if isinstance(item["input"], str) else ""


def _unknown(model: type[BaseModel], path: Path) -> str:
    keys = _keys(model, path[:-1])
    near = did_you_mean(str(path[-1]), keys)
    if near:
        return near
    tables = [name for name in _keys(Settings, ()) if path[-1] in _keys(Settings, (name,))]
    if tables:
        return f" here; it belongs into [{tables[0]}]" if tables[0] != "patch" else " here; it belongs into [[patch]]"
    return f"; known are {', '.join(sorted(keys))}" if keys else ""


def _keys(model: type[BaseModel], path: Path) -> tuple[str, ...]:
    """Return the valid keys at *path*."""
    for part in path:
        if isinstance(part, int):
            continue
        field = next((field for field in model.model_fields.values() if field.alias == part), None)
        inner = _model_in(field.annotation) if field else None
        if inner is None:
            return ()
        model = inner
    return tuple(field.alias or "" for field in model.model_fields.values())


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for argument in get_args(annotation) if (model := _model_in(argument))), None)


# ------------------------------------------------- options of cibuildwheel


@cache
def cibuildwheel_options() -> frozenset[str]:
    """Return the options that an override of cibuildwheel may set, from the schema that it ships."""
    spec = find_spec("cibuildwheel")
    if spec is None or spec.origin is None:
        return frozenset()
    schema = json.loads((FilePath(spec.origin).parent / _CIBW_SCHEMA).read_text(encoding="utf-8"))
    return frozenset(schema["properties"]["overrides"]["items"]["properties"])


def cibuildwheel_problems(layer: Layer) -> Iterator[Problem]:
    """Yield the problems of cibuildwheel's options in one layer."""
    build = layer.table.get("build")
    options = build.get("cibuildwheel") if isinstance(build, dict) else None
    if not isinstance(options, dict):
        return
    known_options = cibuildwheel_options()
    for key, value in options.items():
        where = layer.place(("build", "cibuildwheel", key))
        if key in _ELSEWHERE or key.endswith("-image"):
            hint = _ELSEWHERE.get(key) or _ELSEWHERE["manylinux-riscv64-image"]
            yield Problem(where, f"cibuildwheel's {key!r} is not for recipes: {hint}")
        elif known_options and key not in known_options:
            yield Problem(where, f"cibuildwheel has no option {key!r} here{did_you_mean(key, known_options)}")
        elif key == "environment" and not isinstance(value, dict):
            yield Problem(where, "build.cibuildwheel.environment: must be a table of strings")
        elif key == "inherit":
            yield from _inherit_problems(layer, value, known_options)


def _inherit_problems(layer: Layer, value: object, known_options: frozenset[str]) -> Iterator[Problem]:
    path: Path = ("build", "cibuildwheel", "inherit")
    if not isinstance(value, dict):
        yield Problem(layer.place(path), "build.cibuildwheel.inherit: must be a table")
        return
    for key, rule in value.items():
        where = layer.place((*path, key))
        if known_options and key not in known_options:
            yield Problem(where, f"cibuildwheel has no option {key!r} to inherit{did_you_mean(key, known_options)}")
        if rule not in {"none", "append", "prepend"}:
            yield Problem(where, f"build.cibuildwheel.inherit.{key}: must be 'none', 'append' or 'prepend'")


def twice_problems(table: Table, places: Places) -> Iterator[Problem]:
    """Yield the options that are set both in ``[test]`` and in ``[build.cibuildwheel]``."""
    options = table.get("build", {}).get("cibuildwheel", {})
    for option, key in _ONE_PLACE.items():
        if option in options and key in table.get("test", {}):
            path = ("build", "cibuildwheel", option)
            where = next(sourced.where for place, sourced in places().items() if place[:3] == path)
            yield Problem(where, f"cibuildwheel's {option!r} is also set in [test] {key}: set it there only")
