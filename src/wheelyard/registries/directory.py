"""A registry in a folder: files, and static index pages that any web server or ``file://`` serves.

Layout::

    files/<project>/<wheel>            the wheel
    files/<project>/<wheel>.metadata   its METADATA (PEP 658)
    files/<project>/<wheel>.json       its facts for the pages, so that nothing is hashed twice
    simple/index.html, index.json      the projects
    simple/<project>/index.{html,json} a project's files

A wheel's own rename is the moment it is published: what describes it is written before, pages are derived
after, from what is there. So a run that is killed anywhere leaves either no wheel, or a whole one that the next
run (or :meth:`DirectoryRegistry.rebuild`) lists.
"""

from __future__ import annotations

import contextlib
import json
import time
from typing import TYPE_CHECKING, Literal, Self

from packaging.utils import canonicalize_name
from pydantic import Field, ValidationError

from wheelyard.core.digests import sha256_bytes, sha256_file
from wheelyard.core.errors import ConflictError, DigestMismatchError, PublishError, RegistryContentError
from wheelyard.core.model import Model
from wheelyard.core.tags import WheelName
from wheelyard.io import cache, files
from wheelyard.records.models import Sha256
from wheelyard.registries import simple_index
from wheelyard.registries.registry import NONE, RegistryFile, nobody, source_conflict, version_word
from wheelyard.registries.wheel_file import Release, describe

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from threading import Event

    from wheelyard.project.config_registries import DirectoryConfig
    from wheelyard.registries.registry import Progress

_LEFTOVERS = ".*.tmp"  # what io.files leaves when it is killed
_COMING = ".coming"  # suffix of a wheel that is not whole yet


class FileEntry(Model):
    """``<wheel>.json``: a wheel's facts for index pages; yanked None means it is not."""

    schema_: Literal["wheelyard/index-file"] = Field("wheelyard/index-file", alias="schema")
    version_: Literal[1] = Field(1, alias="version")
    sha256: Sha256
    size: int
    requires_python: str = ""
    metadata_sha256: Sha256
    uploaded: str
    yanked: str | None = None


