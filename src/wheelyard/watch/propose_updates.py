"""``check-upstream --propose``: for each package with news one request to merge, kept up to date, closed when moot.

What is proposed is ``packages/<pkg>/lock.toml`` and nothing else: the tool never writes a recipe.
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
from wheelyard.watch.status_report import ProposalRecord

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wheelyard.forges import ChangeRequests, OpenRequest
    from wheelyard.preflight.preflight_report import PreflightReport
    from wheelyard.project.config import Project
    from wheelyard.records.models import Lock, LockedVersion
    from wheelyard.watch.status_report import Standing, WatchReport

_KIND = "update/"  # what keys begin with; what follows is the package
_SERVED = frozenset({"pure", "ships"})  # by upstream itself


@dataclass(frozen=True)
class _Wanted:
    """What a package's lock should be, and the words for it."""

    lock: Lock
    title: str
    lines: tuple[str, ...]


def propose(
    project: Project, report: WatchReport, forge: ChangeRequests, *, limit: int, labels: Sequence[str] = ()
) -> WatchReport:
    """Propose what *report* asks for, and return it with what became of that; one failure does not stop the others.

    Run twice, the second changes nothing. A package that could not be checked keeps what is open for it.

    Args:
        project: the project.
        report: how packages stand.
        forge: where requests are; one that looks and changes nothing for a dry run.
        limit: how many may be open; what is open already is kept up to date all the same.
        labels: what requests bear.

    Raises:
        CredentialsError: we may not see requests there.
        NetworkError: the forge does not answer.
    """
    already = {each.key: each for each in forge.open_requests()}
    room = limit - len(already)
    records = []
    for standing in report.packages:
        opened = already.pop(f"{_KIND}{standing.package}", None)
        with log.package(standing.package):
            try:
                record = _one(project, standing, forge, opened, room=room, labels=labels)
            except WheelyardError as error:
                record = _failed(standing.package, error)
        if record is not None:
            records.append(record)
            room -= record.action == "open"
    known = set(list_recipes(project))
    for opened in already.values():
        package = opened.key.removeprefix(_KIND)
        if opened.key.startswith(_KIND) and package not in known:
            try:
                records.append(_close(package, forge, opened, "its recipe is gone"))
            except WheelyardError as error:
                records.append(_failed(package, error))
    return report.model_copy(update={"proposals": tuple(records)})


def problem(report: WatchReport) -> WheelyardError | None:
    """Return the error of proposals that failed, None if none did."""
    failed = [f"{each.package}: {each.text}" for each in report.proposals if each.action == "error"]
    if not failed:
        return None
    return UpstreamUnknownError(
        f"{len(failed)} proposals failed", details=failed, fix="run the same command again: what is done stays"
    )


def _one(
    project: Project,
    standing: Standing,
    forge: ChangeRequests,
    already: OpenRequest | None,
    *,
    room: int,
    labels: Sequence[str],
) -> ProposalRecord | None:
    key = f"{_KIND}{standing.package}"
    if standing.state == "blocked" and standing.new:  # by a preflight, not by the recipe: an earlier version may go on
        return ProposalRecord(package=standing.package, key=key, action="blocked", title="", text=standing.text)
    if standing.state == "error" or (standing.state in _SERVED and standing.waiting):
        return None  # it could not be checked; or what is still cooling down may change everything
    path = lock_file(project.packages, standing.package)
    wanted = _wanted(project, standing, read_lock(path))
    if isinstance(wanted, ProposalRecord):
        return wanted
    if wanted is None:
        return _moot(standing, forge, already)
    if already is None and room <= 0:
        return ProposalRecord(
            package=standing.package, key=key, action="held", title=wanted.title, text="enough are open: merge some"
        )
    files: dict[str, bytes | None] = {path.relative_to(project.root).as_posix(): dump(wanted.lock).encode()}
    body = "\n".join([*wanted.lines, "", "Made by `wheelyard check-upstream --propose`; it changes the lock only."])
    change = forge.propose(ChangeRequest(key, wanted.title, body, tuple(labels), files))
    return ProposalRecord(package=standing.package, key=key, action=change.action, title=wanted.title, url=change.url)


def _moot(standing: Standing, forge: ChangeRequests, already: OpenRequest | None) -> ProposalRecord | None:
    """Close what is open, which was for an earlier state."""
    if already is None:
        return None
    known = f"pinned: {standing.have or 'nothing'}; upstream's newest: {standing.newest or 'none'}"
    return _close(standing.package, forge, already, f"{_inert(standing.text)} ({known})")


def _close(package: str, forge: ChangeRequests, opened: OpenRequest, why: str) -> ProposalRecord:
    change = forge.withdraw(opened.key, f"Moot: {why}.")
    return ProposalRecord(package=package, key=opened.key, action=change.action, title=opened.title, url=change.url)


