"""Read facts of a compiled file: machine, float ABI, instruction set, run paths, stack, Python symbols.

Sources: the RISC-V ELF psABI ("File Header", ``e_flags``; "Attributes", ``.riscv.attributes``) and the System V
gABI. The file is hostile: reading always ends.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from elftools.common.exceptions import ELFError
from elftools.construct import ConstructError
from elftools.elf.dynamic import DynamicSegment
from elftools.elf.elffile import ELFFile

if TYPE_CHECKING:
    from collections.abc import Iterator

MAGIC = b"\x7fELF"
_BITS = 64
_FLOAT_ABI_MASK = 0x6
_FLOAT_ABI_DOUBLE = 0x4
_PF_X = 0x1
_LARGEST_SYMBOLS = 1 << 26  # bytes of symbols or of their names; PyTorch has about ten million
_SYMBOL = struct.Struct("<IBBHQQ")  # gABI, "Symbol Table": name, info, other, section, value, size
_UNDEFINED, _WEAK = 0, 2
_OF_PYTHON = re.compile(rb"(_?Py\w{1,200})\0")
_LARGEST_ATTRIBUTES = 1 << 16  # bytes; real ones have about a hundred
_TAG_FILE = 1
_TAG_ARCH = 5
# Exceptions that pyelftools does not catch on damaged files, and its own errors.
_BROKEN = (
    ELFError,
    ConstructError,
    ValueError,
    KeyError,
    IndexError,
    AttributeError,
    TypeError,
    OverflowError,
    OSError,
    AssertionError,
)


@dataclass(frozen=True)
class ElfFacts:
    """One compiled file.

    Attributes:
        machine: ``EM_RISCV`` and so on, as the ELF header names it.
        bits: 32 or 64.
        little_endian: byte order.
        double_float: whether floats travel in double-precision registers (``lp64d``).
        arch: the instruction set string of ``.riscv.attributes``, empty if there is none.
        run_paths: every entry of RPATH and RUNPATH.
        executable_stack: whether it requests one.
        python_symbols: the symbols that the interpreter must have: undefined symbols named ``Py…`` or ``_Py…``.
        broken: why it could not be read, empty if it could.
    """

    machine: str = ""
    bits: int = 0
    little_endian: bool = True
    double_float: bool = False
    arch: str = ""
    run_paths: tuple[str, ...] = ()
    executable_stack: bool = False
    python_symbols: tuple[str, ...] = ()
    broken: str = ""


def read_elf(file: IO[bytes]) -> ElfFacts:
    """Read a seekable ELF file."""
    try:
        elf = ELFFile(file)
        return ElfFacts(
            machine=str(elf["e_machine"]),
            bits=elf.elfclass,
            little_endian=elf.little_endian,
            double_float=elf["e_flags"] & _FLOAT_ABI_MASK == _FLOAT_ABI_DOUBLE,
            arch=_arch(elf),
            run_paths=tuple(_run_paths(elf)),
            executable_stack=any(
                segment["p_type"] == "PT_GNU_STACK" and segment["p_flags"] & _PF_X for segment in elf.iter_segments()
            ),
            python_symbols=tuple(_python_symbols(elf)),
        )
    except _BROKEN as error:
        return ElfFacts(broken=f"{type(error).__name__}: {error}"[:200])


def _run_paths(elf: ELFFile) -> Iterator[str]:
    for segment in elf.iter_segments():
        if isinstance(segment, DynamicSegment):
            for tag in segment.iter_tags():
                if tag.entry.d_tag in {"DT_RPATH", "DT_RUNPATH"}:
                    value = getattr(tag, "rpath" if tag.entry.d_tag == "DT_RPATH" else "runpath")
                    yield from str(value).split(":")


def _python_symbols(elf: ELFFile) -> Iterator[str]:
    """Yield them in the file's order. Read here and not by pyelftools, which takes an object for each of millions."""
    symbols, strings = elf.get_section_by_name(".dynsym"), elf.get_section_by_name(".dynstr")
    if symbols is None or strings is None or elf.elfclass != _BITS or not elf.little_endian:
        return
    if max(symbols["sh_size"], strings["sh_size"]) > _LARGEST_SYMBOLS:
        raise ValueError("its symbol table is absurdly large")
    data, names = symbols.data(), strings.data()
    for name, info, _, section, _, _ in _SYMBOL.iter_unpack(data[: len(data) // _SYMBOL.size * _SYMBOL.size]):
        if section == _UNDEFINED and info >> 4 != _WEAK and (match := _OF_PYTHON.match(names, name)):
            yield match[1].decode()


def _arch(elf: ELFFile) -> str:
    section = elf.get_section_by_name(".riscv.attributes")
    if section is None:
        return ""
    if section["sh_size"] > _LARGEST_ATTRIBUTES:
        raise ValueError(".riscv.attributes is absurdly large")
    return parse_attributes(bytes(section.data()))


def parse_attributes(data: bytes) -> str:
    """Return ``Tag_RISCV_arch`` of an attributes section, empty if it is not there.

    Read here and not by pyelftools, which never comes to an end on a sub-section of length zero.

    Raises:
        ValueError: the section contradicts itself.
    """
    if data[:1] != b"A":
        raise ValueError(".riscv.attributes has an unknown format")
    position = 1
    while position < len(data):
        length = int.from_bytes(data[position : position + 4], "little")
        vendor, _, body = data[position + 4 : position + length].partition(b"\0")
        if length < 5 or position + length > len(data):  # noqa: PLR2004 - its own four bytes and a name's end
            raise ValueError(".riscv.attributes contradicts itself")
        if vendor == b"riscv":
            return _arch_of_vendor(body)
        position += length
    return ""


def _arch_of_vendor(data: bytes) -> str:
    position = 0
    while position < len(data):
        tag, after = _uleb(data, position)
        length = int.from_bytes(data[after : after + 4], "little")
        if length < after + 4 - position or position + length > len(data):
            raise ValueError(".riscv.attributes contradicts itself")
        if tag == _TAG_FILE:
            return _arch_of_file(data[after + 4 : position + length])
        position += length
    return ""


def _arch_of_file(data: bytes) -> str:
    position = 0
    while position < len(data):
        tag, position = _uleb(data, position)
        if tag % 2:  # odd tags carry a string, even ones a number
            end = data.index(b"\0", position)
            if tag == _TAG_ARCH:
                return data[position:end].decode("ascii")
            position = end + 1
        else:
            _, position = _uleb(data, position)
    return ""


def _uleb(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if position >= len(data) or shift > 63:  # noqa: PLR2004
            raise ValueError(".riscv.attributes breaks off")
        byte = data[position]
        value |= (byte & 0x7F) << shift
        shift += 7
        position += 1
        if byte < 0x80:  # noqa: PLR2004
            return value, position
