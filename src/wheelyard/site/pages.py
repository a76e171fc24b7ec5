"""The pages as pure functions of the site: the same records make the same bytes.

A column is a ``<th>`` and a cell in ``templates/``; its value is a field in ``site_report.py``.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from packaging.version import Version

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wheelyard.site.site_report import Site, SiteFile, SitePackage, SitePatch, SiteVersion

FOLDER = "package"  # not "packages": the folder of records has that name
_MB = 1_000_000
_STATUS = re.compile(r"\A(?P<word>[^\[]+) \[(?P<url>https://[^\[\]\s]+)\]\Z")
# No control characters, in which browsers and readers of XML differ, nor those that turn the text after them around
# (Unicode's UAX 9); no other scheme than this one runs or tracks nothing.
_CONTROL = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff"
    r"\ufdd0-\ufdef\ufffe\uffff]"
)
_SAFE_URL = re.compile(r"https://[A-Za-z0-9.-]+(:[0-9]+)?(/[!#-;=?-~]*)?\Z")


class Build(NamedTuple):
    """A row of builds: the source, image and patches that wheels share."""

    id: str
    version: str
    source: str
    image: str
    patches: str


class Builds(NamedTuple):
    """The files of a package with the ids of their builds, and these builds."""

    files: list[tuple[SiteFile, str]]
    builds: list[Build]


def pages(site: Site) -> dict[str, str]:
    """Return every page by its path; the start page is last, so that its links are there before it."""
    contents = {"style.css": _render("style.css")}
    for package in site.packages:
        contents[f"{FOLDER}/{package.package}/index.html"] = package_page(site, package)
    contents["packages.json"] = site.model_dump_json(by_alias=True, indent=1) + "\n"
    contents["index.html"] = _render("overview.html", root="", site=site, folder=FOLDER)
    return contents


def package_page(site: Site, package: SitePackage) -> str:
    """Return the page of one package."""
    patches, builds = _patches(package.versions), _builds(package.versions)
    return _render("package.html", root="../../", site=site, package=package, patches=patches, builds=builds)


def _render(template: str, **values: object) -> str:
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", _environment().get_template(template).render(values))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("wheelyard.site"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    for name in (availability, link, megabytes, newest_version, status_link):
        environment.filters[name.__name__] = name
    return environment


def availability(files: Iterable[SiteFile], interpreter: str) -> str:
    """Return whether *files* have a wheel for *interpreter*, as a word: not everybody sees colours and ticks."""
    wheels = [file for file in files if interpreter in file.interpreters]
    if not wheels:
        return "no"
    return "yes" if any(file.yanked is None for file in wheels) else "yanked"


def link(url: str, label: str) -> str:
    """Return a link to another site, or the label alone where *url* is no plain https address."""
    if not _SAFE_URL.match(url):
        return label
    return Markup('<a href="{}" rel="noopener noreferrer">{}</a>').format(url, label)


def megabytes(size: int) -> str:
    """Return a size in bytes for people."""
    return f"{size / _MB:.1f} MB" if size >= _MB else f"{size / 1000:.1f} kB"


def newest_version(package: SitePackage) -> SiteVersion | None:
    """Return the newest version that installers choose by themselves, else the newest one."""
    for version in package.versions:
        if not Version(version.version).is_prerelease and any(file.yanked is None for file in version.files):
            return version
    return package.versions[0] if package.versions else None


def status_link(status: str) -> str:
    """Return a patch's status with its address as a link."""
    match = _STATUS.match(status)
    return Markup("{} {}").format(match["word"], link(match["url"], match["url"])) if match else status


def _patches(versions: Iterable[SiteVersion]) -> dict[SitePatch, list[str]]:
    versions_by_patch: dict[SitePatch, list[str]] = {}
    for version in versions:
        for patch in version.patches:
            versions_by_patch.setdefault(patch, []).append(version.version)
    return versions_by_patch


def _builds(versions: Iterable[SiteVersion]) -> Builds:
    files: list[tuple[SiteFile, str]] = []
    builds: dict[tuple[str, str, str, str], Build] = {}
    for version in versions:
        count = 0
        for file in version.files:
            patches = ", ".join(patch.file for patch in version.patches) or "not known which"
            origin = (version.version, file.source, file.image, patches if file.patched else "none")
            if origin not in builds:
                count += 1
                suffix = f"-{count}" if count > 1 else ""
                builds[origin] = Build(f"build-{version.version}{suffix}", *origin)
            files.append((file, builds[origin].id))
    return Builds(files, list(builds.values()))
