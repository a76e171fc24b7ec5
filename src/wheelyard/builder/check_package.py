"""``check``: check built wheels again; analysis only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wheelyard.checks import check_wheels
from wheelyard.core.errors import CheckError
from wheelyard.io import log
from wheelyard.planning.planner import Planner
from wheelyard.planning.target import find_target

if TYPE_CHECKING:
    from pathlib import Path

    from wheelyard.core.values import ExpectedWheel
    from wheelyard.planning.selection import Due
    from wheelyard.project.config import Project
    from wheelyard.records.models import Verdict


def check_wheel(project: Project, due: Due, expected: ExpectedWheel, wheel: Path) -> None:
    """Check one wheel of a version that is due.

    Raises:
        CheckError: the wheel fails a check.
    """
    verdict = check_wheels([wheel], [expected], project.config, due.target.settings.check)
    findings = [*verdict.overall, *(finding for wheel_verdict in verdict.wheels for finding in wheel_verdict.findings)]
    failed = [f"{finding.rule}: {finding.text}" for finding in findings if not finding.ok]
    if failed:
        raise CheckError(f"{len(failed)} check(s) failed", where=wheel.name, details=failed)


def check_package(project: Project, package: str, version: str | None) -> Verdict:
    """Return the verdict on the wheels of one version in ``dist/``, against today's plan.

    Raises:
        CheckError: there is no wheel.
    """
    target = find_target(project, package, version, write=False)
    plan = Planner(project).plan(target)
    folder = project.dist / target.package / target.version
    wheels = sorted(folder.glob("*.whl"))
    if not wheels:
        raise CheckError("there is no wheel to check", where=str(folder), fix=f"nox -s build-{target.package}")
    with log.step(f"Checking {len(wheels)} wheel(s)"):
        return check_wheels(wheels, plan.expected, project.config, target.settings.check)
