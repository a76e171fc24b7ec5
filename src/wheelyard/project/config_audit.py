"""Site policy on known vulnerabilities, ``[tool.wheelyard.audit]``: who is asked, and what was judged harmless."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from pydantic import Field

from wheelyard.project.config_registries import ServerUrl
from wheelyard.project.model import Model

Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{1,80}$")]


class IgnoredVulnerability(Model):
    """A vulnerability that `audit` counts for nothing, for a while."""

    id: Identifier = Field(description="Its identifier, or an alias, such as `CVE-2024-1234` or `GHSA-…`.")
    packages: tuple[str, ...] = Field((), description="For these packages only; for all if empty.")
    reason: str = Field(min_length=1, description="Why it does no harm here.")
    until: date = Field(description="The last day on which that holds; then somebody looks again.")


class AuditPolicy(Model):
    """What `audit` goes by."""

    url: ServerUrl = Field("https://api.osv.dev", description="The server that speaks OSV's API.")
    ignore: tuple[IgnoredVulnerability, ...] = Field((), description="`[[tool.wheelyard.audit.ignore]]`; see below.")
    label: str = Field("vulnerability", min_length=1, description="The label that its issues bear, besides others.")
