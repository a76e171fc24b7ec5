"""Debian packages by their lock and by apt: real mmdebstrap and apt, and a mirror that may be in any state."""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING, Any

import pytest

from support.mirror import SUITE, Mirror, Package
from wheelyard.core.errors import DigestMismatchError, ImageError, NetworkError, NotServedError
from wheelyard.core.values import ImageChoice
from wheelyard.images.local import debian, definition, lock, packages

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

GCC, BINUTILS = "gcc-14-riscv64-linux-gnu", "binutils-riscv64-linux-gnu"
ALPHA = Package("alpha", "2:1.0+x~y-1", "riscv64", depends=f"{GCC}, {BINUTILS}, libalpha (>= 1)")
COMMON = (
    ALPHA,
    Package("libalpha", "1.5", "riscv64"),
    Package("beta", "1", "all"),
    Package("gamma", "1", "riscv64", depends="beta, libgamma"),
    Package("libgamma", "1", "riscv64"),
    Package(GCC, "14.2.0-1", "riscv64"),
    Package(BINUTILS, "2.44-1", "riscv64"),
    Package(GCC, "14.2.0-1cross1", "amd64", depends="libc6, gcc-14-cross-base, linux-cross"),
    Package("gcc-14-cross-base", "1", "amd64"),
    Package("linux-cross", "1", "all"),
    Package("g++-14-riscv64-linux-gnu", "14.2.0-1cross1", "amd64", depends=GCC),
    Package("gfortran-14-riscv64-linux-gnu", "14.2.0-1cross1", "amd64", depends=f"{GCC}, libquadmath0"),
    Package("libquadmath0", "1", "amd64"),
    Package(BINUTILS, "2.44-1+b1", "amd64", depends="libc6"),
    Package("libc6", "2.41", "amd64"),
    Package("python3.13-minimal", "3.13.5-2", "amd64", depends="libc6"),
    Package("libpython3.13-stdlib", "3.13.5-2", "amd64"),
)
TRIXIE: dict[str, Any] = {"locked": True, "gcc": "14", "interpreters": ["cp313"], "packages": ["beta"]}
IMAGES: dict[str, Any] = {
    "base": {"packages": ["alpha"]},
    "suite": {SUITE: TRIXIE, "forky": TRIXIE | {"locked": False}},
    "extra": {"fortran": {"packages": ["gamma"], "hosted": ["gfortran"]}, "yaml": {"packages": ["libgamma"]}},
}


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    monkeypatch.setenv("WHEELYARD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(debian, "_ATTEMPTS", 1)
    with Mirror(tmp_path) as made:
        monkeypatch.setenv("PATH", str(made.bin), prepend=os.pathsep)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        made.publish(*COMMON)
        yield made


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


def refresh(scratch: Path) -> lock.Lock:
    ((suite, text),) = packages.refresh(IMAGES, scratch).items()
    assert suite == SUITE
    return lock.parse(text, "trixie.lock")


def image(locked: lock.Packages | None) -> definition.Definition:
    """The image of IMAGES whose compiler is emulated: it needs nothing for this machine."""
    shipped = definition.load(ImageChoice.parse("local+emulated"), "manylinux_2_39_riscv64")
    return dataclasses.replace(shipped, packages=("alpha", "beta"), extras=(), locked=locked)


def names(files: Mapping[debian.Deb, Path]) -> set[str]:
    assert all(path.read_bytes() == deb.path.encode() for deb, path in files.items())
    return {deb.file for deb in files}


BASE = {
    "alpha_1.0+x~y-1_riscv64.deb",
    "libalpha_1.5_riscv64.deb",
    "beta_1_all.deb",
    f"{GCC}_14.2.0-1_riscv64.deb",
    f"{BINUTILS}_2.44-1_riscv64.deb",
}


def test_a_refreshed_lock_holds_every_group(mirror: Mirror, scratch: Path, tmp_path: Path) -> None:
    made = refresh(scratch)
    assert {name: {deb.file for deb in debs} for name, debs in made.groups.items()} == {
        "base": BASE,
        "extra fortran": {"gamma_1_riscv64.deb", "libgamma_1_riscv64.deb"},
        "extra yaml": {"libgamma_1_riscv64.deb"},
        # Without gcc-14-cross-base and linux-cross: nothing of them goes into an image.
        "hosted amd64": {
            f"{GCC}_14.2.0-1cross1_amd64.deb",
            "g++-14-riscv64-linux-gnu_14.2.0-1cross1_amd64.deb",
            f"{BINUTILS}_2.44-1+b1_amd64.deb",
            "libc6_2.41_amd64.deb",
        },
        "hosted amd64 fortran": {
            "gfortran-14-riscv64-linux-gnu_14.2.0-1cross1_amd64.deb",
            "libquadmath0_1_amd64.deb",
        },
        "python amd64": {
            "python3.13-minimal_3.13.5-2_amd64.deb",
            "libpython3.13-stdlib_3.13.5-2_amd64.deb",
            "libc6_2.41_amd64.deb",
        },
    }
    assert made.fits(definition.groups(IMAGES, SUITE))
    again = tmp_path / "again"
    again.mkdir()
    assert refresh(again) == made


def test_compilers_of_two_versions_are_not_locked(mirror: Mirror, scratch: Path) -> None:
    mirror.publish(*COMMON, Package(BINUTILS, "2.45-1", "amd64"))
    with pytest.raises(ImageError, match="not the same version just now"):
        refresh(scratch)


def test_locked_packages_ask_for_no_index(mirror: Mirror, scratch: Path, capsys: pytest.CaptureFixture[str]) -> None:
    locked = refresh(scratch).packages((), "")
    mirror.spoil_index()
    with pytest.raises(ImageError, match="cannot be resolved"):
        debian.solve(SUITE, "riscv64", [["alpha"]], scratch)
    mirror.server.paths.clear()
    capsys.readouterr()
    got, files = packages.obtain(image(locked), scratch)
    assert got == locked
    assert names(files) == BASE
    assert len(mirror.server.paths) == len(BASE)
    assert all(path.startswith("/debian/pool/main/") for path in mirror.server.paths)
    assert "apt" not in capsys.readouterr().err


def test_of_a_file_that_is_gone_apt_finds_the_next(
    mirror: Mirror, scratch: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    locked = refresh(scratch).packages((), "")
    mirror.file(ALPHA).unlink()
    newer = dataclasses.replace(ALPHA, version="2:1.1-1")
    mirror.publish(newer, *COMMON[1:])
    capsys.readouterr()
    got, files = packages.obtain(image(locked), scratch)
    assert names(files) == BASE - {"alpha_1.0+x~y-1_riscv64.deb"} | {"alpha_1.1-1_riscv64.deb"}
    assert {*got.base} == {*files}
    said = capsys.readouterr().err
    assert said.count("the lock is older than the mirror, apt resolves anew") == 1
    assert "answers 404 for alpha_1.0+x~y-1_riscv64.deb" in said


def test_a_lock_of_other_names_is_not_used(mirror: Mirror, scratch: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, files = packages.obtain(image(None), scratch)
    assert names(files) == BASE
    assert "trixie.lock is of other packages than images.toml names" in capsys.readouterr().err


def test_other_bytes_than_the_locked_ones_are_refused(mirror: Mirror, scratch: Path) -> None:
    locked = refresh(scratch).packages((), "")
    mirror.file(ALPHA).write_bytes(ALPHA.data[::-1])
    with pytest.raises(DigestMismatchError, match="alpha_1"):
        packages.obtain(image(locked), scratch)


def test_a_mirror_that_is_ill_leads_nowhere_else(mirror: Mirror, scratch: Path, tmp_path: Path) -> None:
    locked = refresh(scratch).packages((), "")
    (tmp_path / "other").mkdir()
    with Mirror(tmp_path / "other") as other:
        gone = other.url
    with pytest.raises(NetworkError, match="cannot be reached") as caught:
        packages.locked_files(locked, gone)
    assert not isinstance(caught.value, NotServedError)


def test_the_mirror_is_known_without_asking_it(mirror: Mirror, scratch: Path) -> None:
    assert debian.mirror(SUITE, "riscv64", scratch) == mirror.url
    assert mirror.server.paths == []


def test_an_unknown_package_is_named(mirror: Mirror, scratch: Path) -> None:
    with pytest.raises(ImageError) as caught:
        debian.solve(SUITE, "riscv64", [["alpha", "no-such-package"]], scratch)
    assert any("no-such-package" in detail for detail in caught.value.details)


def test_an_unsound_program_is_told(mirror: Mirror, scratch: Path) -> None:
    (mirror.bin / "mmdebstrap").write_text("#!/bin/sh\necho 'E: no such suite' >&2\nexit 25\n")
    with pytest.raises(ImageError, match="cannot be resolved") as caught:
        debian.solve(SUITE, "riscv64", [["alpha"]], scratch)
    assert caught.value.details == ("E: no such suite",)
