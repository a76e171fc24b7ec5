"""The Debian packages of an image: those of its lock, or as apt resolves them just now; and the making of locks."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from wheelyard.core.errors import NotServedError
from wheelyard.images.local import compiler, debian
from wheelyard.images.local.definition import groups, shipped_lock
from wheelyard.images.local.lock import Lock, Packages, names_digest, write
from wheelyard.io import engine, log

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from wheelyard.images.local.definition import Definition
    from wheelyard.images.local.lock import Group


def obtain(definition: Definition, scratch: Path) -> tuple[Packages, dict[debian.Deb, Path]]:
    """Return an image's packages and their files: the locked ones, or what apt takes where they cannot be had.

    Raises:
        ImageError: apt cannot resolve them, or the compilers do not fit together.
        NetworkError: the mirror breaks off.
        DigestMismatchError: it gives other bytes than promised.
        DiskError: no space.
    """
    suite = definition.choice.suite
    mirror = debian.mirror(suite, engine.TARGET_ARCH, scratch)
    if definition.locked:
        if files := locked_files(definition.locked, mirror):
            return definition.locked, files
    elif shipped_lock(suite):
        log.info(f"{suite}.lock is of other packages than images.toml names: apt resolves them (nox -s pins)")
    with log.step("resolving Debian packages"):
        packages = _resolve(definition, scratch)
    return packages, debian.download(packages.all, mirror)


def locked_files(locked: Packages, mirror: str) -> dict[debian.Deb, Path]:
    """Return the files of locked packages, none if *mirror* does not have all of them any more.

    Only that leads away from the lock: with a mirror that is not well, or gives other bytes, there is no image.

    Raises:
        NetworkError: the mirror breaks off.
        DigestMismatchError: it gives other bytes than the lock promises.
        DiskError: no space.
    """
    try:
        return debian.download(locked.all, mirror)
    except NotServedError as error:
        log.info(f"{error.what}: the lock is older than the mirror, apt resolves anew")
        return {}


def _resolve(definition: Definition, scratch: Path) -> Packages:
    suite, base = definition.choice.suite, definition.packages
    name_groups = [base, (*base, *definition.extras)] if definition.extras else [base]
    with ThreadPoolExecutor(1, thread_name_prefix="solve") as pool:
        foreign = [definition.hosted, definition.python]
        host_future = pool.submit(debian.solve, suite, definition.host, foreign, scratch) if definition.host else None
        native = debian.solve(suite, engine.TARGET_ARCH, name_groups, scratch)
        hosted, python = host_future.result() if host_future else ((), ())
    hosted = tuple(deb for deb in hosted if compiler.needed(deb))
    if definition.host:
        compiler.same_version(native[0], hosted, definition.gcc, f"local:{suite}+emulated")
    extra = tuple(sorted(set(native[-1]) - set(native[0])))
    return Packages(native[0], extra, hosted, python)


def refresh(images: Mapping[str, Any], scratch: Path) -> dict[str, str]:
    """Return the newest text of each lock, by suite: what apt resolves now from the suites' signed indexes.

    Args:
        images: ``images.toml``; the suites that it calls locked have one.
        scratch: a folder for temporary files.

    Raises:
        ImageError: apt cannot resolve them, or the compilers do not fit together.
        ProgramError: mmdebstrap is not installed.
    """
    texts = {}
    for suite, table in images["suite"].items():
        if table.get("locked"):
            requested = groups(images, suite)
            folder = scratch / suite
            folder.mkdir()
            lock = lock_of(requested, _closures(suite, requested, folder))
            for host in {group.arch for group in requested.values()} - {engine.TARGET_ARCH}:
                native, hosted = lock.groups["base"], lock.groups[f"hosted {host}"]
                compiler.same_version(native, hosted, table["gcc"], f"local:{suite}+emulated")
            texts[suite] = write(lock)
    return texts


def _closures(suite: str, requested: Mapping[str, Group], scratch: Path) -> dict[str, tuple[debian.Deb, ...]]:
    closures: dict[str, tuple[debian.Deb, ...]] = {}
    for arch in dict.fromkeys(group.arch for group in requested.values()):
        names = [name for name, group in requested.items() if group.arch == arch]
        name_groups = [
            (*(requested[requested[name].on].names if requested[name].on else ()), *requested[name].names)
            for name in names
        ]
        closures |= dict(zip(names, debian.solve(suite, arch, name_groups, scratch), strict=True))
    return closures


def lock_of(requested: Mapping[str, Group], closures: Mapping[str, tuple[debian.Deb, ...]]) -> Lock:
    """Return a lock.

    Args:
        requested: the groups.
        closures: for each group, all that installing it takes, together with the group it adds to.
    """
    own = {}
    for name, group in requested.items():
        debs = set(closures[name]) - set(closures[group.on] if group.on else ())
        own[name] = tuple(sorted(deb for deb in debs if not name.startswith("hosted ") or compiler.needed(deb)))
    return Lock(names_digest(requested), own)
