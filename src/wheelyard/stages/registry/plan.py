"""What publishing would do, before it does anything: upload, skip or refuse; the same for every registry."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from wheelyard.core.errors import ConflictError
from wheelyard.io import log

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from wheelyard.stages.registry.port import Registry
    from wheelyard.stages.registry.release import Release


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
    """

    release: Release
    action: Action
    reason: str


def plan_uploads(registry: Registry, releases: Iterable[Release]) -> tuple[Upload, ...]:
    """Say what publishing *releases* would do; nothing is written.

    Raises:
        PublishError: the registry's content is broken.
        NetworkError: the registry does not answer.
    """
    found: list[Upload] = []
    chosen: dict[str, Release] = {}
    there: dict[str, dict[str, str | None]] = {}
    for release in sorted(releases, key=lambda one: one.name.file):
        project, file = release.project, release.name.file
        if project not in there:
            there[project] = {known.file: known.sha256 for known in registry.files(project)}
        twin = chosen.get(file)
        if twin is not None and twin.sha256 != release.sha256:
            reason = f"two wheels of this name: sha256 {twin.sha256} and {release.sha256}"
            found.append(Upload(release, Action.REFUSE, reason))
        elif file in there[project] and there[project][file] is None:
            found.append(Upload(release, Action.REFUSE, "the registry has it, and does not know its sha256"))
        elif file in there[project] and there[project][file] != release.sha256:
            reason = f"other bytes are there: sha256 {there[project][file]}, here {release.sha256}"
            found.append(Upload(release, Action.REFUSE, reason))
        elif file in there[project] or twin is not None:
            found.append(Upload(release, Action.SKIP, "the same bytes are there"))
        else:
            found.append(Upload(release, Action.UPLOAD, f"sha256 {release.sha256[:12]}…"))
            chosen[file] = release
    return tuple(found)


def publish(registry: Registry, uploads: Sequence[Upload]) -> int:
    """Do what was planned, and return how many files are new in the registry.

    What is skipped is put all the same: that heals an index page which a killed run did not come to write.

    Raises:
        ConflictError: something was refused; then nothing at all is written. Or somebody else was quicker.
        PublishError: the registry does not take a wheel.
        NetworkError: the registry does not answer.
        DiskError: no space, or no right to write there.
    """
    refused = [upload for upload in uploads if upload.action is Action.REFUSE]
    if refused:
        raise ConflictError(
            f"{registry.title} has other wheels under the same names; nothing was published",
            details=[f"{upload.release.name.file}: {upload.reason}" for upload in refused],
            fix="a file is never replaced: publish a new version, or give the wheel a build number",
        )
    new = 0
    with log.progress(f"publishing to {registry.title}", len(uploads), unit="wheels") as tell:
        for upload in uploads:
            new += registry.put(upload.release)
            tell(1)
    return new


def uploads_table(uploads: Sequence[Upload]) -> str:
    """Return the plan as a table for people."""
    rows = [(upload.action.value, upload.release.name.file, upload.release.size, upload.reason) for upload in uploads]
    return log.table(("", "wheel", "bytes", "why"), rows)
