"""The report of ``registry smoke-test``: closed, frozen and versioned."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from wheelyard.core.model import Model


class SmokeTestResult(Model):
    """One published version with one interpreter.

    Attributes:
        package, version: what was tried.
        interpreter: with which Python, such as ``cp313``.
        state: ``ok``; ``install`` or ``import`` if that failed; ``other`` if pip took a file from elsewhere; ``lost``
            if the container ended before; ``unreadable`` if the registry's page of the package cannot be read.
        text: the message.
    """

    package: str
    version: str
    interpreter: str
    state: Literal["ok", "install", "other", "import", "lost", "unreadable"]
    text: str = ""


class SmokeTestReport(Model):
    """``registry smoke-test --json``.

    Attributes:
        registry: the registry.
        image: the image in which it was tried.
        results: the result of each version.
        left_out: versions without a wheel for any interpreter that was looked at.
    """

    schema_: Literal["wheelyard/registry-smoke-test"] = Field("wheelyard/registry-smoke-test", alias="schema")
    version_: Literal[1] = Field(1, alias="version")
    registry: str
    image: str
    results: tuple[SmokeTestResult, ...]
    left_out: tuple[str, ...] = ()
