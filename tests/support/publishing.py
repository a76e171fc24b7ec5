"""A project, and the GitLab on the loopback that it publishes to."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import requests

from support.built_wheels import PROJECT, BuiltWheels
from support.gitlab import GitLab, Project, Server, serve
from wheelyard.core.digests import sha256_file
from wheelyard.records.releases import RELEASES, record
from wheelyard.registries import read_release
from wheelyard.registries.wheel_file import entry_of

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

    from support.wheels import WheelSpec

# Which requests a fault is for.
UPLOAD: dict[str, Any] = {"method": "POST", "path": r"/packages/pypi$"}
PAGE: dict[str, Any] = {"method": "GET", "path": r"/simple/"}
FILE: dict[str, Any] = {"method": "GET", "path": r"/pypi/files/"}


@dataclass
class PublishedProject:
    """A project, and the GitLab that it publishes to."""

    gitlab: GitLab
    project: Project
    server: Server
    stock: BuiltWheels
    deploy_token: str = ""

    def start(self, *words: str) -> subprocess.Popen[str]:
        return self.stock.start("publish", "--to", "gitlab", *words)

    def publish(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.stock.run("publish", "--to", "gitlab", *words)

    def registry(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.stock.run("registry", *words)

    def recipes(self, *names: str) -> None:
        """Write the shortest recipes there are."""
        for name in names:
            folder = self.stock.root / "recipes" / name
            folder.mkdir(exist_ok=True)
            (folder / "recipe.toml").touch()

    def have(self, *wheels: WheelSpec) -> list[Path]:
        """Have wheels in ``dist/``, published and recorded, with a recipe for each package, as builds leave them."""
        made = self.stock.add(*wheels)
        for path in made:
            release = read_release(path, sha256=sha256_file(path))
            self.upload(path, requires_python=release.requires_python)
            facts = {"source": f"sha256:{'2' * 64}", "image": f"sha256:{'5' * 64}"}
            record(RELEASES.path(self.stock.root / "packages", release.project), [entry_of(release, "gitlab", **facts)])
        self.recipes(*{path.parent.parent.name for path in made})
        return made

    def records(self, package: str = "demo", where: str = "gitlab") -> dict[str, str]:
        """Return the sha256 of each file that is recorded as published there."""
        path = RELEASES.path(self.stock.root / "packages", package)
        return {each.file: each.sha256 for each in RELEASES.read(path) if each.where == where}

    def upload(self, wheel: Path, **fields: str | None) -> None:
        """Upload a file as any other client may, with *fields* in place of the right ones; None leaves one out."""
        name, version = wheel.name.split("-")[:2]
        right = {"name": name.replace("_", "-"), "version": version, "sha256_digest": sha256_file(wheel)}
        answer = requests.post(
            f"{self.server.api}/projects/{self.project.id}/packages/pypi",
            data={key: value for key, value in (right | fields).items() if value is not None},
            files={"content": (wheel.name, wheel.read_bytes())},
            auth=("anybody", self.deploy_token),
            timeout=30,
        )
        assert answer.status_code == 201, answer.text

    def maintain(self) -> str:
        """Let the command use a maintainer's access token from now on; return it."""
        user = self.gitlab.add_user("ann")
        self.gitlab.add_member(self.project, user, "maintainer")
        token = self.gitlab.add_pat(user, scopes=("api",), expires_at=None)
        self.stock.env["WHEELYARD_GITLAB_TOKEN"] = token
        return token

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
def yard_in(folder: Path) -> Iterator[PublishedProject]:
    """Yield an empty one with a deploy token, below *folder*; unknown packages are forwarded, as is the default."""
    gitlab = GitLab(folder / "gitlab")
    project = gitlab.add_project(PROJECT)
    with serve(gitlab) as server:
        stock = BuiltWheels(folder / "project", server.url)
        stock.env["WHEELYARD_GITLAB_TOKEN"] = token = gitlab.add_deploy_token(project)
        yield PublishedProject(gitlab, project, server, stock, token)


def refused(done: subprocess.CompletedProcess[str], code: int, *said: str) -> str:
    """Make sure that a command ended with an error for people, and return that."""
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    for text in said:
        assert text in done.stderr, (text, done.stderr)
    return done.stderr
