"""The sdist from the package index: looked up in the cache by what it is, or downloaded and verified."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.utils import InvalidSdistFilename, parse_sdist_filename

from wheelyard.core.errors import PlanError, SourceError
from wheelyard.io import downloads
from wheelyard.io.cache import cache_dir

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from wheelyard.records.models import LockedVersion


def fetch(locked: LockedVersion, *, limit: int, find_url: Callable[[], str | None] | None) -> Path:
    """Return the locked sdist's file in the cache; the network is used only if it is not there.

    Args:
        locked: what the version is pinned to.
        limit: how many bytes an sdist may have.
        find_url: asks the index for the address of the file with the locked name and hash, None if it is gone.

    Raises:
        PlanError: the lock names no sdist.
        SourceError: the index has the file no more, or it is too large.
        DigestMismatchError: other bytes than locked.
        NetworkError: the index or its file server cannot be reached.
    """
    if locked.file is None or locked.sha256 is None:
        raise PlanError(f"the lock names no sdist for version {locked.version}", fix=_relock(locked.version))
    try:
        parse_sdist_filename(locked.file)
    except InvalidSdistFilename as error:
        raise PlanError(
            f"the lock's {locked.file!r} is not an sdist's file name", fix=_relock(locked.version)
        ) from error
    if "/" in locked.file:
        raise PlanError(f"the lock's {locked.file!r} is not a plain file name", fix=_relock(locked.version))
    if locked.size is not None and locked.size > limit:
        raise SourceError(
            f"{locked.file} has {locked.size / 2**20:.0f} MiB, more than the {limit / 2**20:.0f} MiB that are allowed",
            fix="raise max-sdist-mib in [tool.wheelyard] if it really is that large",
        )
    target = cache_dir("sdists", locked.sha256) / locked.file
    if downloads.is_file_with(target, locked.sha256):
        return target
    url = find_url() if find_url else None
    if url is None:
        raise SourceError(
            f"the index has no {locked.file} with the locked sha256 {locked.sha256[:12]}… any more",
            fix=f"find out why it was removed or replaced; then {_relock(locked.version)}",
        )
    downloads.download(url, target, sha256=locked.sha256, size=locked.size, limit=limit)
    return target


def _relock(version: str) -> str:
    return f"remove version {version} from packages/<pkg>/lock.toml and run again: it is locked anew"
