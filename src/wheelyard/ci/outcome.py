"""The input of a job and the outcome of each of its wheels, as pipelines pass them from one machine to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, ValidationError

from wheelyard.core.errors import CheckError, ConfigError
from wheelyard.core.model import Model
from wheelyard.forges.issue_report import IssueReport
from wheelyard.io import cache, files, log
from wheelyard.records.line_file import validation_problems
from wheelyard.records.models import Sha256

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

VARIABLE = "WHEELYARD_JOB"
_LARGEST = 64 << 10  # bytes
_SHOWN = 400  # characters of a line

Name = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=200)]
Version = Annotated[str, Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z.!+]*$", max_length=200)]
Pythons = Annotated[str, Field(pattern=r"^cp3\d{1,2}t?(,cp3\d{1,2}t?)*$")]


class JobSpec(Model):
    """``$WHEELYARD_JOB``: one row of a plan, as a forge hands it to the job.

    Attributes:
        name: what the job is called.
        package, version: what it builds.
        wheels: one entry per wheel: the interpreters that share it.
        needs: packages that it takes from other jobs of the same plan.
        runner, timeout_minutes: what the forge goes by.
        image: what it builds in, as ``--image`` takes it.
        key: the digest of all its inputs; its results are found by it.
        artifact: a name for all that it leaves.
    """

    name: str
    package: Name
    version: Version
    wheels: tuple[Pythons, ...] = Field(min_length=1)
    needs: tuple[Name, ...] = ()
    runner: str = ""
    timeout_minutes: int = 0
    image: str = ""
    key: Sha256
    artifact: str = ""


class Failure(Model):
    """Why a wheel was not built.

    Attributes:
        code: the exit code of the error.
        what: what happened.
        where: the place that caused it.
        line: the line of the log that matters, or the first finding.
        fix: what to do next.
    """

    code: int
    what: str
    where: str = ""
    line: str = ""
    fix: str = ""


class WheelOutcome(Model):
    """``outcome-<pythons>.json``: the outcome of one wheel of a job.

    Attributes:
        job: the job's name.
        key: the job's.
        package, package_version: what was built.
        interpreters: for whom.
        state: ``reused`` if the same inputs had been built before, ``stopped`` if a needed wheel is nowhere.
        files: the wheels.
        fingerprint: their wheel's fingerprint, empty where nothing was built.
        seconds: how long it took.
        failure: why there is no wheel.
        ended: when, in UTC.
    """

    schema_: Literal["wheelyard/outcome-of-wheel"] = Field("wheelyard/outcome-of-wheel", alias="schema")
    version_: Literal[1] = Field(1, alias="version")
    job: str
    key: Sha256
    package: Name
    package_version: Version
    interpreters: tuple[Pythons, ...]
    state: Literal["built", "reused", "failed", "stopped"]
    files: tuple[str, ...] = ()
    fingerprint: str = Field("", pattern=r"^([0-9a-f]{64})?$")
    seconds: float = 0.0
    failure: Failure | None = None
    ended: str = Field(pattern=r"^20\d\d-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-5]\d\+00:00$")

    @property
    def file(self) -> str:
        """The name under which it is kept."""
        return outcome_name(self.interpreters)

    @property
    def ok(self) -> bool:
        """Whether there is a wheel."""
        return self.state in {"built", "reused"}

    @property
    def rank(self) -> tuple[str, str]:
        """The order of two outcomes of one wheel: the later one is larger."""
        return self.ended, self.state


class PackageResult(Model):
    """The result of one version of a package.

    Attributes:
        package, version: which.
        why: what made it due.
        result: ``built``, ``failed``, ``stopped`` (by what it needs), or ``silent``: a job ended without a result.
        wheels, expected: how many there are, of how many.
        seconds: how long it took, on all machines.
        line: the line that matters.
        fix: what to do next.
        failed: for which interpreters there is none.
    """

    package: str
    version: str
    why: str
    result: Literal["built", "failed", "stopped", "silent"]
    wheels: int
    expected: int
    seconds: float
    line: str = ""
    fix: str = ""
    failed: tuple[str, ...] = ()


class CIReport(Model):
    """The report of ``ci report``: the results of a plan's jobs.

    Attributes:
        selection: what was planned.
        rows: each version.
        left_out: what was not planned, and why.
        issues: the issues that were opened, updated or closed.
    """

    schema_: Literal["wheelyard/ci-report"] = Field("wheelyard/ci-report", alias="schema")
    version_: Literal[1] = Field(1, alias="version")
    selection: str
    rows: tuple[PackageResult, ...]
    left_out: tuple[str, ...] = ()
    issues: tuple[IssueReport, ...] = ()

    @property
    def ordered(self) -> tuple[PackageResult, ...]:
        """The rows, those that are not built first."""
        return tuple(sorted(self.rows, key=lambda row: (row.result == "built", row.package, row.version)))


def parse_job_spec(text: str) -> JobSpec:
    """Read ``$WHEELYARD_JOB``.

    Raises:
        ConfigError: it is no row of a plan; every problem is listed.
    """
    try:
        return JobSpec.model_validate_json(text)
    except ValidationError as error:
        raise ConfigError(
            f"${VARIABLE} is not a job of a plan",
            details=[log.clean(message) for _, message in validation_problems(error)],
            fix="it is a row of a matrix that `wheelyard ci plan --format github` writes",
        ) from error


def outcome_name(pythons: Iterable[str]) -> str:
    """Return the name under which the outcome of the wheel for these interpreters is kept."""
    return f"outcome-{'-'.join(pythons)}.json"


def write_outcome(folder: Path, outcome: WheelOutcome, *, newest: bool = False) -> bool:
    """Write *outcome* into the folder of its version; return whether it was.

    Args:
        folder: the version's.
        outcome: the outcome of a wheel.
        newest: keep an outcome that is there and not older.

    Raises:
        DiskError: it cannot be written.
    """
    path = folder / outcome.file
    with cache.lock(folder / ".outcomes.lock", what=f"writing {outcome.file} of {outcome.package}"):
        if newest and (present := _there(path)) and present.rank >= outcome.rank:
            return False
        files.write_json(path, outcome.model_dump(mode="json", by_alias=True))
    return True


def _there(path: Path) -> WheelOutcome | None:
    try:
        return read_outcome(path)
    except CheckError:
        return None


def read_outcome(path: Path) -> WheelOutcome:
    """Return the outcome in a file, which is not trusted.

    Raises:
        CheckError: it is none.
    """
    try:
        if path.is_symlink() or path.stat().st_size > _LARGEST:
            raise CheckError("is not an outcome", where=str(path))
        outcome = WheelOutcome.model_validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise CheckError("is not an outcome", where=str(path)) from error
    if outcome.file != path.name:
        raise CheckError(f"is the outcome of {outcome.file}", where=str(path))
    return outcome


def outcomes(folder: Path) -> Iterator[WheelOutcome]:
    """Yield the outcomes in the folder of a version; files that are none are skipped with a warning."""
    for path in sorted(folder.glob("outcome-*.json")):
        try:
            yield read_outcome(path)
        except CheckError as error:
            log.warn(str(error))


def line_of(text: str) -> str:
    """Return *text* as one line of a record: tamed, without secrets, and not too long."""
    return log.redact(log.clean(" ".join(text.split())))[:_SHOWN]
