"""What is to be built: a recipe, a version, and its lock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.version import InvalidVersion, Version

from wheelyard.core.errors import UnknownVersionError
from wheelyard.io import log
from wheelyard.recipe.load import Recipe, effective, load_recipe
from wheelyard.record.lock import lock_file, read_lock, write_locked

if TYPE_CHECKING:
    from wheelyard.recipe.cascade import Explanation
    from wheelyard.recipe.models import Settings
    from wheelyard.recipe.policy import Project
    from wheelyard.record.models import Lock, LockedVersion


@dataclass(frozen=True)
class Target:
    """One version of one package, pinned.

    Attributes:
        recipe: the recipe.
        settings: what holds for this version.
        explanation: which file gave each setting.
        locked: what the version is pinned to.
    """

    recipe: Recipe
    settings: Settings
    explanation: Explanation
    locked: LockedVersion

    @property
    def package(self) -> str:
        """The package's canonical name."""
        return self.recipe.package

    @property
    def version(self) -> str:
        """The version, as the lock has it."""
        return self.locked.version


def find_target(project: Project, package: str, version: str | None = None, *, write: bool = True) -> Target:
    """Return what *package* means: the version asked for, else the newest that is locked, else upstream's newest.

    With a lock entry nothing touches the network. Without one the version is looked up, locked when *write* is
    set, and said so.

    Raises:
        UnknownPackageError: no such recipe, or nothing on the index.
        UnknownVersionError: no such version.
        RecipeError: the recipe is not valid.
        SourceError: no source can be pinned.
        NetworkError: the index does not answer.
    """
    recipe = load_recipe(project, package)
    file = lock_file(project, recipe.package)
    locked = _choose(read_lock(file), version)
    if locked is None:
        locked = _look_up(recipe, version)
        if write:
            write_locked(file, locked)
            log.info(f"locked {recipe.package} {locked.version} in {file.relative_to(project.root)}")
    settings, explanation = effective(recipe, locked.version)
    return Target(recipe, settings, explanation, locked)


def _choose(lock: Lock, version: str | None) -> LockedVersion | None:
    if version is not None:
        wanted = _parse(version)
        return next((entry for entry in lock.versions if Version(entry.version) == wanted), None)
    # A pre-release is built when it is asked for, never by itself.
    final = [entry for entry in lock.versions if not Version(entry.version).is_prerelease]
    return max(final or lock.versions, key=lambda entry: Version(entry.version), default=None)


def _parse(version: str) -> Version:
    try:
        return Version(version)
    except InvalidVersion as error:
        raise UnknownVersionError(f"{version!r} is not a version (PEP 440)") from error


def _look_up(recipe: Recipe, version: str | None) -> LockedVersion:
    from wheelyard.stages import source, upstream  # offline verbs need not pay for HTTP

    settings, _ = effective(recipe, version)
    name = settings.source.name or recipe.package
    with log.step(f"Looking up {name} upstream"):
        if settings.source.git is None and settings.source.path is None:
            return upstream.look_up(name, version)
        found = upstream.look_up(name, version, sdist=False)
        settings, _ = effective(recipe, found.version)
        if settings.source.git is not None:
            return source.pin_git(settings.source, found)
        return found
