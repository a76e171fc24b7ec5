"""Doing what was planned: serial within a version, parallel across them, each file read back, all of it resumable.

GitLab's package record of a (name, version) is made by the first upload, and two first uploads at once can clash or
double it; so nothing of one version is ever sent at the same time. A wheel is read back while the next one goes out.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from dataclasses import dataclass, replace
from queue import SimpleQueue
from typing import TYPE_CHECKING

from wheelyard.core.errors import (
    ConflictError,
    CredentialsError,
    InterruptedRunError,
    NetworkError,
    RegistryContentError,
    WheelyardError,
)
from wheelyard.io import log, threads
from wheelyard.registries.upload_plan import Action

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wheelyard.registries.journal import Journal
    from wheelyard.registries.registry import Progress, Registry
    from wheelyard.registries.upload_plan import Upload
    from wheelyard.registries.wheel_file import Release

# What ends a whole run: the next wheel would meet it too.
_HOPELESS = (CredentialsError, NetworkError)


@dataclass(frozen=True)
class Outcome:
    """What came of one upload.

    Attributes:
        upload: what was planned.
        error: why it is not there; None if it is.
        new: whether it came to be there by us, in this run or in the one that it goes on with.
    """

    upload: Upload
    error: WheelyardError | None = None
    new: bool = False


def publish(
    registry: Registry,
    uploads: Sequence[Upload],
    journal: Journal,
    *,
    parallel: int = 1,
    advance: Progress | None = None,
) -> list[Outcome]:
    """Do what was planned, and return what came of it, in the same order.

    What is skipped is put all the same: that heals an index page which a killed run did not come to write. One
    wheel's failure does not keep the others back, unless they would meet it too.

    Args:
        registry: where to.
        uploads: the plan.
        journal: notes what is under way.
        parallel: versions sent at once, and files or index pages read at once.
        advance: is called with the number of bytes of each part, if the caller shows the progress.

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
    if not uploads:
        return []  # nothing to report where nothing is uploaded
    coming = [upload for upload in uploads if upload.action is Action.UPLOAD]
    if coming:
        registry.check_access()
        journal.begin(
            ((upload.release.name.file, upload.release.sha256) for upload in coming),
            anew=(upload.release.name.file for upload in coming if not upload.sent),
        )
    if advance is not None:
        return _done(registry, uploads, _Sender(registry, journal, advance), parallel)
    steps, ok = log.Steps(), False
    steps.open(f"Publishing to {registry.title}")
    try:
        with log.progress("sent", sum(upload.release.size for upload in coming)) as progress:
            outcomes = _done(registry, uploads, _Sender(registry, journal, progress), parallel)
        ok = all(outcome.error is None for outcome in outcomes)
    finally:
        steps.close(ok=ok)
    return outcomes


def _done(registry: Registry, uploads: Sequence[Upload], sender: _Sender, parallel: int) -> list[Outcome]:
    """Send everything, look whether the index lists it, and return what came of it."""
    outcomes = _run(uploads, sender, parallel)
    missing = _unlisted(registry, [outcome.upload for outcome in outcomes if outcome.error is None], parallel)
    return [_unless(outcome, missing.get(outcome.upload.release.name.file)) for outcome in outcomes]


def _unless(outcome: Outcome, error: WheelyardError | None) -> Outcome:
    return outcome if error is None or outcome.error else replace(outcome, error=error, new=False)


