"""Every rule on wheels that are right in all but one point, and wheels that were made to hurt."""

from __future__ import annotations

import stat
import struct
import zipfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.elf import X86_64, Elf
from support.wheels import WheelSpec
from wheelyard.checks import check_wheels, merge, verdict_table, with_findings
from wheelyard.core.tags import Interpreter
from wheelyard.core.values import ExpectedWheel
from wheelyard.project.config import SiteConfig
from wheelyard.project.recipe import Check

if TYPE_CHECKING:
    from pathlib import Path

    from wheelyard.records.models import Finding, Verdict

POLICY = SiteConfig(interpreters=("cp313",), policy="manylinux_2_39_riscv64")
CP313 = Interpreter(13)
EXPECTED = (ExpectedWheel("demo", "1.0", "cp313", "cp313", (CP313,)),)
INFO = "demo-1.0.dist-info"


@pytest.fixture(autouse=True)
def no_audit(monkeypatch: pytest.MonkeyPatch) -> None:
    """auditwheel is a program of half a second: it has tests of its own, on the same wheels."""
    monkeypatch.setattr("wheelyard.checks.audit", lambda _wheel, _terms: ())


def check(*wheels: Path, expected: tuple[ExpectedWheel, ...] = EXPECTED, policy: SiteConfig = POLICY) -> Verdict:
    return check_wheels(wheels, expected, policy, Check())


def failing(verdict: Verdict) -> dict[str, str]:
    findings: list[Finding] = [*verdict.overall, *(finding for wheel in verdict.wheels for finding in wheel.findings)]
    return {finding.rule: finding.text for finding in findings if not finding.ok}


# When each came to the stable ABI: CPython's documentation, "Stable Application Binary Interface", Contents of Limited
# API: PyLong_FromLong 3.2, PyType_GetModuleState 3.10, PyUnicode_AsUTF8AndSize 3.10; PyUnicode_AsUTF8 is not in it.
@pytest.mark.parametrize(
    ("wants", "said"),
    [
        (("PyLong_FromLong", "_Py_NoneStruct", "PyExc_ValueError", "memcpy"), ""),
        (("PyUnicode_AsUTF8AndSize",), "PyUnicode_AsUTF8AndSize, of the stable ABI only since 3.10"),
        (("PyType_GetModuleState",), "PyType_GetModuleState, of the stable ABI only since 3.10"),
        (("PyUnicode_AsUTF8",), "PyUnicode_AsUTF8, which is not of the stable ABI"),
        (("_PyLong_New",), "_PyLong_New, which is not of the stable ABI"),
    ],
)
def test_an_abi3_wheel_keeps_to_the_stable_abi_of_its_version(
    tmp_path: Path, wants: tuple[str, ...], said: str
) -> None:
    expected = (ExpectedWheel("demo", "1.0", "cp39", "abi3", (CP313,)),)
    found = failing(
        check(WheelSpec(python="cp39", abi="abi3", elf=Elf(wants=wants)).write(tmp_path), expected=expected)
    )
    assert found.keys() == ({"stable-abi"} if said else set())
    assert said in found.get("stable-abi", "")


def test_a_wheel_for_one_python_may_use_all_of_it(tmp_path: Path) -> None:
    assert failing(check(WheelSpec(elf=Elf(wants=("_PyLong_New",))).write(tmp_path))) == {}


def test_a_right_wheel_passes_every_rule(tmp_path: Path) -> None:
    verdict = check(WheelSpec().write(tmp_path))
    assert failing(verdict) == {}
    assert verdict.ok
    assert len(verdict.wheels[0].findings) == 14