def _failed(package: str, error: WheelyardError) -> ProposalRecord:
    return ProposalRecord(package=package, key=f"{_KIND}{package}", action="error", title="", text=error.head)


def _wanted(project: Project, standing: Standing, lock: Lock) -> _Wanted | ProposalRecord | None:
    """Return what the lock should be; a record that says why not where it cannot be; None where nothing is to do."""
    if standing.state in {"new", "regressed"}:
        return _new_version(project, standing, lock)
    wholly = standing.state == "pure" or any(each.wholly and each.version == standing.newest for each in standing.ships)
    if standing.state in _SERVED and wholly and not lock.retired:
        retired = lock.model_copy(update={"retired": standing.newest})
        lines = (_sentence(standing.text), *_known(standing), "", _RETIRED)
        return _Wanted(retired, f"Retire {standing.package}: {standing.newest} needs no wheel of ours", lines)
    return None


_RETIRED = (
    "Merged, nothing newer of it is built here; what is published stays. Should a later release lack riscv64 wheels "
    "again, that is proposed in the same way."
)

_NOT_TRIED = "Its sdist was not made here, beside a token: the preflight in this request's own pipeline makes it."


def _new_version(project: Project, standing: Standing, lock: Lock) -> _Wanted | ProposalRecord:
    package, version = standing.package, standing.new[0]
    recipe = load_recipe(project, package)
    entry = find(lock, version) or look_up(recipe, version, list_recipes(project))
    found = preflight(project, package, version, locked=entry)
    title = f"Update {package} to {version}"
    if standing.state == "regressed":
        title = f"Build {package} again: {version} lacks riscv64 wheels"
    if not found.answered:
        raise NetworkError(f"{version} could not be looked at whole: a server does not answer")
    if not found.ok:
        failing = "; ".join(each.head for each in found.failures)
        return ProposalRecord(package=package, key=f"{_KIND}{package}", action="blocked", title=title, text=failing)
    others = [each for each in lock.versions if Version(each.version) != Version(version)]
    changed = lock.model_copy(update={"versions": (*others, entry), "retired": ""})
    return _Wanted(changed, title, _body(project, standing, entry, found))


def _body(project: Project, standing: Standing, entry: LockedVersion, found: PreflightReport) -> tuple[str, ...]:
    """Say what changes: the version, what differs between the two sources, the wheels to expect."""
    step = f"{standing.have or 'nothing so far'} → {entry.version}"
    head = f"{entry.version}, once more" if standing.have == entry.version else step
    lines = [f"**{head}**", "", _sentence(standing.text)]
    lines += ["", "Source:", *(f"- {each}" for each in _differences(project, standing, found))]
    lines += ["", "Wheels to expect:", *(f"- `{each}`" for each in found.wheels)]
    if any((each.step, each.state) == ("sdist", "skipped") and each.fix for each in found.findings):
        lines += ["", _NOT_TRIED]
    return (*lines, *_known(standing))


def _known(standing: Standing) -> Iterator[str]:
    """Say what else is known: upstream's own wheels, and what a reader should know."""
    if standing.ships:
        yield from ("", "Upstream's own riscv64 wheels:")
    yield from (f"- {each.version}: {', '.join(each.interpreters)}" for each in standing.ships)
    if standing.notes:
        yield from ("", "Notes:")
    yield from (f"- {_inert(note)}" for note in standing.notes)


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _inert(text: str) -> str:
    return markdown.code(log.clean(text))


def _differences(project: Project, standing: Standing, found: PreflightReport) -> Sequence[str]:
    if not standing.have:
        return ["the first version that is pinned here"]
    if found.facts is None:
        return ["nothing is known of it"]
    try:
        before = facts_of(project, standing.package, standing.have)
    except WheelyardError as error:
        return [f"{standing.have} cannot be looked at any more: {_inert(error.what)}"]
    changed = (*diff_facts(before, found.facts), *_left_behind(project, standing.package, standing.have, found))
    return changed or ["no change of build requirements, extension modules, licence or Python"]


def _left_behind(project: Project, package: str, have: str, found: PreflightReport) -> Iterator[str]:
    """Tell of patches that were for the version before, and by their ranges are not for this one."""
    recipe, new = load_recipe(project, package), Version(found.package_version)
    kept = {patch.file for patch in effective(recipe, new)[0].patch if patch.is_for(new)}
    for patch in effective(recipe, have)[0].patch:
        if patch.is_for(Version(have)) and patch.file not in kept:
            why = f"its versions are {patch.versions}" if patch.versions else "no override for this version names it"
            yield f"`{patch.file}` is not applied to {new} any more: {why}"
