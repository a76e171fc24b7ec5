"""The one place for HTTP: one session with retries and time limits, and downloads verified while they stream."""

from __future__ import annotations

import functools
import hashlib
import os
import time
from typing import TYPE_CHECKING

from wheelyard import __version__
from wheelyard.core.errors import DigestMismatchError, NetworkError
from wheelyard.io import log
from wheelyard.io.files import disk_errors, sync_folder

if TYPE_CHECKING:
    from pathlib import Path

    from requests import Response, Session

TIMEOUT = (10.0, 60.0)  # seconds to connect, and between two bytes
_CHUNK = 1 << 16
_ATTEMPTS = 4
_PARTIAL = 206
_RANGE_REFUSED = 416


@functools.cache
def session() -> Session:
    """Return the process's session: a name for the server's log, retries with backoff for what passes by itself."""
    import requests  # noqa: PLC0415 - a tenth of a second that offline verbs need not pay
    from requests.adapters import HTTPAdapter  # noqa: PLC0415
    from urllib3.util import Retry  # noqa: PLC0415

    retry = Retry(
        total=3,
        backoff_factor=0.3,
        status_forcelist=(429, 500, 502, 503, 504),
        allowed_methods=("GET", "HEAD"),
        respect_retry_after_header=True,
        raise_on_status=False,
    )
    made = requests.Session()
    made.headers["User-Agent"] = f"wheelyard/{__version__}"
    for scheme in ("https://", "http://"):
        made.mount(scheme, HTTPAdapter(max_retries=retry, pool_maxsize=32))
    return made


def get(url: str, *, headers: dict[str, str] | None = None, stream: bool = False) -> Response:
    """Return the answer to a GET, whatever its status.

    Raises:
        NetworkError: no answer came.
    """
    import requests  # noqa: PLC0415

    try:
        return session().get(url, headers=headers, stream=stream, timeout=TIMEOUT)
    except requests.exceptions.SSLError as error:
        raise NetworkError(
            f"{_host(url)} shows a certificate that is not trusted here",
            details=[log.clean(str(error))[:300]],
            fix="point REQUESTS_CA_BUNDLE and SSL_CERT_FILE to the CA bundle of your network",
        ) from error
    except (requests.exceptions.RequestException, OSError) as error:
        raise NetworkError(
            f"{_host(url)} cannot be reached",
            details=[log.clean(str(error))[:300]],
            fix="check the network and proxy settings; locked versions plan offline, builds need the index",
        ) from error


def _host(url: str) -> str:
    from urllib.parse import urlsplit  # noqa: PLC0415

    return urlsplit(url).hostname or url


def download(url: str, target: Path, *, sha256: str, size: int | None = None, limit: int) -> None:
    """Download *url* to *target*: verified while streaming, resumed after a break, whole or not at all.

    Bytes arrive in ``.<name>.<digest>.part`` beside the target, which a later run goes on from.

    Args:
        url: where from.
        target: the file that exists afterwards, with exactly these bytes.
        sha256: what its bytes must hash to.
        size: how many bytes it must have, if that is known.
        limit: how many bytes we accept at all.

    Raises:
        DigestMismatchError: other bytes than promised.
        NetworkError: the server does not answer, or breaks off again and again.
        DiskError: no space, or no right to write there.
    """
    part = target.with_name(f".{target.name}.{sha256[:16]}.part")
    allowed = min(limit, size) if size is not None else limit
    with disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        for attempt in range(_ATTEMPTS):
            if _fetch(url, part, allowed=allowed, total=size):
                break
            if attempt + 1 < _ATTEMPTS:
                log.info(f"{target.name}: the connection broke off, going on where it stopped")
                time.sleep(0.3 * 2**attempt)
        else:
            raise NetworkError(
                f"{target.name}: {_host(url)} broke off {_ATTEMPTS} times",
                fix="run the same command again: what has arrived is kept and not asked for twice",
            )
        _verify(part, target.name, sha256, size)
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(target)
        sync_folder(target.parent)


def _verify(part: Path, name: str, sha256: str, size: int | None) -> None:
    got_size = part.stat().st_size
    with part.open("rb") as file:
        got = hashlib.file_digest(file, "sha256").hexdigest()
    if got == sha256 and size in (None, got_size):
        return
    part.unlink()
    wanted = f"sha256 {sha256}" + (f", {size} bytes" if size is not None else "")
    raise DigestMismatchError(
        f"{name} is not the file that was promised",
        details=[f"promised: {wanted}", f"arrived: sha256 {got}, {got_size} bytes"],
        fix="if upstream really replaced the file, look at both before you change packages/<pkg>/lock.toml",
    )


def _fetch(url: str, part: Path, *, allowed: int, total: int | None) -> bool:
    """Append what is missing to *part*; tell whether all has arrived as far as the server's own count says."""
    import requests  # noqa: PLC0415

    have = part.stat().st_size if part.exists() else 0
    if total is not None and have == total:
        return True
    # A body that was compressed on the way has another length than the file.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with get(url, headers=headers, stream=True) as answer:
        if answer.status_code == _RANGE_REFUSED:
            part.unlink(missing_ok=True)
            return False
        if not answer.ok:
            raise NetworkError(
                f"{_host(url)} answers {answer.status_code} for {part.name.split('.', 2)[1]}…", where=url
            )
        start = answer.headers.get("Content-Range", "")
        resumed = answer.status_code == _PARTIAL and start.startswith(f"bytes {have}-")
        have = have if resumed else 0
        length = answer.headers.get("Content-Length", "")
        goal = have + int(length) if length.isdigit() else total
        try:
            with (
                part.open("ab" if resumed else "wb") as file,
                log.progress(f"downloading {_name(url)}", goal) as tell,
            ):
                tell(have)
                for chunk in answer.iter_content(_CHUNK):
                    have += len(chunk)
                    if have > allowed:
                        file.close()
                        part.unlink()
                        raise DigestMismatchError(
                            f"{_name(url)} is larger than the {allowed} bytes that were promised or are allowed",
                            fix="if it really is that large, raise max-sdist-mib in [tool.wheelyard]",
                        )
                    file.write(chunk)
                    tell(len(chunk))
        except requests.exceptions.RequestException:
            return False
    return goal is None or have >= goal


def _name(url: str) -> str:
    return log.clean(url.partition("?")[0].partition("#")[0].rpartition("/")[2])
