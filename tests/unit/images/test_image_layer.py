"""Layers: what goes in is what comes out, nothing leads outside, the same input gives the same bytes."""

from __future__ import annotations

import hashlib
import io
import tarfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wheelyard.core.errors import ImageError
from wheelyard.images.local.layer import Layer, clean_name, excluder

if TYPE_CHECKING:
    from pathlib import Path


def archive(*members: tuple[str, bytes | str | None, bytes]) -> bytes:
    """Return a tar file of (name, type, content or link target)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, kind, content in members:
            info = tarfile.TarInfo(name)
            info.mtime = 1_700_000_000
            if kind is None:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
            else:
                info.type = kind if isinstance(kind, bytes) else kind.encode()
                info.linkname = content.decode()
                tar.addfile(info)
    return out.getvalue()


def read(path: Path) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(path) as tar:
        return {info.name: info for info in tar}


def test_members_keep_their_content_and_land_in_merged_usr(tmp_path: Path) -> None:
    layer = Layer(tmp_path / "layer")
    layer.tar(
        archive(
            ("./", tarfile.DIRTYPE, b""),
            ("./bin", tarfile.SYMTYPE, b"usr/bin"),
            ("./usr/", tarfile.DIRTYPE, b""),
            ("./bin/tool", None, b"tool"),
            ("./usr/bin/same", tarfile.LNKTYPE, b"./bin/tool"),
        ),
        lambda name: name,
    )
    digest = layer.close()
    found = read(tmp_path / "layer")
    assert list(found) == ["bin", "usr", "usr/bin/tool", "usr/bin/same"]
    assert found["usr/bin/same"].linkname == "usr/bin/tool"
    assert digest == hashlib.sha256((tmp_path / "layer").read_bytes()).hexdigest()
    with tarfile.open(tmp_path / "layer") as tar:
        tool = tar.extractfile("usr/bin/tool")
        assert tool is not None
        assert tool.read() == b"tool"


def test_a_folder_comes_once_and_unwanted_members_not_at_all(tmp_path: Path) -> None:
    layer = Layer(tmp_path / "layer")
    excluded = excluder(["usr/share/man/*"])
    for _ in range(2):
        layer.tar(
            archive(("usr", tarfile.DIRTYPE, b""), ("usr/share/man/x.1", None, b"x")),
            lambda name: None if excluded(name) else name,
        )
    layer.close()
    with tarfile.open(tmp_path / "layer") as tar:
        assert tar.getnames() == ["usr"]


@pytest.mark.parametrize("name", ["../etc/passwd", "usr/../../x", "a/../b"])
def test_a_path_that_leads_outside_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ImageError, match="leads outside"):
        Layer(tmp_path / "layer").tar(archive((name, None, b"x")), lambda name: name)


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_devices_are_refused(tmp_path: Path, kind: bytes) -> None:
    with pytest.raises(ImageError, match="no file, folder or link"):
        Layer(tmp_path / "layer").tar(archive(("dev/x", kind, b"")), lambda name: name)


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    digests = set()
    for number in range(2):
        layer = Layer(tmp_path / str(number))
        layer.tar(archive(("usr/x", None, b"x")), lambda name: name)
        layer.file("etc/y", b"y")
        layer.link("etc/z", "y")
        digests.add(layer.close())
    assert len(digests) == 1


def test_what_has_no_time_has_one_that_wheels_can_hold(tmp_path: Path) -> None:
    layer = Layer(tmp_path / "layer")
    layer.file("x", b"")
    layer.close()
    assert read(tmp_path / "layer")["x"].mtime >= 315_532_800  # 1980, the first year of zip


@given(st.text(st.characters(codec="utf-8"), max_size=40))
def test_a_clean_name_stays_inside(name: str) -> None:
    try:
        clean = clean_name(name)
    except ImageError:
        return
    assert not clean.startswith("/")
    assert ".." not in clean.split("/")
    assert clean_name(clean) == clean
