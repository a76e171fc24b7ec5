"""Bodies of answers: none may hold us without end, or fill the memory, however slowly or tightly packed it comes."""

from __future__ import annotations

import gzip
import io
import time
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from wheelyard.core.errors import NetworkError

if TYPE_CHECKING:
    from requests import Response

ACCEPT_ENCODING = {"Accept-Encoding": "gzip"}  # what read() unpacks
_PACKED = frozenset({"gzip", "x-gzip"})
_CHUNK = 1 << 16


@dataclass(frozen=True)
class Patience:
    """How slowly a body may come: a limit between two bytes alone would let a drip hold us for ever.

    Attributes:
        slowest: bytes a second, on average over each *window*.
        window: seconds.
        whole: seconds for all of an answer that is read into memory.
    """

    slowest: float = 1024
    window: float = 60
    whole: float = 300


PATIENCE = Patience()


class Pace:
    """Watches how fast one body comes.

    Args:
        url: whose body.
        patience: how slowly it may come.
        whole: it is one that is read into memory.
    """

    def __init__(self, url: str, patience: Patience, *, whole: bool = False) -> None:
        self._url = url
        self._patience = patience
        self._end = time.monotonic() + patience.whole if whole else None
        self._since = time.monotonic()
        self._came = 0

    def came(self, size: int) -> None:
        """Take note of *size* bytes.

        Raises:
            NetworkError: it is too slow.
        """
        now = time.monotonic()
        if self._end is not None and now > self._end:
            raise self._slow(f"an answer is not whole after {self._patience.whole:g} seconds")
        self._came += size
        lasted = now - self._since
        if lasted >= self._patience.window:
            if self._came < self._patience.slowest * lasted:
                raise self._slow(f"{self._came} bytes in {lasted:.0f} seconds")
            self._since, self._came = now, 0

    def _slow(self, seen: str) -> NetworkError:
        return NetworkError(
            f"{_host(self._url)} sends too slowly to wait for it",
            details=[seen],
            fix="run the same command again later: it goes on where it stopped",
        )


def read(answer: Response, *, largest: int, patience: Patience = PATIENCE) -> bytes:
    """Return an answer's whole body, within bounds; what comes slowly, and unpacks to ever more, ends.

    requests would unpack while it reads, and wait inside for bytes that make something; so the answer is to be one
    to a request that has :data:`ACCEPT_ENCODING`.

    Args:
        answer: its body is unread; it is closed afterwards.
        largest: bytes that are taken, unpacked.
        patience: how slowly they may come.

    Raises:
        requests.exceptions.ConnectionError: it breaks off.
        NetworkError: it is too large, or comes too slowly.
    """
    import requests
    from urllib3.exceptions import HTTPError

    pace = Pace(answer.url, patience, whole=True)
    body = bytearray()
    with answer:
        while True:
            try:
                piece = answer.raw.read1(_CHUNK, decode_content=False)
            except HTTPError as error:
                raise requests.exceptions.ConnectionError(error) from error
            if not piece:
                break
            body += piece
            if len(body) > largest:
                break
            pace.came(len(piece))
    whole = bytes(body)
    if answer.headers.get("Content-Encoding", "").strip().lower() in _PACKED:
        try:
            with gzip.open(io.BytesIO(whole)) as file:
                whole = file.read(largest + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise requests.exceptions.ConnectionError("it cannot be unpacked") from error
    if len(whole) > largest:
        raise NetworkError(
            f"{_host(answer.url)} sends an answer of more than {largest >> 20} MiB",
            fix="look at what is behind that address; no index is that large",
        )
    return whole


def keep(answer: Response, body: bytes) -> None:
    """Make *body*, which was :func:`read`, what requests takes for the answer's; it has no public way to say so."""
    answer._content = body  # noqa: SLF001
    answer._content_consumed = True  # type: ignore[attr-defined]  # noqa: SLF001


def _host(url: str) -> str:
    return urlsplit(url).hostname or url
