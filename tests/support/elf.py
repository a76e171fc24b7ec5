"""Small riscv64 shared objects for tests, written byte by byte: no compiler is needed.

They hold what checks look at: header and flags, ``.riscv.attributes``, the dynamic section (NEEDED, RUNPATH), symbol
versions that are needed, and GNU_STACK. They are not meant to be loaded. Layout: System V gABI and RISC-V ELF psABI.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

# What uv's published riscv64 binary says of itself.
RV64GC = "rv64i2p1_m2p0_a2p1_f2p2_d2p2_c2p0_zicsr2p0_zifencei2p0_zmmul1p0_zaamo1p0_zalrsc1p0_zca1p0_zcd1p0"
RISCV, X86_64 = 243, 62


def attributes(arch: str) -> bytes:
    """Return a ``.riscv.attributes`` section: stack alignment 16 and the instruction set."""
    inner = b"\x04\x10" + b"\x05" + arch.encode() + b"\0"
    file = b"\x01" + struct.pack("<I", len(inner) + 5) + inner
    vendor = b"riscv\0" + file
    return b"A" + struct.pack("<I", len(vendor) + 4) + vendor


@dataclass(frozen=True)
class Elf:
    """A shared object.

    Attributes:
        machine: the header's machine number.
        flags: ``e_flags``; 5 is what every riscv64 Linux object has (RVC, lp64d).
        bits: the class in the header: 32 makes a file that lies about itself, as good as any for a check.
        arch: the instruction set, None for no attributes section at all.
        needed: libraries, and the symbol versions wanted of each.
        runpath: DT_RUNPATH, None for none.
        exec_stack: whether GNU_STACK is executable.
        wants: symbols that it must find elsewhere, such as ``PyLong_FromLong``.
        exports: symbols that it defines, such as ``PyInit_x``.
    """

    machine: int = RISCV
    flags: int = 5
    bits: int = 64
    arch: str | None = RV64GC
    needed: dict[str, tuple[str, ...]] = field(default_factory=lambda: {"libc.so.6": ("GLIBC_2.27",)})
    runpath: str | None = None
    exec_stack: bool = False
    exports: tuple[str, ...] = ()
    wants: tuple[str, ...] = ()

    def data(self) -> bytes:
        """Return the file's bytes."""
        strings = bytearray(b"\0")

        def string(text: str) -> int:
            offset = len(strings)
            strings.extend(text.encode() + b"\0")
            return offset

        symbols = b"\0" * 24
        versions = struct.pack("<H", 0)
        for export in self.exports:
            symbols += struct.pack("<IBBHQQ", string(export), 0x12, 0, 1, 0x100, 4)
            versions += struct.pack("<H", 1)
        for want in self.wants:
            symbols += struct.pack("<IBBHQQ", string(want), 0x12, 0, 0, 0, 0)
            versions += struct.pack("<H", 1)
        verneed = self._verneed(string)
        tags = [(1, string(name)) for name in self.needed]
        tags += [(29, string(self.runpath))] if self.runpath is not None else []

        # One loadable segment maps the file as it is: address equals offset.
        body = bytearray(b"\0" * (64 + 56 * 3))
        table: list[tuple[str, int, int, int, int, int, int]] = []  # name, type, offset, size, link, info, entsize

        def section(name: str, kind: int, data: bytes, *, link: int = 0, info: int = 0, entsize: int = 0) -> int:
            while len(body) % 8:
                body.append(0)
            offset = len(body)
            body.extend(data)
            table.append((name, kind, offset, len(data), link, info, entsize))
            return offset

        dynstr = section(".dynstr", 3, bytes(strings))
        dynsym = section(".dynsym", 11, symbols, link=1, info=1, entsize=24)
        versym = section(".gnu.version", 0x6FFFFFFF, versions, link=2, entsize=2)
        if verneed:
            needs = section(".gnu.version_r", 0x6FFFFFFE, verneed, link=1, info=len(self.needed_versions))
            tags += [(0x6FFFFFFE, needs), (0x6FFFFFFF, len(self.needed_versions)), (0x6FFFFFF0, versym)]
        tags += [(5, dynstr), (10, len(strings)), (6, dynsym), (11, 24), (0, 0)]
        dynamic_data = b"".join(struct.pack("<qQ", *tag) for tag in tags)
        dynamic = section(".dynamic", 6, dynamic_data, link=1, entsize=16)
        if self.arch is not None:
            section(".riscv.attributes", 0x70000003, attributes(self.arch))
        return self._finish(body, table, dynamic, len(dynamic_data))

    @property
    def needed_versions(self) -> dict[str, tuple[str, ...]]:
        return {name: versions for name, versions in self.needed.items() if versions}

    def _verneed(self, string: object) -> bytes:
        assert callable(string)
        out = b""
        items = list(self.needed_versions.items())
        number = 2
        for index, (library, versions) in enumerate(items):
            last = index == len(items) - 1
            size = 16 + 16 * len(versions)
            out += struct.pack("<HHIII", 1, len(versions), string(library), 16, 0 if last else size)
            for position, version in enumerate(versions):
                after = 0 if position == len(versions) - 1 else 16
                out += struct.pack("<IHHII", 0, 0, number, string(version), after)
                number += 1
        return out

    def _finish(
        self, body: bytearray, table: list[tuple[str, int, int, int, int, int, int]], dynamic: int, length: int
    ) -> bytes:
        names = bytearray(b"\0")
        offsets = []
        for label in [*(row[0] for row in table), ".shstrtab"]:
            offsets.append(len(names))
            names.extend(label.encode() + b"\0")
        names_at = len(body)
        body.extend(names)
        while len(body) % 8:
            body.append(0)
        sections_at = len(body)
        body.extend(b"\0" * 64)
        for name, (_, kind, offset, size, link, info, entsize) in zip(offsets, table, strict=False):
            body.extend(struct.pack("<IIQQQQIIQQ", name, kind, 2, offset, offset, size, link, info, 8, entsize))
        body.extend(struct.pack("<IIQQQQIIQQ", offsets[-1], 3, 0, 0, names_at, len(names), 0, 0, 1, 0))
        whole = len(body)
        programs = struct.pack("<IIQQQQQQ", 1, 5, 0, 0, 0, whole, whole, 0x1000)
        programs += struct.pack("<IIQQQQQQ", 2, 6, dynamic, dynamic, dynamic, length, length, 8)
        programs += struct.pack("<IIQQQQQQ", 0x6474E551, 7 if self.exec_stack else 6, 0, 0, 0, 0, 0, 16)
        body[64 : 64 + len(programs)] = programs
        ident = b"\x7fELF" + bytes([2 if self.bits == 64 else 1, 1, 1, 0]) + b"\0" * 8
        count = len(table) + 2
        header = struct.pack(
            "<HHIQQQIHHHHHH", 3, self.machine, 1, 0, 64, sections_at, self.flags, 64, 56, 3, 64, count, count - 1
        )
        body[:64] = ident + header
        return bytes(body)