@pytest.mark.parametrize(
    ("spec", "rule", "said"),
    [
        (WheelSpec(tags=("cp313-cp313-linux_riscv64",)), "wheel-tags", "cp313-cp313-linux_riscv64 is in WHEEL"),
        (WheelSpec(tags=()), "wheel-tags", "is in the file name and not in WHEEL"),
        (WheelSpec(purelib="true"), "wheel-tags", "Root-Is-Purelib: true"),
        (WheelSpec(purelib="perhaps"), "wheel-tags", "does not say Root-Is-Purelib"),
        (WheelSpec(files={f"{INFO}/WHEEL": b"Wheel-Version: 2.0\n"}), "wheel-tags", "not 1.x"),
        (WheelSpec(metadata_name="other"), "metadata", "Name: other, the plan demo"),
        (WheelSpec(metadata_version="1.0.dev3"), "metadata", "Version: 1.0.dev3, the plan 1.0"),
        (WheelSpec(metadata_version="0.0.0+unknown"), "metadata", "the file name 1.0"),
        (WheelSpec(metadata_version="one"), "metadata", "which is none (PEP 440)"),
        (WheelSpec(requires_python=">=3.14"), "metadata", "leaves out cp313"),
        (WheelSpec(requires_python="three"), "metadata", "which is no specifier"),
        (WheelSpec(files={f"{INFO}/METADATA": b""}), "metadata", "METADATA has no name"),
        (WheelSpec(files={f"{INFO}/METADATA": b"\xff\xfe\x00"}), "archive", "METADATA"),
        (WheelSpec(unrecorded=("demo/__init__.py",)), "record", "demo/__init__.py is not in RECORD"),
        (WheelSpec(lies=("demo/__init__.py",)), "record", "another hash"),
        (WheelSpec(files={f"{INFO}/RECORD": b"gone.py,sha256=abc,3\n"}), "record", "gone.py is in RECORD and not"),
        (WheelSpec(files={f"{INFO}/RECORD": b"demo/__init__.py,md5=abc,3\n"}), "record", "no sha256 or better"),
        (WheelSpec(files={f"{INFO}/RECORD": b'"broken'}), "record", "is not in RECORD"),
        (WheelSpec(without=(f"{INFO}/licenses/LICENSE",)), "licence", "no licence file"),
        (WheelSpec(headers="License-File: COPYING\n"), "licence", "COPYING, which is not in the wheel"),
        (WheelSpec(elf=None), "compiled", "nothing in it is compiled"),
        (WheelSpec(elf=Elf(machine=X86_64)), "machine", "is for x86_64"),
        (WheelSpec(elf=Elf(flags=1)), "machine", "double-precision"),
        (WheelSpec(files={"demo/bin": b"\x7fELF junk"}), "machine", "cannot be read as ELF"),
        (WheelSpec(elf=Elf(arch="rv64gcv_zba")), "architecture", "needs v, zba, which rv64gc does not have"),
        (WheelSpec(elf=Elf(arch="nonsense")), "architecture", "not a RISC-V instruction set"),
        (WheelSpec(elf=Elf(runpath="/project/build/lib")), "run-paths", "searches /project/build/lib"),
        (WheelSpec(elf=Elf(runpath="$ORIGIN:")), "run-paths", "the current folder"),
        (WheelSpec(elf=Elf(runpath="$ORIGINAL/lib")), "run-paths", "$ORIGINAL/lib"),
        (WheelSpec(elf=Elf(exec_stack=True)), "executable-stack", "asks for one"),
        (WheelSpec(modes={"demo/__init__.py": 0o666}), "modes", "is writable by everybody"),
        (WheelSpec(modes={"demo/__init__.py": 0o4755}), "modes", "runs as its owner"),
        (WheelSpec(platform="linux_riscv64"), "file-name", "not manylinux for riscv64"),
        (WheelSpec(platform="manylinux_2_39_x86_64"), "file-name", "not manylinux for riscv64"),
        (WheelSpec(platform="manylinux_2_41_riscv64"), "file-name", "needs glibc 2.41"),
        (WheelSpec(platform="musllinux_1_2_riscv64"), "file-name", "not manylinux for riscv64"),
        (WheelSpec(version="1.1"), "expected-wheels", "missing: demo-1.0-cp313-cp313"),
        (WheelSpec(version="1.1"), "expected-wheels", "unexpected: demo-1.1"),
        (WheelSpec(python="cp312", abi="cp312"), "expected-wheels", "unexpected: demo-1.0-cp312"),
        (WheelSpec(abi="abi3"), "expected-wheels", "unexpected: demo-1.0-cp313-abi3"),
    ],
)
def test_a_wrong_point_is_found_and_told(tmp_path: Path, spec: WheelSpec, rule: str, said: str) -> None:
    found = failing(check(spec.write(tmp_path)))
    assert said in found[rule]
    assert "To do: " in found[rule]


