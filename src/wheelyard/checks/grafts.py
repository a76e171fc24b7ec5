"""Find the shared libraries in a wheel that may come from the build image: grafted by auditwheel, or copied.

auditwheel copies ``libfoo.so.1`` into ``<distribution>.libs/`` as ``libfoo-<mark>.so.1``, where the mark is the first
eight digits of the sha256 of the original file (auditwheel/repair.py, ``copylib``).
"""

from __future__ import annotations

import hashlib
import re
import zipfile
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wheelyard.checks.elf import MAGIC
from wheelyard.core.errors import CheckError

if TYPE_CHECKING:
    from pathlib import Path

_MARKED = re.compile(r"(?P<base>[^./]+)-(?P<mark>[0-9a-f]{8})\.(?P<rest>so(?:\.[^/]*)?)")
_LIBRARY = re.compile(r"lib[^/]*\.so(?:\.[^/]*)?")
_CHUNK = 1 << 20
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError, NotImplementedError, OSError)


@dataclass(frozen=True)
class Grafted:
    """A library in a wheel.

    Attributes:
        file: its path in the wheel.
        name: the name of the original file.
        mark: the first digits of the sha256 of the original file, all of them if it is unchanged.
        copied: whether it is certainly a copy; else it may be the project's own.
    """

    file: str
    name: str
    mark: str
    copied: bool


def grafted(wheel: Path) -> tuple[Grafted, ...]:
    """Return the libraries in a wheel, sorted by path; without the project's own extension modules.

    Raises:
        CheckError: the wheel cannot be read.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            libraries = (_look(archive, info) for info in archive.infolist() if not info.is_dir())
            return tuple(sorted((library for library in libraries if library), key=lambda library: library.file))
    except _BROKEN as error:
        raise CheckError(f"cannot be read as a wheel: {error}"[:300], where=str(wheel)) from error


def _look(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Grafted | None:
    folder, _, name = info.filename.rpartition("/")
    copied = folder.split("/")[0].endswith(".libs")
    if not (copied or _LIBRARY.fullmatch(name)):
        return None
    with archive.open(info) as stream:
        chunk = stream.read(_CHUNK)
        if not chunk.startswith(MAGIC):
            return None
        if match := _MARKED.fullmatch(name):
            return Grafted(info.filename, f"{match['base']}.{match['rest']}", match["mark"], copied=True)
        digest = hashlib.sha256()
        while chunk:
            digest.update(chunk)
            chunk = stream.read(_CHUNK)
    return Grafted(info.filename, name, digest.hexdigest(), copied)
