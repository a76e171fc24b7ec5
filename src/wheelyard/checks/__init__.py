"""Check wheels against the plan and the rules; analysis only.

Every rule runs on every wheel, so that one run reports all problems.
"""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

from wheelyard.checks import binaries, contents, filenames, wheel_metadata
from wheelyard.checks._modules import modules_of
from wheelyard.checks.auditwheel import audit, check_glibc, check_libraries
from wheelyard.checks.install import RunIn, install_check
from wheelyard.checks.rules import Terms
from wheelyard.checks.verdict import merge, verdict_table, with_findings
from wheelyard.checks.wheel import Wheel, read_wheel
from wheelyard.core.errors import CheckError
from wheelyard.records.models import Finding, Verdict, WheelVerdict

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from wheelyard.core.values import ExpectedWheel
    from wheelyard.project.config import SiteConfig
    from wheelyard.project.recipe import Check

__all__ = [
    "RULES",
    "RunIn",
    "check_wheels",
    "install_check",
    "merge",
    "modules_to_import",
    "verdict_table",
    "with_findings",
]

# A check is a function here: for any file, or for a wheel whose content could be read. Its docstring is its line in
# docs/reference/wheel-checks.md.
_ALWAYS: tuple[Callable[[Wheel, Terms], Finding], ...] = (filenames.file_name, contents.archive)
_READ: tuple[Callable[[Wheel, Terms], Finding], ...] = (
    filenames.wheel_tags,
    wheel_metadata.metadata,
    wheel_metadata.record,
    wheel_metadata.licence,
    binaries.compiled,
    binaries.machine,
    binaries.architecture,
    binaries.run_paths,
    binaries.stack,
    binaries.stable_abi,
    contents.modes,
    contents.top_level,
)

RULES: tuple[Callable[..., Finding], ...] = (filenames.expected_set, *_ALWAYS, *_READ, check_glibc, check_libraries)


def check_wheels(
    wheels: Sequence[Path], expected: Sequence[ExpectedWheel], config: SiteConfig, settings: Check
) -> Verdict:
    """Return the verdict on the wheels of one version.

    Args:
        wheels: the files.
        expected: what the plan wants; all of one package and version.
        config: what holds for all packages.
        settings: the recipe's settings.

    Raises:
        ValueError: nothing is expected.
        OSError: a file cannot be read.
    """
    if not expected:
        raise ValueError("a verdict needs at least one expected wheel")
    terms = Terms(tuple(expected), config, settings)
    read = [read_wheel(path, config) for path in sorted(wheels)]
    return Verdict(
        package=expected[0].name,
        package_version=expected[0].version,
        wheels=tuple(_judge(wheel, terms) for wheel in read),
        overall=(filenames.expected_set(read, terms),),
    )


def _judge(wheel: Wheel, terms: Terms) -> WheelVerdict:
    findings = [rule(wheel, terms) for rule in _ALWAYS]
    if wheel.members:
        findings += [rule(wheel, terms) for rule in _READ]
    # auditwheel unpacks the archive: only if that is safe, and only if there is something to audit.
    if wheel.elves and not wheel.problems and wheel.name is not None:
        findings += audit(wheel, terms)
    return WheelVerdict(wheel=wheel.path.name, sha256=wheel.sha256, findings=tuple(findings))


def modules_to_import(wheel: Path, settings: Check) -> tuple[str, ...]:
    """Return the modules whose import shows that *wheel* works: every top-level one, unless the recipe names others.

    Raises:
        CheckError: it is not a zip archive.
    """
    if settings.imports is not None:
        return settings.imports
    try:
        with zipfile.ZipFile(wheel) as archive:
            return modules_of(archive.namelist())
    except (zipfile.BadZipFile, OSError) as error:
        raise CheckError(f"is not a whole zip archive: {error}", where=str(wheel), fix="build it again") from error
