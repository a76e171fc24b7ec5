"""Reading recipes: from files to layers, with every mistake of every layer in one error."""

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
from wheelyard.project.validation import Finding

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
    """How a package is built, as its people wrote it.

    Attributes:
        package: its canonical name, which is the folder's.
        folder: where the recipe, its patches and scripts are.
        layers: what it is made of, outermost first.
    """

    package: str
    folder: Path
    layers: tuple[Layer, ...]

    @property
    def file(self) -> str:
        """The recipe's own file, as errors name it."""
        return f"recipes/{self.package}/{RECIPE}"


def list_recipes(project: Project) -> tuple[str, ...]:
    """Return the names of the folders that hold a recipe, sorted; nothing is read."""
    if not project.recipes.is_dir():
        return ()
    return tuple(sorted(folder.name for folder in project.recipes.iterdir() if _holds_recipe(folder)))


def _holds_recipe(folder: Path) -> bool:
    return folder.name[0] not in "._" and not folder.is_symlink() and (folder / RECIPE).is_file()


def project_name(project: Project, package: str) -> str:
    """Return what the wheels of a package are called, canonically: its ``[source] name``, else the folder's name.

    Raises:
        RecipeError: its recipe is not valid.
    """
    if not _holds_recipe(project.recipes / package):
        return package
    return effective(load_recipe(project, package), None)[0].source.name or package


def makers(project: Project) -> dict[str, tuple[str, ...]]:
    """Return which packages make the wheels of each name: their folder's, unless ``[source] name`` is another.

    Raises:
        RecipeError: a recipe is not valid.
    """
    found: dict[str, list[str]] = {}
    for package in list_recipes(project):
        found.setdefault(project_name(project, package), []).append(package)
    return {name: tuple(packages) for name, packages in found.items()}


def load_recipe(project: Project, package: str) -> Recipe:
    """Read and check the recipe of *package*, however its name is spelt.

    Raises:
        UnknownPackageError: there is no such recipe.
        RecipeError: it is not valid; every mistake is named.
    """
    folder = _folder(project, package)
    read: list[Finding] = []
    file = _read(folder / RECIPE, f"recipes/{folder.name}/{RECIPE}", read)
    validation.raise_all(folder.name, read)
    outer = [Layer(project.config.defaults, _site_text(project), ("tool", "wheelyard", "defaults"))]
    outer += _fragments(project, file, read)
    found = [*read, *validation.validate(RecipeFile, file), *validation.cibuildwheel_findings(file)]
    for layer in outer:
        found += _outer_findings(layer)
    validation.raise_all(folder.name, found)
    recipe = Recipe(folder.name, folder, (*outer, *_recipe_layers(file)))
    validation.raise_all(folder.name, _recipe_findings(recipe))
    return recipe


