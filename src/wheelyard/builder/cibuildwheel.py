"""Call cibuildwheel: write its configuration, follow its output, classify its failure."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import tomli_w

from wheelyard.builder.cibuildwheel_config import Composed, Container, compose, upstream_table
from wheelyard.builder.error_line import find_error_line
from wheelyard.core.errors import (
    BuildError,
    CheckError,
    DiskError,
    EngineError,
    StalledError,
    StepTimeoutError,
    TestsFailedError,
    WheelyardError,
)
from wheelyard.io import engine, files, guard, log
from wheelyard.io.files import disk_errors, write_text
from wheelyard.io.idle import Watchdog
from wheelyard.io.run import run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from wheelyard.core.values import Image, Job, SourceTree
    from wheelyard.io.engine import Engine
    from wheelyard.io.run import Completed
    from wheelyard.project.recipe import Settings

# The lines with which cibuildwheel opens a step (its logger's fold titles) and a build.
_STEP = re.compile(
    r"\A(Starting container image .*|Copying project into container|Running before_all|Setting up build environment|"
    r"Running before_build|Building wheel|Repairing wheel|Auditing wheel|Testing wheel|Copying wheels back to host)"
    r"\.\.\.\s*\Z"
)
_BUILD = re.compile(r"\ABuilding (cp\d+t?)-\S+ wheel\s*\Z")
# Words instead of marks where the locale has no Unicode.
_STEP_END = re.compile(r"\A\s*(?:✓|✕|done|failed) ?[\d.]+s\s*\Z")
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
# The summary of pytest, and of unittest, which counts on one line and has the result on the next.
_PYTEST = re.compile(r"(\d+ (?:passed|failed|skipped|deselected|xfailed|xpassed|errors?)\b[^=]*?) in [\d.]+ ?s")
_UNITTEST = re.compile(r"\A(Ran \d+ tests? in [\d.]+s)\Z|\A((?:OK|FAILED|NO TESTS RAN)(?: \(.*\))?)\Z")
_LONGEST = 1000  # characters of a line that are read: a build's output must not cost our time or fill a screen
_CI_MARKS = ("CI", "GITHUB_ACTIONS", "GITLAB_CI", "TF_BUILD", "TRAVIS", "CIRCLECI", "APPVEYOR", "GITHUB_STEP_SUMMARY")
# cibuildwheel/errors.py: each FatalError has a return code of its own.
_NON_PLATFORM, _ENGINE_TOO_OLD, _NO_WHEEL = 5, 7, 10


@dataclass(frozen=True)
class BuildRequest:
    """The input of one cibuildwheel run.

    Attributes:
        job: the job.
        source: the prepared source.
        settings: the recipe's, after inheritance.
        image: the build image, present on this machine.
        container: how to start it.
        test: whether upstream's tests run.
        work: a folder for this job alone.
        log_file: where the full log goes.
        idle: seconds with next to no processor time after which the build is retried once; None for no limit.
    """

    job: Job
    source: SourceTree
    settings: Settings
    image: Image
    container: Container
    test: bool
    work: Path
    log_file: Path
    idle: float | None = None


@dataclass(frozen=True)
class BuildResult:
    """The output of one cibuildwheel run.

    Attributes:
        wheels: the repaired wheels.
        test_summary: the last line of the tests' output, empty when none ran.
        test_command: the test command, as the configuration has it.
        dropped: upstream's options that were left out.
    """

    wheels: tuple[Path, ...]
    test_summary: str
    test_command: str
    dropped: tuple[str, ...]


def build(request: BuildRequest) -> BuildResult:
    """Run cibuildwheel for one job; retry once if the build stalls.

    Raises:
        BuildError: it failed; failed tests and timeouts have subclasses.
        CheckError: the source yields a pure wheel where a platform wheel is expected.
        StalledError: it stalled under emulation, twice.
        EngineError: the container engine is too old or does not work.
    """
    label = f"wheelyard.job={uuid.uuid4().hex}"
    container = replace(request.container, create_args=(*request.container.create_args, f"--label={label}"))
    package_dir = request.source.folder / request.settings.build.subdirectory
    composed = compose(upstream_table(package_dir), request.settings, request.image.reference, container)
    if composed.dropped:
        log.warn(
            "upstream's [tool.cibuildwheel] has options that this cibuildwheel does not support, or that would act "
            "outside the container; dropped: " + ", ".join(map(log.clean, composed.dropped))
        )
    config = request.work / "cibuildwheel.toml"
    write_text(config, tomli_w.dumps(composed.table))
    out = request.work / "wheels"
    argv = command(request, config, out)
    try:
        summary = _run_once(request, argv, out, label)
    except StalledError as error:
        log.warn(f"{error.what}; the build is retried once")
        summary = _run_once(request, argv, out, label)
    wheels = tuple(sorted(out.glob("*.whl")))
    if not wheels:
        raise BuildError("cibuildwheel succeeded but left no wheel", where=str(request.log_file))
    # The container fills this folder: a link could name any file of this machine.
    if irregular := [wheel.name for wheel in wheels if wheel.is_symlink() or not wheel.is_file()]:
        raise BuildError(
            f"the build left wheels that are not regular files: {log.clean(', '.join(irregular))}",
            where=str(request.log_file),
        )
    test_command = _test_command(composed) if request.test else ""
    return BuildResult(wheels, summary if test_command else "", test_command, composed.dropped)


def _run_once(request: BuildRequest, argv: list[str], out: Path, label: str) -> str:
    """Run cibuildwheel once, into an empty folder; return the summary of the tests."""
    output = _Follower()
    watch = Watchdog(label, request.idle) if request.idle else None
    with disk_errors(request.work), _containers_removed(request.container.engine, label):
        files.remove(out)
        out.mkdir()
        ok = False
        try:
            completed = run(
                argv,
                cwd=request.source.folder,
                env=environment(request),
                timeout=request.settings.build.timeout,
                check=False,
                log_file=request.log_file,
                on_line=output.line,
                watch=watch,
            )
            ok = completed.returncode == 0
        except StepTimeoutError as error:
            raise StepTimeoutError(
                f"the build did not end within {log.duration(request.settings.build.timeout)}; "
                f"the last step was: {output.where}",
                where=str(request.log_file),
                fix="read the end of the log; if the build is only slow, raise [build] timeout in the recipe",
            ) from error
        except StalledError as error:
            raise StalledError(
                f"{error.what}; the last step was: {output.where}",
                where=str(request.log_file),
                fix="read the end of the log, or raise idle-seconds in [tool.wheelyard]",
            ) from error
        finally:
            output.end(ok=ok)
        if completed.returncode != 0:
            raise _explain(completed, output, request)
    return output.summary


def command(request: BuildRequest, config: Path, out: Path) -> list[str]:
    """Return the command line of cibuildwheel: no shell, no word that could be mistaken for an option."""
    return [
        sys.executable,
        "-P",  # the current folder is the source: none of its modules may run here, on the host
        "-m",
        "cibuildwheel",
        "--platform=linux",
        "--archs=riscv64",
        f"--config-file={config}",
        f"--output-dir={out}",
        request.settings.build.subdirectory,
    ]


def environment(request: BuildRequest) -> dict[str, str]:
    """Return cibuildwheel's environment: ours without the variables of CI systems and without any CIBW_*."""
    inherited = request.container.engine.env
    env = {key: value for key, value in inherited.items() if not key.startswith("CIBW_") and key not in _CI_MARKS}
    env["CIBW_BUILD"] = " ".join(interpreter.identifier() for interpreter in request.job.interpreters)
    env["CIBW_LOG_FOLD_MODE"] = "disabled"
    env["NO_COLOR"] = "1"
    env["PYTHONUNBUFFERED"] = "1"
    skipped = [f"{tag}-*" for tag in request.settings.test.skip]
    if not request.test:
        skipped = ["*"]
    if skipped:
        env["CIBW_TEST_SKIP"] = " ".join(skipped)
    # cibuildwheel finds programs by PATH, from within the source's folder: what is relative there is upstream's.
    env["PATH"] = os.pathsep.join(entry for entry in env.get("PATH", "").split(os.pathsep) if entry.startswith("/"))
    return env


