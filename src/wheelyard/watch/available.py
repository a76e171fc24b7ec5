"""``available``: the wheels for riscv64 of requirements and of all their dependencies.

uv resolves the versions. Where it chooses a version that would be compiled, and an older one has a wheel, the older one
is taken if the requirements allow it, as ``pip install --prefer-binary`` does.
"""

from __future__ import annotations

import shlex
import tomllib
from collections import defaultdict
from typing import TYPE_CHECKING

from packaging.pylock import Pylock, PylockValidationError
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from wheelyard.core.errors import (
    ListError,
    UnavailableError,
    UnknownPackageError,
    UpstreamUnknownError,
    WheelyardError,
)
from wheelyard.index import index_url
from wheelyard.index.installer_choice import Availability, judge
from wheelyard.io import files, http, log, sandbox
from wheelyard.io.cache import cache_dir
from wheelyard.watch.availability import OwnRegistry, ProjectPages
from wheelyard.watch.availability_report import AvailabilityReport, Found, Need
from wheelyard.watch.resolver import Resolver

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from wheelyard.core.tags import Interpreter
    from wheelyard.index.installer_choice import Glibc
    from wheelyard.project.config import Project
    from wheelyard.registries.open_registry import NamedRegistry
    from wheelyard.watch.resolver import Resolution

_PIP = "24.1"  # the first release with the riscv64 manylinux tags
_MOST_ROUNDS = 20  # of taking older versions with a wheel
_MOST_REQUESTERS = 5  # in a report
_LARGEST_LOCK = 64 << 20  # bytes


def available(
    project: Project,
    words: Sequence[str],
    sources: Sequence[Path],
    *,
    pythons: Sequence[Interpreter],
    registry: NamedRegistry | None,
    glibc: Glibc | None = None,
    follow: bool = True,
    lock: Path | None = None,
) -> AvailabilityReport:
    """Return what each of *pythons* gets on riscv64.

    Args:
        project: its configuration limits the index pages that are read at once.
        words: requirements, such as ``numpy>=2``.
        sources: files of requirements, and ``pylock.toml`` files (PEP 751).
        pythons: the interpreters; with *lock* only one.
        registry: our registry, None for the public index alone.
        glibc: the C library of the machine; any if None.
        follow: whether dependencies count, too.
        lock: where a ``pylock.toml`` with hashes is written, if everything can be resolved.

    Raises:
        ListError: a requirement cannot be read.
        ConfigError: the configured public index is not valid.
        UpstreamUnknownError: no index answers.
    """
    own = OwnRegistry(registry)
    if own.needs_login:
        own.notes["our registry needs a login: only its wheels of public versions are shown"] = None
    pages = ProjectPages(index_url(), own, parallel=project.config.watch.parallel)
    files.sweep_scratch(cache_dir("work"), "available")
    tables: dict[Interpreter, _Table] = {}
    with files.scratch(cache_dir("work"), "available") as scratch:
        resolver = Resolver(
            words,
            [_readable(source, scratch) for source in sources],
            scratch=scratch,
            index=index_url(),
            registry="" if own.needs_login else own.index,
            follow=follow,
        )
        for python in pythons:
            tables[python] = _resolved(resolver, pages, python, glibc)
        if lock and tables[python].is_complete:
            files.write_text(lock, resolver.lock(python, tables[python].pins))
    return _report([*map(str, sources)], words, pages, tables)


def problem(report: AvailabilityReport) -> WheelyardError | None:
    """Return the error of a report, None if everything is available, however slowly it compiles."""
    missing, unknown = list(_lines(report, "none")), list(_lines(report, "unknown"))
    if missing:
        return UnavailableError(
            f"{len({name for name, _ in missing})} requirement(s) are not available on riscv64",
            details=[text for _, text in (*missing, *unknown)],
            fix="require another version, or port the package: docs/tutorial/porting.md",
        )
    if unknown:
        return UpstreamUnknownError(
            f"{len({name for name, _ in unknown})} requirement(s) could not be looked up",
            details=[text for _, text in unknown],
            fix="run the same command again",
        )
    return None


