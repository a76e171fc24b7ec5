"""What is wrong with a recipe, in words: every finding at once, each with its place and the nearest right word."""

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

    from wheelyard.core.toml_positions import Path
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

# Options of cibuildwheel that the tool decides, and where to say instead what they are wanted for.
_ELSEWHERE = {
    "audit-command": "it would run on this machine; `wheelyard check` has a rule for the stable ABI",
    "audit-requires": "they would be installed on this machine",
    "build": "say it in [interpreters] only",
    "skip": "say it in [interpreters] skip",
    "test-skip": "say it in [test] skip",
    "enable": "the site's interpreters decide it ([tool.wheelyard] interpreters)",
    "archs": "wheelyard builds for riscv64 alone",
    "build-frontend": "say it in [build] frontend",
    "container-engine": "wheelyard finds it; see `wheelyard doctor`",
    "output-dir": "wheels land in dist/<package>/<version>/",
    "manylinux-riscv64-image": "the site decides it ([tool.wheelyard] image, or --image)",
    "overrides": "say it by version, in [[version]]",
    "linux": "say it in [build.cibuildwheel] itself, which is for Linux alone",
    "test-environment": "say it in [test] environment",
    "select": "say it in [build.cibuildwheel] itself, which is for every interpreter",
}
_ONE_PLACE = {
    "test-command": "command",
    "test-requires": "requires",
    "test-extras": "extras",
}
# Where cibuildwheel's shipped schema cannot be found, nothing is unknown; its own check comes with the build.
_CIBW_SCHEMA = "resources/cibuildwheel.schema.json"


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        where: ``file:line``.
        text: what is wrong, and what would be right.
    """

    where: str
    text: str

    @property
    def order(self) -> tuple[str, int]:
        """Where it stands among others: by file, then by line."""
        file, _, line = self.where.rpartition(":")
        return file, int(line) if line.isdigit() else 0


def raise_all(package: str, findings: Iterable[Finding]) -> None:
    """Raise one error that names every finding, if there are any.

    Raises:
        RecipeError: there are.
    """
    found = sorted(set(findings), key=lambda finding: (finding.order, finding.text))
    if not found:
        return
    fix = "see docs/reference/recipe.md for every key"
    if len(found) == 1:
        raise RecipeError(found[0].text, where=found[0].where, fix=fix)
    raise RecipeError(
        f"the recipe of {package} has {len(found)} mistakes",
        details=[f"{finding.where}: {finding.text}" for finding in found],
        fix=fix,
    )


def validate(model: type[BaseModel], layer: Layer) -> Iterator[Finding]:
    """Yield what *model* finds wrong with one layer on its own."""
    try:
        model.model_validate(layer.table)
    except ValidationError as error:
        for item in error.errors(include_url=False, include_input=True):
            path = tuple(part for part in item["loc"] if part != "[key]")
            yield Finding(layer.place(path), _say(model, path, item))


def validate_merged(model: type[BaseModel], table: Table, places: Places, file: str) -> Iterator[Finding]:
    """Yield what is wrong with layers only together, each at the place that gave the value."""
    try:
        model.model_validate(table)
    except ValidationError as error:
        for item in error.errors(include_url=False, include_input=True):
            path: Path = item["loc"]
            inside = [sourced.where for key, sourced in places().items() if key[: len(path)] == path]
            yield Finding(inside[-1] if inside else f"{file}:1", _say(model, path, item))


def _say(model: type[BaseModel], path: Path, item: ErrorDetails) -> str:
    key = path[-1] if path else ""
    kind = item["type"]
    if kind == "extra_forbidden":
        return f"unknown key {key!r}{_unknown(model, path)}"
    if kind == "missing":
        return f"{dotted(path[:-1]) or 'it'} needs {key!r}"
    context = item.get("ctx", {})
    if kind == "value_error":
        said = str(context.get("error", item["msg"]))
    elif kind == "enum":
        said = f"must be {context.get('expected', 'another word')}{_near_enum(item)}"
    elif kind in _TYPES:
        said = f"must be {_TYPES[kind]}, not {_kind_of(item['input'])}"
    else:
        said = item["msg"]
        said = said[:1].lower() + said[1:]
    return f"{dotted(path)}: {said}" if path else said


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
    known = re.findall(r"'([^']+)'", str(item.get("ctx", {}).get("expected", "")))
    return did_you_mean(item["input"], known) if isinstance(item["input"], str) else ""


def _unknown(model: type[BaseModel], path: Path) -> str:
    here = _keys(model, path[:-1])
    near = did_you_mean(str(path[-1]), here)
    if near:
        return near
    tables = [name for name in _keys(Settings, ()) if path[-1] in _keys(Settings, (name,))]
    if tables:
        return f" here; it belongs into [{tables[0]}]" if tables[0] != "patch" else " here; it belongs into [[patch]]"
    return f"; known are {', '.join(sorted(here))}" if here else ""


def _keys(model: type[BaseModel], path: Path) -> tuple[str, ...]:
    """Return the keys that are known at *path*."""
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
    return next((found for argument in get_args(annotation) if (found := _model_in(argument))), None)


# ------------------------------------------------- options of cibuildwheel


@cache
def cibuildwheel_options() -> frozenset[str]:
    """Return the options that an override of cibuildwheel may set, from the schema that it ships."""
    spec = find_spec("cibuildwheel")
    if spec is None or spec.origin is None:
        return frozenset()
    schema = json.loads((FilePath(spec.origin).parent / _CIBW_SCHEMA).read_text(encoding="utf-8"))
    return frozenset(schema["properties"]["overrides"]["items"]["properties"])


def cibuildwheel_findings(layer: Layer) -> Iterator[Finding]:
    """Yield what is wrong with the options of cibuildwheel in one layer."""
    build = layer.table.get("build")
    options = build.get("cibuildwheel") if isinstance(build, dict) else None
    if not isinstance(options, dict):
        return
    known = cibuildwheel_options()
    for key, value in options.items():
        where = layer.place(("build", "cibuildwheel", key))
        if key in _ELSEWHERE or key.endswith("-image"):
            hint = _ELSEWHERE.get(key) or _ELSEWHERE["manylinux-riscv64-image"]
            yield Finding(where, f"cibuildwheel's {key!r} is not for recipes: {hint}")
        elif known and key not in known:
            yield Finding(where, f"cibuildwheel has no option {key!r} here{did_you_mean(key, known)}")
        elif key == "environment" and not isinstance(value, dict):
            yield Finding(where, "build.cibuildwheel.environment: must be a table of strings")
        elif key == "inherit":
            yield from _inherit_findings(layer, value, known)


def _inherit_findings(layer: Layer, value: object, known: frozenset[str]) -> Iterator[Finding]:
    path: Path = ("build", "cibuildwheel", "inherit")
    if not isinstance(value, dict):
        yield Finding(layer.place(path), "build.cibuildwheel.inherit: must be a table")
        return
    for key, rule in value.items():
        where = layer.place((*path, key))
        if known and key not in known:
            yield Finding(where, f"cibuildwheel has no option {key!r} to inherit{did_you_mean(key, known)}")
        if rule not in {"none", "append", "prepend"}:
            yield Finding(where, f"build.cibuildwheel.inherit.{key}: must be 'none', 'append' or 'prepend'")


def twice_findings(table: Table, places: Places) -> Iterator[Finding]:
    """Yield the options that are said both in ``[test]`` and among cibuildwheel's."""
    options = table.get("build", {}).get("cibuildwheel", {})
    for option, key in _ONE_PLACE.items():
        if option in options and key in table.get("test", {}):
            path = ("build", "cibuildwheel", option)
            where = next(sourced.where for place, sourced in places().items() if place[:3] == path)
            yield Finding(where, f"cibuildwheel's {option!r} is also said in [test] {key}: say it there alone")
