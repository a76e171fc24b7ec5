"""An image as a folder in the OCI image layout, and its way into the engine's storage.

We write the image ourselves because ``import`` knows one layer only, and because the same input then gives the
same digest.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from wheelyard.core.errors import ImageError
from wheelyard.images.local.layer import Layer
from wheelyard.io import engine

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"


@dataclass(frozen=True)
class Blob:
    """One content-addressed file of the layout (OCI image specification, descriptor.md)."""

    media_type: str
    digest: str
    size: int

    def descriptor(self) -> dict[str, object]:
        """Return it as the specification writes it."""
        return {"mediaType": self.media_type, "digest": f"sha256:{self.digest}", "size": self.size}


class Layout:
    """An image layout in *folder*, which grows layer by layer."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.blobs = folder / "blobs" / "sha256"
        self.blobs.mkdir(parents=True)
        self._layers: list[Blob] = []
        self._newest = 0

    def new_layer(self, watch: Callable[[str, int, bytes | memoryview], None] | None = None) -> Layer:
        """Begin a layer; one at a time."""
        return Layer(self.folder / "layer.tar", watch)

    def add_layer(self, layer: Layer) -> None:
        """End a layer and put it on top."""
        digest = layer.close()
        layer.path.rename(self.blobs / digest)
        self._layers.append(Blob(_LAYER, digest, layer.size))
        self._newest = max(self._newest, layer.newest)

    @property
    def size(self) -> int:
        """The layers' bytes."""
        return sum(blob.size for blob in self._layers)

    def _put(self, media_type: str, value: object) -> Blob:
        data = json.dumps(value, sort_keys=True).encode()
        digest = hashlib.sha256(data).hexdigest()
        (self.blobs / digest).write_bytes(data)
        return Blob(media_type, digest, len(data))

    def finish(self, reference: str, *, arch: str, env: Mapping[str, str], labels: Mapping[str, str]) -> str:
        """Write configuration, manifest and index, and return the manifest's digest, ``sha256:…``."""
        config = {
            "architecture": arch,
            "os": "linux",
            # When the newest package of it was made: the digest must not depend on today.
            "created": datetime.fromtimestamp(self._newest, UTC).isoformat().replace("+00:00", "Z"),
            "config": {
                "Env": [f"{name}={value}" for name, value in env.items()],
                "Cmd": ["/bin/bash"],
                "Labels": dict(labels),
            },
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{blob.digest}" for blob in self._layers]},
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": self._put(_CONFIG, config).descriptor(),
            "layers": [blob.descriptor() for blob in self._layers],
        }
        blob = self._put(_MANIFEST, manifest)
        entry = blob.descriptor() | {"annotations": {"org.opencontainers.image.ref.name": reference}}
        (self.folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
        (self.folder / "oci-layout").write_text(json.dumps({"imageLayoutVersion": "1.0.0"}))
        return f"sha256:{blob.digest}"


def load(layout: Layout, reference: str) -> engine.ImageInfo:
    """Put the image into the engine's storage under *reference*.

    Raises:
        EngineError: the engine does not take it.
        ImageError: it took it as something else.
    """
    # Older podmans name what they take after the path, so it must be one that is a name; newer ones go by the
    # annotation. What it printed, the image's id, holds for both.
    pulled = engine.engine_run(["pull", "--quiet", f"oci:{layout.folder.name}"], cwd=layout.folder.parent, timeout=1800)
    number = pulled.stdout.split()[-1]
    engine.engine_run(["tag", number, reference])
    engine.engine_run(["untag", number, f"localhost/{layout.folder.name}:latest"], check=False)
    stored = engine.inspect(reference)
    if stored is None or stored.platform != f"linux/{engine.TARGET_ARCH}":
        raise ImageError(
            f"the engine's storage shows the new image as {stored.platform if stored else 'missing'}",
            where=reference,
            fix="wheelyard doctor",
        )
    return stored
