"""A server that has fallen silent: what is still to be asked of it is told at once, and not asked eight times each."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeVar

from wheelyard.core.errors import NetworkError, WheelyardError
from wheelyard.io import api

if TYPE_CHECKING:
    from collections.abc import Callable

_Answer = TypeVar("_Answer")
_PATIENCE = 3  # questions in a row that may go without an answer, each asked several times


class Silence:
    """What is known of one server's silence. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._row = 0
        self._error: WheelyardError | None = None

    def ask(self, question: Callable[[], _Answer]) -> _Answer:
        """Return the answer to a question, if there is any use in asking.

        Raises:
            NetworkError: there is none.
            WheelyardError: what the question raises.
        """
        if self._error is not None:
            raise NetworkError(f"was not looked at: {self._error.what}", fix=self._error.fix)
        try:
            answer = question()
        except WheelyardError as error:
            self._note(error)
            raise
        self._note(None)
        return answer

    def _note(self, error: WheelyardError | None) -> None:
        """Take note of what came of a question: None if it was answered.

        One that nobody could be reached for is enough. One that was not answered may be the fault of what was asked
        for; several in a row are not.
        """
        with self._lock:
            self._row = self._row + 1 if error is not None and api.silent(error) else 0
            if error is not None and (api.unreached(error) or self._row == _PATIENCE):
                self._error = self._error or error
