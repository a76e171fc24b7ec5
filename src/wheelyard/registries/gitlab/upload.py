"""An upload to GitLab's PyPI registry: its body, and what the answers mean (lib/api/pypi_packages.rb)."""

from __future__ import annotations

import json
import os
from enum import Enum
from typing import IO, TYPE_CHECKING

from wheelyard.core.errors import InterruptedRunError
from wheelyard.io import log
from wheelyard.io.api import passes
from wheelyard.registries.registry import nobody

if TYPE_CHECKING:
    from collections.abc import Iterable
    from threading import Event

    from requests import Response
    from requests_toolbelt import MultipartEncoder

    from wheelyard.registries.registry import Progress

_CREATED, _BAD = 201, 400
_LONGEST_SAID = 300
_FILE_TAKEN = "File name has already been taken"
_NAME_TAKEN = "Name has already been taken"


class Verdict(Enum):
    """What an answer means for what we sent."""

    STORED = "stored"
    DUPLICATE = "a file of this name is there"
    RACE = "somebody else created the package at the same moment; nothing is stored"
    PASSING = "busy or broken for now; whether it is stored is not known"
    REFUSED = "never"


def judge(answer: Response) -> Verdict:
    """Return what an answer to an upload means."""
    if answer.status_code == _CREATED:
        return Verdict.STORED
    if passes(answer.status_code):
        return Verdict.PASSING
    text = said(answer)
    if answer.status_code == _BAD and _FILE_TAKEN in text:
        return Verdict.DUPLICATE
    if answer.status_code == _BAD and _NAME_TAKEN in text:
        return Verdict.RACE
    return Verdict.REFUSED


def said(answer: Response) -> str:
    """Return what a server says, in one tame line without secrets: JSON's message or error, else the text."""
    text = answer.text[:10_000]
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if isinstance(value, dict):
        text = str(value.get("message") or value.get("error") or text)
    return log.redact(log.clean(" ".join(text.split())))[:_LONGEST_SAID]


class _Watched:
    """A file on its way out: tells how far it has come, and ends when the run is to end."""

    def __init__(self, file: IO[bytes], tell: Progress, stop: Event | None) -> None:
        self._file = file
        self._tell = tell
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
        self._tell(len(data))
        return data


def watched(file: IO[bytes], *, tell: Progress = nobody, stop: Event | None = None) -> object:
    """Return an open file as a body of its own, sent from disk; made anew for each try, as :func:`multipart`'s."""
    return _Watched(file, tell, stop)


def multipart(
    fields: Iterable[tuple[str, str]],
    content: tuple[str, IO[bytes]] | None = None,
    *,
    tell: Progress = nobody,
    stop: Event | None = None,
) -> MultipartEncoder:
    """Return a body of *fields*, and of a file, named and open, as the ``content`` that GitLab expects.

    It streams the file from disk. A body is made anew for each try and never rewound: a client that resends one
    from where it stands stores an empty file.
    """
    from requests_toolbelt import MultipartEncoder

    parts: list[tuple[str, object]] = list(fields)
    if content is not None:
        name, file = content
        parts.append(("content", (name, _Watched(file, tell, stop), "application/octet-stream")))
    return MultipartEncoder(parts)