def effective(recipe: Recipe, version: Version | str | None) -> tuple[Settings, Explanation]:
    """Return what *version* is built with, and where each setting comes from (worked out when it is looked at).

    None stands for no version in particular: no override applies.

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
        validation.raise_all(recipe.package, validation.validate_merged(Settings, table, places, recipe.file))
        raise
    return settings, _Explanation(settings, tuple(layers))


def digest(recipe: Recipe, settings: Settings, version: Version | str) -> str:
    """Return the sha256 of all that a recipe decides for *version*: settings, and the bytes of patches and scripts."""
    parsed = Version(version) if isinstance(version, str) else version
    patches = [patch for patch in settings.patch if patch.is_for(parsed)]
    names = sorted({patch.file for patch in patches} | ({settings.sdist.run} if settings.sdist.run else set()))
    kept = settings.model_dump(mode="json", exclude={"upstream": True, "patch": True, "build": {"runner"}})
    return sha256_value(
        {
            "settings": kept,
            "patches": [patch.file for patch in patches],
            "files": {name: sha256_file(recipe.folder / name) for name in names},
        }
    )


class _Explanation(Mapping[str, Explained]):
    """Worked out on first use: only ``plan --explain`` asks."""

    def __init__(self, settings: Settings, layers: tuple[Layer, ...]) -> None:
        self._settings = settings
        self._layers = layers

    @functools.cached_property
    def _found(self) -> dict[str, Explained]:
        return inheritance.explain(self._settings.model_dump(mode="json"), inheritance.fold_places(self._layers))

    def __getitem__(self, key: str) -> Explained:
        return self._found[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)


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
    known = list_recipes(project)
    for other in known:
        if canonical(other) == name:
            raise RecipeError(
                f"the folder must bear the package's canonical name, {name!r} (PEP 503)",
                where=f"recipes/{other}",
                fix=f"git mv recipes/{other} recipes/{name}",
            )
    raise UnknownPackageError(
        f"there is no recipe for {name!r}{did_you_mean(name, known)}",
        fix=f"mkdir -p recipes/{name} && touch recipes/{name}/{RECIPE}  (the empty file is a valid recipe)",
    )


def _read(path: Path, shown: str, found: list[Finding]) -> Layer:
    """Read one TOML file to a layer; what is wrong goes to *found*, and the layer is empty then."""
    if path.is_symlink():
        found.append(Finding(f"{shown}:1", "is a symbolic link; recipes are plain files"))
        return Layer({}, TomlText(shown, ""))
    text = ""
    try:
        text = path.read_text(encoding="utf-8")
        return Layer(toml.loads(text), TomlText(shown, text))
    except UnicodeDecodeError as error:
        found.append(Finding(f"{shown}:1", f"is not UTF-8 text (byte {error.start})"))
    except tomllib.TOMLDecodeError as error:
        place = _AT_LINE.search(str(error))
        line = place[1] if place and place[1] else text.count("\n") + 1
        found.append(Finding(f"{shown}:{line}", f"is not valid TOML: {_AT_LINE.sub('', str(error))}"))
    except OSError as error:
        found.append(Finding(f"{shown}:1", f"cannot be read: {error.strerror}"))
    return Layer({}, TomlText(shown, text))


def _site_text(project: Project) -> TomlText:
    return TomlText("pyproject.toml", (project.root / "pyproject.toml").read_text(encoding="utf-8"))


def _fragments(project: Project, file: Layer, found: list[Finding]) -> list[Layer]:
    build = file.table.get("build")
    uses = build.get("uses") if isinstance(build, dict) else None
    if not isinstance(uses, list):
        return []
    folder = project.recipes / FRAGMENTS
    known = {path.stem for path in folder.glob("*.toml")}
    layers = []
    for index, name in enumerate(uses):
        if isinstance(name, str) and name in known:
            layers.append(_read(folder / f"{name}.toml", f"recipes/{FRAGMENTS}/{name}.toml", found))
        elif isinstance(name, str):
            where = file.place(("build", "uses", index))
            text = f"there is no fragment {name!r} in recipes/{FRAGMENTS}{did_you_mean(name, known)}"
            found.append(Finding(where, text))
    return layers


def _recipe_layers(file: Layer) -> Iterator[Layer]:
    """Split a valid recipe file into what holds for all versions and its overrides."""
    yield Layer({key: value for key, value in file.table.items() if key != "version"}, file.origin)
    for index, item in enumerate(file.table.get("version", [])):
        table = {key: value for key, value in item.items() if key != "match"}
        yield Layer(table, file.origin, ("version", index), SpecifierSet(item["match"]))


# ------------------------------------------------------------------ checking


def _outer_findings(layer: Layer) -> Iterator[Finding]:
    yield from validation.validate(Settings, layer)
    yield from validation.cibuildwheel_findings(layer)
    if "patch" in layer.table:
        yield Finding(layer.place(("patch",)), "patches belong to one recipe: put them into its folder")
    yield from _no_uses(layer)


def _no_uses(layer: Layer) -> Iterator[Finding]:
    build = layer.table.get("build")
    if isinstance(build, dict) and "uses" in build:
        yield Finding(layer.place(("build", "uses")), "only a recipe's own [build] may use fragments")


def _recipe_findings(recipe: Recipe) -> Iterator[Finding]:
    """Yield what a valid shape still allows to be wrong: files, doubles, contradictions between layers."""
    base = [layer for layer in recipe.layers if layer.match is None]
    overrides = [layer for layer in recipe.layers if layer.match is not None]
    for layer in (base[-1], *overrides):
        yield from validation.cibuildwheel_findings(layer)
        yield from _script_findings(recipe, layer)
    for layer in overrides:
        yield from _no_uses(layer)
    for together in (base, *([*base, layer] for layer in overrides)):
        table = inheritance.fold(together)
        places = functools.partial(inheritance.fold_places, together)
        yield from validation.validate_merged(Settings, table, places, recipe.file)
        yield from validation.twice_findings(table, places)
    yield from _patch_findings(recipe)


def _script_findings(recipe: Recipe, layer: Layer) -> Iterator[Finding]:
    run = layer.table.get("sdist", {}).get("run")
    problem = _file_problem(recipe.folder, run) if run else None
    if problem:
        yield Finding(layer.place(("sdist", "run")), f"sdist.run: {run!r} {problem}")


def _patch_findings(recipe: Recipe) -> Iterator[Finding]:
    seen: dict[str, list[tuple[str, Layer, int]]] = {}
    for layer in recipe.layers:
        for index, patch in enumerate(layer.table.get("patch", [])):
            name, versions = patch["file"], patch.get("versions", "")
            problem = _file_problem(recipe.folder, name)
            if problem:
                yield Finding(
                    layer.place(("patch", index, "file")), f"the patch {name!r} {problem}{_near_patch(recipe, name)}"
                )
            for other, other_layer, other_index in seen.setdefault(name, []):
                apart = layer is not other_layer and layer.match is not None and other_layer.match is not None
                if not apart and ("" in {versions, other} or versions == other):
                    first = other_layer.place(("patch", other_index, "file"))
                    where = layer.place(("patch", index, "file"))
                    yield Finding(where, f"the patch {name!r} is there already, at {first}")
            seen[name].append((versions, layer, index))
    for path in sorted(recipe.folder.glob("**/*.patch")):
        name = path.relative_to(recipe.folder).as_posix()
        if name not in seen:
            yield Finding(f"{recipe.file}:1", f"no [[patch]] names {name!r}, which lies beside the recipe")


def _near_patch(recipe: Recipe, name: str) -> str:
    return did_you_mean(name, (path.name for path in recipe.folder.glob("*.patch")))


def _file_problem(folder: Path, name: str) -> str | None:
    """Say why *name* is no plain file inside *folder*, None if it is one."""
    path = folder / name
    if not path.exists():
        return "does not exist in the recipe's folder"
    if path.is_symlink() or not path.resolve().is_relative_to(folder.resolve()):
        return "is, or lies behind, a symbolic link"
    return None if path.is_file() else "is not a file"
