"""Read facts of a source without building it, and compare the facts of two versions."""

from __future__ import annotations

import ast
import os
import re
import tomllib
import warnings
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.metadata import parse_email
from packaging.requirements import InvalidRequirement

from wheelyard.core import markdown, toml
from wheelyard.core.pep508 import read_requirement
from wheelyard.io import log
from wheelyard.preflight.preflight_report import SdistFacts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from packaging.metadata import RawMetadata

    from wheelyard.preflight.preflight_report import PatchFact

_MAX_SIZE = 4 << 20  # bytes of a file that is read
_COMPILED = frozenset(
    {
        *(".pyx", ".c", ".cc", ".cpp", ".cxx", ".c++", ".cu", ".m", ".mm", ".rs", ".run", ".zig", ".d"),
        *(".f", ".for", ".f77", ".f90", ".f95", ".f03", ".s", ".asm", ".v"),
    }
)
# Meson's and CMake's own functions for extension modules, pybind11's, nanobind's and scikit-build's.
_MODULE = re.compile(
    r"(?:extension_module\s*\(\s*['\"]([\w.]+)['\"]"
    r"|(?:python_add_library|python3_add_library|pybind11_add_module|nanobind_add_module|add_cython_target)"
    r"\s*\(\s*([\w.]+))",
    re.IGNORECASE,
)
_MESON_OR_CMAKE = ("meson.build", "CMakeLists.txt")
_LONGEST_LICENCE = 120  # longer ones are the licence's text
_SHOWN = 8
_DEEP = 2  # depth of the folders by which many files are counted


def sdist_facts(tree: Path, *, metadata: bytes | None = None, patches: Iterable[PatchFact] = ()) -> SdistFacts:
    """Return the facts of *tree*; a file that cannot be read counts as missing.

    Args:
        tree: the folder of the package, unpacked.
        metadata: its PKG-INFO; by default the one in the tree.
        patches: the state of the recipe's patches.
    """
    if metadata is None:
        metadata = metadata_of(tree)
    table = project_table(tree)
    raw = parse_email(metadata)[0] if metadata else _project_metadata(table.get("project"))
    system = table.get("build-system")
    system = system if isinstance(system, dict) else {}
    return SdistFacts(
        name=log.clean(raw.get("name", "")),
        version=log.clean(raw.get("version", "")),
        requires_python=log.clean(raw.get("requires_python", "")),
        licence=_licence(raw),
        backend=log.clean(str(system.get("build-backend", ""))),
        build_requires=_sorted(_strings(system.get("requires"))),
        requires=_sorted(raw.get("requires_dist", [])),
        modules=tuple(sorted(set(_modules(tree, table)))),
        sources=tuple(sorted(path for path in _paths(tree) if "." + path.rpartition(".")[2].lower() in _COMPILED)),
        patches=tuple(patches),
    )


def metadata_of(tree: Path) -> bytes:
    """Return ``PKG-INFO``, empty if it is missing or cannot be read."""
    return _bytes(tree / "PKG-INFO") or b""