class _Sender:
    """Sends wheels, and reads them back; shared by threads."""

    def __init__(self, registry: Registry, journal: Journal, advance: Progress) -> None:
        self.stop = threading.Event()
        self._registry = registry
        self._journal = journal
        self._advance = advance
        self._lock = threading.Lock()
        self._ours: set[int] = set()

    def outcome(self, upload: Upload, error: WheelyardError | None) -> Outcome:
        return Outcome(upload, error, new=error is None and (upload.sent or id(upload) in self._ours))

    def send(self, upload: Upload) -> None:
        self._go_on(upload, "was not sent")
        if upload.action is Action.SKIP:
            self._registry.put(upload.release)
            return
        sent_bytes = 0

        def count(byte_count: int) -> None:
            nonlocal sent_bytes
            sent_bytes += byte_count
            self._count(byte_count)

        if self._registry.put(upload.release, advance=count, stop=self.stop):
            self._ours.add(id(upload))
        self._count(upload.release.size - sent_bytes)  # what was there already, or arrived without an answer

    def read_back(self, upload: Upload) -> None:
        release = upload.release
        if release.name.file not in self._journal.confirmed:
            self._go_on(upload, "was sent and not read back")
            self._registry.confirm(release.project, release.name.file, release.sha256)
            self._journal.confirm(release.name.file)

    def error_of(self, step: Callable[[Upload], None], upload: Upload) -> WheelyardError | None:
        """Take a step, and return what kept it from success."""
        try:
            step(upload)
        except WheelyardError as error:
            if isinstance(error, _HOPELESS):
                self.stop.set()
            return error
        return None

    def _go_on(self, upload: Upload, otherwise: str) -> None:
        if self.stop.is_set():
            raise InterruptedRunError(f"{otherwise}, since another one failed before", where=upload.release.name.file)

    def _count(self, byte_count: int) -> None:
        with self._lock:
            self._advance(byte_count)


def _run(uploads: Sequence[Upload], sender: _Sender, parallel: int) -> list[Outcome]:
    """Send everything, and return what came of it in the order of *uploads*."""
    groups: dict[tuple[str, str], list[Upload]] = defaultdict(list)
    for upload in uploads:
        groups[upload.release.project, str(upload.release.name.version)].append(upload)
    results: SimpleQueue[Outcome | BaseException] = SimpleQueue()

    def read_back(upload: Upload) -> None:
        results.put(sender.outcome(upload, sender.error_of(sender.read_back, upload)))

    def send(group: Sequence[Upload]) -> None:
        for upload in group:
            error = sender.error_of(sender.send, upload)
            if error is None and upload.action is Action.UPLOAD:
                sent(upload)
            else:
                results.put(sender.outcome(upload, error))

    size = min(parallel, len(groups))
    outcomes: dict[int, Outcome] = {}
    with threads.crew(read_back, size, results.put) as sent, threads.crew(send, size, results.put) as give:
        try:
            for group in groups.values():
                give(group)
            while len(outcomes) < len(uploads):
                result = results.get()
                if isinstance(result, BaseException):
                    raise result
                outcomes[id(result.upload)] = result
        finally:
            sender.stop.set()
    return [outcomes[id(upload)] for upload in uploads]


def _unlisted(registry: Registry, uploads: Sequence[Upload], parallel: int) -> dict[str, WheelyardError]:
    """Read the index once more, and return an error for each file that was sent and is not listed as it was sent."""
    sent: dict[str, list[Release]] = defaultdict(list)
    for upload in uploads:
        if upload.action is Action.UPLOAD:
            sent[upload.release.project].append(upload.release)

    def read(project: str) -> dict[str, str | None] | WheelyardError:
        try:
            return {file.file: file.sha256 for file in registry.files(project)}
        except WheelyardError as error:
            return error

    error_by_file: dict[str, WheelyardError] = {}
    pages = threads.each(read, list(sent), parallel=parallel)
    for listed, releases in zip(pages, sent.values(), strict=True):
        if isinstance(listed, WheelyardError):
            error_by_file |= {release.name.file: listed for release in releases}
            continue
        for release in releases:
            file = release.name.file
            if listed.get(file) != release.sha256:
                how = f"with sha256 {listed[file]}" if file in listed else "not at all"
                error_by_file[file] = RegistryContentError(
                    f"{registry.title} lists {file} {how}",
                    details=[f"sent: sha256 {release.sha256}"],
                    fix="run the same command again; if it stays so: wheelyard registry verify",
                )
    return error_by_file
