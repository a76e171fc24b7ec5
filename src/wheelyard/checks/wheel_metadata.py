"""Rules for METADATA, RECORD and the licence of a wheel."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from packaging.metadata import parse_email
from packaging.specifiers import InvalidSpecifier
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from wheelyard.checks.rules import Terms, judge, several
from wheelyard.checks.wheel import record_rows
from wheelyard.core.pep440 import read_specifier, read_version
from wheelyard.core.tags import Interpreter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wheelyard.checks.wheel import Wheel
    from wheelyard.records.models import Finding

# Signatures of RECORD are not in RECORD (PEP 427, "Signed wheel files").
_UNLISTED = ("RECORD", "RECORD.jws", "RECORD.p7s")
_ALGORITHM = re.compile(r"\Asha(256|384|512)=")
_LICENCE = re.compile(r"\A(licen[cs]e|copying|notice|authors|unlicense|copyright)", re.IGNORECASE)
_CPYTHON = re.compile(r"\Acp3\d{1,2}\Z")


def metadata(wheel: Wheel, terms: Terms) -> Finding:
    """Check that METADATA has the name and version of the plan, and a fitting Requires-Python (PEP 566, PEP 440)."""
    # Not packaging's strict model: it refuses fields that older build backends wrote before a version allowed them.
    raw, _ = parse_email(wheel.text("METADATA"))
    name, version = raw.get("name", ""), raw.get("version", "")
    problems = [f"METADATA has no {field}" for field in ("metadata_version", "name", "version") if not raw.get(field)]
    expected = terms.expected[0] if terms.expected else None
    if name and expected and canonicalize_name(name) != expected.name:
        problems.append(f"METADATA says Name: {name}, the plan {expected.name}")
    if name and wheel.name and canonicalize_name(name) != wheel.name.name:
        problems.append(f"METADATA says Name: {name}, the file name {wheel.name.name}")
    if version:
        problems += _version_problems(version, wheel, expected.version if expected else "")
    requires = raw.get("requires_python", "")
    problems += _requires_problems(requires, wheel)
    problems += _folder_problems(wheel)
    return judge(
        "metadata",
        problems,
        passed=f"{name} {version}, Requires-Python {requires or '(not stated)'}",
        fix="the source builds another version than planned: a tag template, a missing SETUPTOOLS_SCM_PRETEND_VERSION, "
        "or a patch is the usual cause",
    )


def _version_problems(version: str, wheel: Wheel, planned: str) -> Iterator[str]:
    try:
        stated = read_version(version)
    except InvalidVersion:
        yield f"METADATA says Version: {version[:100]}, which is none (PEP 440)"
        return
    if planned and stated != Version(planned):
        yield f"METADATA says Version: {version}, the plan {planned}"
    if wheel.name and stated != wheel.name.version:
        yield f"METADATA says Version: {version}, the file name {wheel.name.version}"


def _requires_problems(requires: str, wheel: Wheel) -> Iterator[str]:
    try:
        allowed = read_specifier(requires)
    except InvalidSpecifier:
        yield f"METADATA says Requires-Python: {requires[:100]}, which is no specifier (PEP 440)"
        return
    for python in wheel.name.pythons if wheel.name else ():
        # A stable-ABI wheel names the oldest Python it was compiled for, which may be older than what is supported.
        if _CPYTHON.match(python) and wheel.name and "abi3" not in wheel.name.abis:
            interpreter = Interpreter.parse(python)
            if not any(f"{interpreter.version}.{micro}" in allowed for micro in range(100)):
                yield f"Requires-Python: {requires} leaves out {python}, which the wheel is for"


def _folder_problems(wheel: Wheel) -> Iterator[str]:
    if not wheel.name or not wheel.dist_info:
        return
    name, _, version = wheel.dist_info.removesuffix(".dist-info").rpartition("-")
    try:
        matches = canonicalize_name(name) == wheel.name.name and read_version(version) == wheel.name.version
    except InvalidVersion:
        matches = False
    if not matches:
        yield f"its folder {wheel.dist_info} does not bear its name and version (PEP 427)"


def record(wheel: Wheel, _terms: Terms) -> Finding:
    """Check that RECORD lists each file with its hash and size, and no other file (PEP 376, PEP 427)."""
    rows = record_rows(wheel.text("RECORD"))
    exempt = {f"{wheel.dist_info}/{name}" for name in _UNLISTED}
    problems = []
    for path, member in sorted(wheel.members.items()):
        if path in exempt:
            continue
        if path not in rows:
            problems.append(f"{path} is not in RECORD")
            continue
        _, digest, size = rows[path]
        if not _ALGORITHM.match(digest):
            problems.append(f"{path} has no sha256 or better in RECORD")
        elif digest.rstrip("=") != member.digest:
            problems.append(f"{path} has another hash than RECORD says")
        if size and size != str(member.size):
            problems.append(f"{path} has {member.size} bytes, RECORD says {size}")
    problems += [f"{path} is in RECORD and not in the wheel" for path in sorted(set(rows) - set(wheel.members))]
    return judge(
        "record",
        problems,
        passed=f"{len(rows)} rows agree with the files",
        fix="something changed the wheel after it was packed: repack it with `wheel unpack` and `wheel pack`, or drop "
        "the step that does it",
    )


def licence(wheel: Wheel, _terms: Terms) -> Finding:
    """Check that the licence's text is in the wheel: named by METADATA (PEP 639), or by the usual file names."""
    raw, _ = parse_email(wheel.text("METADATA"))
    inside = [path.removeprefix(f"{wheel.dist_info}/") for path in wheel.members if path.startswith(wheel.dist_info)]
    named = raw.get("license_files", [])
    problems = [
        f"METADATA names the licence file {name}, which is not in the wheel"
        for name in named
        if not {name, f"licenses/{name}", f"license_files/{name}"} & set(inside)
    ]
    files = [path for path in inside if path.startswith("licenses/") or _LICENCE.match(path.rpartition("/")[2])]
    if not files:
        problems.append("no licence file is in its .dist-info folder")
    return judge(
        "licence",
        problems,
        passed=several(files),
        fix="add the file to upstream's `license-files` with a patch: most licences want their text to travel along",
    )
