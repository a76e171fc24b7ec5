"""What ``check-tokens --json`` says: closed, frozen, versioned, as all that the tool writes."""

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
    """One thing about one token or renewal; a token may have several.

    Attributes:
        name: the token or renewal, as the site configuration calls it.
        kind: a group access token, a deploy token, or a dated renewal.
        state: ``ok``; ``due`` within the days of the site configuration; ``dead``: not accepted, expired, or a
            renewal's day has passed; ``over-scoped`` and ``under-scoped``: more or less scopes or a higher or lower
            role than in the site configuration;
            ``missing``: not in the environment; ``unknown``: the server does not tell; ``unreachable``: it does not
            answer.
        text: what was found, in a few words.
        detail: what was said on the way, such as the error of a connection; empty if nothing was.
        fix: what to do, empty where there is nothing to do.
        expires: the day on which it ends, at midnight UTC; null if that is unknown, or never.
        days: how many days are left until then; negative afterwards.
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
    """What became, or in a dry run would become, of the issue on the forge.

    Attributes:
        action: ``none`` where there is nothing to tell and no issue to close.
        done: false in a dry run.
        url: the issue, empty if there is none yet.
        title: its title, empty where it is not written.
    """

    action: Literal["open", "update", "keep", "close", "none"]
    done: bool
    url: str = ""
    title: str = ""


class TokenReport(Model):
    """``check-tokens --json``: how tokens and renewals stand.

    Attributes:
        checked: when, in UTC.
        warn_days: how many days ahead something counts as due.
        state: the worst state of all findings.
        findings: everything, in the order of the site configuration.
        issue: what became of the issue, null if none was asked for or it failed.
    """

    schema_: Literal["wheelyard/tokens"] = Field("wheelyard/tokens", alias="schema")
    version_: Literal[1] = Field(1, alias="version")
    checked: datetime
    warn_days: int
    state: State
    findings: tuple[TokenFinding, ...]
    issue: IssueRecord | None = None
