"""Debian packages: names, versions, and what is inside (deb(5), deb-version(7))."""

from __future__ import annotations

import gzip
import hashlib
import lzma
from typing import TYPE_CHECKING

import pytest

from wheelyard.core.errors import ImageError
from wheelyard.images.local import compiler, debian
from wheelyard.images.local.debian import Deb

if TYPE_CHECKING:
    from pathlib import Path


def deb(file: str, data: bytes = b"") -> Deb:
    made = Deb.at(f"pool/main/x/xx/{file}", len(data), hashlib.sha256(data).hexdigest())
    assert made
    return made


def ar(*members: tuple[str, bytes]) -> bytes:
    out = b"!<arch>\n"
    for name, data in members:
        out += f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(data):<10}".encode() + b"`\n" + data
        out += b"\n" * (len(data) % 2)
    return out


def test_a_file_name_is_taken_apart() -> None:
    gcc = deb("gcc_14.2.0-1_riscv64.deb")
    assert (gcc.name, gcc.version, gcc.arch) == ("gcc", "14.2.0-1", "riscv64")
    assert deb("g++-14-riscv64-linux-gnu_14.2.0-19cross1_amd64.deb").name == "g++-14-riscv64-linux-gnu"


def test_what_apt_would_fetch_is_read_without_its_server(tmp_path: Path) -> None:
    # apt names the file it would write with the epoch (4%3a); a mirror's own name has none (deb-version(7)).
    sha256 = hashlib.sha256(b"").hexdigest()
    path = "pool/main/g/gcc-defaults/g++_14.2.0-1~x_riscv64.deb"
    url = f"http://mirror.example/a/pool/b/{path.replace('+', '%2b').replace('~', '%7e')}"
    (tmp_path / "uris").write_text(f"Reading…\n'{url}' g++_4%3a14.2.0-1~x_riscv64.deb 10 SHA256:{sha256}\n")
    assert [(each.path, each.version) for each in debian._read_uris(tmp_path / "uris")] == [(path, "14.2.0-1~x")]


@pytest.mark.parametrize(
    "line",
    [
        f"'http://mirror.example/pool/main/x/xx/x_1_all.deb' x_1_all.deb 10 MD5Sum:{'0' * 32}",
        f"'http://mirror.example/flat/xx_1_all.deb' xx_1_all.deb 10 SHA256:{'0' * 64}",
        f"'http://mirror.example/pool/main/x/%2e%2e/xx_1_all.deb' xx_1_all.deb 10 SHA256:{'0' * 64}",
    ],
)
def test_what_apt_would_fetch_unseen_is_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "uris").write_text(f"{line}\n")
    with pytest.raises(ImageError, match="not understood") as caught:
        list(debian._read_uris(tmp_path / "uris"))
    assert caught.value.details == (line,)


@pytest.mark.parametrize(
    ("name", "pack"), [("data.tar.xz", lzma.compress), ("data.tar.gz", gzip.compress), ("data.tar", bytes)]
)
def test_the_data_archive_is_found_and_unpacked(tmp_path: Path, name: str, pack: object) -> None:
    content = b"a tar file" * 1001
    raw = ar(("debian-binary", b"2.0\n"), ("control.tar.xz/", b"odd"), (name, pack(content)))  # type: ignore[operator]
    (tmp_path / "x.deb").write_bytes(raw)
    assert debian.payload(deb("xx_1_all.deb", raw), tmp_path / "x.deb") == content


def test_a_damaged_package_is_removed_from_the_cache(tmp_path: Path) -> None:
    path = tmp_path / "x.deb"
    path.write_bytes(b"!<arch>\nsomething else")
    with pytest.raises(ImageError, match="damaged"):
        debian.payload(deb("xx_1_all.deb", b"what was promised"), path)
    assert not path.exists()


@pytest.mark.parametrize("raw", [b"", b"no archive", ar(("control.tar.xz", b"x")), ar(("data.tar.rar", b"x"))])
def test_other_files_are_refused(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "x.deb").write_bytes(raw)
    with pytest.raises(ImageError, match="no data archive"):
        debian.payload(deb("xx_1_all.deb", raw), tmp_path / "x.deb")


NATIVE = ("gcc-14-riscv64-linux-gnu_14.2.0-19_riscv64.deb", "binutils-riscv64-linux-gnu_2.44-3_riscv64.deb")


@pytest.mark.parametrize(
    "hosted",
    [
        ("gcc-14-riscv64-linux-gnu_14.2.0-19cross1_amd64.deb", "binutils-riscv64-linux-gnu_2.44-3_amd64.deb"),
        ("gcc-14-riscv64-linux-gnu_14.2.0-19cross2+b1_amd64.deb", "binutils-riscv64-linux-gnu_2.44-3+b2_amd64.deb"),
    ],
)
def test_a_rebuild_of_the_same_source_is_the_same_compiler(hosted: tuple[str, str]) -> None:
    compiler.same_version(map(deb, NATIVE), map(deb, hosted), "14", "local+emulated")


def test_another_compiler_is_refused_with_both_versions() -> None:
    hosted = ("gcc-14-riscv64-linux-gnu_14.3.0-1cross1_amd64.deb", "binutils-riscv64-linux-gnu_2.45-1_amd64.deb")
    with pytest.raises(ImageError) as caught:
        compiler.same_version(map(deb, NATIVE), map(deb, hosted), "14", "local:trixie+emulated")
    text = str(caught.value)
    for part in ("14.2.0-19", "14.3.0-1cross1", "2.44-3", "2.45-1", "--image local:trixie+emulated"):
        assert part in text


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("usr/libexec/gcc-cross/riscv64-linux-gnu/14/cc1plus", "usr/libexec/gcc/riscv64-linux-gnu/14/cc1plus"),
        ("usr/libexec/gcc-cross/riscv64-linux-gnu/14/collect2", None),
        ("usr/bin/riscv64-linux-gnu-as", "usr/bin/riscv64-linux-gnu-as"),
        ("usr/bin/riscv64-linux-gnu-gcc-14", None),
        ("usr/lib/x86_64-linux-gnu/libc.so.6", "usr/lib/x86_64-linux-gnu/libc.so.6"),
        ("usr/lib/x86_64-linux-gnu/gconv/UTF-16.so", None),
        ("usr/lib64/ld-linux-x86-64.so.2", "usr/lib64/ld-linux-x86-64.so.2"),
        ("usr/share/doc/x", None),
    ],
)
def test_only_what_does_the_work_is_exchanged(path: str, target: str | None) -> None:
    assert compiler.place(path, "14") == target
