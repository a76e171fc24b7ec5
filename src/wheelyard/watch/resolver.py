"""Resolve requirements for riscv64 with uv: ``uv pip compile`` for one interpreter at a time.

uv chooses the versions. Build backends of strangers run in the sandbox only. Where there is
no sandbox, nothing is built: the dependencies of a package that would be compiled are unknown then.
"""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from packaging.utils import canonicalize_name

from wheelyard.core.errors import ListError, ProgramError, UpstreamUnknownError
from wheelyard.io import cache, files, http, log, sandbox
from wheelyard.io.run import Completed, run
from wheelyard.io.sandbox import clean_env

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wheelyard.core.tags import Interpreter

PLATFORM = "riscv64-unknown-linux"  # uv's name of the target
COMMAND_LINE = "command-line.txt"
_TIMEOUT = 900  # seconds for one resolution
_MOST_EXCLUDED = 200  # packages that cannot be resolved, before uv's reason stands for all the rest
_LINE = re.compile(
    r"(?P<name>[\w.-]+)(?:\[[^\]]*\])?(?:==(?P<version>[^\s;]+)| @ (?P<url>\S+)).*?(?:# via (?P<via>.*))?\Z"
)
_NO_WHEEL = re.compile(r"([\w.-]+?)(?:==\S+)? has (?:no usable wheels|invalid metadata)")
_NOT_BUILT = re.compile(r"Failed to (?:build|download and build|resolve)[^`]*`([\w.-]+)")
_REQUIRED = re.compile(r"you require ([\w.-]+)")
_URL = re.compile(r"`?(https?|file)://([^\s`]+)`?")
_POSITION = re.compile(r"in `([^`]+)` at position (\d+)")
_LONGEST = 2000  # characters of a reason
_LIST_FIX = "each line is a requirement, an option of pip, or a comment"
_AGAIN = "run the same command again"
_LIST = re.compile(r"Couldn't parse|Error parsing|[Ff]ailed to read|Distribution not found|not a valid|does not exist")


@dataclass(frozen=True)
class Resolved:
    """One package of a resolution.

    Attributes:
        version: the chosen version, empty for a package from an address.
        url: the address, empty for a package from an index.
        requesters: ``file`` names and packages that require it.
        direct: whether a requirement names it, not only other packages.
    """

    version: str = ""
    url: str = ""
    requesters: tuple[str, ...] = ()
    direct: bool = False


@dataclass
class Resolution:
    """The result for one interpreter.

    Attributes:
        packages: the chosen versions, by name.
        unsolved: packages that cannot be resolved, and uv's reason.
        unread: packages whose dependencies are unknown: their metadata needs a build that does not run here.
        unanswered: packages for which an index did not answer, and the reason.
    """

    packages: dict[str, Resolved] = field(default_factory=dict)
    unsolved: dict[str, str] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)
    unanswered: dict[str, str] = field(default_factory=dict)


