"""The Debian layers of a local image: packages as they are, and what their maintainer scripts would have done."""

from __future__ import annotations

import fnmatch
import posixpath
from typing import TYPE_CHECKING

from wheelyard.core.errors import ImageError
from wheelyard.images.local import compiler, debian
from wheelyard.images.local.layer import excluder

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from wheelyard.images.local.definition import Definition
    from wheelyard.images.local.layer import Layer
    from wheelyard.images.local.oci import Layout

_AUTHORITIES = "usr/share/ca-certificates/mozilla/"
_BUNDLE = "etc/ssl/certs/ca-certificates.crt"
# What postinst scripts copy: from where, to where.
_COPIES = {
    "usr/share/base-passwd/passwd.master": "etc/passwd",
    "usr/share/base-passwd/group.master": "etc/group",
    "usr/share/libc-bin/nsswitch.conf": "etc/nsswitch.conf",
}


def write(
    definition: Definition,
    groups: tuple[tuple[debian.Deb, ...], tuple[debian.Deb, ...], tuple[debian.Deb, ...]],
    paths: Mapping[debian.Deb, Path],
    layout: Layout,
) -> None:
    """Write the layers of the base, of the extras, and of the compiler for this machine, those that are not empty.

    Args:
        definition: of the image.
        groups: packages of base, extras and compiler.
        paths: the packages' files.
        layout: takes the layers.

    Raises:
        ImageError: a package is damaged or lacks what it should hold.
    """
    base, extra, hosted = groups
    excluded = excluder(definition.exclude)

    def accept(path: str) -> str | None:
        return None if excluded(path) or (hosted and compiler.replaced(path, definition.gcc)) else path

    preserved: dict[str, bytes] = {}

    def keep(name: str, _mtime: int, data: bytes | memoryview) -> None:
        if name in _COPIES or name.startswith(_AUTHORITIES):
            preserved[name] = bytes(data)

    for debs in (base, extra):
        if debs:
            layer = layout.new_layer(keep)
            for _, data in debian.payloads(debs, paths):
                layer.tar(data, accept)
            if debs is base:
                _configure(layer, preserved, definition.links)
            layout.add_layer(layer)
    if hosted:
        layer = layout.new_layer()
        for _, data in debian.payloads(hosted, paths):
            layer.tar(data, lambda path: compiler.place(path, definition.gcc))
        compiler.links(layer, definition.gcc)
        layout.add_layer(layer)


def _configure(layer: Layer, preserved: Mapping[str, bytes], links: Mapping[str, str]) -> None:
    for source, target in _COPIES.items():
        if source not in preserved:
            raise ImageError(f"Debian's packages hold no {source} any more")
        layer.file(target, preserved[source])
    authorities = [data for name, data in sorted(preserved.items()) if name.startswith(_AUTHORITIES)]
    for folder in ("etc/ssl", "etc/ssl/certs"):
        layer.folder(folder)
    layer.file(_BUNDLE, b"".join(data.rstrip() + b"\n" for data in authorities))
    layer.folder("root", mode=0o700)
    layer.folder("tmp", mode=0o1777)
    for name, pattern in links.items():
        if name not in layer.names:
            layer.link(name, _target(layer, name, pattern))


def _target(layer: Layer, name: str, pattern: str) -> str:
    if "*" not in pattern:
        return pattern
    folder = posixpath.dirname(name)
    paths = [path for path in layer.names if fnmatch.fnmatchcase(path, posixpath.join(folder, pattern))]
    if not paths:
        raise ImageError(f"Debian's packages hold no {folder}/{pattern} any more")
    return posixpath.basename(max(paths))
