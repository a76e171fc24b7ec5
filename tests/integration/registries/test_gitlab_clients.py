"""Real clients against the GitLab of the tests: they work with it as they are known to work with GitLab.

twine, `uv publish`, pip, uv and python-gitlab are what people use in wheelyard's place or beside it. Where they do the
wrong thing, that is pinned here too: it is what wheelyard's own publisher must not do.
"""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import date, timedelta
from importlib.util import find_spec
from typing import TYPE_CHECKING, cast

import gitlab as python_gitlab
import pytest
from requests_toolbelt import MultipartEncoder
from uv import find_uv_bin

from support.gitlab import Fault, GitLab, serve
from support.wheels import WheelSpec

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.gitlab import StoredFile

PURE = WheelSpec(python="py3", abi="none", platform="any", elf=None, purelib="true")
UPLOAD = "/packages/pypi$"


class Yard:
    """A GitLab with one project, and clients that know nothing but what they are told."""

    def __init__(self, root: Path, visibility: str = "public") -> None:
        self.root = root
        self.gitlab = GitLab(root / "gitlab")
        self.project = self.gitlab.add_project("riseproject/python/wheel_builder", visibility)
        self.group = self.gitlab.add_group("riseproject/python")
        self.token = self.gitlab.add_deploy_token(self.project)
        self.url = ""

    @property
    def registry(self) -> str:
        return f"{self.url}/api/v4/projects/{self.project.id}/packages/pypi"

    @property
    def stored(self) -> list[StoredFile]:
        return self.gitlab.files(self.project)

    def wheel(self, version: str = "1.0", *, salt: bytes = b"", folder: str = "dist") -> Path:
        return PURE.but(version=version).write(self.root / folder, salt=salt)

    def asked(self, method: str) -> list[tuple[str, int]]:
        """Return the last part of the path and the status of the requests so far."""
        return [(seen.path.rpartition("/")[2], seen.status) for seen in self.gitlab.requests if seen.method == method]

    def run(self, *words: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a client without this machine's own settings; its output, free of line breaks, as stdout."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("PIP_", "UV_", "TWINE_"))}
        own = {"HOME": str(self.root), "NO_PROXY": "127.0.0.1", "NO_COLOR": "1", "UV_CACHE_DIR": str(self.root / "uv")}
        own |= {"PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_RETRIES": "0"}
        own |= {"UV_NO_CONFIG": "1", "UV_HTTP_RETRIES": "0"}
        done = subprocess.run(
            [str(word) for word in words],
            env={**kept, **own, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        done.stdout = " ".join(done.stdout.split())
        return done

    def twine(self, *words: str | Path, token: str | None = None) -> subprocess.CompletedProcess[str]:
        if not find_spec("twine"):
            pytest.skip("twine is not installed here (it has no wheels for riscv64)")
        command = (sys.executable, "-m", "twine", "upload", "--non-interactive", "--disable-progress-bar", "--verbose")
        where = ("--repository-url", self.registry, "--username", "ci")
        return self.run(*command, *where, *words, TWINE_PASSWORD=token or self.token)

    def uv_publish(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        command = (find_uv_bin(), "publish", "--publish-url", self.registry, "--username", "ci")
        return self.run(*command, *words, UV_PUBLISH_PASSWORD=self.token)

    def install(self, client: str, what: str, *, user: str = "") -> subprocess.CompletedProcess[str]:
        index = f"{self.registry.replace('://', f'://{user}@' if user else '://')}/simple"
        target = ("--target", self.root / "site", what)
        if client == "pip":
            return self.run(sys.executable, "-m", "pip", "install", "--no-cache-dir", "--index-url", index, *target)
        python = ("--python", sys.executable)
        return self.run(find_uv_bin(), "pip", "install", "--no-cache", *python, "--default-index", index, *target)

    def api(self, token: str) -> python_gitlab.Gitlab:
        return python_gitlab.Gitlab(self.url, private_token=token, timeout=10)


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    made = Yard(tmp_path)
    with serve(made.gitlab) as server:
        made.url = server.url
        yield made


@pytest.fixture
def private(tmp_path: Path) -> Iterator[Yard]:
    made = Yard(tmp_path, "private")
    with serve(made.gitlab) as server:
        made.url = server.url
        yield made


# ----------------------------------------------------------------------- twine


def test_twine_uploads(yard: Yard) -> None:
    done = yard.twine(yard.wheel(), yard.wheel("2.0+cpu"))
    assert done.returncode == 0, done.stdout
    assert [(file.package_name, file.version) for file in yard.stored] == [("demo", "1.0"), ("demo", "2.0+cpu")]
    assert all(file.sha256 == file.actual_sha256 for file in yard.stored)
    assert yard.stored[0].requires_python == ">=3.9"


def test_twine_cannot_skip_what_exists(yard: Yard) -> None:
    yard.twine(yard.wheel())
    done = yard.twine("--skip-existing", yard.wheel())
    assert (done.returncode, "does not have support for" in done.stdout) == (1, True)
    assert yard.asked("POST") == [("pypi", 201)], "it has not even asked"
    done = yard.twine(yard.wheel(), yard.wheel("1.1"))
    assert (done.returncode, "File name has already been taken" in done.stdout) == (1, True)
    assert len(yard.stored) == 1, "one duplicate ends the batch"


def test_twine_takes_a_504_after_the_commit_for_a_failure(yard: Yard) -> None:
    yard.gitlab.fault(Fault("status_after", method="POST", path=UPLOAD, status=504, times=1))
    assert yard.twine(yard.wheel()).returncode == 1
    assert yard.asked("POST") == [("pypi", 504), ("pypi", 400)]
    assert len(yard.stored) == 1, "the job has failed, and the file is there"


def test_twine_gives_up_at_a_429(yard: Yard) -> None:
    yard.gitlab.fault(Fault("status", method="POST", path=UPLOAD, status=429, retry_after="1", times=1))
    done = yard.twine(yard.wheel())
    assert (done.returncode, "429" in done.stdout) == (1, True)
    assert yard.asked("POST") == [("pypi", 429)]


def test_twine_with_a_dead_token(yard: Yard) -> None:
    done = yard.twine(yard.wheel(), token="gldt-that-never-lived")
    assert (done.returncode, "401 Unauthorized" in done.stdout) == (1, True)
    assert yard.stored == []


# ------------------------------------------------------------------ uv publish


def test_uv_publishes(yard: Yard) -> None:
    done = yard.uv_publish(yard.wheel(), yard.wheel("2.0+cpu"))
    assert done.returncode == 0, done.stdout
    assert [file.version for file in yard.stored] == ["1.0", "2.0+cpu"]
    assert all(file.sha256 == file.actual_sha256 for file in yard.stored)


def test_uv_compares_hashes_when_told_where(yard: Yard) -> None:
    yard.uv_publish(yard.wheel())
    assert yard.uv_publish(yard.wheel()).returncode == 2
    check = ("--check-url", f"{yard.registry}/simple")
    done = yard.uv_publish(*check, yard.wheel())
    assert (done.returncode, "already exists, skipping" in done.stdout) == (0, True)
    done = yard.uv_publish(*check, yard.wheel(salt=b"other", folder="other"))
    assert (done.returncode, "do not match" in done.stdout) == (2, True)
    assert [status for _, status in yard.asked("POST")] == [201, 400]


@pytest.mark.parametrize("status", [429, 502])
def test_uv_publish_gives_up_at_once(yard: Yard, status: int) -> None:
    yard.gitlab.fault(Fault("status", method="POST", path=UPLOAD, status=status, times=1))
    assert yard.uv_publish(yard.wheel()).returncode == 2
    assert yard.asked("POST") == [("pypi", status)]


# ------------------------------------------------------------------- installing


@pytest.mark.parametrize("client", ["pip", "uv"])
@pytest.mark.parametrize("json", [False, True], ids=["html", "json"])
def test_installing(yard: Yard, client: str, json: bool) -> None:
    yard.uv_publish(yard.wheel(), yard.wheel("2.0+cpu"))
    yard.gitlab.project_setting.pep691 = json
    done = yard.install(client, "demo")
    assert done.returncode == 0, done.stdout
    assert (yard.root / "site/demo-2.0+cpu.dist-info/METADATA").is_file()
    assert {last for last, _ in yard.asked("GET")} == {"", "demo-2.0+cpu-py3-none-any.whl"}


@pytest.mark.parametrize("client", ["pip", "uv"])
def test_installing_from_a_private_project(private: Yard, client: str) -> None:
    private.uv_publish(private.wheel())
    assert private.install(client, "demo", user="x:wrong").returncode != 0
    done = private.install(client, "demo", user=f"x:{private.token}")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("client", ["pip", "uv"])
@pytest.mark.parametrize(
    "fault", [Fault("lie", path="/simple/demo"), Fault("corrupt", path="/files/")], ids=["wrong hash", "wrong bytes"]
)
def test_what_does_not_match_is_not_installed(yard: Yard, client: str, fault: Fault) -> None:
    yard.uv_publish(yard.wheel())
    yard.gitlab.fault(fault)
    assert yard.install(client, "demo").returncode != 0
    assert not (yard.root / "site/demo").exists()
    yard.gitlab.heal()
    assert yard.install(client, "demo").returncode == 0


@pytest.mark.parametrize("client", ["pip", "uv"])
def test_a_file_without_a_hash_cannot_be_installed(yard: Yard, client: str) -> None:
    wheel = yard.wheel()
    user = yard.gitlab.add_user("ann")
    yard.gitlab.add_member(yard.project, user, "developer")
    form = {"name": "demo", "version": "1.0", "content": (wheel.name, wheel.read_bytes())}
    post(yard.api(yard.gitlab.add_pat(user)), yard, MultipartEncoder(form))
    assert [(file.file_name, file.sha256) for file in yard.stored] == [(wheel.name, None)]
    assert yard.install(client, "demo").returncode != 0
    assert (wheel.name, 200) not in yard.asked("GET")


# --------------------------------------------------------------- python-gitlab


def post(api: python_gitlab.Gitlab, yard: Yard, body: MultipartEncoder) -> None:
    """Upload with python-gitlab: `http_post(files=…)` would send other field names than the registry reads."""
    path = f"/projects/{yard.project.id}/packages/pypi"
    api.http_post(path, post_data=body, raw=True, extra_headers={"Content-Type": body.content_type})


def test_python_gitlab_lists_and_deletes(yard: Yard) -> None:
    yard.uv_publish(*(yard.wheel(f"1.{number}") for number in range(25)))
    project = yard.api(yard.gitlab.add_group_token(yard.group)).projects.get(yard.project.path)
    assert len(project.packages.list(get_all=False)) == 20
    packages = list(project.packages.list(iterator=True))
    assert [package.version for package in packages] == [file.version for file in yard.stored]
    (file,) = packages[0].package_files.list(get_all=True)
    assert file.file_sha256 == yard.stored[0].sha256
    packages[0].delete()
    assert len(yard.stored) == 24
    done = yard.uv_publish(yard.wheel(packages[0].version, salt=b"other", folder="other"))
    assert done.returncode == 0, done.stdout


def test_python_gitlab_looks_at_tokens_and_rotates_its_own(yard: Yard) -> None:
    until = date.today() + timedelta(days=30)  # noqa: DTZ011 - the server's clock is this machine's
    secret = yard.gitlab.add_group_token(yard.group, expires_at=until)
    api = yard.api(secret)
    own = api.personal_access_tokens.get("self")
    assert (own.expires_at, own.scopes) == (until.isoformat(), ["api"])
    (deploy,) = api.projects.get(yard.project.id).deploytokens.list(get_all=True)
    assert (deploy.name, deploy.expires_at, deploy.expired) == ("rise-github-package-registry", None, False)
    group = api.groups.get(yard.group.id)
    assert group.members_all.get(own.user_id).access_level == python_gitlab.const.AccessLevel.MAINTAINER
    with pytest.raises(python_gitlab.exceptions.GitlabAuthenticationError):
        group.access_tokens.list(get_all=True)
    wanted = (until + timedelta(days=300)).isoformat()
    new = group.access_tokens.rotate("self", expires_at=wanted)
    assert new["expires_at"] == wanted
    assert yard.api(str(new["token"])).personal_access_tokens.get("self").active
    with pytest.raises(python_gitlab.exceptions.GitlabAuthenticationError, match="invalid_token"):
        api.personal_access_tokens.get("self")


def test_python_gitlab_keeps_one_issue(yard: Yard) -> None:
    project = yard.api(yard.gitlab.add_group_token(yard.group)).projects.get(yard.project.id)
    project.issues.create({"title": "A token dies", "description": "in 9 days", "labels": ["tokens"]})
    (issue,) = project.issues.list(state="opened", labels=["tokens"], search="A token dies", get_all=True)
    issue.notes.create({"body": "in 8 days"})
    issue.state_event = "close"
    issue.save()
    assert project.issues.list(state="opened", labels=["tokens"], get_all=True) == []
    assert yard.project.issues[1].state == "closed"


def test_python_gitlabs_retry_does_not_rewind_a_body(yard: Yard) -> None:
    """Why wheelyard makes each try's body anew: after a 429, a file is sent from where the first try left it."""
    user = yard.gitlab.add_user("ann")
    yard.gitlab.add_member(yard.project, user, "developer")
    yard.gitlab.fault(Fault("status", method="POST", path=UPLOAD, status=429, retry_after="0", times=1))
    body = MultipartEncoder({"name": "demo", "version": "1.0", "content": ("demo-1.0-py3-none-any.whl", b"bytes")})
    raw = body.to_string()
    path = yard.root / "body"
    path.write_bytes(raw)
    api = yard.api(yard.gitlab.add_pat(user))
    with path.open("rb") as file, pytest.raises(python_gitlab.exceptions.GitlabHttpError):
        api.http_post(
            f"/projects/{yard.project.id}/packages/pypi",
            post_data=cast("MultipartEncoder", file),  # requests takes any file
            raw=True,
            extra_headers={"Content-Type": body.content_type},
        )
    assert [(seen.status, seen.body) for seen in yard.gitlab.requests] == [(429, len(raw)), (400, 0)]
