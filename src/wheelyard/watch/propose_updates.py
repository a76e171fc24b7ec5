"""``check-upstream --propose``: keep one change request open for each package with news; close moot ones.

A change request changes ``packages/<pkg>/lock.toml`` only: the tool never writes a recipe.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.version import Version

from wheelyard.core import markdown
from wheelyard.core.errors import NetworkError, UpstreamUnknownError, WheelyardError
from wheelyard.forges import ChangeRequest
from wheelyard.io import log
from wheelyard.planning.target import look_up
from wheelyard.preflight.preflight_package import facts_of, preflight
from wheelyard.preflight.source_facts import diff_facts
from wheelyard.project.loader import effective, list_recipes, load_recipe
from wheelyard.records.lockfile import dump, find, lock_file, read_lock
from wheelyard.watch.status_report import ChangeRequestRecord

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wheelyard.forges import ChangeRequests, OpenRequest
    from wheelyard.preflight.preflight_report import PreflightReport
    from wheelyard.project.config import Project
    from wheelyard.records.models import Lock, LockedVersion
    from wheelyard.watch.status_report import PackageStatus, WatchReport

_KIND = "update/"  # prefix of keys, before the package's name
_SERVED = frozenset({"pure", "ships"})  # by upstream itself


@dataclass(frozen=True)
class _LockUpdate:
    """The new lock of a package, with the title and text of its change request."""

    lock: Lock
    title: str
    lines: tuple[str, ...]


def propose(
    project: Project, report: WatchReport, forge: ChangeRequests, *, limit: int, labels: Sequence[str] = ()
) -> WatchReport:
    """Bring change requests up to date with *report*, and return it with the results; a failure does not stop others.

    A second run changes nothing. A package that could not be checked keeps its open change request.

    Args:
        project: the project.
        report: the status of packages.
        forge: the forge's change requests; a read-only one for a dry run.
        limit: how many may be open; open ones are kept up to date beyond it.
        labels: labels of change requests.

    Raises:
        CredentialsError: the token may not read change requests.
        NetworkError: the forge does not answer.
    """
    open_requests = {request.key: request for request in forge.open_requests()}
    room = limit - len(open_requests)
    records = []
    for status in report.packages:
        opened = open_requests.pop(f"{_KIND}{status.package}", None)
        with log.package(status.package):
            try:
                record = _propose_one(project, status, forge, opened, room=room, labels=labels)
            except WheelyardError as error:
                record = _failed(status.package, error)
        if record is not None:
            records.append(record)
            room -= record.action == "open"
    recipes = set(list_recipes(project))
    for opened in open_requests.values():
        package = opened.key.removeprefix(_KIND)
        if opened.key.startswith(_KIND) and package not in recipes:
            try:
                records.append(_close(package, forge, opened, "its recipe is gone"))
            except WheelyardError as error:
                records.append(_failed(package, error))
    return report.model_copy(update={"change_requests": tuple(records)})


def problem(report: WatchReport) -> WheelyardError | None:
    """Return the error of failed change requests, None if none failed."""
    failed = [f"{request.package}: {request.text}" for request in report.change_requests if request.action == "error"]
    if not failed:
        return None
    return UpstreamUnknownError(
        f"{len(failed)} change requests failed",
        details=failed,
        fix="run the same command again: it keeps finished ones",
    )


def _propose_one(
    project: Project,
    status: PackageStatus,
    forge: ChangeRequests,
    opened: OpenRequest | None,
    *,
    room: int,
    labels: Sequence[str],
) -> ChangeRequestRecord | None:
    key = f"{_KIND}{status.package}"
    if status.state == "blocked" and status.new:  # by a preflight: an open request for an earlier version stays
        return ChangeRequestRecord(package=status.package, key=key, action="blocked", title="", text=status.text)
    if status.state == "error" or (status.state in _SERVED and status.waiting):
        return None  # not checked; or a cooling release may change the state
    path = lock_file(project.packages, status.package)
    update = _lock_update(project, status, read_lock(path))
    if isinstance(update, ChangeRequestRecord):
        return update
    if update is None:
        return _moot(status, forge, opened)
    if opened is None and room <= 0:
        return ChangeRequestRecord(
            package=status.package, key=key, action="held", title=update.title, text="enough are open: merge some"
        )
    files: dict[str, bytes | None] = {path.relative_to(project.root).as_posix(): dump(update.lock).encode()}
    body = "\n".join([*update.lines, "", "Made by `wheelyard check-upstream --propose`; it changes the lock only."])
    change = forge.propose(ChangeRequest(key, update.title, body, tuple(labels), files))
    return ChangeRequestRecord(
        package=status.package, key=key, action=change.action, title=update.title, url=change.url
    )


def _moot(status: PackageStatus, forge: ChangeRequests, opened: OpenRequest | None) -> ChangeRequestRecord | None:
    """Close the open change request of an earlier state."""
    if opened is None:
        return None
    versions = f"pinned: {status.pinned or 'nothing'}; upstream's newest: {status.newest or 'none'}"
    return _close(status.package, forge, opened, f"{_inert(status.text)} ({versions})")


def _close(package: str, forge: ChangeRequests, opened: OpenRequest, why: str) -> ChangeRequestRecord:
    change = forge.withdraw(opened.key, f"Moot: {why}.")
    return ChangeRequestRecord(
        package=package, key=opened.key, action=change.action, title=opened.title, url=change.url
    )


def _failed(package: str, error: WheelyardError) -> ChangeRequestRecord:
    return ChangeRequestRecord(package=package, key=f"{_KIND}{package}", action="error", title="", text=error.head)


def _lock_update(project: Project, status: PackageStatus, lock: Lock) -> _LockUpdate | ChangeRequestRecord | None:
    """Return the lock's update; a record with the reason where it is blocked; None if no update is due."""
    if status.state in {"new", "regressed"}:
        return _new_version(project, status, lock)
    wholly = status.state == "pure" or any(
        shipped.wholly and shipped.version == status.newest for shipped in status.ships
    )
    if status.state in _SERVED and wholly and not lock.retired:
        retired = lock.model_copy(update={"retired": status.newest})
        lines = (_sentence(status.text), *_notes(status), "", _RETIRED)
        return _LockUpdate(retired, f"Retire {status.package}: {status.newest} needs no wheel of ours", lines)
    return None


