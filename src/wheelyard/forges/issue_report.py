"""The action on a package's issue: a part of several reports."""

from __future__ import annotations

from typing import Literal

from wheelyard.core.model import Model


class IssueReport(Model):
    """The action on one package's issue; in a dry run, the action that would be.

    Attributes:
        package: the package.
        key: the issue's key.
        action: ``open``, ``update``, ``keep``, ``close``, ``none``; ``error`` if it could not be written.
        title: its title, empty where it is closed.
        url: its page, empty if it is not open yet.
        text: why it could not be written.
    """

    package: str
    key: str
    action: Literal["open", "update", "keep", "close", "none", "error"]
    title: str = ""
    url: str = ""
    text: str = ""
