"""An index in front of a registry: static pages with what GitLab's own lack.

One link per project, JSON, yanks, sizes; the files stay where they are. Where the folder holds a copy of a file
(:class:`~wheelyard.stages.registry.folder.FolderRegistry`), the address is ours, and its metadata is served too:
installers look for it at the file's address with ``.metadata`` behind it (PEP 658), which GitLab does not serve.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from wheelyard.core.errors import PublishError
from wheelyard.io import files
from wheelyard.stages.registry import pages
from wheelyard.stages.registry.folder import FolderRegistry, write_changed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from wheelyard.record.releases import ReleasedFile
    from wheelyard.stages.registry.port import RegistryFile


def enrich(listed: Sequence[RegistryFile], records: Iterable[ReleasedFile]) -> list[RegistryFile]:
    """Return the files with what our records know of the very same bytes: yanks and sizes."""
    known = {record.file: record for record in records}
    found = []
    for file in listed:
        record = known.get(file.file)
        if record is not None and record.sha256 == file.sha256:
            found.append(replace(file, yanked=record.yanked, size=record.size))
        else:
            found.append(file)
    return found


def write_front(root: Path, projects: Mapping[str, Sequence[RegistryFile]]) -> int:
    """Write the pages of *projects* below *root*, and remove those of others; return how many pages changed.

    A file without a hash is left out: no installer could check it.

    Raises:
        PublishError: a copy in *root* has no description.
        DiskError: no space, or no right to write there.
    """
    own = FolderRegistry(root)
    changed = 0
    with files.disk_errors(root):
        for project, listed in projects.items():
            copies = {file.file: file for file in own.files(project)}
            merged = [_ours(file, copies) for file in listed if file.sha256]
            folder = root / "simple" / project
            changed += write_changed(folder / "index.json", pages.project_json(project, merged))
            changed += write_changed(folder / "index.html", pages.project_html(project, merged))
        for page in (root / "simple").glob("*/index.html"):
            if page.parent.name not in projects:
                files.remove(page.parent)
                changed += 1
        names = sorted(projects)
        changed += write_changed(root / "simple" / "index.json", pages.root_json(names))
        changed += write_changed(root / "simple" / "index.html", pages.root_html(names))
    return changed


def _ours(file: RegistryFile, copies: Mapping[str, RegistryFile]) -> RegistryFile:
    copy = copies.get(file.file)
    if copy is None:
        if not file.url:
            raise PublishError(f"{file.file} has no address", fix="give the index the folder that holds the file")
        return file
    if copy.sha256 != file.sha256:
        raise PublishError(
            f"the copy of {file.file} has other bytes than the registry's",
            details=[f"copy:     sha256 {copy.sha256}", f"registry: sha256 {file.sha256}"],
            fix="remove the copy",
        )
    return replace(copy, yanked=file.yanked)
