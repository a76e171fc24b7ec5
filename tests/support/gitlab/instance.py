"""A GitLab with a project and tokens to hold the contract against: ours, or a live one."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import requests

from support.gitlab.serve import serve
from support.gitlab.state import GitLab

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

VARIABLE = "WHEELYARD_LIVE_GITLAB"
TIMEOUT = 30  # seconds
Auth = tuple[str, str] | None


@dataclass(frozen=True)
class Instance:
    """Where the contract is tried out.

    Attributes:
        api: the address of the REST API, without a slash at its end.
        project: the id or encoded path of a **public** project to scratch in.
        secrets: `maintainer` (an access token of that role, scope api), `deploy_token` (read and write),
            `read_only` (a deploy token without write).
        prefix: what names of packages begin with, so that what a run made can be removed after it.
        lab: the state behind ours; None for a live one.
    """

    api: str
    project: str
    secrets: Mapping[str, str]
    prefix: str = "demo"
    lab: GitLab | None = None

    @property
    def here(self) -> str:
        return f"{self.api}/projects/{self.project}"

    @property
    def registry(self) -> str:
        return f"{self.here}/packages/pypi"

    def name(self, suffix: str = "") -> str:
        return self.prefix + suffix

    def auth(self, who: str) -> tuple[str, str]:
        """Return Basic credentials: of one of the secrets, or with *who* as the password itself."""
        return "anybody", self.secrets.get(who, who)

    def headers(self, who: str) -> dict[str, str]:
        return {"PRIVATE-TOKEN": self.secrets.get(who, who)}

    def upload(
        self, file_name: str, data: bytes = b"bytes", *, auth: Auth | str = "deploy_token", **fields: str | None
    ) -> requests.Response:
        """Upload a file as the registry's clients do; *fields* replace what is derived, None leaves a field out."""
        name, version = (*file_name.split("-"), "")[:2]
        sent = {"name": name.replace("_", "-"), "version": version, "sha256_digest": hashlib.sha256(data).hexdigest()}
        form = {key: value for key, value in {**sent, **fields}.items() if value is not None}
        credentials = self.auth(auth) if isinstance(auth, str) else auth
        files = {"content": (file_name, data)}
        return requests.post(self.registry, data=form, files=files, auth=credentials, timeout=TIMEOUT)

    def get(self, path: str, *, auth: Auth = None, token: str | None = None, **more: Any) -> requests.Response:
        """GET a path below the project; redirects are not followed."""
        headers = {**more.pop("headers", {}), **(self.headers(token) if token else {})}
        more.setdefault("allow_redirects", False)
        return requests.get(self.here + path, auth=auth, headers=headers, timeout=TIMEOUT, **more)

    def page(self, name: str, **more: Any) -> str:
        """Return the index page of a package, empty when there is none."""
        answer = self.get(f"/packages/pypi/simple/{name}", **more)
        return answer.text if answer.status_code == 200 else ""

    def packages(self, **query: str) -> list[dict[str, Any]]:
        listed = self.get("/packages", token="maintainer", params={"per_page": "100", **query}).json()
        assert isinstance(listed, list), listed
        return listed

    def delete(self, path: str, *, who: str = "maintainer") -> requests.Response:
        return requests.delete(self.here + path, headers=self.headers(who), timeout=TIMEOUT)


@contextlib.contextmanager
def ours(root: Path) -> Iterator[Instance]:
    """Serve one of ours with everything that the contract needs."""
    lab = GitLab(root)
    project = lab.add_project("riseproject/python/wheel_builder")
    user = lab.add_user("ann")
    lab.add_member(project, user, "maintainer")
    secrets = {
        "maintainer": lab.add_pat(user, expires_at=(lab.now() + timedelta(days=90)).date()),
        "deploy_token": lab.add_deploy_token(project),
        "read_only": lab.add_deploy_token(project, scopes=("read_package_registry",)),
    }
    with serve(lab) as server:
        yield Instance(server.api, str(project.id), secrets, lab=lab)


@contextlib.contextmanager
def live(setting: str) -> Iterator[Instance]:
    """Use a live one, and remove afterwards what the run has put there."""
    given = json.loads(setting)
    project = str(given["project"]).replace("/", "%2F")
    prefix = f"contract-{uuid.uuid4().hex[:8]}"
    instance = Instance(f"{given['url'].rstrip('/')}/api/v4", project, given, prefix)
    try:
        yield instance
    finally:
        for package in instance.packages(package_name=prefix):
            instance.delete(f"/packages/{package['id']}")


def chosen(root: Path) -> contextlib.AbstractContextManager[Instance]:
    """Return a live instance where the environment names one, else one of ours."""
    return live(setting) if (setting := os.environ.get(VARIABLE)) else ours(root)
