"""The one place for HTTP: one session with retries and time limits, and downloads verified while they stream."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import os
import re
import threading
import time
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, cast

from wheelyard import __version__
from wheelyard.core.digests import sha256_file
from wheelyard.core.errors import DigestMismatchError, NetworkError, NotServedError, WheelyardError
from wheelyard.io import log
from wheelyard.io.body import PATIENCE, Pace, Patience
from wheelyard.io.files import disk_errors, sync_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from io import BufferedRandom
    from pathlib import Path
    from ssl import SSLContext

    from requests import Response, Session
    from requests.adapters import HTTPAdapter
    from urllib3.util import Retry

TIMEOUT = (10.0, 60.0)  # seconds to connect, and between two bytes
_CHUNK = 1 << 16
_ATTEMPTS = 4
_PAUSE = 0.3  # seconds before the second attempt, doubled before each further one
_LONGEST_PAUSE = 30  # seconds that a server may ask us to wait (Retry-After)
_PARTIAL = 206
_RANGE_REFUSED = 416
_GONE = (404, 410)
_QUERY = re.compile(r"\?[^\s'\"<>)]+")
_USER = re.compile(r"(?<=//)[^\s/'\"<>]*@")
_TRUSTING = threading.Lock()


@functools.cache
def session(*, retries: int = 3) -> Session:
    """Return the process's session: a name for the server's log, retries with backoff for what passes by itself."""
    import requests  # a tenth of a second that offline verbs need not pay
    from urllib3.util import Retry

    retry = Retry(
        total=retries,
        backoff_factor=_PAUSE,
        status_forcelist=(429, 500, 502, 503, 504),
        allowed_methods=("GET", "HEAD"),
        respect_retry_after_header=True,
        retry_after_max=_LONGEST_PAUSE,
        raise_on_status=False,
        redirect=None if retries else False,
    )
    made = requests.Session()
    made.headers["User-Agent"] = f"wheelyard/{__version__}"
    for scheme in ("https://", "http://"):
        made.mount(scheme, _adapter(retry))
    return made


def _adapter(retry: Retry) -> HTTPAdapter:
    """Return an adapter that reads the certificates to trust once: to do so for each connection takes longer than it.

    That requests leaves to each connection what to trust is by its design; cert_verify() is its hook for others.
    """
    from requests.adapters import HTTPAdapter

    class Adapter(HTTPAdapter):
        def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
            with _TRUSTING:  # conn is the host's pool: one thread would take away what another has just seen
                super().cert_verify(conn, url, verify, cert)  # type: ignore[no-untyped-call]
                if conn.ca_certs:
                    conn.conn_kw["ssl_context"] = _trusting(conn.ca_certs)
                    conn.ca_certs = None

    return Adapter(max_retries=retry, pool_maxsize=64)


@functools.cache
def _trusting(certificates: str) -> SSLContext:
    from urllib3.util.ssl_ import create_urllib3_context

    context = create_urllib3_context()
    context.load_verify_locations(certificates)
    return context


def get(url: str, *, headers: dict[str, str] | None = None, stream: bool = False) -> Response:
    """Return the answer to a GET, whatever its status.

    Raises:
        NetworkError: no answer came.
    """
    import requests

    try:
        return session().get(url, headers=headers, stream=stream, timeout=TIMEOUT)
    except (requests.exceptions.RequestException, OSError) as error:
        raise unreachable(url, error) from error


def unreachable(url: str, error: Exception) -> NetworkError:
    """Return what to tell people when no answer came from *url*."""
    import requests

    details = [plain(str(error))[:300]]
    if isinstance(error, requests.exceptions.SSLError):
        return NetworkError(
            f"{_host(url)} shows a certificate that is not trusted here",
            details=details,
            fix="point REQUESTS_CA_BUNDLE and SSL_CERT_FILE to the CA bundle of your network",
        )
    return NetworkError(
        f"{_host(url)} cannot be reached",
        details=details,
        fix="check the network and proxy settings; locked versions plan offline, builds need the index",
    )


def plain(text: str) -> str:
    """Return *text* for people: tame, its addresses without user names and queries, which may be signed for us."""
    return _QUERY.sub("?…", _USER.sub("", log.clean(text)))


def _host(url: str) -> str:
    from urllib.parse import urlsplit

    return urlsplit(url).hostname or url


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
        url: where from.
        target: the file that exists afterwards, with exactly these bytes.
        sha256: what its bytes must hash to.
        size: how many bytes it must have, if that is known.
        limit: how many bytes we accept at all.
        opener: asks for the file, given further headers, and returns the answer with its body unread; for servers
            that want to know who we are.
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
            if is_file_with(target, sha256):  # whoever we waited for has done it
                part.unlink(missing_ok=True)
                return
            ask = opener or (lambda headers: get(url, headers=headers, stream=True))
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
    """Tell whether *path* is a file with that hash."""
    try:
        return sha256_file(path) == sha256
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def _own(part: Path, name: str) -> Iterator[IO[bytes]]:
    """Open *part* for us alone. The kernel's lock goes with its holder, however that one ends (flock(2))."""
    told = False
    while True:
        with part.open("ab+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not told:
                    log.info(f"waiting for another run that downloads {name}")
                told = True
                fcntl.flock(file, fcntl.LOCK_EX)
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(file.fileno()), part.stat()):
                    yield file
                    return
        # The one before us has renamed or removed it: ours is a file without a name.


