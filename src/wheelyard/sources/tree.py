"""A source tree as files on the disk: its digest, its links, its copy, and whether a wheel can come of it."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wheelyard.core.digests import sha256_bytes, sha256_file
from wheelyard.core.errors import SourceError, UnsafeArchiveError
from wheelyard.io.archive import leads_out
from wheelyard.io.files import disk_errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wheelyard.io.archive import Limits

# What working in a folder leaves behind. The first names count at its top only: packages have such modules inside.
_LEFT_AT_TOP = frozenset({"build", "dist", "wheelhouse", "venv", ".venv", ".tox", ".nox", ".eggs"})
_LEFT_ANYWHERE = frozenset({".git", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache"})
_LATEST = 4_354_819_199  # 2107, the last year that zip knows
_EARLIEST = 315_532_800  # 1980, its first


@dataclass(frozen=True)
class Entry:
    """A file or link of a tree: its path from the root, and its lstat(2)."""

    path: str
    status: os.stat_result

    @property
    def is_link(self) -> bool:
        """Whether it is a symbolic link."""
        return stat.S_ISLNK(self.status.st_mode)

    @property
    def mode(self) -> str:
        """Its mode as git writes it."""
        if self.is_link:
            return "120000"
        return "100755" if self.status.st_mode & 0o100 else "100644"


def entries(folder: Path, *, leftovers: bool = True, without: Path | None = None) -> list[Entry]:
    """Return the files and links of a tree, sorted by path; folders count only for what is in them.

    Args:
        folder: the tree's root.
        leftovers: include what building and testing leave behind; git's own folder never is.
        without: a folder to leave out, such as one of ours inside the tree.

    Raises:
        SourceError: there is something else than files, links and folders.
    """

    def walk(folder_path: Path, prefix: str) -> Iterator[Entry]:
        for item in os.scandir(folder_path):
            if item.name == ".git" or (not leftovers and _is_left(item, prefix)):
                continue
            status = item.stat(follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                if without is None or not without.exists() or not os.path.samestat(status, without.stat()):
                    yield from walk(Path(item.path), f"{prefix}{item.name}/")
            elif stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode):
                yield Entry(prefix + item.name, status)
            else:
                raise SourceError(
                    f"{item.path} is neither a file nor a folder", fix="remove it from the source: no source needs it"
                )

    return sorted(walk(folder, ""), key=lambda entry: os.fsencode(entry.path))


def _is_left(item: os.DirEntry[str], prefix: str) -> bool:
    if item.name in _LEFT_ANYWHERE or (not prefix and item.name in _LEFT_AT_TOP):
        return True
    return item.is_dir(follow_symlinks=False) and Path(item.path, "pyvenv.cfg").exists()


def digest(folder: Path, entry_list: list[Entry]) -> str:
    """Return the sha256 of a tree's content: paths, git's modes, bytes; no times, no owners."""
    total = hashlib.sha256(b"wheelyard/tree 1\n")
    for entry in entry_list:
        file = folder / entry.path
        name = os.fsencode(entry.path)
        content = sha256_bytes(os.fsencode(file.readlink())) if entry.is_link else sha256_file(file)
        total.update(f"{entry.mode} {content} {len(name)} ".encode() + name + b"\n")
    return total.hexdigest()


def newest(entry_list: list[Entry]) -> int:
    """Return the newest time stamp of a file, in seconds since 1970, within the range of zip."""
    times = [int(entry.status.st_mtime) for entry in entry_list if not entry.is_link]
    return min(max([_EARLIEST, *times]), _LATEST)


def refuse_links_out(folder: Path, entry_list: list[Entry]) -> None:
    """Make sure that no link of a tree leads out of it.

    Raises:
        UnsafeArchiveError: some do; all of them are named.
    """
    links = {tuple(e.path.split("/")): str((folder / e.path).readlink()) for e in entry_list if e.is_link}
    outside = ["/".join(path) + " -> " + goal for path, goal in links.items() if leads_out(links, path)]
    if outside:
        raise UnsafeArchiveError(
            "the source holds links that lead out of it",
            details=outside[:20],
            fix="remove them with a patch, or ask upstream for a source without them",
        )


def copy(folder: Path, target: Path, entry_list: list[Entry], *, limits: Limits) -> None:
    """Copy a tree's files and links, times included, to a new folder.

    Raises:
        SourceError: there is more than *limits* allow.
        DiskError: no space.
    """
    size = sum(entry.status.st_size for entry in entry_list)
    if len(entry_list) > limits.members or size > limits.unpacked:
        raise SourceError(
            f"{folder} holds {len(entry_list)} files of {size / 2**20:.0f} MiB together, more than is allowed",
            fix="point [source] path to the package alone, or raise max-members and max-unpacked-mib in the site "
            "configuration",
        )
    with disk_errors(target):
        target.mkdir(parents=True)
        for entry in entry_list:
            to = target / entry.path
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / entry.path, to, follow_symlinks=False)
            if not entry.is_link:
                to.chmod(0o755 if entry.mode == "100755" else 0o644)
                os.utime(to, ns=(entry.status.st_mtime_ns, entry.status.st_mtime_ns))


def set_times(folder: Path, entry_list: list[Entry], seconds: int) -> None:
    """Give every file of a tree the same time: git knows none, and the time of checkout means nothing."""
    for entry in entry_list:
        os.utime(folder / entry.path, (seconds, seconds), follow_symlinks=False)


def check_builds(folder: Path, subdirectory: str, name: str) -> None:
    """Make sure that a build frontend finds something to build (PEP 517, PEP 518).

    Raises:
        SourceError: there is neither ``pyproject.toml`` nor ``setup.py``.
    """
    package = (folder / subdirectory).resolve()
    if not package.is_relative_to(folder.resolve()) or not package.is_dir():
        raise SourceError(f"{name} has no folder {subdirectory!r}", fix="correct [build] subdirectory in the recipe")
    if any((package / file).is_file() for file in ("pyproject.toml", "setup.py")):
        return
    near = [path.parent for path in sorted(folder.glob("*/pyproject.toml"))] or [
        path.parent for path in sorted(folder.glob("*/setup.py"))
    ]
    hint = f"such as {near[0].relative_to(folder)!s}" if near else "which holds one of them"
    raise SourceError(
        f"{name} builds no wheel: {subdirectory!r} holds neither pyproject.toml nor setup.py",
        fix=f"set [build] subdirectory in the recipe to the folder of the package, {hint}",
    )
