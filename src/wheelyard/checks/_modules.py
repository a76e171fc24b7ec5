"""Find the modules of a wheel; the standard library only, as the smoke test runs this file in its environment."""

from __future__ import annotations

import re

TYPE_CHECKING = False  # typing takes a while to import under emulation
if TYPE_CHECKING:
    from collections.abc import Iterable

# The tags that CPython puts into the names of extension modules (PEP 3149), and the stable ABI's.
_EXTENSION = re.compile(r"\A(?P<name>[^.]+)(\.(cpython-[^.]+|abi3|abi3t))?\.so\Z")
INSTALLED = re.compile(r"\A[^/]+\.data/(platlib|purelib)/")
# What belongs to a source tree: many projects install it by mistake, under names that clash with each other's.
STRAY = {"tests", "test", "testing", "docs", "doc", "examples", "example", "benchmarks", "benchmark", "scripts", "src"}
_NOT_TO_IMPORT = {"__main__", "conftest", "setup"}


def modules_of(paths: Iterable[str]) -> tuple[str, ...]:
    """Return every top-level module among the paths of a wheel, sorted.

    Packages and single modules, plain or compiled; of a namespace package (PEP 420) the modules one level down,
    since importing a bare folder shows nothing. Folders of tests and the like are left out.
    """
    tree: dict[str, set[str]] = {}
    modules: set[str] = set()
    for path in paths:
        top, _, rest = INSTALLED.sub("", path).partition("/")
        if rest:
            tree.setdefault(top, set()).add(rest)
        elif module := _module(top):
            modules.add(module)
    for top, inside in tree.items():
        if not top.isidentifier() or top in STRAY or top == "__pycache__":
            continue
        if _has_init(inside):
            modules.add(top)
            continue
        for rest in inside:
            head, _, tail = rest.partition("/")
            module = _module(head) if not tail else (head if _has_init({tail}) and head.isidentifier() else "")
            if module and module not in STRAY:
                modules.add(f"{top}.{module}")
    return tuple(sorted(modules - _NOT_TO_IMPORT))


def _has_init(inside: Iterable[str]) -> bool:
    return any("/" not in rest and _module(rest) == "__init__" for rest in inside)


def _module(file: str) -> str:
    """Return the module that a file in a folder of modules is, empty if it is none."""
    name = file.removesuffix(".py") if file.endswith(".py") else ""
    if match := _EXTENSION.match(file):
        # A plain library may lie beside modules; the tag of an extension module distinguishes them.
        name = "" if match["name"].startswith("lib") and not match[2] else match["name"]
    return name if name.isidentifier() else ""
