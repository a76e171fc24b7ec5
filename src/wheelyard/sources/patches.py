"""Patches: those of a recipe that are for this version, applied in order with git, each whole or not at all."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet

from wheelyard.core.digests import sha256_bytes, sha256_file
from wheelyard.core.errors import PatchError
from wheelyard.core.values import AppliedPatch
from wheelyard.io import log
from wheelyard.io.git_program import local_env
from wheelyard.io.run import run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from wheelyard.io.run import Completed
    from wheelyard.project.recipe import Patch

_HUNK = re.compile(r"^@@ -(\d+)(?:,(\d+))? \+\d+(?:,(\d+))? @@")
_FAILED = re.compile(r"^error: patch failed: (.+):(\d+)$")


@dataclass(frozen=True)
class Hunk:
    """A hunk of a patch file.

    Attributes:
        path: the file it changes, without ``a/``.
        number: which hunk of that file, from 1.
        start: its first line in that file.
        line: its line in the patch file.
    """

    path: str
    number: int
    start: int
    line: int


def for_version(patches: Sequence[Patch], version: str) -> tuple[tuple[int, Patch], ...]:
    """Return the patches that are for *version*, in order, each with its place in the recipe, from 0."""
    return tuple(
        (index, patch)
        for index, patch in enumerate(patches)
        if SpecifierSet(patch.versions).contains(version, prereleases=True)
    )


def apply(
    tree: Path, patches: Sequence[Patch], version: str, *, folder: Path, where: Callable[[int], str]
) -> tuple[AppliedPatch, ...]:
    """Apply the patches for *version* to a tree that is not shared with anybody.

    Args:
        tree: the source.
        patches: all of the recipe's.
        version: the version being built.
        folder: the recipe's, which patch files are relative to.
        where: the place of the patch with that index in the recipe, ``file:line``.

    Raises:
        PatchError: a file is missing; or the first patch that does not apply, with every hunk that git names.
    """
    chosen = for_version(patches, version)
    missing = [f"{where(index)}: {patch.file}" for index, patch in chosen if not (folder / patch.file).is_file()]
    if missing:
        raise PatchError("patch files are missing", details=missing, fix=f"put them in {folder}, or correct the recipe")
    return tuple(_apply(tree, folder / patch.file, patch, where(index)) for index, patch in chosen)


@dataclass(frozen=True)
class Attempt:
    """What came of a patch.

    Attributes:
        patch: the patch.
        where: its place in the recipe.
        applied: what was applied, None if it was not.
        problem: why it was not.
        already: whether the source has it already.
    """

    patch: Patch
    where: str
    applied: AppliedPatch | None = None
    problem: PatchError | None = None
    already: bool = False


def attempt(
    tree: Path, patches: Sequence[Patch], version: str, *, folder: Path, where: Callable[[int], str]
) -> tuple[Attempt, ...]:
    """Apply whichever patches for *version* can be applied, and report each; see :func:`apply`."""
    return tuple(_attempt(tree, folder, patch, where(index)) for index, patch in for_version(patches, version))


def _attempt(tree: Path, folder: Path, patch: Patch, where: str) -> Attempt:
    file = folder / patch.file
    try:
        return Attempt(patch, where, _apply(tree, file, patch, where))
    except PatchError as error:
        return Attempt(patch, where, problem=error, already=_is_in(tree, file))


def _is_in(tree: Path, file: Path) -> bool:
    return _git_apply(tree, file, "--reverse", "--check").returncode == 0


def _apply(tree: Path, file: Path, patch: Patch, where: str) -> AppliedPatch:
    paths = _paths(tree, file, patch, where)
    before = _state(tree, paths)
    completed = _git_apply(tree, file)
    if completed.returncode:
        already = _is_in(tree, file)
        raise PatchError(
            f"{patch.file} does not apply",
            where=where,
            details=[f"{patch.file} is in this source already"] if already else _reasons(completed, file),
            fix="the source has it already: narrow its 'versions'"
            if already
            else "make the patch anew against this version, or narrow its 'versions'",
        )
    if _state(tree, paths) == before:
        raise PatchError(
            f"{patch.file} changes nothing", where=where, fix="remove it from the recipe, or mend the patch"
        )
    log.info(f"applied {patch.file}: {patch.why}")
    return AppliedPatch(patch.file, sha256_file(file), patch.status)


def _git_apply(tree: Path, file: Path, *options: str) -> Completed:
    # The ceiling makes this a plain folder for git, even inside another repository's work tree.
    words: list[str | Path] = ["git", "apply", "--whitespace=nowarn", *options, "--", file.resolve()]
    return run(words, cwd=tree, env=local_env(tree.parent), check=False, timeout=300)


def _paths(tree: Path, file: Path, patch: Patch, where: str) -> list[str]:
    """Return the files a patch touches."""
    completed = _git_apply(tree, file, "--numstat", "-z")
    paths = [part.split("\t", 2)[2] for part in completed.stdout.split("\0") if part.count("\t") > 1]
    outside = [path for path in paths if path.startswith("/") or ".." in path.split("/")]
    if outside:
        raise PatchError(
            f"{patch.file} touches files outside of the source",
            where=where,
            details=[log.clean(path) for path in outside],
            fix="make its paths relative to the root of the source, as 'git diff' does",
        )
    if completed.returncode or not paths:
        raise PatchError(
            f"{patch.file} is empty or not a patch",
            where=where,
            details=_errors(completed),
            fix="make it with 'git diff' or 'git format-patch'",
        )
    return paths


def _state(tree: Path, paths: Sequence[str]) -> list[str]:
    state = []
    for path in paths:
        file = tree / path
        if file.is_symlink():
            state.append(f"link {file.readlink()}")
        elif file.is_file():
            state.append(f"{file.stat().st_mode:o} {sha256_file(file)}")
        else:
            state.append("none")
    return state


def _errors(completed: Completed) -> list[str]:
    return [log.clean(line) for line in completed.stderr.splitlines() if line.startswith(("error:", "fatal:"))]


def _reasons(completed: Completed, file: Path) -> list[str]:
    """Return git's reasons, each failed hunk with its place in the patch file."""
    hunk_list = hunks(file.read_text(encoding="utf-8", errors="replace"))
    reasons = []
    for line in _errors(completed):
        failed = _FAILED.match(line)
        if not failed:
            if not line.endswith("patch does not apply"):  # says what the line before has said
                reasons.append(line.removeprefix("error: "))
            continue
        hunk = next((hunk for hunk in hunk_list if (hunk.path, hunk.start) == (failed[1], int(failed[2]))), None)
        at = f"{file.name}:{hunk.line}: hunk {hunk.number}" if hunk else f"{file.name}: a hunk"
        reasons.append(f"{at} does not fit {failed[1]} at line {failed[2]}")
    return reasons


