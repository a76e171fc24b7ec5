"""Who may do what on the GitLab of the tests, and how long: each point with its file in GitLab's source or specs."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import requests

from support.gitlab import GitLab, serve
from support.gitlab.instance import TIMEOUT, Instance

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.gitlab import Project, User

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
REALM = 'Basic realm="GitLab Packages Registry"'


class Lab:
    """An instance with one clock, and a way to ask it."""

    def __init__(self, root: Path) -> None:
        self.moment = NOW
        self.gitlab = GitLab(root, now=lambda: self.moment)
        self.group = self.gitlab.add_group("riseproject/python")
        self.api = ""

    def project(self, visibility: str = "public") -> Project:
        return self.gitlab.add_project(f"riseproject/python/p{len(self.gitlab.projects)}", visibility)

    def user(self, role: str | None = None, project: Project | None = None) -> User:
        user = self.gitlab.add_user(f"user-{len(self.gitlab.users)}")
        if role and project:
            self.gitlab.add_member(project, user, role)
        return user

    def at(self, project: Project | int) -> Instance:
        number = project if isinstance(project, int) else project.id
        return Instance(self.api, str(number), {}, lab=self.gitlab)

    def ask(self, method: str, path: str, token: str | None = None, **more: Any) -> requests.Response:
        headers = {"PRIVATE-TOKEN": token} if token else {}
        return requests.request(method, self.api + path, headers=headers, timeout=TIMEOUT, **more)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    made = Lab(tmp_path)
    with serve(made.gitlab) as server:
        made.api = server.api
        yield made


# -------------------------------------------------------------------- registry


# spec/requests/api/pypi_packages_spec.rb, `POST /api/v4/projects/:id/packages/pypi`, 'with valid project', row by row;
# then spec/support/shared_examples/requests/api/pypi_packages_shared_examples.rb, 'pypi simple API endpoint'.
@pytest.mark.parametrize(
    ("visibility", "who", "upload", "read"),
    [
        ("public", "developer", 201, 200),
        ("public", "guest", 403, 200),
        ("public", "developer, wrong token", 401, 200),
        ("public", "guest, wrong token", 401, 200),
        ("public", "developer, no member", 403, 200),
        ("public", "guest, no member", 403, 200),
        ("public", "developer, no member, wrong token", 401, 200),
        ("public", "guest, no member, wrong token", 401, 200),
        ("public", "anonymous", 401, 200),
        ("private", "developer", 201, 200),
        ("private", "guest", 403, 403),
        ("private", "developer, wrong token", 401, 401),
        ("private", "guest, wrong token", 401, 401),
        ("private", "developer, no member", 404, 404),
        ("private", "guest, no member", 404, 404),
        ("private", "developer, no member, wrong token", 401, 401),
        ("private", "guest, no member, wrong token", 401, 401),
        ("private", "anonymous", 401, 401),
        # app/policies/project_policy.rb, `internal_access` and `reporter`: what the spec's table leaves out
        ("public", "reporter", 403, 200),
        ("private", "reporter", 403, 200),
        ("private", "maintainer", 201, 200),
        ("internal", "developer", 201, 200),
        ("internal", "developer, no member", 403, 200),
        ("internal", "anonymous", 401, 401),
    ],
)
def test_people(lab: Lab, visibility: str, who: str, upload: int, read: int) -> None:
    project = lab.project(visibility)
    lab.at(project).upload("seed-1.0-py3-none-any.whl", auth=("x", lab.gitlab.add_deploy_token(project)))
    role, *but = who.split(", ")
    auth = None
    if role != "anonymous":
        user = lab.user(None if "no member" in but else role, project)
        auth = (user.name, "wrong" if "wrong token" in but else lab.gitlab.add_pat(user))
    answers = [
        lab.at(project).upload("demo-1.0-py3-none-any.whl", auth=auth),
        lab.at(project).get("/packages/pypi/simple", auth=auth),
        lab.at(project).get("/packages/pypi/simple/seed", auth=auth),
    ]
    assert [answer.status_code for answer in answers] == [upload, read, read]
    assert {answer.headers["WWW-Authenticate"] for answer in answers if answer.status_code == 401} <= {REALM}
    stored = [file.package_name for file in lab.gitlab.files(project)]
    assert stored == (["seed", "demo"] if upload == 201 else ["seed"])


@pytest.mark.parametrize("visibility", ["public", "private"])
@pytest.mark.parametrize(
    ("credentials", "upload", "read"),
    [
        ("deploy", 201, {200}),
        ("deploy, read only", 403, {200}),
        ("deploy, write only", 201, {200}),
        ("deploy, another project's", {"public": 403, "private": 404}, {"public": 200, "private": 404}),
        ("deploy, expired", 401, {"public": 200, "private": 401}),
        ("deploy, revoked", 401, {"public": 200, "private": 401}),
        ("job", 201, {200}),
        ("job, over", 401, {401}),
        ("job, another user name", 401, {"public": 200, "private": 401}),
        ("pat, read_api", 403, {200}),
        ("pat, read_repository", 403, {403}),
        ("pat, expired", 401, {401}),
        ("pat, revoked", 401, {401}),
    ],
)
def test_tokens(lab: Lab, visibility: str, credentials: str, upload: Any, read: Any) -> None:
    """Dead deploy tokens are nobody (`DeployToken.active.find_by_token`); dead access tokens and jobs are errors.

    spec/support/shared_examples/requests/api/packages_shared_examples.rb, 'deploy token for package uploads' and
    'job token for package uploads'; lib/gitlab/auth/auth_finders.rb, `validate_and_save_access_token!`.
    """
    project = lab.project(visibility)
    auth = given(lab, project, credentials)
    lab.at(project).upload("seed-1.0-py3-none-any.whl", auth=("x", lab.gitlab.add_deploy_token(project)))
    expected = upload[visibility] if isinstance(upload, dict) else upload
    assert lab.at(project).upload("demo-1.0-py3-none-any.whl", auth=auth).status_code == expected
    expected = {read[visibility]} if isinstance(read, dict) else read
    assert {lab.at(project).get("/packages/pypi/simple/seed", auth=auth).status_code} == expected


def given(lab: Lab, project: Project, credentials: str) -> tuple[str, str]:
    gitlab, user = lab.gitlab, lab.user("developer", project)
    tomorrow = date(2026, 6, 2)
    match credentials.split(", "):
        case ["deploy", *how]:
            only = [f"{each}_package_registry" for each in ("read", "write") if f"{each} only" in how]
            owner = lab.project(project.visibility) if "another project's" in how else project
            scopes = only or ["read_package_registry", "write_package_registry"]
            secret = gitlab.add_deploy_token(owner, scopes=scopes, expires_at=tomorrow)
        case ["job", *how]:
            secret = gitlab.add_job_token(project, user)
        case ["pat", *how]:
            scopes = [each for each in how if each.startswith("read_")] or ["api"]
            secret = gitlab.add_pat(user, scopes, tomorrow)
        case _:
            raise ValueError(credentials)
    if "expired" in how:
        lab.moment = datetime(2026, 6, 2, tzinfo=UTC) + timedelta(seconds=1)
    if {"revoked", "over"} & set(how):
        gitlab.revoke(secret)
    is_job = credentials.startswith("job") and "another user name" not in how
    return "gitlab-ci-token" if is_job else "whoever", secret


def test_an_unknown_project_is_not_found_by_anybody(lab: Lab) -> None:
    """The shared examples' 'rejects PyPI access with unknown project id', '… unknown group id'."""
    token = lab.gitlab.add_pat(lab.user())
    for auth in (None, ("x", token), ("x", "wrong")):
        nowhere = lab.at(1234567890)
        assert nowhere.upload("demo-1.0-py3-none-any.whl", auth=auth).status_code == 404
        assert nowhere.get("/packages/pypi/simple", auth=auth).status_code == 404
        assert (
            requests.get(f"{lab.api}/groups/999/-/packages/pypi/simple", auth=auth, timeout=TIMEOUT).status_code == 404
        )


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"PRIVATE-TOKEN": "pat"}, 200),
        ({"Authorization": "Bearer pat"}, 200),
        ({"Authorization": "Bearer deploy"}, 200),
        ({"Deploy-Token": "deploy"}, 200),
        ({"Authorization": "Bearer job"}, 200),
        ({"JOB-TOKEN": "job"}, 401),  # `job_token_allowed: :basic_auth`: the header is not looked at here
        ({"PRIVATE-TOKEN": "deploy"}, 401),
        ({"PRIVATE-TOKEN": "wrong"}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Deploy-Token": "wrong"}, 401),
    ],
    ids=str,
)
def test_other_ways_to_show_a_token(lab: Lab, headers: dict[str, str], status: int) -> None:
    """lib/api/api_guard.rb, `find_user_from_sources`, and lib/gitlab/auth/auth_finders.rb."""
    project = lab.project("private")
    user = lab.user("developer", project)
    gitlab = lab.gitlab
    secrets = {
        "pat": gitlab.add_pat(user),
        "deploy": gitlab.add_deploy_token(project),
        "job": gitlab.add_job_token(project, user),
    }
    (name, value), *_ = headers.items()
    scheme, _, secret = value.rpartition(" ")
    sent = {name: f"{scheme} {secrets.get(secret, secret)}".strip()}
    assert lab.at(project).get("/packages/pypi/simple", headers=sent).status_code == status
    assert lab.gitlab.requests[-1].authorization == (scheme or name)


