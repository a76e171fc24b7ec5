"""The smoke test of published wheels: real pip installs them in the target environment, and they are imported."""

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
_INSIDE = "/smoke-test"
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
        text: the message.
    """

    name: str
    version: str
    state: State
    text: str


def try_out(
    versions: Sequence[Wanted],
    interpreter: Interpreter,
    run_in: RunIn,
    *,
    index: str | Path,
    log_file: Path,
    timeout: float = 900,
) -> tuple[Tried, ...]:
    """Install each of *versions* into a folder of its own with pip, and import its modules; one container does for all.

    Only wheels are taken, and dependencies from pip's own index, too.

    Args:
        versions: what to try.
        interpreter: with which Python; its own pip is used.
        run_in: starts the container; it must allow the network.
        index: the address of the registry's index, or an index folder.
        log_file: all output is appended there.
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
    packages = [{"name": version.name, "version": version.version, "modules": version.modules} for version in versions]
    task = {"indexes": [address], "timeout": timeout, "packages": packages}
    ended = ""
    with files.scratch(log_file.parent, "task") as scratch:
        files.write_json(scratch / "task.json", task)
        mounts.append((scratch / "task.json", f"{_INSIDE}/task.json", False))
        argv = [f"{interpreter.path}/bin/python", "-I", f"{_INSIDE}/program.py", mark, f"{_INSIDE}/task.json"]
        try:
            total_timeout = _START + 2 * timeout * len(versions)
            completed = run_in(argv, mounts=mounts, timeout=total_timeout, check=False, log_file=log_file)
            ended = f"the smoke test ended with status {completed.returncode}; see {log_file}"
        except (StepTimeoutError, ProgramError) as error:
            ended = error.what
    reports = read_reports(log_file, mark)
    return tuple(_judged(version, reports.get(version.name, ()), ended) for version in versions)


def read_reports(log_file: Path, mark: str) -> dict[str, tuple[Report, ...]]:
    """Return the program's reports of each package: the lines that begin with its mark."""
    lines = log_file.read_text(encoding="utf-8", errors="replace").splitlines() if log_file.is_file() else []
    reports_by_name: dict[str, tuple[Report, ...]] = {}
    for line in lines:
        if line.startswith(mark):
            with contextlib.suppress(ValidationError):
                report = Report.model_validate_json(line.removeprefix(mark))
                reports_by_name[report.name] = (*reports_by_name.get(report.name, ()), report)
    return reports_by_name


def _judged(version: Wanted, reports: Sequence[Report], ended: str) -> Tried:
    if len(reports) != 1:
        # What is installed runs as the program itself does, and can find out its mark.
        text = "more than one report speaks of it: something that was installed is lying" if reports else ended
        return Tried(version.name, version.version, "lost", text)
    first = reports[0]
    last = (first.text.splitlines() or [""])[-1]
    if not first.ok:
        state: State = "install" if first.step == "install" else "import"
        return Tried(version.name, version.version, state, " / ".join(first.text.splitlines()[-3:]))
    if version.hashes and first.sha256 not in version.hashes:
        text = f"pip took a file of sha256 {first.sha256[:16] or 'unknown'}: another index lists one that it prefers"
        return Tried(version.name, version.version, "other", text)
    return Tried(version.name, version.version, "ok", last)
