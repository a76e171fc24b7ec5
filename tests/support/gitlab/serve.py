"""Serve a GitLab over real HTTP from a thread of this process, with or without TLS."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn

from support.gitlab.app import App

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.gitlab.state import GitLab


@dataclass(frozen=True)
class Server:
    """Where it listens.

    Attributes:
        url: of the instance, without a slash at its end.
        ca: the certificate that clients have to trust, None without TLS.
    """

    url: str
    ca: Path | None = None

    @property
    def api(self) -> str:
        return f"{self.url}/api/v4"


class _Server(uvicorn.Server):
    """uvicorn without its waits at the end: a run of the tests has hundreds of these, and stalled requests in some."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end = asyncio.Event()

    async def main_loop(self) -> None:
        self._loop = asyncio.get_running_loop()
        await self.on_tick(0)
        self.ready.set()
        await self._end.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 - not ours to name
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()

    def stop(self) -> None:
        """End it from another thread."""
        if self._loop:
            self._loop.call_soon_threadsafe(self._end.set)


def config(app: Any, certificate: tuple[Path, Path] | None = None) -> uvicorn.Config:
    """Return how uvicorn is to run: h11, since faults need its send; silent, since faults are what these tests want."""
    return uvicorn.Config(
        app,
        http="h11",
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=1,
        ssl_certfile=certificate and str(certificate[0]),
        ssl_keyfile=certificate and str(certificate[1]),
    )


def listen(port: int = 0) -> socket.socket:
    """Return a listening socket on the loopback interface.

    asyncio turns Nagle's algorithm off only for sockets that say that they speak TCP.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(512)
    return listener


def self_signed(folder: Path) -> tuple[Path, Path]:
    """Make a certificate for 127.0.0.1 that nobody trusts, and its key."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    words = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    ]
    words += ["-keyout", str(key), "-out", str(certificate), "-subj", "/CN=127.0.0.1"]
    words += ["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-addext", "basicConstraints=critical,CA:TRUE"]
    subprocess.run(words, check=True, capture_output=True)
    return certificate, key


@contextlib.contextmanager
def serve(gitlab: GitLab, *, tls: bool = False) -> Iterator[Server]:
    """Serve *gitlab* while the context lasts."""
    with serve_app(App(gitlab), tls=tls) as server:
        yield server


@contextlib.contextmanager
def serve_app(app: Any, *, tls: bool = False) -> Iterator[Server]:
    """Serve an ASGI application while the context lasts."""
    with tempfile.TemporaryDirectory() as folder, listen() as listener:
        certificate = self_signed(Path(folder)) if tls else None
        server = _Server(config(app, certificate))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        assert server.ready.wait(timeout=30), "the server did not start"
        scheme = "https" if tls else "http"
        try:
            yield Server(f"{scheme}://127.0.0.1:{listener.getsockname()[1]}", certificate and certificate[0])
        finally:
            server.stop()
            thread.join()