def test_a_job_token_is_no_access_token(lab: Lab) -> None:
    """auth_finders.rb, `find_personal_access_token`: in PRIVATE-TOKEN it is passed over, a wrong token is not."""
    project = lab.project()
    job = lab.gitlab.add_job_token(project, lab.user("developer", project))
    assert lab.at(project).get("/packages/pypi/simple", token=job).status_code == 200, "as nobody"
    assert lab.at(project).get("/packages/pypi/simple", token="wrong").status_code == 401


def test_a_job_opens_its_own_project_only(lab: Lab) -> None:
    """app/policies/project_policy.rb, `~project_allowed_for_job_token`."""
    here, there = lab.project("private"), lab.project("private")
    user = lab.user("developer", here)
    lab.gitlab.add_member(there, user, "developer")
    auth = ("gitlab-ci-token", lab.gitlab.add_job_token(here, user))
    assert lab.at(here).upload("demo-1.0-py3-none-any.whl", auth=auth).status_code == 201
    assert lab.at(there).upload("demo-1.0-py3-none-any.whl", auth=auth).status_code == 404


def test_uploads_of_jobs_have_pipelines_and_those_of_deploy_tokens_have_none(lab: Lab) -> None:
    """app/services/packages/create_package_service.rb, `add_build_info`; project_packages.rb, `pipelines`."""
    project = lab.project()
    user = lab.user("maintainer", project)
    job = ("gitlab-ci-token", lab.gitlab.add_job_token(project, user))
    lab.at(project).upload("one-1.0-py3-none-any.whl", auth=job)
    lab.at(project).upload("two-1.0-py3-none-any.whl", auth=("x", lab.gitlab.add_deploy_token(project)))
    token = lab.gitlab.add_pat(user)
    packages = lab.at(project).get("/packages", token=token).json()
    found = [lab.at(project).get(f"/packages/{each['id']}/pipelines", token=token).json() for each in packages]
    assert [len(each) for each in found] == [1, 0]
    assert lab.at(project).get("/packages/1/pipelines", token=token, params={"per_page": "21"}).status_code == 400