def _lines(report: AvailabilityReport, kind: str) -> Iterator[tuple[str, str]]:
    """Yield the name and a line for each need of that kind; interpreters with the same reason share a line."""
    for need in report.needs:
        reasons: dict[str, list[str]] = defaultdict(list)
        for python, choice in need.found.items():
            if choice.kind == kind:
                reasons[choice.reason].append(python)
        for reason, tags in reasons.items():
            yield need.name, f"{need.name} for {', '.join(tags)}: {reason}"


def _readable(source: Path, scratch: Path) -> Path:
    """Return *source* as a file that uv reads: the pinned versions of a ``pylock.toml`` as requirements.

    Raises:
        ListError: it cannot be read.
    """
    if source.suffix != ".toml":
        return source
    try:
        if source.stat().st_size > _LARGEST_LOCK:
            raise ListError(f"is larger than {_LARGEST_LOCK >> 20} MiB", where=str(source))
        lock = Pylock.from_dict(tomllib.loads(source.read_text(encoding="utf-8")))
    except OSError as error:
        raise ListError(f"cannot be read: {error.strerror}", where=str(source)) from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, PylockValidationError) as error:
        fix = "name a pylock.toml (PEP 751), or a file of requirements"
        raise ListError(f"is no lock file: {log.clean(str(error))[:300]}", where=str(source), fix=fix) from error
    lines = []
    for package in lock.packages:
        marker = f" ; {package.marker}" if package.marker else ""
        if package.version is not None:
            lines.append(f"{package.name}=={package.version}{marker}\n")
    target = scratch / f"{source.stem}-{len(list(scratch.iterdir()))}.txt"
    files.write_text(target, "".join(lines))
    return target


def _resolved(resolver: Resolver, pages: ProjectPages, python: Interpreter, glibc: Glibc | None) -> _Table:
    with log.step(f"Resolving for {python}"):
        table = _Table(resolver, pages, python, glibc)
        table.prefer_wheels()
    return table


class _Table:
    """The packages of one interpreter, and what is available of each.

    Attributes:
        resolution: the chosen versions.
        pins: versions that were taken because they have a wheel.
    """

    def __init__(self, resolver: Resolver, pages: ProjectPages, python: Interpreter, glibc: Glibc | None) -> None:
        self.pins: dict[str, str] = {}
        self._resolver, self._pages, self._python, self._glibc = resolver, pages, python, glibc
        self.resolution = self._resolve({})

    @property
    def is_complete(self) -> bool:
        """Whether each requirement is resolved."""
        return not (self.resolution.unsolved or self.resolution.unread or self.resolution.unanswered)

    def prefer_wheels(self) -> None:
        """Take older versions that have a wheel, where the requirements allow them."""
        attempted: set[str] = set()
        for _ in range(_MOST_ROUNDS):
            better = {name: version for name, version in self._older_wheels() if name not in attempted}
            if not better:
                return
            attempted |= better.keys()
            for pins in (better, *({name: version} for name, version in better.items() if len(better) > 1)):
                resolution = self._resolve(self.pins | pins)
                if not resolution.unsolved.keys() - self.resolution.unsolved.keys():
                    self.pins |= pins
                    self.resolution = resolution
                    if pins is better:
                        break

    def _resolve(self, pins: Mapping[str, str]) -> Resolution:
        resolution = self._resolver.resolve(self._python, pins)
        self._pages.load({*resolution.packages, *resolution.unsolved, *resolution.unread})
        return resolution

    def _older_wheels(self) -> Iterator[tuple[str, str]]:
        for name, package in self.resolution.packages.items():
            if package.version and not self.choice(name, package.version).installs:
                older = self.choice(name)
                if older.installs:
                    yield name, str(older.version)

    def choice(self, name: str, version: str = "") -> Availability:
        """Return what is available of a project, or of one version of it."""
        requirement = Requirement(name)
        if version:
            requirement.specifier = SpecifierSet(f"=={version}", prereleases=True)
        wheels = self._pages.registry.wheels(name, self._python)
        return judge(requirement, self._pages.facts(name), wheels, self._python, glibc=self._glibc)

    def found(self, name: str) -> Found | None:
        """Return the report's entry for a package, None if this interpreter does not need it."""
        resolution = self.resolution
        if name in resolution.unanswered:
            return Found(kind="unknown", reason=resolution.unanswered[name])
        if name in resolution.packages:
            choice, reason = self.choice(name, resolution.packages[name].version), ""
        elif name in resolution.unread or name in resolution.unsolved:
            choice = self.choice(name)
            reason = resolution.unread.get(name) or resolution.unsolved[name]
            is_usable = name in resolution.unread or (choice.kind == "ours" and self._pages.registry.needs_login)
            choice = choice if is_usable else Availability("none")
        else:
            return None
        trouble = self._pages.trouble(name)
        if trouble is not None and not isinstance(trouble, UnknownPackageError):
            return Found(kind="unknown", reason=trouble.what)
        return Found(
            kind=choice.kind,
            version=str(choice.version or ""),
            glibc=_dotted(choice.glibc) if choice.glibc else "",
            reason=(reason or choice.reason) if choice.kind == "none" else "",
        )


