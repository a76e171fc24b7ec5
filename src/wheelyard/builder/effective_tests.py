"""Find the tests that cibuildwheel would run for one identifier, by its own rules (``cibuildwheel/options.py``)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wheelyard.builder.cibuildwheel_config import Table


@dataclass(frozen=True)
class Tests:
    """The test options of one identifier.

    Attributes:
        command: the commands, placeholders not expanded; empty if nothing is tested.
        requires: requirements.
        extras: extras of the wheel.
        groups: dependency groups of its ``pyproject.toml`` (PEP 735).
        sources: files that are copied to the folder where the tests run.
    """

    __test__ = False

    command: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()


def effective_tests(table: Table, identifier: str) -> Tests:
    """Return the test options in *table* for *identifier*, such as ``cp313-manylinux_riscv64``.

    Args:
        table: ``[tool.cibuildwheel]``, as :func:`wheelyard.builder.cibuildwheel_config.options` gives it.
        identifier: cibuildwheel's build identifier.
    """
    levels = list(_levels(table, identifier))
    return Tests(
        command=_resolved(levels, "test-command", as_line=True),
        requires=_resolved(levels, "test-requires"),
        extras=_resolved(levels, "test-extras"),
        groups=_resolved(levels, "test-groups"),
        sources=_resolved(levels, "test-sources"),
    )


def _levels(table: Table, identifier: str) -> Iterator[Table]:
    from cibuildwheel.selector import selector_matches  # slow to import

    yield table
    if isinstance(linux := table.get("linux"), dict):
        yield linux
    for item in table.get("overrides", []):
        select = item.get("select", "*")
        if selector_matches(select if isinstance(select, str) else " ".join(select), identifier):
            yield item


def _resolved(levels: list[Table], key: str, *, as_line: bool = False) -> tuple[str, ...]:
    words: tuple[str, ...] = ()
    for level in levels:
        if key not in level:
            continue
        level_words = _words(level[key], as_line=as_line)
        inherit = level.get("inherit")
        rule = inherit.get(key, "none") if isinstance(inherit, dict) else "none"
        words = {"append": (*words, *level_words), "prepend": (*level_words, *words)}.get(rule, level_words)
    return words


def _words(value: Any, *, as_line: bool) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(filter(None, [value.strip()])) if as_line else tuple(value.split())
    return tuple(str(item) for item in value) if isinstance(value, list) else ()
