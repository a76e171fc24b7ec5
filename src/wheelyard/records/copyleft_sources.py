"""``packages/<pkg>/sources.toml``: where the source packages of copyleft libraries in our wheels are; a line a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from wheelyard.core.errors import RegistryContentError
from wheelyard.core.model import Model
from wheelyard.records.line_file import Entry, LineFile
from wheelyard.records.models import Sha256

if TYPE_CHECKING:
    from collections.abc import Iterable


class SourceFile(Entry):
    """One file of a source package, in one registry.

    Attributes:
        name: the source package's name.
        version: its version, as the distribution writes it.
        where: the registry's name in the site configuration.
        file: the file's name.
        sha256: its hash.
        size: bytes.
        url: its address; below the registry's folder for a folder.
    """

    name: str
    version: str
    where: str
    file: str
    sha256: Sha256
    size: int
    url: str

    @property
    def key(self) -> tuple[str, ...]:
        """The values that only one entry has."""
        return self.name, self.version, self.where, self.file


class SourcesReport(Model):
    """``wheelyard sources --json``: the sources of copyleft libraries in wheels, and where they are now.

    Attributes:
        registry: the registry that stores them.
        stored: files that are there.
        missing: source packages that are not, as ``name version``; of a dry run, those that would be fetched.
        unknown: libraries of unknown origin.
    """

    schema_: Literal["wheelyard/sources-report"] = Field("wheelyard/sources-report", alias="schema")
    version_: Literal[1] = Field(1, alias="version")
    registry: str
    dry_run: bool
    stored: tuple[SourceFile, ...]
    missing: tuple[str, ...]
    unknown: tuple[str, ...]


def _join(entries: Iterable[SourceFile]) -> tuple[SourceFile, ...]:
    by_key = {entry.key: entry for entry in entries}
    return tuple(by_key[key] for key in sorted(by_key))


SOURCES = LineFile(
    name="sources",
    key="files",
    entry=SourceFile,
    header="# Written by wheelyard: the sources of copyleft libraries in wheels, one line a file. "
    "See docs/how-to/sources.md.\n",
    join=_join,
    error=RegistryContentError,
    fix="remove {path}; `wheelyard sources` writes it again from the registry",
)