def _report(
    sources: Sequence[str], words: Sequence[str], pages: ProjectPages, tables: Mapping[Interpreter, _Table]
) -> AvailabilityReport:
    names: dict[str, None] = {}
    for table in tables.values():
        resolution = table.resolution
        direct = [name for name, package in resolution.packages.items() if package.direct]
        names |= dict.fromkeys([*direct, *resolution.unsolved, *resolution.unread, *resolution.unanswered])
    names |= dict.fromkeys(sorted(name for table in tables.values() for name in table.resolution.packages))
    addresses = {
        f"{name}: {http.plain(package.url)}": None
        for table in tables.values()
        for name, package in table.resolution.packages.items()
        if package.url
    }
    needs = tuple(_need(name, tables) for name in names if not any(text.startswith(f"{name}: ") for text in addresses))
    floors = [choice.glibc for need in needs for choice in need.found.values() if choice.glibc]
    return AvailabilityReport(
        interpreters=tuple(map(str, tables)),
        registry=pages.registry.name,
        glibc=max(floors, key=lambda floor: tuple(map(int, floor.split("."))), default=""),
        pip=_PIP if floors else "",
        command=_command(sources, words, pages.registry.index),
        needs=needs,
        unread=tuple(sorted({name for table in tables.values() for name in table.resolution.unread})),
        skipped=tuple(addresses),
        notes=tuple(dict.fromkeys((*pages.registry.notes, *_notes(tables)))),
    )


def _notes(tables: Mapping[Interpreter, _Table]) -> Iterator[str]:
    if reason := sandbox.unavailable():
        yield f"no source is built for its metadata, as there is no sandbox: {reason}"
    for python, table in tables.items():
        if python.free_threaded:
            yield f"{python}: versions are resolved for cp3{python.minor}, wheels are those for {python}"
        if table.pins:
            pins = ", ".join(f"{name} {version}" for name, version in sorted(table.pins.items()))
            yield f"{python}: older versions are taken because they have a wheel: {pins}"


def _need(name: str, tables: Mapping[Interpreter, _Table]) -> Need:
    packages = [package for table in tables.values() if (package := table.resolution.packages.get(name))]
    requesters = dict.fromkeys(requester for package in packages for requester in package.requesters)
    choices = {str(python): choice for python, table in tables.items() if (choice := table.found(name))}
    return Need(
        name=name,
        by=tuple(requesters)[:_MOST_REQUESTERS],
        direct=not packages or any(package.direct for package in packages),
        found=choices,
    )


def _dotted(glibc: Glibc) -> str:
    return f"{glibc[0]}.{glibc[1]}"


def _command(sources: Sequence[str], words: Sequence[str], index: str) -> str:
    """Return the command that installs the same; no login of an address is in it."""
    if any(source.endswith(".toml") for source in sources):  # pip does not install all lock files yet
        command = ["uv", "pip", "install", *(["--index", index] if index else [])]
    else:
        command = ["pip", "install", "--prefer-binary", *(["--extra-index-url", index] if index else [])]
    for source in sources:
        command += ["-r", log.clean(source)]
    return shlex.join([*command, *(http.plain(word) for word in words)])
