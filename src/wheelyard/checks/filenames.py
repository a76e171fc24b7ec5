"""Check that the wheels are the expected ones, and that file names and content agree."""

from __future__ import annotations

from email.parser import HeaderParser
from typing import TYPE_CHECKING

from packaging.version import InvalidVersion, Version

from wheelyard.checks.rules import Terms, judge
from wheelyard.core.tags import WheelName, manylinux

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wheelyard.checks.wheel import Wheel
    from wheelyard.core.values import ExpectedWheel
    from wheelyard.records.models import Finding

_PURE = (
    "it is a pure wheel (none-any) where a platform wheel is due: some packages fall back to plain Python in silence "
    "when their extension does not compile"
)


def platform_problem(name: WheelName, policy: str) -> str:
    """Return why *name* has no platform that the site configuration takes, empty if it has (PEP 600)."""
    if name.platforms == ("any",):
        return _PURE
    limit = manylinux(policy)
    if limit is None:
        return f"{policy} is not a manylinux policy"
    parsed = {platform: manylinux(platform) for platform in name.platforms}
    foreign = sorted(platform for platform, value in parsed.items() if value is None or value[1] != limit[1])
    if foreign:
        return f"its platform {', '.join(foreign)} is not manylinux for {limit[1]}"
    newest = min(value[0] for value in parsed.values() if value)
    if newest > limit[0]:
        return f"it needs glibc {newest[0]}.{newest[1]}, site configuration {policy} allows {limit[0][0]}.{limit[0][1]}"
    return ""


def is_expected(name: WheelName, expected: ExpectedWheel) -> bool:
    """Check whether *name* is the expected wheel, without regard to its platform."""
    try:
        same_version = name.version == Version(expected.version)
    except InvalidVersion:
        return False
    return (
        same_version
        and name.name == expected.name
        and set(name.pythons) == set(expected.python.split("."))
        and set(name.abis) == set(expected.abi.split("."))
    )


def expected_set(wheels: Sequence[Wheel], terms: Terms) -> Finding:
    """Check that the wheels are exactly those of the plan: none is missing, doubled or unexpected.

    Exception:
        recipe: ``[expect] tags``
    """
    problems = []
    left = [wheel for wheel in wheels if wheel.name is not None]
    for expected in terms.expected:
        hits = [wheel for wheel in left if wheel.name and is_expected(wheel.name, expected)]
        good = [wheel for wheel in hits if wheel.name and not platform_problem(wheel.name, terms.config.policy)]
        if not good:
            problems.append(f"missing: {expected.pattern}")
        if len(hits) > 1:
            problems.append(f"{len(hits)} wheels for {expected.pattern}")
        left = [wheel for wheel in left if wheel not in hits]
    left += [wheel for wheel in wheels if wheel.name is None]
    problems += [f"unexpected: {wheel.path.name}" + (f" ({_PURE})" if wheel.pure else "") for wheel in left]
    pure = any(wheel.pure for wheel in wheels)
    return judge(
        "expected-wheels",
        problems,
        passed=f"{len(wheels)} of {len(terms.expected)} expected wheels, no other",
        fix="look for the compile error in the build log; it is the cause"
        if pure
        else "see `plan` for what is expected and why; [expect] tags in the recipe says otherwise",
    )


def file_name(wheel: Wheel, terms: Terms) -> Finding:
    """Check that the file name is a wheel's, for riscv64 and an allowed glibc (PEP 427, PEP 600).

    Exception:
        site configuration: ``policy``
    """
    problem = platform_problem(wheel.name, terms.config.policy) if wheel.name else wheel.name_problem
    return judge(
        "file-name",
        [problem] if problem else [],
        passed=wheel.path.name,
        fix="look for the compile error in the build log; it is the cause"
        if wheel.pure
        else "look in the build log at what auditwheel repair said, and at the image the wheel was built in",
    )


def wheel_tags(wheel: Wheel, _terms: Terms) -> Finding:
    """Check that ``WHEEL`` has the tags of the file name (PEP 427, "File contents")."""
    headers = HeaderParser().parsestr(wheel.text("WHEEL"))
    problems = []
    if str(headers.get("Wheel-Version", "")).split(".")[0] != "1":
        problems.append(f"WHEEL has Wheel-Version {headers.get('Wheel-Version')!s}, not 1.x")
    if wheel.name is not None:
        listed = {str(tag) for tag in headers.get_all("Tag", [])}
        named = {str(tag) for tag in wheel.name.tags}
        problems += [f"tag {tag} is in the file name and not in WHEEL" for tag in sorted(named - listed)]
        problems += [f"tag {tag} is in WHEEL and not in the file name" for tag in sorted(listed - named)]
        if str(headers.get("Build", "")) != wheel.name.build:
            problems.append(f"build number {wheel.name.build or '(none)'} is not what WHEEL says")
    purelib = str(headers.get("Root-Is-Purelib", "")).lower()
    if purelib not in {"true", "false"}:
        problems.append("WHEEL does not say Root-Is-Purelib")
    elif purelib == "true" and wheel.elves:
        problems.append("WHEEL says Root-Is-Purelib: true, yet there are compiled files")
    return judge(
        "wheel-tags",
        problems,
        passed="WHEEL and file name agree",
        fix="a wheel was renamed or repacked by hand: let the build backend or `wheel tags` do it",
    )
