"""The compiler that runs at full speed: the same GCC, built for this machine, in place of the emulated one.

A kernel starts its own architecture's programs in any container, whatever that container's architecture. So the
programs that do the work of a compilation (cc1, cc1plus, as, ld, …) are exchanged for those of Debian's cross
compiler of the same version, which give the same objects; the driver, and all else, stays emulated.
"""

from __future__ import annotations

import fnmatch
import re
from typing import TYPE_CHECKING

from wheelyard.core.errors import ImageError
from wheelyard.images.local.definition import TRIPLE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wheelyard.images.local.debian import Deb
    from wheelyard.images.local.layer import Layer

_PROGRAMS = ("cc1", "cc1plus", "f951", "lto1", "liblto_plugin.so")
_BINUTILS = (
    "addr2line",
    "ar",
    "as",
    "c++filt",
    "gprof",
    "ld",
    "ld.bfd",
    "nm",
    "objcopy",
    "objdump",
    "ranlib",
    "readelf",
    "size",
    "strings",
    "strip",
)
_LIBRARIES = "usr/lib/x86_64-linux-gnu/*.so*"
_LOADER = "usr/lib64/ld-linux-x86-64.so.2"


def gcc_version(debs: Iterable[Deb], major: str) -> str:
    """Return the full version of the compiler among *debs*, such as ``14.2.0-19``.

    Raises:
        ImageError: there is none.
    """
    return _version(debs, f"gcc-{major}-{TRIPLE}") or _version(debs, f"gcc-{major}", need=True)


def _version(debs: Iterable[Deb], name: str, *, need: bool = False) -> str:
    for deb in debs:
        if deb.name == name:
            return deb.version
    if need:
        raise ImageError(f"Debian's package {name} is not among those resolved")
    return ""


def same_version(native: Iterable[Deb], hosted: Iterable[Deb], major: str, retry: str) -> None:
    """Make sure that the exchange does not change what is compiled.

    Args:
        native: packages of the image.
        hosted: packages of the compiler for this machine.
        major: GCC's major version.
        retry: the choice that leaves the compiler emulated.

    Raises:
        ImageError: the versions of GCC or of the binutils differ.
    """
    native, hosted = tuple(native), tuple(hosted)
    differing = []
    for name in (f"gcc-{major}-{TRIPLE}", f"binutils-{TRIPLE}"):
        native_version, hosted_version = _version(native, name, need=True), _version(hosted, name, need=True)
        # The cross package's version is its source's with "crossN"; "+bN" counts rebuilds of one source.
        plain = [re.sub(r"(cross\d+)?(\+b\d+)?$", "", version) for version in (native_version, hosted_version)]
        if plain[0] != plain[1]:
            differing.append(f"{name}: riscv64 {native_version}, this machine {hosted_version}")
    if differing:
        raise ImageError(
            "Debian's compiler for this machine and its riscv64 compiler are not the same version just now",
            details=differing,
            fix=f"--image {retry}  (slower, no exchange), or try again when Debian has built both",
        )


def replaced(path: str, major: str) -> bool:
    """Check whether a file of the image's own compiler is exchanged, and so need not be in it."""
    return path.startswith(f"usr/libexec/gcc/{TRIPLE}/{major}/") and path.rpartition("/")[2] in _PROGRAMS


def place(path: str, major: str) -> str | None:
    """Return where a file of the cross compiler goes in the image, None if it is not needed there."""
    folder, _, name = path.rpartition("/")
    if folder == f"usr/libexec/gcc-cross/{TRIPLE}/{major}" and name in _PROGRAMS:
        return f"usr/libexec/gcc/{TRIPLE}/{major}/{name}"
    if folder == "usr/bin" and name in {f"{TRIPLE}-{tool}" for tool in _BINUTILS}:
        return path
    if path == _LOADER or (folder == "usr/lib/x86_64-linux-gnu" and fnmatch.fnmatchcase(path, _LIBRARIES)):
        return path
    return None


def needed(deb: Deb) -> bool:
    """Check whether a package of the cross compiler holds anything that goes into the image."""
    return deb.arch != "all" and not deb.name.endswith(("-base", "-common"))


def links(layer: Layer, major: str) -> None:
    """Lead the cross compiler, which looks in its own folders, to the image's headers and libraries."""
    for folder in ("usr/lib/gcc-cross", f"usr/lib/gcc-cross/{TRIPLE}", f"usr/{TRIPLE}", f"usr/{TRIPLE}/include"):
        layer.folder(folder)
    layer.folder(f"usr/{TRIPLE}/include/c++")
    layer.link(f"usr/lib/gcc-cross/{TRIPLE}/{major}", f"../../gcc/{TRIPLE}/{major}")
    layer.link(f"usr/{TRIPLE}/include/c++/{major}", f"/usr/include/c++/{major}")
    layer.link(f"usr/include/c++/{major}/{TRIPLE}", f"/usr/include/{TRIPLE}/c++/{major}")
    layer.link("lib64", "usr/lib64")
