"""``publish``: passing wheels go into a registry; nothing is ever overwritten."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wheelyard.core.errors import PublishError, WheelyardError
from wheelyard.core.names import canonical, did_you_mean
from wheelyard.record.store import releasable
from wheelyard.stages.registry import FolderRegistry, plan_uploads, publish, read_release

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from wheelyard.recipe.policy import Project
    from wheelyard.stages.registry import Release, Upload


@dataclass(frozen=True)
class Publication:
    """What was, or would be, published.

    Attributes:
        target: the index folder.
        uploads: each wheel with what is done about it.
        held_back: why some wheels may not go.
        dry_run: whether nothing was written.
    """

    target: Path
    uploads: tuple[Upload, ...]
    held_back: tuple[str, ...]
    dry_run: bool


def publish_packages(project: Project, packages: Sequence[str], target: Path, *, dry_run: bool) -> Publication:
    """Put the passing wheels of *packages*, all in ``dist/`` by default, into the index folder *target*.

    A version goes out whole or not at all; one that may not go does not keep the others back.

    Raises:
        PublishError: there is nothing to publish.
        ConflictError: other bytes stand under the same name; then nothing is written.
    """
    registry = FolderRegistry(target)
    releases: list[Release] = []
    held_back: list[str] = []
    for folder in _folders(project, packages):
        try:
            releases += [read_release(wheel, sha256=record.sha256) for wheel, record in releasable(folder)]
        except WheelyardError as error:
            name = folder.relative_to(project.root)
            held_back += [f"{name}: {text}" for text in (error.details or (error.what,))]
    uploads = plan_uploads(registry, releases)
    if not dry_run:
        publish(registry, uploads)
    return Publication(target, uploads, tuple(held_back), dry_run)


def _folders(project: Project, packages: Sequence[str]) -> list[Path]:
    """Return the folders of results that hold wheels, of *packages* or of all."""
    built = {folder.parent.parent.name for folder in project.dist.glob("*/*/*.whl")}
    names = [canonical(package) for package in packages] or sorted(built)
    unknown = [name for name in names if name not in built]
    if unknown or not names:
        raise PublishError(
            "nothing is built to publish" if not names else "nothing is built under that name",
            where=str(project.dist),
            details=[f"{name}{did_you_mean(name, built)}" for name in unknown],
            fix="nox -s " + (" ".join(f"build-{name}" for name in unknown) or "build-<pkg>"),
        )
    folders = {wheel.parent for name in names for wheel in (project.dist / name).glob("*/*.whl")}
    return sorted(folders)
