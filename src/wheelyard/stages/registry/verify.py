"""Whether a registry has what the records say, and nothing else; compared project by project."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from wheelyard.core.tags import WheelName

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wheelyard.record.releases import ReleasedFile
    from wheelyard.stages.registry.port import RegistryFile


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
    project: str, files: Sequence[RegistryFile], records: Sequence[ReleasedFile], *, known: bool
) -> Iterator[Problem]:
    """Yield what is wrong with one project.

    Args:
        project: its canonical name.
        files: what the registry has.
        records: what was recorded as published there.
        known: whether there is a recipe of that name.
    """
    if not known and files:
        yield Problem(Kind.ORPHAN, project, "", f"{len(files)} files and no recipe", "add the recipe, or prune it")
    counts = Counter(file.file for file in files)
    recorded = {record.file: record for record in records}
    for file in {each.file: each for each in files}.values():
        yield from _of_file(project, file, counts[file.file], recorded.get(file.file))
    for name in sorted(recorded.keys() - counts.keys()):
        yield Problem(
            Kind.MISSING,
            project,
            name,
            "is recorded as published, and is not there",
            "publish it again, or take its line out of releases.toml",
        )


def _of_file(project: str, file: RegistryFile, count: int, record: ReleasedFile | None) -> Iterator[Problem]:
    def problem(kind: Kind, text: str, fix: str) -> Problem:
        return Problem(kind, project, file.file, text, fix)

    if count > 1:
        yield problem(Kind.DOUBLE, f"is listed {count} times", "delete all but one of its package records there")
    if not file.sha256:
        yield problem(Kind.NO_HASH, "the registry does not know its sha256", "delete it there, and publish it again")
    elif record is not None and record.sha256 != file.sha256:
        seen = f"sha256 {file.sha256} is there, {record.sha256} is recorded"
        yield problem(Kind.DIFFERS, seen, "find out who replaced it before anybody installs it")
    if not _belongs(project, file.file):
        yield problem(
            Kind.ORPHAN, f"is not a wheel of {project}", "delete it there, unless it is an sdist that is wanted"
        )
    elif record is None:
        yield problem(Kind.UNRECORDED, "is there, and not recorded", "wheelyard registry adopt")


def _belongs(project: str, file: str) -> bool:
    try:
        return WheelName.parse(file).name == project
    except ValueError:
        return False