@contextlib.contextmanager
def _containers_removed(container_engine: Engine, label: str) -> Iterator[None]:
    """Remove every container of this job on success, on failure, and when we are killed."""
    removal = [container_engine.path, *container_engine.removal, f"--filter=label={label}"]
    # The guard's helper does not know our private configuration: name it in the command itself. What docker's rm,
    # which takes no filter, leaves behind is swept by the next run.
    late = ["env", f"CONTAINERS_CONF={container_engine.conf}", *removal] if container_engine.conf else removal
    with guard.on_death(commands=[late]):
        try:
            yield
        except BaseException:
            engine.remove_labelled(label)
            raise


def _test_command(composed: Composed) -> str:
    table = composed.table["tool"]["cibuildwheel"]
    test_command = table.get("test-command", "")
    for level in (table.get("linux", {}), *table["overrides"]):
        test_command = level.get("test-command", test_command)
    return test_command if isinstance(test_command, str) else " && ".join(test_command)


def _explain(completed: Completed, output: _Follower, request: BuildRequest) -> WheelyardError:
    where = str(request.log_file)
    error_lines = _error_lines([plain for line in completed.stdout.splitlines() if (plain := _plain(line))])
    details = list(dict.fromkeys([*_first_error(request.log_file), *error_lines]))
    if completed.returncode == _NON_PLATFORM:
        return CheckError(
            "the source built a pure wheel (none-any) where a platform wheel is expected",
            where=where,
            details=_compiler_errors(request.log_file) or details,
            fix="some packages fall back to pure Python when compiling fails: find the compiler's error in the log",
        )
    if completed.returncode == _ENGINE_TOO_OLD:
        return EngineError("the container engine is too old or does not work", details=details, fix="nox -s doctor")
    if completed.returncode == _NO_WHEEL:
        return BuildError("the source built no wheel", where=where, details=details, fix="read the log")
    if "no space left on device" in completed.stdout.lower():
        return DiskError(
            "the disk is full", where=where, details=details, fix="free some space, then run the same command again"
        )
    if output.where.startswith("Testing"):
        message, fix = _failed_tests(completed, output)
        return TestsFailedError(message, where=where, details=details, fix=fix)
    return BuildError(f"cibuildwheel failed at: {output.where}", where=where, details=details, fix="read the log")


