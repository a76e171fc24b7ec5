"""The layout that the engine is given (OCI image specification: image-layout.md, manifest.md, config.md)."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from wheelyard.images.local.oci import Layout

if TYPE_CHECKING:
    from pathlib import Path


def build(folder: Path) -> str:
    layout = Layout(folder)
    for number in range(2):
        layer = layout.new_layer()
        layer.file(f"file{number}", b"x" * number, mtime=1_700_000_000)
        layout.add_layer(layer)
    return layout.finish("localhost/x:1", arch="riscv64", env={"A": "b"}, labels={"l": "m"})


def test_every_blob_is_named_after_its_content_and_referred_to(tmp_path: Path) -> None:
    digest = build(tmp_path / "layout")
    blobs = {path.name: path.read_bytes() for path in (tmp_path / "layout/blobs/sha256").iterdir()}
    assert all(hashlib.sha256(data).hexdigest() == name for name, data in blobs.items())
    index = json.loads((tmp_path / "layout/index.json").read_text())
    (entry,) = index["manifests"]
    assert entry["digest"] == digest
    assert entry["annotations"]["org.opencontainers.image.ref.name"] == "localhost/x:1"
    manifest = json.loads(blobs[digest.removeprefix("sha256:")])
    config = json.loads(blobs[manifest["config"]["digest"].removeprefix("sha256:")])
    assert (config["os"], config["architecture"]) == ("linux", "riscv64")
    assert config["rootfs"]["diff_ids"] == [layer["digest"] for layer in manifest["layers"]]
    for layer in manifest["layers"]:
        assert layer["size"] == len(blobs[layer["digest"].removeprefix("sha256:")])
    assert len(blobs) == 4


def test_the_same_input_gives_the_same_digest(tmp_path: Path) -> None:
    assert build(tmp_path / "a") == build(tmp_path / "b")
