"""What ``records --json`` says."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from wheelyard.core.model import Model


class RecordsReport(Model):
    """What became, or in a dry run would become, of changed records.

    Attributes:
        action: as of a proposal; ``pushed`` onto the base branch; ``none`` if no record has changed; ``changed`` if
            nobody asked to bring them out.
        done: false in a dry run, and where nobody asked.
        url: the request, empty if there is none.
        files: the changed records of this checkout.
    """

    schema_: Literal["wheelyard/records"] = Field("wheelyard/records", alias="schema")
    version_: Literal[1] = Field(1, alias="version")
    action: Literal["open", "update", "keep", "close", "none", "moot", "declined", "foreign", "pushed", "changed"]
    done: bool
    url: str = ""
    files: tuple[str, ...] = ()
