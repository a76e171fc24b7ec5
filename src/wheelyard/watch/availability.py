"""What is there for riscv64: the public index and our registry side by side, each project asked for once."""

from __future__ import annotations

import functools
import threading
from typing import TYPE_CHECKING

from packaging.markers import UndefinedComparison, UndefinedEnvironmentName
from packaging.specifiers import InvalidSpecifier
from packaging.version import InvalidVersion

from wheelyard.core.errors import NetworkError, UnknownPackageError, WheelyardError
from wheelyard.index.client import project_page
from wheelyard.index.project_summary import ProjectFacts, condense
from wheelyard.io import threads
from wheelyard.io.circuit_breaker import CircuitBreaker

if TYPE_CHECKING:
    from collections.abc import Iterable

    from packaging.requirements import Requirement

    from wheelyard.core.tags import Interpreter
    from wheelyard.registries import RegistryFile
    from wheelyard.registries.open_registry import NamedRegistry


class OwnRegistry:
    """Our registry. One that does not answer counts as empty, with a note. Threads may share it.

    Args:
        registry: the registry, None if there is none to ask.
    """

    def __init__(self, registry: NamedRegistry | None) -> None:
        self._registry = registry
        self._files: dict[str, tuple[RegistryFile, ...]] = {}
        self._lock = threading.Lock()
        self._breaker = CircuitBreaker()
        self.notes: dict[str, None] = {}
        self._projects: frozenset[str] = frozenset()
        if registry is not None:
            try:
                self._projects = frozenset(registry.adapter.projects())
            except WheelyardError as error:
                self._registry = None
                where = error.where or registry.name
                self.notes[f"our registry was not looked at: {where}: {error.what}"] = None

    @property
    def name(self) -> str:
        """The registry's name, empty if there is none that answers."""
        return self._registry.name if self._registry else ""

    @property
    def index(self) -> str:
        """The address that installers take, empty if there is none."""
        return self._registry.adapter.index_url if self._registry else ""

    @functools.cached_property
    def needs_login(self) -> bool:
        """Whether installers need a login for it."""
        try:
            return self._registry is not None and not self._registry.adapter.is_public()
        except WheelyardError:
            return True

    def wheels(self, project: str, python: Interpreter) -> tuple[str, ...]:
        """Return the names of a project's files that are not yanked and that Requires-Python lets *python* have."""
        return tuple(
            file.file for file in self._listed(project) if file.yanked is None and _allows(file.requires_python, python)
        )

    def _listed(self, project: str) -> tuple[RegistryFile, ...]:
        if self._registry is None or project not in self._projects:
            return ()
        with self._lock:
            if project in self._files:
                return self._files[project]
        try:
            file_list = self._breaker.ask(functools.partial(self._registry.adapter.files, project))
        except WheelyardError as error:
            file_list = ()
            self.notes[f"{project} was not looked at in our registry: {error.what}"] = None
        with self._lock:
            return self._files.setdefault(project, file_list)


class ProjectPages:
    """Projects, as far as they were looked at.

    Args:
        index: the root of the public index's simple API.
        registry: our registry.
        parallel: pages that are read at once.
    """

    def __init__(self, index: str, registry: OwnRegistry, *, parallel: int) -> None:
        self.registry = registry
        self._index = index
        self._parallel = parallel
        self._projects: dict[str, ProjectFacts | WheelyardError] = {}

    def load(self, names: Iterable[str]) -> int:
        """Look at those of *names* that are not known yet; return how many these were."""
        missing = sorted({name for name in names if name not in self._projects})
        if missing:
            loaded = threads.each(self._look, missing, parallel=self._parallel)
            self._projects.update(zip(missing, loaded, strict=True))
        return len(missing)

    def facts(self, name: str) -> ProjectFacts:
        """Return the index's facts of a loaded project; empty facts where it has none."""
        project = self._projects[name]
        return project if isinstance(project, ProjectFacts) else ProjectFacts(name)

    def trouble(self, name: str) -> WheelyardError | None:
        """Return why the index has no facts of a project."""
        project = self._projects[name]
        return project if isinstance(project, WheelyardError) else None

    def _look(self, name: str) -> ProjectFacts | WheelyardError:
        try:
            return condense(name, project_page(name, self._index, ()))
        except (NetworkError, UnknownPackageError) as error:
            return error


def applies(requirement: Requirement, python: Interpreter, extras: Iterable[str] = ()) -> bool:
    """Return whether a requirement's marker holds on riscv64: as it is, or with one of *extras*.

    A marker that compares what cannot be compared holds: better to look at one project too many.
    """
    if requirement.marker is None:
        return True
    try:
        return any(requirement.marker.evaluate({**python.markers(), "extra": extra}) for extra in ("", *extras))
    except (UndefinedComparison, UndefinedEnvironmentName, InvalidVersion, InvalidSpecifier):
        return True


def _allows(requires_python: str, python: Interpreter) -> bool:
    try:
        return python.allowed_by(requires_python)
    except InvalidSpecifier:
        return True  # as pip does
