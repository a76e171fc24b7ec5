"""The steps of a preflight: each is taken whatever became of those before, and tells what it found."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

from wheelyard import index
from wheelyard.core.errors import (
    ConfigError,
    DiskError,
    InterruptedRunError,
    NetworkError,
    ProgramError,
    StepTimeoutError,
    WheelyardError,
)
from wheelyard.core.tags import Interpreter
from wheelyard.index.project_summary import Upstream
from wheelyard.io import cache, files, guard, log
from wheelyard.io.archive import unpack
from wheelyard.planning.planner import Planner
from wheelyard.preflight import (
    Built,
    build_sdist,
    cargo_runs,
    exposed,
    look_for_paths,
    metadata_of,
    project_table,
    requirements_check,
    sdist_facts,
    write_stubs,
)
from wheelyard.preflight.preflight_report import STEPS, PatchFact, Preflight, PreflightFinding, SdistFacts, State, Step
from wheelyard.project.config import Project
from wheelyard.registries.publish_wheels import publish_packages
from wheelyard.sources.patches import Attempt, attempt
from wheelyard.sources.prepare import obtain, settle
from wheelyard.sources.sdist import check_metadata
from wheelyard.sources.source_kind import Origin, kind_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from wheelyard.builder.effective_tests import Tests
    from wheelyard.core.values import AppliedPatch, SourceTree
    from wheelyard.planning.plan import Plan
    from wheelyard.planning.target import Target

# These say something of this machine, and nothing of the version.
_OURS = (ConfigError, DiskError, InterruptedRunError, ProgramError)
# Backends that make sdists from a repository only, and those that call cargo for it.
_FROM_HISTORY = frozenset({"mesonpy"})
_BY_CARGO = frozenset({"maturin", "setuptools_rust"})
_NO_SOURCE = "there is no source to look at"


@dataclass
class Told:
    """What was found so far."""

    findings: list[PreflightFinding] = field(default_factory=list)
    answered: bool = True
    lasting: bool = True  # whether the same would be found again; what took too long, or was not tried, says no

    def add(
        self, step: Step, state: State, text: str, *, where: str = "", fix: str = "", details: Iterable[str] = ()
    ) -> None:
        """Note something; nothing in it steers a terminal, or is a secret."""
        lines = tuple(log.redact(log.clean(line)) for line in details)
        said = log.redact(log.clean(text))
        self.findings.append(PreflightFinding(step=step, state=state, text=said, where=where, fix=fix, details=lines))

    def fail(self, step: Step, error: WheelyardError, where: str) -> None:
        """Note an error; a file and line of a recipe that it names go before *where*."""
        self.answered &= not isinstance(error, NetworkError)
        self.lasting &= not isinstance(error, NetworkError | StepTimeoutError)
        own = error.where if error.where and error.where.startswith(("recipes/", "packages/", "pyproject.toml")) else ""
        details = [*error.details, *([error.where] if error.where and not own else [])]
        place = own or ("" if isinstance(error, NetworkError) else where)  # no line of a recipe mends a network
        self.add(step, "failed", error.what, where=place, fix=error.fix or "", details=details)

    def step(self, step: Step, title: str, where: str) -> AbstractContextManager[None, bool]:
        """Take a step; what goes wrong with it is a finding, and the next can be taken."""
        return cast("AbstractContextManager[None, bool]", self._step(step, title, where))

    @contextlib.contextmanager
    def _step(self, step: Step, title: str, where: str) -> Iterator[None]:
        before = len(self.findings)
        with contextlib.suppress(_StepFailed), log.step(title):
            try:
                yield
            except _OURS:
                raise
            except WheelyardError as error:
                self.fail(step, error, where)
            if any(each.state == "failed" for each in self.findings[before:]):
                raise _StepFailed


class _StepFailed(Exception):  # noqa: N818 - only so that the log says so
    """A step that failed, and is told already."""


def fly(project: Project, target: Target, told: Told) -> Preflight:
    """Take every step that can be taken.

    Raises:
        DiskError: no space; so do other errors that are about this machine, and not about the version.
    """
    plan = _plan(project, target, told)
    everybody = tuple(map(Interpreter.parse, project.config.interpreters))
    _ask(project, target, told)
    with scratch() as work:
        facts = _Flight(project, target, told, plan.interpreters if plan else everybody, work).go()
        if plan:
            _publish(project, target, plan, work / "site", told)
        else:
            told.add("publish", "skipped", "there is no plan")
    wheels = tuple(wheel.pattern for wheel in plan.expected) if plan else ()
    return result_of(target.package, target.version, told, wheels=wheels, facts=facts)


def result_of(
    package: str, version: str, told: Told, *, wheels: tuple[str, ...] = (), facts: SdistFacts | None = None
) -> Preflight:
    """Return what was found, in the order of the steps."""
    return Preflight(
        package=package,
        package_version=version,
        checked=datetime.now(UTC).replace(microsecond=0),
        answered=told.answered,
        wheels=wheels,
        findings=tuple(sorted(told.findings, key=lambda each: STEPS.index(each.step))),
        facts=facts,
    )


def _plan(project: Project, target: Target, told: Told) -> Plan | None:
    where = target.place("interpreters.only", "interpreters.skip", "expect.tags")
    with told.step("wheels", "Planning", where):
        plan = Planner.of_site(project).plan(target)
        left_out = [f"no wheel for {each.interpreter}: {each.reason}" for each in plan.omissions]
        text = f"{len(plan.expected)} wheel(s) are expected"
        told.add("wheels", "ok", text, details=[*(wheel.pattern for wheel in plan.expected), *left_out, *plan.notes])
        return plan
    return None


def _ask(project: Project, target: Target, told: Told) -> None:
    with told.step("version", "Asking upstream for the version", target.version_place()):
        if text := kind_of(target.settings.source).check(_origin(project, target)):
            told.add("version", "ok", text)
        else:
            told.add("version", "skipped", "the source is a local folder: it is the version that it says it is")


def _url(target: Target) -> str:
    name = target.settings.source.name or target.package
    return index.sdist_url(name, target.locked, index=index.index_url())


def _publish(project: Project, target: Target, plan: Plan, folder: Path, told: Told) -> None:
    """Publish stubs of the expected wheels from a ``dist/`` of their own to an index folder of their own, dry."""
    where = target.place("source.name", "expect.tags")
    with told.step("publish", "Publishing stubs, dry", where):
        site = Project(folder, project.config)
        folder.mkdir(parents=True, exist_ok=True)
        for there in (project.recipes, project.root / "pyproject.toml"):  # which name wheels may have is said there
            (folder / there.name).symlink_to(there)
        write_stubs(
            site.dist / target.package / target.version,
            target.package,
            target.version,
            plan.expected,
            project.config.policy,
        )
        done = publish_packages(site, [target.package], str(folder / "index"), dry_run=True)
        if done.held_back or len(done.uploads) != len(plan.expected):
            told.add(
                "publish",
                "failed",
                "wheels of these names would not be published",
                where=where,
                fix="the recipe's folder must bear the name that its wheels have",
                details=done.held_back,
            )
        else:
            told.add("publish", "ok", f"{len(done.uploads)} stub(s) would be published")


# -------------------------------------------------------------------- source


def obtained(project: Project, target: Target, work: Path) -> SourceTree:
    """Return upstream's tree of a version in *work*, verified and not patched."""
    return obtain(_origin(project, target), work)


