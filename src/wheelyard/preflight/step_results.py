"""Collect the results of a preflight's steps."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

from wheelyard.core.errors import (
    ConfigError,
    DiskError,
    InterruptedRunError,
    NetworkError,
    ProgramError,
    StepTimeoutError,
    WheelyardError,
)
from wheelyard.io import log
from wheelyard.preflight.preflight_report import STEPS, PreflightReport, SdistFacts, State, Step, StepResult

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager


# Errors of this machine, not of the version.
_MACHINE_ERRORS = (ConfigError, DiskError, InterruptedRunError, ProgramError)


@dataclass
class StepResults:
    """The results so far."""

    findings: list[StepResult] = field(default_factory=list)
    answered: bool = True
    lasting: bool = True  # whether the same would be found again; what took too long, or was not tried, says no

    def add(
        self, step: Step, state: State, text: str, *, where: str = "", fix: str = "", details: Iterable[str] = ()
    ) -> None:
        """Add a result, without control characters and secrets."""
        lines = tuple(log.redact(log.clean(line)) for line in details)
        clean_text = log.redact(log.clean(text))
        self.findings.append(StepResult(step=step, state=state, text=clean_text, where=where, fix=fix, details=lines))

    def fail(self, step: Step, error: WheelyardError, where: str) -> None:
        """Add an error; its own place in a recipe is preferred to *where*."""
        self.answered &= not isinstance(error, NetworkError)
        self.lasting &= not isinstance(error, NetworkError | StepTimeoutError)
        own = error.where if error.where and error.where.startswith(("recipes/", "packages/", "pyproject.toml")) else ""
        details = [*error.details, *([error.where] if error.where and not own else [])]
        place = own or ("" if isinstance(error, NetworkError) else where)  # no line of a recipe fixes a network
        self.add(step, "failed", error.what, where=place, fix=error.fix or "", details=details)

    def step(self, step: Step, title: str, where: str) -> AbstractContextManager[None, bool]:
        """Run a step: an error in it is a result, and the next step can run."""
        return cast("AbstractContextManager[None, bool]", self._step(step, title, where))

    @contextlib.contextmanager
    def _step(self, step: Step, title: str, where: str) -> Iterator[None]:
        before = len(self.findings)
        with contextlib.suppress(_StepFailed), log.step(title):
            try:
                yield
            except _MACHINE_ERRORS:
                raise
            except WheelyardError as error:
                self.fail(step, error, where)
            if any(finding.state == "failed" for finding in self.findings[before:]):
                raise _StepFailed


class _StepFailed(Exception):  # noqa: N818 - only marks the step in the log
    """A failed step, whose result is added already."""


def report_of(
    package: str, version: str, results: StepResults, *, wheels: tuple[str, ...] = (), facts: SdistFacts | None = None
) -> PreflightReport:
    """Return the report, with all results in the order of the steps."""
    return PreflightReport(
        package=package,
        package_version=version,
        checked=datetime.now(UTC).replace(microsecond=0),
        answered=results.answered,
        wheels=wheels,
        findings=tuple(sorted(results.findings, key=lambda finding: STEPS.index(finding.step))),
        facts=facts,
    )
