"""A target: one version of a recipe, its lock, and its source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.version import Version

from wheelyard.core.errors import UnknownPackageError, UnknownVersionError
from wheelyard.io import log
from wheelyard.project.inheritance import BUILT_IN
from wheelyard.project.loader import Recipe, effective, list_recipes, load_recipe
from wheelyard.records import lockfile
from wheelyard.records.models import LockedVersion
from wheelyard.sources.source_kind import kind_of

if TYPE_CHECKING:
    from pathlib import Path

    from wheelyard.core.values import SourceTree
    from wheelyard.project.config import Project
    from wheelyard.project.inheritance import Explanation
    from wheelyard.project.recipe import Settings


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

    def patch_place(self, index: int) -> str:
        """Return where the n-th patch stands, ``file:line``."""
        explanation = self.explanation.get(f"patch[{index}]")
        return explanation.where if explanation else self.recipe.file

    def place(self, *keys: str) -> str:
        """Return where the first of these settings that anybody gives stands, else the recipe's first line."""
        items = (self.explanation.get(key) for key in keys)
        return next((item.where for item in items if item and item.where != BUILT_IN), f"{self.recipe.file}:1")

    def version_place(self) -> str:
        """Return the place of the setting that decides which version of the source is taken."""
        keys = kind_of(self.settings.source).version_keys
        return self.place(*(f"source.{key}" for key in keys), "source.name")

    def source_place(self) -> str:
        """Return the place of the setting that names the source."""
        return self.place(f"source.{self.settings.source.kind}", "source.name")


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
    file = lockfile.lock_file(project.packages, recipe.package)
    lock = lockfile.read_lock(file)
    locked = lockfile.find(lock, _checked(version)) if version else lockfile.newest(lock)
    if locked is None:
        locked = look_up(recipe, version, list_recipes(project))
        if write:
            locked = lockfile.pin(file, locked)
            log.info(f"locked {recipe.package} {locked.version} in {file.relative_to(project.root)}")
    settings, explanation = effective(recipe, locked.version)
    return Target(recipe, settings, explanation, locked)


def _checked(version: str) -> str:
    try:
        return str(Version(version))
    except ValueError as error:  # InvalidVersion, or more digits than int() takes
        raise UnknownVersionError(
            f"{version[:100]!r} is not a version (PEP 440)",
            fix="leave it out for the newest, or write one such as 3.0.4",
        ) from error


def look_up(recipe: Recipe, version: str | None, pinned_versions: tuple[str, ...]) -> LockedVersion:
    """Return what upstream's *version*, the newest when None, is to be pinned to.

    Raises:
        UnknownPackageError: the index has nothing of it.
        UnknownVersionError: no such version.
        SourceError: no source can be pinned.
        NetworkError: the index does not answer.
    """
    from wheelyard import index as upstream  # offline verbs need not pay for HTTP

    settings, _ = effective(recipe, version)
    name = settings.source.name or recipe.package
    is_sdist = kind_of(settings.source).is_sdist
    with log.step(f"Looking up {name} upstream"):
        try:
            release = upstream.look_up(
                name, version, index=upstream.index_url(), suggestions=pinned_versions, sdist=is_sdist
            )
        except (UnknownPackageError, UnknownVersionError):
            # A package of one's own, or one that is not on the index yet: the version must be given.
            if is_sdist or version is None:
                raise
            release = LockedVersion(version=_checked(version))
        settings, _ = effective(recipe, release.version)
        return kind_of(settings.source).pin(settings.source, release)


def prepare_source(project: Project, target: Target, work: Path, *, log_file: Path) -> SourceTree:
    """Return the source of *target*, ready to build, inside *work*.

    Raises:
        SourceError: it cannot be fetched; subclasses for wrong bytes, unsafe archives and bad patches.
        NetworkError: the server does not answer.
    """
    from wheelyard import index  # offline verbs need not pay for HTTP
    from wheelyard.sources.prepare import prepare

    name = target.settings.source.name or target.package
    with log.step("Preparing source"):
        return prepare(
            target.package,
            target.locked,
            target.settings,
            recipe_folder=target.recipe.folder,
            work=work,
            config=project.config,
            find_url=lambda: index.sdist_url(name, target.locked, index=index.index_url()),
            where=target.patch_place,
            log_file=log_file,
        )