@pytest.mark.parametrize(
    "spec",
    [
        WheelSpec(elf=Elf(arch=None)),
        WheelSpec(elf=Elf(runpath="$ORIGIN/../demo.libs")),
        WheelSpec(platform="manylinux_2_31_riscv64.manylinux_2_39_riscv64"),
        WheelSpec(platform="manylinux_2_38_riscv64.manylinux_2_41_riscv64"),
        WheelSpec(requires_python=""),
        WheelSpec(requires_python=">=3.13.2,!=3.13.4"),
        WheelSpec(metadata_version="1.0.0"),
        WheelSpec(files={"tests/__init__.py": b"", "demo/__pycache__/a.pyc": b""}),
        WheelSpec(files={f"{INFO}/RECORD.jws": b"{}"}, unrecorded=(f"{INFO}/RECORD.jws",)),
        # setuptools wrote License-File into metadata 2.1 for years before PEP 639 allowed it.
        WheelSpec(
            files={
                f"{INFO}/METADATA": b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\nLicense-File: LICENSE\n",
                f"{INFO}/LICENSE": b"text",
            },
            without=(f"{INFO}/licenses/LICENSE",),
        ),
        WheelSpec(files={"demo/data.bin": b"\x7fEL"}),
    ],
)
def test_what_is_allowed_passes(tmp_path: Path, spec: WheelSpec) -> None:
    assert failing(check(spec.write(tmp_path))) == {}


def test_a_silent_fallback_to_pure_python_is_said_in_plain_words(tmp_path: Path) -> None:
    """markupsafe and others build a ``none-any`` wheel when compilation fails, and the build succeeds."""
    spec = WheelSpec(python="py3", abi="none", platform="any", elf=None, purelib="true")
    found = failing(check(spec.write(tmp_path)))
    assert "missing: demo-1.0-cp313-cp313-manylinux_*_riscv64.whl" in found["expected-wheels"]
    for rule in ("expected-wheels", "file-name"):
        assert "pure wheel" in found[rule]
        assert "compile error in the build log" in found[rule]


def test_a_stable_abi_wheel_may_name_an_older_python_than_it_requires(tmp_path: Path) -> None:
    expected = (ExpectedWheel("demo", "1.0", "cp38", "abi3", (CP313,)),)
    wheel = WheelSpec(python="cp38", abi="abi3", requires_python=">=3.9").write(tmp_path)
    assert failing(check(wheel, expected=expected)) == {}


def test_two_wheels_for_one_expectation(tmp_path: Path) -> None:
    wheels = [WheelSpec(platform=f"manylinux_2_{n}_riscv64").write(tmp_path) for n in (38, 39)]
    assert "2 wheels for demo-1.0" in failing(check(*wheels))["expected-wheels"]


def test_no_wheel_at_all() -> None:
    assert "missing: demo-1.0" in failing(check())["expected-wheels"]


def test_all_rules_run_on_all_wheels(tmp_path: Path) -> None:
    worst = WheelSpec(
        metadata_name="other",
        tags=(),
        elf=Elf(machine=X86_64, runpath="/x", exec_stack=True),
        lies=("demo/__init__.py",),
        without=(f"{INFO}/licenses/LICENSE",),
        modes={"demo/__init__.py": 0o777},
    ).write(tmp_path)
    good = WheelSpec(python="cp312", abi="cp312").write(tmp_path)
    verdict = check(good, worst)
    rules = {finding.rule for finding in verdict.wheels[1].findings if not finding.ok}
    assert rules >= {"metadata", "wheel-tags", "machine", "run-paths", "executable-stack", "record", "licence", "modes"}
    assert {finding.rule for finding in verdict.wheels[0].findings if not finding.ok} == set()
    assert not verdict.ok


# ------------------------------------------------------------------ hostile archives


def zipped(tmp_path: Path, *members: tuple[zipfile.ZipInfo | str, bytes]) -> Path:
    path = tmp_path / WheelSpec().file
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize(
    "name", ["../evil.py", "/etc/evil", "a/../../evil", "a\\..\\evil", "C:/evil", "a//b", "./a", "a\nb", "x\x1b[2Jy"]
)
def test_members_that_lead_elsewhere(tmp_path: Path, name: str) -> None:
    text = failing(check(zipped(tmp_path, (name, b"x"))))["archive"]
    assert "relative path" in text or "leads out" in text or "control characters" in text
    assert "\x1b" not in text
    assert "\n" not in text