def hunks(text: str) -> list[Hunk]:
    """Return the hunks of a unified diff."""
    hunk_list: list[Hunk] = []
    path = ""
    old_left = new_left = number = 0
    for place, line in enumerate(text.splitlines(), 1):
        if old_left > 0 or new_left > 0:  # inside a hunk, where a line may look like anything
            old_left -= line[:1] in {" ", "-", ""}
            new_left -= line[:1] in {" ", "+", ""}
        elif line.startswith("--- "):
            name = line[4:].partition("\t")[0]
            path, number = ("" if name == "/dev/null" else name.partition("/")[2]), 0
        elif line.startswith("+++ ") and not path:
            path = line[4:].partition("\t")[0].partition("/")[2]
        elif match := _HUNK.match(line):
            number += 1
            old_left, new_left = int(match[2] or 1), int(match[3] or 1)
            hunk_list.append(Hunk(path, number, int(match[1]), place))
    return hunk_list


def digest(patches: Sequence[Patch], version: str, folder: Path) -> str:
    """Return the digest of all patches for *version*, names and bytes: a part of what decides a wheel.

    Raises:
        PatchError: a file is missing.
    """
    parts = []
    for _index, patch in for_version(patches, version):
        file = folder / patch.file
        if not file.is_file():
            raise PatchError("the patch file is missing", where=str(file), fix="put it there, or correct the recipe")
        parts.append(f"{sha256_file(file)} {patch.file}\n")
    return sha256_bytes("".join(parts).encode())
