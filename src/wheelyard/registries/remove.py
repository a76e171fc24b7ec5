"""``registry remove``: what ``registry verify`` finds and nobody wants, named file by file.

A recorded file stays, whatever is asked for: of a file that is there twice, only the other copy
goes.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wheelyard.core.errors import PublishError
from wheelyard.registries import Journal
from wheelyard.registries.publish_wheels import JOURNALS
from wheelyard.registries.registry_listings import projects_of, recorded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wheelyard.project.config import Project
    from wheelyard.registries.open_registry import NamedRegistry

_RECORDED = (
    "is recorded as published, and stays; prune deletes versions, and what is to go for good has its line taken out of "
    "releases.toml first"
)


@dataclass(frozen=True)
class Doomed:
    """What becomes of one file.

    Attributes:
        file: its name.
        copies: how many copies go.
        staying: the sha256 of the one copy that stays; empty if none does.
    """

    file: str
    copies: int
    staying: str


@dataclass(frozen=True)
class Removal:
    """What was, or would be, deleted.

    Attributes:
        package: the package.
        files: its files of which something goes.
        dry_run: whether nothing was to be deleted.
    """

    package: str
    files: tuple[Doomed, ...]
    dry_run: bool


def remove(
    project: Project, registry: NamedRegistry, package: str, names: Sequence[str], *, keep: str = "", delete: bool
) -> Removal:
    """Delete files of a package that are not recorded, and second copies of those that are; all of them or none.

    Args:
        project: the project.
        registry: the registry.
        package: the package that the registry lists them under.
        names: the files.
        keep: how the sha256 begins of the copy that stays, of files that are there with different bytes.
        delete: really do it.

    Raises:
        UnknownPackageError: the registry has no such package.
        CredentialsError: we may not delete.
        PublishError: some of them may not go; all are listed, and none is deleted.
        NetworkError: it does not answer.
    """
    # What is being published must not be taken for a stranger: of the two, one waits.
    journal = Journal.of(project.dist / JOURNALS, registry.adapter.title) if delete else contextlib.nullcontext()
    with journal:
        (name,) = projects_of(registry, [package])
        plan = _plan(project, registry, name, names, keep.lower())
        if delete:
            staying = {item.file: item.staying for item in plan if item.staying}
            registry.adapter.remove(name, [item.file for item in plan], staying=staying)
    return Removal(name, plan, dry_run=not delete)


def _plan(
    project: Project, registry: NamedRegistry, package: str, names: Sequence[str], keep: str
) -> tuple[Doomed, ...]:
    file_list = registry.adapter.files(package)
    recorded_hashes = {entry.file: entry.sha256 for entry in recorded(project, registry, package)}
    plan: list[Doomed] = []
    wrong: list[str] = []
    for name in dict.fromkeys(names):
        copies = [file.sha256 for file in file_list if file.file == name]
        staying = _staying(copies, recorded_hashes.get(name), keep)
        if isinstance(staying, _Refusal):
            wrong.append(f"{name}: {staying.why}")
        else:
            plan.append(Doomed(name, len(copies) - bool(staying), staying))
    if wrong:
        raise PublishError(
            f"{len(wrong)} of {len(wrong) + len(plan)} files may not go; nothing was deleted",
            where=package,
            details=wrong,
            fix=f"wheelyard registry verify {package} --registry {registry.name}",
        )
    return tuple(plan)


@dataclass(frozen=True)
class _Refusal:
    why: str


def _staying(copies: Sequence[str | None], recorded_hash: str | None, keep: str) -> str | _Refusal:
    """Return the sha256 of the copy that stays, empty if none does, or why nothing may go.

    Args:
        copies: what is there under one name.
        recorded_hash: what is recorded of it.
        keep: how the one begins that is to stay.
    """
    hashes = sorted({sha256 for sha256 in copies if sha256})
    chosen = [sha256 for sha256 in hashes if sha256.startswith(keep)]
    if recorded_hash in hashes:
        return (recorded_hash or "") if len(copies) > 1 and recorded_hash in chosen else _Refusal(_RECORDED)
    if len(copies) < 2:  # noqa: PLR2004 - a copy beside another one
        if copies and not keep:
            return ""
        return _Refusal("is there once: without --keep-copy it goes" if copies else "is not there")
    if len(chosen) > 1 or (keep and not chosen):
        return _Refusal(f"which one is to stay? --keep-copy SHA256 names it: {', '.join(hashes) or 'none has one'}")
    return chosen[0] if chosen else ""
