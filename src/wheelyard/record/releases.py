"""``packages/<pkg>/releases.toml``: what was published where; one line a file, so that branches merge line by line.

Entries are sorted, and the same entry again changes nothing. Git joins two branches' lines by itself
(``.gitattributes``: ``merge=union``); an entry that stands twice afterwards counts once, and the next write puts
all in order. Only when two lines say different things of one file is a person asked.
"""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING, Any, Literal

from packaging.utils import canonicalize_name
from pydantic import Field, ValidationError

from wheelyard.core.digests import sha256_bytes
from wheelyard.core.errors import RegistryContentError
from wheelyard.core.tags import WheelName
from wheelyard.io import cache, files
from wheelyard.record.models import Model, Sha256

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

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
        RegistryContentError: it is not such a record, or says different things of one file; all that is wrong is told.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ()
    except (UnicodeDecodeError, OSError) as error:
        raise _unusable(path, [str(error)]) from error
    try:
        found = Releases.model_validate(tomllib.loads(text)).files
    except tomllib.TOMLDecodeError as error:
        raise _unusable(path, [f"is not valid TOML: {error}"]) from error
    except ValidationError as error:
        details = [f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors(include_url=False)]
        raise _unusable(path, details) from error
    problems = list(_problems(found, path.parent.name))
    if problems:
        raise _unusable(path, problems)
    return _ordered(found)


def record(path: Path, entries: Iterable[ReleasedFile]) -> bool:
    """Add *entries* to the record, each in place of what it said of that file and registry; a yank stays.

    Runs that record at the same time do not lose each other's entries.

    Returns:
        Whether anything changed.

    Raises:
        RegistryContentError: what is there is no such record.
        DiskError: it cannot be written.
    """
    with _locked(path):
        known = {entry.key: entry for entry in read_releases(path)}
        for entry in entries:
            standing = known.get(entry.key)
            kept = standing.yanked if standing is not None and standing.sha256 == entry.sha256 else None
            known[entry.key] = entry.model_copy(update={"yanked": entry.yanked if kept is None else kept})
        return _write(path, known.values())


def yank(path: Path, names: Sequence[str], where: str, reason: str | None) -> bool:
    """Note that files are yanked for *reason*, or with None that they no longer are; return whether that is new.

    Raises:
        RegistryContentError: one of them is not recorded there, or the record cannot be used.
        DiskError: it cannot be written.
    """
    with _locked(path):
        known = {entry.key: entry for entry in read_releases(path)}
        missing = [name for name in names if (name, where) not in known]
        if missing:
            raise RegistryContentError(
                f"{', '.join(missing)} is not recorded as published to {where}",
                where=str(path),
                fix=f"wheelyard registry verify {where}",
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
    with _locked(path):
        gone = {(name, where) for name in names}
        return _write(path, [entry for entry in read_releases(path) if entry.key not in gone])


def dump(entries: Iterable[ReleasedFile]) -> str:
    """Return the text of a record: one line a file, sorted, without what is empty."""
    lines = [f"  {_inline(entry)}," for entry in _ordered(entries)]
    head = f'{_HEADER}schema = "wheelyard/releases"\nlayout = 1\nfiles = ['
    return "\n".join([head, *lines, "]", ""])


def _inline(entry: ReleasedFile) -> str:
    table = entry.model_dump(mode="json", exclude_defaults=True)
    return "{ " + ", ".join(f"{key} = {_value(value)}" for key, value in table.items()) + " }"


def _value(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    # A JSON string is a TOML basic string, but for DEL, which TOML wants escaped (TOML 1.0, "String").
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _ordered(entries: Iterable[ReleasedFile]) -> tuple[ReleasedFile, ...]:
    def rank(entry: ReleasedFile) -> tuple[object, str, str]:
        return WheelName.parse(entry.file).version, entry.file, entry.where

    return tuple(sorted({entry.key: entry for entry in entries}.values(), key=rank))


def _problems(entries: Sequence[ReleasedFile], package: str) -> Iterable[str]:
    seen: dict[tuple[str, str], ReleasedFile] = {}
    for entry in entries:
        try:
            name = WheelName.parse(entry.file).name
        except ValueError as error:
            yield str(error)
            continue
        if name != canonicalize_name(package):
            yield f"{entry.file} is not a wheel of {package}"
        if seen.setdefault(entry.key, entry) != entry:
            yield f"{entry.file} in {entry.where}: two lines say different things"


def _write(path: Path, entries: Iterable[ReleasedFile]) -> bool:
    text = dump(entries)
    if path.is_file() and path.read_bytes() == text.encode():
        return False
    files.write_text(path, text)
    return True


def _locked(path: Path) -> Any:
    guard = cache.cache_dir("locks") / f"releases-{sha256_bytes(str(path.resolve()).encode())[:16]}.lock"
    return cache.lock(guard, what=f"writing {path.name} of {path.parent.name}")


def _unusable(path: Path, details: list[str]) -> RegistryContentError:
    return RegistryContentError(
        "the record of releases cannot be used",
        where=str(path),
        details=details,
        fix="keep the line that is true (wheelyard registry list shows what is there), and remove the other",
    )
