"""``doctor REQUIREMENTS``: what of them, and of all that they depend on, is there for riscv64.

Not a resolver: of each project the newest version is taken that all who ask for it accept, as pip does at first; where
pip would go back to an older version of whoever asks, we say what it meets.
"""

from __future__ import annotations

import shlex
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from wheelyard.core.errors import UnavailableError, UnknownPackageError, UpstreamUnknownError, WheelyardError
from wheelyard.index import index_url
from wheelyard.index.installer_choice import judge
from wheelyard.io import http, log
from wheelyard.watch.availability import Ours, Shelf, applies
from wheelyard.watch.availability_report import Found, Need, RequirementsReport
from wheelyard.watch.requirements_file import is_file, read_requirements

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from wheelyard.core.tags import Interpreter
    from wheelyard.index.installer_choice import Availability, Glibc
    from wheelyard.project.config import Project
    from wheelyard.registries.open_registry import NamedRegistry
    from wheelyard.watch.requirements_file import Requirements

_PIP = "24.1"  # the first that knows the riscv64 manylinux tags
_MOST_NAMES = 1000
_MOST_ROUNDS = 100  # of following dependencies; each is one step further away, or one bound tighter
_MOST_ASKING = 5  # who are named
_COMMAND_LINE = "command line"


def check_requirements(
    project: Project,
    words: Sequence[str],
    *,
    pythons: Sequence[Interpreter],
    registry: NamedRegistry | None,
    glibc: Glibc | None = None,
    follow: bool = True,
) -> RequirementsReport:
    """Return what each of *pythons* gets on riscv64.

    Args:
        project: its policy says how many pages are read at once.
        words: requirements files, and requirements.
        pythons: the interpreters.
        registry: our registry, None for the public index alone.
        glibc: the C library of the machine; any if None.
        follow: whether what they depend on is looked at, too.

    Raises:
        ListError: a file or a line cannot be read; every one is told.
        ConfigError: the public index that is configured is none.
    """
    asked = read_requirements(words)
    shelf = Shelf(index_url(), Ours(registry), parallel=project.config.watch.parallel)
    with log.progress("looking at the index", None, unit="projects") as tell:
        walks = [_Walk(shelf, asked, python, glibc, tell) for python in pythons]
        for walk in walks:
            walk.go(follow=follow)
    return _report(words, asked, shelf, walks)


def problem(report: RequirementsReport) -> WheelyardError | None:
    """Return the error that a report is for a shell, None if all can be had, however slowly."""
    missing = list(_told(report, "none"))
    unknown = list(_told(report, "unknown"))
    if missing:
        return UnavailableError(
            f"{len({need for need, _ in missing})} requirement(s) cannot be had on riscv64",
            details=[text for _, text in (*missing, *unknown)],
            fix="ask for another version, or for a recipe: docs/tutorial/porting.md",
        )
    if unknown:
        return UpstreamUnknownError(
            f"{len({need for need, _ in unknown})} requirement(s) could not be looked up",
            details=[text for _, text in unknown],
            fix="run the same command again",
        )
    return None


def _told(report: RequirementsReport, kind: str) -> Iterator[tuple[str, str]]:
    """Yield the name and a line for whatever is of that kind; interpreters of which the same is true share it."""
    for need in report.needs:
        reasons: dict[str, list[str]] = {}
        for python, found in need.found.items():
            if found.kind == kind:
                reasons.setdefault(found.reason, []).append(python)
        for reason, tags in reasons.items():
            yield need.name, f"{need.name} for {', '.join(tags)}: {reason}"


@dataclass
class _Ask:
    """What is asked of one project for one interpreter.

    Attributes:
        specifier: all bounds together.
        direct: whether the user asks.
        extras: the extras that are asked for.
        texts: the requirements, as they were written.
        by: who asks.
        found: what there is, None until it was looked up.
    """

    specifier: SpecifierSet
    direct: bool = False
    extras: set[str] = field(default_factory=set)
    texts: dict[str, None] = field(default_factory=dict)
    by: dict[str, None] = field(default_factory=dict)
    found: Availability | None = None


