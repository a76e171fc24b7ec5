"""``check``: look at wheels once more; analysis only, nothing is changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wheelyard.core.errors import CheckError
from wheelyard.flows.planner import Planner
from wheelyard.flows.target import find_target
from wheelyard.io import log
from wheelyard.stages.check import check_wheels

if TYPE_CHECKING:
    from wheelyard.recipe.policy import Project
    from wheelyard.record.models import Verdict


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
        return check_wheels(wheels, plan.expected, project.policy, target.settings.check)
