"""Instruction sets and ELF facts; sources: RISC-V unprivileged ISA manual (naming), RISC-V ELF psABI."""

from __future__ import annotations

import contextlib
import io

import pytest
from elftools.elf.elffile import ELFFile
from hypothesis import given
from hypothesis import strategies as st

from support.elf import RV64GC, X86_64, Elf, attributes
from wheelyard.checks.elf import parse_attributes, read_elf
from wheelyard.checks.riscv_isa import beyond, parse_arch

# From real files: uv's published riscv64 binary; an older compiler, to which Zaamo had no name yet; GCC 14.2.
REAL = [
    RV64GC,
    "rv64i2p1_m2p0_a2p1_f2p2_d2p2_c2p0_zicsr2p0_zifencei2p0_zmmul1p0",
    "rv64i2p1_m2p0_a2p1_f2p2_d2p2_c2p0_zicsr2p0_zifencei2p0_zmmul1p0_zaamo1p0_zalrsc1p0",
    # GCC 16 in Debian forky: with RVA20U64's names for what such processors do anyway.
    "rv64i2p1_m2p0_a2p1_f2p2_d2p2_c2p0_zicntr2p0_ziccif1p0_ziccrse1p0_ziccamoa1p0_zicsr2p0_zifencei2p0",
]


@pytest.mark.parametrize("arch", REAL)
def test_what_compilers_write_for_rv64gc_is_within_it(arch: str) -> None:
    assert beyond(arch, "rv64gc") == ()


@pytest.mark.parametrize(
    ("arch", "floor", "extra"),
    [
        ("rv64gcv", "rv64gc", ("v",)),
        ("rv64gc_zba1p0_zbb1p0", "rv64gc", ("zba", "zbb")),
        ("rv64i2p1_v1p0_zve64d1p0_zvl128b1p0", "rv64gc", ("v", "zve64d", "zvl128b")),
        ("rv64i2p1_v1p0_zve64d1p0_zve32x1p0_zvl128b1p0_zvl32b1p0", "rv64gcv", ()),
        ("rv64gc_zba", "rv64gc_zba_zbb_zbs", ()),
        ("rv64gc_zba_zbb", "rv64gcb", ()),
        ("rv64gc_xtheadba1p0", "rv64gc", ("xtheadba",)),
        ("rv64imac_zcd", "rv64imac", ("zcd",)),
        ("rv64imac_zicntr", "rv64imac", ("zicntr",)),
        ("rv32gc", "rv64gc", ("rv32",)),
        ("RV64GC", "rv64gc", ()),
    ],
)
def test_what_a_board_need_not_have_is_named(arch: str, floor: str, extra: tuple[str, ...]) -> None:
    assert beyond(arch, floor) == extra


@pytest.mark.parametrize("text", ["", "rv64", "x86-64", "rv64gc__", "rv64!", "rvgc", "rv64gc_ä"])
def test_what_is_no_instruction_set_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a RISC-V instruction set"):
        parse_arch(text)


@given(st.text(alphabet="rvimafdcgzs0123456789p_", max_size=40))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    try:
        width, extensions = parse_arch(text)
    except ValueError:
        return
    assert width >= 0
    assert extensions


def test_elf_facts() -> None:
    facts = read_elf(io.BytesIO(Elf(runpath="$ORIGIN:/build/lib", exec_stack=True).data()))
    assert facts.broken == ""
    assert (facts.machine, facts.bits, facts.little_endian, facts.double_float) == ("EM_RISCV", 64, True, True)
    assert facts.arch == RV64GC
    assert facts.run_paths == ("$ORIGIN", "/build/lib")
    assert facts.executable_stack


def test_elf_facts_of_others() -> None:
    assert read_elf(io.BytesIO(Elf(machine=X86_64, flags=0).data())).machine == "EM_X86_64"
    soft = read_elf(io.BytesIO(Elf(flags=1, arch=None, exec_stack=False).data()))
    assert (soft.double_float, soft.arch, soft.executable_stack, soft.run_paths) == (False, "", False, ())


def test_an_elf_without_its_strings_is_broken() -> None:
    """Its dynamic section says that they are in a section that holds none; pyelftools asserts that it does."""
    data = Elf(runpath="/x").data()
    elf = ELFFile(io.BytesIO(data))
    number = next(index for index, each in enumerate(elf.iter_sections()) if each.name == ".dynamic")
    link = elf["e_shoff"] + number * elf["e_shentsize"] + 40
    facts = read_elf(io.BytesIO(data[:link] + bytes(4) + data[link + 4 :]))
    assert facts.broken.startswith("AssertionError")


@given(st.integers(0, len(Elf().data()) - 1), st.binary(max_size=8))
def test_a_damaged_elf_is_read_to_an_end(position: int, patch: bytes) -> None:
    data = Elf().data()
    read_elf(io.BytesIO(data[:position] + patch + data[position + len(patch) :]))
    read_elf(io.BytesIO(data[:position]))


@given(st.binary(max_size=80))
def test_damaged_attributes_are_read_to_an_end(data: bytes) -> None:
    for start in (b"", b"A", attributes("rv64gc")[:15]):
        with contextlib.suppress(ValueError):
            assert isinstance(parse_attributes(start + data), str)


def test_attributes_of_another_vendor_come_first() -> None:
    other = b"other\0\x01\x05\x00\x00\x00"
    section = b"A" + (len(other) + 4).to_bytes(4, "little") + other + attributes("rv64gc")[1:]
    assert parse_attributes(section) == "rv64gc"


def test_a_sub_section_of_length_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="contradicts itself"):
        parse_attributes(b"A\0\0\0\0riscv\0")
