"""Find the package of an image that a file is from, and its licence, to trace the grafted libraries of wheels.

A file is identified by its name and the first digits of its sha256. In an official image the rpm database is queried.
A local image has no package database, since it is made of unpacked packages: these are searched, if its lock names
them.
"""

from __future__ import annotations

import hashlib
import io
import posixpath
import re
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from wheelyard.core.licences import Licence, of_debian, of_expression
from wheelyard.images.local import debian, definition
from wheelyard.io import engine, files, log
from wheelyard.io.cache import cache_dir

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from wheelyard.core.values import Image

_DOC = "usr/share/doc/"
_LONGEST_COPYRIGHT = 1 << 20  # bytes
_SOURCE = re.compile(r"(?P<name>[a-z0-9][a-z0-9+.-]+)(?: \((?P<version>[^()\s]+)\))?")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+~^_-]*")  # rpm's names and versions (rpm-spec(5))
_SRPM = re.compile(rf"(?P<name>{_WORD.pattern})-(?P<version>[^-]+-[^-]+)\.(?:no)?src\.rpm")
_RPM_FIELDS = 5
# Run in an official image: for each name all files of that name, their sha256, and their package according to rpm.
_ASK_RPM = r"""
for name in "$@"; do
  find / -xdev -type f -name "$name" 2>/dev/null | while read -r path; do
    hash=$(sha256sum "$path") && printf '%s\t%s\t' "$name" "${hash%% *}" &&
      { rpm -qf --qf '%{NAME}\t%{VERSION}-%{RELEASE}\t%{SOURCERPM}\t%{LICENSE}' "$path" 2>/dev/null | head -1 ||
        true; } && echo
  done
done
"""


@dataclass(frozen=True)
class Origin:
    """The package that a file of an image is from.

    Attributes:
        kind: the package format.
        package, version: the binary package, its version as the distribution writes it.
        source, source_version: its source package.
        licence: the licence of the package.
    """

    kind: Literal["debian", "rpm"]
    package: str
    version: str
    source: str
    source_version: str
    licence: Licence


def origins(image: Image, files: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Origin]:
    """Return the origin of each file that is known.

    Args:
        image: an image on this machine.
        files: files, each by its name and the first digits of its sha256.

    Raises:
        WheelyardError: the image cannot be asked.
    """
    distinct = sorted(set(files))
    if not distinct:
        return {}
    return _of_rpms(image, distinct) if image.kind == "official" else _of_debs(image, distinct)


# ------------------------------------------------------------------- official


def _of_rpms(image: Image, files: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Origin]:
    names = sorted({name for name, _ in files})
    completed = engine.run_in(image.reference, ["sh", "-c", _ASK_RPM, "sh", *names], timeout=600)
    return read_rpms(completed.stdout, files)


def read_rpms(text: str, files: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Origin]:
    """Parse the answer of an official image: lines of name, sha256, package, version, source RPM and licence.

    Fields are separated by tabs; a file of no package, for which rpm prints a sentence, is left out.
    """
    origin_by_file: dict[tuple[str, str], Origin] = {}
    remaining = list(files)
    for line in text.splitlines():
        fields = line.split("\t", _RPM_FIELDS)
        if len(fields) != _RPM_FIELDS + 1 or not (match := _SRPM.fullmatch(fields[4])):
            continue
        name, sha256, package, version, _, licence = fields
        if not all(map(_WORD.fullmatch, (package, version, match["version"]))):
            continue
        origin = Origin("rpm", package, version, match["name"], match["version"], of_expression(licence))
        for key in remaining:
            if key[0] == name and sha256.startswith(key[1]):
                origin_by_file.setdefault(key, origin)
    return origin_by_file


# ---------------------------------------------------------------------- local


def _of_debs(image: Image, distinct: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Origin]:
    locked = definition.load(image.choice, image.policy).locked
    if locked is None:
        log.info(f"{image.reference}: no lock lists its packages, so the origin of its files is unknown")
        return {}
    debs = (*locked.base, *locked.extra)
    with files.scratch(cache_dir("work"), "origin") as scratch:
        paths = cached(debs) or debian.download(debs, debian.mirror(image.suite, engine.TARGET_ARCH, scratch))
    return of_debs(debs, paths, distinct)


def cached(debs: Sequence[debian.Deb]) -> dict[debian.Deb, Path]:
    """Return the packages' files if all are in the cache, where making the image left them; else none."""
    folder = cache_dir("debs")
    paths = {deb: folder / deb.file for deb in debs}
    return paths if all(path.is_file() for path in paths.values()) else {}


def of_debs(
    debs: Sequence[debian.Deb], paths: Mapping[debian.Deb, Path], files: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], Origin]:
    """Return the origin of each file that is in one of these packages.

    Raises:
        ImageError: a package is damaged.
    """
    left = set(files)
    origin_by_file: dict[tuple[str, str], Origin] = {}
    # A library's package has its name: with those first, few packages are unpacked.
    stems = tuple({name.partition(".")[0].replace("_", "-") for name, _ in left})
    for deb in sorted(debs, key=lambda deb: (not deb.name.startswith(stems), deb)):
        if not left:
            break
        data = debian.payload(deb, paths[deb])
        contained = _held(data, left)
        if contained:
            origin = _origin(deb, data, debs, paths)
            origin_by_file |= dict.fromkeys(contained, origin)
            left -= contained
    return origin_by_file


def _held(data: bytes, files: set[tuple[str, str]]) -> set[tuple[str, str]]:
    names = {name for name, _ in files}
    contained = set()
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
        for info in archive:
            name = posixpath.basename(info.name)
            if info.isreg() and name in names:
                start = info.offset_data
                digest = hashlib.sha256(memoryview(data)[start : start + info.size]).hexdigest()
                contained |= {key for key in files if key[0] == name and digest.startswith(key[1])}
    return contained


def _origin(deb: debian.Deb, data: bytes, debs: Sequence[debian.Deb], paths: Mapping[debian.Deb, Path]) -> Origin:
    """Return the origin of the files of a package; *data* is its unpacked archive."""
    fields = debian.control(deb, paths[deb])
    version = fields.get("version", deb.version)
    match = _SOURCE.fullmatch(fields.get("source", ""))
    # Without the field, the source package has the same name and version (Debian Policy 5.6.1).
    source = match["name"] if match else deb.name
    source_version = (match["version"] if match else None) or version
    text = _copyright(deb, data, {other_deb.name: other_deb for other_deb in debs}, paths)
    licence = of_debian(text) if text else Licence("", copyleft=True)
    return Origin("debian", deb.name, version, source, source_version, licence)


def _copyright(
    deb: debian.Deb, data: bytes, debs: Mapping[str, debian.Deb], paths: Mapping[debian.Deb, Path], *, hops: int = 3
) -> str:
    """Return a package's copyright file; its folder may be a link to another package's (Debian Policy 12.5)."""
    target = ""
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
        for info in archive:
            path = info.name.removeprefix("./")
            if path == f"{_DOC}{deb.name}/copyright" and info.isreg() and info.size <= _LONGEST_COPYRIGHT:
                return data[info.offset_data : info.offset_data + info.size].decode("utf-8", "replace")
            if path in {f"{_DOC}{deb.name}", f"{_DOC}{deb.name}/copyright"} and info.issym():
                linked = posixpath.normpath(posixpath.join(posixpath.dirname(path), info.linkname))
                target = linked.removeprefix(_DOC).partition("/")[0]
    target_deb = debs.get(target)
    if target_deb is None or hops == 1:
        return ""
    return _copyright(target_deb, debian.payload(target_deb, paths[target_deb]), debs, paths, hops=hops - 1)
