"""RISC-V instruction set strings, such as ``rv64gc`` or ``rv64i2p1_m2p0_zba1p0``.

Source: the RISC-V unprivileged ISA manual, "ISA Extension Naming Conventions", and the chapters that say which
extension contains which.
"""

from __future__ import annotations

import re

# Extensions that contain others.
_CONTAINS: dict[str, tuple[str, ...]] = {
    "g": ("i", "m", "a", "f", "d", "zicsr", "zifencei"),
    "m": ("zmmul",),
    "a": ("zaamo", "zalrsc"),
    "f": ("zicsr",),
    "d": ("f",),
    "q": ("d",),
    "c": ("zca",),
    "b": ("zba", "zbb", "zbs"),
    "v": ("zve64d", "zvl128b", "d"),
    "zve64d": ("zve64f",),
    "zve64f": ("zve64x", "zve32f"),
    "zve32f": ("zve32x",),
    "zve64x": ("zve32x", "zvl64b"),
    "zve32x": ("zicsr", "zvl32b"),
    "zvl128b": ("zvl64b",),
    "zvl64b": ("zvl32b",),
}
# Names that the RVA20U64 profile gave to what application processors with rv64gc do anyway: counters, and how
# memory behaves (RISC-V Profiles, "RVA20U64 Mandatory Extensions"). GCC 16 writes them into every object.
_RVA20 = frozenset({"zicntr", "ziccif", "ziccrse", "ziccamoa", "za128rs", "zicclsm"})
_BASE = re.compile(r"\Arv(\d+)(.*)\Z", re.DOTALL)
_LETTER = re.compile(r"([a-z])(?:\d+(?:p\d+)?)?")
_LONG = re.compile(r"\A[szx][a-z0-9]*[a-z0-9]\Z")
_VERSION = re.compile(r"\d+p\d+\Z")


def parse_arch(text: str) -> tuple[int, frozenset[str]]:
    """Return the register width and the extensions of *text*, without their versions.

    Raises:
        ValueError: *text* is not such a string.
    """
    match = _BASE.match(text.lower())
    if not match or not match[2]:
        raise ValueError(f"{text[:80]!r} is not a RISC-V instruction set")
    extensions: set[str] = set()
    for index, part in enumerate(match[2].split("_")):
        if index and _LONG.match(part):
            extensions.add(_VERSION.sub("", part))
            continue
        letters = _LETTER.findall(part)
        if not letters or _LETTER.sub("", part):
            raise ValueError(f"{text[:80]!r} is not a RISC-V instruction set")
        extensions.update(letters)
    return int(match[1]), frozenset(extensions)


def closure(extensions: frozenset[str]) -> frozenset[str]:
    """Return *extensions* and all extensions that they contain."""
    contained: set[str] = set()
    pending = list(extensions)
    while pending:
        name = pending.pop()
        if name not in contained:
            contained.add(name)
            pending.extend(_CONTAINS.get(name, ()))
    # Compressed loads and stores of floats come with the two extensions together only.
    if {"c", "d"} <= contained:
        contained.add("zcd")
    if {"i", "m", "a", "f", "d", "c"} <= contained:
        contained |= _RVA20
    return frozenset(contained)


def beyond(arch: str, floor: str) -> tuple[str, ...]:
    """Return the extensions of *arch* that *floor* does not have, sorted; empty if *arch* runs on every board.

    Raises:
        ValueError: one of them is not an instruction set.
    """
    width, extensions = parse_arch(arch)
    floor_width, floor_extensions = parse_arch(floor)
    if width != floor_width:
        return (f"rv{width}",)
    return tuple(sorted(extensions - closure(floor_extensions)))
