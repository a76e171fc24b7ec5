"""``plan``: what would be built, and why; instant and offline once versions are locked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wheelyard.core.errors import WheelyardError
from wheelyard.io import log
from wheelyard.planning.package_words import pairs
from wheelyard.planning.plan import plan_json
from wheelyard.planning.planner import Planner
from wheelyard.planning.target import find_target
from wheelyard.project.loader import list_recipes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wheelyard.core.tags import Interpreter
    from wheelyard.planning.plan import Plan
    from wheelyard.project.config import Project
    from wheelyard.project.inheritance import Explanation


@dataclass(frozen=True)
class Plans:
    """The plans of several packages.

    Attributes:
        plans: the plans of all packages without a problem.
        problems: why the others cannot; one package's mistake does not hide the rest.
    """

    plans: tuple[Plan, ...]
    problems: tuple[WheelyardError, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the plans for machines (``docs/reference/schemas/plan.schema.json``)."""
        return plan_json(self.plans)


def plan_packages(
    project: Project,
    packages: Sequence[str] = (),
    *,
    version: str | None = None,
    pythons: tuple[Interpreter, ...] = (),
    image: str | None = None,
) -> Plans:
    """Return the plans of *packages*, each a name or ``name==version``, all recipes when there are none.

    Nothing is written.

    Raises:
        ConfigError: there is no such image.
    """
    planner = Planner(project, image, pythons)
    planner.choice  # noqa: B018 - a mistake in it is not one of each package
    plans: list[Plan] = []
    problems: list[WheelyardError] = []
    for word in packages or list_recipes(project):
        try:
            ((package, requested_version),) = pairs((word,))
            with log.package(package):
                plans.append(planner.plan(find_target(project, package, requested_version or version, write=False)))
        except WheelyardError as error:
            problems.append(error)
    return Plans(tuple(plans), tuple(problems))


def explain(project: Project, package: str, version: str | None) -> Explanation:
    """Return every setting of one version, and which file gave it."""
    return find_target(project, package, version, write=False).explanation


def explain_json(package: str, explanation: Explanation) -> dict[str, Any]:
    """Return the explanation for machines."""
    return {
        "schema": "wheelyard/explanation",
        "version": 1,
        "package": package,
        "settings": {key: {"value": item.value, "where": item.where} for key, item in explanation.items()},
    }
