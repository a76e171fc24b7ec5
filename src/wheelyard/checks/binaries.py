"""Rules for the compiled files of a wheel."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from wheelyard.checks.riscv_isa import beyond
from wheelyard.checks.rules import Terms, judge, several

if TYPE_CHECKING:
    from wheelyard.checks.elf import ElfFacts
    from wheelyard.checks.wheel import Wheel
    from wheelyard.records.models import Finding

_SIZE = 64
_CP3 = re.compile(r"\Acp3\d+\Z")


def compiled(wheel: Wheel, _terms: Terms) -> Finding:
    """Check that the wheel has compiled files and a platform in its name."""
    problems = []
    if wheel.pure and wheel.elves:
        problems.append(f"its name promises any platform, yet it has {several(m.name for m in wheel.elves)}")
    if not wheel.elves:
        problems.append("nothing in it is compiled")
    return judge(
        "compiled",
        problems,
        passed=several(member.name for member in wheel.elves),
        fix="look for the compile error in the build log; it is the cause",
    )


def machine(wheel: Wheel, _terms: Terms) -> Finding:
    """Check that each compiled file is for 64-bit little-endian RISC-V with the ABI ``lp64d``."""
    problems = [
        f"{member.name}: {_foreign(member.elf)}" for member in wheel.elves if member.elf and _foreign(member.elf)
    ]
    return judge(
        "machine",
        problems,
        passed=f"{len(wheel.elves)} compiled files for riscv64 (lp64d)",
        fix="a program of the build machine slipped in, or a prebuilt file of upstream: build it in the container, or "
        "leave it out",
    )


def _foreign(elf: ElfFacts) -> str:
    if elf.broken:
        return f"cannot be read as ELF ({elf.broken})"
    if elf.machine != "EM_RISCV":
        return f"is for {elf.machine.removeprefix('EM_').lower()}"
    if elf.bits != _SIZE or not elf.little_endian:
        return f"is for {elf.bits}-bit {'little' if elf.little_endian else 'big'}-endian RISC-V"
    return "" if elf.double_float else "does not pass floats in double-precision registers"


def architecture(wheel: Wheel, terms: Terms) -> Finding:
    """Check that no compiled file needs more than the instruction set that every board has.

    Exception:
        site configuration: ``architecture-floor``
    """
    floor = terms.config.architecture_floor
    problems = []
    silent = []
    for member in wheel.elves:
        if member.elf is None or member.elf.machine != "EM_RISCV":
            continue
        if not member.elf.arch:
            silent.append(member.name)
            continue
        try:
            extra = beyond(member.elf.arch, floor)
        except ValueError as error:
            problems.append(f"{member.name}: {error}")
            continue
        if extra:
            problems.append(f"{member.name} needs {', '.join(extra)}, which {floor} does not have")
    note = f"; not stated by {several(silent)}" if silent else ""
    return judge(
        "architecture",
        problems,
        passed=f"nothing beyond {floor}{note}",
        fix="take -march=native and -march flags beyond the floor out of the build (CFLAGS, build options, a patch)",
    )


def run_paths(wheel: Wheel, _terms: Terms) -> Finding:
    """Check that no run path leads out of the wheel, such as to a folder of the build machine."""
    problems = [
        f"{member.name} searches {path or '(the current folder)'}"
        for member in wheel.elves
        if member.elf
        for path in member.elf.run_paths
        if not _relative(path)
    ]
    return judge(
        "run-paths",
        problems,
        passed="none leads out of the wheel",
        fix="remove the run path in the build (-Wl,-rpath, CMAKE_INSTALL_RPATH) or with `patchelf --remove-rpath`",
    )


def _relative(path: str) -> bool:
    return path in {"$ORIGIN", "${ORIGIN}"} or path.startswith(("$ORIGIN/", "${ORIGIN}/"))


def stack(wheel: Wheel, _terms: Terms) -> Finding:
    """Check that no file asks for an executable stack: glibc 2.41 refuses to load such a library (its NEWS file)."""
    problems = [f"{member.name} asks for one" for member in wheel.elves if member.elf and member.elf.executable_stack]
    return judge(
        "executable-stack",
        problems,
        passed="no file asks for one",
        fix="assemble with -Wa,--noexecstack, or add .note.GNU-stack to upstream's assembler files",
    )


def stable_abi(wheel: Wheel, _terms: Terms) -> Finding:
    """Check that a wheel tagged abi3 uses only the stable ABI of the version in its name (PEP 384)."""
    claims = wheel.name is not None and "abi3" in wheel.name.abis
    oldest = min((int(tag[3:]) for tag in wheel.name.pythons if _CP3.match(tag)), default=2) if wheel.name else 2
    problems = []
    if claims:
        added_in = _stable()
        for member in wheel.elves:
            for symbol in member.elf.python_symbols if member.elf else ():
                if symbol not in added_in:
                    problems.append(f"{member.name} uses {symbol}, which is not of the stable ABI")
                elif added_in[symbol] > oldest:
                    problems.append(f"{member.name} uses {symbol}, of the stable ABI only since 3.{added_in[symbol]}")
    return judge(
        "stable-abi",
        problems,
        passed=f"nothing but the stable ABI of 3.{oldest}" if claims else "not claimed",
        fix="upstream claims too much: report it there, and build one wheel per interpreter until it is fixed",
    )


def _stable() -> dict[str, int]:
    """Return the symbols of the stable ABI, and the minor version of Python 3 that brought each."""
    from abi3info import DATAS, FUNCTIONS  # only abi3 wheels pay for it

    return {symbol.linux: entry.added.minor for table in (FUNCTIONS, DATAS) for symbol, entry in table.items()}
