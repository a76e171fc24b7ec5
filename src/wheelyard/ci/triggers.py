"""What a merge or pull request asks to build: ``Trigger: package:version`` lines of its description.

Anybody writes descriptions, so nothing of one is taken over but a package that has a recipe and a version, both in
their one spelling.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from wheelyard.ci.review_report import ReviewFinding
from wheelyard.core.errors import UnknownPackageError
from wheelyard.core.names import canonical, did_you_mean
from wheelyard.planning.package_words import shown, version_of

if TYPE_CHECKING:
    from collections.abc import Collection

LONGEST = 1 << 20  # characters that GitLab lets a description have; GitHub 65,536
_LONGEST_LINE = 300
_MOST = 20  # builds that one description may ask for
_LINE = re.compile(r"[ \t>*-]{0,20}trigger[ \t]{0,20}:(.*)\Z", re.IGNORECASE | re.DOTALL)
_FIX = "write Trigger: package:version, one a line"


def read(body: str, recipes: Collection[str]) -> tuple[tuple[str, ...], tuple[ReviewFinding, ...]]:
    """Return what *body* asks to build, each ``package==version`` once, and what is wrong with the rest.

    What stands in a comment of HTML, as templates of descriptions have them, asks for nothing.

    Args:
        body: Markdown.
        recipes: the packages that have a recipe.
    """
    if len(body) > LONGEST:
        return (), (_finding(0, f"is longer than {LONGEST} characters", "write a shorter description"),)
    requests: dict[str, None] = {}
    findings = []
    for number, line in enumerate(_without_comments(body).splitlines(), 1):
        match = _LINE.match(line)
        if match is None:
            continue
        request = _one(match[1].strip(), number, recipes)
        if isinstance(request, ReviewFinding):
            findings.append(request)
        else:
            requests[request] = None
    if len(requests) > _MOST:
        findings.append(_finding(0, f"asks for {len(requests)} builds; {_MOST} is the most", "ask for fewer at once"))
    return tuple(requests)[:_MOST], tuple(findings[: 2 * _MOST])


def _one(text: str, number: int, recipes: Collection[str]) -> str | ReviewFinding:
    name, colon, version = (part.strip() for part in text.partition(":"))
    if len(text) > _LONGEST_LINE or not colon or not name or not version:
        return _finding(number, f"{shown(text)} is no package:version", _FIX)
    try:
        package = canonical(name)
    except UnknownPackageError:
        return _finding(number, f"{shown(name)} is not a package name", _FIX)
    if package not in recipes:
        return _finding(number, f"there is no recipe for {package!r}{did_you_mean(package, recipes)}", _FIX)
    parsed = version_of(version)
    if parsed is None:
        return _finding(number, f"{shown(version)} is not a version (PEP 440)", _FIX)
    return f"{package}=={parsed}"


def _without_comments(body: str) -> str:
    """Return *body* with its comments emptied, their line ends kept; one that is not closed goes to the end."""
    parts = []
    rest = body
    while rest:
        before, begin, rest = rest.partition("<!--")
        inside, _, rest = rest.partition("-->") if begin else ("", "", "")
        parts += [before, "\n" * inside.count("\n")]
    return "".join(parts)


def _finding(line: int, text: str, fix: str) -> ReviewFinding:
    where = f"description, line {line}" if line else "description"
    return ReviewFinding(kind="trigger", where=where, text=text, fix=fix)
