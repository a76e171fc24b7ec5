"""What ``preflight --json`` says: closed, frozen, versioned, as all that the tool writes."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from wheelyard.core.model import Model

Step = Literal["version", "source", "patches", "sdist", "metadata", "requirements", "tests", "wheels", "publish"]
# In the order in which they are told.
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


class PreflightFinding(Model):
    """One thing that was looked at.

    Attributes:
        step: what it belongs to.
        state: ``skipped`` where it could not be looked at, or need not be.
        text: what was found.
        where: the line to change, ``file:line``; empty where there is none.
        fix: what to do, empty where there is nothing to do.
        details: each single thing, where there are several.
    """

    step: Step
    state: State
    text: str
    where: str = ""
    fix: str = ""
    details: tuple[str, ...] = ()

    @property
    def head(self) -> str:
        """Where, and what was found."""
        return f"{self.where}: {self.text}" if self.where else self.text


class PatchFact(Model):
    """How one of the recipe's patches stands to a source: ``upstream`` means that the source has it already."""

    file: str
    state: PatchState


class SdistFacts(Model):
    """What can be told of a source without building it; two versions' facts can be compared.

    Attributes:
        name, version: as its metadata has them, empty where it has none.
        requires_python: its Requires-Python.
        licence: an SPDX expression where it has one, else what it says.
        backend: its build backend (PEP 517), empty for setuptools' legacy one.
        build_requires: its build requirements (PEP 518), sorted.
        requires: what it needs when it runs, extras included, sorted.
        modules: extension modules that its build files name, sorted.
        sources: its files that are compiled, sorted.
        patches: how the recipe's patches stand to it.
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


class Preflight(Model):
    """``preflight --json``: whether a version would get through a build, as far as can be told before.

    Attributes:
        package, package_version: what was looked at; no version where none could be found.
        checked: when, in UTC.
        answered: whether every server that was asked has answered; if not, a failure may be the network's.
        wheels: the wheels that a build is expected to yield.
        findings: everything, in the order of the steps.
        facts: what the source is like, null if there was none.
    """

    schema_: Literal["wheelyard/preflight"] = Field("wheelyard/preflight", alias="schema")
    version_: Literal[1] = Field(1, alias="version")
    package: str
    package_version: str
    checked: datetime
    answered: bool
    wheels: tuple[str, ...] = ()
    findings: tuple[PreflightFinding, ...]
    facts: SdistFacts | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing failed."""
        return not self.failures

    @property
    def failures(self) -> tuple[PreflightFinding, ...]:
        """What failed."""
        return tuple(finding for finding in self.findings if finding.state == "failed")
