"""The lock of a suite's Debian packages: the files that apt decided on, by path below any mirror, size and sha256.

With it an image does not depend on what a mirror's index says at that hour. It is made by ``nox -s pins``, and holds
as long as mirrors serve its files: those of a stable suite change with its point releases only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING

from wheelyard.core.digests import sha256_value
from wheelyard.core.errors import ImageError
from wheelyard.images.local.debian import Deb

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_HEAD = "# Debian packages of local images: path below the mirror, size, sha256. Made by `nox -s pins`.\n"
_NAMES = re.compile(r"names ([0-9a-f]{64})")
_GROUP = re.compile(r"\[([a-z0-9-]+(?: [a-z0-9-]+)*)\]")
_PACKAGE = re.compile(r"(\S+) ([1-9][0-9]{0,9}) ([0-9a-f]{64})")


@dataclass(frozen=True)
class Group:
    """Debian packages that an image takes together, as people name them.

    Attributes:
        arch: their architecture.
        names: of the packages; what they depend on is not among them.
        on: the group that this one adds to, empty for none.
    """

    arch: str
    names: tuple[str, ...]
    on: str = ""


@dataclass(frozen=True)
class Packages:
    """All Debian packages of one image.

    Attributes:
        base: the base's.
        extra: those that the extras add.
        hosted: the compiler's for this machine.
        python: the interpreters' for this machine.
    """

    base: tuple[Deb, ...]
    extra: tuple[Deb, ...]
    hosted: tuple[Deb, ...]
    python: tuple[Deb, ...]

    @property
    def all(self) -> frozenset[Deb]:
        """Each of them once."""
        return frozenset((*self.base, *self.extra, *self.hosted, *self.python))

    @property
    def digest(self) -> str:
        """The sha256 of the list of what is in the image, or has written its bytecode."""
        parts = {"base": self.base, "extra": self.extra, "hosted": self.hosted, "python": self.python}
        return sha256_value({name: [[deb.file, deb.sha256] for deb in debs] for name, debs in parts.items()})


@dataclass(frozen=True)
class Lock:
    """What apt decided on for each group of a suite.

    Attributes:
        names: the digest of the groups as they were named then (:func:`names_digest`).
        groups: the packages of each, without those of the group it adds to.
    """

    names: str
    groups: Mapping[str, tuple[Deb, ...]]

    def fits(self, groups: Mapping[str, Group]) -> bool:
        """Check whether it was made from these names."""
        return self.names == names_digest(groups) and self.groups.keys() == groups.keys()

    def packages(self, extras: Sequence[str], host: str) -> Packages:
        """Return the packages of an image; of a lock that fits, every group is there.

        Args:
            extras: what it carries beyond its base.
            host: the architecture of its compiler; empty when that is emulated.
        """
        return Packages(
            base=self.groups["base"],
            extra=self._joined(f"extra {name}" for name in extras),
            hosted=self._joined((f"hosted {host}", *(f"hosted {host} {name}" for name in extras))) if host else (),
            python=self.groups[f"python {host}"] if host else (),
        )

    def _joined(self, names: Iterable[str]) -> tuple[Deb, ...]:
        return tuple(sorted({deb for name in names for deb in self.groups.get(name, ())}))


def names_digest(groups: Mapping[str, Group]) -> str:
    """Return the sha256 of what people name."""
    return sha256_value({name: [group.arch, group.on, *group.names] for name, group in groups.items()})


def write(lock: Lock) -> str:
    """Return a lock as text: one package a line."""
    lines = [f"names {lock.names}\n"]
    for name, debs in lock.groups.items():
        lines += [f"[{name}]\n", *(f"{deb.path} {deb.size} {deb.sha256}\n" for deb in sorted(set(debs)))]
    return _HEAD + "".join(lines)


def parse(text: str, where: str) -> Lock:
    """Return the lock that *text* is, if :func:`write` would write it so.

    Raises:
        ImageError: it says more or less, or in another order; *where* names the file.
    """
    names = ""
    groups: dict[str, list[Deb]] = {}
    debs: list[Deb] | None = None
    for number, line in enumerate(text.splitlines(), 1):
        if match := _NAMES.fullmatch(line):
            names = match[1]
        elif match := _GROUP.fullmatch(line):
            debs = groups[match[1]] = []
        elif not line.startswith("#"):
            match = _PACKAGE.fullmatch(line)
            deb = Deb.at(match[1], int(match[2]), match[3]) if match else None
            if deb is None or debs is None:
                raise _refused(f"{where}:{number}", line)
            debs.append(deb)
    lock = Lock(names, {name: tuple(debs) for name, debs in groups.items()})
    for number, (actual, written) in enumerate(zip_longest(text.split("\n"), write(lock).split("\n")), 1):
        if actual != written:
            raise _refused(f"{where}:{number}", actual or "")
    return lock


def _refused(where: str, line: str) -> ImageError:
    return ImageError(f"is not a valid line of a package lock: {line[:200]!r}", where=where, fix="nox -s pins")