class DirectoryRegistry:
    """The registry in *root*, which is made when the first wheel comes."""

    parallel = 1

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    def open(cls, config: DirectoryConfig, *, name: str, root: Path) -> Self:  # noqa: ARG003
        """Return the registry of a site configuration."""
        return cls(root / config.path)

    @property
    def title(self) -> str:
        """The folder."""
        return str(self.root)

    @property
    def index_url(self) -> str:
        """The ``file://`` address of its index."""
        return f"{(self.root.resolve() / 'simple').as_uri()}/"

    @property
    def folder(self) -> Path | None:
        """The folder."""
        return self.root

    def is_public(self) -> bool:
        """Return that nobody needs a login."""
        return True

    def sizes(self, project: str) -> dict[tuple[str, str | None], int]:  # noqa: ARG002
        """Return nothing: its index states every size."""
        return {}

    def source_store(self) -> DirectorySources:
        """Return the store for source packages."""
        return DirectorySources(self)

    def projects(self) -> tuple[str, ...]:
        """Return the canonical names of all projects that have files, sorted."""
        base = self.root / "files"
        if not base.is_dir():
            return ()
        return tuple(sorted(folder.name for folder in base.iterdir() if any(self._wheels(folder.name))))

    def files(self, project: str) -> tuple[RegistryFile, ...]:
        """Return the files of a project, sorted by name.

        Raises:
            PublishError: a wheel is there without its description.
        """
        return tuple(_listed(wheel.name, self._entry(wheel)) for wheel in self._wheels(project))

    def check_access(self) -> None:
        """Make the folder, and make sure that it can be written."""
        with files.disk_errors(self.root), self.locked():
            pass

    def put(self, release: Release, *, advance: Progress = nobody, stop: Event | None = None) -> bool:  # noqa: ARG002
        """Publish a wheel; see :meth:`wheelyard.registries.registry.Registry.put`."""
        with files.disk_errors(self.root), self.locked():
            target = self._folder(release.project) / release.name.file
            new = not target.exists()
            published = release.sha256 if new else self._published(target)
            if published != release.sha256:
                raise ConflictError(
                    f"{release.name.file} is in {self.title} already, with other bytes",
                    details=[f"there: sha256 {published}", f"here:  sha256 {release.sha256}"],
                    fix="a file is never replaced: publish a new version, or give the wheel a build number",
                )
            # The very bytes that were published may have been damaged since: then they are restored.
            if new or sha256_file(target) != published:
                self._add(release, target)
            self._write_pages(release.project)
            advance(release.size)
            return new

    def confirm(self, project: str, file: str, sha256: str) -> None:
        """Read a wheel back and hash it."""
        try:
            actual = sha256_file(self._folder(project) / file)
        except FileNotFoundError:
            actual = "nothing"
        if actual != sha256:
            raise RegistryContentError(
                f"{file} has other bytes in {self.title} than were put there",
                details=[f"put:   sha256 {sha256}", f"there: sha256 {actual}"],
                fix="publish it again: that restores it",
            )

    def fetch(self, project: str, file: RegistryFile, target: Path) -> None:
        """Copy a wheel out; see :meth:`wheelyard.registries.registry.Registry.fetch`."""
        wheel = self._folder(project) / file.file
        if not wheel.is_file() or not file.sha256:
            raise PublishError(f"{self.title} has no {file.file}", fix=f"wheelyard registry list {project}")
        files.copy_whole(wheel, target)
        actual = sha256_file(target)
        if actual != file.sha256:
            target.unlink()
            raise DigestMismatchError(
                f"{file.file} is damaged in {self.title}",
                details=[f"published: sha256 {file.sha256}", f"there:     sha256 {actual}"],
                fix="publish it again: that restores it",
            )

    def remove(self, project: str, wheels: Sequence[str], *, staying: Mapping[str, str] = NONE) -> None:  # noqa: ARG002
        """Delete wheels, their descriptions, and their lines in the pages: the pages first, so that none lies."""
        with files.disk_errors(self.root), self.locked():
            wheels_by_name = {wheel.name: wheel for wheel in self._wheels(project)}
            if missing := sorted(set(wheels) - wheels_by_name.keys()):
                raise PublishError(
                    f"{self.title} has no {', '.join(missing)}", fix=f"wheelyard registry list {project}"
                )
            self._write_pages(project, without=wheels)
            for name in wheels:
                files.remove(wheels_by_name[name])
                files.remove(_beside(wheels_by_name[name], "json"))
                files.remove(_beside(wheels_by_name[name], "metadata"))
            if len(wheels_by_name) == len(set(wheels)):
                files.remove(self.root / "simple" / project)
            self._write_root()

    def yank(self, project: str, file: str, reason: str | None) -> bool:
        """Mark a wheel as yanked, or take that back; see :meth:`wheelyard.registries.registry.Registry.yank`."""
        with files.disk_errors(self.root), self.locked():
            wheel = self._folder(project) / file
            if wheel not in set(self._wheels(project)):
                raise PublishError(f"{self.title} has no {file}", fix=f"wheelyard registry list {project}")
            entry = self._entry(wheel).model_copy(update={"yanked": reason})
            files.write_json(_beside(wheel, "json"), entry.model_dump(mode="json", by_alias=True))
            self._write_pages(project)
        return True

    def rebuild(self) -> tuple[str, ...]:
        """Derive what is missing, and every page, from the wheels; return what was found wrong.

        A wheel whose bytes are not those that were published is reported. Its page goes on stating the published hash,
        so that every installer refuses it; publishing the true one again restores it.

        Raises:
            DiskError: no space, or no right to write there.
        """
        problems: list[str] = []
        with files.disk_errors(self.root), self.locked():
            folders = sorted(path for path in (self.root / "files").glob("*") if path.is_dir())
            for folder in folders:
                _sweep(folder)
                if canonicalize_name(folder.name) != folder.name:
                    problems.append(f"{folder.name}: is not a project's canonical name")
                    continue
                for wheel in tuple(self._wheels(folder.name)):
                    problems += self._renew(wheel)
                self._write_pages(folder.name)
            for page in (self.root / "simple").glob("*/index.html"):
                if not any(self._wheels(page.parent.name)):
                    files.remove(page.parent)
            self._write_root()
        return tuple(problems)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder's lock; whoever writes into it waits."""
        with cache.lock(self.root / ".lock", what=f"publishing to {self.title}"):
            yield

    # ------------------------------------------------------------ inside the lock

    def _folder(self, project: str) -> Path:
        return self.root / "files" / project

    def _wheels(self, project: str) -> Iterator[Path]:
        """Yield a project's whole wheels, sorted by name; whatever else lies in the folder is not ours."""
        folder = self._folder(project)
        for path in sorted(folder.glob("*.whl")) if folder.is_dir() else ():
            try:
                is_of_project = WheelName.parse(path.name).name == project
            except ValueError:
                continue
            if is_of_project and path.is_file():
                yield path

    def _add(self, release: Release, target: Path) -> None:
        """Write a wheel that is not there yet: its description first, its name last."""
        target.parent.mkdir(parents=True, exist_ok=True)
        _sweep(target.parent)
        coming = target.with_name(f".{target.name}{_COMING}")
        files.copy_whole(release.path, coming)
        # What counts is the copy: its bytes are what people will get.
        arrived = sha256_file(coming)
        if arrived != release.sha256:
            coming.unlink()
        release.ensure_unchanged(arrived)
        self._write_entry(target, release, time.time())
        coming.replace(target)
        files.sync_folder(target.parent)

    def _write_entry(self, target: Path, release: Release, uploaded: float, *, yanked: str | None = None) -> None:
        entry = FileEntry(
            sha256=release.sha256,
            size=release.size,
            requires_python=release.requires_python,
            metadata_sha256=sha256_bytes(release.metadata),
            uploaded=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(uploaded)),
            yanked=yanked,
        )
        files.write_bytes(_beside(target, "metadata"), release.metadata)
        files.write_json(_beside(target, "json"), entry.model_dump(mode="json", by_alias=True))

    def _entry(self, wheel: Path) -> FileEntry:
        path = _beside(wheel, "json")
        try:
            return FileEntry.model_validate(json.loads(path.read_bytes()))
        except (FileNotFoundError, ValueError, ValidationError) as error:
            raise PublishError(
                f"does not describe {wheel.name}: {str(error).splitlines()[0]}",
                where=str(path),
                fix="publish it again: that writes the description anew",
            ) from error

    def _published(self, wheel: Path) -> str:
        """Return the hash that *wheel* was published with; of one that was put here by hand, its hash now."""
        with contextlib.suppress(PublishError):
            return self._entry(wheel).sha256
        for problem in self._renew(wheel):
            raise PublishError(problem, fix=f"remove {wheel}, which nothing lists, and publish again")
        return self._entry(wheel).sha256

    def _renew(self, wheel: Path) -> list[str]:
        """Write a wheel's description anew where it is missing or wrong, and return what cannot be mended."""
        try:
            release = describe(wheel, WheelName.parse(wheel.name))
        except PublishError as error:
            files.remove(_beside(wheel, "json"))
            return [str(error)]
        try:
            entry = self._entry(wheel)
        except PublishError:
            self._write_entry(wheel, release, wheel.stat().st_mtime)
            return []
        if entry.sha256 != release.sha256:
            return [f"{wheel.name}: sha256 {entry.sha256} was published, {release.sha256} is there"]
        if sha256_bytes(release.metadata) != entry.metadata_sha256 or not _same(_beside(wheel, "metadata"), release):
            self._write_entry(wheel, release, wheel.stat().st_mtime, yanked=entry.yanked)
        return []

    def _write_pages(self, project: str, *, without: Sequence[str] = ()) -> None:
        listed = []
        for wheel in (path for path in self._wheels(project) if path.name not in without):
            with contextlib.suppress(PublishError):  # files() and rebuild() report it; the others go on
                listed.append(_listed(wheel.name, self._entry(wheel)))
        folder = self.root / "simple" / project
        _sweep(folder)
        write_changed(folder / "index.json", simple_index.project_json(project, listed))
        write_changed(folder / "index.html", simple_index.project_html(project, listed))
        self._write_root()

    def _write_root(self) -> None:
        projects = self.projects()
        _sweep(self.root / "simple")
        write_changed(self.root / "simple" / "index.json", simple_index.root_json(projects))
        write_changed(self.root / "simple" / "index.html", simple_index.root_html(projects))


