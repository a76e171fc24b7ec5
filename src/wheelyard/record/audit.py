"""What ``audit --json`` says: closed, frozen, versioned, as all that the tool writes."""

from __future__ import annotations

from datetime import date, datetime  # noqa: TC003 - pydantic reads them at run time
from typing import Literal

from pydantic import Field

from wheelyard.forges.issue_report import TicketRecord  # noqa: TC001 - pydantic reads it, too
from wheelyard.records.models import Model


class Ignored(Model):
    """Why a vulnerability counts for nothing, and until when."""

    reason: str
    until: date


class Vulnerability(Model):
    """A known vulnerability of one published version.

    Attributes:
        package: the package.
        version: the version.
        id: the identifier that is shown: of a CVE where there is one.
        aliases: other identifiers of the same, sorted.
        summary: what it is, in the advisory's words; may be empty.
        fixed: the versions with which it ends, the earliest first; empty if nobody knows any.
        url: its page.
        registries: where this version is published.
        ignored: why it counts for nothing, null if it counts.
    """

    package: str
    version: str
    id: str
    aliases: tuple[str, ...] = ()
    summary: str = ""
    fixed: tuple[str, ...] = ()
    url: str = ""
    registries: tuple[str, ...] = ()
    ignored: Ignored | None = None


class AuditReport(Model):
    """``audit --json``.

    Attributes:
        checked: when, in UTC.
        packages: how many packages were asked for.
        versions: how many published versions that is.
        vulnerabilities: what is known of them, by package, newest version first.
        expired: identifiers of site policy's list whose day has passed, or that nothing published has.
        issues: what became of issues, if they were asked for.
    """

    schema_: Literal["wheelyard/audit"] = Field("wheelyard/audit", alias="schema")
    version_: Literal[1] = Field(1, alias="version")
    checked: datetime
    packages: int
    versions: int
    vulnerabilities: tuple[Vulnerability, ...] = ()
    expired: tuple[str, ...] = ()
    issues: tuple[TicketRecord, ...] = ()

    @property
    def counting(self) -> tuple[Vulnerability, ...]:
        """Those that are not ignored."""
        return tuple(each for each in self.vulnerabilities if each.ignored is None)
