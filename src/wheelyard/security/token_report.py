"""The report of ``check-tokens --json``."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

from pydantic import Field

from wheelyard.core.model import Model

# From the best to the worst; the worst of a report is the report's.
STATES = ("ok", "unreachable", "unknown", "missing", "due", "under-scoped", "over-scoped", "dead")
State = Literal["ok", "unreachable", "unknown", "missing", "due", "under-scoped", "over-scoped", "dead"]
Kind = Literal["group", "deploy", "renewal"]


class TokenFinding(Model):
    """A finding on one token or renewal; a token may have several.

    Attributes:
        name: the token or renewal, its name in the site configuration.
        kind: a group access token, a deploy token, or a dated renewal.
        state: ``ok``; ``due`` within the days of the site configuration; ``dead``: not accepted, expired, or a
            renewal's day has passed; ``over-scoped`` and ``under-scoped``: more or less scopes or a higher or lower
            role than in the site configuration;
            ``missing``: not in the environment; ``unknown``: the server refuses the look-up; ``unreachable``: it
            does not answer.
        text: the finding in a few words.
        detail: details, such as the error of a connection; may be empty.
        fix: how to fix it, empty if it is well.
        expires: the day on which it expires, at midnight UTC; null if unknown or never.
        days: the days until then; negative afterwards.
    """

    name: str
    kind: Kind
    state: State
    text: str
    detail: str = ""
    fix: str = ""
    expires: date | None = None
    days: int | None = None


class IssueRecord(Model):
    """The change of the issue on the forge, or the planned one in a dry run.

    Attributes:
        action: ``none`` if all is well and no issue is open.
        written: false in a dry run.
        url: the issue, empty if there is none yet.
        title: its title, empty where it is not written.
    """

    action: Literal["open", "update", "keep", "close", "none"]
    written: bool
    url: str = ""
    title: str = ""


class TokenReport(Model):
    """``check-tokens --json``: the findings on tokens and renewals.

    Attributes:
        checked: when, in UTC.
        warn_days: the days ahead of its expiry from which a token is due.
        state: the worst state of all findings.
        findings: all findings, in the order of the site configuration.
        issue: the change of the issue, null without ``--issue`` or if it failed.
    """

    schema_: Literal["wheelyard/tokens"] = Field("wheelyard/tokens", alias="schema")
    version_: Literal[1] = Field(1, alias="version")
    checked: datetime
    warn_days: int
    state: State
    findings: tuple[TokenFinding, ...]
    issue: IssueRecord | None = None
