"""What the registry holds, indexed so that no request looks at everything."""

from __future__ import annotations

import hashlib
import itertools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from support.gitlab.model import Package, StoredFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime
    from pathlib import Path

    from support.gitlab.model import Project, User

PYTHONS = ("cp311", "cp312", "cp313", "cp314", "cp314t")


class TakenError(Exception):
    """`Validation failed: File name has already been taken`."""


@dataclass(frozen=True)
class Received:
    """An upload whose bytes are on disk.

    Attributes:
        fields: what came with it (name, version, requires_python, …).
        file_name: of its `content`.
        path: where its bytes are now.
        actual_sha256, size: of those.
    """

    fields: dict[str, str]
    file_name: str
    path: Path | None
    actual_sha256: str
    size: int


def normalise(name: str) -> str:
    """As PEP 503 has it; `Packages::Pypi::Package#normalized_pypi_name` and the scope of the same name."""
    return re.sub(r"[-_.]+", "-", name).lower()


class Store:
    """Packages and their files."""

    def __init__(self, files: Path) -> None:
        self.files = files
        self.packages: dict[int, Package] = {}
        self._ids = itertools.count(1)
        self._file_ids = itertools.count(1)
        self._projects: dict[int, dict[int, Package]] = {}
        self._records: dict[tuple[int, str, str], Package] = {}
        self._names: dict[tuple[int, str], dict[int, Package]] = {}
        self._hashes: dict[tuple[int, str, str], StoredFile] = {}

    def add(
        self,
        project: Project,
        upload: Received,
        *,
        now: datetime,
        creator: User | None = None,
        pipeline: int | None = None,
    ) -> StoredFile:
        """Commit an upload: one transaction, as in app/services/packages/pypi/create_package_service.rb.

        Raises:
            TakenError: a file of that name is in the record of that name and version.
        """
        fields = upload.fields
        key = (project.id, fields["name"], fields["version"])
        package = self._records.get(key)
        if package and upload.file_name in package.files:
            raise TakenError
        if not package:
            package = Package(next(self._ids), project, key[1], key[2], now, creator=creator)
            self.packages[package.id] = self._records[key] = package
            self._projects.setdefault(project.id, {})[package.id] = package
            self._names.setdefault((project.id, normalise(package.name)), {})[package.id] = package
        package.requires_python = fields.get("requires_python", "")
        package.summary, package.description = fields.get("summary", ""), fields.get("description", "")
        if pipeline is not None:
            package.pipelines.append(pipeline)
        file_id = next(self._file_ids)
        path = upload.path and upload.path.replace(self.files / str(file_id))
        file = StoredFile(
            file_id, project.id, package.id, package.name, package.version, upload.file_name,
            fields.get("sha256_digest"), upload.actual_sha256, upload.size, path, package.requires_python, now,
        )  # fmt: skip
        package.files[file.file_name] = file
        if file.sha256:
            self._hashes.setdefault((project.id, file.sha256, file.file_name), file)
        return file

    def of(self, project: Project) -> Iterator[Package]:
        """Return what is not about to be destroyed, in the order of creation."""
        return (each for each in list(self._projects.get(project.id, {}).values()) if each.status == "default")

    def named(self, project: Project, requested: str) -> list[Package]:
        """Compare normalise(stored) with downcase(requested): an unnormalised request finds nothing."""
        found = self._names.get((project.id, requested.lower()), {})
        return [each for each in list(found.values()) if each.status == "default"]

    def all_of(self, project: Project) -> Iterable[Package]:
        """Return everything, what awaits destruction included."""
        return list(self._projects.get(project.id, {}).values())

    def download(self, project: Project, sha256: str, file_name: str) -> StoredFile | None:
        return self._hashes.get((project.id, sha256, file_name))

    def destroy(self, package: Package) -> None:
        """Mark it: it is out of every list at once, and its name and version are free again."""
        package.status = "pending_destruction"
        self._records.pop((package.project.id, package.name, package.version), None)
        for file in package.files.values():
            self._forget(file)

    def destroy_file(self, file: StoredFile) -> None:
        self._forget(file)
        self.packages[file.package_id].files.pop(file.file_name, None)

    def _forget(self, file: StoredFile) -> None:
        key = (file.project_id, file.sha256 or "", file.file_name)
        if self._hashes.get(key) is file:
            del self._hashes[key]

    def sweep(self) -> None:
        """Do what the cleanup worker does in its own time: remove what awaits destruction."""
        for package in [each for each in self.packages.values() if each.status == "pending_destruction"]:
            del self.packages[package.id], self._projects[package.project.id][package.id]
            del self._names[package.project.id, normalise(package.name)][package.id]
            for file in package.files.values():
                if file.path:
                    file.path.unlink(missing_ok=True)

    def preload(self, project: Project, count: int, *, now: datetime) -> list[StoredFile]:
        """Make records without bytes: projects of twenty versions of five wheels each."""
        made = []
        for number in range(count):
            name, version = f"preloaded-{number // 100:05}", f"1.{number // len(PYTHONS) % 20}"
            python = PYTHONS[number % len(PYTHONS)]
            wheel = f"{name.replace('-', '_')}-{version}-{python}-{python.rstrip('t')}-manylinux_2_39_riscv64.whl"
            sha256 = hashlib.sha256(wheel.encode()).hexdigest()
            fields = {"name": name, "version": version, "requires_python": ">=3.11", "sha256_digest": sha256}
            made.append(self.add(project, Received(fields, wheel, None, sha256, 1000), now=now))
        return made
