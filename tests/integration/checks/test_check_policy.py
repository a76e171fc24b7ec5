"""auditwheel itself on riscv64 wheels, whatever machine this is (PEP 600)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.elf import Elf
from support.wheels import WheelSpec
from wheelyard.checks import check_wheels
from wheelyard.core.tags import Interpreter
from wheelyard.core.values import ExpectedWheel
from wheelyard.project.config import SiteConfig
from wheelyard.project.recipe import Check

if TYPE_CHECKING:
    from pathlib import Path

    from wheelyard.records.models import Finding

POLICY = SiteConfig(interpreters=("cp313",), policy="manylinux_2_39_riscv64")
EXPECTED = (ExpectedWheel("demo", "1.0", "cp313", "cp313", (Interpreter(13),)),)


def findings(
    folder: Path, spec: WheelSpec, *, policy: str = POLICY.policy, libraries: tuple[str, ...] = ()
) -> dict[str, Finding]:
    settings = Check(libraries=libraries)
    site = POLICY.model_copy(update={"policy": policy})
    verdict = check_wheels([spec.write(folder)], EXPECTED, site, settings)
    return {finding.rule: finding for finding in verdict.wheels[0].findings}


def needing(**needed: tuple[str, ...]) -> WheelSpec:
    names = {"libc": "libc.so.6", "libfoo": "libfoo.so.1", "libssl": "libssl.so.3", "libm": "libm.so.6"}
    return WheelSpec(elf=Elf(needed={names[key]: value for key, value in needed.items()}))


def test_an_old_glibc_is_fine(tmp_path: Path) -> None:
    found = findings(tmp_path, needing(libc=("GLIBC_2.27", "GLIBC_2.34"), libm=("GLIBC_2.38",)))
    assert found["glibc"].ok
    assert found["glibc"].text == "manylinux_2_38_riscv64 or newer"
    assert found["libraries"].ok


@pytest.mark.parametrize(("symbol", "newest"), [("GLIBC_2.41", "2.41"), ("GLIBC_2.99", "2.99")])
def test_too_new_a_glibc_is_told(tmp_path: Path, symbol: str, newest: str) -> None:
    found = findings(tmp_path, needing(libc=("GLIBC_2.27", symbol)))
    assert not found["glibc"].ok
    assert f"it needs glibc {newest}, the site configuration has manylinux_2_39_riscv64" in found["glibc"].text


def test_site_policy_decides_what_too_new_is(tmp_path: Path) -> None:
    spec = needing(libc=("GLIBC_2.38",)).but(platform="manylinux_2_31_riscv64")
    assert not findings(tmp_path, spec, policy="manylinux_2_35_riscv64")["glibc"].ok
    assert findings(tmp_path, spec, policy="manylinux_2_38_riscv64")["glibc"].ok


def test_a_library_that_nobody_brings(tmp_path: Path) -> None:
    """Also where this machine happens to have it: another might not."""
    found = findings(tmp_path, needing(libc=("GLIBC_2.27",), libfoo=(), libssl=()))
    assert found["glibc"].ok
    assert "it needs libfoo.so.1" in found["libraries"].text
    assert "it needs libssl.so.3" in found["libraries"].text


def test_a_library_by_the_recipes_leave(tmp_path: Path) -> None:
    found = findings(tmp_path, needing(libc=("GLIBC_2.27",), libfoo=()), libraries=("libfoo.so.1",))
    assert found["libraries"].ok
    assert "libfoo.so.1" in found["libraries"].text


def test_a_grafted_library_is_no_external_one(tmp_path: Path) -> None:
    """What auditwheel repair makes: the library in ``demo.libs``, found through ``$ORIGIN``."""
    spec = WheelSpec(
        elf=Elf(needed={"libfoo-1a2b.so.1": (), "libc.so.6": ("GLIBC_2.27",)}, runpath="$ORIGIN/../demo.libs"),
        files={"demo.libs/libfoo-1a2b.so.1": Elf().data()},
    )
    found = findings(tmp_path, spec)
    assert found["libraries"].ok
    assert found["glibc"].ok


def test_a_file_that_auditwheel_cannot_read_is_a_finding(tmp_path: Path) -> None:
    spec = WheelSpec(elf=None, files={"demo/bad.so": Elf().data()[:100]})
    found = findings(tmp_path, spec)
    assert not found["glibc"].ok
    assert "auditwheel" in found["glibc"].text


def test_an_x86_file_alone_is_told_by_both(tmp_path: Path) -> None:
    found = findings(tmp_path, WheelSpec(elf=Elf(machine=62, flags=0, arch=None)))
    assert not found["machine"].ok
    assert not found["glibc"].ok
