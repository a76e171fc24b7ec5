"""Read GitLab's index pages, and check them before anything becomes a path, an address or a line on a screen."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urldefrag, urlsplit

from packaging.utils import InvalidName, canonicalize_name

from wheelyard.core.digests import stated_sha256
from wheelyard.core.errors import RegistryContentError
from wheelyard.io import log, simple_api
from wheelyard.registries.registry import RegistryFile

if TYPE_CHECKING:
    from wheelyard.io.http import Response

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]*")


def projects(answer: Response, *, title: str, fix: str) -> tuple[str, ...]:
    """Return the canonical names on a root page, sorted; GitLab repeats a project for each of its versions.

    Raises:
        RegistryContentError: one of them is no name.
        NetworkError: it is no page of the simple API.
    """
    names = simple_api.project_names(answer.content, _kind(answer), fix=fix)
    try:
        return tuple(sorted({canonicalize_name(name, validate=True) for name in names}))
    except InvalidName as error:
        raise _odd(title, f"a project {log.clean(str(error))[:200]}", fix) from error


def files(project: str, answer: Response, *, title: str, fix: str) -> list[RegistryFile]:
    """Return the files on a project's page.

    Raises:
        RegistryContentError: one of them has no plain name.
        NetworkError: it is no page of the simple API.
    """
    page = simple_api.project_page(project, answer.content, _kind(answer), answer.url, fix=fix)
    file_list = []
    for package in page.packages:
        if not _PLAIN.fullmatch(package.filename):
            raise _odd(title, f"a file {package.filename[:200]!r} of {project}", fix)
        file_list.append(
            RegistryFile(
                file=package.filename,
                sha256=stated_sha256(package.digests.get("sha256", "")),  # GitLab has an empty one for none
                size=package.size,
                requires_python=log.clean(package.requires_python or ""),
                yanked=log.clean(package.yanked_reason or "") if package.is_yanked else None,
                # GitLab's JSON has the hash behind the address as well, which is the HTML's way (PEP 503).
                url=urldefrag(package.url).url if _is_web(package.url) else "",
            )
        )
    return file_list


def _kind(answer: Response) -> str:
    return simple_api.kind_of(answer.headers.get("Content-Type", ""))


def _is_web(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and "@" not in parts.netloc


def _odd(title: str, text: str, fix: str) -> RegistryContentError:
    return RegistryContentError(f"{title} lists {text}, which is no name at all", fix=fix)