def _origin(project: Project, target: Target) -> Origin:
    return Origin(
        target.package,
        target.locked,
        target.settings,
        target.recipe.folder,
        project.config,
        lambda: _url(target),
    )


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """Yield a folder that goes away, whatever happens."""
    folder = cache.cache_dir("work")
    files.sweep_scratch(folder, "preflight")
    with files.scratch(folder, "preflight") as work, guard.on_death(folders=[work]):
        yield work


def patched(target: Target, found: SourceTree) -> tuple[tuple[Attempt, ...], tuple[PatchFact, ...]]:
    """Apply to *found* whatever of the recipe's patches applies, and tell of each."""
    tried = attempt(
        found.folder, target.settings.patch, target.version, folder=target.recipe.folder, where=target.patch_place
    )
    return tried, tuple(
        PatchFact(file=each.patch.file, state="applies" if each.applied else "upstream" if each.already else "fails")
        for each in tried
    )


@dataclass(frozen=True)
class _Flight:
    """The steps that look at the source.

    Attributes:
        project, target, told: for what, and where findings go.
        interpreters: those that get a wheel.
        work: a folder that goes away.
    """

    project: Project
    target: Target
    told: Told
    interpreters: tuple[Interpreter, ...]
    work: Path

    def go(self) -> SdistFacts | None:
        """Take them, and return what the source is like; None if it cannot be had."""
        target, told = self.target, self.told
        found: SourceTree | None = None
        with told.step("source", "Fetching the source", target.source_place()):
            found = obtained(self.project, target, self.work)
            what = f"{found.name} at commit {found.commit[:12]}" if found.commit else found.name
            told.add("source", "ok", f"{what}, sha256 {found.sha256[:12]}…")
        if found is None:
            for step in ("patches", "sdist", "metadata", "tests"):
                told.add(step, "skipped", _NO_SOURCE)
            self._requirements(None, (), b"", {})
            return None
        inside = target.settings.build.subdirectory
        facts = sdist_facts(found.folder / inside)
        applied, patches = self._patches(found)
        package, built = self._sdist(replace(found, patches=applied))
        metadata = self._metadata(package, built)
        tests = self._tests(package)
        self._requirements(package, built.requires, metadata, tests)
        if metadata and not facts.version:
            facts = sdist_facts(package, metadata=metadata).model_copy(
                update={"modules": facts.modules, "sources": facts.sources}
            )
        return facts.model_copy(update={"patches": patches})

    def _patches(self, found: SourceTree) -> tuple[tuple[AppliedPatch, ...], tuple[PatchFact, ...]]:
        told = self.told
        tried: tuple[Attempt, ...] = ()
        facts: tuple[PatchFact, ...] = ()
        with told.step("patches", "Applying patches", self.target.recipe.file):
            tried, facts = patched(self.target, found)
            for each in tried:
                if each.problem is not None:
                    told.fail("patches", each.problem, each.where)
                else:
                    told.add("patches", "ok", f"{each.patch.file} applies", where=each.where)
            if not tried:
                told.add("patches", "skipped", "the recipe has no patch for this version")
        return tuple(each.applied for each in tried if each.applied), facts

    def _sdist(self, found: SourceTree) -> tuple[Path, Built]:
        """Return the folder of the package and what its backend made; what fails is told, and the folder is there."""
        target, told = self.target, self.told
        where = target.place("sdist.run", "build.subdirectory", f"source.{target.settings.source.kind}")
        inside = target.settings.build.subdirectory
        log_file = cache.cache_dir("preflight", "logs", target.package) / f"{target.version}.log"
        files.remove(log_file)
        tree, built = found.folder, Built(None, ())
        if reason := exposed():
            told.lasting = False
            fix = "take the tokens out of the environment, or allow user namespaces (docs/tutorial/porting.md)"
            told.add("sdist", "skipped", f"not tried: upstream's code could read our tokens ({reason})", fix=fix)
            return tree / inside, Built(None, sdist_facts(tree / inside).build_requires)
        with told.step("sdist", "Making the sdist", where):
            tree = settle(_origin(self.project, target), found, self.work, log_file=log_file).folder
            reason = self._no_sdist(tree / inside)
            log.info(f"full output: {log_file}")
            built = build_sdist(
                tree / inside,
                self.work / "build",
                index=index.index_url(),
                epoch=found.epoch,
                timeout=target.settings.sdist.timeout,
                log_file=log_file,
                version=target.version if not kind_of(target.settings.source).is_sdist else "",
                sdist=not reason,
            )
            if built.sdist:
                told.add("sdist", "ok", f"its build backend makes {built.sdist.name} of it")
            else:
                told.add("sdist", "skipped", reason or "its build backend makes no sdists (PEP 517)")
        if not tree.is_dir():  # moved to where it is built, and found wanting there
            tree = self.work / f"{target.settings.source.name or target.package}-{target.version}"
        return tree / inside, built

    def _no_sdist(self, package: Path) -> str:
        """Say why no sdist is made by the backend here, nothing if it is."""
        script = self.target.settings.sdist.run
        if script:
            return f"{script} has made it"
        system = project_table(package).get("build-system")
        named = str(system.get("build-backend", "")) if isinstance(system, dict) else ""
        backend = named.partition(":")[0].partition(".")[0]
        if backend in _FROM_HISTORY and kind_of(self.target.settings.source).is_sdist:
            return f"{backend} makes sdists from a repository only, and this is one already"
        if backend in _BY_CARGO and not cargo_runs(self.work):
            return f"{backend} calls cargo for it, which does not run on this machine; it is in the image"
        return ""

    def _metadata(self, package: Path, built: Built) -> bytes:
        """Return PKG-INFO, empty if there is none."""
        target, told = self.target, self.told
        keys = kind_of(target.settings.source).version_keys
        where = target.place("source.name", *(f"source.{key}" for key in keys))
        name = target.settings.source.name or target.package
        folder, what = package, "the source"
        with told.step("metadata", "Reading metadata", where):
            if built.sdist:
                folder, what = self.work / "unpacked", built.sdist.name
                unpack(built.sdist, folder, limits=_origin(self.project, target).limits)
            if built.sdist or (folder / "PKG-INFO").is_file():
                check_metadata(folder, name, target.version, what=what)
                told.add("metadata", "ok", f"{what} says that it is {name} {target.version}")
            else:
                told.add("metadata", "skipped", "only a build can tell: there is no PKG-INFO")
        return metadata_of(folder)

    def _tests(self, package: Path) -> Mapping[Interpreter, Tests]:
        target, told = self.target, self.told
        where = target.place("test.command", "build.cibuildwheel.test-command", "build.upstream")
        tests: Mapping[Interpreter, Tests] = {}
        with told.step("tests", "Looking for the tests' paths", where):
            tests = requirements_check.tests_of(target, package, self.interpreters)
            distinct = {(each.command, each.sources) for each in tests.values() if each.command}
            inside = target.settings.build.subdirectory
            tree = package if inside == "." else self.work / package.relative_to(self.work).parts[0]
            looked_at = 0
            for command, sources in sorted(distinct):
                found = look_for_paths(command, tree=tree, subdirectory=inside, sources=sources)
                looked_at += found.looked_at
                if found.missing:
                    text = f"the test command names what is not there: {', '.join(found.missing)}"
                    told.add("tests", "failed", text, where=where, fix="correct [test] command in the recipe")
                if found.idle:
                    told.add("tests", "ok", f"it leaves out what is not there: {', '.join(found.idle)}", where=where)
            if not distinct:
                fix = "" if target.settings.test.skip else "say how: [test] command"
                told.add("tests", "skipped", "nothing is tested: there is no test command", where=where, fix=fix)
            elif looked_at:
                told.add("tests", "ok", f"{looked_at} path(s) of the test command were looked for")
            else:
                told.add("tests", "skipped", "the test command names no path that could be looked for", where=where)
        return tests

    def _requirements(
        self, package: Path | None, requires: Sequence[str], metadata: bytes, tests: Mapping[Interpreter, Tests]
    ) -> None:
        target, told = self.target, self.told
        where = target.place("build.needs", "test.requires", "build.upstream")
        with told.step("requirements", "Looking for what it needs", where):
            if package is None:
                want = requirements_check.of_recipe(target, self.interpreters)
            else:
                want = requirements_check.wanted(
                    target,
                    package,
                    requires=requires,
                    metadata=metadata,
                    tests=tests,
                    interpreters=self.interpreters,
                )
            found = requirements_check.judged(self.project, target, want, Upstream(index.index_url()))
            told.findings += found
            if not found:
                told.add("requirements", "ok", "nothing is needed")