def test_a_protected_name(lab: Lab) -> None:
    """app/services/packages/protection/check_rule_existence_service.rb: for deploy tokens, any rule that matches."""
    project = lab.project()
    lab.gitlab.protect(project, "safe-*", "maintainer")
    at, gitlab = lab.at(project), lab.gitlab
    developer = ("x", gitlab.add_pat(lab.user("developer", project)))
    maintainer = ("x", gitlab.add_pat(lab.user("maintainer", project)))
    deploy = ("x", gitlab.add_deploy_token(project))
    answers = [at.upload("safe_one-1.0-py3-none-any.whl", auth=auth) for auth in (developer, deploy, maintainer)]
    assert [answer.status_code for answer in answers] == [403, 403, 201]
    assert answers[0].json() == {"message": "403 Forbidden - Package protected."}
    assert at.upload("other-1.0-py3-none-any.whl", auth=deploy).status_code == 201


def test_limits_of_uploads(lab: Lab) -> None:
    """lib/api/pypi_packages.rb: `pypi_max_file_size`, `validate_fips!`."""
    project = lab.project()
    deploy = ("x", lab.gitlab.add_deploy_token(project))
    lab.gitlab.project_setting.max_file_size = 10
    answer = lab.at(project).upload("demo-1.0-py3-none-any.whl", b"x" * 11, auth=deploy)
    assert (answer.status_code, answer.json()) == (400, {"message": "400 Bad request - File is too large"})
    lab.gitlab.project_setting.fips = True
    assert lab.at(project).upload("demo-1.0-py3-none-any.whl", auth=deploy, sha256_digest=None).status_code == 422
    assert lab.at(project).upload("demo-1.0-py3-none-any.whl", auth=deploy).status_code == 201


