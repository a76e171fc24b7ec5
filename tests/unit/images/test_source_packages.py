"""Grafted libraries: found in a wheel, traced to packages, their licences read."""

from __future__ import annotations

import gzip
import hashlib
import io
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.elf import Elf
from support.wheels import WheelSpec
from wheelyard.checks.grafts import Grafted, grafted
from wheelyard.core.licences import Licence, of_debian, of_expression
from wheelyard.images.local import debian, source_packages
from wheelyard.images.local.debian import Deb
from wheelyard.images.origin import Origin, of_debs, read_rpms
from wheelyard.records.models import WheelRecord
from wheelyard.registries.registry import version_word

if TYPE_CHECKING:
    from pathlib import Path

FREE = ("MIT", "BSD-3-Clause", "Apache-2.0", "Zlib", "ASL 2.0", "Public Domain")
ASKING = ("GPL-3.0-or-later", "LGPLv2+", "MPL-2.0", "GPL-2.0-only WITH Classpath-exception-2.0", "Nobody-Knows-1.0")


@pytest.mark.parametrize(
    ("text", "copyleft"),
    [
        ("MIT", False),
        ("mit and BSD", False),
        ("MIT OR GPL-2.0-only", False),
        ("MIT AND (BSD OR LGPL-2.1-or-later)", False),
        ("MIT AND GPL-2.0-only", True),
        ("MIT OR GPL-2.0-only AND GPL-3.0-only", False),
        ("Apache-2.0 WITH LLVM-exception", False),
        ("GPL-3.0-or-later WITH GCC-exception-3.1", True),
        ("GPLv3+ and GPLv3+ with exceptions and LGPLv2+ and BSD", True),  # as RPMs of older gcc have it
        ("", True),
        ("MIT AND", True),
        ("(MIT", True),
        ("MIT)", True),
        ("MIT BSD", True),
        ("(" * 10_000, True),
        ("MITIGATED-GPL", True),
    ],
)
def test_expressions(text: str, copyleft: bool) -> None:
    assert of_expression(text).copyleft is copyleft


@given(st.text(alphabet="()MITGPLandor -+.\n", max_size=80) | st.text(max_size=40))
def test_whatever_it_says_reading_ends(text: str) -> None:
    assert len(of_expression(text).text) <= 2000
    of_debian(text)


expressions = st.recursive(
    st.sampled_from([(name, False) for name in FREE] + [(name, True) for name in ASKING]),
    lambda inner: st.tuples(inner, st.sampled_from(["and", "OR"]), inner).map(
        lambda parts: (
            f"({parts[0][0]} {parts[1]} {parts[2][0]})",
            parts[0][1] or parts[2][1] if parts[1] == "and" else parts[0][1] and parts[2][1],
        )
    ),
    max_leaves=8,
)


@given(expressions)
def test_brackets_and_words_are_read_as_they_are_meant(case: tuple[str, bool]) -> None:
    assert of_expression(case[0]).copyleft is case[1]


FORMAT = "Format: https://example.org/copyright-format/1.0/\n"


def test_debian_copyright_files() -> None:
    free = FORMAT + "\nFiles: *\nCopyright: x\nLicense: Expat\n\nFiles: debian/*\nLicense: BSD-3-clause\n text\n"
    assert of_debian(free) == Licence("Expat AND BSD-3-clause", copyleft=False)
    assert of_debian(free + "\nFiles: a.c\nLicense: GPL-2+\n").copyleft
    assert of_debian(free + "\nFiles: a.c\nLicense:\n Some text.\n").copyleft
    assert of_debian(FORMAT).copyleft
    told = of_debian("This is GCC.\nOn Debian systems, see /usr/share/common-licenses/GPL-3.\n")
    assert told == Licence("not machine-readable; refers to GPL-3", copyleft=True)


