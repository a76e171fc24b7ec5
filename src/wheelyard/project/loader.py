"""Recipes from files to layers, with every problem of every layer in one error."""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from wheelyard.core import toml
from wheelyard.core.digests import sha256_file, sha256_value
from wheelyard.core.errors import RecipeError, UnknownPackageError
from wheelyard.core.names import canonical, did_you_mean
from wheelyard.project import inheritance, validation
from wheelyard.project.inheritance import Explained, Layer, TomlText
from wheelyard.project.recipe import RecipeFile, Settings
from wheelyard.project.validation import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from wheelyard.project.config import Project
    from wheelyard.project.inheritance import Explanation

RECIPE = "recipe.toml"
FRAGMENTS = "_shared"
_AT_LINE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)\Z")


@dataclass(frozen=True)
class Recipe:
    """The recipe of a package.

    Attributes:
        package: its canonical name, which is the folder's.
        folder: the folder of the recipe, its patches and scripts.
        layers: its layers, outermost first.
    """

    package: str
    folder: Path
    layers: tuple[Layer, ...]

    @property
    def file(self) -> str:
        """The recipe's own file, as errors name it."""
        return f"recipes/{self.package}/{RECIPE}"


def list_recipes(project: Project) -> tuple[str, ...]:
    """Return the names of the folders with a recipe, sorted; no file is read."""
    if not project.recipes.is_dir():
        return ()
    return tuple(sorted(folder.name for folder in project.recipes.iterdir() if _has_recipe(folder)))


def _has_recipe(folder: Path) -> bool:
    return folder.name[0] not in "._" and not folder.is_symlink() and (folder / RECIPE).is_file()


def project_name(project: Project, package: str) -> str:
    """Return the canonical name of a package's wheels: its ``[source] name``, else the folder's name.

    Raises:
        RecipeError: its recipe is not valid.
    """
    if not _has_recipe(project.recipes / package):
        return package
    return effective(load_recipe(project, package), None)[0].source.name or package


def makers(project: Project) -> dict[str, tuple[str, ...]]:
    """Return the packages that make the wheels of each name: the folder's name, unless ``[source] name`` is another.

    Raises:
        RecipeError: a recipe is not valid.
    """
    packages_by_name: dict[str, list[str]] = {}
    for package in list_recipes(project):
        packages_by_name.setdefault(project_name(project, package), []).append(package)
    return {name: tuple(packages) for name, packages in packages_by_name.items()}


def load_recipe(project: Project, package: str) -> Recipe:
    """Read and check the recipe of *package*, however its name is spelt.

    Raises:
        UnknownPackageError: there is no such recipe.
        RecipeError: it is not valid; the error lists every problem.
    """
    folder = _folder(project, package)
    problems: list[Problem] = []
    file = _read(folder / RECIPE, f"recipes/{folder.name}/{RECIPE}", problems)
    validation.raise_problems(folder.name, problems)
    outer = [Layer(project.config.defaults, _site_text(project), ("tool", "wheelyard", "defaults"))]
    outer += _fragments(project, file, problems)
    problems += [*validation.validate(RecipeFile, file), *validation.cibuildwheel_problems(file)]
    for layer in outer:
        problems += _outer_problems(layer)
    validation.raise_problems(folder.name, problems)
    recipe = Recipe(folder.name, folder, (*outer, *_recipe_layers(file)))
    validation.raise_problems(folder.name, _recipe_problems(recipe))
    return recipe


def effective(recipe: Recipe, version: Version | str | None) -> tuple[Settings, Explanation]:
    """Return the settings for *version*, and the origin of each setting (computed on first use).

    Without a version, no override applies.

    Raises:
        RecipeError: the layers contradict each other for this version.
    """
    parsed = Version(version) if isinstance(version, str) else version
    layers = [layer for layer in recipe.layers if layer.holds_for(parsed)]
    table = inheritance.fold(layers)
    try:
        settings = Settings.model_validate(table)
    except ValueError:
        places = functools.partial(inheritance.fold_places, layers)
        validation.raise_problems(recipe.package, validation.validate_merged(Settings, table, places, recipe.file))
        raise
    return settings, _Explanation(settings, tuple(layers))


