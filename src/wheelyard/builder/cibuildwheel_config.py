"""Compose cibuildwheel's configuration for one job: upstream's own, cleaned, and ours as the last override.

``CIBW_ENVIRONMENT`` would erase what upstream sets; an override with ``inherit`` adds to it instead
(cibuildwheel's documentation, "Configuration overrides"). The plan decides *which* wheels are
built, so upstream's selectors are left out; options that this cibuildwheel does not support are dropped and named.

Upstream is hostile until it is inside the container. Only options that cibuildwheel applies there are kept;
those that it applies on this machine (``cibuildwheel/audit.py``, ``bashlex_eval.py``), or for which it reads
this machine's files or variables (``util/file.py``, ``options.py``), are dropped and named.
"""

from __future__ import annotations

import functools
import json
import re
import shlex
import tomllib
from dataclasses import dataclass
from importlib import resources
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from wheelyard.core import toml
from wheelyard.core.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from wheelyard.io.engine import Engine
    from wheelyard.project.recipe import Settings

Table = dict[str, Any]

# Set by the plan or the image, never by upstream or a recipe.
OWNED = frozenset(
    {"archs", "build", "skip", "test-skip", "enable", "container-engine", "build-frontend", "dependency-versions"}
)
# Without meaning on Linux.
_OTHER_PLATFORMS = frozenset(
    {
        *("macos", "windows", "pyodide", "android", "ios"),
        *("pyodide-version", "test-runtime", "xbuild-files", "xbuild-tools"),
    }
)
# Upstream's options that act inside the container only; all others are dropped.
_INSIDE = frozenset(
    {
        *("before-all", "before-build", "before-test", "build-verbosity", "config-settings", "environment"),
        *("repair-wheel-command", "test-command", "test-environment", "test-extras", "test-groups", "test-requires"),
        *("test-sources", "inherit", "select", "overrides", "linux"),
    }
)
# A command substitution: ``$(…)`` or backticks, and a dollar sign that could become one.
_SUBSTITUTION = re.compile(r"`|\$(?![A-Za-z_{])|[<>]\(")
_ADDED = (
    "environment",
    "test-environment",
    "config-settings",
    "before-all",
    "before-build",
    "before-test",
    "environment-pass",
    "test-extras",
    "test-groups",
    "test-sources",
    "test-requires",
)
_MOST_DROPS = 100


@dataclass(frozen=True)
class Container:
    """Settings of a build container.

    Attributes:
        engine: the container engine.
        create_args: arguments for its ``create``.
        environment: variables set for every step inside.
        passed: names of variables that are copied from the host.
        constraints: a pip constraints file for what cibuildwheel itself installs.
    """

    engine: Engine
    create_args: tuple[str, ...]
    environment: Mapping[str, str]
    passed: tuple[str, ...]
    constraints: Path


@dataclass(frozen=True)
class Composed:
    """The content of a configuration file, and the names of upstream's options that were dropped."""

    table: Table
    dropped: tuple[str, ...]


def upstream_table(package_dir: Path) -> Table:
    """Return upstream's ``[tool.cibuildwheel]``, empty if it has none.

    Raises:
        SourceError: its ``pyproject.toml`` cannot be read.
    """
    file = package_dir / "pyproject.toml"
    if not file.is_file():
        return {}
    try:
        tool = toml.loads(file.read_text(encoding="utf-8")).get("tool")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SourceError(
            f"upstream's pyproject.toml cannot be read: {error}", fix="mend it with a patch in the recipe"
        ) from error
    table = tool.get("cibuildwheel") if isinstance(tool, dict) else None
    return table if isinstance(table, dict) else {}


def compose(upstream: Table, settings: Settings, image: str, container: Container) -> Composed:
    """Return the configuration of one job: *upstream*, cleaned, and one override for every identifier.

    Args:
        upstream: upstream's table, as :func:`upstream_table` gives it.
        settings: the recipe's, after inheritance.
        image: the reference of the build image.
        container: how to start it.
    """
    cleaned, overrides, dropped = _merge(upstream, settings, container.environment, container.passed)
    table = {
        **cleaned,
        "container-engine": {
            "name": container.engine.name,
            "create-args": list(container.create_args),
            "disable-host-mount": True,
        },
        "manylinux-riscv64-image": image,
        "build-frontend": settings.build.frontend.value,
        # It would install audit tools from the network, on this machine, in the source's folder.
        "audit-command": "",
        "audit-requires": [],
        # cibuildwheel's own constraints may name versions that a mirror does not have.
        "dependency-versions": {"file": str(container.constraints)},
        "overrides": overrides,
    }
    return Composed({"tool": {"cibuildwheel": table}}, dropped)


def options(upstream: Table, settings: Settings) -> Table:
    """Return upstream's and the recipe's options as :func:`compose` merges them, without those of the container."""
    cleaned, overrides, _ = _merge(upstream, settings, {}, ())
    return {**cleaned, "overrides": overrides}


def _merge(
    upstream: Table, settings: Settings, environment: Mapping[str, str], passed: Sequence[str]
) -> tuple[Table, list[Table], tuple[str, ...]]:
    """Return upstream's options, the overrides with ours as the last, and the dropped options."""
    cleaned, dropped = _clean(upstream) if settings.build.upstream else ({}, ())
    override = _override(settings, environment, passed)
    overrides = [*cleaned.pop("overrides", []), *([override] if override.keys() - {"select", "inherit"} else [])]
    return cleaned, overrides, dropped


