"""Three-way merges of records: a change that one side made since both were the same stays, on either side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from wheelyard.core.errors import RegistryContentError
from wheelyard.records import expiry_table
from wheelyard.records.copyleft_sources import SOURCES
from wheelyard.records.durations import DURATIONS
from wheelyard.records.history import HISTORY
from wheelyard.records.line_file import LineFile, three_way
from wheelyard.records.releases import RELEASES

_LINE_FILES: dict[str, LineFile[Any]] = {f"{kind.name}.toml": kind for kind in (RELEASES, DURATIONS, HISTORY, SOURCES)}
NAMES = tuple(_LINE_FILES)


def merge(path: str, old: bytes | None, local: bytes | None, remote: bytes | None) -> bytes | None:
    """Return the content of a record with the changes of both sides since *old*; None if the file is to go.

    Args:
        path: the record, relative to the repository; its name is its kind.
        old: the content before both changes; None if there was no file.
        local: the content of this checkout.
        remote: the content of the base branch.

    Raises:
        RegistryContentError: both sides differ about one published file, or a side cannot be used.
        PlanError: a side is not a history, or not durations.
    """
    if path == expiry_table.PAGE:
        return _merge_page(old, local, remote)
    if remote in {local, old} or old == local:
        return local if remote in {local, old} else remote
    kind = _LINE_FILES.get(Path(path).name)
    if kind is None:
        raise ValueError(f"{path} is not a record")
    texts = [None if side is None else _text(side, path) for side in (old, local, remote)]
    return kind.merge(Path(path), *texts).encode()


def _merge_page(old: bytes | None, local: bytes | None, remote: bytes | None) -> bytes | None:
    """Return the base branch's page with the table's lines of both sides: people write the rest of the page."""
    if local is None or remote is None:
        return remote
    texts = [None if side is None else _text(side, expiry_table.PAGE) for side in (old, local, remote)]
    try:
        sides = [() if text is None else expiry_table.parse(text) for text in texts]
        rows = three_way(*sides, both=lambda first, second: [expiry_table.later(first, second)])
        return expiry_table.replaced(_text(remote, expiry_table.PAGE), rows).encode()
    except ValueError:  # a side has no table
        return remote


def _text(side: bytes, path: str) -> str:
    try:
        return side.decode()
    except UnicodeDecodeError as error:
        raise RegistryContentError(
            f"is not UTF-8 text (byte {error.start}), here or on the base branch",
            where=path,
            fix="restore the last version that is text: git log -p",
        ) from error
