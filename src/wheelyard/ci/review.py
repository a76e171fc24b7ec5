"""``review``: check a change request, as far as that needs no build.

Both ends are read from git, not from the checkout. Nothing of the change is run, and nothing in it leads anywhere: it
may be a stranger's.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from packaging.version import Version

from wheelyard.ci import triggers
from wheelyard.ci.review_report import ReviewFinding, ReviewReport
from wheelyard.core.errors import ConfigError, ReviewError, WheelyardError
from wheelyard.core.names import did_you_mean
from wheelyard.io import files, log
from wheelyard.io.cache import cache_dir
from wheelyard.planning.changed import LOCK, changed, ensure_no_folder, repository_of, span_of, taken_out
from wheelyard.planning.planner import site_image
from wheelyard.project.config import seek_project
from wheelyard.project.loader import effective, list_recipes, load_recipe
from wheelyard.records.lockfile import dump, lock_file, read_lock
from wheelyard.records.models import Lock
from wheelyard.records.releases import RELEASES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from wheelyard.ci.review_report import Kind
    from wheelyard.planning.changed import Range, Repository
    from wheelyard.project.config import Project
    from wheelyard.records.models import LockedVersion
    from wheelyard.records.releases import ReleasedFile

_RELEASES = "releases.toml"
_SUBJECT = re.compile(r"(fixup|squash|amend)!", re.IGNORECASE)
_NOT_YET = re.compile(r"\brevert[ _-]?me\b|\bdo[ _-]?not[ _-]?merge\b", re.IGNORECASE)
_PLACE = re.compile(r"[\w./-]+\.toml:\d+\Z")
_SITE = "pyproject.toml"
_SHOWN = 100


def review(start: Path, text: str, body: str = "") -> ReviewReport:
    """Return what is wrong with the change ``BASE..HEAD``; ``BASE...HEAD`` starts where the two parted.

    Args:
        start: a folder of the checkout.
        text: the range.
        body: the description of the merge or pull request.

    Raises:
        PlanError: there are no such commits here.
        ProgramError: this is no git repository.
    """
    repository = repository_of(_root(start))
    span = span_of(repository, text)
    messages = _messages(repository, span)
    message_findings = [finding for commit, message in messages for finding in _message_findings(commit, message)]
    touched = repository.git("diff-tree", "-r", "-z", "--name-only", "--no-renames", span.base_tree, span.head_tree)
    folder = cache_dir("work")
    files.sweep_scratch(folder, "review")
    with files.scratch(folder, "review") as scratch:
        recipes, tree_findings = _tree_findings(repository, span, touched.split("\0"), scratch)
        requested, trigger_findings = triggers.read(body, recipes) if body else ((), ())
        built_by_change = _built_anyway(start, span) if requested else frozenset()
    return ReviewReport(
        commit_range=text,
        commits=len(messages),
        recipes=len(recipes),
        findings=tuple(dict.fromkeys((*message_findings, *tree_findings, *trigger_findings))),
        triggers=tuple(request for request in requested if request not in built_by_change),
    )


def _built_anyway(start: Path, span: Range) -> frozenset[str]:
    """Return what the change itself has built, every wheel of it: to ask for that too builds nothing twice."""
    try:
        project = seek_project(start)
        selection = changed(project, f"{span.base}...{span.head}", image=site_image(project)) if project else None
    except WheelyardError:
        return frozenset()  # the recipes' own check reports what is wrong
    return frozenset(
        f"{due.target.package}=={due.target.version}"
        for due in (selection.due if selection else ())
        if len(due.wheels) == len(due.plan.expected)
    )


def problem(report: ReviewReport) -> WheelyardError | None:
    """Return the error of a change that is not fit, None if it is."""
    if report.ok:
        return None
    return ReviewError(
        f"{len(report.findings)} thing(s) to mend before this can be merged",
        where=log.clean(report.commit_range),
        details=[f"{finding.where}: {finding.text}" for finding in report.findings],
        fix="see the fixes on standard output, and docs/how-to/review.md",
    )


def _root(start: Path) -> Path:
    """Return the project's folder, also where its configuration is broken: the review reports that with all else."""
    try:
        project = seek_project(start)
    except ConfigError:
        project = None
    folder = start.resolve()
    return (
        project.root
        if project
        else next((parent for parent in (folder, *folder.parents) if (parent / _SITE).is_file()), folder)
    )


# ------------------------------------------------------------------- commits


def _messages(repository: Repository, span: Range) -> tuple[tuple[str, str], ...]:
    """Return each commit of the range with its message, the oldest first."""
    output = repository.git("log", "-z", "--reverse", "--no-color", "--format=%H%n%B", f"{span.base}..{span.head}")
    entries = (entry.partition("\n") for entry in output.split("\0") if entry.strip())
    return tuple((commit, message.strip()) for commit, _, message in entries)


