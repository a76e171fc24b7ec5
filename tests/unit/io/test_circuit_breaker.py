"""When a server counts as silent: what is still to be asked of it then is not asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from wheelyard.core.errors import CredentialsError, NetworkError, WheelyardError
from wheelyard.io.circuit_breaker import CircuitBreaker
from wheelyard.io.retry import UnansweredError, UnreachedError

if TYPE_CHECKING:
    from collections.abc import Callable


def failing(error: WheelyardError, cause: Exception | None = None) -> Callable[[], str]:
    def question() -> str:
        raise error from cause

    return question


SILENT = failing(NetworkError("answers 502, 8 times in a row"), UnansweredError("answers 502"))
GONE = failing(NetworkError("cannot be connected to"), UnreachedError("refused"))
REFUSED = failing(CredentialsError("may not"))


def outcome(breaker: CircuitBreaker, question: Callable[[], str]) -> str:
    try:
        return breaker.ask(question)
    except WheelyardError as error:
        return error.what


@pytest.mark.parametrize(
    ("questions", "asked"),
    [
        ([GONE, str], False),
        ([SILENT, SILENT, str], True),
        ([SILENT, SILENT, SILENT, str], False),
        ([SILENT, SILENT, REFUSED, SILENT, SILENT, str], True),  # who refuses is there
        ([SILENT, SILENT, str, SILENT, SILENT, str], True),
        ([REFUSED] * 5 + [str], True),
    ],
)
def test_who_is_asked_once_more(questions: list[Callable[[], str]], asked: bool) -> None:
    breaker = CircuitBreaker()
    *before, last = questions
    for question in before:
        outcome(breaker, question)
    assert (outcome(breaker, last) == "") == asked


def test_what_was_not_asked_says_why() -> None:
    breaker = CircuitBreaker()
    assert outcome(breaker, GONE) == "cannot be connected to"
    assert outcome(breaker, str) == "was not looked at: cannot be connected to"
