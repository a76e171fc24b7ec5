"""``packages/<pkg>/sources.toml``: where the source packages of copyleft libraries in our wheels are; a line a file."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Literal

from pydantic import Field, ValidationError

from wheelyard.core import toml
from wheelyard.core.errors import RegistryContentError
from wheelyard.io import cache, files
from wheelyard.records import toml_lines
from wheelyard.records.models import Model, Sha256

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_HEADER = (
    "# Written by wheelyard: the sources of copyleft libraries in wheels, one line a file. "
    "See docs/how-to/sources.md.\n"
)


class SourceFile(Model):
    """One file of a source package, in one registry.

    Attributes:
        name: the source package's name.
        version: its version, as the distribution writes it.
        where: the registry's name in site policy.
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
    def key(self) -> tuple[str, str, str, str]:
        """What there is one of."""
        return self.name, self.version, self.where, self.file


class Sources(Model):
    """The whole file."""

    schema_: Literal["wheelyard/sources"] = Field("wheelyard/sources", alias="schema")
    layout: Literal[1] = 1
    files: tuple[SourceFile, ...] = ()


class SourcesReport(Model):
    """``wheelyard sources --json``: what copyleft libraries in wheels come from, and where that is now.

    Attributes:
        registry: where to.
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


def sources_file(packages: Path, package: str) -> Path:
    """Return where it is recorded for *package*, in the folder of records."""
    return packages / package / "sources.toml"


def read_sources(path: Path) -> tuple[SourceFile, ...]:
    """Read the record, sorted, each entry once; nothing where there is none.

    Raises:
        RegistryContentError: it is not such a record.
    """
    try:
        return parse(path.read_text(encoding="utf-8"), path)
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError) as error:
        raise _unusable(path, error) from error


def parse(text: str, path: Path) -> tuple[SourceFile, ...]:
    """Return the entries of a record's *text*, sorted, each once. *path* is for messages.

    Raises:
        RegistryContentError: it is not such a record.
    """
    try:
        return _ordered(Sources.model_validate(toml.loads(text)).files)
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise _unusable(path, error) from error


def dump(entries: Iterable[SourceFile]) -> str:
    """Return the text of a record: one line a file, sorted."""
    return toml_lines.dump(_HEADER, "wheelyard/sources", "files", _ordered(entries))


def _unusable(path: Path, error: Exception) -> RegistryContentError:
    return RegistryContentError(
        "the record of sources cannot be used",
        where=str(path),
        details=[line.strip() for line in str(error).splitlines()[:5]],
        fix="remove it; `wheelyard sources` writes it anew from what is stored",
    )


def record_sources(path: Path, entries: Iterable[SourceFile]) -> bool:
    """Add entries, and return whether anything changed.

    Raises:
        RegistryContentError: what is there is no such record.
        DiskError: it cannot be written.
    """
    with cache.writing(path):
        standing = read_sources(path)
        ordered = _ordered((*standing, *entries))
        if ordered == standing:
            return False
        files.write_text(path, dump(ordered))
        return True


def _ordered(entries: Iterable[SourceFile]) -> tuple[SourceFile, ...]:
    found = {entry.key: entry for entry in entries}
    return tuple(found[key] for key in sorted(found))
