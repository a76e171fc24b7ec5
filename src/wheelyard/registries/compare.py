"""Compare a registry with the records, project by project."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from wheelyard.core.tags import WheelName
from wheelyard.registries.simple_index import identity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wheelyard.records.releases import ReleasedFile
    from wheelyard.registries.registry import RegistryFile


class Kind(Enum):
    """What can be wrong."""

    DIFFERS = "differs"
    DAMAGED = "damaged"
    MISSING = "missing"
    UNRECORDED = "unrecorded"
    NO_HASH = "no-hash"
    DOUBLE = "double"
    ORPHAN = "orphan"
    UNREADABLE = "unreadable"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        kind: what.
        project: whose.
        file: which file; empty for a whole project.
        text: what was seen.
        fix: what to do.
    """

    kind: Kind
    project: str
    file: str
    text: str
    fix: str


def compare(
    project: str,
    files: Sequence[RegistryFile],
    records: Sequence[ReleasedFile],
    *,
    is_known_project: bool,
    where: str | None,
) -> Iterator[Problem]:
    """Yield what is wrong with one project.

    Args:
        project: its canonical name.
        files: what the registry has.
        records: what was recorded as published there.
        is_known_project: whether there is a recipe of that name.
        where: the registry's name; None where records do not list what is there.
    """
    if not is_known_project and files:
        yield Problem(
            Kind.ORPHAN,
            project,
            "",
            f"{len(files)} files and no recipe",
            f"add a recipe, or {_remove(project, 'FILE…', where)}",
        )
    files_by_name: dict[str, list[RegistryFile]] = defaultdict(list)
    for file in files:
        files_by_name[file.file].append(file)
    recorded = {record.file: record for record in records}
    for name, copies in files_by_name.items():
        yield from _of_file(project, copies, recorded.get(name), where)
    yield from _spelt_twice(project, sorted(files_by_name, key=lambda name: (name not in recorded, name)), where)
    for name in sorted(recorded.keys() - files_by_name.keys()):
        yield Problem(
            Kind.MISSING,
            project,
            name,
            "is recorded as published, and is not there",
            "publish it again, or take its line out of releases.toml",
        )


def _spelt_twice(project: str, names: Sequence[str], where: str | None) -> Iterator[Problem]:
    """Yield the names of wheels that are there under another spelling, too; the first of *names* is the right one."""
    first: dict[tuple[object, ...], str] = {}
    for name in names:
        if (other := first.setdefault(identity(name), name)) != name:
            text = f"is the same wheel, spelt another way, as {other}"
            yield Problem(Kind.DOUBLE, project, name, text, _remove(project, name, where))


def _of_file(
    project: str, copies: Sequence[RegistryFile], record: ReleasedFile | None, where: str | None
) -> Iterator[Problem]:
    hashes = sorted({file.sha256 for file in copies if file.sha256})
    remove = _remove(project, copies[0].file, where)

    def problem(kind: Kind, text: str, fix: str) -> Problem:
        return Problem(kind, project, copies[0].file, text, fix)

    if len(copies) > 1:
        other = ", with different bytes" if len(hashes) > 1 else ""
        text = f"is listed {len(copies)} times{other}"
        yield problem(Kind.DOUBLE, text, remove)
    if not all(file.sha256 for file in copies):
        yield problem(Kind.NO_HASH, "the registry does not know its sha256", f"{remove}, then publish it again")
    for sha256 in hashes:
        if record is not None and record.sha256 != sha256:
            hashes_text = f"sha256 {sha256} is there, {record.sha256} is recorded"
            yield problem(Kind.DIFFERS, hashes_text, "find out who replaced it before anybody installs it")
    if not _belongs(project, copies[0].file):
        fix = f"{remove}, unless it is an sdist that is wanted"
        yield problem(Kind.ORPHAN, f"is not a wheel of {project}", fix)
    elif record is None and where is not None and hashes:
        fix = f"wheelyard registry adopt {project} --registry {where}"
        yield problem(Kind.UNRECORDED, "is there, and not recorded", fix)


def _remove(project: str, file: str, where: str | None) -> str:
    return f"wheelyard registry remove {project} {file}" + (f" --registry {where}" if where else "")


def _belongs(project: str, file: str) -> bool:
    try:
        return WheelName.parse(file).name == project
    except ValueError:
        return False