def test_the_index_of_a_group(lab: Lab) -> None:
    """lib/api/pypi_packages.rb, `:id/-/packages/pypi`: what the caller may read of its projects."""
    public, private = lab.project(), lab.project("private")
    for project in (public, private):
        lab.at(project).upload("demo-1.0-py3-none-any.whl", auth=("x", lab.gitlab.add_deploy_token(project)))
    index = f"/groups/{lab.group.id}/-/packages/pypi"
    assert lab.ask("GET", f"{index}/simple/demo").text.count("<a ") == 1
    page = lab.ask("GET", f"{index}/simple/demo", lab.gitlab.add_group_token(lab.group)).text
    assert page.count(f'href="{lab.api}{index}/files/') == 2
    sha256 = lab.gitlab.files(public)[0].sha256
    assert lab.ask("GET", f"{index}/files/{sha256}/demo-1.0-py3-none-any.whl").content == b"bytes"


def test_the_newest_index_speaks_json_to_those_who_ask(lab: Lab) -> None:
    """simple_index_json_presenter.rb, simple_package_versions_json_presenter.rb, behind `pypi_pep_691_json`."""
    project = lab.project()
    deploy = ("x", lab.gitlab.add_deploy_token(project))
    for python, requires in (("cp312", ">=3.12"), ("cp313", ">=3.13"), ("cp314", None)):
        digest: dict[str, Any] = {"sha256_digest": None} if python == "cp314" else {}
        file = f"de_mo-1.0-{python}-none-any.whl"
        lab.at(project).upload(file, auth=deploy, name="De_mo", requires_python=requires, **digest)
    accept: dict[str, Any] = {"headers": {"Accept": "application/vnd.pypi.simple.v1+json, text/html;q=0.1"}}
    page = "/packages/pypi/simple/de-mo"
    assert lab.at(project).get(page, **accept).headers["Content-Type"] == "text/html; charset=utf-8"
    lab.gitlab.project_setting.pep691 = True
    answer = lab.at(project).get(page, **accept)
    assert answer.headers["Content-Type"] == "application/vnd.pypi.simple.v1+json; charset=utf-8"
    assert (answer.headers["Vary"], answer.json()["name"]) == ("Accept", "de-mo")
    files = answer.json()["files"]
    assert [file.get("requires-python") for file in files] == [">=3.12", ">=3.13", None]
    assert files[2]["hashes"] == {"sha256": None}
    listed = lab.at(project).get("/packages/pypi/simple", **accept).json()
    assert listed == {"meta": {"api-version": "1.0"}, "projects": [{"name": "de-mo"}]}
    assert lab.at(project).get(page).headers["Content-Type"] == "text/html; charset=utf-8"


def test_forwarding(lab: Lab) -> None:
    """The shared examples' 'package request forward'; lib/api/helpers/packages/dependency_proxy_helpers.rb."""
    project, setting = lab.project(), lab.gitlab.project_setting
    setting.forward_to = "http://127.0.0.1:9/elsewhere/"
    answer = lab.at(project).get("/packages/pypi/simple/barfoo/")
    assert (answer.status_code, answer.headers["Location"]) == (302, "http://127.0.0.1:9/elsewhere/barfoo/")
    setting.forwarding = False
    answer = lab.at(project).get("/packages/pypi/simple/barfoo/")
    assert (answer.status_code, answer.json()) == (404, {"message": "404 Package Not Found"})


