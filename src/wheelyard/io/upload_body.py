"""Bodies of uploads: a file that is sent from disk, alone or as a part of a form."""

from __future__ import annotations

import os
from typing import IO, TYPE_CHECKING

from wheelyard.core.errors import InterruptedRunError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from threading import Event

    from requests_toolbelt import MultipartEncoder

    Progress = Callable[[int], object]


class FileBody:
    """A file that is sent from disk. Make a new one for each attempt: it is never rewound.

    Args:
        file: the open file.
        advance: is called with the number of bytes of each part that is sent.
        stop: ends the upload when it is set.
    """

    def __init__(self, file: IO[bytes], advance: Progress | None = None, stop: Event | None = None) -> None:
        self._file = file
        self._advance = advance
        self._stop = stop
        self.len = os.fstat(file.fileno()).st_size  # what is left; the encoder asks for it under this name

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes.

        Raises:
            InterruptedRunError: the run is to end.
        """
        if self._stop is not None and self._stop.is_set():
            raise InterruptedRunError("sending was stopped")
        data = self._file.read(size)
        self.len -= len(data)
        if self._advance:
            self._advance(len(data))
        return data


def multipart(
    fields: Iterable[tuple[str, str]],
    content: tuple[str, IO[bytes]] | None = None,
    *,
    advance: Progress | None = None,
    stop: Event | None = None,
) -> MultipartEncoder:
    """Return a form of *fields*, and of a file, named and open, as its part ``content``.

    It streams the file from disk. Make a new one for each attempt: a client that resends one from where it is stores
    an empty file.
    """
    from requests_toolbelt import MultipartEncoder

    parts: list[tuple[str, object]] = list(fields)
    if content is not None:
        name, file = content
        parts.append(("content", (name, FileBody(file, advance, stop), "application/octet-stream")))
    return MultipartEncoder(parts)
