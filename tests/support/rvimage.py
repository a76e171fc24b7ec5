"""Whole riscv64 programs of a few instructions, and an image of nothing else: containers without any download."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from wheelyard.images.local.oci import Layout, load

if TYPE_CHECKING:
    from pathlib import Path

_BASE = 0x10000
_ECALL = 0x73
_EXIT, _PPOLL = 93, 73  # numbers of system calls (Linux, asm-generic/unistd.h)


def _li(register: int, value: int) -> int:
    return value << 20 | register << 7 | 0x13  # addi register, zero, value (RISC-V ISA manual, I-type)


def program(*words: int) -> bytes:
    """Return an ELF file that runs these instructions (gABI: ELF header, one program header)."""
    code = struct.pack(f"<{len(words)}I", *words)
    size = 120 + len(code)
    head = b"\x7fELF\x02\x01\x01" + bytes(9)
    head += struct.pack("<HHIQQQIHHHHHH", 2, 243, 1, _BASE + 120, 64, 0, 4, 64, 56, 1, 0, 0, 0)
    return head + struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, 4096) + code


def exits(status: int) -> bytes:
    """Return a program that ends with *status*."""
    return program(_li(10, status), _li(17, _EXIT), _ECALL)


def waits() -> bytes:
    """Return a program that waits for ever."""
    return program(*(_li(register, 0) for register in range(10, 15)), _li(17, _PPOLL), _ECALL)


def spins() -> bytes:
    """Return a program that is busy for ever."""
    return program(0x6F)  # jal zero, 0


def make_image(folder: Path, reference: str) -> str:
    """Load an image with ``/ok``, ``/fail`` (status 7), ``/wait`` and ``/spin``, and return its digest."""
    layout = Layout(folder / "wheelyard-tiny")
    layer = layout.new_layer()
    for name in ("dev", "etc", "proc", "sys", "tmp"):
        layer.folder(name)
    for name, data in {"ok": exits(0), "fail": exits(7), "wait": waits(), "spin": spins()}.items():
        layer.file(name, data, mode=0o755)
    # Images of the same content share one id, and `podman ps --filter ancestor` would mix them up.
    layer.file("name", reference.encode())
    layout.add_layer(layer)
    digest = layout.finish(reference, arch="riscv64", env={"PATH": "/"}, labels={"wheelyard.tiny": "yes"})
    assert load(layout, reference).digest == digest
    return digest
