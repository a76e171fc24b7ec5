"""What a publication set out to do, on disk: so that a run that was killed is finished, and reported, by the next.

One JSON line per event. A line that a kill cut short is the last one and says nothing; what it would have said is
found out again from the registry.
"""

from __future__ import annotations

import contextlib
import json
import os
from typing import TYPE_CHECKING, Self

from wheelyard.core.digests import sha256_bytes
from wheelyard.io import cache, files

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_HEAD = {"schema": "wheelyard/journal", "version": 1}


class Journal:
    """The uploads that were begun and not yet finished, by file name: their sha256, and whether it was confirmed."""

    def __init__(self, path: Path, begun: dict[str, str], confirmed: set[str]) -> None:
        self.begun = begun
        self.confirmed = confirmed
        self._path = path

    @classmethod
    @contextlib.contextmanager
    def of(cls, folder: Path, title: str) -> Iterator[Self]:
        """Yield the journal of a registry, ours alone: another run that publishes there waits.

        Args:
            folder: where journals are kept.
            title: the registry.

        Raises:
            DiskError: it cannot be written.
        """
        path = _file(folder, title)
        with cache.lock(path.with_suffix(".lock"), what=f"publishing to {title}"):
            yield cls(path, *_read(path))

    @classmethod
    def look(cls, folder: Path, title: str) -> Self:
        """Return the journal of a registry for reading only, without waiting for anybody."""
        path = _file(folder, title)
        return cls(path, *_read(path))

    def begin(self, uploads: Iterable[tuple[str, str]], *, anew: Iterable[str] = ()) -> None:
        """Note files with their sha256 before the first of them is sent.

        Args:
            uploads: the files.
            anew: those that are not there any more, whatever was confirmed of them.
        """
        for file, sha256 in uploads:
            if self.begun.get(file) != sha256:
                self.confirmed.discard(file)  # that was another wheel of this name
            self.begun[file] = sha256
        self.confirmed.difference_update(anew)
        self._write()

    def confirm(self, file: str) -> None:
        """Note that a file was read back and is right. Threads may call it at the same time."""
        self.confirmed.add(file)
        line = json.dumps({"confirmed": file, "sha256": self.begun[file]}) + "\n"
        with files.disk_errors(self._path):
            handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                os.write(handle, line.encode())  # one call, so that lines of threads do not mix
            finally:
                os.close(handle)

    def finish(self, names: Iterable[str]) -> None:
        """Forget files: they are published, recorded and reported, or will never be."""
        for file in names:
            self.begun.pop(file, None)
            self.confirmed.discard(file)
        self._write()

    def _write(self) -> None:
        lines: list[dict[str, object]] = [_HEAD]
        lines += [{"begun": file, "sha256": sha256} for file, sha256 in sorted(self.begun.items())]
        lines += [
            {"confirmed": file, "sha256": self.begun[file]} for file in sorted(self.confirmed & self.begun.keys())
        ]
        if len(lines) == 1:
            files.remove(self._path)
        else:
            files.write_text(self._path, "".join(json.dumps(line) + "\n" for line in lines))


def _file(folder: Path, title: str) -> Path:
    return folder / f"{sha256_bytes(title.encode())[:16]}.jsonl"


def _read(path: Path) -> tuple[dict[str, str], set[str]]:
    """Return what stands in a journal; one that is not ours is as good as none."""
    try:
        with files.disk_errors(path):
            lines = path.read_bytes().split(b"\n")[:-1]  # what follows the last line end was cut short
    except FileNotFoundError:
        return {}, set()
    begun: dict[str, str] = {}
    confirmed: set[str] = set()
    values: list[object] = []
    for line in lines:
        with contextlib.suppress(ValueError, RecursionError):
            values.append(json.loads(line))
    if not values or values[0] != _HEAD:
        return {}, set()
    for value in values[1:]:
        match value:
            case {"begun": str(file), "sha256": str(sha256)}:
                begun[file] = sha256
            case {"confirmed": str(file), "sha256": str(sha256)} if begun.get(file) == sha256:
                confirmed.add(file)
    return begun, confirmed
