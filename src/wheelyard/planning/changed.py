"""Find the wheels whose fingerprint a range of commits changes.

Both ends are read from git, not from the checkout, into a scratch folder, removed afterwards. Paths only say where
to look; the fingerprint decides whether a wheel is due. Recipes are not trusted: none leads to a folder outside.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from packaging.version import Version

from wheelyard.core.errors import PlanError, ProgramError, RecipeError, WheelyardError
from wheelyard.io import files, log
from wheelyard.io.cache import cache_dir
from wheelyard.io.git_program import base_env, error_lines, git
from wheelyard.planning import selection as due
from wheelyard.planning.selection import Due, DuePlanner, Selection
from wheelyard.project.config import seek_project
from wheelyard.project.loader import FRAGMENTS, RECIPE, load_recipe
from wheelyard.project.recipe import kinds_in
from wheelyard.sources.source_kind import kind_named

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from pathlib import Path

    from wheelyard.core.tags import Interpreter
    from wheelyard.planning.target import Target
    from wheelyard.project.config import Project
    from wheelyard.project.loader import Recipe

_RANGE = re.compile(r"\A(?P<base>.*?)(?P<dots>\.\.\.?)(?P<head>.*)\Z")
_EMPTY = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"  # git's name for the tree without files
LOCK = "lock.toml"


@dataclass(frozen=True)
class Range:
    """Two commits, and the trees of the project in them."""

    base: str
    head: str
    base_tree: str
    head_tree: str


@dataclass(frozen=True)
class Repository:
    """Where the project's history is.

    Attributes:
        top: the work tree.
        prefix: the project's folder in it, empty or with a slash at its end.
    """

    top: str
    prefix: str

    def git(self, *args: str | Path, stdin: bytes | None = None, index: Path | None = None) -> str:
        """Return git's output, with an index of its own where *index* names one.

        Raises:
            ProgramError: it failed.
        """
        env = base_env() | ({"GIT_INDEX_FILE": str(index)} if index else {})
        completed = git(["-C", self.top, *args], env=env, stdin=stdin)
        if completed.returncode != 0:
            raise ProgramError(
                f"git {args[0]} ended with status {completed.returncode}", details=error_lines(completed)
            )
        return completed.stdout

    def is_ancestor(self, commit: str, other: str) -> bool:
        """Return whether *commit* is here, and is *other* or an ancestor of it."""
        words = ["-C", self.top, "merge-base", "--is-ancestor", "--end-of-options", commit, other]
        return git(words, env=base_env()).returncode == 0


def changed(
    project: Project, text: str, *, image: str | None = None, pythons: tuple[Interpreter, ...] = ()
) -> Selection:
    """Return the wheels that ``BASE..HEAD`` changes; ``BASE...HEAD`` starts where the two parted.

    Of each package the newest pinned version counts, and every version whose pin is new or another one.

    Raises:
        PlanError: there are no such commits here.
        ProgramError: this is no git repository.
    """
    repository = repository_of(project.root)
    span = span_of(repository, text)
    touched = repository.git("diff-tree", "-r", "-z", "--name-only", "--no-renames", span.base_tree, span.head_tree)
    packages, all_of_them = _suspects(touched.split("\0"))
    if not packages and not all_of_them:
        return Selection(text)
    folder = cache_dir("work")
    files.sweep_scratch(folder, "changed")
    with files.scratch(folder, "changed") as scratch:
        selected = None if all_of_them else packages
        old = taken_out(repository, span.base_tree, selected, scratch / "base")
        new = taken_out(repository, span.head_tree, selected, scratch / "head")
        if new is None:
            raise PlanError(f"{text}: there is no wheelyard project in {span.head[:12]}")
        names = sorted(file.parent.name for file in new.recipes.glob(f"[!_.]*/{RECIPE}"))
        before = DuePlanner(old, image, pythons) if old else None
        return _compare(text, names, before, DuePlanner(new, image, pythons, project.index))


def touched(selection: Selection) -> tuple[tuple[str, str | None], ...]:
    """Return what a range touches, each once: package and version, and None where a recipe has no version yet."""
    due = [(entry.target.package, entry.target.version) for entry in selection.due]
    new = [(package, None) for package, version, _ in selection.left_out if not version]
    return tuple(dict.fromkeys([*due, *new]))


def _compare(text: str, names: Iterable[str], old: DuePlanner | None, new: DuePlanner) -> Selection:
    changed_versions: list[Due] = []
    left_out: list[tuple[str, str, str]] = []
    problems: list[WheelyardError] = []
    for name in names:
        try:
            with log.package(name):
                targets, retired = _pinned(new.project, name)
                before = _before(old, name) if old else {}
                if not targets:
                    left_out.append((name, "", "no version is pinned: commit its lock.toml with the recipe"))
                for target in targets:
                    if retired is not None and Version(target.version) >= retired:
                        left_out.append((name, target.version, f"retired: upstream ships it from {retired} on"))
                    elif target is targets[0] or before.get(target.version, _NEVER).pin != _pin(target):
                        changed_versions += _changed_wheels(new, target, before.get(target.version, _NEVER))
        except WheelyardError as error:
            problems.append(error)
    return Selection(text, tuple(changed_versions), tuple(left_out), tuple(problems))


def _pinned(project: Project, name: str) -> tuple[tuple[Target, ...], Version | None]:
    """Return the pinned versions of a package and from which on it is retired; no folder that it names is followed."""
    targets, retired = due.targets(project, name)
    ensure_no_folder(targets[0].recipe if targets else load_recipe(project, name))
    return targets, retired


def ensure_no_folder(recipe: Recipe) -> None:
    """Refuse a committed recipe that names a local source, for any version and in any layer.

    Raises:
        RecipeError: it does.
    """
    for layer in recipe.layers:
        table = layer.table.get("source", {})
        for key in kinds_in(table):
            if table[key] and kind_named(key).is_local:
                raise RecipeError(
                    f"[source] {key} names a folder, and a commit is to be built on any machine",
                    where=layer.place(("source", key)),
                    fix=f"take the sdist, or [source] git; `{key}` is for a recipe that is not committed yet",
                )


def _changed_wheels(new: DuePlanner, target: Target, before: _Before) -> Iterator[Due]:
    plan = new.plan(target)
    digests = new.fingerprints(target, plan, {})
    wheels = tuple(wheel for wheel in plan.expected if digests[wheel] not in before.digests)
    if wheels:
        why = "new" if before is _NEVER else "its pin has changed" if before.pin != _pin(target) else "changed"
        yield new.due(target, plan, wheels, why)


class _Before(NamedTuple):
    """A version before the change: its pin, and the fingerprints of its wheels."""

    pin: str
    digests: frozenset[str]


_NEVER = _Before("", frozenset())


def _before(old: DuePlanner, name: str) -> dict[str, _Before]:
    """Return what there was of a package; what was not valid then was not there."""
    try:
        targets, _ = _pinned(old.project, name)
    except WheelyardError:
        return {}
    fingerprints = {}
    for target in targets:
        digests: frozenset[str] = frozenset()
        with contextlib.suppress(WheelyardError):
            digests = frozenset(old.fingerprints(target, old.plan(target), {}).values())
        fingerprints[target.version] = _Before(_pin(target), digests)
    return fingerprints


def _pin(target: Target) -> str:
    return target.locked.model_dump_json(exclude={"ships"})  # what upstream ships now changes no wheel


# ----------------------------------------------------------------------- git


def repository_of(root: Path) -> Repository:
    """Return the repository that *root* lies in.

    Raises:
        ProgramError: it lies in none.
    """
    where = git(["-C", root, "rev-parse", "--show-toplevel", "--show-prefix"], env=base_env())
    if where.returncode != 0:
        raise ProgramError("this is no git repository", where=str(root), details=error_lines(where))
    top, prefix = where.stdout.split("\n")[:2]
    return Repository(top, prefix)


def span_of(repository: Repository, text: str) -> Range:
    """Return the two commits that ``BASE..HEAD`` or ``BASE...HEAD`` means, and the project in them.

    Raises:
        PlanError: there are no such commits here.
    """
    match = _RANGE.match(text)
    base, dots, head = match.groups() if match else (text, "..", "")
    commits = [_commit(repository, end or "HEAD", text) for end in (base, head)]
    if dots == "...":
        commits[0] = repository.git("merge-base", *commits).strip()
    trees = [_tree(repository, commit) for commit in commits]
    return Range(*commits, *trees)


def _commit(repository: Repository, name: str, text: str) -> str:
    try:
        # A name that looks like an option is none: it comes from a forge, and may be anybody's branch.
        commit = repository.git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    except ProgramError as error:
        raise PlanError(
            f"{log.clean(name)!r} is no commit that is here",
            where=log.clean(text),
            fix="fetch it first; a shallow clone has the newest commit only (fetch-depth: 0 on GitHub, GIT_DEPTH: 0 on "
            "GitLab)",
        ) from error
    return commit.strip()


def _tree(repository: Repository, commit: str) -> str:
    """Return the project's tree in a commit, the empty one where the project is not in it yet."""
    try:
        place = f"{commit}:{repository.prefix}"
        return repository.git("rev-parse", "--verify", "--quiet", "--end-of-options", place).strip()
    except ProgramError:
        return _EMPTY