def test_a_link_is_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("demo/link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    assert "is a link" in failing(check(zipped(tmp_path, (link, b"/etc/passwd"))))["archive"]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_that_is_there_twice(tmp_path: Path) -> None:
    assert "in it twice" in failing(check(zipped(tmp_path, ("demo/a.py", b"1"), ("demo/a.py", b"2"))))["archive"]


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    bomb = zipped(tmp_path, ("demo/zeros", b"\0" * (3 << 20)))
    tight = POLICY.model_copy(update={"max_unpacked_mib": 2})
    assert "unpacks to 3 MiB, 2 are allowed" in failing(check(bomb, policy=tight))["archive"]


def test_a_bomb_that_lies_about_its_size(tmp_path: Path) -> None:
    """The table of contents says 10 bytes; a reader that trusts the stream instead would unpack 3 MiB."""
    bomb = zipped(tmp_path, ("demo/zeros", b"\0" * (3 << 20)))
    data = bytearray(bomb.read_bytes())
    central = data.index(b"PK\x01\x02")
    data[central + 24 : central + 28] = struct.pack("<I", 10)
    bomb.write_bytes(data)
    assert "cannot be unpacked" in failing(check(bomb))["archive"]


def test_too_many_members(tmp_path: Path) -> None:
    wheel = zipped(tmp_path, *((f"demo/{number}.py", b"") for number in range(20)))
    tight = POLICY.model_copy(update={"max_members": 19})
    assert "has 20 members, 19 are allowed" in failing(check(wheel, policy=tight))["archive"]


def test_encrypted_and_exotic_members(tmp_path: Path) -> None:
    wheel = zipped(tmp_path, ("demo/a.py", b"x" * 100))
    data = bytearray(wheel.read_bytes())
    central = data.index(b"PK\x01\x02")
    data[central + 8] |= 1
    wheel.write_bytes(data)
    assert "is encrypted" in failing(check(wheel))["archive"]
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("demo/a.py", b"x")
    assert "installers do not read" in failing(check(wheel))["archive"]


@pytest.mark.parametrize("data", [b"", b"PK", b"not a zip at all", b"PK\x05\x06" + b"\0" * 18])
def test_what_is_no_archive(tmp_path: Path, data: bytes) -> None:
    wheel = tmp_path / WheelSpec().file
    wheel.write_bytes(data)
    assert "archive" in failing(check(wheel))


def test_two_dist_info_folders(tmp_path: Path) -> None:
    wheel = WheelSpec(files={"other-1.dist-info/METADATA": b""}).write(tmp_path)
    assert "2 .dist-info folders" in failing(check(wheel))["archive"]


@pytest.mark.parametrize("name", ["demo.whl", "demo-1.0-cp313.whl", "-1-2-3-4.whl"])
def test_a_name_that_is_no_wheels(tmp_path: Path, name: str) -> None:
    wheel = WheelSpec().write(tmp_path).rename(tmp_path / name)
    found = failing(check(wheel))
    assert "file-name" in found
    assert "unexpected" in found["expected-wheels"]


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_a_damaged_wheel_never_ends_in_a_traceback(tmp_path: Path, data: st.DataObject) -> None:
    wheel = WheelSpec().write(tmp_path)
    whole = wheel.read_bytes()
    position = data.draw(st.integers(0, len(whole) - 1))
    patch = data.draw(st.binary(min_size=1, max_size=6))
    wheel.write_bytes(whole[:position] + patch + whole[position + len(patch) :])
    check(wheel)
    wheel.write_bytes(whole[:position])
    assert not check(wheel).ok


# ------------------------------------------------------------------ verdicts


def test_the_table_tells_failures_first_and_what_to_do(tmp_path: Path) -> None:
    lines = verdict_table(check(WheelSpec(elf=Elf(runpath="/x")).write(tmp_path))).splitlines()
    assert lines[2].startswith("FAILED  run-paths")
    assert "To do: " in lines[2]
    assert all(line.startswith("ok") for line in lines[3:])


def test_merging_keeps_every_failure(tmp_path: Path) -> None:
    good = check(WheelSpec().write(tmp_path / "a"))
    bad = check(WheelSpec(python="cp312", abi="cp312", elf=Elf(runpath="/x")).write(tmp_path / "b"))
    both = merge(good, bad)
    assert [wheel.ok for wheel in both.wheels] == [False, True]
    assert not both.ok
    assert merge(good, good) == good
    assert not merge(good, check(WheelSpec(elf=Elf(runpath="/x")).write(tmp_path / "c"))).ok
    other = good.model_copy(update={"package_version": "2.0"})
    with pytest.raises(ValueError, match="one version"):
        merge(good, other)


def test_further_findings_count(tmp_path: Path) -> None:
    good = check(WheelSpec().write(tmp_path))
    finding = good.overall[0].model_copy(update={"rule": "installs-cp313", "ok": False})
    assert not with_findings(good, {WheelSpec().file: [finding]}).ok
    assert with_findings(good, {"another.whl": [finding]}).ok


def test_nothing_expected_is_a_bug_of_the_caller() -> None:
    with pytest.raises(ValueError, match="at least one"):
        check_wheels([], [], POLICY, Check())
