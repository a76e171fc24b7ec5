"""What became of issues that are kept one for each package: a part of several reports."""

from __future__ import annotations

from typing import Literal

from wheelyard.core.model import Model


class TicketRecord(Model):
    """What became, or in a dry run would become, of one package's issue.

    Attributes:
        package: the package.
        key: what the issue is found by again.
        action: ``open``, ``update``, ``keep``, ``close``, ``none``; ``error`` if it could not be written.
        title: its title, empty where it is closed.
        url: where it is, empty if it is nowhere yet.
        text: why it could not be written.
    """

    package: str
    key: str
    action: Literal["open", "update", "keep", "close", "none", "error"]
    title: str = ""
    url: str = ""
    text: str = ""
