"""The report of ``preflight --json``."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from wheelyard.core.model import Model

Step = Literal["version", "source", "patches", "sdist", "metadata", "requirements", "tests", "wheels", "publish"]
# In the order of the report.
STEPS: tuple[Step, ...] = (
    "version",
    "source",
    "patches",
    "sdist",
    "metadata",
    "requirements",
    "tests",
    "wheels",
    "publish",
)
State = Literal["ok", "failed", "skipped"]
PatchState = Literal["applies", "upstream", "fails"]


class StepResult(Model):
    """One result of a step.

    Attributes:
        step: the step.
        state: ``skipped`` where the step was not possible or not needed.
        text: the result.
        where: the line to change, ``file:line``, empty if there is none.
        fix: what to do, empty if there is nothing to do.
        details: the single items, if there are several.
    """

    step: Step
    state: State
    text: str
    where: str = ""
    fix: str = ""
    details: tuple[str, ...] = ()

    @property
    def head(self) -> str:
        """Place and text."""
        return f"{self.where}: {self.text}" if self.where else self.text


class PatchFact(Model):
    """The state of one of the recipe's patches: ``upstream`` means that the source has the change already."""

    file: str
    state: PatchState


class SdistFacts(Model):
    """Facts of a source that need no build; the facts of two versions can be compared.

    Attributes:
        name, version: from its metadata, empty if it has none.
        requires_python: its Requires-Python.
        licence: an SPDX expression if it has one, else its licence text or classifiers.
        backend: its build backend (PEP 517), empty for setuptools' legacy one.
        build_requires: its build requirements (PEP 518), sorted.
        requires: its run-time requirements with extras, sorted.
        modules: the extension modules in its build files, sorted.
        sources: its files in compiled languages, sorted.
        patches: the state of the recipe's patches.
    """

    name: str = ""
    version: str = ""
    requires_python: str = ""
    licence: str = ""
    backend: str = ""
    build_requires: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    patches: tuple[PatchFact, ...] = ()


class PreflightReport(Model):
    """``preflight --json``: whether a build of a version is expected to succeed.

    Attributes:
        package, package_version: the checked version, empty if it was not found.
        checked: the time of the check, in UTC.
        answered: whether every server answered; if not, a failure may be caused by the network.
        wheels: the expected wheels.
        findings: all results, in the order of the steps.
        facts: the facts of the source, null if there is none.
    """

    schema_: Literal["wheelyard/preflight"] = Field("wheelyard/preflight", alias="schema")
    version_: Literal[1] = Field(1, alias="version")
    package: str
    package_version: str
    checked: datetime
    answered: bool
    wheels: tuple[str, ...] = ()
    findings: tuple[StepResult, ...]
    facts: SdistFacts | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing failed."""
        return not self.failures

    @property
    def failures(self) -> tuple[StepResult, ...]:
        """The failed results."""
        return tuple(finding for finding in self.findings if finding.state == "failed")