def test_grafts_are_found_in_the_wheel(tmp_path: Path) -> None:
    elf = Elf().data()
    files = {
        "demo.libs/libgfortran-71f3569b.so.5.0.0": elf,
        "demo.libs/libunmarked.so.1": elf,
        "demo.libs/readme.txt": b"no library",
        "demo/libown.so": elf,
        "demo/_fast.cpython-313-riscv64-linux-gnu.so": elf,
    }
    sha256 = hashlib.sha256(elf).hexdigest()
    assert grafted(WheelSpec(files=files).write(tmp_path)) == (
        Grafted("demo.libs/libgfortran-71f3569b.so.5.0.0", "libgfortran.so.5.0.0", "71f3569b", copied=True),
        Grafted("demo.libs/libunmarked.so.1", "libunmarked.so.1", sha256, copied=True),
        Grafted("demo/libown.so", "libown.so", sha256, copied=False),
    )
    assert grafted(WheelSpec(version="2.0").write(tmp_path)) == ()


def tar(files: dict[str, bytes | str]) -> bytes:
    """Return a packed tar file; a text is where a symbolic link leads."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(f"./{name}")
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                archive.addfile(info)
            else:
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return gzip.compress(raw.getvalue())


def make_deb(folder: Path, source: str, name: str, control: str, files: dict[str, bytes | str]) -> tuple[Deb, Path]:
    """Write a package (deb(5)); what apt and dpkg do not need for reading it is left out."""
    parts = {"debian-binary": b"2.0\n", "control.tar.gz": tar({"control": control.encode()}), "data.tar.gz": tar(files)}
    raw = b"!<arch>\n"
    for part, data in parts.items():
        raw += f"{part:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode() + data + b"\n" * (len(data) % 2)
    path = folder / f"{name}_1.0-1+b2_riscv64.deb"
    path.write_bytes(raw)
    deb = Deb.at(f"pool/main/{source[0]}/{source}/{path.name}", len(raw), hashlib.sha256(raw).hexdigest())
    assert deb
    return deb, path


def test_a_file_is_traced_to_its_debian_package(tmp_path: Path) -> None:
    library, other = b"\x7fELF one", b"\x7fELF two"
    copyright_ = (FORMAT + "\nFiles: *\nLicense: LGPL-2.1+\n").encode()
    made = dict(
        [
            make_deb(
                tmp_path,
                "hum",
                "libhum1",
                "Package: libhum1\nSource: hum (3:1.0-1)\nVersion: 3:1.0-1+b2\nDescription: x\n Source: no\n",
                {"usr/lib/libhum.so.1.0": library, "usr/share/doc/libhum1": "hum-base"},
            ),
            make_deb(
                tmp_path, "hum", "hum-base", "Package: hum-base\n", {"usr/share/doc/hum-base/copyright": copyright_}
            ),
            make_deb(tmp_path, "oth", "oth", "Package: oth\nVersion: 1.0-1\n", {"usr/lib/libhum.so.1.0": other}),
        ]
    )
    marks = [hashlib.sha256(data).hexdigest()[:8] for data in (library, other, b"nowhere")]
    found = of_debs(tuple(made), made, [("libhum.so.1.0", mark) for mark in marks])
    licence = Licence("LGPL-2.1+", copyleft=True)
    assert found == {
        ("libhum.so.1.0", marks[0]): Origin("debian", "libhum1", "3:1.0-1+b2", "hum", "3:1.0-1", licence),
        ("libhum.so.1.0", marks[1]): Origin("debian", "oth", "1.0-1", "oth", "1.0-1", Licence("", copyleft=True)),
    }


def test_a_package_is_unpacked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library, copyright_ = b"\x7fELF one", (FORMAT + "\nFiles: *\nLicense: Expat\n").encode()
    files: dict[str, bytes | str] = {"usr/lib/libhum.so.1": library, "usr/share/doc/libhum1/copyright": copyright_}
    deb, path = make_deb(tmp_path, "hum", "libhum1", "Package: libhum1\n", files)
    unpacked, payload = [], debian.payload

    def counted(deb: Deb, path: Path) -> bytes:
        unpacked.append(deb)
        return payload(deb, path)

    monkeypatch.setattr(debian, "payload", counted)
    asked = ("libhum.so.1", hashlib.sha256(library).hexdigest()[:8])
    found = of_debs((deb,), {deb: path}, [asked])
    assert found[asked].licence == Licence("Expat", copyleft=False)
    assert unpacked == [deb]


def test_copyright_folders_that_lead_in_a_circle_have_none(tmp_path: Path) -> None:
    library = b"\x7fELF one"
    made = dict(
        make_deb(
            tmp_path,
            "hum",
            name,
            f"Package: {name}\n",
            {f"usr/share/doc/{name}": other, **({"usr/lib/libhum.so.1": library} if name == "libhum1" else {})},
        )
        for name, other in (("libhum1", "hum-a"), ("hum-a", "hum-b"), ("hum-b", "libhum1"))
    )
    asked = ("libhum.so.1", hashlib.sha256(library).hexdigest()[:8])
    assert of_debs(tuple(made), made, [asked])[asked].licence == Licence("", copyleft=True)


def test_what_an_official_image_answers_is_read() -> None:
    """Made up: no official image was asked. The fields are those of rpm's --qf in images/origin.py."""
    sha256 = "71f3569b" + "0" * 56
    text = (
        f"libgfortran.so.5.0.0\t{sha256}\tlibgfortran\t14.2.1-7.el10\tgcc-14.2.1-7.el10.src.rpm\t"
        "GPL-3.0-or-later WITH GCC-exception-3.1 AND BSD-3-Clause\n"
        f"libown.so.1\t{'1' * 64}\tfile /usr/local/lib/libown.so.1 is not owned by any package\n"
        f"libz.so.1\t{'2' * 64}\tzlib-ng-compat\t2.2.3-1.el10\tzlib-ng-2.2.3-1.el10.src.rpm\tZlib\n"
    )
    asked = [("libgfortran.so.5.0.0", "71f3569b"), ("libown.so.1", "11111111"), ("libz.so.1", "33333333")]
    found = read_rpms(text, asked)
    assert list(found) == [asked[0]]
    origin = found[asked[0]]
    assert (origin.package, origin.source, origin.source_version) == ("libgfortran", "gcc", "14.2.1-7.el10")
    assert origin.licence.copyleft


