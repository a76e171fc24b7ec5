"""``registry prune`` and ``registry yank``: what leaves a registry, and what is only marked."""

from __future__ import annotations

import contextlib
import functools
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.version import InvalidVersion, Version

from wheelyard.core.errors import ConfigError, CredentialsError, UnknownVersionError, WheelyardError
from wheelyard.core.pep440 import read_version
from wheelyard.project.loader import makers
from wheelyard.records import releases
from wheelyard.records.lockfile import lock_file, read_lock
from wheelyard.registries import Journal
from wheelyard.registries.publish_wheels import JOURNALS
from wheelyard.registries.registry_errors import about
from wheelyard.registries.registry_listings import listings, projects_of, recorded
from wheelyard.registries.retention import Pruning, plan_pruning
from wheelyard.registries.simple_index import version_of
from wheelyard.registries.static_index import enrich

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wheelyard.project.config import Project
    from wheelyard.registries.open_registry import NamedRegistry


@dataclass(frozen=True)
class Pruned:
    """What was, or would be, deleted.

    Attributes:
        plan: each version of each package.
        keep: how many versions of a package are kept; 0 for all.
        deleted: what of the plan was deleted.
        refused: why something was not.
        complete: whether everything was tried.
        dry_run: whether nothing was to be deleted.
        recorded: whether our records have followed.
    """

    plan: tuple[Pruning, ...]
    keep: int
    deleted: tuple[Pruning, ...]
    refused: tuple[WheelyardError, ...]
    complete: bool
    dry_run: bool
    recorded: bool


def prune(
    project: Project, registry: NamedRegistry, packages: Sequence[str], *, keep: int | None, delete: bool
) -> Pruned:
    """Delete the versions that the site configuration does not keep; without *delete* only report them.

    A package that fails does not keep the others, unless they would meet the same.

    Args:
        project: the project.
        registry: the registry.
        packages: which packages; all by default.
        keep: versions to keep, instead of the site configuration's number.
        delete: really do it.

    Raises:
        UnknownPackageError: the registry has no such package.
        PublishError: there is no such registry.
        NetworkError: it does not answer.
    """
    keep = registry.config.keep if keep is None else keep
    # What is being published must not be deleted before it is read back: of the two, one waits.
    journal = Journal.of(project.dist / JOURNALS, registry.adapter.title) if delete else contextlib.nullcontext()
    with journal:
        return _prune(project, registry, packages, keep=keep, delete=delete)


def _prune(project: Project, registry: NamedRegistry, packages: Sequence[str], *, keep: int, delete: bool) -> Pruned:
    plan: list[Pruning] = []
    refused: list[WheelyardError] = []
    made_by = functools.cache(functools.partial(makers, project))  # once, however many packages are there
    for package, listing in listings(registry, projects_of(registry, packages)):
        try:
            if isinstance(listing, WheelyardError):
                raise listing
            enriched = enrich(listing, recorded(project, registry, package))
            referenced = _referenced(project, package, made_by()) if registry.config.keep_referenced else ()
            plan += plan_pruning(package, enriched, keep=keep, referenced=set(referenced))
        except WheelyardError as error:
            refused.append(about(package, error))
    doomed: dict[str, list[Pruning]] = defaultdict(list)
    for item in plan if delete else ():
        if not item.reason:
            doomed[item.project].append(item)
    deleted: list[Pruning] = []
    untried = len(doomed)
    for package, items in doomed.items():
        untried -= 1
        try:
            _delete(project, registry, package, [file for item in items for file in item.files])
            deleted += items
        except CredentialsError as error:
            refused.append(error)
            break
        except WheelyardError as error:
            refused.append(about(package, error))
    return Pruned(
        tuple(plan),
        keep,
        tuple(deleted),
        tuple(refused),
        complete=not untried,
        dry_run=not delete,
        recorded=registry.config.record,
    )


def _delete(project: Project, registry: NamedRegistry, package: str, names: Sequence[str]) -> None:
    """Delete files, and forget them first: what a kill in between leaves, the next run finds, and deletes again."""
    path = releases.RELEASES.path(project.packages, package)
    entries = [entry for entry in recorded(project, registry, package) if entry.file in names]
    if registry.config.record:
        releases.forget(path, names, registry.name)
    try:
        registry.adapter.remove(package, names)
    except WheelyardError:
        if registry.config.record:
            releases.record(path, [entry for entry in entries if entry.file in _left(registry, package, names)])
        raise


def _left(registry: NamedRegistry, package: str, names: Sequence[str]) -> set[str]:
    """Return which files are there still; all of them where that cannot be found out."""
    try:
        return {file.file for file in registry.adapter.files(package)}
    except WheelyardError:
        return set(names)


def _referenced(project: Project, package: str, made_by: Mapping[str, Sequence[str]]) -> set[Version]:
    """Return the versions that a lock pins; a recipe may have another name than its wheels."""
    locks = [read_lock(lock_file(project.packages, recipe)) for recipe in {package, *made_by.get(package, ())}]
    return {Version(entry.version) for lock in locks for entry in lock.versions}


@dataclass(frozen=True)
class Yanked:
    """What was marked.

    Attributes:
        files: the files.
        shown: whether the registry's own index shows it; if not, ours does (``registry index``).
        recorded: whether our records list it.
    """

    files: tuple[str, ...]
    shown: bool
    recorded: bool


def yank(project: Project, registry: NamedRegistry, package: str, version: str, reason: str | None) -> Yanked:
    """Mark all files of a version as yanked for *reason* (PEP 592); None takes it back.

    Raises:
        UnknownPackageError: the registry has no such package.
        UnknownVersionError: it has no such version.
        ConfigError: neither it nor our records can keep a yank.
        PublishError: there is no such registry, or a file is not in our records, which keep the yank for this one.
        NetworkError: it does not answer.
    """
    (name,) = projects_of(registry, [package])
    try:
        parsed_version = read_version(version)
    except InvalidVersion as error:
        raise UnknownVersionError(f"{version[:100]!r} is not a version (PEP 440)", where=name) from error
    file_list = registry.adapter.files(name)
    names = tuple(dict.fromkeys(file.file for file in file_list if version_of(file.file) == parsed_version))
    if not names:
        versions = sorted(
            {file_version for file in file_list if (file_version := version_of(file.file)) is not None}, reverse=True
        )
        raise UnknownVersionError(
            f"{registry.adapter.title} has no {name} {parsed_version}; it has {', '.join(map(str, versions))}",
            fix=f"wheelyard registry list {name} --registry {registry.name}",
        )
    return mark(project, registry, name, names, reason)


def mark(project: Project, registry: NamedRegistry, package: str, names: Sequence[str], reason: str | None) -> Yanked:
    """Mark files as yanked for *reason*; None takes it back. Our records come first: they can be found wanting.

    Raises:
        ConfigError: neither the registry nor our records can keep it.
        PublishError: a file is not there, or not in our records.
        NetworkError: the registry does not answer.
    """
    if registry.config.record:
        releases.yank(releases.RELEASES.path(project.packages, package), names, registry.name, reason)
    is_shown = {registry.adapter.yank(package, file, reason) for file in names} == {True}
    if not is_shown and not registry.config.record:
        raise ConfigError(
            f"{registry.name} cannot show a yank, and our records do not list what is there",
            fix=f"set record = true in [tool.wheelyard.registries.{registry.name}], then wheelyard registry adopt",
        )
    return Yanked(tuple(names), is_shown, registry.config.record)
