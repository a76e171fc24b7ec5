"""``packages/<pkg>/durations.toml``: how long its builds took, one line an interpreter, for planning the next ones.

Lines come from the records of published wheels. Only the newest versions are kept.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from packaging.version import InvalidVersion, Version
from pydantic import Field, field_validator

from wheelyard.core.errors import PlanError
from wheelyard.core.pep440 import read_version
from wheelyard.core.tags import Interpreter
from wheelyard.records.line_file import Entry, LineFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from wheelyard.records.models import WheelRecord

NATIVE = "riscv64"
_UNKNOWN = "unknown"
_KEPT_VERSIONS = 3
_STEP = re.compile(r" \((cp3\d{1,2}t?)\)\Z")
_START = "Starting container"  # part of image-start in the site configuration


class Duration(Entry):
    """How long one version took for one interpreter.

    Attributes:
        version: the version (PEP 440).
        machine: the architecture it was built on; ``unknown`` where its record has none.
        interpreter: for which; empty for what a job does once, whatever it builds.
        seconds: from the interpreter's first step to its last, tests included.
        day: when, UTC.
    """

    version: str
    machine: str = Field(pattern=r"^[a-z0-9_]+$")
    interpreter: str = Field("", pattern=r"^(cp3[0-9]{1,2}t?)?$")
    seconds: float = Field(ge=0, le=86_400 * 30)
    day: date

    @field_validator("version")
    @classmethod
    def _is_version(cls, value: str) -> str:
        try:
            return str(read_version(value))
        except InvalidVersion as error:
            raise ValueError("is not a version (PEP 440)") from error

    @property
    def key(self) -> tuple[str, ...]:
        """The values that only one entry has."""
        return self.version, self.machine, self.interpreter


@dataclass(frozen=True)
class Pace:
    """How long a build is likely to take.

    Attributes:
        shared: seconds that each job takes, whatever it builds.
        wheels: seconds for each interpreter with a duration.
        usual: seconds for any other.
    """

    shared: float
    wheels: dict[Interpreter, float]
    usual: float

    def seconds(self, interpreter: Interpreter) -> float:
        """Return the seconds for one interpreter."""
        return self.wheels.get(interpreter, self.usual)


def of_record(record: WheelRecord) -> tuple[Duration, ...]:
    """Return the durations of a wheel's job: one for each interpreter, and one for the steps that they share.

    Return none if a value is impossible: the record may come from another machine, and publishing does not need it.
    """
    seconds_by_interpreter: dict[str, float] = {}
    for title, seconds in record.durations.items():
        match = _STEP.search(title)
        if match or title != _START:
            interpreter = match[1] if match else ""
            seconds_by_interpreter[interpreter] = seconds_by_interpreter.get(interpreter, 0) + seconds
    if not any(seconds_by_interpreter):
        return ()  # shared steps alone are no measure of a wheel
    try:
        day = date.fromisoformat(record.built_at[:10])
        return tuple(
            Duration(
                version=record.package_version,
                machine=record.machine or _UNKNOWN,
                interpreter=interpreter,
                seconds=round(seconds, 1),
                day=day,
            )
            for interpreter, seconds in seconds_by_interpreter.items()
        )
    except ValueError:
        return ()


def join(entries: Iterable[Duration]) -> tuple[Duration, ...]:
    """Return each key of the newest versions once, sorted: the later day counts, and of one day the longer time.

    Neither order nor repetition counts. Durations of older versions are poor estimates for the next one.
    """
    by_key: dict[tuple[str, ...], Duration] = {}
    for entry in entries:
        double = by_key.get(entry.key, entry)
        by_key[entry.key] = max(entry, double, key=lambda duration: (duration.day, duration.seconds))
    newest = sorted({Version(entry.version) for entry in by_key.values()})[-_KEPT_VERSIONS:]
    recent = (entry for entry in by_key.values() if Version(entry.version) in newest)
    return tuple(sorted(recent, key=lambda entry: (Version(entry.version), entry.machine, entry.interpreter)))


DURATIONS = LineFile(
    name="durations",
    key="builds",
    entry=Duration,
    header="# Written by wheelyard publish: seconds that builds took; the line without an interpreter is for all of "
    "them.\n",
    join=join,
    error=PlanError,
    fix="correct these lines, or remove {path}: it only makes plans better",
)


def pace(entries: Sequence[Duration], version: str, machine: str = NATIVE) -> Pace | None:
    """Return how long *version* is likely to take on *machine*, None without any duration of a wheel.

    The version itself counts most, then the newest one. Durations on *machine* count before others: emulated builds
    take many times as long, yet their proportions are the same.
    """
    native = [entry for entry in entries if entry.machine == machine]
    planned = Version(version)
    best: dict[str, Duration] = {}
    for entry in native or entries:
        best_yet = best.get(entry.interpreter)
        if best_yet is None or _rank(entry, planned) > _rank(best_yet, planned):
            best[entry.interpreter] = entry
    wheels = {Interpreter.parse(interpreter): entry.seconds for interpreter, entry in best.items() if interpreter}
    if not wheels:
        return None
    shared = best[""].seconds if "" in best else 0.0
    return Pace(shared, wheels, sum(wheels.values()) / len(wheels))


def _rank(entry: Duration, planned: Version) -> tuple[bool, Version, date]:
    version = Version(entry.version)
    return version == planned, version, entry.day
