"""An index in front of a registry: static pages with what GitLab's own lack.

One link per project, JSON, yanks, sizes; the files stay where they are. Where the folder holds a copy of a file
(:class:`~wheelyard.registries.directory.DirectoryRegistry`), the address is ours, and its metadata is served too:
installers look for it at the file's address with ``.metadata`` behind it (PEP 658), which GitLab does not serve.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from wheelyard.core.errors import PublishError, RegistryContentError
from wheelyard.io import files
from wheelyard.registries import simple_index
from wheelyard.registries.directory import DirectoryRegistry, write_changed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from wheelyard.records.releases import ReleasedFile
    from wheelyard.registries.registry import RegistryFile


def enrich(listed: Sequence[RegistryFile], records: Iterable[ReleasedFile]) -> list[RegistryFile]:
    """Return the files with the yanks and sizes that our records have of the same bytes."""
    record_by_file = {record.file: record for record in records}
    enriched = []
    for file in listed:
        record = record_by_file.get(file.file)
        if record is not None and record.sha256 == file.sha256:
            yanked = file.yanked if record.yanked is None else record.yanked
            enriched.append(replace(file, yanked=yanked, size=record.size))
        else:
            enriched.append(file)
    return enriched


def listable(listed: Sequence[RegistryFile], records: Iterable[ReleasedFile]) -> tuple[list[RegistryFile], list[str]]:
    """Return the files that an index can show, each once, and why it cannot show others.

    A file without a hash is left out, since no installer could check it. Of several with one name, the one that was
    recorded is the right one.
    """
    sha256_by_file = {record.file: record.sha256 for record in records}
    copies: dict[str, list[RegistryFile]] = defaultdict(list)
    for file in listed:
        copies[file.file].append(file)
    shown_files: list[RegistryFile] = []
    reasons: list[str] = []
    for name, copy_list in copies.items():
        hashes = {file.sha256 for file in copy_list if file.sha256}
        right = hashes if len(hashes) == 1 else hashes & {sha256_by_file.get(name)}
        if right:
            shown_files.append(next(file for file in copy_list if file.sha256 in right))
        elif hashes:
            reasons.append(f"{name}: is there with different bytes, and none of them is recorded")
        else:
            reasons.append(f"{name}: the registry does not know its sha256")
    return shown_files, reasons


def write_front(root: Path, projects: Mapping[str, Sequence[RegistryFile]]) -> int:
    """Write the pages of *projects* below *root*, and remove those of others; return how many pages changed.

    Nothing is written unless everything can be.

    Raises:
        RegistryContentError: a copy in *root* has other bytes than the registry; every such one is listed.
        PublishError: a file has no address, or a copy in *root* has no description.
        DiskError: no space, or no right to write there.
    """
    own = DirectoryRegistry(root)
    changed = 0
    with files.disk_errors(root), own.locked():
        merged = _merged(own, projects)
        for project, listed in merged.items():
            folder = root / "simple" / project
            changed += write_changed(folder / "index.json", simple_index.project_json(project, listed))
            changed += write_changed(folder / "index.html", simple_index.project_html(project, listed))
        names = sorted(merged)
        changed += write_changed(root / "simple" / "index.json", simple_index.root_json(names))
        changed += write_changed(root / "simple" / "index.html", simple_index.root_html(names))
        for page in (root / "simple").glob("*/index.html"):
            if page.parent.name not in merged:
                files.remove(page.parent)
                changed += 1
    return changed


def _merged(own: DirectoryRegistry, projects: Mapping[str, Sequence[RegistryFile]]) -> dict[str, list[RegistryFile]]:
    """Return the files of each project that has any, with our own addresses where we hold copies."""
    files_by_name: dict[str, list[RegistryFile]] = {}
    refused: list[str] = []
    for project, listed in projects.items():
        copies = {file.file: file for file in own.files(project)}
        for file in listed:
            copy = copies.get(file.file)
            if copy is None and not file.url:
                raise PublishError(
                    f"{file.file} has no address: its folder is another one",
                    fix="give the index that very folder, which holds the files",
                )
            if copy is not None and copy.sha256 != file.sha256:
                refused.append(f"{file.file}: sha256 {copy.sha256} here, {file.sha256} in the registry")
            merged = file if copy is None else replace(copy, yanked=file.yanked)
            files_by_name.setdefault(project, []).append(merged)
    if refused:
        raise RegistryContentError(
            "copies in the folder have other bytes than the registry's files",
            where=str(own.root),
            details=refused,
            fix="find out which ones are right; a wrong copy is to be removed from the folder",
        )
    return files_by_name
