"""Doing what was planned: serial within a version, parallel across them, each file read back, all of it resumable.

GitLab's package record of a (name, version) is made by the first upload, and two first uploads at once can clash or
double it; so nothing of one version is ever sent at the same time.
"""

from __future__ import annotations

import contextlib
import threading
from collections import defaultdict
from dataclasses import dataclass, replace
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from wheelyard.core.errors import (
    ConflictError,
    CredentialsError,
    InterruptedRunError,
    NetworkError,
    RegistryContentError,
    WheelyardError,
)
from wheelyard.io import log
from wheelyard.stages.registry.plan import Action

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wheelyard.stages.registry.journal import Journal
    from wheelyard.stages.registry.plan import Upload
    from wheelyard.stages.registry.port import Registry
    from wheelyard.stages.registry.release import Release

# What ends a whole run: the next wheel would meet it too.
_HOPELESS = (CredentialsError, NetworkError)


@dataclass(frozen=True)
class Outcome:
    """What came of one upload.

    Attributes:
        upload: what was planned.
        error: why it is not there; None if it is.
    """

    upload: Upload
    error: WheelyardError | None = None


def publish(registry: Registry, uploads: Sequence[Upload], journal: Journal, *, parallel: int = 1) -> list[Outcome]:
    """Do what was planned, and return what came of it, in the same order.

    What is skipped is put all the same: that heals an index page which a killed run did not come to write. One
    wheel's failure does not keep the others back, unless they would meet it too.

    Args:
        registry: where to.
        uploads: the plan.
        journal: notes what is under way.
        parallel: versions at once.

    Raises:
        ConflictError: something was refused; then nothing at all is written.
        CredentialsError: we may not write there; then nothing at all is sent.
        NetworkError: the registry does not answer when asked for access.
    """
    refused = [upload for upload in uploads if upload.action is Action.REFUSE]
    if refused:
        raise ConflictError(
            f"{registry.title} has other wheels under the same names; nothing was published",
            details=[f"{upload.release.name.file}: {upload.reason}" for upload in refused],
            fix="a file is never replaced: publish a new version, or give the wheel a build number",
        )
    coming = [upload.release for upload in uploads if upload.action is Action.UPLOAD]
    if coming:
        registry.check_access()
        journal.begin((release.name.file, release.sha256) for release in coming)
    size = sum(release.size for release in coming)
    with log.progress(f"publishing to {registry.title}", size) as tell:
        outcomes = _run(uploads, _Sender(registry, journal, tell), parallel)
    missing = _unlisted(registry, [one.upload for one in outcomes if one.error is None])
    return [replace(one, error=one.error or missing.get(one.upload.release.name.file)) for one in outcomes]


class _Sender:
    """Sends the wheels of one version, one after the other; shared by threads."""

    def __init__(self, registry: Registry, journal: Journal, tell: Callable[[int], None]) -> None:
        self.stop = threading.Event()
        self._registry = registry
        self._journal = journal
        self._tell = tell
        self._lock = threading.Lock()

    def send_all(self, uploads: Sequence[Upload]) -> list[Outcome]:
        return [Outcome(upload, self._error_of(upload)) for upload in uploads]

    def _error_of(self, upload: Upload) -> WheelyardError | None:
        release = upload.release
        try:
            if self.stop.is_set():
                raise InterruptedRunError("was not sent, since another one failed before", where=release.name.file)
            if upload.action is Action.SKIP:
                self._registry.put(release)
                return None
            self._registry.put(release, tell=self._count, stop=self.stop)
            if release.name.file not in self._journal.confirmed:
                self._registry.confirm(release.project, release.name.file, release.sha256)
                self._journal.confirm(release.name.file)
        except WheelyardError as error:
            if isinstance(error, _HOPELESS):
                self.stop.set()
            return error
        return None

    def _count(self, more: int) -> None:
        with self._lock:
            self._tell(more)


def _run(uploads: Sequence[Upload], sender: _Sender, parallel: int) -> list[Outcome]:
    """Send everything, and return what came of it in the order of *uploads*.

    The threads are daemons, which a pool's are not: who presses Ctrl-C does not wait for a server that stalls.
    """
    groups: dict[tuple[str, str], list[Upload]] = defaultdict(list)
    for upload in uploads:
        groups[upload.release.project, str(upload.release.name.version)].append(upload)
    waiting: SimpleQueue[list[Upload]] = SimpleQueue()
    for group in groups.values():
        waiting.put(group)
    done: SimpleQueue[list[Outcome] | BaseException] = SimpleQueue()

    def work() -> None:
        with contextlib.suppress(Empty):
            while True:
                group = waiting.get_nowait()
                try:
                    done.put(sender.send_all(group))
                except BaseException as error:  # noqa: BLE001 - a bug, raised where people see it
                    done.put(error)

    for _ in range(min(parallel, len(groups))):
        threading.Thread(target=work, name="publish", daemon=True).start()
    outcomes: dict[int, Outcome] = {}
    try:
        for _ in groups:
            result = done.get()
            if isinstance(result, BaseException):
                raise result
            outcomes |= {id(one.upload): one for one in result}
    finally:
        sender.stop.set()
    return [outcomes[id(upload)] for upload in uploads]


def _unlisted(registry: Registry, uploads: Sequence[Upload]) -> dict[str, WheelyardError]:
    """Read the index once more, and return an error for each file that was sent and is not listed as it was sent."""
    sent: dict[str, list[Release]] = defaultdict(list)
    for upload in uploads:
        if upload.action is Action.UPLOAD:
            sent[upload.release.project].append(upload.release)
    found: dict[str, WheelyardError] = {}
    for project, releases in sent.items():
        try:
            listed = {file.file: file.sha256 for file in registry.files(project)}
        except WheelyardError as error:
            found |= {release.name.file: error for release in releases}
            continue
        for release in releases:
            file = release.name.file
            if listed.get(file) != release.sha256:
                how = f"with sha256 {listed[file]}" if file in listed else "not at all"
                found[file] = RegistryContentError(
                    f"{registry.title} lists {file} {how}",
                    details=[f"sent: sha256 {release.sha256}"],
                    fix="run the same command again; if it stays so: wheelyard registry verify",
                )
    return found
