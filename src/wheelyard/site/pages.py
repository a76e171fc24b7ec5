"""The pages as pure functions of what they show: the same records make the same bytes."""

from __future__ import annotations

import re
from itertools import chain, repeat
from typing import TYPE_CHECKING
from urllib.parse import quote

from packaging.version import Version

from wheelyard.site.html import Html, link, tag, text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wheelyard.site.site_report import Site, SiteFile, SitePackage, SitePatch, SiteVersion

FOLDER = "package"  # not "packages": where records are has that name
STYLE = """\
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 72rem; margin: 0 auto; padding: 1rem; }
h1, h2 { line-height: 1.2; overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; }
caption { text-align: start; padding-bottom: .3rem; }
th, td { text-align: start; vertical-align: top; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #8885;
  white-space: nowrap; }
th[scope=row] { position: sticky; inset-inline-start: 0; background: Canvas; }
.text { min-width: min(14rem, 40vw); white-space: normal; overflow-wrap: anywhere; }
tr:target > * { background: Mark; color: MarkText; }
code, pre { font-family: ui-monospace, monospace; overflow-wrap: anywhere; }
pre { padding: .6rem; border: 1px solid #8885; white-space: pre-wrap; }
"""
_MB = 1_000_000
_LONG = 24  # characters from which on a cell's text is broken into lines
_MARKUP = re.compile(r"<[^>]*>")
_STATUS = re.compile(r"\A(?P<word>[^\[]+) \[(?P<url>https://[^\[\]\s]+)\]\Z")


def pages(site: Site) -> dict[str, str]:
    """Return every page by its path, the start page last: what it links to is there before it is."""
    made = {"style.css": STYLE}
    for package in site.packages:
        made[f"{FOLDER}/{package.package}/index.html"] = _package(site, package)
    made["packages.json"] = site.model_dump_json(by_alias=True, indent=1) + "\n"
    made["index.html"] = _overview(site)
    return made


def _overview(site: Site) -> str:
    active = [each for each in site.packages if not each.retired]
    retired = [each for each in site.packages if each.retired]
    body = [tag("h1", "riscv64 wheels for Python"), _install(site, "NAME")]
    if site.updated:
        day = site.updated.isoformat()
        body.append(tag("p", "Last update: ", tag("time", day, datetime=day), "."))
    body += [tag("h2", "Packages"), _overview_table(site, active)]
    if retired:
        body += [tag("h2", "Retired"), tag("p", "Upstream ships riscv64 wheels itself; what is here stays.")]
        rows = [(_to(each), f"since {each.retired}", _said(_newest(each))) for each in retired]
        body.append(_table("Retired packages", ("package", "upstream ships", "newest here"), rows))
    body.append(tag("p", tag("a", "packages.json", href="packages.json"), " has all of this for machines."))
    return _page("riscv64 wheels for Python", body, root="")


def _overview_table(site: Site, packages: Iterable[SitePackage]) -> Html:
    rows = []
    for each in packages:
        newest = _newest(each)
        files = newest.files if newest else ()
        rows.append((_to(each), _said(newest), *(_mark(files, word) for word in site.interpreters)))
    return _table("Newest version of each package", ("package", "newest", *site.interpreters), rows)


def _package(site: Site, package: SitePackage) -> str:
    title = f"{package.package} for riscv64"
    body = [tag("nav", tag("a", "All packages", href="../../index.html")), tag("h1", package.package)]
    if package.retired:
        body.append(tag("p", f"Retired: from {package.retired} on, upstream ships riscv64 wheels itself."))
    if package.note:
        body.append(tag("p", package.note))
    if not package.versions:
        return _page(title, [*body, tag("p", "Nothing is published yet.")], root="../../")
    body += [_install(site, package.package), tag("h2", "Versions"), _versions(site, package)]
    body += [*_patches(package.versions), *_files(package.versions)]
    if package.sources:
        stored = [
            (link(each.url, each.file), f"{each.name} {each.version}", tag("code", each.sha256))
            for each in package.sources
        ]
        body.append(tag("h2", "Sources of copyleft libraries in these wheels"))
        body.append(_table("Source packages", ("file", "source package", "sha256"), stored))
    if package.record:
        body.append(tag("p", link(package.record, "Record of what was published and from what it was built"), "."))
    return _page(title, body, root="../../")


def _versions(site: Site, package: SitePackage) -> Html:
    rows = [
        (
            each.version,
            *(_mark(each.files, word) for word in site.interpreters),
            each.licence or "not known",
            "yes" if each.patched else "no",
            each.ours.isoformat() if each.ours else "not known",
            each.upstream.isoformat() if each.upstream else "never seen",
        )
        for each in package.versions
    ]
    columns = ("version", *site.interpreters, "licence", "patched", "first here", "first upstream")
    return _table("Versions and interpreters", columns, rows)


