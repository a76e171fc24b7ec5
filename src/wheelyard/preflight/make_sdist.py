"""The sdist as upstream's build backend makes it, on this machine and with nothing secret at hand."""

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
from wheelyard.io.bare import bare_env
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
    "requires": "its build backend fails to tell what it needs",
    "sdist": "its build backend makes no sdist of it",
}


@dataclass(frozen=True)
class Built:
    """What a build backend has said and made.

    Attributes:
        sdist: the file that it made; None if it was not asked for one, or cannot make one at all.
        requires: what a wheel needs to be built, the backend's own wishes included.
    """

    sdist: Path | None
    requires: tuple[str, ...]


def build_sdist(
    package: Path, work: Path, *, index: str, epoch: int, timeout: float, log_file: Path, version: str = "", sdist: bool
) -> Built:
    """Have the backend of *package* make an sdist, in an environment of its own below *work*.

    Args:
        package: the folder with ``pyproject.toml`` or ``setup.py``; backends may leave things in it.
        work: where all that is made is put.
        index: where build requirements are installed from.
        epoch: ``SOURCE_DATE_EPOCH``.
        timeout: seconds.
        log_file: where all output is appended.
        version: what a checkout without its history is told about its version; nothing if empty.
        sdist: whether an sdist is made, or only asked what a wheel needs.

    Raises:
        SourceError: something of it fails; the last lines of output are its details.
        StepTimeoutError: it takes longer.
        NetworkError: what it needs cannot be fetched, which says nothing of the source.
        DiskError: no space.
    """
    files.remove(work)
    work.mkdir(parents=True)
    with guard.on_death(folders=[work]):
        env = bare_env(work)
        out, result = Path(env["OUT"]), work / "result.json"
        env |= {"SOURCE_DATE_EPOCH": str(epoch), "NO_COLOR": "1", "PYTHONUNBUFFERED": "1"}
        env |= _rust()
        env |= {"UV_DEFAULT_INDEX": index, "UV_NO_CONFIG": "1", "UV_CACHE_DIR": str(cache.cache_dir("preflight", "uv"))}
        env.pop("UV_INDEX_URL", None)
        if version:
            env["SETUPTOOLS_SCM_PRETEND_VERSION"] = version
        words: list[str | Path] = [sys.executable, "-I", _PROGRAM, package, out, result, *(["sdist"] if sdist else [])]
        words = words if sandbox.why_not() else sandbox.apart(words)
        try:
            done = run(words, cwd=package, env=env, timeout=timeout, check=False, log_file=log_file)
        except StepTimeoutError as error:
            raise StepTimeoutError(
                f"the build backend did not end within {log.duration(timeout)}",
                where=str(log_file),
                fix="look at what it waits for; [sdist] timeout allows more time",
            ) from error
        told = _told(result)
        if done.returncode or told["stage"] not in {"done", "unsupported"}:
            raise _problem(told, done.stdout)
        return Built(_made(out, str(told.get("sdist") or "")), _requires(told))


def exposed() -> str:
    """Say why upstream's programs could read our secrets on this machine; nothing if they cannot, or there are none."""
    return (log.holds_secrets() and sandbox.why_not()) or ""


def cargo_runs(home: Path) -> bool:
    """Tell whether cargo would run for a build backend here, whose home folder is another one."""
    env = {"PATH": os.environ.get("PATH", ""), "HOME": str(home), **_rust()}
    with contextlib.suppress(ProgramError, StepTimeoutError):
        return run(["cargo", "--version"], cwd=home, env=env, timeout=60, check=False).returncode == 0
    return False


def _rust() -> dict[str, str]:
    """Return where rustup keeps its compilers; what is secret of Rust's is in cargo's own folder."""
    folder = Path(os.environ.get("RUSTUP_HOME") or Path.home() / ".rustup")
    return {"RUSTUP_HOME": str(folder)} if folder.is_dir() else {}


def _told(result: Path) -> dict[str, Any]:
    """Return what our program has told; the backend can write there as well, and end our program before it does."""
    told: Any = None
    with contextlib.suppress(OSError, ValueError, RecursionError):
        if result.is_file() and result.stat().st_size <= _LARGEST_RESULT:  # a pipe has no end
            told = json.loads(result.read_text(encoding="utf-8"))
    return {"stage": "start"} | (told if isinstance(told, dict) else {})


def _made(out: Path, name: str) -> Path | None:
    """Return the sdist; what its backend has made of the name or of the file may lead anywhere else."""
    made = out / Path(name).name
    return made if name and made.is_file() and not made.is_symlink() else None


def _requires(told: dict[str, Any]) -> tuple[str, ...]:
    both = (told.get("requires"), told.get("wheel_requires"))
    return tuple(dict.fromkeys(str(each) for some in both if isinstance(some, list) for each in some))


def _problem(told: dict[str, Any], output: str) -> SourceError | NetworkError | DiskError:
    stage = str(told["stage"])
    lines = [log.redact(log.clean(line)).strip() for line in output.splitlines() if line.strip()][-_TAIL:]
    if error := log.redact(log.clean(str(told.get("error", "")))):
        lines.append(error)
    if any(_FULL.search(line) for line in lines):  # says nothing of the source
        return DiskError("no space was left for the sdist", details=lines, fix="free some space, then run it again")
    if stage != "install":  # a log may be long, and speak of much
        output = "\n".join(lines)
    kind = NetworkError if _NETWORK.search(output) else SourceError
    fix = "mend it with a [[patch]], or say what makes an sdist of it: [sdist] run"
    return kind(_WHAT.get(stage, _WHAT["sdist"]), details=lines, fix=fix)
