"""What publishing would do, before it does anything: upload, skip or refuse; the same for every registry."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from wheelyard.io import threads
from wheelyard.io.table import table_text
from wheelyard.registries.simple_index import identity

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from wheelyard.registries.registry import Registry
    from wheelyard.registries.wheel_file import Release


class Action(Enum):
    """What is to be done with one wheel."""

    UPLOAD = "upload"
    SKIP = "skip"
    REFUSE = "refuse"


@dataclass(frozen=True)
class Upload:
    """One wheel's fate.

    Attributes:
        release: the wheel.
        action: what is to be done.
        reason: why, for people.
        sent: whether an interrupted run has sent it already.
    """

    release: Release
    action: Action
    reason: str
    sent: bool = False


def plan_uploads(
    registry: Registry, releases: Iterable[Release], *, begun: Mapping[str, str] | None = None, parallel: int = 1
) -> tuple[Upload, ...]:
    """Return what publishing *releases* would do; nothing is written.

    Args:
        registry: where to.
        releases: what.
        begun: the sha256 of files whose upload an interrupted run began: those are still to be finished.
        parallel: index pages read at once.

    Raises:
        PublishError: the registry's content is broken.
        NetworkError: the registry does not answer.
    """
    chosen: dict[str, Release] = {}
    uploads: list[Upload] = []
    coming = sorted(releases, key=lambda item: item.name.file)
    projects = list(dict.fromkeys(release.project for release in coming))
    pages = threads.each(registry.files, projects, parallel=parallel)
    hashes_by_file: dict[tuple[str, str], set[str | None]] = defaultdict(set)
    spelt: dict[tuple[object, ...], set[str]] = defaultdict(set)
    for project, page in zip(projects, pages, strict=True):
        for listed in page:
            hashes_by_file[project, listed.file].add(listed.sha256)
            spelt[identity(listed.file)].add(listed.file)
    for release in coming:
        file = release.name.file
        is_begun = (begun or {}).get(file) == release.sha256
        stored_hashes = hashes_by_file.get((release.project, file), set())
        action, reason = _decide(release, stored_hashes, chosen.get(file), is_begun=is_begun)
        spellings = spelt[identity(file)]
        if action is Action.UPLOAD and not stored_hashes and spellings:
            action, reason = Action.REFUSE, f"is the same wheel, spelt another way, as {', '.join(sorted(spellings))}"
        if action is Action.UPLOAD:
            chosen[file] = release
            spellings.add(file)
        uploads.append(Upload(release, action, reason, sent=action is Action.UPLOAD and bool(stored_hashes)))
    return tuple(uploads)


def _decide(
    release: Release, stored_hashes: set[str | None], twin: Release | None, *, is_begun: bool
) -> tuple[Action, str]:
    if twin is not None and twin.sha256 != release.sha256:
        return Action.REFUSE, f"two wheels of this name: sha256 {twin.sha256} and {release.sha256}"
    if None in stored_hashes:
        return Action.REFUSE, "the registry has it, and does not know its sha256"
    if different := stored_hashes - {release.sha256}:
        return (
            Action.REFUSE,
            f"other bytes are there: sha256 {', '.join(sorted(map(str, different)))}, here {release.sha256}",
        )
    if twin is not None or (stored_hashes and not is_begun):
        return Action.SKIP, "the same bytes are there"
    return Action.UPLOAD, f"sha256 {release.sha256[:12]}…"


def uploads_table(uploads: Sequence[Upload]) -> str:
    """Return the plan as a table for people."""
    rows = [(upload.action.value, upload.release.name.file, upload.release.size, upload.reason) for upload in uploads]
    return table_text(("", "wheel", "bytes", "why"), rows)