def _beside(wheel: Path, kind: Literal["metadata", "json"]) -> Path:
    return wheel.with_name(f"{wheel.name}.{kind}")


def _listed(file: str, entry: FileEntry) -> RegistryFile:
    return RegistryFile(
        file=file,
        sha256=entry.sha256,
        size=entry.size,
        requires_python=entry.requires_python,
        yanked=entry.yanked,
        metadata_sha256=entry.metadata_sha256,
        uploaded=entry.uploaded,
    )


def _same(path: Path, release: Release) -> bool:
    return path.is_file() and path.read_bytes() == release.metadata


def write_changed(path: Path, text: str) -> bool:
    """Write a page unless it is up to date, and return whether it was written.

    Readers and mirrors see no needless change.

    Raises:
        DiskError: no space, or no right to write there.
    """
    with contextlib.suppress(FileNotFoundError):
        if path.read_bytes() == text.encode():
            return False
    files.write_text(path, text)
    return True


def _sweep(folder: Path) -> None:
    """Remove what killed runs left; only ever called by the one who holds the lock."""
    for pattern in (_LEFTOVERS, f".*{_COMING}"):
        for path in folder.glob(pattern):
            path.unlink(missing_ok=True)


class DirectorySources:
    """``<root>/sources/<name>/<version>/<file>``."""

    def __init__(self, registry: DirectoryRegistry) -> None:
        self._registry = registry

    def check_access(self) -> None:
        """Make sure that we may write."""
        self._registry.check_access()

    def put(self, name: str, version: str, path: Path, sha256: str) -> str:
        """Copy a file there, whole or not at all."""
        inside = f"sources/{name}/{version_word(version)}/{path.name}"
        target = self._registry.root / inside
        with files.disk_errors(target), self._registry.locked():
            if not target.exists():
                files.copy_whole(path, target)
            if (stored := sha256_file(target)) != sha256:
                raise source_conflict(self._registry.title, path.name, stored, sha256)
        return inside
