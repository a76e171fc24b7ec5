"""A plain static web server over a folder, on the loopback interface: no cleverness, no content negotiation."""

from __future__ import annotations

import functools
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from support.loopback import Loopback

if TYPE_CHECKING:
    from pathlib import Path


class StaticServer(Loopback):
    """Serves *folder* while the context lasts; ``paths`` lists what was asked for, ``statuses`` the answers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.paths: list[str] = []
        self.statuses: dict[str, int] = {}
        server = self

        class Handler(SimpleHTTPRequestHandler):
            def log_request(self, code: int | str = "-", size: int | str = "-") -> None:  # noqa: ARG002
                server.paths.append(self.path)
                server.statuses[self.path] = int(code)

            def log_message(self, *args: object) -> None:
                pass

        super().__init__(ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder))))

    @property
    def url(self) -> str:
        return self.root