@pytest.mark.parametrize(
    ("package", "version", "source"),
    [
        ("-oDir=x", "1-1", "hum-1-1.src.rpm"),
        ("libhum", "../1-1", "hum-1-1.src.rpm"),
        ("libhum", "1-1", "--hum-1-1.src.rpm"),
        ("libhum", "1-1", "../../hum-1-1.src.rpm"),
        ("libhum", "1-1", "hum-1-1/../x.src.rpm"),
        ("libhum", "1 1", "hum-1-1.src.rpm"),
    ],
)
def test_what_can_be_no_package_is_not_known(package: str, version: str, source: str) -> None:
    """What an image answers becomes words of programs, and names of folders."""
    text = f"libhum.so.1\t{'1' * 64}\t{package}\t{version}\t{source}\tMIT\n"
    assert read_rpms(text, [("libhum.so.1", "1" * 8)]) == {}


@pytest.mark.parametrize(("signed", "code"), [(True, 0), (False, 1)])
def test_a_source_rpm_that_nobody_signed_is_refused(tmp_path: Path, signed: bool, code: int) -> None:
    """Words only: dnf and rpmkeys are not the real ones, which are in an official image.

    rpm 4.18 says "digests OK" of a package without any signature, and ends well, unless its level is ``all``.
    """
    for name, text in (
        ("dnf", 'case "$*" in *download*) echo x >"$OUT";; esac'),
        ("rpmkeys", f'case "$*" in *"--define _pkgverify_level all --checksig "*) exit {0 if signed else 1};; esac'),
    ):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin", "OUT": str(tmp_path / "hum-1-1.src.rpm")}
    words = ["sh", "-euc", source_packages._GET_SRPM, "sh", str(tmp_path), "libhum-1-1", "hum-1-1.src.rpm"]
    assert subprocess.run(words, env=env, check=False, timeout=60).returncode == code


@given(st.text(alphabet="ab\t\n.-srpm0", max_size=200))
def test_whatever_an_image_answers_reading_ends(text: str) -> None:
    read_rpms(text, [("a", "b")])


@pytest.mark.parametrize(
    ("version", "word"), [("14.2.0-19", "14.2.0-19"), ("2:1.2~rc1-3", "2__1.2_rc1-3"), ("1..2", "1._.2")]
)
def test_versions_as_gitlab_takes_them(version: str, word: str) -> None:
    assert version_word(version) == word


def test_older_records_are_read() -> None:
    assert WheelRecord.model_fields["grafts"].get_default() is None
