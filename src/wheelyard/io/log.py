"""The one logger: steps with their times, CI folds, progress, tables, and no secrets.

Three faces of the same calls: a live display on a terminal, folds in the logs of GitHub and GitLab, plain
lines elsewhere. Everything goes to standard error, so that standard output carries results only. Lines bear
the package they are about (:func:`package`).
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import sys
import threading
import time
from contextvars import ContextVar
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.progress import Progress


class Face(Enum):
    """Who reads the log."""

    TERMINAL = "terminal"
    GITHUB = "github"
    GITLAB = "gitlab"
    PLAIN = "plain"


@dataclass(frozen=True)
class Timing:
    """How long one step took.

    Attributes:
        title: the step, as it was announced.
        seconds: elapsed time.
        ok: whether it ended without an error.
    """

    title: str
    seconds: float
    ok: bool


@dataclass
class _State:
    face: Face = Face.PLAIN
    live: Progress | None = None
    users: int = 0


_state = _State()
_lock = threading.RLock()
_secrets: set[str] = set()
_package: ContextVar[str] = ContextVar("package", default="")
_timings: ContextVar[list[Timing] | None] = ContextVar("timings", default=None)
_depth: ContextVar[int] = ContextVar("depth", default=0)
_folds = itertools.count(1)
# Variables that hold a secret by their name, and a login within an address (RFC 3986, "userinfo").
_SECRET_NAME = re.compile(r"(TOKEN|PASSWORD|PASSWD|SECRET|SECRET_KEY|API_?KEY)\Z", re.IGNORECASE)
_LOGIN = re.compile(r"://([^\s/:@?#]*):?([^\s/@?#]*)@")
# What GitHub's runner takes for a command: "::" behind leading space only, "##[" anywhere (actions/runner,
# ActionCommand.cs).
_COMMAND = re.compile(r"\A\s*:(?=:)|#(?=#\[)")
_BAR = 20  # columns of a bar
_BESIDE = _BAR + 36  # columns beside a title: spinner, bar, "1234.5 MB of 1234.5 MB", time, and what is between them
_NARROWEST = 10  # columns of a title, however narrow a terminal is
_SHORTEST_SECRET = 6  # shorter values would blank out ordinary words


def setup(face: Face | None = None) -> None:
    """Choose how to speak; by default from the environment and whether standard error is a terminal.

    Secrets in the environment are kept out of all that is logged: what programs of ours print includes variables.
    """
    _state.face = face or _detect()
    for secret in _in_environment():
        add_secret(secret)


def _in_environment() -> Iterator[str]:
    for name, value in os.environ.items():
        if _SECRET_NAME.search(name):
            yield value.strip()
        for user, password in _LOGIN.findall(value):
            yield password or user
            yield unquote(password or user)


def holds_secrets() -> bool:
    """Return whether this process knows a secret, or was given one."""
    return bool(_secrets) or any(_in_environment())


def _detect() -> Face:
    if os.environ.get("GITHUB_ACTIONS") == "true":
        return Face.GITHUB
    if os.environ.get("GITLAB_CI") == "true":
        return Face.GITLAB
    return Face.TERMINAL if sys.stderr.isatty() and os.environ.get("TERM") != "dumb" else Face.PLAIN


def add_secret(value: str) -> None:
    """Blank *value* out of everything that is logged from now on."""
    if len(value) >= _SHORTEST_SECRET:
        _secrets.add(value)


def redact(text: str) -> str:
    """Return *text* with every known secret blanked out."""
    for secret in sorted(_secrets, key=len, reverse=True):  # one may hold another
        text = text.replace(secret, "[secret]")
    return text


def clean(text: str) -> str:
    """Return *text* without control characters: what comes from outside must not steer a terminal or a CI log."""
    return "".join(char if char.isprintable() or char == "\t" else " " for char in text)


@contextlib.contextmanager
def package(name: str) -> Iterator[None]:
    """Prefix the lines logged inside with the package they are about."""
    token = _package.set(name)
    try:
        yield
    finally:
        _package.reset(token)


def info(message: str) -> None:
    """Log information for people."""
    _line(message)


def warn(message: str) -> None:
    """Log a warning; the work goes on."""
    prefix = "::warning::" if _state.face is Face.GITHUB else "warning: "
    _line(message, mark=prefix)


def error(message: str) -> None:
    """Log the error that ended the run."""
    prefix = "::error::" if _state.face is Face.GITHUB else "error: "
    _line(message, mark=prefix)


def bug(trace: str) -> None:
    """Show the traceback of a bug, without what is secret."""
    _emit(redact(tame(trace)))


def _line(message: str, *, mark: str = "") -> None:
    _report(message, mark=mark, name=_package.get(), depth=_depth.get())


def _report(message: str, *, mark: str = "", name: str, depth: int) -> None:
    text = f"{mark}{f'[{name}] ' if name else ''}{tame(message)}"
    _emit(redact(text if mark.startswith("::") else "  " * depth + text))


def tame(message: str) -> str:
    """Return *message* with no line that steers who reads it, whatever it quotes."""
    lines = [clean(line) for line in message.splitlines()]
    return "\n".join(_COMMAND.sub(r"\g<0> ", line) if _state.face is Face.GITHUB else line for line in lines)


def _emit(text: str) -> None:
    with _lock:
        if _state.live is not None:
            _state.live.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            print(text, file=sys.stderr, flush=True)  # noqa: T201 - this is where lines end up


@contextlib.contextmanager
def collect() -> Iterator[list[Timing]]:
    """Yield a list that the steps inside add their times to; a collection around this one gets them too."""
    timings: list[Timing] = []
    token = _timings.set(timings)
    try:
        yield timings
    finally:
        _timings.reset(token)
        outer = _timings.get()
        if outer is not None:
            outer.extend(timings)


class Steps:
    """A row of steps, one at a time, opened by name as they come: for programs that announce their own.

    It remembers where it was made, so that another thread may drive it.
    """

    def __init__(self) -> None:
        self._name = _package.get()
        self._depth = _depth.get()
        self._timings = _timings.get()
        self._title = ""
        self._fold = ""
        self._started = 0.0
        self._live = contextlib.ExitStack()
        self.note: Callable[[str], None] = lambda _note: None

    def open(self, title: str) -> None:
        """End the step at hand, if there is one, and begin the next."""
        self.close()
        title = clean(title)  # it may quote what others wrote, and is part of a CI's commands
        self._title = redact(title)  # times end up in records
        self._started = time.monotonic()
        self._fold = f"wy_{next(_folds)}"
        _open_fold(title, self._fold, depth=self._depth, name=self._name)
        self.note = self._live.enter_context(_live_task(title))

    def close(self, *, ok: bool = True) -> None:
        """End the step at hand, if there is one."""
        if not self._title:
            return
        title, self._title = self._title, ""
        self._live.close()
        self.note = lambda _note: None
        seconds = time.monotonic() - self._started
        if self._timings is not None:
            self._timings.append(Timing(title, round(seconds, 3), ok))
        _close_fold(self._fold, depth=self._depth)
        _report(f"{'ok' if ok else 'failed'}: {title} ({duration(seconds)})", name=self._name, depth=self._depth)


@contextlib.contextmanager
def step(title: str) -> Iterator[Callable[[str], None]]:
    """Announce a step, time it, and report how it ended.

    Yields:
        A function that shows a note on the step, on a terminal only.
    """
    steps = Steps()
    steps.open(title)
    depth = _depth.set(_depth.get() + 1)
    ok = False
    try:
        yield steps.note
        ok = True
    finally:
        _depth.reset(depth)
        steps.close(ok=ok)


def _open_fold(title: str, fold: str, *, depth: int, name: str) -> None:
    match _state.face:
        case Face.GITHUB if depth == 0:  # GitHub's folds do not nest
            _emit(f"::group::{redact(title)}")
        case Face.GITLAB:
            _emit(f"\x1b[0Ksection_start:{int(time.time())}:{fold}\r\x1b[0K{redact(title)}")
        case Face.PLAIN | Face.GITHUB:
            _report(f"{title} ...", name=name, depth=depth)
        case Face.TERMINAL:
            pass


def _close_fold(fold: str, *, depth: int) -> None:
    if _state.face is Face.GITHUB and depth == 0:
        _emit("::endgroup::")
    elif _state.face is Face.GITLAB:
        _emit(f"\x1b[0Ksection_end:{int(time.time())}:{fold}\r\x1b[0K")


@contextlib.contextmanager
def _live() -> Iterator[Progress]:
    from rich.console import Console  # only a terminal pays for it
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.table import Column

    with _lock:
        if _state.live is None:
            console = Console(stderr=True)
            # A long title is cut rather than the bar beside it: it is written whole when the step ends.
            title = Column(no_wrap=True, overflow="ellipsis", max_width=max(_NARROWEST, console.width - _BESIDE))
            _state.live = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}", markup=False, table_column=title),
                BarColumn(bar_width=_BAR),
                TextColumn("{task.fields[note]}", markup=False),
                TimeElapsedColumn(),
                console=console,
                transient=True,
            )
            _state.live.start()
        _state.users += 1
        live = _state.live
    try:
        yield live
    finally:
        with _lock:
            _state.users -= 1
            if _state.users == 0:
                live.stop()
                _state.live = None


@contextlib.contextmanager
def _live_task(title: str, total: float | None = None) -> Iterator[Callable[[str], None]]:
    if _state.face is not Face.TERMINAL:
        yield lambda _note: None
        return
    with _live() as live:
        task = live.add_task(redact(title), total=total, note="")
        try:
            yield lambda note: live.update(task, note=redact(clean(note))[:60])
        finally:
            live.remove_task(task)


@contextlib.contextmanager
def progress(title: str, total: int | None, *, unit: str = "B") -> Iterator[Callable[[int], None]]:
    """Show how far long work has come: a bar on a terminal, a line every ten seconds elsewhere.

    Args:
        title: what is being done.
        total: how much there is to do, None if that is unknown.
        unit: of what; ``B`` is shown in MB.

    Yields:
        A function to call with how much more is done.
    """
    count = 0
    spoken = time.monotonic()

    def amount(number: int) -> str:
        return f"{number / 1e6:.1f} MB" if unit == "B" else f"{number} {unit}"

    def note() -> str:
        return f"{amount(count)}{f' of {amount(total)}' if total else ''}"

    if _state.face is Face.TERMINAL:
        with _live() as live:
            task = live.add_task(redact(clean(title)), total=total, note="")

            def advance(number: int) -> None:
                nonlocal count
                count += number
                live.update(task, advance=number, note=note())

            try:
                yield advance
            finally:
                live.remove_task(task)
        return

    def speak(number: int) -> None:
        nonlocal count, spoken
        count += number
        if time.monotonic() - spoken > 10:  # noqa: PLR2004 - seconds between two plain lines
            spoken = time.monotonic()
            _line(f"{title}: {note()}")

    yield speak


def duration(seconds: float) -> str:
    """Return *seconds* for people: ``0.4 s``, ``72 s``, ``3 min 05 s``, ``2 h 10 min``."""
    if seconds < 10:  # noqa: PLR2004
        return f"{seconds:.1f} s"
    rounded = round(seconds)
    if rounded < 120:  # noqa: PLR2004
        return f"{rounded} s"
    minutes, rest = divmod(rounded, 60)
    if minutes < 60:  # noqa: PLR2004
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"
