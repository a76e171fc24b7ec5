"""The one place where programs are started: never through a shell, never left behind."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from wheelyard.core.errors import ProgramError, StepTimeoutError
from wheelyard.io import guard, log
from wheelyard.io.files import disk_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

_TAIL = 200  # lines kept in memory of a program whose output goes to a file
_LONGEST_LINE = 1 << 16  # bytes; a program that prints no newline must not fill our memory
_CHUNK = 1 << 16
_GRACE = 2.0  # seconds that what a program left behind may keep its output open
_INTERRUPT = ((signal.SIGINT, 15.0), (signal.SIGTERM, 3.0))  # what is sent, and seconds until the next
_TERMINATE = ((signal.SIGTERM, 5.0),)


_stopping = threading.Event()


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
    on_bytes: Callable[[bytes], None] | None = None,
    watch: Callable[[], None] | None = None,
    fix: str | None = None,
) -> Completed:
    """Run a program to its end.

    The child leads a process group of its own, which is ended whole: when the program ends, on a timeout, on
    Ctrl-C (it is asked first, so that it may tidy up; a second Ctrl-C does not wait), and by the guard if we
    are killed.

    Args:
        argv: the program and its arguments; no shell is involved.
        cwd: where to run it.
        env: its whole environment; ours when None.
        stdin: what it may read; nothing when None.
        timeout: seconds after which it is ended.
        check: raise when it fails.
        log_file: append its output, both streams, to this file.
        on_line: called with each line of its output, both streams.
        on_bytes: called with its output as it comes; if it raises, the program is ended. None of it is kept then.
        watch: called many times a second while it runs; if it raises, the program is ended.
        fix: the fix of its error if it fails.

    Raises:
        ProgramError: it is not installed, or it failed and *check* is set.
        StepTimeoutError: it took longer than *timeout*.
        DiskError: *log_file* cannot be written.
    """
    words = tuple(str(word) for word in argv)
    started = time.monotonic()
    with contextlib.ExitStack() as stack:
        lines = None
        if log_file is not None or on_line is not None:
            lines = stack.enter_context(_lines(log_file, on_line))
        process = stack.enter_context(
            _start(words, cwd=cwd, env=env, merge=lines is not None, has_input=stdin is not None)
        )
        out, err = bytearray(), bytearray()
        stack.enter_context(guard.on_death(groups=[process.pid]))
        with _pump(process, stdin, lines.feed if lines else on_bytes or out.extend, err.extend) as pump:
            try:
                pump.finish(timeout, watch)
            except BaseException as error:
                pump.end(_INTERRUPT if isinstance(error, KeyboardInterrupt) else _TERMINATE)
                if isinstance(error, TimeoutError):
                    raise _too_slow(words[0], timeout or 0) from None
                raise
        text = lines.flush() if lines else out.decode(errors="replace")
    result = Completed(words, process.returncode, text, err.decode(errors="replace"), time.monotonic() - started)
    if check and result.returncode != 0:
        raise failure(result, fix=fix)
    return result


@contextlib.contextmanager
def stopping() -> Iterator[None]:
    """Have every program that other threads run ended as on Ctrl-C, which only the main thread hears."""
    _stopping.set()
    try:
        yield
    finally:
        _stopping.clear()


def failure(result: Completed, *, fix: str | None = None) -> ProgramError:
    """Return the error of a program that failed, with the last lines that it printed."""
    last = [log.redact(log.clean(line)) for line in (result.stderr or result.stdout).splitlines() if line.strip()]
    command = f"{' '.join(result.argv[:3])} …" if len(result.argv) > 3 else " ".join(result.argv)  # noqa: PLR2004
    return ProgramError(f"{log.redact(command)} ended with status {result.returncode}", details=last[-8:], fix=fix)


def _too_slow(program: str, timeout: float) -> StepTimeoutError:
    return StepTimeoutError(
        f"{program} did not end within {log.duration(timeout)}",
        fix="allow it more time (a recipe's [build] timeout), or look at what it waits for",
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
            env=guard.marked(env),
            stdin=subprocess.PIPE if has_input else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if merge else subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
    except FileNotFoundError as error:
        if cwd is not None and not cwd.is_dir():
            raise ProgramError(f"cannot run {words[0]}: the folder {cwd} does not exist") from error
        raise ProgramError(f"{words[0]} is not installed", fix="ci/bootstrap nox -s doctor") from error
    except OSError as error:
        raise ProgramError(f"{words[0]} cannot be started: {error.strerror}") from error
    with process:
        try:
            yield process
        finally:
            if process.returncode is None:  # left before anybody could wait for it
                _signal_group(process.pid, signal.SIGKILL)


# ---------------------------------------------------------------- output, line by line


class _Lines:
    """Cuts a stream into lines, and passes them on to the log file, the caller and the tail."""

    def __init__(self, path: Path | None, file: IO[bytes] | None, on_line: Callable[[str], None] | None) -> None:
        self._path, self._file, self._on_line = path, file, on_line
        self._tail: deque[str] = deque(maxlen=_TAIL)
        self._rest = b""

    def feed(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._pass_on(line, b"\n")
        while len(self._rest) >= _LONGEST_LINE:
            piece, self._rest = self._rest[:_LONGEST_LINE], self._rest[_LONGEST_LINE:]
            self._pass_on(piece, b"")
        self._to_disk()

    def flush(self) -> str:
        """Pass the last, unfinished line on; return the tail."""
        if self._rest:
            self._pass_on(self._rest, b"")
            self._rest = b""
        self._to_disk()
        return "\n".join(self._tail)

    def _pass_on(self, raw: bytes, end: bytes) -> None:
        line = log.redact(raw.decode(errors="replace"))
        self._tail.append(line.rstrip("\r"))
        if self._file and self._path:
            with disk_errors(self._path):
                self._file.write(line.encode() + end)
        if self._on_line:
            self._on_line(self._tail[-1])

    def _to_disk(self) -> None:
        if self._file and self._path:
            with disk_errors(self._path):
                self._file.flush()


@contextlib.contextmanager
def _lines(path: Path | None, on_line: Callable[[str], None] | None) -> Iterator[_Lines]:
    if path is None:
        yield _Lines(None, None, on_line)
        return
    with disk_errors(path):
        file = path.open("ab")
    try:
        yield _Lines(path, file, on_line)
    finally:
        with disk_errors(path):
            file.close()


# ---------------------------------------------------------------- one loop for pipes, time and the end


class _Pump:
    """Moves bytes to and from a program, in one thread, so that no pipe can block another or outlast a deadline."""

    def __init__(self, process: subprocess.Popen[bytes], stdin: bytes | None) -> None:
        self._process = process
        self._input = memoryview(stdin or b"")
        self._selector = selectors.DefaultSelector()
        self._quiet = False

    def open(self, stream: IO[bytes] | None, sink: Callable[[bytes], None] | None) -> None:
        """Read *stream* into *sink*; without a sink it is the program's input."""
        if stream is not None:
            os.set_blocking(stream.fileno(), False)
            self._selector.register(stream, selectors.EVENT_READ if sink else selectors.EVENT_WRITE, sink)

    def close(self) -> None:
        self._selector.close()

    def finish(self, timeout: float | None, watch: Callable[[], None] | None) -> None:
        """Serve the program until it has ended; then end what it left behind.

        Raises:
            TimeoutError: it did not end in time.
        """

        def ended() -> bool:
            if watch:
                watch()
            return self._ended()

        if not self._until(ended, timeout):
            raise TimeoutError
        # Whoever still holds the pipes, a daemon perhaps, must not hold us. The leader is not reaped yet, so its
        # group's number cannot be somebody else's.
        self._until(self._drained, _GRACE)
        _signal_group(self._process.pid, signal.SIGKILL)
        self._until(self._drained, _GRACE / 2)
        self._process.wait()

    def end(self, signals: Sequence[tuple[signal.Signals, float]]) -> None:
        """End the whole group: the signals first, each with its patience, then SIGKILL."""
        self._quiet = True
        try:
            for number, patience in signals:
                _signal_group(self._process.pid, number)
                if self._until(self._ended, patience):
                    break
        finally:
            if self._process.returncode is None:
                _signal_group(self._process.pid, signal.SIGKILL)
                self._process.wait()

    def _until(self, is_over: Callable[[], bool], seconds: float | None) -> bool:
        deadline = None if seconds is None else time.monotonic() + seconds
        nap = 0.0005
        while not is_over():
            if _stopping.is_set() and not self._quiet:
                raise KeyboardInterrupt
            left = 0.1 if deadline is None else min(0.1, deadline - time.monotonic())
            if left <= 0:
                return False
            if self._drained():  # nothing to serve: the program is about to end, or has closed its output
                time.sleep(min(nap, left))
                nap = min(2 * nap, 0.05)
            else:
                self._serve(left)
        return True

    def _ended(self) -> bool:
        if self._process.returncode is not None:
            return True
        # WNOWAIT leaves the leader to be reaped later (waitid(2)): until then its number is not given away.
        return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def _drained(self) -> bool:
        return not self._selector.get_map()

    def _serve(self, seconds: float) -> None:
        for key, _events in self._selector.select(seconds):
            with contextlib.suppress(BlockingIOError):
                if key.data is None:
                    self._write(key)
                else:
                    self._read(key)

    def _write(self, key: selectors.SelectorKey) -> None:
        try:
            self._input = self._input[os.write(key.fd, self._input[:_CHUNK]) :]
        except BrokenPipeError:  # it does not want the rest
            self._input = memoryview(b"")
        if not self._input:
            self._forget(key)

    def _read(self, key: selectors.SelectorKey) -> None:
        data = os.read(key.fd, _CHUNK)
        if not data:
            self._forget(key)
            return
        try:
            key.data(data)
        except Exception:
            if not self._quiet:
                raise

    def _forget(self, key: selectors.SelectorKey) -> None:
        self._selector.unregister(key.fileobj)
        if not isinstance(key.fileobj, int):
            key.fileobj.close()  # type: ignore[attr-defined]


@contextlib.contextmanager
def _pump(
    process: subprocess.Popen[bytes],
    stdin: bytes | None,
    out: Callable[[bytes], None],
    err: Callable[[bytes], None],
) -> Iterator[_Pump]:
    pump = _Pump(process, stdin)
    try:
        pump.open(process.stdin, None)
        pump.open(process.stdout, out)
        pump.open(process.stderr, err)
        yield pump
    finally:
        pump.close()


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
