"""Kinds that other distributions bring, by their entry points (packaging.python.org, entry points specification)."""

from __future__ import annotations

import functools
from importlib.metadata import EntryPoint, entry_points


@functools.cache
def plugins(group: str) -> dict[str, EntryPoint]:
    """Return the entry points of a group, by name; asked only where a name is not built in: it reads every package."""
    return {entry.name: entry for entry in sorted(entry_points(group=group))}