def _files(versions: Iterable[SiteVersion]) -> list[Html]:
    """Return the wheels, and the builds that they are from, to which each refers: what records say of them."""
    builds: dict[tuple[str, ...], str] = {}
    files: list[tuple[str, ...]] = []
    for each in versions:
        count = 0
        for file in each.files:
            known = [tag("code", word) if word else text("not known") for word in (file.source, file.image)]
            patches = ", ".join(patch.file for patch in each.patches) or "not known which"
            build = (each.version, *known, patches if file.patched else "none")
            if build not in builds:
                count += 1
                builds[build] = f"build-{each.version}" + (f"-{count}" if count > 1 else "")
            label = f"Build record of {file.file}"
            record = tag("a", "build record", href=f"#{quote(builds[build])}", aria_label=label)
            code = tag("code", file.file), _size(file.size), tag("code", file.sha256)
            files.append((*code, record, file.where, _yanked(file)))
    columns = ("version", "source", "image", "patches of the recipe")
    return [
        tag("h2", "Files"),
        _table("Published wheels", ("file", "size", "sha256", "built from", "in", "yanked"), files),
        tag("h2", "Builds"),
        _table("What wheels were built from", columns, builds, builds.values()),
    ]


def _patches(versions: Iterable[SiteVersion]) -> list[Html]:
    known: dict[SitePatch, list[str]] = {}
    for each in versions:
        for patch in each.patches:
            known.setdefault(patch, []).append(each.version)
    if not known:
        return []
    rows = [(tag("code", each.file), each.why, _status(each.status), ", ".join(which)) for each, which in known.items()]
    columns = ("file", "why", "status upstream", "versions")
    return [tag("h2", "Patches"), _table("Patches, and where they stand upstream", columns, rows)]


def _status(status: str) -> Html:
    match = _STATUS.match(status)
    return Html(f"{text(match['word'])} {link(match['url'], match['url'])}") if match else text(status)


def _install(site: Site, name: str) -> Html:
    if not site.index:
        return Html("")
    line = f"pip install {name} --prefer-binary --extra-index-url {site.index}"
    return tag("pre", tag("code", line))


def _to(package: SitePackage) -> Html:
    return tag("a", package.package, href=f"{FOLDER}/{quote(package.package)}/index.html")


def _newest(package: SitePackage) -> SiteVersion | None:
    """Return the newest version that installers choose by themselves, if there is one."""
    for each in package.versions:
        if not Version(each.version).is_prerelease and any(file.yanked is None for file in each.files):
            return each
    return package.versions[0] if package.versions else None


def _said(version: SiteVersion | None) -> str:
    return version.version if version else "none yet"


def _mark(files: Iterable[SiteFile], interpreter: str) -> str:
    """Say it in words: colours and ticks do not reach everybody."""
    those = [file for file in files if interpreter in file.interpreters]
    if not those:
        return "no"
    return "yes" if any(file.yanked is None for file in those) else "yanked"


def _yanked(file: SiteFile) -> str:
    return "no" if file.yanked is None else f"yanked: {file.yanked}" if file.yanked else "yanked"


def _size(size: int) -> str:
    return f"{size / _MB:.1f} MB" if size >= _MB else f"{size / 1000:.1f} kB"


def _table(caption: str, columns: Iterable[str], rows: Iterable[tuple[str, ...]], ids: Iterable[str] = ()) -> Html:
    """Return a table that scrolls by itself where it is too wide; *ids* names its rows."""
    head = tag("thead", tag("tr", *(tag("th", column, scope="col") for column in columns)))
    names = chain(ids, repeat(""))
    body = tag("tbody", *(Html(f"\n{_row(row, next(names))}") for row in rows))
    table = tag("table", tag("caption", caption), head, body)
    return tag("div", table, class_="wide", role="region", aria_label=caption, tabindex="0")


def _row(cells: tuple[str, ...], name: str) -> Html:
    first, *rest = cells
    return tag("tr", _cell("th", first, scope="row"), *(_cell("td", cell) for cell in rest), **_named("id", name))


def _named(key: str, value: str) -> dict[str, str]:
    return {key: value} if value else {}


def _cell(name: str, content: str, **attributes: str) -> Html:
    long = len(_MARKUP.sub("", text(content))) > _LONG
    return tag(name, content, **attributes, **_named("class_", "text" if long else ""))


def _page(title: str, body: Iterable[str], *, root: str) -> str:
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        # Whatever a record may say: no script runs here.
        tag("meta", http_equiv="Content-Security-Policy", content="default-src 'none'; style-src 'self'"),
        tag("title", title),
        tag("link", rel="stylesheet", href=f"{root}style.css"),
    )
    lines = "\n".join(part for part in map(text, body) if part)
    main = tag("body", tag("main", Html(f"\n{lines}\n")))
    return f"<!DOCTYPE html>\n{tag('html', head, main, lang='en')}\n"
