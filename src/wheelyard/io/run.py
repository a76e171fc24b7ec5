"""The one place where programs are started: never through a shell, never left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wheelyard.core.errors import ProgramError, StepTimeoutError
from wheelyard.io import guard, log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

_TAIL = 200  # lines kept in memory of a program whose output goes to a file
_LONGEST_LINE = 1 << 16  # bytes; a program that prints no newline must not fill our memory


@dataclass(frozen=True)
class Completed:
    """A program that has ended.

    Attributes:
        argv: what was run.
        returncode: its exit status, negative for a signal.
        stdout: all it printed; with *log_file* or *on_line* the last 200 lines of both streams.
        stderr: all its errors, empty when the streams were merged.
        seconds: elapsed time.
    """

    argv: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str
    seconds: float


def run(
    argv: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
    timeout: float | None = None,
    check: bool = True,
    log_file: Path | None = None,
    on_line: Callable[[str], None] | None = None,
    fix: str | None = None,
) -> Completed:
    """Run a program to its end.

    The child leads a process group of its own, which is ended whole: on a timeout, on Ctrl-C (it is asked
    first, so that it may tidy up), and by the guard if we are killed.

    Args:
        argv: the program and its arguments; no shell is involved.
        cwd: where to run it.
        env: its whole environment; ours when None.
        stdin: what it may read; nothing when None.
        timeout: seconds after which it is ended.
        check: raise when it fails.
        log_file: append its output, both streams, to this file.
        on_line: called with each line of its output, both streams.
        fix: what to tell the user if it fails.

    Raises:
        ProgramError: it is not installed, or it failed and *check* is set.
        StepTimeoutError: it took longer than *timeout*.
    """
    words = tuple(str(word) for word in argv)
    started = time.monotonic()
    streaming = log_file is not None or on_line is not None
    with (
        _start(words, cwd=cwd, env=env, merge=streaming, has_input=stdin is not None) as process,
        guard.on_death(groups=[process.pid]),
        _ended_whole(process),
    ):
        try:
            if streaming:
                out, err = _stream(process, stdin, timeout, log_file, on_line), ""
            else:
                raw_out, raw_err = process.communicate(stdin, timeout)
                out, err = raw_out.decode(errors="replace"), raw_err.decode(errors="replace")
        except subprocess.TimeoutExpired:
            raise StepTimeoutError(
                f"{words[0]} did not end within {log.duration(timeout or 0)}",
                fix="allow it more time (a recipe's [build] timeout), or look at what it waits for",
            ) from None
    done = Completed(words, process.returncode, out, err, time.monotonic() - started)
    if check and done.returncode != 0:
        raise failure(done, fix=fix)
    return done


def failure(done: Completed, *, fix: str | None = None) -> ProgramError:
    """Return the error that says how a program failed, with the last lines it printed."""
    last = [log.redact(log.clean(line)) for line in (done.stderr or done.stdout).splitlines() if line.strip()]
    return ProgramError(
        f"{' '.join(done.argv[:3])} … ended with status {done.returncode}"
        if len(done.argv) > 3  # noqa: PLR2004
        else f"{' '.join(done.argv)} ended with status {done.returncode}",
        details=last[-8:],
        fix=fix,
    )


@contextlib.contextmanager
def _start(
    words: tuple[str, ...],
    *,
    cwd: Path | None,
    env: Mapping[str, str] | None,
    merge: bool,
    has_input: bool,
) -> Iterator[subprocess.Popen[bytes]]:
    try:
        process = subprocess.Popen(
            words,
            cwd=cwd,
            env=dict(env) if env is not None else None,
            stdin=subprocess.PIPE if has_input else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if merge else subprocess.PIPE,
            start_new_session=True,
        )
    except FileNotFoundError as error:
        if cwd is not None and not cwd.is_dir():
            raise ProgramError(f"cannot run {words[0]}: the folder {cwd} does not exist") from error
        raise ProgramError(f"{words[0]} is not installed", fix="ci/bootstrap nox -s doctor") from error
    except PermissionError as error:
        raise ProgramError(f"{words[0]} may not be run: {error.strerror}") from error
    with process:
        yield process


@contextlib.contextmanager
def _ended_whole(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """End the whole group when the block is left by an exception."""
    try:
        yield
    except BaseException as error:
        polite = isinstance(error, KeyboardInterrupt)
        signals = ((signal.SIGINT, 15.0), (signal.SIGTERM, 3.0)) if polite else ((signal.SIGTERM, 5.0),)
        for number, patience in signals:
            _signal_group(process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(patience)
                break
        _signal_group(process.pid, signal.SIGKILL)
        process.wait()
        raise


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _stream(
    process: subprocess.Popen[bytes],
    stdin: bytes | None,
    timeout: float | None,
    log_file: Path | None,
    on_line: Callable[[str], None] | None,
) -> str:
    """Pass output on as it comes, and return its last lines."""
    tail: deque[str] = deque(maxlen=_TAIL)
    problem: list[BaseException] = []

    def pump() -> None:
        stream = process.stdout
        assert stream is not None  # noqa: S101 - asked for in _start
        with contextlib.ExitStack() as stack:
            file = stack.enter_context(log_file.open("ab", buffering=0)) if log_file else None
            while raw := stream.readline(_LONGEST_LINE):
                line = log.redact(raw.decode(errors="replace"))
                tail.append(line.rstrip("\r\n"))
                if file:
                    file.write(line.encode())
                if on_line:
                    on_line(tail[-1])

    def guarded() -> None:
        try:
            pump()
        except BaseException as error:  # noqa: BLE001 - carried to the caller's thread below
            problem.append(error)
            _signal_group(process.pid, signal.SIGTERM)

    reader = threading.Thread(target=guarded, daemon=True)
    reader.start()
    if stdin is not None and process.stdin is not None:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(stdin)
            process.stdin.close()
    process.wait(timeout)
    # A grandchild that kept the pipe must not keep us: the group is ours to end.
    reader.join(5)
    if reader.is_alive():
        _signal_group(process.pid, signal.SIGKILL)
        reader.join(5)
    if problem:
        raise problem[0]
    return "\n".join(tail)
