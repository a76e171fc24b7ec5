"""``site``: pages from records and recipes only; the network is asked for the index in front of a registry alone."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING
from urllib.parse import quote

from packaging.version import Version

from wheelyard.core.tags import Interpreter, WheelName, wheel_for
from wheelyard.project.config_registries import GitLabPolicy
from wheelyard.project.loader import effective, list_recipes, load_recipe
from wheelyard.records.copyleft_sources import SOURCES
from wheelyard.records.history import HISTORY
from wheelyard.records.lockfile import lock_file, newest, read_lock
from wheelyard.records.releases import RELEASES
from wheelyard.registries.gitlab.gitlab_registry import index_url
from wheelyard.site import pages, write_site
from wheelyard.site.site_report import Site, SiteFile, SitePackage, SitePatch, SiteSource, SiteVersion
from wheelyard.watch.history_summary import history

if TYPE_CHECKING:
    from pathlib import Path

    from wheelyard.project.config import Project
    from wheelyard.project.loader import Recipe
    from wheelyard.records.releases import ReleasedFile
    from wheelyard.watch.status_report import VersionHistory


def make_site(project: Project, folder: Path) -> tuple[Site, int]:
    """Write the pages into *folder*; return what they show, and how many files changed.

    All is read before anything is written.

    Raises:
        RecipeError: a recipe is not valid.
        PlanError: a lock or a ledger cannot be used.
        RegistryContentError: a record of releases cannot be used.
        DiskError: no space, or no right to write there.
    """
    site = gather(project)
    return site, write_site(folder, pages(site))


def gather(project: Project) -> Site:
    """Return what the pages show; raises what :func:`make_site` does, but for the disk."""
    recipes = set(list_recipes(project))
    recorded = {path.parent.name for path in project.packages.glob("*/releases.toml")}
    packages = tuple(
        _package(project, name, load_recipe(project, name) if name in recipes else None)
        for name in sorted(recipes | recorded)
    )
    return Site(
        updated=max((each.updated for each in packages if each.updated), default=None),
        interpreters=project.policy.interpreters,
        index=_index(project),
        packages=packages,
    )


def _package(project: Project, name: str, recipe: Recipe | None) -> SitePackage:
    settings = effective(recipe, None)[0] if recipe else None
    lock, facts = read_lock(lock_file(project.packages, name)), HISTORY.read(HISTORY.path(project.packages, name))
    through = {Version(each.version): each for each in history(name, facts).versions}
    by_version: dict[Version, list[ReleasedFile]] = defaultdict(list)
    for file in RELEASES.read(RELEASES.path(project.packages, name)):
        by_version[WheelName.parse(file.file).version].append(file)
    pinned = newest(lock)
    days = [day for fact in facts for day in (fact.first, fact.removed) if day]
    return SitePackage(
        package=name,
        pinned=pinned.version if pinned else "",
        retired=lock.retired,
        note=(settings.upstream.note or "") if settings else "",
        updated=max(days, default=None),
        record=_record(project, name) if by_version else "",
        sources=tuple(
            SiteSource(name=each.name, version=each.version, file=each.file, sha256=each.sha256, url=each.url)
            for each in SOURCES.read(SOURCES.path(project.packages, name))
        ),
        versions=tuple(
            _version(project, recipe, version, by_version[version], through.get(version))
            for version in sorted(by_version, reverse=True)
        ),
    )


def _version(
    project: Project, recipe: Recipe | None, version: Version, files: list[ReleasedFile], seen: VersionHistory | None
) -> SiteVersion:
    patched = any(file.patched for file in files)
    patches = effective(recipe, version)[0].patch if recipe and patched else ()
    return SiteVersion(
        version=str(version),
        licence=", ".join(sorted({file.licence for file in files if file.licence})),
        patched=patched,
        patches=tuple(
            SitePatch(file=each.file, why=each.why, status=each.status) for each in patches if each.is_for(version)
        ),
        ours=seen.ours if seen else None,
        upstream=seen.upstream if seen else None,
        files=tuple(
            SiteFile(
                file=file.file,
                where=file.where,
                sha256=file.sha256,
                size=file.size,
                interpreters=tuple(
                    word for word in project.policy.interpreters if wheel_for(Interpreter.parse(word), _pairs(file))
                ),
                patched=file.patched,
                source=file.source,
                image=file.image,
                yanked=file.yanked,
            )
            for file in files
        ),
    )


def _pairs(file: ReleasedFile) -> list[str]:
    return ["-".join(tag.split("-")[:2]) for tag in file.tags]


def _index(project: Project) -> str:
    """Return the address of the one registry that installers can reach; empty where there is none, or several."""
    found = [each for each in project.policy.registries.values() if isinstance(each, GitLabPolicy)]
    if len(found) != 1:
        return ""
    return index_url(found[0].url, found[0].project)


def _record(project: Project, name: str) -> str:
    policy = project.policy.proposals
    if policy is None:
        return ""
    middle = "-/blob" if policy.forge == "gitlab" else "blob"
    path = RELEASES.path(project.packages, name).relative_to(project.root).as_posix()
    return f"{policy.server}/{policy.project}/{middle}/{policy.base or 'HEAD'}/{quote(path)}"
