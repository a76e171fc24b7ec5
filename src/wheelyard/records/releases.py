"""``packages/<pkg>/releases.toml``: the published wheels of a package, one line a file and registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from wheelyard.core.errors import RegistryContentError
from wheelyard.core.tags import WheelName
from wheelyard.records.line_file import Entry, LineFile
from wheelyard.records.models import Sha256

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path


class ReleasedFile(Entry):
    """One file in one registry.

    Attributes:
        file: its name.
        where: the registry's name in the site configuration.
        sha256: its hash.
        size: bytes.
        tags: the tags of its name, each ``python-abi-platform`` (PEP 425), sorted.
        licence: an SPDX expression where METADATA has one, else its text there.
        patched: whether the source was patched here.
        source: the source that it was built from: ``sha256:…`` of the sdist or tree; empty where not recorded.
        image: the build image's digest; empty where not recorded.
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
    def key(self) -> tuple[str, ...]:
        """The values that only one entry has."""
        return self.file, self.where


def _join(entries: Iterable[ReleasedFile]) -> tuple[ReleasedFile, ...]:
    def rank(entry: ReleasedFile) -> tuple[object, str, str]:
        return WheelName.parse(entry.file).version, entry.file, entry.where

    return tuple(sorted({entry.key: entry for entry in entries}.values(), key=rank))


def _check(entries: Mapping[int, ReleasedFile], path: Path) -> Iterator[tuple[int, str]]:
    """Yield files of other packages, and lines that differ about one file: only a person can choose between them."""
    package = path.parent.name
    first_index: dict[tuple[str, ...], int] = {}
    reported: set[int] = set()
    for index, entry in entries.items():
        try:
            name = WheelName.parse(entry.file).name
        except ValueError as error:
            yield index, str(error)
            continue
        if name != canonicalize_name(package):
            yield index, f"{entry.file} is not a wheel of {package}"
        first = first_index.setdefault(entry.key, index)
        if entries[first] != entry:
            for line in {first, index} - reported:
                yield line, f"{entry.file} in {entry.where}: two lines differ"
            reported |= {first, index}


def _refuse_both(path: str, local: ReleasedFile, remote: ReleasedFile) -> Iterable[ReleasedFile]:
    raise RegistryContentError(
        f"{local.file} in {local.where}: this checkout and the base branch differ",
        where=path,
        details=[
            f"this checkout: {local.sha256}, yanked {local.yanked!r}",
            f"base branch: {remote.sha256}, yanked {remote.yanked!r}",
        ],
        fix="merge the base branch, then compare both with the registry: wheelyard registry verify",
    )


RELEASES = LineFile(
    name="releases",
    key="files",
    entry=ReleasedFile,
    header="# Written by wheelyard: the published wheels, one line a file. `wheelyard registry verify` compares them\n"
    "# with the registries.\n",
    join=_join,
    check=_check,
    both=_refuse_both,
    error=RegistryContentError,
    fix="correct these lines; of two about one file, keep the one that agrees with `wheelyard registry list`",
)


def record(path: Path, entries: Iterable[ReleasedFile]) -> bool:
    """Add *entries* to the record, each in place of the entry of that file and registry.

    An entry of the same bytes keeps a yank, and the recorded source and image if the new entry has none.

    Returns:
        Whether anything changed.

    Raises:
        RegistryContentError: the record cannot be used.
        DiskError: the record cannot be written.
    """

    def add(recorded: tuple[ReleasedFile, ...]) -> Iterable[ReleasedFile]:
        by_key = {entry.key: entry for entry in recorded}
        for entry in entries:
            by_key[entry.key] = _completed(entry, by_key.get(entry.key))
        return by_key.values()

    return RELEASES.update(path, add)[0]


def yank(path: Path, names: Sequence[str], where: str, reason: str | None) -> bool:
    """Mark files as yanked for *reason*, or as no longer yanked if it is None; return whether anything changed.

    Raises:
        RegistryContentError: a file is not recorded there, or the record cannot be used.
        DiskError: the record cannot be written.
    """

    def mark(recorded: tuple[ReleasedFile, ...]) -> Iterable[ReleasedFile]:
        by_key = {entry.key: entry for entry in recorded}
        missing = [name for name in names if (name, where) not in by_key]
        if missing:
            raise RegistryContentError(
                f"not recorded as published to {where}",
                where=str(path),
                details=missing,
                fix=f"wheelyard registry adopt {path.parent.name} --registry {where}",
            )
        for name in names:
            by_key[name, where] = by_key[name, where].model_copy(update={"yanked": reason})
        return by_key.values()

    return RELEASES.update(path, mark)[0]


def forget(path: Path, names: Iterable[str], where: str) -> bool:
    """Remove files that left a registry from the record; return whether anything changed.

    Raises:
        RegistryContentError: the record cannot be used.
        DiskError: the record cannot be written.
    """
    removed = {(name, where) for name in names}
    return RELEASES.update(path, lambda recorded: [entry for entry in recorded if entry.key not in removed])[0]


def _completed(entry: ReleasedFile, recorded: ReleasedFile | None) -> ReleasedFile:
    if recorded is None or recorded.sha256 != entry.sha256:
        return entry
    update: dict[str, object] = {} if recorded.yanked is None else {"yanked": recorded.yanked}
    if not entry.source:
        update |= {"source": recorded.source, "image": recorded.image, "patched": recorded.patched}
    return entry.model_copy(update=update)
