"""A Debian mirror of a few packages on the loopback interface, which real mmdebstrap and apt take for Debian's."""

from __future__ import annotations

import hashlib
import shlex
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from support.static import StaticServer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

SUITE = "trixie"


@dataclass(frozen=True)
class Package:
    """What a Debian package says of itself (deb-control(5)); its file holds no more than its name."""

    name: str
    version: str
    arch: str
    depends: str = ""

    @property
    def path(self) -> str:
        return f"pool/main/{self.name[0]}/{self.name}/{self.name}_{self.version.rpartition(':')[2]}_{self.arch}.deb"

    @property
    def data(self) -> bytes:
        return self.path.encode()

    def stanza(self) -> str:
        lines = [f"Package: {self.name}", f"Version: {self.version}", f"Architecture: {self.arch}"]
        lines += ["Maintainer: x <x@example.org>", "Description: x", f"Filename: {self.path}"]
        lines += [f"Size: {len(self.data)}", f"SHA256: {hashlib.sha256(self.data).hexdigest()}"]
        lines += [f"Depends: {self.depends}"] if self.depends else []
        return "\n".join(lines) + "\n"


class Mirror:
    """Serves packages and their index while the context lasts.

    Attributes:
        tree: the folder that is served.
        bin: for PATH: an ``mmdebstrap`` that is the real one with this mirror as its default.
        server: knows what was asked for.
    """

    def __init__(self, folder: Path) -> None:
        self.tree, self.bin = folder / "mirror", folder / "bin"
        self.tree.mkdir()
        self.bin.mkdir()
        self.server = StaticServer(self.tree)
        self.url = f"{self.server.url}/debian/"
        real = shutil.which("mmdebstrap")
        assert real, "ci/bootstrap installs mmdebstrap"
        # Nobody signs this one; that apt refuses what nobody signed is Debian's own test.
        source = shlex.quote(f"deb [trusted=yes] {self.url} {SUITE} main")
        program = self.bin / "mmdebstrap"
        program.write_text(f'#!/bin/sh\nexec {shlex.quote(real)} "$@" {source}\n')
        program.chmod(0o755)

    def publish(self, *packages: Package) -> None:
        """Add packages to the pool, and have the index name these and no others."""
        for package in packages:
            self.file(package).parent.mkdir(parents=True, exist_ok=True)
            self.file(package).write_bytes(package.data)
        release = f"Suite: stable\nCodename: {SUITE}\nComponents: main\nArchitectures: amd64 riscv64\nSHA256:\n"
        for arch in ("amd64", "riscv64"):
            text = "\n".join(package.stanza() for package in packages if package.arch in {arch, "all"}).encode()
            index = self.tree / f"debian/dists/{SUITE}/main/binary-{arch}/Packages"
            index.parent.mkdir(parents=True, exist_ok=True)
            index.write_bytes(text)
            release += f" {hashlib.sha256(text).hexdigest()} {len(text)} main/binary-{arch}/Packages\n"
        (self.tree / f"debian/dists/{SUITE}/Release").write_text(release)

    def publish_source(self, name: str, version: str, files: Mapping[str, bytes]) -> None:
        """Add a source package to the pool, and have the index name it and no other (Debian's repository format)."""
        folder = f"pool/main/{name[0]}/{name}"
        rows = [f" {hashlib.sha256(data).hexdigest()} {len(data)} {file}" for file, data in files.items()]
        head = [f"Package: {name}", "Format: 3.0 (quilt)", f"Binary: {name}", "Architecture: any"]
        head += [f"Version: {version}", "Maintainer: x <x@example.org>", f"Directory: {folder}"]
        old = [f" {hashlib.md5(data).hexdigest()} {len(data)} {file}" for file, data in files.items()]  # noqa: S324
        text = "\n".join([*head, "Files:", *old, "Checksums-Sha256:", *rows, ""]).encode()
        (self.tree / "debian" / folder).mkdir(parents=True, exist_ok=True)
        for file, data in files.items():
            (self.tree / "debian" / folder / file).write_bytes(data)
        index = self.tree / f"debian/dists/{SUITE}/main/source/Sources"
        index.parent.mkdir(parents=True, exist_ok=True)
        index.write_bytes(text)
        with (self.tree / f"debian/dists/{SUITE}/Release").open("a") as release:
            release.write(f" {hashlib.sha256(text).hexdigest()} {len(text)} main/source/Sources\n")

    def file(self, package: Package) -> Path:
        """Return the file of a package."""
        return self.tree / "debian" / package.path

    def spoil_index(self) -> None:
        """Have the index be another one than the suite's Release promises, as in the middle of an update."""
        for index in self.tree.glob("debian/dists/*/main/*/Packages"):
            index.write_bytes(index.read_bytes() + b"\n")

    def __enter__(self) -> Self:
        self.server.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.server.__exit__(kind, error, trace)
