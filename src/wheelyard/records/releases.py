"""``packages/<pkg>/releases.toml``: what was published where; one line a file, so that branches merge line by line.

Entries are sorted, and the same entry again changes nothing. Git joins two branches' lines by itself
(``.gitattributes``: ``merge=union``); an entry that stands twice afterwards counts once, and the next write puts
all in order. Only when two lines say different things of one file is a person asked.
"""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any, Literal

from packaging.utils import canonicalize_name
from pydantic import Field, ValidationError

from wheelyard.core import toml
from wheelyard.core.errors import RegistryContentError
from wheelyard.core.tags import WheelName
from wheelyard.core.toml_positions import key_lines, line_of
from wheelyard.io import cache, files
from wheelyard.records import toml_lines
from wheelyard.records.models import Model, Sha256

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from wheelyard.core.toml_positions import Path as KeyPath

_HEADER = (
    "# Written by wheelyard: what was published where, one line a file. `wheelyard registry verify` compares it with\n"
    "# the registries.\n"
)


class ReleasedFile(Model):
    """One file in one registry.

    Attributes:
        file: its name.
        where: the registry's name in site policy.
        sha256: its hash.
        size: bytes.
        tags: the tags of its name, each ``python-abi-platform`` (PEP 425), sorted.
        licence: an SPDX expression where METADATA has one, else what it says.
        patched: whether the source was patched here.
        source: what it was built from: ``sha256:…`` of the sdist or tree; empty where that is not known.
        image: the build image's digest; empty where that is not known.
        yanked: why it is yanked (PEP 592), which may be empty; None if it is not.
    """

    file: str
    where: str
    sha256: Sha256
    size: int
    tags: tuple[str, ...]
    licence: str = ""
    patched: bool = False
    source: str = ""
    image: str = ""
    yanked: str | None = None

    @property
    def key(self) -> tuple[str, str]:
        """What there is one of."""
        return self.file, self.where


class Releases(Model):
    """The whole file."""

    schema_: Literal["wheelyard/releases"] = Field("wheelyard/releases", alias="schema")
    layout: Literal[1] = 1
    files: tuple[ReleasedFile, ...] = ()


def releases_file(packages: Path, package: str) -> Path:
    """Return where *package*'s releases are recorded, in the folder of records."""
    return packages / package / "releases.toml"


