"""The default kind of source: the sdist on the package index, from the cache or downloaded, verified and unpacked."""

from __future__ import annotations

from email.parser import BytesHeaderParser
from typing import TYPE_CHECKING

from packaging.utils import InvalidSdistFilename, canonicalize_name, parse_sdist_filename
from packaging.version import InvalidVersion, Version

from wheelyard.core.errors import PlanError, SourceError
from wheelyard.core.pep440 import read_version
from wheelyard.core.values import SourceTree
from wheelyard.io import downloads, log
from wheelyard.io.archive import unpack
from wheelyard.io.cache import cache_dir
from wheelyard.project.source_table import SourceTable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from wheelyard.records.models import LockedVersion
    from wheelyard.sources.source_kind import Origin

_LARGEST_METADATA = 1 << 24


class Sdist:
    """The sdist on the package index; planning looks its name and hash up there."""

    table = SourceTable
    is_sdist = True
    is_local = False
    version_keys = ()

    def pin(self, source: SourceTable, locked: LockedVersion) -> LockedVersion:  # noqa: ARG002
        """Return *locked*, which names the sdist."""
        return locked

    def identity(self, locked: LockedVersion, source: SourceTable, recipe_folder: Path) -> str:  # noqa: ARG002
        """Return the sdist's hash."""
        if locked.sha256 is None:
            raise PlanError(
                f"the lock names no sdist for version {locked.version}", fix="remove it from the lock, and run again"
            )
        return f"sdist:{locked.sha256}"

    def obtain(self, origin: Origin, target: Path, work: Path) -> SourceTree:  # noqa: ARG002
        """Download and unpack the sdist."""
        limit = origin.config.max_sdist_mib << 20
        archive = fetch(origin.locked, limit=limit, find_url=origin.find_url)
        epoch = unpack(archive, target, limits=origin.limits)
        check_metadata(target, origin.name, origin.locked.version, source=archive.name)
        return SourceTree("sdist", target, archive.name, origin.locked.sha256 or "", "", (), epoch)

    def check(self, origin: Origin) -> str:
        """Ask the package index for the sdist."""
        if origin.find_url:
            origin.find_url()
        return f"the index has {origin.locked.file} with the locked hash"


def check_metadata(tree: Path, name: str, version: str, *, source: str) -> None:
    """Make sure that an unpacked sdist's ``PKG-INFO`` speaks of this name and version (source distribution format).

    Raises:
        SourceError: it is missing, or speaks of another.
    """
    file = tree / "PKG-INFO"
    if not file.is_file() or file.is_symlink() or file.stat().st_size > _LARGEST_METADATA:
        raise SourceError(f"{source} is not an sdist: it has no PKG-INFO", fix="take the source from git instead")
    headers = BytesHeaderParser().parsebytes(file.read_bytes())
    found_name, found_version = str(headers.get("Name", "")).strip(), str(headers.get("Version", "")).strip()
    try:
        same_version = read_version(found_version) == Version(version)
        is_same = same_version and canonicalize_name(found_name) == canonicalize_name(name)
    except InvalidVersion:
        is_same = False
    if not is_same:
        raise SourceError(
            f"{source} says of itself that it is {log.clean(found_name)!r} {log.clean(found_version)!r}, "
            f"not {name!r} {version!r}",
            fix="correct [source] name in the recipe, or report it upstream",
        )


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
