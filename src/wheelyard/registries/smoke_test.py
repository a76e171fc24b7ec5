"""``registry smoke-test``: what is published is installed with pip and imported on riscv64, as those who use it do."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wheelyard import images
from wheelyard.core.errors import RecipeError, TrialError, UnknownPackageError, WheelyardError
from wheelyard.core.tags import wheel_for
from wheelyard.core.values import ImageChoice
from wheelyard.io import cache, engine, files, log
from wheelyard.project.loader import effective, load_recipe
from wheelyard.registries.pip_smoke_test import Wanted, try_out
from wheelyard.registries.registry_listings import installable, listings, projects_of
from wheelyard.registries.smoke_test_report import SmokeTestReport, SmokeTestResult

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from packaging.version import Version

    from wheelyard.checks import RunIn
    from wheelyard.core.tags import Interpreter, WheelName
    from wheelyard.project.config import Project
    from wheelyard.registries import RegistryFile
    from wheelyard.registries.open_registry import NamedRegistry


@dataclass(frozen=True)
class Release:
    """A published version: its wheels for riscv64."""

    package: str
    version: Version
    wheels: tuple[tuple[WheelName, RegistryFile], ...]


def try_registry(
    project: Project,
    registry: NamedRegistry,
    packages: Sequence[str] = (),
    *,
    pythons: tuple[Interpreter, ...] = (),
    newest: int = 1,
    image: str | None = None,
) -> SmokeTestReport:
    """Install the newest versions of *packages*, of all by default, from a registry and import them.

    One container of an interpreter does for all packages, as an image starts slowly. A package that fails keeps no
    other back. No credential goes along: what is tried is what everybody gets.

    Args:
        project: the project.
        registry: the registry.
        packages: which; all by default.
        pythons: only these of the image's interpreters.
        newest: how many versions of each, without what is yanked.
        image: another image than the site configuration's.

    Raises:
        UnknownPackageError: the registry has no such package.
        NetworkError: the registry does not answer.
        EngineError: no container can be started.
        ImageError: there is no image.
    """
    releases: list[Release] = []
    unreadable: list[SmokeTestResult] = []
    for package, listing in listings(registry, projects_of(registry, packages)):
        if isinstance(listing, WheelyardError):
            unreadable.append(
                SmokeTestResult(package=package, version="", interpreter="", state="unreadable", text=listing.head)
            )
            continue
        releases += _releases(project, registry, package, listing)[:newest]
    engine.require_riscv64()
    choice = ImageChoice.parse(image or project.config.image)
    target_image = images.ensure(images.resolve(choice, project.config.policy))
    folder = project.dist / "try"
    results = list(unreadable)
    with cache.lock(folder / ".lock", what="trying what is published"):  # the logs are one run's
        for interpreter in target_image.interpreters:
            if not pythons or interpreter in pythons:
                rounds = _rounds(project, releases, interpreter)
                results += _tried(
                    registry, rounds, interpreter, engine.run_with_network(target_image.reference), folder
                )
    finished = {(result.package, result.version) for result in results}
    left = tuple(
        f"{result.package} {result.version}"
        for result in releases
        if (result.package, str(result.version)) not in finished
    )
    return SmokeTestReport(registry=registry.name, image=target_image.reference, results=tuple(results), left_out=left)


def _tried(
    registry: NamedRegistry, rounds: Iterable[Sequence[Wanted]], interpreter: Interpreter, run_in: RunIn, folder: Path
) -> Iterator[SmokeTestResult]:
    log_file = folder / f"{interpreter}.log"
    files.remove(log_file)
    for versions in rounds:
        with log.step(f"Installing {len(versions)} packages from {registry.adapter.title} ({interpreter})"):
            results = try_out(
                versions,
                interpreter,
                run_in,
                index=registry.adapter.folder or registry.adapter.index_url,
                log_file=log_file,
            )
        for name, version, state, text in results:
            yield SmokeTestResult(package=name, version=version, interpreter=str(interpreter), state=state, text=text)


def problem(report: SmokeTestReport) -> WheelyardError | None:
    """Return the error of what does not install or import, None if all does."""
    failed = [result for result in report.results if result.state != "ok"]
    if not failed:
        return None
    return TrialError(
        f"{len(failed)} of {len(report.results)} smoke tests failed",
        where=report.registry,
        details=[
            f"{result.package} {result.version} {result.interpreter}: {result.state}: {result.text}"
            for result in failed
        ],
        fix="look at dist/try/<interpreter>.log; yank what nobody should get: wheelyard registry yank",
    )


def _releases(
    project: Project, registry: NamedRegistry, package: str, file_list: Sequence[RegistryFile]
) -> list[Release]:
    """Return the versions with wheels for riscv64 that are not yanked: final ones first, the newest before others."""
    by_version = installable(project, registry, package, file_list)
    order = sorted(by_version, key=lambda version: (not version.is_prerelease, version), reverse=True)
    return [Release(package, version, tuple(by_version[version])) for version in order]


def _rounds(project: Project, releases: Sequence[Release], interpreter: Interpreter) -> Iterator[list[Wanted]]:
    """Yield what *interpreter* can install; each package once in a round."""
    waiting = [release for release in releases if wheel_for(interpreter, [name.pair for name, _ in release.wheels])]
    while waiting:
        current: dict[str, Release] = {}
        for release in waiting:
            current.setdefault(release.package, release)
        waiting = [release for release in waiting if current[release.package] is not release]
        yield [_wanted(project, release) for release in current.values()]


def _wanted(project: Project, release: Release) -> Wanted:
    hashes = frozenset(file.sha256 or "" for _, file in release.wheels)
    known_hashes = frozenset() if "" in hashes else hashes
    modules = None
    with contextlib.suppress(UnknownPackageError, RecipeError):  # published once, and built no more
        modules = effective(load_recipe(project, release.package), release.version)[0].check.imports
    return Wanted(release.package, str(release.version), known_hashes, modules)