def test_downloads_may_come_from_object_storage_and_in_parts(lab: Lab) -> None:
    """present_carrierwave_file! (`supports_direct_download`); Workhorse's send-file knows ranges."""
    project = lab.project()
    lab.at(project).upload("demo-1.0-py3-none-any.whl", b"0123456789", auth=("x", lab.gitlab.add_deploy_token(project)))
    sha256 = lab.gitlab.files(project)[0].sha256
    path = f"/packages/pypi/files/{sha256}/demo-1.0-py3-none-any.whl"
    part = lab.at(project).get(path, headers={"Range": "bytes=7-"})
    assert (part.status_code, part.content, part.headers["Content-Range"]) == (206, b"789", "bytes 7-9/10")
    assert lab.at(project).get(path, headers={"Range": "bytes=10-"}).status_code == 416
    lab.gitlab.project_setting.object_storage = "http://127.0.0.1:9/bucket"
    answer = lab.at(project).get(path)
    assert answer.status_code == 302
    assert answer.headers["Location"] == f"http://127.0.0.1:9/bucket/{sha256}/demo-1.0-py3-none-any.whl"


# ------------------------------------------------------------------ packages API


# spec/requests/api/project_packages_spec.rb, 'project is private'
@pytest.mark.parametrize(
    ("role", "listed", "deleted"),
    [
        (None, 404, 404),
        ("stranger", 404, 404),
        ("guest", 403, 403),
        ("reporter", 200, 403),
        ("developer", 200, 403),
        ("maintainer", 200, 204),
    ],
)
def test_packages_of_a_private_project(lab: Lab, role: str | None, listed: int, deleted: int) -> None:
    project = lab.project("private")
    lab.at(project).upload("demo-1.0-py3-none-any.whl", auth=("x", lab.gitlab.add_deploy_token(project)))
    user = lab.user(None if role == "stranger" else role, project)
    token = lab.gitlab.add_pat(user) if role else None
    assert lab.ask("GET", f"/projects/{project.id}/packages", token).status_code == listed
    assert lab.ask("DELETE", f"/projects/{project.id}/packages/1", token).status_code == deleted
    if deleted == 204:
        marked = lab.ask("GET", f"/projects/{project.id}/packages?status=pending_destruction", token).json()
        assert [package["status"] for package in marked] == ["pending_destruction"]
        (path,) = (lab.gitlab.store.files).iterdir()
        lab.gitlab.store.sweep()
        assert not path.exists()


def test_totals_are_left_out_above_ten_thousand(lab: Lab) -> None:
    """lib/gitlab/pagination/offset_pagination.rb, MAX_COUNT_LIMIT; Kaminari's 100 rows a page."""
    project = lab.project()
    lab.gitlab.preload(project, 50_005)
    path = f"/projects/riseproject%2Fpython%2F{project.name}/packages"
    first = lab.ask("GET", f"{path}?per_page=1000")
    assert (len(first.json()), first.headers["X-Per-Page"], first.headers["X-Next-Page"]) == (100, "100", "2")
    assert "X-Total" not in first.headers
    assert "last" not in first.links
    last = lab.ask("GET", f"{path}?per_page=100&page=101")
    assert (len(last.json()), last.headers["X-Next-Page"]) == (1, "")


def test_a_project_by_number_and_by_path(lab: Lab) -> None:
    project = lab.project("private")
    user = lab.user("reporter", project)
    token = lab.gitlab.add_pat(user, ("read_api",))
    for key in (str(project.id), project.path.replace("/", "%2F")):
        shown = lab.ask("GET", f"/projects/{key}", token).json()
        assert (shown["id"], shown["path_with_namespace"]) == (project.id, project.path)
        assert shown["permissions"]["project_access"]["access_level"] == 20
        answer = lab.ask("GET", f"/projects/{key}")
        assert (answer.status_code, answer.json()) == (404, {"message": "404 Project Not Found"})