def _complete(transfer: _Transfer, sha256: str, size: int | None) -> None:
    """Go on with what an earlier run left; if that leads nowhere, start anew once."""
    if transfer.file.seek(0, os.SEEK_END):
        try:
            _transfer_all(transfer, total=size)
            _verify(transfer.file, transfer.name, sha256, size)
        except DigestMismatchError:
            log.info(f"{transfer.name}: what an earlier run left does not fit, starting anew")
            transfer.file.truncate(0)
        else:
            return
    _transfer_all(transfer, total=size)
    _verify(transfer.file, transfer.name, sha256, size)


def _verify(file: IO[bytes], name: str, sha256: str, size: int | None) -> None:
    file.flush()
    file.seek(0)
    got = hashlib.file_digest(cast("BufferedRandom", file), "sha256").hexdigest()
    got_size = file.tell()
    if got == sha256 and size in {None, got_size}:
        return
    wanted = f"sha256 {sha256}" + (f", {size} bytes" if size is not None else "")
    raise DigestMismatchError(
        f"{name} is not the file that was promised",
        details=[f"promised: {wanted}", f"arrived: sha256 {got}, {got_size} bytes"],
        fix="if upstream really replaced the file, look at both before you change packages/<pkg>/lock.toml",
    )


@dataclass(frozen=True)
class _Transfer:
    """What is being downloaded: from where, asked for how, into which open file, how much we accept, how slowly."""

    url: str
    ask: Callable[[dict[str, str]], Response]
    file: IO[bytes]
    name: str
    allowed: int
    patience: Patience


def _transfer_all(transfer: _Transfer, *, total: int | None) -> None:
    for attempt in range(_ATTEMPTS):
        if _fetch(transfer, total=total):
            return
        if attempt + 1 < _ATTEMPTS:
            log.info(f"{transfer.name}: the connection broke off, trying again")
            time.sleep(_PAUSE * 2**attempt)
    raise NetworkError(
        f"{transfer.name}: {_host(transfer.url)} broke off {_ATTEMPTS} times",
        fix="run the same command again: what has arrived is kept and not asked for twice",
    )


def _fetch(transfer: _Transfer, *, total: int | None) -> bool:
    """Append what is missing; tell whether all has arrived as far as the server's own count says."""
    file = transfer.file
    have = file.seek(0, os.SEEK_END)
    if total is not None and have == total:
        return True
    # A body that was compressed on the way has another length than the file.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with transfer.ask(headers) as answer:
        if have and answer.status_code in {_PARTIAL, _RANGE_REFUSED}:
            place = answer.headers.get("Content-Range", "")
            if answer.status_code == _RANGE_REFUSED and place == f"bytes */{have}":
                return True
            if answer.status_code == _RANGE_REFUSED or not place.startswith(f"bytes {have}-"):
                file.truncate(0)  # another part than we asked for: start anew
                return False
        elif not answer.ok or answer.status_code == _PARTIAL:
            kind = NotServedError if answer.status_code in _GONE else NetworkError
            raise kind(
                f"{_host(transfer.url)} answers {answer.status_code} for {transfer.name}",
                fix="run the same command again later; if it stays so, the file may be gone from the server",
            )
        else:
            file.truncate(0)
            have = 0
        return _receive(answer, transfer, have, total)


def _receive(answer: Response, transfer: _Transfer, have: int, total: int | None) -> bool:
    """Append the answer's body; tell whether it came to its end."""
    from urllib3.exceptions import HTTPError

    length = answer.headers.get("Content-Length", "")
    goal = have + int(length) if length.isdigit() else total
    pace = Pace(transfer.url, transfer.patience)
    with log.progress(f"downloading {transfer.name}", goal) as tell:
        tell(have)
        while True:
            try:
                # Undecoded, as some servers declare a .tar.gz as an encoding; read1, as no buffer may lose what came.
                piece = answer.raw.read1(_CHUNK, decode_content=False)
            except HTTPError:
                return False
            finally:
                transfer.file.flush()
            if not piece:
                return goal is None or have >= goal
            have += len(piece)
            if have > transfer.allowed:
                raise DigestMismatchError(
                    f"{transfer.name} is larger than the {transfer.allowed} bytes that were promised or are allowed",
                    fix="if it really is that large, raise max-sdist-mib in [tool.wheelyard]",
                )
            transfer.file.write(piece)
            tell(len(piece))
            pace.came(len(piece))


def answers(url: str, *, timeout: float) -> int | None:
    """Return the status of one HEAD-like GET without retries, None when nobody answers within *timeout* seconds."""
    import requests

    try:
        with requests.get(url, timeout=timeout, stream=True, headers=dict(session().headers)) as answer:
            return answer.status_code
    except (requests.exceptions.RequestException, OSError):
        return None
