"""The base of all models that people write, and the types of their values."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Annotated

from packaging.specifiers import InvalidSpecifier
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from wheelyard.core.errors import UnknownPackageError
from wheelyard.core.names import canonical
from wheelyard.core.pep440 import read_specifier
from wheelyard.core.tags import Interpreter

_DURATION = re.compile(r"\A(\d+)\s*(s|min|h)\Z")
_UNITS = {"s": 1, "min": 60, "h": 3600}


def _seconds(value: object) -> object:
    match = _DURATION.match(value) if isinstance(value, str) else None
    if match:
        return int(match[1]) * _UNITS[match[2]]
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError("must be a duration such as '90s', '45min' or '3h', or a number of seconds")


def _inside(value: str) -> str:
    path = PurePosixPath(value)
    if path.is_absolute() or ".." in path.parts or "\\" in value or not value:
        raise ValueError("must be a relative path with '/' and without '..'")
    return value


def _specifier(value: str) -> str:
    try:
        read_specifier(value)
    except InvalidSpecifier as error:
        raise ValueError("must be a version specifier such as '>=2.0,<3' (PEP 440)") from error
    return value


def _package(value: str) -> str:
    try:
        return canonical(value)
    except UnknownPackageError as error:
        raise ValueError(error.what) from error


def _interpreter(value: str) -> str:
    Interpreter.parse(value)
    return value


_Limits = Field(gt=0, le=86_400 * 2)
_Duration = Annotated[str, Field(pattern=_DURATION.pattern.replace(r"\A", "^").replace(r"\Z", "$"))]
_Written = Annotated[int, _Limits] | _Duration
Seconds = Annotated[int, BeforeValidator(_seconds, json_schema_input_type=_Written), _Limits]
RecipePath = Annotated[str, AfterValidator(_inside)]
Specifier = Annotated[str, AfterValidator(_specifier)]
InterpreterTag = Annotated[str, AfterValidator(_interpreter), Field(json_schema_extra={"pattern": "^cp3[0-9]{1,2}t?$"})]
PackageName = Annotated[str, AfterValidator(_package)]
RunnerLabel = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]


class Model(BaseModel):
    """Closed, frozen, and written in TOML's kebab-case."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        alias_generator=lambda name: name.replace("_", "-"),
        validate_by_name=False,
        validate_by_alias=True,
        serialize_by_alias=True,
        use_attribute_docstrings=False,
    )
