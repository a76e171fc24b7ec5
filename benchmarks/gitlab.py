"""The GitLab of the tests, in a process of its own, and a project that publishes to it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.measure import ROOT
from support.built_wheels import NO_TOKENS, BuiltWheels

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True)
class Server:
    """Where it listens.

    Attributes:
        url: of the instance.
        upload: the address that twine takes.
        token: a deploy token that may write.
    """

    url: str
    upload: str
    token: str


@contextlib.contextmanager
def served(folder: Path, *words: str) -> Iterator[Server]:
    """Serve a fresh GitLab that stores in *folder* while the context lasts; *words* are for its command line."""
    command = [sys.executable, "-m", "support.gitlab", "--root", str(folder), "--with-stdin", *words]
    with subprocess.Popen(
        command, cwd=ROOT / "tests", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        told = json.loads(process.stdout.readline())
        yield Server(
            told["url"], f"{told['url']}/api/v4/projects/{told['project']}/packages/pypi", told["deploy_token"]
        )


def point(stock: BuiltWheels, server: Server) -> dict[str, str]:
    """Let a project publish to *server*, and return the environment for its commands.

    Bytecode is kept, as ``ci/bootstrap`` keeps it: a machine that writes none would measure the compiler.
    """
    stock.url = server.url
    stock.policy()
    kept = {name: value for name, value in os.environ.items() if name not in {*NO_TOKENS, "PYTHONDONTWRITEBYTECODE"}}
    return kept | {
        "HOME": str(stock.home),
        "WHEELYARD_CACHE": str(stock.root / "cache"),
        "WHEELYARD_GITLAB_TOKEN": server.token,
        "NO_PROXY": "127.0.0.1",
    }
