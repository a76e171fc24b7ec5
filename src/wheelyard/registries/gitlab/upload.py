"""Answers to an upload to GitLab's PyPI registry, and what they mean (lib/api/pypi_packages.rb)."""

from __future__ import annotations

import json
from enum import Enum
from typing import TYPE_CHECKING

from wheelyard.io import log
from wheelyard.io.retry import passes

if TYPE_CHECKING:
    from wheelyard.io.http import Response

_CREATED, _BAD = 201, 400
_LONGEST_SAID = 300
_FILE_TAKEN = "File name has already been taken"
_NAME_TAKEN = "Name has already been taken"


class Verdict(Enum):
    """What an answer means for what we sent."""

    STORED = "stored"
    DUPLICATE = "a file of this name is there"
    RACE = "somebody else created the package at the same moment; nothing is stored"
    PASSING = "busy or broken for now; whether it is stored is not known"
    REFUSED = "never"


def judge(answer: Response) -> Verdict:
    """Return what an answer to an upload means."""
    if answer.status_code == _CREATED:
        return Verdict.STORED
    if passes(answer.status_code):
        return Verdict.PASSING
    text = message_of(answer)
    if answer.status_code == _BAD and _FILE_TAKEN in text:
        return Verdict.DUPLICATE
    if answer.status_code == _BAD and _NAME_TAKEN in text:
        return Verdict.RACE
    return Verdict.REFUSED


def message_of(answer: Response) -> str:
    """Return a server's message in one safe line without secrets: JSON's message or error, else the text."""
    text = answer.text[:10_000]
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if isinstance(value, dict):
        text = str(value.get("message") or value.get("error") or text)
    return log.redact(log.clean(" ".join(text.split())))[:_LONGEST_SAID]
