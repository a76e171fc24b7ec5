"""What else is in a wheel: modes, stray files, and the modules that it brings."""

from __future__ import annotations

import re
import stat
from typing import TYPE_CHECKING

from wheelyard.stages.check.rules import Terms, judge, several

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wheelyard.record.models import Finding
    from wheelyard.stages.check.wheel import Wheel

# The tags that CPython puts into the names of extension modules (PEP 3149), and the stable ABI's.
_EXTENSION = re.compile(r"\A(?P<name>[^.]+)(\.(cpython-[^.]+|abi3|abi3t))?\.so\Z")
_INSTALLED = re.compile(r"\A[^/]+\.data/(platlib|purelib)/")
# What belongs to a source tree: many projects install it by mistake, under names that clash with each other's.
_STRAY = {"tests", "test", "testing", "docs", "doc", "examples", "example", "benchmarks", "benchmark", "scripts", "src"}
_NOT_TO_IMPORT = {"__main__", "conftest", "setup"}


def archive(wheel: Wheel, _terms: Terms) -> Finding:
    """The zip archive is whole, and no member of it leads anywhere else."""
    return judge(
        "archive",
        wheel.problems,
        passed=f"{len(wheel.members)} files",
        fix="build the wheel again; if it is the same again, the build backend or a repair step writes it so",
    )


def modes(wheel: Wheel, _terms: Terms) -> Finding:
    """Nobody but the owner may write to an installed file, and none runs as somebody else."""
    problems = []
    for member in wheel.members.values():
        if member.mode & stat.S_IWOTH:
            problems.append(f"{member.name} may be written by everybody")
        if member.mode & (stat.S_ISUID | stat.S_ISGID):
            problems.append(f"{member.name} runs as its owner or group")
    return judge(
        "modes",
        problems,
        passed="as they should be",
        fix="build with umask 022, and set the modes of upstream's files with a patch",
    )


def top_level(wheel: Wheel, _terms: Terms) -> Finding:
    """What the wheel puts into site-packages. Names that other projects use too are told, and pass."""
    modules = modules_of(wheel.members)
    tops = {_INSTALLED.sub("", path).split("/")[0].removesuffix(".py") for path in wheel.members}
    stray = sorted(tops & _STRAY)
    cached = sum("__pycache__/" in path or path.endswith(".pyc") for path in wheel.members)
    notes = [f"note: {', '.join(stray)} may clash with other projects' files"] if stray else []
    notes += [f"note: {cached} compiled .pyc files"] if cached else []
    return judge(
        "modules",
        [] if modules else ["no module can be imported from it"],
        passed="; ".join([several(modules), *notes]),
        fix="look at what the build backend packs; [check] imports in the recipe names modules that are hidden",
    )


def modules_of(paths: Iterable[str]) -> tuple[str, ...]:
    """Return every top-level module among the paths of a wheel, sorted.

    Packages and single modules, plain or compiled; of a namespace package (PEP 420) the modules one level down,
    since importing a bare folder shows nothing. Folders of tests and the like are left out.
    """
    tree: dict[str, set[str]] = {}
    found: set[str] = set()
    for path in paths:
        top, _, rest = _INSTALLED.sub("", path).partition("/")
        if rest:
            tree.setdefault(top, set()).add(rest)
        elif module := _module(top):
            found.add(module)
    for top, inside in tree.items():
        if not top.isidentifier() or top in _STRAY or top == "__pycache__":
            continue
        if _has_init(inside):
            found.add(top)
            continue
        for rest in inside:
            head, _, tail = rest.partition("/")
            module = _module(head) if not tail else (head if _has_init({tail}) and head.isidentifier() else "")
            if module and module not in _STRAY:
                found.add(f"{top}.{module}")
    return tuple(sorted(found - _NOT_TO_IMPORT))


def _has_init(inside: Iterable[str]) -> bool:
    return any("/" not in rest and _module(rest) == "__init__" for rest in inside)


def _module(file: str) -> str:
    """Return the module that a file in a folder of modules is, empty if it is none."""
    name = file.removesuffix(".py") if file.endswith(".py") else ""
    if match := _EXTENSION.match(file):
        # A plain library lies beside modules sometimes; their tag, if they have one, tells them apart.
        name = "" if match["name"].startswith("lib") and not match[2] else match["name"]
    return name if name.isidentifier() else ""
