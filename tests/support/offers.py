"""What an index and a registry offer of made-up projects: as files to serve, and as facts to judge by."""

from __future__ import annotations

import io
import tarfile
import tempfile
import textwrap
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from packaging.version import Version

from support.index import IndexFile
from support.wheels import WheelSpec
from wheelyard.core.tags import WheelName
from wheelyard.index.project_summary import ProjectFacts, ReleaseFacts, Shipped

_BACKEND = """\
import pathlib

def prepare_metadata_for_build_wheel(folder, config_settings=None):
    target = pathlib.Path(folder, "{name}-{version}.dist-info")
    target.mkdir()
    (target / "METADATA").write_text("Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n")
    return target.name

def build_wheel(folder, config_settings=None, metadata_directory=None):
    raise SystemExit("nobody builds here")
"""


@cache
def wheel_bytes(file: str, headers: str = "") -> bytes:
    """Return a wheel of that name that pip can read."""
    name, version, python, abi, platform = file.removesuffix(".whl").split("-")
    spec = WheelSpec(name, version, python, abi, platform, requires_python="", headers=headers, elf=None)
    with tempfile.TemporaryDirectory() as folder:
        return spec.write(Path(folder)).read_bytes()


@cache
def sdist_bytes(name: str, version: str, pyproject: str | None = None) -> bytes:
    """Return an sdist whose metadata can be made without any other package."""
    text = '[build-system]\nrequires = []\nbuild-backend = "own"\nbackend-path = ["."]\n'
    top = f"{name}-{version}"
    files = {
        f"{top}/pyproject.toml": text if pyproject is None else pyproject,
        f"{top}/own.py": _BACKEND.format(name=name, version=version),
        f"{top}/PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for path, content in files.items():
            info = tarfile.TarInfo(path)
            data = textwrap.dedent(content).encode()
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


@dataclass(frozen=True)
class Offer:
    """One version of a project on the public index.

    Attributes:
        version: the version.
        wheels: the rest of each wheel's name, such as ``cp313-cp313-manylinux_2_39_riscv64``.
        sdist: whether there is one.
        requires_python: of all its files.
        yanked: whether all of it is.
    """

    version: str
    wheels: tuple[str, ...] = ()
    sdist: bool = True
    requires_python: str = ""
    yanked: bool = False

    def files(self, name: str) -> list[IndexFile]:
        """Return it as an index lists it."""
        found = [(f"{name}-{self.version}-{tags}.whl", b"") for tags in self.wheels]
        listed = [(file, wheel_bytes(file)) for file, _ in found]
        if self.sdist:
            listed.append((f"{name}-{self.version}.tar.gz", sdist_bytes(name, self.version)))
        python = self.requires_python or None
        return [IndexFile(file, data, requires_python=python, yanked=self.yanked) for file, data in listed]


def facts(name: str, offers: tuple[Offer, ...]) -> ProjectFacts:
    """Return the same as facts, made without the code that reads pages."""
    ordered = sorted(offers, key=lambda offer: Version(offer.version), reverse=True)
    return ProjectFacts(name, releases=tuple(map(_release, ordered)))


def _release(offer: Offer) -> ReleaseFacts:
    names = [WheelName.parse(f"demo-1-{tags}.whl") for tags in offer.wheels]
    pairs = [(name, f"{'.'.join(name.pythons)}-{'.'.join(name.abis)}") for name in names]
    ships = []
    for name, pair in pairs:
        floors = [tuple(map(int, tag.split("_")[1:3])) for tag in name.platforms if tag.endswith("riscv64")]
        if floors:
            ships.append(Shipped(pair, min((floor[0], floor[1]) for floor in floors)))
    return ReleaseFacts(
        version=Version(offer.version),
        requires_python=offer.requires_python,
        yanked="" if offer.yanked else None,
        sdist=offer.sdist,
        pure=tuple(pair for name, pair in pairs if "any" in name.platforms),
        ships=tuple(ships),
    )