class _Walk:
    """From what is wanted to all that it depends on, for one interpreter."""

    def __init__(
        self,
        shelf: Shelf,
        asked: Requirements,
        python: Interpreter,
        glibc: Glibc | None,
        tell: Callable[[int], None],
    ) -> None:
        self.python = python
        self.asks: dict[str, _Ask] = {}
        self.notes: dict[str, None] = {}
        self.unread: set[str] = set()
        self._shelf = shelf
        self._wanted = asked.wanted
        self._glibc = glibc
        self._tell = tell
        self._bounds: dict[str, SpecifierSet] = {}
        for one in asked.constraints:
            if self._applies(one.requirement, ()):
                bound = self._bounds.get(one.name, SpecifierSet())
                self._bounds[one.name] = bound & one.requirement.specifier

    def go(self, *, follow: bool) -> None:
        """Look everything up."""
        wanted = [one for one in self._wanted if self._applies(one.requirement, ())]
        self._load({one.name for one in wanted})
        changed = {
            one.name: None for one in wanted if self._ask(one.requirement, one.where or _COMMAND_LINE, direct=True)
        }
        rounds = 0
        while changed and follow:
            rounds += 1
            if rounds > _MOST_ROUNDS:
                self.notes["dependencies have no end; not all were followed"] = None
                return
            changed = self._follow(list(changed))

    def _follow(self, names: Sequence[str]) -> dict[str, None]:
        """Ask for what *names* depend on; return the projects of which more is known, or asked, than before."""
        chosen = [(name, found.version) for name in names if (found := self.asks[name].found) and found.version]
        self._shelf.read(chosen)
        asked: list[tuple[Requirement, str]] = []
        for name, version in chosen:
            requirements = self._shelf.dependencies(name, version)
            if requirements is None:
                self.unread.add(f"{name} {version}")
                continue
            extras = sorted(self.asks[name].extras)
            asked += ((one, name) for one in requirements if self._applies(one, extras))
        room = _MOST_NAMES - len(self.asks)
        new = dict.fromkeys(canonicalize_name(one.name) for one, _ in asked)
        kept = {name for name in new if name in self.asks} | set([name for name in new if name not in self.asks][:room])
        if len(kept) < len(new):
            self.notes[f"more than {_MOST_NAMES} projects; the rest was not followed"] = None
        self._load(kept)
        return {
            canonicalize_name(one.name): None
            for one, by in asked
            if canonicalize_name(one.name) in kept and self._ask(one, by)
        }

    def _load(self, names: Iterable[str]) -> None:
        self._tell(self._shelf.load(names))

    def _applies(self, requirement: Requirement, extras: Iterable[str]) -> bool:
        return applies(requirement, self.python, extras)

    def _ask(self, requirement: Requirement, by: str, *, direct: bool = False) -> bool:
        """Ask for a project; tell whether anything is another than before."""
        name = canonicalize_name(requirement.name)
        known = self.asks.get(name)
        ask = known or _Ask(self._bounds.get(name, SpecifierSet()))
        self.asks[name] = ask
        ask.direct |= direct
        ask.by[by] = None
        ask.texts[str(requirement)] = None
        new = not ask.extras >= requirement.extras
        ask.extras |= requirement.extras
        if requirement.url:
            return self._elsewhere(ask, requirement, by) or new
        before = ask.found
        specifier = ask.specifier & requirement.specifier
        if before is None or specifier != ask.specifier:
            found = self._judge(name, specifier)
            if direct or before is None or found.kind != "none" or before.kind == "none":
                ask.specifier, ask.found = specifier, found
            else:
                self.notes[
                    f"{self.python}: no version of {name} is all of {', '.join(ask.texts)}; pip may look for older "
                    "versions of those who ask"
                ] = None
        return new or ask.found != before

    def _elsewhere(self, ask: _Ask, requirement: Requirement, by: str) -> bool:
        self.notes[f"{by} takes {requirement.name} from an address, which was not looked at"] = None
        changed = ask.found is None
        if changed:
            ask.found = self._judge(canonicalize_name(requirement.name), ask.specifier)
        return changed

    def _judge(self, name: str, specifier: SpecifierSet) -> Availability:
        requirement = Requirement(name)
        requirement.specifier = specifier
        facts = self._shelf.facts(name)
        return judge(requirement, facts, self._shelf.registry.wheels(name, self.python), self.python, glibc=self._glibc)


# -------------------------------------------------------------------- report


def _report(words: Sequence[str], asked: Requirements, shelf: Shelf, walks: Sequence[_Walk]) -> RequirementsReport:
    order = {one.name: number for number, one in reversed(list(enumerate(asked.wanted)))}
    names = {name for walk in walks for name in walk.asks}
    needs = tuple(
        _need(name, shelf, walks) for name in sorted(names, key=lambda name: (order.get(name, len(order)), name))
    )
    floors = [found.glibc for walk in walks for ask in walk.asks.values() if (found := ask.found) and found.glibc]
    notes = dict.fromkeys((*shelf.registry.notes, *(note for walk in walks for note in walk.notes), *asked.notes))
    idle = {one.name for one in asked.wanted} - names
    if idle:
        notes[f"not needed here, by their markers: {', '.join(sorted(idle))}"] = None
    return RequirementsReport(
        interpreters=tuple(str(walk.python) for walk in walks),
        registry=shelf.registry.name,
        glibc=_dotted(max(floors)) if floors else "",
        pip=_PIP if floors else "",
        command=_command(words, shelf.registry.index),
        needs=needs,
        unread=tuple(sorted({one for walk in walks for one in walk.unread})),
        skipped=asked.skipped,
        notes=tuple(notes),
    )


def _need(name: str, shelf: Shelf, walks: Sequence[_Walk]) -> Need:
    asks = {str(walk.python): walk.asks[name] for walk in walks if name in walk.asks}
    who: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for ask in asks.values():
        who["texts"] |= ask.texts
        who["by"] |= ask.by
    trouble = shelf.trouble(name)
    return Need(
        name=name,
        asked=tuple(who["texts"]),
        by=tuple(who["by"])[:_MOST_ASKING],
        direct=any(ask.direct for ask in asks.values()),
        found={python: _found(ask, trouble) for python, ask in asks.items()},
    )


def _found(ask: _Ask, trouble: WheelyardError | None) -> Found:
    found = ask.found
    if trouble is not None and not isinstance(trouble, UnknownPackageError):
        return Found(kind="unknown", reason=trouble.what)
    if found is None:
        return Found(kind="unknown", reason="it was not looked at")
    reason = trouble.what if trouble is not None and found.kind == "none" else found.reason
    version = str(found.version) if found.version else ""
    return Found(kind=found.kind, version=version, glibc=_dotted(found.glibc) if found.glibc else "", reason=reason)


def _dotted(glibc: Glibc) -> str:
    return f"{glibc[0]}.{glibc[1]}"


def _command(words: Sequence[str], index: str) -> str:
    """Return what pip is to be told; ours is asked beside the public index, so that nothing is missed."""
    told = ["pip", "install", "--prefer-binary", *(["--extra-index-url", index] if index else [])]
    for word in words:  # a login in an address is whoever runs it to give
        told += ["-r", log.clean(word)] if is_file(word) else [http.plain(word)]
    return shlex.join(told)
