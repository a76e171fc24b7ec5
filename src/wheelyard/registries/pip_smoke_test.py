"""The trial of what is published: real pip installs it from the index in the target environment, and it is imported."""

from __future__ import annotations

import contextlib
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from pydantic import ValidationError

from wheelyard.core.errors import ProgramError, StepTimeoutError
from wheelyard.core.model import Model
from wheelyard.io import files

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wheelyard.checks.install import RunIn
    from wheelyard.core.tags import Interpreter

State = Literal["ok", "install", "other", "import", "lost"]

_PROGRAM = Path(__file__).with_name("_smoke_test_main.py")
_MODULES = Path(__file__).parents[1] / "checks/_modules.py"
_INSIDE = "/trial"
_START = 600  # seconds for a container to start, beside what its packages take


@dataclass(frozen=True)
class Wanted:
    """A published version to be tried.

    Attributes:
        name: the package's canonical name.
        version: its version.
        hashes: the sha256 of each of its wheels in the registry; those of which none is known count for any.
        modules: what to import; None for every top-level module that is installed.
    """

    name: str
    version: str
    hashes: frozenset[str]
    modules: tuple[str, ...] | None


class Report(Model):
    """A line of the program's, behind its mark: ``step`` is the last one that it took."""

    name: str
    step: Literal["install", "import"]
    ok: bool
    text: str
    sha256: str


class Tried(NamedTuple):
    """What became of one.

    Attributes:
        name, version: what was tried.
        state: ``ok``; or what failed: ``install``, ``import``; ``other`` if pip took a file from elsewhere; ``lost`` if
            the container ended before it was its turn.
        text: what was said.
    """

    name: str
    version: str
    state: State
    text: str


def try_out(
    wanted: Sequence[Wanted],
    interpreter: Interpreter,
    run_in: RunIn,
    *,
    index: str | Path,
    log_file: Path,
    timeout: float = 900,
) -> tuple[Tried, ...]:
    """Install each of *wanted* into a folder of its own with pip, and import its modules; one container does for all.

    Only wheels are taken, and dependencies from pip's own index, too.

    Args:
        wanted: what to try.
        interpreter: with which Python; its own pip is used.
        run_in: starts the container; it must allow the network.
        index: the address of the registry's index, or an index folder.
        log_file: all that is said is appended there.
        timeout: seconds for each installation, and for each import.

    Raises:
        EngineError: no container could be started.
    """
    mark = f"wheelyard-{secrets.token_hex(8)}:"  # nothing that a package prints can pass for our report
    mounts: list[tuple[Path, str, bool]] = [
        (_PROGRAM, f"{_INSIDE}/program.py", False),
        (_MODULES, f"{_INSIDE}/modules.py", False),
    ]
    address = index if isinstance(index, str) else f"file://{_INSIDE}/index/simple/"
    if isinstance(index, Path):
        mounts.append((index, f"{_INSIDE}/index", False))
    packages = [{"name": each.name, "version": each.version, "modules": each.modules} for each in wanted]
    task = {"indexes": [address], "timeout": timeout, "packages": packages}
    ended = ""
    with files.scratch(log_file.parent, "task") as scratch:
        files.write_json(scratch / "task.json", task)
        mounts.append((scratch / "task.json", f"{_INSIDE}/task.json", False))
        argv = [f"{interpreter.path}/bin/python", "-I", f"{_INSIDE}/program.py", mark, f"{_INSIDE}/task.json"]
        try:
            whole = _START + 2 * timeout * len(wanted)
            done = run_in(argv, mounts=mounts, timeout=whole, check=False, log_file=log_file)
            ended = f"the trial ended with status {done.returncode}; see {log_file}"
        except (StepTimeoutError, ProgramError) as error:
            ended = error.what
    told = read_reports(log_file, mark)
    return tuple(_judged(each, told.get(each.name, ()), ended) for each in wanted)


def read_reports(log_file: Path, mark: str) -> dict[str, tuple[Report, ...]]:
    """Return what the program has said of each package, in the lines that begin with its mark; other text is none."""
    said = log_file.read_text(encoding="utf-8", errors="replace").splitlines() if log_file.is_file() else []
    found: dict[str, tuple[Report, ...]] = {}
    for line in said:
        if line.startswith(mark):
            with contextlib.suppress(ValidationError):
                report = Report.model_validate_json(line.removeprefix(mark))
                found[report.name] = (*found.get(report.name, ()), report)
    return found


def _judged(wanted: Wanted, reports: Sequence[Report], ended: str) -> Tried:
    if len(reports) != 1:
        # What is installed runs as the program itself does, and can find out its mark.
        text = "more than one report speaks of it: something that was installed is lying" if reports else ended
        return Tried(wanted.name, wanted.version, "lost", text)
    told = reports[0]
    last = (told.text.splitlines() or [""])[-1]
    if not told.ok:
        state: State = "install" if told.step == "install" else "import"
        return Tried(wanted.name, wanted.version, state, " / ".join(told.text.splitlines()[-3:]))
    if wanted.hashes and told.sha256 not in wanted.hashes:
        text = f"pip took a file of sha256 {told.sha256[:16] or 'unknown'}: another index lists one that it prefers"
        return Tried(wanted.name, wanted.version, "other", text)
    return Tried(wanted.name, wanted.version, "ok", last)
