"""Bodies of answers: read within a limit of size and of speed, however tightly packed they come."""

from __future__ import annotations

import gzip
import hashlib
import io
import time
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from wheelyard.core.errors import NetworkError
from wheelyard.io.retry import UnansweredError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from requests import Response

ACCEPT_ENCODING = {"Accept-Encoding": "gzip"}  # what read() unpacks
LARGEST = 128 << 20  # bytes, unpacked: an index page of a hundred thousand files is a third of it
_PACKED = frozenset({"gzip", "x-gzip"})
_CHUNK = 1 << 18


class SlowServerError(NetworkError):
    """An answer comes too slowly."""


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
    """The speed of one body.

    Args:
        url: where it comes from.
        patience: how slowly it may come.
        whole: whether it is read into memory.
    """

    def __init__(self, url: str, patience: Patience = PATIENCE, *, whole: bool = False) -> None:
        self._url = url
        self._patience = patience
        self._end = time.monotonic() + patience.whole if whole else None
        self._since = time.monotonic()
        self._came = 0

    def count(self, size: int) -> None:
        """Count *size* bytes.

        Raises:
            SlowServerError: it is too slow.
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

    def _slow(self, detail: str) -> SlowServerError:
        return SlowServerError(
            f"{host_of(self._url)} sends too slowly to wait for it",
            details=[detail],
            fix="run the same command again later: it goes on where it stopped",
        )


def chunks(answer: Response, pace: Pace) -> Iterator[bytes]:
    """Yield a body as it comes, undecoded: some servers declare a .tar.gz as an encoding.

    Raises:
        UnansweredError: it breaks off.
        NetworkError: it comes too slowly.
    """
    from urllib3.exceptions import HTTPError

    while True:
        try:
            chunk = answer.raw.read1(_CHUNK, decode_content=False)  # read() would wait until it has all of a chunk
        except HTTPError as error:
            raise UnansweredError("the answer broke off") from error
        if not chunk:
            return
        yield chunk
        pace.count(len(chunk))


def sha256_of(answer: Response, pace: Pace) -> str:
    """Return the sha256 of a body; see :func:`chunks`."""
    digest = hashlib.sha256()
    for chunk in chunks(answer, pace):
        digest.update(chunk)
    return digest.hexdigest()


def read(answer: Response, *, largest: int = LARGEST, patience: Patience = PATIENCE) -> bytes:
    """Return an answer's whole body, within limits of time and, unpacked, of size.

    requests would unpack while it reads, and wait inside for bytes that make something; so the request must have
    :data:`ACCEPT_ENCODING`.

    Args:
        answer: its body is unread; it is closed afterwards.
        largest: bytes that are taken, unpacked.
        patience: how slowly they may come.

    Raises:
        UnansweredError: it breaks off.
        NetworkError: it is too large, or comes too slowly.
    """
    received = bytearray()
    with answer:
        for chunk in chunks(answer, Pace(answer.url, patience, whole=True)):
            received += chunk
            if len(received) > largest:
                break
    body = bytes(received)
    if answer.headers.get("Content-Encoding", "").strip().lower() in _PACKED:
        try:
            with gzip.open(io.BytesIO(body)) as file:
                body = file.read(largest + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise UnansweredError("the answer cannot be unpacked") from error
    if len(body) > largest:
        raise NetworkError(
            f"{host_of(answer.url)} sends an answer of more than {largest >> 20} MiB",
            fix="check what is behind that address; no index is that large",
        )
    return body


def load(answer: Response, *, largest: int = LARGEST, patience: Patience = PATIENCE) -> None:
    """Read a body within limits and make it the answer's content; requests has no public way to set it."""
    answer._content = read(answer, largest=largest, patience=patience)  # noqa: SLF001
    answer._content_consumed = True  # type: ignore[attr-defined]  # noqa: SLF001


def host_of(url: str) -> str:
    """Return the name of the server in an address."""
    return urlsplit(url).hostname or url
