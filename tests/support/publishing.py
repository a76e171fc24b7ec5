"""A project, and the GitLab on the loopback that it publishes to."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from support.gitlab import GitLab, Project, Server, serve
from support.stock import PROJECT, Stock
from wheelyard.core.digests import sha256_file

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

# Which requests a fault is for.
UPLOAD: dict[str, Any] = {"method": "POST", "path": r"/packages/pypi$"}
PAGE: dict[str, Any] = {"method": "GET", "path": r"/simple/"}
FILE: dict[str, Any] = {"method": "GET", "path": r"/pypi/files/"}


@dataclass
class Yard:
    """A project, and the GitLab that it publishes to."""

    gitlab: GitLab
    project: Project
    server: Server
    stock: Stock

    def start(self, *words: str) -> subprocess.Popen[str]:
        return self.stock.start("publish", "--to", "gitlab", *words)

    def publish(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.stock.run("publish", "--to", "gitlab", *words)

    @property
    def uploads(self) -> int:
        """Uploads that carried a file and were answered with success or failure; access checks carry none."""
        return sum(seen.method == "POST" and seen.body > 1000 for seen in self.gitlab.requests)

    def exactly(self, wheels: list[Path]) -> None:
        """Each wheel is there once, and its bytes are right."""
        there = self.gitlab.files(self.project)
        assert sorted((file.file_name, file.actual_sha256) for file in there) == sorted(
            (path.name, sha256_file(path)) for path in wheels
        )
        assert all(file.sha256 == file.actual_sha256 for file in there)


@contextlib.contextmanager
def yard_in(folder: Path) -> Iterator[Yard]:
    """Yield an empty one with a deploy token, below *folder*; unknown packages are forwarded, as is the default."""
    gitlab = GitLab(folder / "gitlab")
    project = gitlab.add_project(PROJECT)
    with serve(gitlab) as server:
        stock = Stock(folder / "project", server.url)
        stock.env["WHEELYARD_GITLAB_TOKEN"] = gitlab.add_deploy_token(project)
        yield Yard(gitlab, project, server, stock)
