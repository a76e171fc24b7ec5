"""Sort a project's page into releases, and derive the tags of our wheels from upstream's."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.utils import parse_sdist_filename

from wheelyard.core.tags import WheelName, manylinux
from wheelyard.io import log

if TYPE_CHECKING:
    from collections.abc import Iterable

    from packaging.version import Version
    from pypi_simple import DistributionPackage, ProjectPage

_PLAIN = re.compile(r"\A[A-Za-z0-9][A-Za-z0-9._+!-]*\Z")
_LONGEST = 255  # bytes; common file systems allow no longer name
_ABI = re.compile(r"\A[a-z0-9_]+\Z")
_CPYTHON = re.compile(r"\A(cp3\d{1,2}|py3\d{0,2})\Z")
_SDISTS = (".tar.gz", ".zip")  # in order of preference
# Platforms of upstream's wheels to derive ours from, the best first.
_REFERENCES = ("aarch64", "x86_64", "linux", "macosx", "win", "any")
TARGET = "riscv64"


@dataclass(frozen=True)
class Release:
    """The files of one version, as the index lists them.

    Attributes:
        version: the version.
        sdist: the file to build from, None if there is none.
        wheels: the names of its wheels, yanked ones left out unless all are.
        requires_python: as the index gives it, not checked.
        yanked: the reason for its yank (PEP 592), None if it is not yanked.
    """

    version: Version
    sdist: DistributionPackage | None
    wheels: tuple[WheelName, ...]
    requires_python: str | None
    yanked: str | None


def releases(project: str, page: ProjectPage) -> dict[Version, Release]:
    """Return the usable releases of *page*, by version; skip files of other names and formats."""
    sdists: dict[Version, list[DistributionPackage]] = {}
    wheels: dict[Version, list[tuple[WheelName, DistributionPackage]]] = {}
    for package in page.packages:
        if not _PLAIN.match(package.filename) or len(package.filename) > _LONGEST:
            continue
        if package.filename.endswith(".whl"):
            wheel = _wheel(package.filename, project)
            if wheel:
                wheels.setdefault(wheel.version, []).append((wheel, package))
        elif package.filename.endswith(_SDISTS) and (version := _sdist_version(package.filename, project)):
            sdists.setdefault(version, []).append(package)
    return {
        version: _release(version, sdists.get(version, []), wheels.get(version, []))
        for version in sdists.keys() | wheels.keys()
    }


def _release(
    version: Version, sdists: list[DistributionPackage], wheels: list[tuple[WheelName, DistributionPackage]]
) -> Release:
    everything = [*sdists, *(package for _, package in wheels)]
    yanked = all(package.is_yanked for package in everything)
    reason = next((package.yanked_reason for package in everything if package.yanked_reason), "") if yanked else None
    usable_sdists = [package for package in sdists if yanked or not package.is_yanked]
    usable_sdists.sort(key=lambda package: [package.filename.endswith(end) for end in _SDISTS], reverse=True)
    names = tuple(sorted((wheel for wheel, package in wheels if yanked or not package.is_yanked), key=lambda w: w.file))
    return Release(
        version=version,
        sdist=usable_sdists[0] if usable_sdists else None,
        wheels=names,
        requires_python=next((package.requires_python for package in (*usable_sdists, *everything)), None),
        yanked=log.clean(reason)[:200] if reason is not None else None,
    )


def _wheel(file: str, project: str) -> WheelName | None:
    try:
        wheel = WheelName.parse(file)
    except ValueError:
        return None
    return wheel if wheel.name == project else None


def _sdist_version(file: str, project: str) -> Version | None:
    try:
        name, version = parse_sdist_filename(file)
    except ValueError:  # InvalidSdistFilename, InvalidVersion, and what int() says of thousands of digits
        return None
    return version if name == project else None


def reference_pairs(wheels: Iterable[WheelName]) -> tuple[tuple[str, ...], str]:
    """Return the tag pairs of the reference platform's wheels, and that platform.

    aarch64 is the reference for riscv64, x86-64 where there is no aarch64; both as manylinux. Wheels for
    other systems only still show whether upstream uses abi3. Compressed tag sets (PEP 425) stay together:
    they are one wheel.
    """
    names = list(wheels)
    for platform in _REFERENCES:
        if pairs := pairs_for(names, platform):
            return pairs, platform
    return (), ""


def pairs_for(wheels: Iterable[WheelName], platform: str) -> tuple[str, ...]:
    """Return the ``python-abi`` tag pairs of the wheels for one platform, sorted; those of CPython alone."""
    pairs = set()
    for wheel in wheels:
        if not any(_is_for(tag, platform) for tag in wheel.platforms):
            continue
        pythons = [python for python in wheel.pythons if _CPYTHON.match(python) or python == "py2"]
        if all(map(_ABI.match, wheel.abis)) and any(map(_CPYTHON.match, pythons)):
            pairs.add(f"{'.'.join(pythons)}-{'.'.join(wheel.abis)}")
    return tuple(sorted(pairs, key=_by_number))


def _by_number(pair: str) -> list[str | int]:
    """Sort ``cp39`` before ``cp310``."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", pair)]


def _is_for(tag: str, platform: str) -> bool:
    if platform == "linux":
        return manylinux(tag) is not None
    if platform in {"macosx", "win"}:
        return tag.startswith(platform)
    parsed = manylinux(tag)
    return tag == platform if platform == "any" else parsed is not None and parsed[1] == platform
