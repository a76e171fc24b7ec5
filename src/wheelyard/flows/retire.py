"""``registry prune`` and ``registry yank``: what leaves a registry, and what is only marked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.version import InvalidVersion, Version

from wheelyard.core.errors import PublishError, UnknownVersionError, WheelyardError
from wheelyard.core.names import canonical
from wheelyard.flows.registry import listings, projects_of, recorded
from wheelyard.record import releases
from wheelyard.record.lock import lock_file, read_lock
from wheelyard.stages.registry.pages import version_of
from wheelyard.stages.registry.prune import Pruning, plan_pruning

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wheelyard.flows.registries import Place
    from wheelyard.recipe.policy import Project


@dataclass(frozen=True)
class Pruned:
    """What was, or would be, deleted.

    Attributes:
        plan: each version of each package.
        done: whether it was deleted.
        refused: why something was not.
    """

    plan: tuple[Pruning, ...]
    done: bool
    refused: tuple[str, ...]


def prune(project: Project, place: Place, packages: Sequence[str], *, keep: int | None, delete: bool) -> Pruned:
    """Delete the versions that site policy does not keep; without *delete* only tell.

    Args:
        project: the project.
        place: the registry.
        packages: which packages; all by default.
        keep: versions to keep, instead of site policy's number.
        delete: really do it.

    Raises:
        PublishError: there is no such registry.
        NetworkError: it does not answer.
    """
    keep = place.keep if keep is None else keep
    plan: list[Pruning] = []
    refused: list[str] = []
    for package, found in listings(place, projects_of(place, packages)):
        try:
            if isinstance(found, WheelyardError):
                raise found
            plan += plan_pruning(package, found, keep=keep, referenced=_referenced(project, place, package))
        except WheelyardError as error:
            refused.append(f"{package}: {error}")
    for item in plan if delete else ():
        if item.reason:
            continue
        try:
            place.registry.remove(item.project, item.files)
            if place.record:
                releases.forget(releases.releases_file(project.packages, item.project), item.files, place.name)
        except WheelyardError as error:
            refused.append(f"{item.project} {item.version}: {error}")
    return Pruned(tuple(plan), delete, tuple(refused))


def _referenced(project: Project, place: Place, package: str) -> set[Version]:
    if not place.keep_referenced:
        return set()
    return {Version(entry.version) for entry in read_lock(lock_file(project.packages, package)).versions}


@dataclass(frozen=True)
class Yanked:
    """What was marked.

    Attributes:
        files: the files.
        shown: whether the registry's own index shows it; if not, ours does (``registry index``).
        recorded: whether our records say it.
    """

    files: tuple[str, ...]
    shown: bool
    recorded: bool


def yank(project: Project, place: Place, package: str, version: str, reason: str | None) -> Yanked:
    """Mark all files of a version as yanked for *reason* (PEP 592); None takes it back.

    Raises:
        UnknownVersionError: the registry has no such version.
        RegistryContentError: a file is not in our records, which are where a yank is kept for this registry.
        PublishError: there is no such registry.
        NetworkError: it does not answer.
    """
    name = canonical(package)
    try:
        wanted = Version(version)
    except InvalidVersion as error:
        raise UnknownVersionError(f"{version!r} is not a version (PEP 440)", where=name) from error
    there = place.registry.files(name)
    names = tuple(file.file for file in there if version_of(file.file) == wanted)
    if not names:
        raise UnknownVersionError(
            f"{place.registry.title} has no {name} {wanted}", fix=f"wheelyard registry list {name} --of {place.name}"
        )
    path = releases.releases_file(project.packages, name)
    if place.record:
        missing = sorted(set(names) - {entry.file for entry in recorded(project, place, name)})
        if missing:
            raise PublishError(
                "not all files are in our records, which is where a yank is kept",
                where=str(path),
                details=missing,
                fix=f"wheelyard registry adopt {name} --of {place.name}",
            )
        releases.yank(path, names, place.name, reason)
    shown = [place.registry.yank(name, file, reason) for file in names]
    return Yanked(names, all(shown), place.record)
