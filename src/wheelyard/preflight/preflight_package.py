"""``preflight``: whether a version would get through a build, told on any machine before a riscv64 minute is spent.

Every step that can be taken is taken, whatever became of those before; what was found is remembered by the digest of
what it depends on.
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
from wheelyard.preflight import diff_facts, requirements_check, sdist_facts
from wheelyard.preflight.preflight_report import STEPS, Preflight, SdistFacts
from wheelyard.preflight.steps import Told, fly, obtained, patched, result_of, scratch
from wheelyard.project.loader import effective, load_recipe
from wheelyard.records.lockfile import find, lock_file, read_lock
from wheelyard.records.models import LockedVersion

if TYPE_CHECKING:
    from pathlib import Path

    from wheelyard.project.config import Project

__all__ = ["Preflight", "SdistFacts", "diff_facts", "facts_of", "preflight", "problem", "remembered", "sdist_facts"]

# How long what was found holds: what the index has changes from day to day.
_FRESH, _KEPT = timedelta(hours=20), timedelta(days=7)


def preflight(
    project: Project,
    package: str,
    version: str | None = None,
    *,
    locked: LockedVersion | None = None,
    fresh: bool = False,
) -> Preflight:
    """Return whether *version* would get through a build, and what must change if not; nothing is locked.

    Args:
        project: the project.
        package: the recipe, however its name is spelt.
        version: the version; the newest that is locked, else upstream's newest, when None.
        locked: what it is pinned to, if that is not in the lock yet.
        fresh: look again, even if what was found last still holds.

    Raises:
        UnknownPackageError: there is no such recipe.
        RecipeError: the recipe is not valid.
        ConfigError: site configuration is not valid.
        DiskError: no space.
    """
    recipe = load_recipe(project, package)
    with log.package(recipe.package):
        told = Told()
        target: Target | None = None
        with told.step("version", "Finding the version", f"{recipe.file}:1"):
            if locked is None:
                target = find_target(project, recipe.package, version, write=False)
            else:
                target = Target(recipe, *effective(recipe, locked.version), locked)
        if target is None:
            return _unfound(project, recipe.package, version, told)
        known = None if fresh else _read(project, target, within=_FRESH)
        if known is not None:
            log.info(f"looked at {known.checked:%Y-%m-%d %H:%M} UTC, and nothing has changed since")
            return known
        result = fly(project, target, told)
        if told.lasting:
            _keep(project, target, result)
        return result


def remembered(project: Project, package: str, version: str) -> Preflight | None:
    """Return what a preflight of the last days has found, None if there was none or what it went by has changed.

    Raises:
        UnknownPackageError: there is no such recipe.
        RecipeError: the recipe is not valid.
        PlanError: the lock is not valid.
    """
    recipe = load_recipe(project, package)
    kept = _kept(project, recipe.package, version)
    locked = find(read_lock(lock_file(project.packages, recipe.package)), version) or (kept.locked if kept else None)
    if locked is None:
        return None
    return _read(project, Target(recipe, *effective(recipe, locked.version), locked), within=_KEPT)


def facts_of(
    project: Project, package: str, version: str | None = None, *, locked: LockedVersion | None = None
) -> SdistFacts:
    """Return what the source of a version tells of itself; nothing of upstream's is run.

    Raises:
        WheelyardError: the source cannot be had; see :func:`wheelyard.planning.fetch_source.prepare_source`.
    """
    recipe = load_recipe(project, package)
    if locked is None:
        target = find_target(project, recipe.package, version, write=False)
    else:
        target = Target(recipe, *effective(recipe, locked.version), locked)
    with scratch() as work, log.step(f"Reading the source of {target.package} {target.version}"):
        found = obtained(project, target, work)
        facts = sdist_facts(found.folder / target.settings.build.subdirectory)
        return facts.model_copy(update={"patches": patched(target, found)[1]})


def problem(result: Preflight) -> WheelyardError | None:
    """Return the error that a result is for a shell, None if nothing failed."""
    if result.ok:
        return None
    details = [each.head for each in result.failures]
    kind = PreflightError if result.answered else NetworkError
    what = f"{result.package} {result.package_version}".strip()
    return kind(
        f"{what} would not get through a build: {len(details)} thing(s) to mend"
        if result.answered
        else f"{what} could not be looked at whole: a server does not answer",
        details=details,
        fix=f"mend them, then: nox -s preflight -- {result.package}"
        if result.answered
        else "run the same command again",
    )


def _unfound(project: Project, package: str, version: str | None, told: Told) -> Preflight:
    """Return the result for a version that is not there: the line to change is the recipe's rule for tags, if any."""
    recipe = load_recipe(project, package)
    with contextlib.suppress(ValueError, RecipeError):  # what was asked for may be no version
        settings, explanation = effective(recipe, version)
        target = Target(recipe, settings, explanation, LockedVersion(version=version or "0"))
        place = target.version_place()
        told.findings = [
            each.model_copy(update={"where": place}) if each.where == f"{recipe.file}:1" else each
            for each in told.findings
        ]
    for step in STEPS[1:]:
        told.add(step, "skipped", "there is no version to look at")
    return result_of(package, version or "", told)


# --------------------------------------------------------------------- cache


class _Kept(Model):
    """What a preflight found, and what it went by."""

    schema_: Literal["wheelyard/preflight-kept"] = Field("wheelyard/preflight-kept", alias="schema")
    version_: Literal[1] = Field(1, alias="version")
    inputs: str
    locked: LockedVersion
    result: Preflight


def _inputs(project: Project, target: Target) -> str:
    """Return the digest of what a result depends on and we can know without asking anybody."""
    needed = {name: requirements_check.our_wheels(project, name) for name in target.settings.needs}
    return sha256_value(
        {
            "package": target.package,
            "locked": target.locked.model_dump(mode="json"),
            "recipe": recipe_digest(target),
            "patches": [patch.versions for patch in target.settings.patch],
            "places": {key: each.where for key, each in target.explanation.items()},
            "policy": [project.config.policy, *project.config.interpreters, project.config.image],
            "needed": needed,
            "tools": tools(),
        }
    )


def _file(project: Project, package: str, version: str) -> Path:
    place = sha256_bytes(str(project.root).encode())[:16]
    return (
        cache.cache_dir("preflight", "found", place)
        / package
        / f"{sha256_bytes(canonicalize_version(version).encode())[:16]}.json"
    )


def _keep(project: Project, target: Target, result: Preflight) -> None:
    kept = _Kept(inputs=_inputs(project, target), locked=target.locked, result=result)
    files.write_json(_file(project, target.package, target.version), kept.model_dump(mode="json", by_alias=True))


def _kept(project: Project, package: str, version: str) -> _Kept | None:
    try:
        return _Kept.model_validate_json(_file(project, package, version).read_bytes())
    except (OSError, ValueError):  # not there, or of another layout
        return None


def _read(project: Project, target: Target, *, within: timedelta) -> Preflight | None:
    kept = _kept(project, target.package, target.version)
    if kept is None or kept.result.checked < datetime.now(UTC) - within:
        return None
    return kept.result if kept.inputs == _inputs(project, target) else None
