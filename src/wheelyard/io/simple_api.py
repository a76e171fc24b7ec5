"""Pages of the simple API, read with pypi-simple: PEP 503 (HTML), PEP 691 (JSON)."""

from __future__ import annotations

import functools
import json
import re
from typing import TYPE_CHECKING, Any

from packaging.version import InvalidVersion, Version

from wheelyard.core.errors import NetworkError
from wheelyard.core.pep440 import read_version
from wheelyard.core.tags import WheelName
from wheelyard.io import log

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pypi_simple import ProjectPage

JSON = "application/vnd.pypi.simple.v1+json"
HTML = "application/vnd.pypi.simple.v1+html"
ACCEPT = f"{JSON}, {HTML};q=0.1, text/html;q=0.01"
KINDS = frozenset({JSON, HTML, "text/html"})
_DAY = len("2026-01-31")
_REFERENCE = re.compile(
    r"[A-Za-z0-9._+!-]+-cp3\d{1,2}-[a-z0-9_]+-manylinux(?:_\d+_\d+|20\d\d|1)_(aarch64|x86_64)(?:\.[a-z0-9_.]+)?\.whl\Z"
)


def kind_of(content_type: str) -> str:
    """Return the media type of a page, ``text/html`` where the server does not say."""
    return content_type.partition(";")[0].strip().lower() or "text/html"


def project_page(
    project: str,
    body: bytes,
    kind: str,
    url: str,
    *,
    fix: str,
    newest: int | None = None,
    back_to: Version | None = None,
) -> ProjectPage:
    """Return a project's page.

    Args:
        project: its canonical name.
        body: what the server sent.
        kind: its media type; see :func:`kind_of`.
        url: where it is, for the addresses in it.
        fix: what to do if it is no such page.
        newest: leave out what is older than that many final versions, if the page lists its versions (PEP 700); and
            of those that have CPython's manylinux wheels (PEP 600) for aarch64 or x86-64, wheels for other systems.
        back_to: do not leave out this version, and what is newer.

    Raises:
        NetworkError: it is no page of the simple API.
    """
    import warnings

    from pydantic_core import from_json
    from pypi_simple import ProjectPage, UnexpectedRepoVersionWarning, UnsupportedRepoVersionError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UnexpectedRepoVersionWarning)
            if kind == JSON:
                told = from_json(body, cache_strings="keys")  # in two thirds of the time that json takes
                told = _without_nulls(_newest(project, told, newest, back_to) if newest else told)
                return ProjectPage.from_json_data(told, None if _absolute(told) else url)
            return ProjectPage.from_html(project, body, url)
    except (ValueError, UnsupportedRepoVersionError, RecursionError) as error:
        raise _no_page(f"what the index says of {project!r}", error, fix) from error


def project_names(body: bytes, kind: str, *, fix: str) -> list[str]:
    """Return the projects that an index's root page lists, as they are written there, doubles included.

    Raises:
        NetworkError: it is no page of the simple API.
    """
    from pypi_simple import IndexPage, UnsupportedRepoVersionError

    try:
        page = IndexPage.from_json_data(json.loads(body)) if kind == JSON else IndexPage.from_html(body)
    except (ValueError, UnsupportedRepoVersionError, RecursionError) as error:
        raise _no_page("the index's list of projects", error, fix) from error
    return list(page.projects)


def _without_nulls(page: Any) -> Any:
    """Leave out hashes that are null: GitLab writes them for files whose hash it was not told, PEP 691 has none."""
    if isinstance(page, dict) and isinstance(page.get("files"), list):
        for file in page["files"]:
            if isinstance(file, dict) and isinstance(file.get("hashes"), dict):
                file["hashes"] = {name: value for name, value in file["hashes"].items() if value is not None}
    return page


