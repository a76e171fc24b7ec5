"""What a merge or pull request asks to build: ``Trigger: package:version`` lines of its description.

Anybody writes descriptions, so nothing of one is taken over but a package that has a recipe and a version, both in
their one spelling.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from packaging.version import InvalidVersion, Version

from wheelyard.ci.review_report import ReviewFinding
from wheelyard.core.errors import PlanError, UnknownPackageError, UnknownVersionError
from wheelyard.core.names import canonical, did_you_mean
from wheelyard.io import log

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

LONGEST = 1 << 20  # characters that GitLab lets a description have; GitHub 65,536
_LONGEST_LINE = 300
_LONGEST_VERSION = 100
_MOST = 20  # builds that one description may ask for
_SHOWN = 80
_LINE = re.compile(r"[ \t>*-]{0,20}trigger[ \t]{0,20}:(.*)\Z", re.IGNORECASE | re.DOTALL)
_FIX = "write Trigger: package:version, one a line"


def read(body: str, known: Collection[str]) -> tuple[tuple[str, ...], tuple[ReviewFinding, ...]]:
    """Return what *body* asks to build, each ``package==version`` once, and what is wrong with the rest.

    What stands in a comment of HTML, as templates of descriptions have them, asks for nothing.

    Args:
        body: Markdown.
        known: the packages that have a recipe.
    """
    if len(body) > LONGEST:
        return (), (_finding(0, f"is longer than {LONGEST} characters", "write a shorter description"),)
    wanted: dict[str, None] = {}
    findings = []
    for number, line in enumerate(_without_comments(body).splitlines(), 1):
        match = _LINE.match(line)
        if match is None:
            continue
        found = _one(match[1].strip(), number, known)
        if isinstance(found, ReviewFinding):
            findings.append(found)
        else:
            wanted[found] = None
    if len(wanted) > _MOST:
        findings.append(_finding(0, f"asks for {len(wanted)} builds; {_MOST} is the most", "ask for fewer at once"))
    return tuple(wanted)[:_MOST], tuple(findings[: 2 * _MOST])


def _one(text: str, number: int, known: Collection[str]) -> str | ReviewFinding:
    name, colon, version = (part.strip() for part in text.partition(":"))
    if len(text) > _LONGEST_LINE or not colon or not name or not version:
        return _finding(number, f"{_shown(text)} is no package:version", _FIX)
    try:
        package = canonical(name)
    except UnknownPackageError:
        return _finding(number, f"{_shown(name)} is not a package name", _FIX)
    if package not in known:
        return _finding(number, f"there is no recipe for {package!r}{did_you_mean(package, known)}", _FIX)
    parsed = version_of(version)
    if parsed is None:
        return _finding(number, f"{_shown(version)} is not a version (PEP 440)", _FIX)
    return f"{package}=={parsed}"


def version_of(text: str) -> str | None:
    """Return a version in its one spelling (PEP 440), None if it is none."""
    try:
        return str(Version(text)) if len(text) <= _LONGEST_VERSION and text.isascii() else None
    except InvalidVersion:
        return None


def pairs(words: Iterable[str]) -> tuple[tuple[str, str | None], ...]:
    """Return packages with the version that is asked for: of ``package==version``, or None where only a name is given.

    Raises:
        UnknownPackageError: a word is not even a name.
        UnknownVersionError: what stands behind ``==`` is no version.
    """
    found: dict[tuple[str, str | None], None] = {}
    for word in words:
        name, equals, version = word.partition("==")
        parsed = version_of(version) if equals else None
        if equals and parsed is None:
            raise UnknownVersionError(
                f"{_shown(version)} is not a version (PEP 440)",
                where=_shown(word),
                fix="write such as markupsafe==3.0.3",
            )
        found[canonical(name), parsed] = None
    return tuple(found)


def read_file(path: Path) -> tuple[str, ...]:
    """Return the words of a file with one ``package`` or ``package==version`` a line.

    Raises:
        PlanError: it cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PlanError(f"cannot be read: {getattr(error, 'strerror', None) or error}", where=str(path)) from error
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return tuple(line for line in lines if line)


def _without_comments(body: str) -> str:
    """Return *body* with its comments emptied, their line ends kept; one that is not closed goes to the end."""
    kept = []
    rest = body
    while rest:
        before, begin, rest = rest.partition("<!--")
        inside, _, rest = rest.partition("-->") if begin else ("", "", "")
        kept += [before, "\n" * inside.count("\n")]
    return "".join(kept)


def _finding(line: int, text: str, fix: str) -> ReviewFinding:
    where = f"description, line {line}" if line else "description"
    return ReviewFinding(kind="trigger", where=where, text=text, fix=fix)


def _shown(text: str) -> str:
    return repr(log.clean(text[:_SHOWN]) + ("…" if len(text) > _SHOWN else ""))
