"""Run the steps of a preflight; each runs whatever the result of the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wheelyard.core.tags import Interpreter
from wheelyard.planning.planner import Planner
from wheelyard.preflight.step_results import StepResults
from wheelyard.preflight.stub_wheel import write_stubs
from wheelyard.project.config import Project
from wheelyard.registries.publish_wheels import publish_packages
from wheelyard.sources.source_kind import kind_of

if TYPE_CHECKING:
    from pathlib import Path

    from wheelyard.planning.plan import Plan
    from wheelyard.planning.target import Target
    from wheelyard.preflight.preflight_report import PreflightReport


from wheelyard.preflight.source_steps import SourceSteps, origin_of, scratch
from wheelyard.preflight.step_results import report_of


def run_steps(project: Project, target: Target, results: StepResults) -> PreflightReport:
    """Run every step that is possible.

    Raises:
        DiskError: no space; other errors of this machine are raised too.
    """
    plan = _plan(project, target, results)
    all_interpreters = tuple(map(Interpreter.parse, project.config.interpreters))
    _check_version(project, target, results)
    with scratch() as work:
        facts = SourceSteps(project, target, results, plan.interpreters if plan else all_interpreters, work).run()
        if plan:
            _publish(project, target, plan, work / "site", results)
        else:
            results.add("publish", "skipped", "there is no plan")
    wheels = tuple(wheel.pattern for wheel in plan.expected) if plan else ()
    return report_of(target.package, target.version, results, wheels=wheels, facts=facts)


def _plan(project: Project, target: Target, results: StepResults) -> Plan | None:
    where = target.place("interpreters.only", "interpreters.skip", "expect.tags")
    with results.step("wheels", "Planning", where):
        plan = Planner.of_site(project).plan(target)
        left_out = [f"no wheel for {omission.interpreter}: {omission.reason}" for omission in plan.omissions]
        summary = f"{len(plan.expected)} wheel(s) are expected"
        results.add(
            "wheels", "ok", summary, details=[*(wheel.pattern for wheel in plan.expected), *left_out, *plan.notes]
        )
        return plan
    return None


def _check_version(project: Project, target: Target, results: StepResults) -> None:
    with results.step("version", "Finding the version upstream", target.version_place()):
        if text := kind_of(target.settings.source).check(origin_of(project, target)):
            results.add("version", "ok", text)
        else:
            results.add("version", "skipped", "the source is a local folder, whose version is its own")


def _publish(project: Project, target: Target, plan: Plan, folder: Path, results: StepResults) -> None:
    """Publish stubs of the expected wheels from a scratch ``dist/`` to a scratch index folder, as a dry run."""
    where = target.place("source.name", "expect.tags")
    with results.step("publish", "Publishing stubs (dry run)", where):
        site = Project(folder, project.config)
        folder.mkdir(parents=True, exist_ok=True)
        for linked in (project.recipes, project.root / "pyproject.toml"):  # both decide which names wheels may have
            (folder / linked.name).symlink_to(linked)
        write_stubs(
            site.dist / target.package / target.version,
            target.package,
            target.version,
            plan.expected,
            project.config.policy,
        )
        publication = publish_packages(site, [target.package], str(folder / "index"), dry_run=True)
        if publication.held_back or len(publication.uploads) != len(plan.expected):
            results.add(
                "publish",
                "failed",
                "wheels of these names would not be published",
                where=where,
                fix="give the recipe's folder the name of its wheels",
                details=publication.held_back,
            )
        else:
            results.add("publish", "ok", f"{len(publication.uploads)} stub(s) would be published")
