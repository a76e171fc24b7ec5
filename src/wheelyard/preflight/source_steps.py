"""The steps of a preflight that need the source: source, patches, sdist, metadata, tests, requirements."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from wheelyard import index
from wheelyard.index.project_summary import Upstream
from wheelyard.io import cache, files, guard, log
from wheelyard.io.archive import unpack
from wheelyard.preflight import requirements_check
from wheelyard.preflight.command_paths import find_missing_paths
from wheelyard.preflight.make_sdist import SdistBuild, build_sdist, cargo_runs, why_exposed
from wheelyard.preflight.preflight_report import PatchFact, SdistFacts
from wheelyard.preflight.source_facts import metadata_of, project_table, sdist_facts
from wheelyard.sources.patches import Attempt, attempt
from wheelyard.sources.prepare import obtain, settle
from wheelyard.sources.sdist import check_metadata
from wheelyard.sources.source_kind import Origin, kind_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from wheelyard.builder.effective_tests import Tests
    from wheelyard.core.tags import Interpreter
    from wheelyard.core.values import AppliedPatch, SourceTree
    from wheelyard.planning.target import Target
    from wheelyard.preflight.step_results import StepResults
    from wheelyard.project.config import Project

# Backends that make sdists from a repository only, and backends that call cargo for it.
_FROM_HISTORY = frozenset({"mesonpy"})
_BY_CARGO = frozenset({"maturin", "setuptools_rust"})
_NO_SOURCE = "there is no source to check"


def _url(target: Target) -> str:
    name = target.settings.source.name or target.package
    return index.sdist_url(name, target.locked, index=index.index_url())


def obtain_source(project: Project, target: Target, work: Path) -> SourceTree:
    """Return upstream's tree of a version in *work*, verified and without patches."""
    return obtain(origin_of(project, target), work)


def origin_of(project: Project, target: Target) -> Origin:
    """Return the origin of a version's source."""
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
    """Yield a scratch folder that is removed in any case."""
    folder = cache.cache_dir("work")
    files.sweep_scratch(folder, "preflight")
    with files.scratch(folder, "preflight") as work, guard.on_death(folders=[work]):
        yield work


def apply_patches(target: Target, source: SourceTree) -> tuple[tuple[Attempt, ...], tuple[PatchFact, ...]]:
    """Apply the recipe's patches that apply to *source*, and return the state of each."""
    attempts = attempt(
        source.folder, target.settings.patch, target.version, folder=target.recipe.folder, where=target.patch_place
    )
    return attempts, tuple(
        PatchFact(
            file=patch_attempt.patch.file,
            state="applies" if patch_attempt.applied else "upstream" if patch_attempt.already else "fails",
        )
        for patch_attempt in attempts
    )


