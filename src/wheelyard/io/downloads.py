"""Downloads: verified while they stream, resumed after a break, whole or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, cast

from wheelyard.core.digests import sha256_file
from wheelyard.core.errors import DigestMismatchError, NetworkError, NotServedError, WheelyardError
from wheelyard.io import http, log, retry
from wheelyard.io.body import PATIENCE, Pace, Patience, chunks, host_of
from wheelyard.io.files import disk_errors, sync_folder
from wheelyard.io.retry import UnansweredError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from io import BufferedRandom
    from pathlib import Path

    from wheelyard.io.http import Response

_PARTIAL = 206
_RANGE_REFUSED = 416
_GONE = (404, 410)


def download(
    url: str,
    target: Path,
    *,
    sha256: str,
    size: int | None = None,
    limit: int,
    opener: Callable[[dict[str, str]], Response] | None = None,
    patience: Patience = PATIENCE,
) -> None:
    """Download *url* to *target*: verified while streaming, resumed after a break, whole or not at all.

    Bytes arrive in ``.<name>.<digest>.part`` beside the target, which a later run goes on from. Of several
    processes that want the same file one downloads it, the others wait for it.

    Args:
        url: its address.
        target: the file that exists afterwards, with exactly these bytes.
        sha256: the digest that it must have.
        size: its size in bytes, None if it is not known.
        limit: the most bytes that are accepted.
        opener: asks for the file, given further headers, and returns the answer with its body unread; for servers
            that need a credential.
        patience: how slowly it may come.

    Raises:
        DigestMismatchError: other bytes than promised.
        NotServedError: the server has no such file.
        NetworkError: the server does not answer, sends too slowly, or breaks off again and again.
        DiskError: no space, or no right to write there.
    """
    part = target.with_name(f".{target.name}.{sha256[:16]}.part")
    with disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with _own(part, target.name) as file:
            if is_file_with(target, sha256):  # the run that we waited for has downloaded it
                part.unlink(missing_ok=True)
                return
            ask = opener or (lambda headers: http.get(url, headers=headers))
            allowed = limit if size is None else min(limit, size)
            transfer = _Transfer(url, ask, file, target.name, allowed, patience)
            try:
                _complete(transfer, sha256, size)
            except WheelyardError as error:
                if isinstance(error, DigestMismatchError) or os.fstat(file.fileno()).st_size == 0:
                    part.unlink(missing_ok=True)  # nothing in it to go on from
                raise
            os.fsync(file.fileno())
            part.replace(target)
            sync_folder(target.parent)


def is_file_with(path: Path, sha256: str) -> bool:
    """Return whether *path* is a file with that digest."""
    try:
        return sha256_file(path) == sha256
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def _own(part: Path, name: str) -> Iterator[IO[bytes]]:
    """Open *part* under an exclusive lock, which the kernel drops with its process (flock(2))."""
    logged = False
    while True:
        with part.open("ab+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not logged:
                    log.info(f"waiting for another run that downloads {name}")
                logged = True
                fcntl.flock(file, fcntl.LOCK_EX)
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(file.fileno()), part.stat()):
                    yield file
                    return
        # The one before us has renamed or removed it: ours is a file without a name.


def _complete(transfer: _Transfer, sha256: str, size: int | None) -> None:
    """Resume the download of an earlier run; if the bytes do not fit, start anew once."""
    if transfer.file.seek(0, os.SEEK_END):
        try:
            _transfer_all(transfer, total=size)
            _verify(transfer.file, transfer.name, sha256, size)
        except DigestMismatchError:
            log.info(f"{transfer.name}: the bytes of an earlier run do not fit, starting anew")
            transfer.file.truncate(0)
        else:
            return
    _transfer_all(transfer, total=size)
    _verify(transfer.file, transfer.name, sha256, size)


def _verify(file: IO[bytes], name: str, sha256: str, size: int | None) -> None:
    file.flush()
    file.seek(0)
    digest = hashlib.file_digest(cast("BufferedRandom", file), "sha256").hexdigest()
    received = file.tell()
    if digest == sha256 and size in {None, received}:
        return
    promised = f"sha256 {sha256}" + (f", {size} bytes" if size is not None else "")
    raise DigestMismatchError(
        f"{name} is not the file that was promised",
        details=[f"promised: {promised}", f"arrived: sha256 {digest}, {received} bytes"],
        fix="if upstream really replaced the file, look at both before you change packages/<pkg>/lock.toml",
    )


@dataclass(frozen=True)
class _Transfer:
    """A download: its address, the function that asks for it, the open file, and the limits."""

    url: str
    ask: Callable[[dict[str, str]], Response]
    file: IO[bytes]
    name: str
    allowed: int
    patience: Patience


class _BrokenOffError(UnansweredError):
    """A download that broke off in the middle."""


def _transfer_all(transfer: _Transfer, *, total: int | None) -> None:
    try:
        for attempt in retry.attempts(retry.Host(host_of(transfer.url)), transfer.name):
            with attempt:
                if _fetch(transfer, total=total):
                    return
                log.info(f"{transfer.name}: the connection broke off, trying again")
                raise _BrokenOffError("the answer broke off")
    except NetworkError as error:
        if not isinstance(error.__cause__, _BrokenOffError):
            raise
        raise NetworkError(
            f"{transfer.name}: {host_of(transfer.url)} broke off {retry.READS + 1} times",
            fix="run the same command again: what has arrived is kept and not asked for twice",
        ) from error.__cause__


def _fetch(transfer: _Transfer, *, total: int | None) -> bool:
    """Append the missing bytes; return whether all have arrived by the server's own count."""
    file = transfer.file
    received = file.seek(0, os.SEEK_END)
    if total is not None and received == total:
        return True
    # A body that was compressed on the way has another length than the file.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={received}-"} if received else {})
    with transfer.ask(headers) as answer:
        if received and answer.status_code in {_PARTIAL, _RANGE_REFUSED}:
            place = answer.headers.get("Content-Range", "")
            if answer.status_code == _RANGE_REFUSED and place == f"bytes */{received}":
                return True
            if answer.status_code == _RANGE_REFUSED or not place.startswith(f"bytes {received}-"):
                file.truncate(0)  # another part than we asked for: start anew
                return False
        elif not answer.ok or answer.status_code == _PARTIAL:
            kind = NotServedError if answer.status_code in _GONE else NetworkError
            raise kind(
                f"{host_of(transfer.url)} answers {answer.status_code} for {transfer.name}",
                fix="run the same command again later; if it stays so, the file may be gone from the server",
            )
        else:
            file.truncate(0)
            received = 0
        return _receive(answer, transfer, received, total)


def _receive(answer: Response, transfer: _Transfer, received: int, total: int | None) -> bool:
    """Append the answer's body; return whether it came to its end."""
    length = answer.headers.get("Content-Length", "")
    goal = received + int(length) if length.isdigit() else total
    with log.progress(f"downloading {transfer.name}", goal) as advance:
        advance(received)
        try:
            for chunk in chunks(answer, Pace(transfer.url, transfer.patience)):
                received += len(chunk)
                if received > transfer.allowed:
                    raise DigestMismatchError(
                        f"{transfer.name} is larger than the {transfer.allowed} bytes that are promised or allowed",
                        fix="if it really is that large, raise max-sdist-mib in [tool.wheelyard]",
                    )
                transfer.file.write(chunk)
                transfer.file.flush()
                advance(len(chunk))
        except UnansweredError:
            return False
    return goal is None or received >= goal
