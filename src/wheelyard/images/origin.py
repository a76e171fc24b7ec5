"""Which package of an image a file is from, and under which licence: what a wheel's grafts are traced by.

A file is known by its name and the first digits of its sha256. An official image is asked itself, through its rpm
database. A local image has no package database, since nothing is installed there: the packages it was unpacked from
say it, as long as its lock names them.
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
# Run in an official image: for each name every file of it, its sha256, and what rpm knows of the package it is from.
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
    """Where a file of an image is from.

    Attributes:
        kind: how the distribution packages.
        package, version: the binary package, its version as the distribution writes it.
        source, source_version: the source package that was made from.
        licence: the package's.
    """

    kind: Literal["debian", "rpm"]
    package: str
    version: str
    source: str
    source_version: str
    licence: Licence


def origins(image: Image, wanted: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Origin]:
    """Return where files are from, those that are known.

    Args:
        image: it is on this machine.
        wanted: files, each by its name and the first digits of its sha256.

    Raises:
        WheelyardError: the image cannot be asked.
    """
    asked = sorted(set(wanted))
    if not asked:
        return {}
    return _of_rpms(image, asked) if image.kind == "official" else _of_debs(image, asked)


# ------------------------------------------------------------------- official


def _of_rpms(image: Image, asked: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Origin]:
    names = sorted({name for name, _ in asked})
    done = engine.run_in(image.reference, ["sh", "-c", _ASK_RPM, "sh", *names], timeout=600)
    return read_rpms(done.stdout, asked)


def read_rpms(text: str, asked: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Origin]:
    """Return what an official image has answered: lines of name, sha256, package, version, source RPM and licence.

    A file that is of no package, which rpm says in words, is not known. rpm separates its fields by tabs.
    """
    found: dict[tuple[str, str], Origin] = {}
    wanted = list(asked)
    for line in text.splitlines():
        fields = line.split("\t", _RPM_FIELDS)
        if len(fields) != _RPM_FIELDS + 1 or not (match := _SRPM.fullmatch(fields[4])):
            continue
        name, sha256, package, version, _, licence = fields
        if not all(map(_WORD.fullmatch, (package, version, match["version"]))):
            continue
        origin = Origin("rpm", package, version, match["name"], match["version"], of_expression(licence))
        for key in wanted:
            if key[0] == name and sha256.startswith(key[1]):
                found.setdefault(key, origin)
    return found


# ---------------------------------------------------------------------- local


def _of_debs(image: Image, asked: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Origin]:
    locked = definition.load(image.choice, image.policy).locked
    if locked is None:
        log.info(f"{image.reference}: no lock says which packages it is made of; nobody knows where its files are from")
        return {}
    debs = (*locked.base, *locked.extra)
    with files.scratch(cache_dir("work"), "origin") as scratch:
        paths = cached(debs) or debian.download(debs, debian.mirror(image.suite, engine.TARGET_ARCH, scratch))
    return of_debs(debs, paths, asked)


def cached(debs: Sequence[debian.Deb]) -> dict[debian.Deb, Path]:
    """Return the packages' files if all are in the cache, where making the image left them; else none."""
    folder = cache_dir("debs")
    paths = {deb: folder / deb.file for deb in debs}
    return paths if all(path.is_file() for path in paths.values()) else {}


def of_debs(
    debs: Sequence[debian.Deb], paths: Mapping[debian.Deb, Path], asked: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], Origin]:
    """Return where files are from, of those that these packages hold.

    Raises:
        ImageError: a package is damaged.
    """
    left = set(asked)
    found: dict[tuple[str, str], Origin] = {}
    # A library's package is named after it: with those first, few have to be unpacked.
    stems = tuple({name.partition(".")[0].replace("_", "-") for name, _ in left})
    for deb in sorted(debs, key=lambda deb: (not deb.name.startswith(stems), deb)):
        if not left:
            break
        data = debian.payload(deb, paths[deb])
        held = _held(data, left)
        if held:
            origin = _origin(deb, data, debs, paths)
            found |= dict.fromkeys(held, origin)
            left -= held
    return found


def _held(data: bytes, wanted: set[tuple[str, str]]) -> set[tuple[str, str]]:
    names = {name for name, _ in wanted}
    held = set()
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
        for info in archive:
            name = posixpath.basename(info.name)
            if info.isreg() and name in names:
                start = info.offset_data
                digest = hashlib.sha256(memoryview(data)[start : start + info.size]).hexdigest()
                held |= {key for key in wanted if key[0] == name and digest.startswith(key[1])}
    return held


def _origin(deb: debian.Deb, data: bytes, debs: Sequence[debian.Deb], paths: Mapping[debian.Deb, Path]) -> Origin:
    """Return where the files of a package are from; *data* are its files, unpacked."""
    fields = debian.control(deb, paths[deb])
    version = fields.get("version", deb.version)
    match = _SOURCE.fullmatch(fields.get("source", ""))
    # Without the field, the source package has the same name and version (Debian Policy 5.6.1).
    source = match["name"] if match else deb.name
    source_version = (match["version"] if match else None) or version
    text = _copyright(deb, data, {one.name: one for one in debs}, paths)
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
    other = debs.get(target)
    if other is None or hops == 1:
        return ""
    return _copyright(other, debian.payload(other, paths[other]), debs, paths, hops=hops - 1)