@dataclass(frozen=True)
class SourceSteps:
    """The steps that need the source.

    Attributes:
        project, target, results: the version to check, and the collector of results.
        interpreters: the interpreters of the expected wheels.
        work: a scratch folder.
    """

    project: Project
    target: Target
    results: StepResults
    interpreters: tuple[Interpreter, ...]
    work: Path

    def run(self) -> SdistFacts | None:
        """Run the steps and return the facts of the source, None if it cannot be fetched."""
        target, results = self.target, self.results
        source: SourceTree | None = None
        with results.step("source", "Fetching the source", target.source_place()):
            source = obtain_source(self.project, target, self.work)
            label = f"{source.name} at commit {source.commit[:12]}" if source.commit else source.name
            results.add("source", "ok", f"{label}, sha256 {source.sha256[:12]}…")
        if source is None:
            for step in ("patches", "sdist", "metadata", "tests"):
                results.add(step, "skipped", _NO_SOURCE)
            self._requirements(None, (), b"", {})
            return None
        subdirectory = target.settings.build.subdirectory
        facts = sdist_facts(source.folder / subdirectory)
        applied, patches = self._patches(source)
        package, built = self._sdist(replace(source, patches=applied))
        metadata = self._metadata(package, built)
        tests = self._tests(package)
        self._requirements(package, built.requires, metadata, tests)
        if metadata and not facts.version:
            facts = sdist_facts(package, metadata=metadata).model_copy(
                update={"modules": facts.modules, "sources": facts.sources}
            )
        return facts.model_copy(update={"patches": patches})

    def _patches(self, source: SourceTree) -> tuple[tuple[AppliedPatch, ...], tuple[PatchFact, ...]]:
        results = self.results
        attempts: tuple[Attempt, ...] = ()
        facts: tuple[PatchFact, ...] = ()
        with results.step("patches", "Applying patches", self.target.recipe.file):
            attempts, facts = apply_patches(self.target, source)
            for patch_attempt in attempts:
                if patch_attempt.problem is not None:
                    results.fail("patches", patch_attempt.problem, patch_attempt.where)
                else:
                    results.add("patches", "ok", f"{patch_attempt.patch.file} applies", where=patch_attempt.where)
            if not attempts:
                results.add("patches", "skipped", "the recipe has no patch for this version")
        return tuple(patch_attempt.applied for patch_attempt in attempts if patch_attempt.applied), facts

    def _sdist(self, source: SourceTree) -> tuple[Path, SdistBuild]:
        """Return the folder of the package and the result of its backend; the folder exists even after a failure."""
        target, results = self.target, self.results
        where = target.place("sdist.run", "build.subdirectory", f"source.{target.settings.source.kind}")
        subdirectory = target.settings.build.subdirectory
        log_file = cache.cache_dir("preflight", "logs", target.package) / f"{target.version}.log"
        files.remove(log_file)
        tree, built = source.folder, SdistBuild(None, ())
        if reason := why_exposed():
            results.lasting = False
            fix = "take the tokens out of the environment, or allow user namespaces (docs/tutorial/porting.md)"
            results.add("sdist", "skipped", f"not run: upstream's code could read our tokens ({reason})", fix=fix)
            return tree / subdirectory, SdistBuild(None, sdist_facts(tree / subdirectory).build_requires)
        with results.step("sdist", "Making the sdist", where):
            tree = settle(origin_of(self.project, target), source, self.work, log_file=log_file).folder
            reason = self._no_sdist(tree / subdirectory)
            log.info(f"full output: {log_file}")
            built = build_sdist(
                tree / subdirectory,
                self.work / "build",
                index=index.index_url(),
                epoch=source.epoch,
                timeout=target.settings.sdist.timeout,
                log_file=log_file,
                version=target.version if not kind_of(target.settings.source).is_sdist else "",
                sdist=not reason,
            )
            if built.sdist:
                results.add("sdist", "ok", f"its build backend makes {built.sdist.name}")
            else:
                results.add("sdist", "skipped", reason or "its build backend makes no sdists (PEP 517)")
        if not tree.is_dir():  # moved to its place, where a check failed
            tree = self.work / f"{target.settings.source.name or target.package}-{target.version}"
        return tree / subdirectory, built

    def _no_sdist(self, package: Path) -> str:
        """Return why the backend makes no sdist here, empty if it does."""
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

    def _metadata(self, package: Path, built: SdistBuild) -> bytes:
        """Check the metadata and return PKG-INFO, empty if there is none."""
        target, results = self.target, self.results
        keys = kind_of(target.settings.source).version_keys
        where = target.place("source.name", *(f"source.{key}" for key in keys))
        name = target.settings.source.name or target.package
        folder, label = package, "the source"
        with results.step("metadata", "Reading metadata", where):
            if built.sdist:
                folder, label = self.work / "unpacked", built.sdist.name
                unpack(built.sdist, folder, limits=origin_of(self.project, target).limits)
            if built.sdist or (folder / "PKG-INFO").is_file():
                check_metadata(folder, name, target.version, source=label)
                results.add("metadata", "ok", f"{label} is {name} {target.version} by its metadata")
            else:
                results.add("metadata", "skipped", "there is no PKG-INFO before a build")
        return metadata_of(folder)

    def _tests(self, package: Path) -> Mapping[Interpreter, Tests]:
        target, results = self.target, self.results
        where = target.place("test.command", "build.cibuildwheel.test-command", "build.upstream")
        tests: Mapping[Interpreter, Tests] = {}
        with results.step("tests", "Checking the tests' paths", where):
            tests = requirements_check.tests_of(target, package, self.interpreters)
            distinct = {(options.command, options.sources) for options in tests.values() if options.command}
            subdirectory = target.settings.build.subdirectory
            tree = package if subdirectory == "." else self.work / package.relative_to(self.work).parts[0]
            checked_count = 0
            for command, sources in sorted(distinct):
                paths = find_missing_paths(command, tree=tree, subdirectory=subdirectory, sources=sources)
                checked_count += paths.checked_count
                if paths.missing:
                    text = f"the test command names missing paths: {', '.join(paths.missing)}"
                    results.add("tests", "failed", text, where=where, fix="correct [test] command in the recipe")
                if paths.unused:
                    results.add("tests", "ok", f"it deselects missing paths: {', '.join(paths.unused)}", where=where)
            if not distinct:
                fix = "" if target.settings.test.skip else "set [test] command"
                results.add("tests", "skipped", "nothing is tested: there is no test command", where=where, fix=fix)
            elif checked_count:
                results.add("tests", "ok", f"{checked_count} path(s) of the test command checked")
            else:
                results.add("tests", "skipped", "the test command names no path that can be checked", where=where)
        return tests

    def _requirements(
        self, package: Path | None, requires: Sequence[str], metadata: bytes, tests: Mapping[Interpreter, Tests]
    ) -> None:
        target, results = self.target, self.results
        where = target.place("build.needs", "test.requires", "build.upstream")
        with results.step("requirements", "Checking requirements", where):
            if package is None:
                requirements = requirements_check.recipe_requirements(target, self.interpreters)
            else:
                requirements = requirements_check.collect_requirements(
                    target,
                    package,
                    requires=requires,
                    metadata=metadata,
                    tests=tests,
                    interpreters=self.interpreters,
                )
            requirement_results = requirements_check.check_requirements(
                self.project, target, requirements, Upstream(index.index_url())
            )
            results.findings += requirement_results
            if not requirement_results:
                results.add("requirements", "ok", "no requirements")
