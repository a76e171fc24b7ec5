"""Jobs as GitHub's matrices: waves, and in each as many matrices as GitHub's limits ask for.

A wave is two rows: ``first`` has the jobs that a later wave waits for, ``rest`` all other jobs. A
workflow runs the rows of a wave side by side, and the next wave once ``first`` of the one before has ended, however it
ended: each job looks itself whether what it needs is there, so that a failure stops only what depends on it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wheelyard.ci.job_model import BuildJob

Row = dict[str, str | int | tuple[str, ...]]

# docs.github.com, "Actions limits": jobs of a matrix; "Passing information between jobs": a job's outputs take 1 MB at
# most, counted in UTF-16. A part may take nine tenths of it.
MOST_JOBS = 256
MOST_BYTES = 1_000_000
_SHARE = 0.9


@dataclass(frozen=True)
class PlannedJob:
    """A job with what the forge needs to run it.

    Attributes:
        job: the job.
        wave: its wave, from 1 on.
        gate: whether a later wave waits for it.
        needs: packages that it takes from jobs of this plan.
        runner: the label of its machines.
        minutes: what the forge lets it take.
        image: what it is built in, as ``--image`` takes it.
        key: the digest of all its inputs; its results are found by it.
    """

    job: BuildJob
    wave: int
    gate: bool
    needs: tuple[str, ...]
    runner: str
    minutes: int
    image: str
    key: str

    def entry(self) -> Row:
        """Return its row in a matrix, also what ``wheelyard ci run-job`` takes (:class:`record.outcome.JobSpec`)."""
        pythons = [str(interpreter) for interpreter in self.job.interpreters]
        return {
            "name": self.job.name,
            "package": self.job.build.package,
            "version": self.job.build.version,
            # One entry per wheel: the interpreters that share it.
            "wheels": tuple(",".join(map(str, wheel.expected.interpreters)) for wheel in self.job.wheels),
            "needs": self.needs,
            "runner": self.runner,
            "timeout-minutes": self.minutes,
            "image": self.image,
            "key": self.key,
            "artifact": f"wheels-{self.job.build.package}-{self.job.build.version}-{'-'.join(pythons)}",
        }

    def text(self) -> str:
        """Return its row as ``$WHEELYARD_JOB`` has it."""
        return json.dumps(self.entry(), separators=(",", ":"), ensure_ascii=True)


@dataclass(frozen=True)
class Matrix:
    """One matrix.

    Attributes:
        name: what it is called, such as ``wave-1-first-1``.
        wave: its wave.
        gate: whether the next wave waits for it.
        include: its jobs.
    """

    name: str
    wave: int
    gate: bool
    include: tuple[Row, ...]

    def text(self) -> str:
        """Return what ``fromJSON`` takes."""
        return _compact(self.include)


def matrices(planned_jobs: Sequence[PlannedJob]) -> tuple[Matrix, ...]:
    """Return *planned_jobs* in matrices, each within GitHub's limits, in the order in which they should start."""
    rows: dict[tuple[int, bool], list[Row]] = {}
    for planned_job in planned_jobs:
        rows.setdefault((planned_job.wave, planned_job.gate), []).append(planned_job.entry())
    matrix_list = []
    for (wave, gate), entries in sorted(rows.items(), key=lambda item: (item[0][0], not item[0][1])):
        for number, part in enumerate(_parts(entries), 1):
            name = f"wave-{wave}-{'first' if gate else 'rest'}-{number}"
            matrix_list.append(Matrix(name, wave, gate, tuple(part)))
    return tuple(matrix_list)


def retry_matrices(rows: Sequence[tuple[str, Sequence[Row]]]) -> tuple[Matrix, ...]:
    """Return the matrices of named rows of jobs to retry; the wave of a matrix is its row, from 1 on."""
    return tuple(
        Matrix(f"retry-{name}-{number}", wave, wave < len(rows), tuple(part))
        for wave, (name, entries) in enumerate(rows, 1)
        for number, part in enumerate(_parts(entries), 1)
    )


def _parts(entries: Sequence[Row]) -> list[list[Row]]:
    parts: list[list[Row]] = []
    size = 0
    for entry in entries:
        bytes_needed = _size(entry)
        if not parts or len(parts[-1]) == MOST_JOBS or size + bytes_needed > MOST_BYTES * _SHARE:
            parts.append([])
            size = 0
        parts[-1].append(entry)
        size += bytes_needed
    return parts


def _size(entry: Row) -> int:
    return len(json.dumps(entry, separators=(",", ":"), ensure_ascii=True)) * 2 + 2


def _compact(include: Sequence[Row]) -> str:
    return json.dumps({"include": list(include)}, separators=(",", ":"), ensure_ascii=True)
