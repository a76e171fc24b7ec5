"""``site``: pages from records and recipes only; only the index in front of a registry needs the network."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING
from urllib.parse import quote

from packaging.version import Version

from wheelyard.core.tags import Interpreter, WheelName, wheel_for
from wheelyard.io import files
from wheelyard.project.loader import effective, list_recipes, load_recipe
from wheelyard.records.copyleft_sources import SOURCES
from wheelyard.records.history import HISTORY
from wheelyard.records.lockfile import lock_file, newest, read_lock
from wheelyard.records.releases import RELEASES
from wheelyard.registries.open_registry import open_registry
from wheelyard.site.pages import FOLDER, pages
from wheelyard.site.site_report import Site, SiteFile, SitePackage, SitePatch, SiteReport, SiteSource, SiteVersion
from wheelyard.watch.history_summary import history

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from wheelyard.project.config import Project
    from wheelyard.project.loader import Recipe
    from wheelyard.records.releases import ReleasedFile
    from wheelyard.watch.status_report import VersionHistory


def make_site(project: Project, folder: Path) -> SiteReport:
    """Write the pages into *folder*, and return how many changed. All records are read before anything is written.

    Raises:
        RecipeError: a recipe is not valid.
        PlanError: a lock or a history cannot be used.
        RegistryContentError: a record of releases cannot be used.
        DiskError: no space, or no right to write there.
    """
    site = read_site(project)
    changed = write_site(folder, pages(site))
    files = sum(len(version.files) for package in site.packages for version in package.versions)
    return SiteReport(folder=str(folder), files=files, packages=len(site.packages), changed=changed)


def write_site(root: Path, contents: Mapping[str, str]) -> int:
    """Write *contents*, by path, below *root*, and return how many files changed.

    Other files are left alone: of the page of a removed package only that file is deleted, and its folder if it is
    empty then. A folder that is a link belongs to a person.

    Raises:
        DiskError: no space, or no right to write there.
    """
    changed = 0
    with files.disk_errors(root):
        for name, text in contents.items():
            path, data = root / name, text.encode()
            if not path.is_file() or path.read_bytes() != data:
                files.write_bytes(path, data)
                changed += 1
        for page in sorted((root / FOLDER).glob("*/index.html")):
            if page.relative_to(root).as_posix() not in contents and not page.parent.is_symlink():
                page.unlink()
                changed += 1
                if not any(page.parent.iterdir()):
                    page.parent.rmdir()
    return changed


def read_site(project: Project) -> Site:
    """Return the content of the pages; see :func:`make_site` for errors."""
    recipes = set(list_recipes(project))
    published = {path.parent.name for path in project.packages.glob("*/releases.toml")}
    packages = tuple(
        _package(project, name, load_recipe(project, name) if name in recipes else None)
        for name in sorted(recipes | published)
    )
    return Site(
        updated=max((package.updated for package in packages if package.updated), default=None),
        interpreters=project.config.interpreters,
        index=_index(project),
        packages=packages,
    )


def _package(project: Project, name: str, recipe: Recipe | None) -> SitePackage:
    settings = effective(recipe, None)[0] if recipe else None
    lock, entries = read_lock(lock_file(project.packages, name)), HISTORY.read(HISTORY.path(project.packages, name))
    history_by_version = {Version(version.version): version for version in history(name, entries).versions}
    files_by_version: dict[Version, list[ReleasedFile]] = defaultdict(list)
    for file in RELEASES.read(RELEASES.path(project.packages, name)):
        files_by_version[WheelName.parse(file.file).version].append(file)
    pinned = newest(lock)
    days = [day for entry in entries for day in (entry.first, entry.removed) if day]
    return SitePackage(
        package=name,
        pinned=pinned.version if pinned else "",
        retired=lock.retired,
        note=(settings.upstream.note or "") if settings else "",
        updated=max(days, default=None),
        record=_record(project, name) if files_by_version else "",
        sources=tuple(
            SiteSource(name=source.name, version=source.version, file=source.file, sha256=source.sha256, url=source.url)
            for source in SOURCES.read(SOURCES.path(project.packages, name))
        ),
        versions=tuple(
            _version(project, recipe, version, files_by_version[version], history_by_version.get(version))
            for version in sorted(files_by_version, reverse=True)
        ),
    )


def _version(
    project: Project, recipe: Recipe | None, version: Version, files: list[ReleasedFile], days: VersionHistory | None
) -> SiteVersion:
    patched = any(file.patched for file in files)
    patches = effective(recipe, version)[0].patch if recipe and patched else ()
    return SiteVersion(
        version=str(version),
        licence=", ".join(sorted({file.licence for file in files if file.licence})),
        patched=patched,
        patches=tuple(
            SitePatch(file=patch.file, why=patch.why, status=patch.status) for patch in patches if patch.is_for(version)
        ),
        first_published=days.ours if days else None,
        first_upstream=days.upstream if days else None,
        files=tuple(_file(project, file) for file in files),
    )


def _file(project: Project, file: ReleasedFile) -> SiteFile:
    pairs = ["-".join(tag.split("-")[:2]) for tag in file.tags]
    return SiteFile(
        **file.model_dump(include={"file", "where", "sha256", "size", "patched", "source", "image", "yanked"}),
        interpreters=tuple(word for word in project.config.interpreters if wheel_for(Interpreter.parse(word), pairs)),
    )


def _index(project: Project) -> str:
    """Return the address of the one registry that installers can reach; empty where there is none, or several."""
    opened = (open_registry(project, name).adapter for name in project.config.registries)
    served = [adapter.index_url for adapter in opened if adapter.folder is None]
    return served[0] if len(served) == 1 else ""


def _record(project: Project, name: str) -> str:
    config = project.config.change_requests
    if config is None:
        return ""
    middle = "-/blob" if config.forge == "gitlab" else "blob"
    path = RELEASES.path(project.packages, name).relative_to(project.root).as_posix()
    return f"{config.server}/{config.project}/{middle}/{config.base or 'HEAD'}/{quote(path)}"
