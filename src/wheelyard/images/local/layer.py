"""Image layers as tar streams (OCI image specification, layer.md): written by us, never unpacked on this machine.

So nothing in a package can reach outside, no root is needed, and no tree or mount is left behind by a killed run.
"""

from __future__ import annotations

import fnmatch
import hashlib
import io
import posixpath
import re
import tarfile
from typing import IO, TYPE_CHECKING

from wheelyard.core.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

# Since merged /usr these are links to the folder of the same name in /usr; nothing may be put in their place.
_MERGED = ("bin", "sbin", "lib", "lib64")
_BLOCK = tarfile.BLOCKSIZE
# 2020-01-01: the time of what has none. Zip archives, and so wheels, cannot hold times before 1980.
_OLDEST = 1_577_836_800


def clean_name(name: str) -> str:
    """Return a member's path without leading ``./``, in ``/usr`` where Debian's merged folders are meant.

    Raises:
        ImageError: the path leads outside.
    """
    path = posixpath.normpath("/" + name.lstrip("/")).lstrip("/")
    if ".." in name.split("/") or "\0" in name:
        raise ImageError(f"a package holds a path that leads outside: {name!r}")
    first, slash, rest = path.partition("/")
    return f"usr/{first}/{rest}" if slash and first in _MERGED else path


def excluder(patterns: Iterable[str]) -> Callable[[str], bool]:
    """Return a function that checks whether a path matches one of *patterns* (fnmatch)."""
    joined = "|".join(fnmatch.translate(pattern) for pattern in patterns)
    match = re.compile(joined).match if joined else None
    return lambda path: match is not None and match(path) is not None


class Layer:
    """One layer, written to a file member by member, with its digest made on the way.

    Args:
        path: the file.
        watch: called with path, time of change and bytes of every added file.

    Attributes:
        path: the file.
        size: its bytes so far.
        names: every path in it so far.
        newest: the latest time of change of any member, seconds since 1970.
    """

    def __init__(self, path: Path, watch: Callable[[str, int, bytes | memoryview], None] | None = None) -> None:
        self.path = path
        self._watch = watch
        self.names: set[str] = set()
        self.newest = _OLDEST
        self.size = 0
        self._hash = hashlib.sha256()
        self._file: IO[bytes] = path.open("wb", buffering=1 << 20)

    def _write(self, data: bytes | memoryview) -> None:
        self._file.write(data)
        self._hash.update(data)
        self.size += len(data)

    def _add(self, info: tarfile.TarInfo, data: bytes | memoryview = b"") -> None:
        self._write(info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape"))
        if data:
            self._write(data)
            self._write(b"\0" * (-len(data) % _BLOCK))
        if self._watch and info.isreg():
            self._watch(info.name, int(info.mtime), data)
        self.names.add(info.name)
        self.newest = max(self.newest, int(info.mtime))

    def tar(self, data: bytes, accept: Callable[[str], str | None]) -> None:
        """Add the members of an uncompressed tar file.

        Args:
            data: the file.
            accept: given a clean path, returns the path to add it under, or None to leave it out.

        Raises:
            ImageError: a path leads outside, or a member is no file, folder or link.
        """
        view = memoryview(data)
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
            for info in archive:
                name = clean_name(info.name)
                target = accept(name) if name else None
                if target is None or (info.isdir() and target in self.names):
                    continue
                if not (info.isreg() or info.isdir() or info.issym() or info.islnk()):
                    raise ImageError(f"a package holds {info.name!r}, which is no file, folder or link")
                if info.islnk():
                    info.linkname = accept(clean_name(info.linkname)) or clean_name(info.linkname)
                start = info.offset_data
                info.name, info.pax_headers = target, {}
                info.uname = info.gname = ""
                self._add(info, view[start : start + info.size] if info.isreg() else b"")

    def file(self, name: str, data: bytes, *, mode: int = 0o644, mtime: int | None = None) -> None:
        """Add a file, owned by root."""
        info = self._info(name, mode, mtime)
        info.size = len(data)
        self._add(info, data)

    def folder(self, name: str, *, mode: int = 0o755) -> None:
        """Add a folder, owned by root, unless it is there."""
        if name not in self.names:
            info = self._info(name, mode, None)
            info.type = tarfile.DIRTYPE
            self._add(info)

    def link(self, name: str, target: str) -> None:
        """Add a symbolic link."""
        info = self._info(name, 0o777, None)
        info.type, info.linkname = tarfile.SYMTYPE, target
        self._add(info)

    def _info(self, name: str, mode: int, mtime: int | None) -> tarfile.TarInfo:
        info = tarfile.TarInfo(name)
        info.mode = mode
        # A layer is the same bytes whenever it is made: what we add bears the time of the newest thing packaged.
        info.mtime = self.newest if mtime is None else mtime
        return info

    def close(self) -> str:
        """End the layer, and return the sha256 of its bytes as 64 hexadecimal digits."""
        self._write(b"\0" * (2 * _BLOCK))
        self._file.close()
        return self._hash.hexdigest()