def _override(settings: Settings, container: Mapping[str, str], passed: Sequence[str]) -> Table:
    verbatim = {key: value for key, value in settings.build.cibuildwheel.items() if key != "inherit"}
    environment = {**container, **settings.build.environment, **verbatim.pop("environment", {})}
    override: Table = {"select": "*", **verbatim}
    if environment:
        override["environment"] = environment
    if passed:
        override["environment-pass"] = [*verbatim.get("environment-pass", []), *passed]
    test = settings.test
    if test.environment:
        override["test-environment"] = {**override.get("test-environment", {}), **test.environment}
    replaced = _tests(settings)
    override |= replaced
    inherit: Table = {key: "append" for key in _ADDED if key in override and key not in replaced}
    inherit |= settings.build.cibuildwheel.get("inherit", {})
    if inherit:
        override["inherit"] = inherit
    return override


def _tests(settings: Settings) -> Table:
    """Return the options that replace upstream's tests; a command replaces all of them, with their requirements."""
    test, verbatim = settings.test, settings.build.cibuildwheel
    options: Table = {
        "test-command": test.command,
        "test-requires": list(test.requires),
        "test-extras": list(test.extras),
    }
    if test.command is None:
        return {key: value for key, value in options.items() if value}
    return {
        **options,
        "test-groups": verbatim.get("test-groups", []),
        "before-test": verbatim.get("before-test", ""),
    }


def _clean(upstream: Table) -> tuple[Table, tuple[str, ...]]:
    table = json.loads(json.dumps(upstream, default=str))  # a deep copy; no option has a TOML date
    for _, level in _levels(table):
        for key in [key for key in level if key in OWNED | _OTHER_PLATFORMS or key.endswith("-image")]:
            del level[key]
    _drop_empty_overrides(table)
    dropped = [*_drop_unknown(table), *_drop_outside(table)] if table else []
    _drop_empty_overrides(table)
    return table, tuple(dropped)


def _drop_outside(table: Table) -> Iterable[str]:
    """Remove the options that would act outside the container, and yield their names."""
    for place, level in _levels(table):
        for key in [key for key in level if key not in _INSIDE or _acts_outside(key, level[key])]:
            del level[key]
            yield place + key


def _acts_outside(key: str, value: Any) -> bool:
    """Check whether this value of an option is read or run on this machine."""
    if key == "test-environment":  # cibuildwheel evaluates it here, unlike "environment"
        return _SUBSTITUTION.search(value if isinstance(value, str) else json.dumps(value)) is not None
    if key == "test-sources":  # copied from here
        try:
            paths = [PurePosixPath(path) for path in (shlex.split(value) if isinstance(value, str) else value)]
        except ValueError:
            return True
        return any(path.is_absolute() or ".." in path.parts for path in paths)
    return False


def _drop_empty_overrides(table: Table) -> None:
    """Remove overrides without any option left: cibuildwheel's schema refuses them."""
    if isinstance(overrides := table.get("overrides"), list):
        table["overrides"] = [
            item for item in overrides if not isinstance(item, dict) or item.keys() - {"select", "inherit"}
        ]


def _levels(table: Table) -> Iterable[tuple[str, Table]]:
    """Yield each table of options, with the prefix of its keys."""
    yield "", table
    if isinstance(linux := table.get("linux"), dict):
        yield "linux.", linux
    overrides = table.get("overrides")
    for index, item in enumerate(overrides if isinstance(overrides, list) else []):
        if isinstance(item, dict):
            yield f"overrides.{index}.", item


@functools.cache
def _validator() -> Callable[[Table], object]:
    import fastjsonschema  # slow to import

    file = resources.files("cibuildwheel") / "resources/cibuildwheel.schema.json"
    validate: Callable[[Table], object] = fastjsonschema.compile(json.loads(file.read_text("utf-8")), use_default=False)
    return validate


def _drop_unknown(table: Table) -> Iterable[str]:
    """Remove the options that cibuildwheel's own schema refuses, and yield their names."""
    import fastjsonschema  # slow to import

    validate = _validator()
    for _ in range(_MOST_DROPS):
        try:
            validate(table)
        except fastjsonschema.JsonSchemaValueException as error:
            if not (names := _remove(table, error)):
                table.clear()
                yield "all of [tool.cibuildwheel]"
                return
            yield from names
        else:
            return


def _remove(table: Table, error: Any) -> list[str]:
    """Remove the option that *error* is about; a table's unknown keys are removed, anything else as a whole."""
    path = [part for part in error.path[1:] if part != "properties"]
    holder: Any = table
    for part in path:
        if error.rule == "additionalProperties" and holder is error.value:
            break
        nested = holder[int(part)] if isinstance(holder, list) else holder[part]
        if part not in {"linux", "overrides"} and isinstance(holder, dict):
            del holder[part]
            return [".".join(path[: path.index(part) + 1])]
        holder = nested
    if isinstance(holder, dict) and error.rule == "additionalProperties":
        unknown = [key for key in holder if key not in error.definition.get("properties", {})]
        for key in unknown:
            del holder[key]
        return [".".join([*path, key]) for key in unknown]
    if len(path) > 1 and path[0] == "overrides":  # an override that is wrong as a whole
        table["overrides"].pop(int(path[1]))
        return [f"overrides.{path[1]}"]
    return []
