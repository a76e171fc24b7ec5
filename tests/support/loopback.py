"""What servers on the loopback have in common: an address, and a thread that serves while the context lasts."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from http.server import HTTPServer
    from types import TracebackType


class Loopback:
    """A context manager around a server that is bound already.

    Args:
        http: the server.
        poll: how often, in seconds, it looks whether it is to end.
    """

    def __init__(self, http: HTTPServer, *, poll: float = 0.5) -> None:
        self._http = http
        self._thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": poll}, daemon=True)

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()
