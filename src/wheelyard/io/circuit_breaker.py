"""A circuit breaker: requests to a server that does not answer fail at once instead of being retried one by one."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeVar

from wheelyard.core.errors import NetworkError, WheelyardError
from wheelyard.io import retry

if TYPE_CHECKING:
    from collections.abc import Callable

_Answer = TypeVar("_Answer")
_FAILURES = 3  # unanswered requests in a row that open the circuit; each of them was sent several times


class CircuitBreaker:
    """The circuit to one server. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures = 0
        self._error: WheelyardError | None = None

    def ask(self, request: Callable[[], _Answer]) -> _Answer:
        """Return what *request* returns, unless the circuit is open.

        Raises:
            NetworkError: the circuit is open; nothing was sent.
            WheelyardError: what the request raises.
        """
        if self._error is not None:
            raise NetworkError(f"was not looked at: {self._error.what}", fix=self._error.fix)
        try:
            answer = request()
        except WheelyardError as error:
            self._count(error)
            raise
        self._count(None)
        return answer

    def _count(self, error: WheelyardError | None) -> None:
        """Count a request: *error* is None if it was answered.

        One failed connection opens the circuit. One missing answer may be the fault of the request; several in a row
        are not.
        """
        with self._lock:
            self._failures = self._failures + 1 if error is not None and retry.silent(error) else 0
            if error is not None and (retry.unreached(error) or self._failures == _FAILURES):
                self._error = self._error or error
