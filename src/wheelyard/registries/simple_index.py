"""Index pages as pure functions: PEP 503 and 629 (HTML), 691 and 700 (JSON), 592 (yank), 658 and 714 (metadata).

Addresses of files that lie beside the pages are relative, so that any web server, under any path, or ``file://``
serves them.
"""

from __future__ import annotations

import contextlib
import html
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from packaging.utils import parse_sdist_filename

from wheelyard.core.tags import WheelName

if TYPE_CHECKING:
    from collections.abc import Sequence

    from packaging.version import Version

    from wheelyard.registries.registry import RegistryFile

API_VERSION = "1.1"  # PEP 700: sizes, versions and upload times


def project_html(project: str, files: Sequence[RegistryFile]) -> str:
    """Return a project's page (PEP 503)."""
    lines = [_anchor(project, file) for file in files]
    return _page(f"Links for {project}", [f"<h1>Links for {html.escape(project)}</h1>", *lines])


def root_html(projects: Sequence[str]) -> str:
    """Return the list of projects (PEP 503)."""
    return _page("Simple index", [f'<a href="{quote(name)}/">{html.escape(name)}</a><br>' for name in projects])


def project_json(project: str, files: Sequence[RegistryFile]) -> str:
    """Return a project's page (PEP 691, PEP 700)."""
    versions = {version for file in files if (version := version_of(file.file)) is not None}
    return _json(
        {
            "meta": {"api-version": API_VERSION},
            "name": project,
            "versions": [str(version) for version in sorted(versions)],
            "files": [_entry(project, file) for file in files],
        }
    )


def root_json(projects: Sequence[str]) -> str:
    """Return the list of projects (PEP 691)."""
    return _json({"meta": {"api-version": API_VERSION}, "projects": [{"name": name} for name in projects]})


def version_of(file: str) -> Version | None:
    """Return the version in the name of a wheel or sdist (PEP 427, PEP 625), None for any other name."""
    with contextlib.suppress(ValueError):
        return WheelName.parse(file).version
    with contextlib.suppress(ValueError):  # InvalidSdistFilename, and what int() says of thousands of digits
        return parse_sdist_filename(file)[1]
    return None


def identity(file: str) -> tuple[object, ...]:
    """Return what a file is to an installer: two names of wheels that differ in case or separators only are one."""
    try:
        name = WheelName.parse(file)
    except ValueError:
        return (file,)
    return name.name, name.version, name.build, name.tags


def file_url(project: str, file: str) -> str:
    """Return a file's address, relative to its project's page; ``+`` of local versions is escaped."""
    return f"../../files/{quote(project)}/{quote(file)}"


def _page(title: str, body: Sequence[str]) -> str:
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta name="pypi:repository-version" content="{API_VERSION}">',
            f"<title>{html.escape(title)}</title>",
            "</head>",
            "<body>",
            *body,
            "</body>",
            "</html>",
            "",
        ]
    )


def _anchor(project: str, file: RegistryFile) -> str:
    url = file.url or file_url(project, file.file)
    attributes = {"href": url + (f"#sha256={file.sha256}" if file.sha256 else "")}
    if file.requires_python:
        attributes["data-requires-python"] = file.requires_python
    if file.metadata_sha256:
        attributes["data-core-metadata"] = f"sha256={file.metadata_sha256}"
    if file.yanked is not None:
        attributes["data-yanked"] = file.yanked
    text = " ".join(f'{key}="{html.escape(value)}"' for key, value in attributes.items())
    return f"<a {text}>{html.escape(file.file)}</a><br>"


def _entry(project: str, file: RegistryFile) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "filename": file.file,
        "url": file.url or file_url(project, file.file),
        "hashes": {"sha256": file.sha256} if file.sha256 else {},
    }
    if file.requires_python:
        entry["requires-python"] = file.requires_python
    if file.size is not None:
        entry["size"] = file.size
    if file.uploaded:
        entry["upload-time"] = file.uploaded
    if file.metadata_sha256:
        entry["core-metadata"] = {"sha256": file.metadata_sha256}
    if file.yanked is not None:
        # An empty reason is a yank all the same, and JSON has a word for it (PEP 691).
        entry["yanked"] = file.yanked or True
    return entry


def _json(value: object) -> str:
    return json.dumps(value, indent=1, ensure_ascii=True) + "\n"