class Resolver:
    """Runs uv for one set of requirements.

    Args:
        words: requirements of the command line.
        sources: files of requirements.
        scratch: a folder for all files that a run needs; it goes away afterwards.
        index: the root of the public index, which may hold a password.
        registry: the root of our registry's index, which needs no login; empty for the public index alone.
        follow: whether dependencies are resolved, too.
    """

    def __init__(
        self,
        words: Sequence[str],
        sources: Sequence[Path],
        *,
        scratch: Path,
        index: str,
        registry: str,
        follow: bool,
    ) -> None:
        self._scratch = scratch
        self._sources = [*sources]
        if words:
            self._sources.append(scratch / COMMAND_LINE)
            files.write_text(self._sources[-1], "".join(f"{word}\n" for word in words))
        self._follow = follow
        self._env = clean_env(scratch) | {
            "UV_DEFAULT_INDEX": index,
            "UV_INDEX_STRATEGY": "unsafe-best-match",  # the newest of both indexes, as pip takes it
            "UV_NO_CONFIG": "1",
            "UV_PYTHON_DOWNLOADS": "never",
            "UV_CACHE_DIR": str(cache.cache_dir("preflight", "uv")),
            "NO_COLOR": "1",
        }
        self._env.pop("UV_INDEX_URL", None)
        if registry:
            self._env["UV_INDEX"] = registry
        bundle = next((os.environ[name] for name in ("REQUESTS_CA_BUNDLE", "PIP_CERT") if os.environ.get(name)), "")
        if bundle:
            self._env.setdefault("SSL_CERT_FILE", bundle)

    def resolve(self, python: Interpreter, pins: Mapping[str, str]) -> Resolution:
        """Return the versions for *python*; a package that cannot be resolved does not hide the others.

        Args:
            python: the interpreter; a free-threaded one is resolved as its build with the GIL.
            pins: versions that are preferred, by name.

        Raises:
            ListError: a requirement cannot be read.
            UpstreamUnknownError: an index does not answer, and uv names no package.
        """
        resolution = Resolution()
        while True:
            excluded = [*resolution.unsolved, *resolution.unread, *resolution.unanswered]
            words = ["--annotation-style", "line", "--no-header"]
            completed = self._uv(python, pins, excluded, words)
            if completed.returncode == 0:
                resolution.packages = self._read(completed.stdout)
                return resolution
            self._blame(log.redact(log.tame(completed.stderr)), resolution, len(excluded))

    def lock(self, python: Interpreter, pins: Mapping[str, str]) -> str:
        """Return a hashed ``pylock.toml`` (PEP 751) for *python*.

        Raises:
            ProgramError: uv cannot resolve the requirements.
        """
        completed = self._uv(python, pins, (), ["--format", "pylock.toml", "--no-header"])
        if completed.returncode:
            raise ProgramError("uv cannot lock these requirements", details=completed.stderr.strip().splitlines()[:20])
        return completed.stdout

    def _uv(self, python: Interpreter, pins: Mapping[str, str], excluded: Sequence[str], words: list[str]) -> Completed:
        constraints, excludes = self._scratch / "constraints.txt", self._scratch / "excludes.txt"
        files.write_text(constraints, "".join(f"{name}=={version}\n" for name, version in pins.items()))
        files.write_text(excludes, "".join(f"{name}\n" for name in excluded))
        command: list[str | Path] = [_uv_program(), "pip", "compile", "--quiet", "--python", sys.executable]
        command += ["--python-version", f"3.{python.minor}", "--python-platform", PLATFORM, *words]
        command += ["--constraints", constraints, "--excludes", excludes]
        command += ["--no-build"] if sandbox.unavailable() else []
        command += [] if self._follow else ["--no-deps"]
        command += self._sources
        if not sandbox.unavailable():
            command = sandbox.isolated(command)
        return run(command, env=self._env, timeout=_TIMEOUT, check=False)

    def _blame(self, text: str, resolution: Resolution, count: int) -> None:
        """Put the package that uv's message names into *resolution*, so that the next run leaves it out.

        Raises:
            ListError: the message is about a requirement that cannot be read.
            UpstreamUnknownError: it names no package.
        """
        reason = _reason(text)
        if text.startswith("error: No solution found") and count < _MOST_EXCLUDED:
            if match := _NO_WHEEL.search(text):
                resolution.unread.setdefault(canonicalize_name(match[1]), reason)
                return
            if names := _REQUIRED.findall(text):
                resolution.unsolved.setdefault(canonicalize_name(names[-1]), reason)
                return
        if match := _NOT_BUILT.search(text):
            resolution.unread.setdefault(canonicalize_name(match[1].partition("==")[0]), reason)
        elif _LIST.search(text):
            raise ListError("the requirements cannot be read", details=[_with_line(reason)], fix=_LIST_FIX)
        elif (name := _asked_for(text)) and name not in resolution.unanswered and count < _MOST_EXCLUDED:
            resolution.unanswered[name] = reason
        else:
            raise UpstreamUnknownError("the requirements could not be resolved", details=[reason], fix=_AGAIN)

    def _read(self, text: str) -> dict[str, Resolved]:
        """Return the packages of uv's output, one a line: ``name==version  # via requesters``."""
        packages: dict[str, Resolved] = {}
        for line in text.splitlines():
            if match := _LINE.match(line.strip()):
                requesters = [word.strip() for word in (match["via"] or "").split(",") if word.strip()]
                file_paths = [word.removeprefix("-r ") for word in requesters if word.startswith("-r ")]
                file_names = ["command line" if name.endswith(COMMAND_LINE) else name for name in file_paths]
                names = [word for word in requesters if not word.startswith("-")]
                packages[canonicalize_name(match["name"])] = Resolved(
                    match["version"] or "", match["url"] or "", (*file_names, *names), direct=bool(file_paths)
                )
        return packages


def _uv_program() -> Path:
    """Return the uv that is installed with the tool."""
    from uv import find_uv_bin

    return Path(find_uv_bin())


def _reason(text: str) -> str:
    """Return uv's message in one line, without its hints."""
    lines = (line.strip() for line in text.partition("\nhint:")[0].splitlines())
    words = " ".join(line.removeprefix("cause:").removeprefix("error:").strip() for line in lines if line)
    words = words.removeprefix("No solution found when resolving dependencies").strip()
    return _URL.sub(lambda match: http.plain(match[0].strip("`")), words)[:_LONGEST]


def _asked_for(text: str) -> str:
    """Return the project whose page or file an index did not deliver, empty if no address names one."""
    for match in _URL.finditer(text):
        last = unquote(match[2]).rstrip("/").rpartition("/")[2]
        is_file = last.endswith((".whl", ".metadata", ".gz", ".zip"))
        if last:
            return canonicalize_name(last.partition("-")[0] if is_file else last)
    return ""


def _with_line(reason: str) -> str:
    """Return *reason* with the line in place of uv's byte position."""

    def line(match: re.Match[str]) -> str:
        path, position = Path(match[1]), int(match[2])
        try:
            number = path.read_bytes()[:position].count(b"\n") + 1
        except OSError:
            return match[0]
        return "on the command line" if path.name == COMMAND_LINE else f"in {path}:{number}"

    return _POSITION.sub(line, reason)