def project_table(tree: Path) -> dict[str, Any]:
    """Return ``pyproject.toml``, empty if it is missing or cannot be read."""
    try:
        return toml.loads((_bytes(tree / "pyproject.toml") or b"").decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        return {}


def _bytes(file: Path) -> bytes | None:
    try:
        if file.is_symlink() or not file.is_file() or file.stat().st_size > _MAX_SIZE:
            return None
        return file.read_bytes()
    except OSError:
        return None


def _project_metadata(project: object) -> RawMetadata:
    """Read ``[project]`` as far as it is static (PEP 621, PEP 639)."""
    table: dict[str, Any] = project if isinstance(project, dict) else {}
    raw: RawMetadata = {"requires_dist": _strings(table.get("dependencies"))}
    extras = table.get("optional-dependencies")
    for extra, requires in extras.items() if isinstance(extras, dict) else ():
        raw["requires_dist"] += [
            f'{requirement} ; extra == "{extra}"' for requirement in _strings(requires) if ";" not in requirement
        ]
    for key, value in (("name", "name"), ("version", "version"), ("requires_python", "requires-python")):
        if isinstance(table.get(value), str):
            raw[key] = table[value]  # type: ignore[literal-required] # keys of RawMetadata
    licence = table.get("license")
    if isinstance(licence, str):
        raw["license_expression"] = licence
    elif isinstance(licence, dict) and isinstance(licence.get("text"), str):
        raw["license"] = licence["text"]
    raw["classifiers"] = _strings(table.get("classifiers"))
    return raw


def _licence(raw: RawMetadata) -> str:
    text = raw.get("license_expression") or raw.get("license", "").strip().partition("\n")[0]
    if text and len(text) <= _LONGEST_LICENCE:
        return log.clean(text)
    classifiers = [
        classifier.rpartition(" :: ")[2]
        for classifier in raw.get("classifiers", [])
        if classifier.startswith("License ::")
    ]
    return log.clean(", ".join(classifiers)[:_LONGEST_LICENCE])


def _strings(value: object) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _sorted(requirements: Iterable[str]) -> tuple[str, ...]:
    """Return requirements in one spelling, so that blanks make no difference."""
    return tuple(sorted({_normalize(text) for text in requirements}))


def _normalize(text: str) -> str:
    try:
        return str(read_requirement(text))
    except InvalidRequirement:
        return log.clean(text.strip())


def _paths(tree: Path) -> Iterator[str]:
    for folder, folders, names in os.walk(tree):
        folders[:] = sorted(name for name in folders if name != ".git")
        inside = Path(folder).relative_to(tree)
        yield from (log.clean((inside / name).as_posix()) for name in names)


# ------------------------------------------------------------------- modules


def _modules(tree: Path, table: dict[str, Any]) -> Iterator[str]:
    """Yield the extension modules that build files name literally."""
    tool = table.get("tool") if isinstance(table.get("tool"), dict) else {}
    assert isinstance(tool, dict)  # noqa: S101 - for mypy
    for backend in ("setuptools", "setuptools-rust"):
        section = tool.get(backend)
        items = section.get("ext-modules") if isinstance(section, dict) else None
        for item in items if isinstance(items, list) else ():
            if isinstance(item, dict) and isinstance(name := item.get("name") or item.get("target"), str):
                yield log.clean(name)
    maturin = tool.get("maturin")
    if isinstance(maturin, dict) and isinstance(name := maturin.get("module-name"), str):
        yield log.clean(name)
    yield from _setup_modules(_bytes(tree / "setup.py") or b"")
    for path in _paths(tree):
        if path.rpartition("/")[2] in _MESON_OR_CMAKE:
            text = (_bytes(tree / path) or b"").decode(errors="replace")
            yield from (match[1] or match[2] for match in _MODULE.finditer(text))


def _setup_modules(text: bytes) -> Iterator[str]:
    """Yield the names of extensions in ``setup.py``, which is parsed and not run.

    Setuptools' class is Extension; others are CythonExtension, Pybind11Extension, RustExtension and so on.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about escape sequences and the like in upstream's file
            calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in calls:
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if not called.endswith("Extension"):
            continue
        named = [keyword.value for keyword in node.keywords if keyword.arg in {"name", "target"}]
        for value in (*node.args[:1], *named):
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield log.clean(value.value)


# --------------------------------------------------------------- differences


def diff_facts(old: SdistFacts, new: SdistFacts) -> tuple[str, ...]:
    """Return the differences between two versions, a line of Markdown each.

    Text of upstream is in code spans: there it mentions no user, links nowhere and closes no issue.
    """
    lines = []
    for label, before, after in (
        ("Requires-Python", old.requires_python, new.requires_python),
        ("licence", old.licence, new.licence),
        ("build backend", old.backend, new.backend),
    ):
        if before != after:
            lines.append(f"{label}: {_code(before)} → {_code(after)}")
    for label, earlier, later in (
        ("build requirements", old.build_requires, new.build_requires),
        ("requirements", old.requires, new.requires),
        ("extension modules", old.modules, new.modules),
        ("compiled sources", old.sources, new.sources),
    ):
        lines += _changed(label, earlier, later)
    return (*lines, *_patches(old, new))


def _changed(label: str, old: Sequence[str], new: Sequence[str]) -> Iterator[str]:
    for change, names in (("new", sorted(set(new) - set(old))), ("gone", sorted(set(old) - set(new)))):
        if names:
            yield f"{label}, {change}: {_folders(names) or _first(names)}"


def _first(names: Sequence[str]) -> str:
    rest = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(map(_code, names[:_SHOWN]))}{rest}"


def _folders(paths: Sequence[str]) -> str:
    """Count many files by folder, as for vendored sources; empty for few files, or too many folders."""
    folders = Counter("/".join(path.split("/")[:-1][:_DEEP]) for path in paths)
    if len(paths) <= _SHOWN or len(folders) > _SHOWN or "" in folders:
        return ""
    return ", ".join(f"{count} in {_code(folder)}" for folder, count in folders.most_common())


def _code(text: str) -> str:
    return markdown.code(text) if text else "none"


def _patches(old: SdistFacts, new: SdistFacts) -> Iterator[str]:
    before = {patch.file: patch.state for patch in old.patches}
    for patch in new.patches:
        if patch.state == "upstream":
            yield f"{_code(patch.file)}: upstream has it, narrow its versions"
        elif patch.state == "fails":
            how = "does not apply any more" if before.get(patch.file) == "applies" else "does not apply"
            yield f"{_code(patch.file)}: {how}"
