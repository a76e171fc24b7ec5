"""Install a wheel in a fresh target environment, and import all of its modules."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from wheelyard.checks.rules import judge, several
from wheelyard.core.errors import ProgramError, StepTimeoutError
from wheelyard.core.tags import WheelName

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wheelyard.core.tags import Interpreter
    from wheelyard.io.run import Completed
    from wheelyard.records.models import Finding

_PROGRAM = Path(__file__).with_name("_install_main.py")
_INSIDE = "/check"
_FIXES = {
    "environment": "the image cannot make virtual environments: `wheelyard image` makes it anew",
    "install": "a dependency without a riscv64 wheel or sdist that builds? publish it to the index folder first",
    "dependencies": "what the wheel requires contradicts itself on this platform: look at upstream's requirements",
    "import": "look for a missing library or symbol; [check] imports in the recipe names modules that can be imported "
    "without extras",
}


class RunIn(Protocol):
    """Runs a program in a fresh container of the target environment, such as ``wheelyard.io.engine.run_in`` does."""

    def __call__(
        self,
        argv: Sequence[str],
        *,
        mounts: Sequence[tuple[Path, str, bool]] = ...,
        timeout: float | None = ...,
        check: bool = ...,
        log_file: Path | None = ...,
    ) -> Completed:
        """Run *argv* with host folders mounted: host path, path inside, whether it may be written."""


def install_check(
    wheel: Path,
    interpreter: Interpreter,
    run_in: RunIn,
    *,
    modules: Sequence[str],
    index: Path | None = None,
    timeout: float = 1800,
    log_file: Path | None = None,
) -> tuple[Finding, ...]:
    """Check that the wheel and its dependencies install in a fresh environment, and its modules import.

    Exception:
        recipe: ``[check] imports``

    Args:
        wheel: the file; this very file is installed.
        interpreter: the Python to install it for.
        run_in: starts the container; it must allow the network where there are dependencies.
        modules: the modules to import, see :func:`modules_to_import`.
        index: an index folder of ours, for dependencies that exist nowhere else.
        timeout: seconds for all of it.
        log_file: all output is appended to it.

    Raises:
        EngineError: no container could be started.
    """
    rule = f"installs-{interpreter}"
    mark = f"wheelyard-{secrets.token_hex(8)}:"  # nothing that the wheel prints can pass for our report
    mounts: list[tuple[Path, str, bool]] = [
        (_PROGRAM, f"{_INSIDE}/program.py", False),
        (wheel, f"{_INSIDE}/{wheel.name}", False),
    ]
    indexes = []
    if index is not None and (index / "simple").is_dir():
        mounts.append((index, f"{_INSIDE}/index", False))
        indexes.append(f"file://{_INSIDE}/index/simple/")
    task = {
        "wheel": f"{_INSIDE}/{wheel.name}",
        "name": WheelName.parse(wheel.name).name,
        "modules": list(modules),
        "indexes": indexes,
    }
    argv = [f"{interpreter.path}/bin/python", "-I", f"{_INSIDE}/program.py", mark, json.dumps(task)]
    try:
        completed = run_in(argv, mounts=mounts, timeout=timeout, check=False, log_file=log_file)
    except (StepTimeoutError, ProgramError) as error:
        return (judge(rule, [error.what], passed="", fix=error.fix or "look at what the import waits for"),)
    return (_judge(rule, completed, mark, modules),)


def _judge(rule: str, completed: Completed, mark: str, modules: Sequence[str]) -> Finding:
    lines = [line for line in completed.stdout.splitlines() if line.startswith(mark)]
    if not lines:
        last = " / ".join((completed.stderr or completed.stdout).strip().splitlines()[-5:])
        problem = f"the check ended with status {completed.returncode}: {last}"
        return judge(rule, [problem], passed="", fix="see the log")
    steps = json.loads(lines[-1].removeprefix(mark))
    failed = [step for step in steps if not step["ok"]]
    if failed:
        problems = [f"{step['step']}: {' / '.join(step['text'].splitlines())}" for step in failed]
        return judge(rule, problems, passed="", fix=_FIXES[failed[0]["step"]])
    version = steps[-1]["text"].splitlines()[-1].removeprefix("version ")
    return judge(rule, [], passed=f"imported {several(modules) or 'nothing'}; version {version}", fix="")
