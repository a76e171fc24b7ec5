"""``packages/<pkg>/durations.toml``: how long its builds took, one line an interpreter, for planning the next ones.

Lines come from the records of published wheels. They are sorted, and git joins two branches' lines by itself
(``.gitattributes``: ``merge=union``); of doubles the later one counts, by a law in which neither order nor repetition
does. Only the newest versions are kept: older ones say little about the next.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Literal

from packaging.version import InvalidVersion, Version
from pydantic import Field, ValidationError, field_validator

from wheelyard.core import toml
from wheelyard.core.errors import PlanError
from wheelyard.core.pep440 import read_version
from wheelyard.core.tags import Interpreter
from wheelyard.core.toml_positions import key_lines, line_of
from wheelyard.io import cache, files
from wheelyard.records import toml_lines
from wheelyard.records.models import Model

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from wheelyard.records.models import WheelRecord

NATIVE = "riscv64"
_UNKNOWN = "unknown"
_KEPT = 3  # versions
_HEADER = (
    "# Written by wheelyard publish: seconds that builds took; the line without an interpreter is for all of them.\n"
)
_STEP = re.compile(r" \((cp3\d{1,2}t?)\)\Z")
_START = "Starting container"  # part of what site policy calls image-start


class Duration(Model):
    """How long one version took for one interpreter.

    Attributes:
        version: the version (PEP 440).
        machine: the architecture it was built on; ``unknown`` where its record does not say.
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
    def key(self) -> tuple[str, str, str]:
        """What there is one of."""
        return self.version, self.machine, self.interpreter


class Durations(Model):
    """The whole file."""

    schema_: Literal["wheelyard/durations"] = Field("wheelyard/durations", alias="schema")
    layout: Literal[1] = 1
    builds: tuple[Duration, ...] = ()


@dataclass(frozen=True)
class Pace:
    """How long a build is likely to take.

    Attributes:
        shared: seconds that each job takes, whatever it builds.
        wheels: seconds for each interpreter that is known.
        usual: seconds for any other.
    """

    shared: float
    wheels: dict[Interpreter, float]
    usual: float

    def seconds(self, interpreter: Interpreter) -> float:
        """Return the seconds for one interpreter."""
        return self.wheels.get(interpreter, self.usual)


def durations_file(packages: Path, package: str) -> Path:
    """Return where *package*'s durations are, in the folder of records."""
    return packages / package / "durations.toml"


def of_record(record: WheelRecord) -> tuple[Duration, ...]:
    """Return what a wheel's record says of its job: a line for each interpreter, and one for what they share.

    Nothing where it says what cannot be: it may come from another machine, and no wheel waits for it.
    """
    took: dict[str, float] = {}
    for title, seconds in record.durations.items():
        match = _STEP.search(title)
        if match or title != _START:
            took[match[1] if match else ""] = took.get(match[1] if match else "", 0) + seconds
    if not any(took):
        return ()  # what a job does once says nothing about wheels
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
            for interpreter, seconds in took.items()
        )
    except ValueError:
        return ()


def join(known: Iterable[Duration]) -> tuple[Duration, ...]:
    """Return each once, of the newest versions, sorted: the later day counts, and of one day the longer time."""
    by_key: dict[tuple[str, str, str], Duration] = {}
    for each in known:
        other = by_key.get(each.key, each)
        by_key[each.key] = max(each, other, key=lambda one: (one.day, one.seconds))
    newest = sorted({Version(each.version) for each in by_key.values()})[-_KEPT:]
    kept = (each for each in by_key.values() if Version(each.version) in newest)
    return tuple(sorted(kept, key=lambda each: (Version(each.version), each.machine, each.interpreter)))


def read_durations(path: Path) -> tuple[Duration, ...]:
    """Read a package's durations, joined; nothing where there is no file.

    Raises:
        PlanError: it is not such a file; every problem is named with its line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ()
    except (UnicodeDecodeError, OSError) as error:
        raise _unusable(path, [f"{path}: {error}"]) from error
    return parse(text, path)


def parse(text: str, path: Path) -> tuple[Duration, ...]:
    """Return what the *text* of such a file says, joined. *path* is for messages.

    Raises:
        PlanError: it is not such a file; every problem is named with its line.
    """
    try:
        return join(Durations.model_validate(toml.loads(text)).builds)
    except tomllib.TOMLDecodeError as error:
        raise _unusable(path, [f"{path}: {error}"]) from error
    except ValidationError as error:
        places = key_lines(text)
        details = [f"{path}:{line_of(places, key)}: {said}" for key, said in toml_lines.told(error)]
        raise _unusable(path, details) from error


def record(path: Path, entries: Iterable[Duration]) -> bool:
    """Add *entries*; return whether anything changed. Runs at the same time do not lose each other's.

    Raises:
        PlanError: what is there is no such file.
        DiskError: it cannot be written.
    """
    with cache.writing(path):
        known = join([*read_durations(path), *entries])
        text = dump(known)
        if not known or (path.is_file() and path.read_bytes() == text.encode()):
            return False
        files.write_text(path, text)
        return True


def dump(entries: Iterable[Duration]) -> str:
    """Return the text of the file: one line each."""
    return toml_lines.dump(_HEADER, "wheelyard/durations", "builds", join(entries))


def pace(known: Sequence[Duration], version: str, machine: str = NATIVE) -> Pace | None:
    """Return how long *version* is likely to take on *machine*, None if nothing is known.

    The version itself says most, then the newest one. What was built on *machine* goes before what was not: emulated
    builds take many times as long, yet their proportions hold.
    """
    native = [each for each in known if each.machine == machine]
    wanted = Version(version)
    best: dict[str, Duration] = {}
    for each in native or known:
        other = best.get(each.interpreter)
        if other is None or _rank(each, wanted) > _rank(other, wanted):
            best[each.interpreter] = each
    wheels = {Interpreter.parse(text): each.seconds for text, each in best.items() if text}
    if not wheels:
        return None
    shared = best[""].seconds if "" in best else 0.0
    return Pace(shared, wheels, sum(wheels.values()) / len(wheels))


def _rank(entry: Duration, wanted: Version) -> tuple[bool, Version, date]:
    version = Version(entry.version)
    return version == wanted, version, entry.day


def _unusable(path: Path, details: list[str]) -> PlanError:
    return PlanError(
        "the durations cannot be used",
        where=str(path),
        details=details,
        fix=f"mend these lines, or remove {path}: it only makes plans better",
    )