def _suspects(paths: Iterable[str]) -> tuple[tuple[str, ...], bool]:
    """Return the packages that touched paths belong to, and whether it may be any."""
    packages = set()
    for path in paths:
        part, _, rest = path.partition("/")
        name = rest.partition("/")[0]
        if path == "pyproject.toml" or (part == "recipes" and name == FRAGMENTS):
            return (), True
        if part in {"recipes", "packages"} and name:
            packages.add(name)
    return tuple(sorted(packages)), False


def taken_out(
    repository: Repository, tree: str, packages: Sequence[str] | None, folder: Path, records: Collection[str] = (LOCK,)
) -> Project | None:
    """Write what a plan reads of *tree* into *folder*; links become plain files, so that none leads anywhere.

    Args:
        repository: whose tree it is.
        tree: the project's.
        packages: only these; all when None.
        folder: a new one.
        records: which files of ``packages/<pkg>/``.

    Raises:
        ConfigError: its site configuration is not valid.
    """
    folder.mkdir()
    index = folder.with_suffix(".index")
    repository.git("read-tree", tree, index=index)
    listed = repository.git("ls-files", "-z", "--full-name", index=index).split("\0")
    paths = [path for path in listed if _is_read(path, packages, records)]
    repository.git(
        "-c",
        "core.symlinks=false",
        "checkout-index",
        "-z",
        "--stdin",
        f"--prefix={folder}/",
        stdin="\0".join(paths).encode(errors="surrogateescape"),
        index=index,
    )
    if not (folder / "pyproject.toml").is_file():
        return None
    project = seek_project(folder)
    return project if project and project.root == folder.resolve() else None


def _is_read(path: str, packages: Sequence[str] | None, records: Collection[str]) -> bool:
    part, _, rest = path.partition("/")
    name, _, file = rest.partition("/")
    if path == "pyproject.toml" or (part == "recipes" and name == FRAGMENTS):
        return True
    if packages is not None and name not in packages:
        return False
    return part == "recipes" or (part == "packages" and file in records)