def digest(recipe: Recipe, settings: Settings, version: Version | str) -> str:
    """Return the sha256 of a recipe for *version*: settings, and the bytes of patches and scripts."""
    parsed = Version(version) if isinstance(version, str) else version
    patches = [patch for patch in settings.patch if patch.is_for(parsed)]
    names = sorted({patch.file for patch in patches} | ({settings.sdist.run} if settings.sdist.run else set()))
    decisive = settings.model_dump(mode="json", exclude={"upstream": True, "patch": True, "build": {"runner"}})
    return sha256_value(
        {
            "settings": decisive,
            "patches": [patch.file for patch in patches],
            "files": {name: sha256_file(recipe.folder / name) for name in names},
        }
    )


class _Explanation(Mapping[str, Explained]):
    """Computed on first use: only ``plan --explain`` needs it."""

    def __init__(self, settings: Settings, layers: tuple[Layer, ...]) -> None:
        self._settings = settings
        self._layers = layers

    @functools.cached_property
    def _explained(self) -> dict[str, Explained]:
        return inheritance.explain(self._settings.model_dump(mode="json"), inheritance.fold_places(self._layers))

    def __getitem__(self, key: str) -> Explained:
        return self._explained[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._explained)

    def __len__(self) -> int:
        return len(self._explained)


# ------------------------------------------------------------------- reading


def _folder(project: Project, package: str) -> Path:
    name = canonical(package)
    folder = project.recipes / name
    if folder.is_symlink() or (folder / RECIPE).is_symlink():
        raise RecipeError(
            "is a symbolic link; recipes are plain files in plain folders",
            where=f"recipes/{name}",
            fix="copy the files",
        )
    if (folder / RECIPE).is_file():
        return folder
    packages = list_recipes(project)
    for folder_name in packages:
        if canonical(folder_name) == name:
            raise RecipeError(
                f"the folder must have the package's canonical name, {name!r} (PEP 503)",
                where=f"recipes/{folder_name}",
                fix=f"git mv recipes/{folder_name} recipes/{name}",
            )
    raise UnknownPackageError(
        f"there is no recipe for {name!r}{did_you_mean(name, packages)}",
        fix=f"mkdir -p recipes/{name} && touch recipes/{name}/{RECIPE}  (the empty file is a valid recipe)",
    )


def _read(path: Path, label: str, problems: list[Problem]) -> Layer:
    """Return the layer of one TOML file, empty if it has a problem, which is added to *problems*."""
    if path.is_symlink():
        problems.append(Problem(f"{label}:1", "is a symbolic link; recipes are plain files"))
        return Layer({}, TomlText(label, ""))
    text = ""
    try:
        text = path.read_text(encoding="utf-8")
        return Layer(toml.loads(text), TomlText(label, text))
    except UnicodeDecodeError as error:
        problems.append(Problem(f"{label}:1", f"is not UTF-8 text (byte {error.start})"))
    except tomllib.TOMLDecodeError as error:
        place = _AT_LINE.search(str(error))
        line = place[1] if place and place[1] else text.count("\n") + 1
        problems.append(Problem(f"{label}:{line}", f"is not valid TOML: {_AT_LINE.sub('', str(error))}"))
    except OSError as error:
        problems.append(Problem(f"{label}:1", f"cannot be read: {error.strerror}"))
    return Layer({}, TomlText(label, text))


def _site_text(project: Project) -> TomlText:
    return TomlText("pyproject.toml", (project.root / "pyproject.toml").read_text(encoding="utf-8"))


def _fragments(project: Project, file: Layer, problems: list[Problem]) -> list[Layer]:
    build = file.table.get("build")
    uses = build.get("uses") if isinstance(build, dict) else None
    if not isinstance(uses, list):
        return []
    folder = project.recipes / FRAGMENTS
    fragments = {path.stem for path in folder.glob("*.toml")}
    layers = []
    for index, name in enumerate(uses):
        if isinstance(name, str) and name in fragments:
            layers.append(_read(folder / f"{name}.toml", f"recipes/{FRAGMENTS}/{name}.toml", problems))
        elif isinstance(name, str):
            where = file.place(("build", "uses", index))
            text = f"there is no fragment {name!r} in recipes/{FRAGMENTS}{did_you_mean(name, fragments)}"
            problems.append(Problem(where, text))
    return layers


