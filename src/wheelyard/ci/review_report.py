"""The report of ``review``: closed, frozen and versioned."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from wheelyard.core.model import Model

Kind = Literal["commit", "policy", "recipe", "record", "trigger"]


class ReviewFinding(Model):
    """One thing that is wrong with a change.

    Attributes:
        kind: of what: a commit's message, site configuration, a recipe, a record, or a line of the description.
        where: the commit, ``file:line``, or the description's line.
        text: what is wrong.
        fix: what to do.
    """

    kind: Kind
    where: str
    text: str
    fix: str = ""


class ReviewReport(Model):
    """``review --json``: the findings on a change.

    Attributes:
        commit_range: the range of commits, as it was given.
        commits: how many messages were read.
        recipes: how many recipes were read.
        findings: all that is wrong.
        triggers: what the description asks to build beside what the change itself has built, ``package==version``.
    """

    schema_: Literal["wheelyard/review"] = Field("wheelyard/review", alias="schema")
    version_: Literal[1] = Field(1, alias="version")
    commit_range: str
    commits: int
    recipes: int
    findings: tuple[ReviewFinding, ...] = ()
    triggers: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings
