"""``preflight``: check on any machine, before a riscv64 container starts, whether a version would build.

Every step that is possible runs, even after a failed one. The report is stored with the digest of its inputs.
"""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

from packaging.utils import canonicalize_version
from pydantic import Field

from wheelyard.core.digests import sha256_bytes, sha256_value
from wheelyard.core.errors import NetworkError, PreflightError, RecipeError, WheelyardError
from wheelyard.core.model import Model
from wheelyard.io import cache, files, log
from wheelyard.planning.fingerprint import recipe_digest, tools
from wheelyard.planning.target import Target, find_target
from wheelyard.preflight import requirements_check
from wheelyard.preflight.preflight_report import STEPS, PreflightReport, SdistFacts
from wheelyard.preflight.source_facts import sdist_facts
from wheelyard.preflight.source_steps import apply_patches, obtain_source, scratch
from wheelyard.preflight.step_results import StepResults, report_of
from wheelyard.preflight.steps import run_steps
from wheelyard.project.loader import effective, load_recipe
from wheelyard.records.lockfile import find, lock_file, read_lock
from wheelyard.records.models import LockedVersion

if TYPE_CHECKING:
    from pathlib import Path

    from wheelyard.project.config import Project

# How long a report is valid: the content of the index changes daily.
_REUSE_AGE, _MAX_AGE = timedelta(hours=20), timedelta(days=7)


def preflight(
    project: Project,
    package: str,
    version: str | None = None,
    *,
    locked: LockedVersion | None = None,
    fresh: bool = False,
) -> PreflightReport:
    """Return a report on whether *version* would build, and what must change if not; nothing is locked.

    Args:
        project: the project.
        package: the recipe's name in any spelling.
        version: the version; by default the newest locked one, else upstream's newest.
        locked: its lock entry, if the lock does not have it yet.
        fresh: check again, even if the stored report is valid.

    Raises:
        UnknownPackageError: there is no such recipe.
        RecipeError: the recipe is not valid.
        ConfigError: the site configuration is not valid.
        DiskError: no space.
    """
    recipe = load_recipe(project, package)
    with log.package(recipe.package):
        results = StepResults()
        target: Target | None = None
        with results.step("version", "Finding the version", f"{recipe.file}:1"):
            if locked is None:
                target = find_target(project, recipe.package, version, write=False)
            else:
                target = Target(recipe, *effective(recipe, locked.version), locked)
        if target is None:
            return _no_version(project, recipe.package, version, results)
        stored = None if fresh else _load_valid(project, target, within=_REUSE_AGE)
        if stored is not None:
            log.info(f"checked at {stored.checked:%Y-%m-%d %H:%M} UTC, no input has changed since")
            return stored
        result = run_steps(project, target, results)
        if results.lasting:
            _store(project, target, result)
        return result


def stored_report(project: Project, package: str, version: str) -> PreflightReport | None:
    """Return the stored report of the last days, None if there is none or an input has changed.

    Raises:
        UnknownPackageError: there is no such recipe.
        RecipeError: the recipe is not valid.
        PlanError: the lock is not valid.
    """
    recipe = load_recipe(project, package)
    stored = _load(project, recipe.package, version)
    locked = find(read_lock(lock_file(project.packages, recipe.package)), version) or (
        stored.locked if stored else None
    )
    if locked is None:
        return None
    return _load_valid(project, Target(recipe, *effective(recipe, locked.version), locked), within=_MAX_AGE)


def facts_of(
    project: Project, package: str, version: str | None = None, *, locked: LockedVersion | None = None
) -> SdistFacts:
    """Return the facts of a version's source; no code of upstream runs.

    Raises:
        WheelyardError: the source cannot be fetched; see :func:`wheelyard.planning.target.prepare_source`.
    """
    recipe = load_recipe(project, package)
    if locked is None:
        target = find_target(project, recipe.package, version, write=False)
    else:
        target = Target(recipe, *effective(recipe, locked.version), locked)
    with scratch() as work, log.step(f"Reading the source of {target.package} {target.version}"):
        source = obtain_source(project, target, work)
        facts = sdist_facts(source.folder / target.settings.build.subdirectory)
        return facts.model_copy(update={"patches": apply_patches(target, source)[1]})


def problem(result: PreflightReport) -> WheelyardError | None:
    """Return the error for a failed report, None if nothing failed."""
    if result.ok:
        return None
    details = [finding.head for finding in result.failures]
    kind = PreflightError if result.answered else NetworkError
    label = f"{result.package} {result.package_version}".strip()
    return kind(
        f"{label} would not build: {len(details)} problem(s) to fix"
        if result.answered
        else f"{label} could not be checked completely: a server does not answer",
        details=details,
        fix=f"fix them, then: nox -s preflight -- {result.package}"
        if result.answered
        else "run the same command again",
    )


def _no_version(project: Project, package: str, version: str | None, results: StepResults) -> PreflightReport:
    """Return the report for a version that does not exist; the line to change is the recipe's rule for tags, if any."""
    recipe = load_recipe(project, package)
    with contextlib.suppress(ValueError, RecipeError):  # the requested text may be no version
        settings, explanation = effective(recipe, version)
        target = Target(recipe, settings, explanation, LockedVersion(version=version or "0"))
        place = target.version_place()
        results.findings = [
            finding.model_copy(update={"where": place}) if finding.where == f"{recipe.file}:1" else finding
            for finding in results.findings
        ]
    for step in STEPS[1:]:
        results.add(step, "skipped", "there is no version to check")
    return report_of(package, version or "", results)


# --------------------------------------------------------------------- cache


class _StoredReport(Model):
    """A report, and the digest of its inputs."""

    schema_: Literal["wheelyard/stored-preflight"] = Field("wheelyard/stored-preflight", alias="schema")
    version_: Literal[1] = Field(1, alias="version")
    inputs: str
    locked: LockedVersion
    result: PreflightReport


def _inputs(project: Project, target: Target) -> str:
    """Return the digest of a report's inputs on this machine, without a request to a server."""
    needed = {name: requirements_check.our_wheels(project, name) for name in target.settings.needs}
    return sha256_value(
        {
            "package": target.package,
            "locked": target.locked.model_dump(mode="json"),
            "recipe": recipe_digest(target),
            "patches": [patch.versions for patch in target.settings.patch],
            "places": {key: setting.where for key, setting in target.explanation.items()},
            "policy": [project.config.policy, *project.config.interpreters, project.config.image],
            "needed": needed,
            "tools": tools(),
        }
    )


def _file(project: Project, package: str, version: str) -> Path:
    project_digest = sha256_bytes(str(project.root).encode())[:16]
    return (
        cache.cache_dir("preflight", "reports", project_digest)
        / package
        / f"{sha256_bytes(canonicalize_version(version).encode())[:16]}.json"
    )


def _store(project: Project, target: Target, result: PreflightReport) -> None:
    stored = _StoredReport(inputs=_inputs(project, target), locked=target.locked, result=result)
    files.write_json(_file(project, target.package, target.version), stored.model_dump(mode="json", by_alias=True))


def _load(project: Project, package: str, version: str) -> _StoredReport | None:
    try:
        return _StoredReport.model_validate_json(_file(project, package, version).read_bytes())
    except (OSError, ValueError):  # missing, or of another layout
        return None


def _load_valid(project: Project, target: Target, *, within: timedelta) -> PreflightReport | None:
    stored = _load(project, target.package, target.version)
    if stored is None or stored.result.checked < datetime.now(UTC) - within:
        return None
    return stored.result if stored.inputs == _inputs(project, target) else None