_RETIRED = (
    "Merged, nothing newer of it is built here; what is published stays. Should a later release lack riscv64 wheels "
    "again, that is proposed in the same way."
)

_NOT_TRIED = "Its sdist was not made here, beside a token: the preflight in this request's own pipeline makes it."


def _new_version(project: Project, status: PackageStatus, lock: Lock) -> _LockUpdate | ChangeRequestRecord:
    package, version = status.package, status.new[0]
    recipe = load_recipe(project, package)
    entry = find(lock, version) or look_up(recipe, version, list_recipes(project))
    report = preflight(project, package, version, locked=entry)
    title = f"Update {package} to {version}"
    if status.state == "regressed":
        title = f"Build {package} again: {version} lacks riscv64 wheels"
    if not report.answered:
        raise NetworkError(f"{version} could not be checked completely: a server does not answer")
    if not report.ok:
        failing = "; ".join(finding.head for finding in report.failures)
        return ChangeRequestRecord(
            package=package, key=f"{_KIND}{package}", action="blocked", title=title, text=failing
        )
    other_entries = [locked for locked in lock.versions if Version(locked.version) != Version(version)]
    changed = lock.model_copy(update={"versions": (*other_entries, entry), "retired": ""})
    return _LockUpdate(changed, title, _body(project, status, entry, report))


def _body(project: Project, status: PackageStatus, entry: LockedVersion, report: PreflightReport) -> tuple[str, ...]:
    """Describe the update: the version, differences of the sources, the expected wheels."""
    step = f"{status.pinned or 'nothing so far'} → {entry.version}"
    head = f"{entry.version}, once more" if status.pinned == entry.version else step
    lines = [f"**{head}**", "", _sentence(status.text)]
    lines += ["", "Source:", *(f"- {difference}" for difference in _differences(project, status, report))]
    lines += ["", "Wheels to expect:", *(f"- `{wheel}`" for wheel in report.wheels)]
    if any((finding.step, finding.state) == ("sdist", "skipped") and finding.fix for finding in report.findings):
        lines += ["", _NOT_TRIED]
    return (*lines, *_notes(status))


def _notes(status: PackageStatus) -> Iterator[str]:
    """Yield upstream's own wheels and the notes."""
    if status.ships:
        yield from ("", "Upstream's own riscv64 wheels:")
    yield from (f"- {shipped.version}: {', '.join(shipped.interpreters)}" for shipped in status.ships)
    if status.notes:
        yield from ("", "Notes:")
    yield from (f"- {_inert(note)}" for note in status.notes)


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _inert(text: str) -> str:
    return markdown.code(log.clean(text))


def _differences(project: Project, status: PackageStatus, report: PreflightReport) -> Sequence[str]:
    if not status.pinned:
        return ["the first version that is pinned here"]
    if report.facts is None:
        return ["it could not be read"]
    try:
        before = facts_of(project, status.package, status.pinned)
    except WheelyardError as error:
        return [f"{status.pinned} cannot be read any more: {_inert(error.what)}"]
    changed = (*diff_facts(before, report.facts), *_left_behind(project, status.package, status.pinned, report))
    return changed or ["no change of build requirements, extension modules, licence or Python"]


def _left_behind(project: Project, package: str, pinned: str, report: PreflightReport) -> Iterator[str]:
    """List patches of the previous version whose ranges exclude the new one."""
    recipe, new = load_recipe(project, package), Version(report.package_version)
    applied = {patch.file for patch in effective(recipe, new)[0].patch if patch.is_for(new)}
    for patch in effective(recipe, pinned)[0].patch:
        if patch.is_for(Version(pinned)) and patch.file not in applied:
            why = f"its versions are {patch.versions}" if patch.versions else "no override for this version names it"
            yield f"`{patch.file}` is not applied to {new} any more: {why}"