def _absolute(page: Any) -> bool:
    """Tell whether no address needs another to be complete; to join thousands takes as long as all else."""
    files = page.get("files") if isinstance(page, dict) else None
    return isinstance(files, list) and all(
        isinstance(file, dict) and str(file.get("url")).startswith(("https://", "http://")) for file in files
    )


def _newest(project: str, page: Any, count: int, back_to: Version | None) -> Any:
    """Leave out the files of what is older than the newest final versions: to take these apart is most of the work.

    Pre-releases do not count: a project may have dozens of them since its last final release.
    """
    if not isinstance(page, dict) or not all(isinstance(page.get(key), list) for key in ("versions", "files")):
        return page
    known = {version for text in page["versions"] if isinstance(text, str) and (version := _parsed(text))}
    final = sorted((version for version in known if not version.is_prerelease), reverse=True)
    if len(final) <= count:
        return page
    oldest = min(final[count - 1], back_to or final[count - 1])
    try:
        # Few versions have many files: one step for a file, all others for a version.
        names = [file["filename"] for file in page["files"]]
        texts = list(_versions(names))
    except (TypeError, KeyError, AttributeError, ValueError):
        return page  # not as PEP 691 has it; what reads all of it says so
    dropped = {text for text in set(texts) if (found := _version(text)) and found < oldest}
    kept = [each for each in zip(page["files"], names, texts, strict=True) if each[2] not in dropped]
    by_version: dict[str, list[tuple[dict[str, Any], str]]] = {}
    for file, name, text in kept:
        by_version.setdefault(text, []).append((file, name))
    served = {text: _served(project, found) for text, found in by_version.items()}
    return page | {"files": [file for file, name, text in kept if _tells(name.lower(), served[text])]}


def _versions(files: Iterable[str]) -> Iterator[str]:
    """Yield the version in each file's name, with a source archive's ending; most are the one before them again."""
    before = version = "-"
    for file in files:
        if not file.endswith(".whl"):
            yield file.rpartition("-")[2]
        elif file.startswith(before):
            yield version
        else:
            name, version, _ = file.split("-", 2)
            before = f"{name}-{version}-"
            yield version


def _served(project: str, files: list[tuple[dict[str, Any], str]]) -> set[str]:
    """Return for which processors a version has a wheel that its wheels for other systems can be left out for.

    They say nothing that it does not only where it came on the first day, and all ask for the same Python.
    """
    if len({str(file.get("requires-python")) for file, _ in files}) > 1:
        return set()
    served: set[str] = set()
    first = min(str(file.get("upload-time"))[:_DAY] for file, _ in files)
    for file, name in files:
        match = _REFERENCE.fullmatch(name)
        if match is None or match[1] in served or file.get("yanked") not in (None, False):
            continue
        if str(file.get("upload-time"))[:_DAY] == first and _is_wheel(name, project, match[1]):
            served.add(match[1])
    return served


def _is_wheel(name: str, project: str, arch: str) -> bool:
    try:
        wheel = WheelName.parse(name)
    except ValueError:
        return False
    return wheel.name == project and wheel.floor(arch) is not None


def _tells(file: str, served: set[str]) -> bool:
    """Tell whether *file* says more than the wheels of its version that are *served*."""
    if not served or not file.endswith(".whl") or file.endswith("-any.whl"):
        return True
    return "riscv64" in file or "aarch64" in file or ("x86_64" in file and "aarch64" not in served)


def _version(text: str) -> Version | None:
    """Return the version where *text* is one, with a source archive's ending or without."""
    for end in (".tar.gz", ".zip"):
        text = text.removesuffix(end)
    return _parsed(text)


@functools.lru_cache(4096)
def _parsed(text: str) -> Version | None:
    try:
        return read_version(text)
    except InvalidVersion:
        return None


def _no_page(what: str, error: Exception, fix: str) -> NetworkError:
    return NetworkError(
        f"{what} is not a page of the simple API (PEP 503, PEP 691)",
        details=[log.clean(str(error))[:200]],
        fix=fix,
    )
