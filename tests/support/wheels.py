"""Small wheels for tests: right by default, wrong in one point on request."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from support.elf import Elf

if TYPE_CHECKING:
    from pathlib import Path

EXTENSION = "cpython-313-riscv64-linux-gnu.so"


def record_digest(data: bytes) -> str:
    """Return a hash as RECORD writes it (PEP 376)."""
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


@dataclass(frozen=True)
class WheelSpec:
    """A wheel to be written; every part can be overridden to make it lie.

    Attributes:
        name, version, python, abi, platform: of the file name.
        metadata_name, metadata_version: what METADATA says instead.
        requires_python: Requires-Python, empty for none.
        headers: further lines of METADATA.
        elf: the extension module, None for a wheel without one.
        files: further members, or replacements, by path.
        without: members to leave out again, RECORD's rows included.
        unrecorded: members that RECORD does not list.
        lies: members whose hash RECORD gets wrong.
        tags: WHEEL's Tag lines, those of the file name when None.
        purelib: WHEEL's Root-Is-Purelib.
        modes: Unix modes by path, 0o644 for the others.
    """

    name: str = "demo"
    version: str = "1.0"
    python: str = "cp313"
    abi: str = "cp313"
    platform: str = "manylinux_2_39_riscv64"
    metadata_name: str | None = None
    metadata_version: str | None = None
    requires_python: str = ">=3.9"
    headers: str = ""
    elf: Elf | None = field(default_factory=Elf)
    files: dict[str, bytes] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    unrecorded: tuple[str, ...] = ()
    lies: tuple[str, ...] = ()
    tags: tuple[str, ...] | None = None
    purelib: str = "false"
    modes: dict[str, int] = field(default_factory=dict)

    def but(self, **changes: Any) -> WheelSpec:
        """Return this one, with changes."""
        return replace(self, **changes)

    @property
    def escaped(self) -> str:
        """The name as file names have it (PEP 427, PEP 503)."""
        return self.name.lower().replace("-", "_").replace(".", "_")

    @property
    def file(self) -> str:
        """The wheel's file name."""
        return f"{self.escaped}-{self.version}-{self.python}-{self.abi}-{self.platform}.whl"

    @property
    def dist_info(self) -> str:
        """The folder of its metadata."""
        return f"{self.escaped}-{self.version}.dist-info"

    def members(self) -> dict[str, bytes]:
        """Return its files, RECORD last."""
        package = self.escaped
        requires = f"Requires-Python: {self.requires_python}\n" if self.requires_python else ""
        metadata = (
            f"Metadata-Version: 2.4\nName: {self.metadata_name or self.name}\n"
            f"Version: {self.metadata_version or self.version}\n{requires}License-File: LICENSE\n{self.headers}"
        )
        tags = self.tags
        if tags is None:
            parts = [(p, a, t) for p in self.python.split(".") for a in self.abi.split(".") for t in [self.platform]]
            tags = tuple(f"{p}-{a}-{one}" for p, a, t in parts for one in t.split("."))
        wheel = f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: {self.purelib}\n"
        files = {f"{package}/__init__.py": b"answer = 42\n"}
        if self.elf is not None:
            files[f"{package}/_speed.{EXTENSION}"] = replace(self.elf, exports=("PyInit__speed",)).data()
        files |= {
            f"{self.dist_info}/METADATA": metadata.encode(),
            f"{self.dist_info}/WHEEL": (wheel + "".join(f"Tag: {tag}\n" for tag in tags)).encode(),
            f"{self.dist_info}/licenses/LICENSE": b"Do as you like.\n",
        }
        files |= self.files
        for path in self.without:
            files.pop(path, None)
        rows = []
        for path, data in files.items():
            if path not in self.unrecorded:
                rows.append(f"{path},{record_digest(data + b'!' if path in self.lies else data)},{len(data)}")
        record = f"{self.dist_info}/RECORD"
        if record not in self.without and record not in files:
            files[record] = "\n".join([*rows, f"{record},,", ""]).encode()
        return files

    def write(self, folder: Path, *, salt: bytes = b"") -> Path:
        """Write it into *folder*; the same spec and salt give the same bytes."""
        spec = self.but(files={**self.files, f"{self.escaped}/salt.txt": salt}) if salt else self
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / self.file
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in spec.members().items():
                info = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
                info.external_attr = (0o100000 | self.modes.get(name, 0o644)) << 16
                info.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(info, data)
        return path
