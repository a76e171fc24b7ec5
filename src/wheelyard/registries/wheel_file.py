"""A wheel to publish: its metadata for a registry, read from the wheel itself."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from packaging.metadata import parse_email
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion

from wheelyard.core.digests import sha256_file
from wheelyard.core.errors import PublishError
from wheelyard.core.pep440 import read_version
from wheelyard.core.tags import WheelName
from wheelyard.io import log
from wheelyard.records.releases import ReleasedFile

if TYPE_CHECKING:
    from pathlib import Path

    from packaging.metadata import RawMetadata

_LARGEST_METADATA = 16 << 20  # bytes
_LONGEST_FIELD, _LONGEST_DESCRIPTION = 255, 4000  # characters that GitLab keeps (lib/api/pypi_packages.rb)
_LONGEST_LICENCE = 120  # longer ones are the licence's text
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError, RuntimeError, NotImplementedError, OSError)


@dataclass(frozen=True)
class Release:
    """A wheel that may be published.

    Attributes:
        path: the file.
        name: its file name, taken apart.
        sha256: its hash, as it was when it was checked.
        size: bytes.
        metadata: its METADATA file (PEP 658 serves it by itself).
        requires_python: its Requires-Python, empty if there is none.
    """

    path: Path
    name: WheelName
    sha256: str
    size: int
    metadata: bytes
    requires_python: str

    @property
    def project(self) -> str:
        """The project's canonical name."""
        return self.name.name

    def ensure_unchanged(self, now: str | None = None) -> None:
        """Make sure that the file's bytes are those that were checked; *now* is their hash if it is known.

        Raises:
            PublishError: they are others.
        """
        now = now or sha256_file(self.path)
        if now != self.sha256:
            raise PublishError(
                "was changed after it was checked",
                where=str(self.path),
                details=[f"checked: sha256 {self.sha256}", f"now:     sha256 {now}"],
                fix="build the version again: `nox -s build-<pkg> -- --force`",
            )

    @cached_property
    def _said(self) -> RawMetadata:
        return parse_email(self.metadata)[0]

    @property
    def licence(self) -> str:
        """The licence in METADATA: an SPDX expression (PEP 639), or an older field."""
        raw = self._said
        named = raw.get("license_expression") or raw.get("license", "").strip().partition("\n")[0]
        if named and len(named) <= _LONGEST_LICENCE:
            return log.clean(named)
        classifiers = [
            classifier.rpartition(" :: ")[2]
            for classifier in raw.get("classifiers", [])
            if classifier.startswith("License ::")
        ]
        return log.clean(", ".join(classifiers)[:_LONGEST_LICENCE])

    def fields(self) -> list[tuple[str, str]]:
        """Return the form fields that GitLab takes beside the file (lib/api/pypi_packages.rb).

        The name is the canonical one, since GitLab compares names to the letter when it stores. A text longer than
        GitLab keeps would be cut: harmless in a description, wrong in Requires-Python, which is left out then.
        """
        raw = self._said
        field_values = {
            "name": self.project,
            "version": str(self.name.version),
            "sha256_digest": self.sha256,
            "requires_python": self.requires_python if len(self.requires_python) <= _LONGEST_FIELD else "",
            "metadata_version": raw.get("metadata_version", ""),
            "author_email": raw.get("author_email", ""),
            "summary": raw.get("summary", "")[:_LONGEST_FIELD],
            "description": raw.get("description", "")[:_LONGEST_DESCRIPTION],
            "description_content_type": raw.get("description_content_type", ""),
            "keywords": ",".join(raw.get("keywords", [])),
        }
        return [(key, value) for key, value in field_values.items() if value]


def read_release(path: Path, *, sha256: str, hashed: bool = False) -> Release:
    """Read a wheel's metadata for a registry.

    Args:
        path: the wheel.
        sha256: its hash when it was checked.
        hashed: whether the caller has just found that it still is; it is hashed again right before it is sent.

    Raises:
        PublishError: it is no wheel, was changed since, or its METADATA is another one's.
    """
    try:
        name = WheelName.parse(path.name)
    except ValueError as error:
        raise PublishError(f"is not a wheel: {error}", where=str(path), fix="publish what a build made") from error
    release = describe(path, name, sha256=sha256 if hashed else None)
    replace(release, sha256=sha256).ensure_unchanged(release.sha256)
    return release


def describe(path: Path, name: WheelName, *, sha256: str | None = None) -> Release:
    """Return what *path* is at this moment, with its *sha256* if that is known; see :func:`read_release`.

    Raises:
        PublishError: it cannot be read, or its METADATA is another wheel's.
    """
    fix = "build it again; a registry takes only what pip can install"
    try:
        sha256, size = sha256 or sha256_file(path), path.stat().st_size
        metadata = _metadata(path)
        raw, _ = parse_email(metadata)
    except _BROKEN as error:
        raise PublishError(f"cannot be read as a wheel: {error}", where=str(path), fix=fix) from error
    stated_name, version = raw.get("name", ""), raw.get("version", "")
    try:
        is_same = canonicalize_name(stated_name) == name.name and read_version(version) == name.version
    except InvalidVersion:
        is_same = False
    if not is_same:
        raise PublishError(
            f"METADATA says {stated_name[:100]} {version[:100]}, the file name does not", where=str(path), fix=fix
        )
    return Release(path, name, sha256, size, metadata, raw.get("requires_python", ""))


def entry_of(release: Release, where: str, **stated: object) -> ReleasedFile:
    """Return the record of a wheel in a registry: the wheel's own metadata, and *stated* about its build."""
    facts: dict[str, object] = {
        "file": release.name.file,
        "where": where,
        "sha256": release.sha256,
        "size": release.size,
        "tags": tuple(sorted(map(str, release.name.tags))),
        "licence": release.licence,
    }
    return ReleasedFile.model_validate(facts | stated)


def _metadata(path: Path) -> bytes:
    """Return the one METADATA file of a wheel (PEP 427)."""
    with zipfile.ZipFile(path) as archive:
        candidates = [
            info
            for info in archive.infolist()
            if info.filename.endswith(".dist-info/METADATA") and info.filename.count("/") == 1
        ]
        if len(candidates) != 1:
            raise ValueError(f"it has {len(candidates)} METADATA files")
        if candidates[0].file_size > _LARGEST_METADATA:
            raise ValueError(f"its METADATA has {candidates[0].file_size} bytes")
        return archive.read(candidates[0])