def _recipe_layers(file: Layer) -> Iterator[Layer]:
    """Yield the layers of a valid recipe file: for all versions, then its overrides."""
    yield Layer({key: value for key, value in file.table.items() if key != "version"}, file.origin)
    for index, item in enumerate(file.table.get("version", [])):
        table = {key: value for key, value in item.items() if key != "match"}
        yield Layer(table, file.origin, ("version", index), SpecifierSet(item["match"]))


# ------------------------------------------------------------------ checking


def _outer_problems(layer: Layer) -> Iterator[Problem]:
    yield from validation.validate(Settings, layer)
    yield from validation.cibuildwheel_problems(layer)
    if "patch" in layer.table:
        yield Problem(layer.place(("patch",)), "patches belong to one recipe: put them into its folder")
    yield from _no_uses(layer)


def _no_uses(layer: Layer) -> Iterator[Problem]:
    build = layer.table.get("build")
    if isinstance(build, dict) and "uses" in build:
        yield Problem(layer.place(("build", "uses")), "only a recipe's own [build] may use fragments")


def _recipe_problems(recipe: Recipe) -> Iterator[Problem]:
    """Yield problems beyond the shape: files, doubles, contradictions between layers."""
    base = [layer for layer in recipe.layers if layer.match is None]
    overrides = [layer for layer in recipe.layers if layer.match is not None]
    for layer in (base[-1], *overrides):
        yield from validation.cibuildwheel_problems(layer)
        yield from _script_problems(recipe, layer)
    for layer in overrides:
        yield from _no_uses(layer)
    for layers in (base, *([*base, layer] for layer in overrides)):
        table = inheritance.fold(layers)
        places = functools.partial(inheritance.fold_places, layers)
        yield from validation.validate_merged(Settings, table, places, recipe.file)
        yield from validation.twice_problems(table, places)
    yield from _patch_problems(recipe)


def _script_problems(recipe: Recipe, layer: Layer) -> Iterator[Problem]:
    run = layer.table.get("sdist", {}).get("run")
    problem = _file_problem(recipe.folder, run) if run else None
    if problem:
        yield Problem(layer.place(("sdist", "run")), f"sdist.run: {run!r} {problem}")


def _patch_problems(recipe: Recipe) -> Iterator[Problem]:
    uses_by_name: dict[str, list[tuple[str, Layer, int]]] = {}
    for layer in recipe.layers:
        for index, patch in enumerate(layer.table.get("patch", [])):
            name, versions = patch["file"], patch.get("versions", "")
            problem = _file_problem(recipe.folder, name)
            if problem:
                yield Problem(
                    layer.place(("patch", index, "file")), f"the patch {name!r} {problem}{_near_patch(recipe, name)}"
                )
            for first_versions, first_layer, first_index in uses_by_name.setdefault(name, []):
                apart = layer is not first_layer and layer.match is not None and first_layer.match is not None
                if not apart and ("" in {versions, first_versions} or versions == first_versions):
                    first = first_layer.place(("patch", first_index, "file"))
                    where = layer.place(("patch", index, "file"))
                    yield Problem(where, f"the patch {name!r} is there already, at {first}")
            uses_by_name[name].append((versions, layer, index))
    for path in sorted(recipe.folder.glob("**/*.patch")):
        name = path.relative_to(recipe.folder).as_posix()
        if name not in uses_by_name:
            yield Problem(f"{recipe.file}:1", f"no [[patch]] names {name!r}, which is beside the recipe")


def _near_patch(recipe: Recipe, name: str) -> str:
    return did_you_mean(name, (path.name for path in recipe.folder.glob("*.patch")))


def _file_problem(folder: Path, name: str) -> str | None:
    """Return why *name* is not a plain file inside *folder*, None if it is one."""
    path = folder / name
    if not path.exists():
        return "does not exist in the recipe's folder"
    if path.is_symlink() or not path.resolve().is_relative_to(folder.resolve()):
        return "is, or is behind, a symbolic link"
    return None if path.is_file() else "is not a file"