def _failed_tests(completed: Completed, output: _Follower) -> tuple[str, str]:
    """Return message and fix for failed tests, or for test requirements that cannot be installed."""
    if re.search(r"error: Command \[.*'pip', 'install'", completed.stdout):
        return (
            "the wheel was built, but its test requirements cannot be installed",
            "does one have no riscv64 wheel? then leave it out in the recipe: [test] command and requires",
        )
    return (
        f"the wheel was built, but its tests failed{f': {output.summary}' if output.summary else ''}",
        "read the failures in the log; --no-test builds without them, and the record notes it",
    )


def _error_lines(lines: list[str]) -> list[str]:
    """Return the lines that explain a failure: errors if there are any, and the last lines."""
    lines = [line for line in lines if not _STEP_END.search(line)]
    errors = [line for line in lines if re.search(r"\berror\b|Error:|FAILED|fatal:", line, re.IGNORECASE)]
    return list(dict.fromkeys([*errors[-6:], *lines[-4:]]))


def _first_error(log_file: Path) -> list[str]:
    with contextlib.suppress(OSError), log_file.open(encoding="utf-8", errors="replace") as file:
        return [line] if (line := find_error_line(map(_plain, file), _STEP)) else []
    return []


def _compiler_errors(log_file: Path) -> list[str]:
    errors = []
    with contextlib.suppress(OSError), log_file.open(encoding="utf-8", errors="replace") as file:
        errors = [plain for line in file if re.search(r"\berror:", plain := _plain(line))]
    return errors[:8]


def _plain(line: str) -> str:
    """Return a line of output for people: without colours and control characters, and cut at a length."""
    return log.clean(_ANSI.sub("", line[:_LONGEST])).strip()


class _Follower:
    """Turn cibuildwheel's output into steps of our log, line by line."""

    def __init__(self) -> None:
        self.where = "start"
        self.summary = ""
        self._identifier = ""
        self._steps = log.Steps()

    def end(self, *, ok: bool) -> None:
        """Close the last step."""
        self._steps.close(ok=ok)

    def line(self, raw: str) -> None:
        """Read one line of output."""
        text = _plain(raw)
        if match := _BUILD.match(text):
            self._identifier = match[1]
        elif match := _STEP.match(text):
            title = "Starting container" if match[1].startswith("Starting") else match[1]
            self.where = title + (f" ({self._identifier})" if self._identifier else "")
            self._steps.open(self.where)
        elif text:
            self._steps.note(text)
            if self.where.startswith("Testing"):
                self._count(text)

    def _count(self, text: str) -> None:
        if match := _PYTEST.search(text):
            self.summary = match[1]
        elif match := _UNITTEST.match(text):
            if match[1]:
                self.summary = match[1]
            elif self.summary.startswith("Ran "):
                self.summary = f"{self.summary.partition(',')[0]}, {match[2]}"
