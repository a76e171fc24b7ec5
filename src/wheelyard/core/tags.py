"""Interpreters and wheel tags (PEP 425, PEP 600, PEP 703's ``t``)."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from packaging.tags import compatible_tags, cpython_tags
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from wheelyard.core.pep440 import read_specifier

if TYPE_CHECKING:
    from collections.abc import Iterable

    from packaging.tags import Tag
    from packaging.version import Version

_INTERPRETER = re.compile(r"\Acp3(\d{1,2})(t?)\Z")
_POLICY = re.compile(r"\Amanylinux_([0-9]{1,4})_([0-9]{1,4})_([a-z0-9_]+)\Z")
_LONGEST_FILE = 255  # characters; what Linux file systems take
_LEGACY_GLIBC = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}


@functools.total_ordering
@dataclass(frozen=True)
class Interpreter:
    """One CPython: ``cp313``, or ``cp314t`` for the free-threaded build (PEP 703)."""

    minor: int
    free_threaded: bool = False

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``cp313`` or ``cp314t``.

        Raises:
            ValueError: *text* is neither.
        """
        match = _INTERPRETER.match(text)
        if not match:
            raise ValueError(f"{text!r} is not an interpreter such as cp313 or cp314t")
        return cls(int(match[1]), bool(match[2]))

    def __str__(self) -> str:
        return f"cp3{self.minor}{'t' if self.free_threaded else ''}"

    def __lt__(self, other: Interpreter) -> bool:
        return (self.minor, self.free_threaded) < (other.minor, other.free_threaded)

    @property
    def version(self) -> str:
        """The language version, such as ``3.13``."""
        return f"3.{self.minor}"

    @property
    def path(self) -> str:
        """Where manylinux images keep it."""
        return f"/opt/python/cp3{self.minor}-{self}"

    def identifier(self, arch: str = "riscv64") -> str:
        """Return cibuildwheel's build identifier on manylinux."""
        return f"{self}-manylinux_{arch}"

    def allowed_by(self, requires_python: str) -> bool:
        """Check whether Requires-Python allows it.

        Raises:
            InvalidSpecifier: that is no specifier.
        """
        return _contains(requires_python, self.newest)

    @property
    def newest(self) -> str:
        """A version newer than any patch release: bounds such as ``>=3.9.2`` are about old ones, which no image has."""
        return f"3.{self.minor}.99"

    def markers(self) -> dict[str, str]:
        """Return what environment markers see in it on riscv64 (dependency specifiers, originally PEP 508)."""
        patch = self.newest
        return {
            "implementation_name": "cpython",
            "implementation_version": patch,
            "os_name": "posix",
            "platform_machine": "riscv64",
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": patch,
            "python_version": self.version,
            "sys_platform": "linux",
            "extra": "",
        }


@dataclass(frozen=True)
class WheelName:
    """A wheel's file name, taken apart (PEP 427, PEP 425)."""

    file: str
    name: str
    version: Version
    build: str
    tags: frozenset[Tag]

    @classmethod
    def parse(cls, file: str) -> Self:
        """Take *file* apart.

        Raises:
            ValueError: it is not a wheel's file name.
        """
        if "/" in file or "\\" in file or "\0" in file:
            raise ValueError(f"{file!r} is not a plain file name")
        if len(file) > _LONGEST_FILE:  # the tags of a name are the product of its three parts
            raise ValueError(f"{file[:60]!r}… is longer than a file's name may be")
        # An index lists thousands of wheels, of few releases and with few tags: each half is read once.
        written, number, tail = (*file.split("-", 2), "", "")[:3]
        try:
            name, version = _release(written, number)
            build, tags = _tail(tail)
        except InvalidWheelFilename as error:
            raise ValueError(f"{file!r} is not a wheel's file name (PEP 427): {error}") from error
        return cls(file, name, version, build, tags)

    @property
    def pythons(self) -> tuple[str, ...]:
        """The Python tags, sorted."""
        return _parts(self.tags)[0]

    @property
    def abis(self) -> tuple[str, ...]:
        """The ABI tags, sorted."""
        return _parts(self.tags)[1]

    @property
    def platforms(self) -> tuple[str, ...]:
        """The platform tags, sorted."""
        return _parts(self.tags)[2]

    @property
    def pair(self) -> str:
        """Its Python and ABI tags, ``cp313-cp313``; compressed sets stay together."""
        return f"{'.'.join(self.pythons)}-{'.'.join(self.abis)}"

    def floor(self, arch: str) -> tuple[int, int] | None:
        """Return the glibc that its manylinux tags for *arch* need at least, None if it has none."""
        floors = [parsed[0] for tag in self.platforms if (parsed := manylinux(tag)) and parsed[1] == arch]
        return min(floors, default=None)

    def runs_on(self, arch: str) -> bool:
        """Check whether it is for a glibc system of *arch*, or for any system."""
        return "any" in self.platforms or self.floor(arch) is not None


@functools.lru_cache(4096)
def _release(name: str, version: str) -> tuple[str, Version]:
    return parse_wheel_filename(f"{name}-{version}-py3-none-any.whl")[:2]


@functools.lru_cache(4096)
def _tail(text: str) -> tuple[str, frozenset[Tag]]:
    """Take what follows a wheel's version apart: a build number, if any, and tags."""
    _, _, build, tags = parse_wheel_filename(f"name-0-{text}")
    return "".join(map(str, build)), tags


@functools.lru_cache(4096)
def _parts(tags: frozenset[Tag]) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    triples = [(tag.interpreter, tag.abi, tag.platform) for tag in tags]
    pythons, abis, platforms = (tuple(sorted(set(part))) for part in zip(*triples, strict=True))
    return pythons, abis, platforms


@functools.lru_cache(4096)
def _contains(specifier: str, version: str) -> bool:
    return read_specifier(specifier).contains(version)


@functools.lru_cache(4096)
def manylinux(platform: str) -> tuple[tuple[int, int], str] | None:
    """Return the glibc floor and architecture of a manylinux tag, None for any other (PEP 600, 513, 571, 599)."""
    match = _POLICY.match(platform)
    if match:
        return (int(match[1]), int(match[2])), match[3]
    legacy, _, arch = platform.partition("_")
    if legacy in _LEGACY_GLIBC and arch:
        return _LEGACY_GLIBC[legacy], arch
    return None


def wheel_for(interpreter: Interpreter, pairs: Iterable[str]) -> str | None:
    """Return which of *pairs* an installer prefers for *interpreter*, None if it takes none of them.

    The order is that of :mod:`packaging.tags`, which installers use: its own ABI, then the stable ABI from the
    newest on (PEP 384; PEP 803 for free-threaded builds), then wheels without an ABI (PEP 425).
    """
    by_tag = {tag: pair for pair in pairs for tag in _expanded(pair)}
    return next((by_tag[tag] for tag in _preferred(interpreter) if tag in by_tag), None) if by_tag else None


@functools.lru_cache(64)
def _preferred(interpreter: Interpreter) -> tuple[tuple[str, str], ...]:
    version = (3, interpreter.minor)
    own = cpython_tags(version, [str(interpreter)], ["any"])
    compatible = compatible_tags(version, f"cp3{interpreter.minor}", ["any"])
    return tuple((tag.interpreter, tag.abi) for tag in (*own, *compatible))


def _expanded(pair: str) -> list[tuple[str, str]]:
    """Take a compressed tag set apart (PEP 425): ``py2.py3-none`` stands for two tags."""
    pythons, _, abis = pair.partition("-")
    return [(python, abi) for python in pythons.split(".") for abi in abis.split(".")]
