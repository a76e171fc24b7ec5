"""Make an sdist with upstream's build backend, on this machine and without access to secrets."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wheelyard.core.errors import DiskError, NetworkError, ProgramError, SourceError, StepTimeoutError
from wheelyard.io import cache, files, guard, log, sandbox
from wheelyard.io.run import run

_PROGRAM = Path(__file__).with_name("_make_sdist_main.py")
_TAIL = 12
_LARGEST_RESULT = 16 << 20  # bytes
_NETWORK = re.compile(
    r"dns error|Connection (refused|reset)|connect(ion)? error|timed out|error sending request|HTTP status server error"
    r"|Network (connectivity|is unreachable)",
    re.IGNORECASE,
)
_FULL = re.compile(r"No space left on device|os error 28\b")
_WHAT = {
    "start": "cannot be read by a build frontend",
    "install": "its build requirements cannot be installed",
    "requires": "its build backend fails to list its requirements",
    "sdist": "its build backend fails to make an sdist",
}


@dataclass(frozen=True)
class SdistBuild:
    """The result of a build backend.

    Attributes:
        sdist: the sdist; None if none was requested, or if the backend does not support sdists.
        requires: the build requirements of a wheel, with those that the backend adds.
    """

    sdist: Path | None
    requires: tuple[str, ...]


def build_sdist(
    package: Path, work: Path, *, index: str, epoch: int, timeout: float, log_file: Path, version: str = "", sdist: bool
) -> SdistBuild:
    """Make an sdist of *package* with its backend, in a scratch environment below *work*.

    Args:
        package: the folder with ``pyproject.toml`` or ``setup.py``; backends may leave files in it.
        work: the scratch folder.
        index: the address of the package index.
        epoch: ``SOURCE_DATE_EPOCH``.
        timeout: seconds.
        log_file: the file that all output is appended to.
        version: the version of a checkout without history, empty for others.
        sdist: whether to make an sdist, or only to list the build requirements of a wheel.

    Raises:
        SourceError: the backend fails; the last lines of its output are the details.
        StepTimeoutError: the backend did not end in time.
        NetworkError: its requirements cannot be downloaded.
        DiskError: no space.
    """
    files.remove(work)
    work.mkdir(parents=True)
    with guard.on_death(folders=[work]):
        env = sandbox.clean_env(work)
        out, result = Path(env["OUT"]), work / "result.json"
        env |= {"SOURCE_DATE_EPOCH": str(epoch), "NO_COLOR": "1", "PYTHONUNBUFFERED": "1"}
        env |= _rust()
        env |= {"UV_DEFAULT_INDEX": index, "UV_NO_CONFIG": "1", "UV_CACHE_DIR": str(cache.cache_dir("preflight", "uv"))}
        env.pop("UV_INDEX_URL", None)
        if version:
            env["SETUPTOOLS_SCM_PRETEND_VERSION"] = version
        words: list[str | Path] = [sys.executable, "-I", _PROGRAM, package, out, result, *(["sdist"] if sdist else [])]
        words = words if sandbox.unavailable() else sandbox.isolated(words)
        try:
            completed = run(words, cwd=package, env=env, timeout=timeout, check=False, log_file=log_file)
        except StepTimeoutError as error:
            raise StepTimeoutError(
                f"the build backend did not end within {log.duration(timeout)}",
                where=str(log_file),
                fix="read the end of the log, or raise [sdist] timeout in the recipe",
            ) from error
        outcome = _read_outcome(result)
        if completed.returncode or outcome["stage"] not in {"done", "unsupported"}:
            raise _problem(outcome, completed.stdout)
        return SdistBuild(_made_sdist(out, str(outcome.get("sdist") or "")), _requires(outcome))


def why_exposed() -> str:
    """Return why upstream's programs could read our secrets here; empty if they cannot, or if there are none."""
    return (log.holds_secrets() and sandbox.unavailable()) or ""


def cargo_runs(home: Path) -> bool:
    """Check whether cargo runs on this machine with *home* as home folder, as a build backend would call it."""
    env = {"PATH": os.environ.get("PATH", ""), "HOME": str(home), **_rust()}
    with contextlib.suppress(ProgramError, StepTimeoutError):
        return run(["cargo", "--version"], cwd=home, env=env, timeout=60, check=False).returncode == 0
    return False


def _rust() -> dict[str, str]:
    """Return the variable for rustup's folder of compilers; Rust's secrets are in cargo's folder."""
    folder = Path(os.environ.get("RUSTUP_HOME") or Path.home() / ".rustup")
    return {"RUSTUP_HOME": str(folder)} if folder.is_dir() else {}


def _read_outcome(result: Path) -> dict[str, Any]:
    """Read the result of our program; the backend can write the file too, or end our program before it does."""
    outcome: Any = None
    with contextlib.suppress(OSError, ValueError, RecursionError):
        if result.is_file() and result.stat().st_size <= _LARGEST_RESULT:  # a pipe has no end
            outcome = json.loads(result.read_text(encoding="utf-8"))
    return {"stage": "start"} | (outcome if isinstance(outcome, dict) else {})


def _made_sdist(out: Path, name: str) -> Path | None:
    """Return the sdist below *out*, None if it is no regular file: the backend chose the name."""
    sdist = out / Path(name).name
    return sdist if name and sdist.is_file() and not sdist.is_symlink() else None


def _requires(outcome: dict[str, Any]) -> tuple[str, ...]:
    both = (outcome.get("requires"), outcome.get("wheel_requires"))
    return tuple(
        dict.fromkeys(str(requirement) for listed in both if isinstance(listed, list) for requirement in listed)
    )


def _problem(outcome: dict[str, Any], output: str) -> SourceError | NetworkError | DiskError:
    stage = str(outcome["stage"])
    lines = [log.redact(log.clean(line)).strip() for line in output.splitlines() if line.strip()][-_TAIL:]
    if error := log.redact(log.clean(str(outcome.get("error", "")))):
        lines.append(error)
    if any(_FULL.search(line) for line in lines):  # not a fault of the source
        return DiskError("no space was left for the sdist", details=lines, fix="free some space, then run it again")
    if stage != "install":  # a long log may mention the network for other reasons
        output = "\n".join(lines)
    kind = NetworkError if _NETWORK.search(output) else SourceError
    fix = "fix it with a [[patch]], or name a script that makes the sdist: [sdist] run"
    return kind(_WHAT.get(stage, _WHAT["sdist"]), details=lines, fix=fix)
