"""``ci reuse``: take the wheels that earlier pipelines built from the same inputs, and plan the rest.

A pull request builds what it changes; once it is merged the same inputs are due, and the forge still has the wheels.
They are taken from runs of the project itself, never of a fork, and are not trusted until each check of
``ci collect`` and ``check`` has passed. Whatever goes wrong here, the wheel is built.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from wheelyard.builder.check_package import check_wheel
from wheelyard.builder.fetch_build_requires import fetch_build_requires
from wheelyard.ci.collect import collect
from wheelyard.ci.run_planned_job import artifact_name
from wheelyard.core.errors import CheckError, ConfigError, DiskError, StepTimeoutError, WheelyardError
from wheelyard.forges import open_artifacts
from wheelyard.io import archive, cache, files, log
from wheelyard.io.body import SlowServerError
from wheelyard.io.environment_token import read_token
from wheelyard.planning.changed import repository_of, span_of
from wheelyard.planning.selection import DuePlanner
from wheelyard.planning.target import find_target
from wheelyard.records.wheel_records import read_record, wheel_record_path

if TYPE_CHECKING:
    from pathlib import Path

    from wheelyard.core.values import ExpectedWheel
    from wheelyard.forges import Artifact, Artifacts
    from wheelyard.planning.selection import Due, Selection
    from wheelyard.project.config import Project

_FOLDER = "reuse"  # of downloads, in the cache
_PATIENCE = 900.0  # seconds; the job that plans has half an hour, and those that build wait for it
_TRIES = 3  # artifacts of one name
_MEMBERS = 1000
_TEXT = 4 << 20  # bytes of a record


def reuse(project: Project, selection: Selection) -> Selection:
    """Copy wheels that were built before into ``dist/``; return the rest, and the reason for each reused wheel.

    Raises:
        DiskError: no space.
    """
    try:
        return _Reuse(project, _artifacts(project)).run(selection)
    except ConfigError as error:
        log.warn(f"all is built: {error}")
        return selection


def since_last(project: Project, text: str, name: str) -> str | None:
    """Return the range *text* as it is, or from where the last run before it began that left the artifact *name*.

    GitHub keeps one waiting run of a workflow, so that not every push has one: the next one takes over its commits.

    Args:
        project: the project.
        text: ``BASE..HEAD``.
        name: what each run leaves that has planned all up to its own commit.

    Returns:
        The range; None where the forge does not report it.

    Raises:
        PlanError: there are no such commits here.
        ProgramError: this is no git repository.
    """
    repository = repository_of(project.root)
    span = span_of(repository, text)
    try:
        commits = dict.fromkeys(artifact.commit for artifact in _artifacts(project).find(name))
    except WheelyardError as error:
        log.warn(f"the part of the last push that is not built cannot be found: {error}")
        return None
    last = ""
    for commit in commits:
        # Not the newest artifact's: a retried run leaves another one.
        if commit and repository.is_ancestor(commit, span.base) and (not last or repository.is_ancestor(last, commit)):
            last = commit
    return f"{last}..{span.head}" if last else text


def _artifacts(project: Project) -> Artifacts:
    config = project.config.change_requests
    if config is None:
        raise ConfigError(
            "the site configuration names no forge with pipelines",
            fix="add [tool.wheelyard.change-requests]; docs/how-to/change-requests.md",
        )
    return open_artifacts(config, read_token(config.variable))


@dataclass
class _Reuse:
    """Takes wheels from one forge."""

    project: Project
    artifacts: Artifacts
    down: bool = False
    _began: float = field(default_factory=time.monotonic, init=False)

    def run(self, selection: Selection) -> Selection:
        """Reuse wheels, packages before the packages that need them, whose fingerprints depend on them."""
        left: dict[int, Due] = {}
        reused_rows: list[tuple[str, str, str]] = []
        waiting = dict(enumerate(selection.due))
        while waiting:
            names = {due.target.package for due in waiting.values()}
            ready = [number for number, due in waiting.items() if not names & set(due.target.settings.needs)]
            for number in ready or list(waiting):  # packing reports the cycle
                due = waiting.pop(number)
                building = {entry.target.package for entry in left.values()}
                wheels, reused_names = (due.wheels, []) if building & set(due.target.settings.needs) else self._of(due)
                reused_rows += [(due.target.package, due.target.version, text) for text in reused_names]
                if wheels:
                    left[number] = replace(due, wheels=wheels)
        rest = tuple(due for _, due in sorted(left.items()))
        return replace(selection, due=rest, left_out=(*selection.left_out, *reused_rows))

    def _of(self, due: Due) -> tuple[tuple[ExpectedWheel, ...], list[str]]:
        """Return the wheels that are left to build, and where the others come from."""
        rest: list[ExpectedWheel] = []
        names: list[str] = []
        due = self._exact(due)
        for wheel in due.wheels:
            run = self._take(due, wheel) if due.exact and not self.down else None
            if run is None:
                rest.append(wheel)
            else:
                names.append(f"reused for {', '.join(map(str, wheel.interpreters))}: run {run} has built it")
            if not self.down and time.monotonic() - self._began > _PATIENCE:
                log.warn(f"no more wheels are reused after {log.duration(_PATIENCE)}; the rest is built")
                self.down = True
        return tuple(rest), names

    def _exact(self, due: Due) -> Due:
        """Return it with the digests that hold here: of what is checked out, and now that what it needs can be had.

        A range of commits is planned for its end; a pull request's jobs check out that end merged into its base.
        """
        if self.down:
            return due
        try:
            target = find_target(self.project, due.target.package, due.target.version, write=False)
            if target.settings.needs:
                fetch_build_requires(self.project, target, due.plan.interpreters)
            return DuePlanner(self.project).due(target, due.plan, due.wheels, due.why)
        except WheelyardError as error:
            log.warn(f"{due.target.package} is built: {error.head}")
            return replace(due, exact=False)

    def _take(self, due: Due, wheel: ExpectedWheel) -> int | None:
        """Reuse a wheel, and return its run; None if no run has a valid one."""
        pythons = tuple(map(str, wheel.interpreters))
        name = artifact_name(due.target.package, due.target.version, pythons, due.fingerprints[wheel])
        try:
            artifacts = self.artifacts.find(name)
        except DiskError:
            raise
        except WheelyardError as error:
            log.warn(f"no more wheels are reused; the rest is built: {error}")
            self.down = True
            return None
        for artifact in artifacts[:_TRIES]:
            try:
                self._bring(due, wheel, artifact)
            except DiskError:
                raise
            except WheelyardError as error:
                log.warn(f"{name} of run {artifact.run} is not reused: {error}")
                if isinstance(error, (SlowServerError, StepTimeoutError)):  # the next one would take as long
                    self.down = True
                    break
            else:
                return artifact.run
        return None

    def _bring(self, due: Due, wheel: ExpectedWheel, artifact: Artifact) -> None:
        """Put an artifact's wheel into ``dist/``.

        Raises:
            CheckError: it is not the wheel that is due.
            SourceError: it is no zip that may be unpacked.
            NetworkError: it does not come.
        """
        most = self.project.config.max_unpacked_mib << 20
        folder = cache.cache_dir(_FOLDER)
        files.sweep_scratch(folder, "work")
        with files.scratch(folder, "work") as work:
            content = work / "content"
            self.artifacts.fetch(artifact, work / "artifact.zip", limit=most)
            archive.unpack_zip(work / "artifact.zip", content, limits=archive.Limits(most, _MEMBERS))
            check_wheel(self.project, due, wheel, _wheel(content, due, due.fingerprints[wheel]))
            for outcome in [*content.rglob("outcome-*.json")]:  # of that run, and of none of this one's jobs
                files.remove(outcome)
            refused = collect(self.project, [content]).refused
            if refused:
                raise CheckError("it is refused", details=refused)


def _wheel(content: Path, due: Due, fingerprint: str) -> Path:
    """Return the one wheel in an artifact, with this fingerprint.

    Raises:
        CheckError: there is none.
    """
    wheels = [path for path in content.rglob("*.whl") if path.is_file() and not path.is_symlink()]
    if len(wheels) != 1:
        raise CheckError(f"it holds {len(wheels)} wheels, not one")
    papers = wheel_record_path(wheels[0])
    if papers.is_symlink() or not papers.is_file() or papers.stat().st_size > _TEXT:
        raise CheckError("its wheel comes without a record")
    record = read_record(wheels[0])
    if (record.package, record.package_version) != (due.target.package, due.target.version):
        raise CheckError("its record is of another version")
    if record.fingerprint != fingerprint:
        raise CheckError("its wheel has another fingerprint", details=[f"{record.fingerprint}, not {fingerprint}"])
    return wheels[0]