def _message_findings(commit: str, message: str) -> Iterator[ReviewFinding]:
    subject = message.partition("\n")[0]
    where = f"commit {commit[:12]}"
    if mark := _SUBJECT.match(subject):
        text = f"{log.clean(subject)[:_SHOWN]!r} is meant to become part of another commit"
        yield _finding("commit", where, text, f"git rebase --interactive --autosquash ({mark[0]})")
    if mark := _NOT_YET.search(message):
        fix = "drop the commit, or change its message once it may be merged"
        yield _finding("commit", where, f"contains {log.clean(mark[0])!r}: {log.clean(subject)[:_SHOWN]!r}", fix)


# ------------------------------------------------------------ recipes, records


def _tree_findings(
    repository: Repository, span: Range, touched: list[str], scratch: Path
) -> tuple[tuple[str, ...], list[ReviewFinding]]:
    """Return the recipes at the end of the range, and what is wrong with anything there."""
    head, records = scratch / "head", (LOCK, _RELEASES)
    findings: list[ReviewFinding] = []
    project: Project | None = None
    try:
        project = taken_out(repository, span.head_tree, None, head, records)
        if project is None:
            findings.append(_finding("policy", _SITE, "there is no wheelyard project", "add [tool.wheelyard]"))
    except ConfigError as error:
        findings += _told("policy", error, head)
    recipes = list_recipes(project) if project else ()
    for package in recipes if project else ():
        try:
            recipe = load_recipe(project, package)  # type: ignore[arg-type]
            ensure_no_folder(recipe)
            for entry in _lock(head, package).versions:
                effective(recipe, entry.version)
        except WheelyardError as error:
            findings += _told("recipe", error, head)
    changed = [path.split("/") for path in touched if path.startswith("packages/")]
    names = {parts[1] for parts in changed if len(parts) == 3 and parts[2] in records}  # noqa: PLR2004
    if names:
        try:
            taken_out(repository, span.base_tree, sorted(names), scratch / "base", records)
        except ConfigError:
            log.info("site configuration was broken before this change")
    for name in sorted(names):
        findings += _record_findings(name, scratch / "base", head)
        if project and name not in recipes and (head / "packages" / name / LOCK).is_file():
            text = f"there is no recipe for it{did_you_mean(name, recipes)}"
            findings.append(_finding("record", f"packages/{name}/{LOCK}", text, "add the recipe, or remove the lock"))
    return recipes, findings


def _lock(folder: Path, package: str) -> Lock:
    """Return a package's lock, an empty one if it cannot be read: ``_record_findings`` reports that."""
    try:
        return read_lock(lock_file(folder / "packages", package))
    except WheelyardError:
        return Lock()


def _record_findings(package: str, base: Path, head: Path) -> Iterator[ReviewFinding]:
    """Yield what is wrong with records that a change touches: what no tool writes, and pins that were moved."""
    lock, releases = (make(head / "packages", package) for make in (lock_file, RELEASES.path))
    folder = f"packages/{package}/"
    try:
        new = read_lock(lock)
        if lock.is_file() and lock.read_bytes() != dump(new).encode():
            fix = "take an entry out and let `wheelyard build` or `check-upstream --propose` write it anew"
            yield _finding("record", folder + LOCK, "is not as wheelyard writes it", fix)
        before = {Version(pin.version): pin for pin in _lock(base, package).versions}
        for pin in new.versions:
            old = before.get(Version(pin.version))
            if old and _moved(old, pin):
                text = f"{pin.version} is pinned to other bytes under the same name"
                yield _finding(
                    "record",
                    folder + LOCK,
                    text,
                    "find out why upstream's source changed, and write it into the commit message",
                )
    except WheelyardError as error:
        yield from _told("record", error, head)
    try:
        recorded = {entry.key: entry.sha256 for entry in _releases(base, package)}
        for entry in RELEASES.read(releases):
            if recorded.get(entry.key, entry.sha256) != entry.sha256:
                text = f"{entry.file} has another sha256 in {entry.where}, where nothing is ever replaced"
                yield _finding("record", folder + _RELEASES, text, f"wheelyard registry verify {package}")
    except WheelyardError as error:
        yield from _told("record", error, head)


def _moved(old: LockedVersion, new: LockedVersion) -> bool:
    """Return whether a pin names the same file or tag as before, with other bytes."""
    return (old.file, old.tag) == (new.file, new.tag) and (old.sha256, old.commit) != (new.sha256, new.commit)


def _releases(folder: Path, package: str) -> tuple[ReleasedFile, ...]:
    try:
        return RELEASES.read(RELEASES.path(folder / "packages", package))
    except WheelyardError:
        return ()


def _told(kind: Kind, error: WheelyardError, folder: Path) -> Iterator[ReviewFinding]:
    """Yield each finding of an error, its places as they are in the repository."""

    def plain(text: str) -> str:
        for prefix in (f"{folder.resolve()}/", f"{folder}/"):
            text = text.replace(prefix, "")
        return log.clean(text)

    where = plain(error.where or _SITE)
    for detail in error.details or (error.what,):
        place, colon, rest = plain(detail).partition(": ")
        fix = plain(error.fix or "")
        if colon and _PLACE.match(place):
            yield _finding(kind, place, rest, fix)
        else:
            yield _finding(kind, where, plain(detail), fix)


def _finding(kind: Kind, where: str, text: str, fix: str) -> ReviewFinding:
    return ReviewFinding(kind=kind, where=where, text=text, fix=fix)