def read_releases(path: Path) -> tuple[ReleasedFile, ...]:
    """Read the record of a package, sorted, each entry once; nothing where there is none.

    Raises:
        RegistryContentError: it is not such a record, or says different things of one file; all that is wrong is told
            with its line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ()
    except (UnicodeDecodeError, OSError) as error:
        raise _unusable(path, [f"{path}: {error}"]) from error
    return parse(text, path)


def parse(text: str, path: Path) -> tuple[ReleasedFile, ...]:
    """Return the entries of a record's *text*, sorted, each once. *path* is for messages.

    Raises:
        RegistryContentError: it is not such a record; all that is wrong is told with its line.
    """
    try:
        table = toml.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _unusable(path, [f"{path}: is not valid TOML: {error}"]) from error
    found, problems = _understood(table, path.parent.name)
    if problems:
        places = key_lines(text)
        told = sorted((line_of(places, key), said) for key, said in problems)
        raise _unusable(path, [f"{path}:{line}: {said}" for line, said in told])
    return _ordered(found)


def record(path: Path, entries: Iterable[ReleasedFile]) -> bool:
    """Add *entries* to the record, each in place of what it said of that file and registry.

    Of the very same bytes a yank stays, and so does how they came to be where an entry does not know it. Runs that
    record at the same time do not lose each other's entries.

    Returns:
        Whether anything changed.

    Raises:
        RegistryContentError: what is there is no such record.
        DiskError: it cannot be written.
    """
    with cache.writing(path):
        known = {entry.key: entry for entry in read_releases(path)}
        for entry in entries:
            known[entry.key] = _joined(entry, known.get(entry.key))
        return _write(path, known.values())


def yank(path: Path, names: Sequence[str], where: str, reason: str | None) -> bool:
    """Note that files are yanked for *reason*, or with None that they no longer are; return whether that is new.

    Raises:
        RegistryContentError: one of them is not recorded there, or the record cannot be used.
        DiskError: it cannot be written.
    """
    with cache.writing(path):
        known = {entry.key: entry for entry in read_releases(path)}
        missing = [name for name in names if (name, where) not in known]
        if missing:
            raise RegistryContentError(
                f"not recorded as published to {where}",
                where=str(path),
                details=missing,
                fix=f"wheelyard registry adopt {path.parent.name} --of {where}",
            )
        for name in names:
            known[name, where] = known[name, where].model_copy(update={"yanked": reason})
        return _write(path, known.values())


def forget(path: Path, names: Iterable[str], where: str) -> bool:
    """Take files out of the record, since they are no longer there; return whether that is new.

    Raises:
        RegistryContentError: the record cannot be used.
        DiskError: it cannot be written.
    """
    with cache.writing(path):
        gone = {(name, where) for name in names}
        return _write(path, [entry for entry in read_releases(path) if entry.key not in gone])


def dump(entries: Iterable[ReleasedFile]) -> str:
    """Return the text of a record: one line a file, sorted, without what is empty."""
    return toml_lines.dump(_HEADER, "wheelyard/releases", "files", _ordered(entries))


def _ordered(entries: Iterable[ReleasedFile]) -> tuple[ReleasedFile, ...]:
    def rank(entry: ReleasedFile) -> tuple[object, str, str]:
        return WheelName.parse(entry.file).version, entry.file, entry.where

    return tuple(sorted({entry.key: entry for entry in entries}.values(), key=rank))


def _joined(entry: ReleasedFile, standing: ReleasedFile | None) -> ReleasedFile:
    if standing is None or standing.sha256 != entry.sha256:
        return entry
    kept: dict[str, object] = {} if standing.yanked is None else {"yanked": standing.yanked}
    if not entry.source:
        kept |= {"source": standing.source, "image": standing.image, "patched": standing.patched}
    return entry.model_copy(update=kept)


def _understood(table: Mapping[str, Any], package: str) -> tuple[list[ReleasedFile], list[tuple[KeyPath, str]]]:
    """Return the entries, and what is wrong with any of them, with its place."""
    if table.get("schema") != "wheelyard/releases" or table.get("layout") != 1:
        said = "this is not a record of releases of layout 1, the one that this wheelyard knows"
        return [], [(("schema",), said)]
    items = table.get("files", [])
    listed = items if isinstance(items, list) else []
    entries: dict[int, ReleasedFile] = {}
    problems: list[tuple[KeyPath, str]] = []
    try:
        Releases.model_validate({**table, "files": [] if listed is items else items})
    except ValidationError as error:
        problems += toml_lines.told(error)
    for index, item in enumerate(listed):
        try:
            entries[index] = ReleasedFile.model_validate(item)
        except ValidationError as error:
            problems += toml_lines.told(error, ("files", index))
    problems += ((("files", index), said) for index, said in _contradictions(entries, package))
    return list(entries.values()), problems


def _contradictions(entries: Mapping[int, ReleasedFile], package: str) -> Iterator[tuple[int, str]]:
    first: dict[tuple[str, str], int] = {}
    told: set[int] = set()
    for index, entry in entries.items():
        try:
            name = WheelName.parse(entry.file).name
        except ValueError as error:
            yield index, str(error)
            continue
        if name != canonicalize_name(package):
            yield index, f"{entry.file} is not a wheel of {package}"
        other = first.setdefault(entry.key, index)
        if entries[other] != entry:
            for each in {other, index} - told:
                yield each, f"{entry.file} in {entry.where}: two lines say different things"
            told |= {other, index}


def _write(path: Path, entries: Iterable[ReleasedFile]) -> bool:
    ordered = _ordered(entries)
    try:
        standing = path.read_bytes()
    except FileNotFoundError:
        if not ordered:
            return False
        standing = b""
    text = dump(ordered)
    if standing == text.encode():
        return False
    files.write_text(path, text)
    return True


def _unusable(path: Path, details: list[str]) -> RegistryContentError:
    return RegistryContentError(
        "the record of releases cannot be used",
        where=str(path),
        details=details,
        fix="mend these lines: of two on one file, keep the one that is true (wheelyard registry list shows what is "
        "there)",
    )
