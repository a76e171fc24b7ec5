"""The exact source packages of an image: from the archive that its packages are from, verified by that one's index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote

from wheelyard.core.digests import sha256_file
from wheelyard.core.errors import ImageError, NotServedError
from wheelyard.images import official
from wheelyard.images.local import debian
from wheelyard.io import downloads, engine, log

if TYPE_CHECKING:
    from pathlib import Path

_RPM_TIMEOUT = 3600  # seconds
# Run in the official image, by its own repositories and its own keys, which nothing may have imported yet; rpmkeys
# refuses what they did not sign, and only with this level (rpm-rpmkeys(8), "_pkgverify_level") also what nobody signed.
_GET_SRPM = """
cd "$1"
dnf -y -q install dnf-plugins-core >/dev/null || true
dnf -y -q download --source --destdir "$1" "$2"
for key in /etc/pki/rpm-gpg/*; do rpmkeys --import "$key" || true; done
rpmkeys --define "_pkgverify_level all" --checksig "$1/$3"
"""


@dataclass(frozen=True)
class SourcePackage:
    """A source package.

    Attributes:
        kind: the package format.
        name, version: its name and version.
        binary, binary_version: a binary package that is built from it.
        suite: the Debian suite; empty for RPM.
        image: the image that has the binary package.
    """

    kind: Literal["debian", "rpm"]
    name: str
    version: str
    binary: str
    binary_version: str
    suite: str
    image: str


def fetch(source_package: SourcePackage, folder: Path, scratch: Path) -> tuple[tuple[Path, str], ...]:
    """Return the files of a source package in *folder*, each with its sha256; existing files are kept.

    Args:
        source_package: the source package.
        folder: the target folder; a killed run is resumed from its files.
        scratch: for temporary files.

    Raises:
        ImageError: the archive no longer has that version.
        NetworkError: it does not answer.
        DigestMismatchError: it gives other bytes than its signed index promises.
        DiskError: no space.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with log.step(f"fetching the source of {source_package.name} {source_package.version}"):
        return (
            _debian(source_package, folder, scratch)
            if source_package.kind == "debian"
            else _rpm(source_package, folder)
        )


def _debian(source_package: SourcePackage, folder: Path, scratch: Path) -> tuple[tuple[Path, str], ...]:
    parts = debian.sources(source_package.suite, source_package.name, source_package.version, scratch)
    if not any(part.file.endswith(".dsc") for part in parts):
        raise ImageError(
            f"apt names no .dsc file of {source_package.name} {source_package.version}", fix="wheelyard doctor"
        )
    mirror = debian.mirror(source_package.suite, engine.TARGET_ARCH, scratch)
    for part in parts:
        url = mirror + quote(part.path)
        try:
            downloads.download(url, folder / part.file, sha256=part.sha256, size=part.size, limit=part.size)
        except NotServedError as error:
            raise ImageError(
                f"the archive has {part.file} no more",
                details=[error.what],
                fix="build again in a new image (nox -s pins), or fetch it from Debian's snapshots by hand",
            ) from error
    return tuple((folder / part.file, part.sha256) for part in parts)


def _rpm(source_package: SourcePackage, folder: Path) -> tuple[tuple[Path, str], ...]:
    """Have the image's own dnf fetch the source RPM; the machine that publishes need not have the image yet."""
    file = f"{source_package.name}-{source_package.version}.src.rpm"
    official.have(source_package.image)
    mounts, trust = engine.ca_mounts()
    engine.run_in(
        source_package.image,
        ["sh", "-euc", _GET_SRPM, "sh", "/sources", f"{source_package.binary}-{source_package.binary_version}", file],
        mounts=[(folder, "/sources", True)],
        env=trust,
        network=True,
        create_args=mounts,
        timeout=_RPM_TIMEOUT,
    )
    if not (folder / file).is_file():
        downloaded = sorted(path.name for path in folder.glob("*.src.rpm"))
        raise ImageError(
            f"the image's repositories have no {file}", details=downloaded, fix="build again in a newer image"
        )
    return ((folder / file, sha256_file(folder / file)),)
