"""The contract of GitLab's PyPI registry, each point with the file of GitLab's source or specs that says so.

It is held against the GitLab in ``tests/support/gitlab``. To hold a live GitLab against it instead, name a **public**
scratch project and tokens; what the run uploads there is deleted after it::

    export WHEELYARD_LIVE_GITLAB='{"url": "https://gitlab.com", "project": "you/scratch", "maintainer": "glpat-…",
        "deploy_token": "gldt-…", "read_only": "gldt-…"}'
    pytest tests/integration/registries/test_gitlab_contract.py

``maintainer`` is an access token with that role and scope ``api``, ``deploy_token`` may read and write packages,
``read_only`` only read them. Who may do what, token lives, faults and limits need an instance that obeys; they are
tried on ours only (``test_gitlab_access.py``, ``test_gitlab_faults.py``).
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

import pytest
import requests

from support.gitlab.instance import TIMEOUT, Instance, chosen

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

REALM = 'Basic realm="GitLab Packages Registry"'


@pytest.fixture
def gitlab(tmp_path: Path) -> Iterator[Instance]:
    with chosen(tmp_path) as instance:
        yield instance


def wheel(gitlab: Instance, version: str = "1.0", *, suffix: str = "", python: str = "py3") -> str:
    return f"{gitlab.name(suffix).replace('-', '_')}-{version}-{python}-none-any.whl"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def links(page: str) -> list[tuple[str, str, str]]:
    """Return address, Requires-Python and text of a page's links (simple_presenter_base.rb, `package_link`)."""
    return re.findall(r'<a href="([^"]*)" data-requires-python="([^"]*)">([^<]*)</a>', page)


# --------------------------------------------------------------------- uploads
# lib/api/pypi_packages.rb; spec/requests/api/pypi_packages_spec.rb, `POST /api/v4/projects/:id/packages/pypi`


def test_an_upload_is_listed_and_downloads_as_it_was(gitlab: Instance) -> None:
    answer = gitlab.upload(wheel(gitlab), b"one", requires_python=">=3.11,<4")
    assert (answer.status_code, answer.json()) == (201, {"message": "201 Created"})
    ((address, requires_python, text),) = links(gitlab.page(gitlab.name()))
    assert requires_python == "&gt;=3.11,&lt;4"
    assert text == wheel(gitlab)
    assert address.startswith("http")
    assert address.endswith(f"/packages/pypi/files/{sha256(b'one')}/{text}#sha256={sha256(b'one')}")
    assert requests.get(address, timeout=TIMEOUT).content == b"one"


@pytest.mark.parametrize("data", [b"one", b"other"], ids=["the same bytes", "other bytes"])
def test_a_file_name_is_taken_once_per_name_and_version(gitlab: Instance, data: bytes) -> None:
    """app/models/packages/package_file.rb: uniqueness of file_name, scope package; bytes are not compared."""
    gitlab.upload(wheel(gitlab), b"one")
    answer = gitlab.upload(wheel(gitlab), data)
    assert answer.status_code == 400
    assert "Validation failed: File name has already been taken" in answer.json()["message"]
    assert sha256(b"one") in gitlab.page(gitlab.name())


def test_a_version_takes_further_files(gitlab: Instance) -> None:
    """The spec's 'with existing package: does not create a new package'."""
    assert gitlab.upload(wheel(gitlab, python="cp312")).status_code == 201
    assert gitlab.upload(wheel(gitlab, python="cp313")).status_code == 201
    (package,) = gitlab.packages(package_name=gitlab.name())
    files = gitlab.get(f"/packages/{package['id']}/package_files", token="maintainer").json()
    assert [file["file_name"] for file in files] == [wheel(gitlab, python="cp312"), wheel(gitlab, python="cp313")]


def probe(gitlab: Instance, secret: str) -> requests.Response:
    """Ask as an upload would, with one field that means nothing: what comes tells what the token is worth."""
    files = {"probe": (None, "1")}
    return requests.post(gitlab.registry, files=files, auth=gitlab.auth(secret), timeout=TIMEOUT)


def test_what_is_missing_is_named(gitlab: Instance) -> None:
    answer = probe(gitlab, "deploy_token")
    assert answer.status_code == 400
    assert answer.json() == {"error": "content is missing, name is missing, version is missing"}


def test_who_may_not_write_learns_it_before_what_is_missing(gitlab: Instance) -> None:
    """`post 'authorize'`: Workhorse asks before it reads; so a probe without a file tells dead from read-only."""
    assert probe(gitlab, "read_only").status_code == 403
    dead = probe(gitlab, "gldt-that-never-lived")
    assert (dead.status_code, dead.headers["WWW-Authenticate"]) == (401, REALM)
    assert dead.json() == {"message": "401 Unauthorized"}


@pytest.mark.parametrize(
    ("fields", "part"),
    [
        ({"sha256_digest": "a" * 63 + "%"}, "sha256_digest is invalid"),
        ({"name": ".$/@!^*"}, "Name is invalid"),
        ({"version": "not a version"}, "Version is invalid"),
    ],
    ids=["sha256", "name", "version"],
)
def test_what_is_malformed_is_refused(gitlab: Instance, fields: dict[str, Any], part: str) -> None:
    """The spec's 'with an invalid sha256' and 'with an invalid package'; lib/gitlab/regex/packages.rb."""
    answer = gitlab.upload(wheel(gitlab), **fields)
    assert answer.status_code == 400
    assert part in answer.text
    assert gitlab.page(gitlab.name()) == ""


def test_a_sha256_is_believed_not_computed(gitlab: Instance) -> None:
    """create_package_service.rb, `file_params`: file_sha256 is what the client says, or null."""
    assert gitlab.upload(wheel(gitlab, "1.0"), b"one", sha256_digest=sha256(b"a lie")).status_code == 201
    assert gitlab.upload(wheel(gitlab, "1.1"), b"one", sha256_digest=None).status_code == 201
    claimed = {}
    for package in gitlab.packages(package_name=gitlab.name()):
        (file,) = gitlab.get(f"/packages/{package['id']}/package_files", token="maintainer").json()
        claimed[package["version"]] = file["file_sha256"]
    assert claimed == {"1.0": sha256(b"a lie"), "1.1": None}
    lying, null = (address for address, _, _ in links(gitlab.page(gitlab.name())))
    assert requests.get(lying, timeout=TIMEOUT).content == b"one"
    assert null.endswith("#sha256=")
    assert requests.get(null, timeout=TIMEOUT).status_code == 404


def test_too_long_fields_are_cut(gitlab: Instance) -> None:
    """create_package_service.rb, `truncate_fields`; the longest are in app/models/packages/pypi/metadatum.rb."""
    long = ">=3.9," + ",".join(f"!=3.9.{number}" for number in range(60))
    assert gitlab.upload(wheel(gitlab), requires_python=long, summary="x" * 9999, whatever="y").status_code == 201
    ((_, requires_python, _),) = links(gitlab.page(gitlab.name()))
    assert requires_python == (long[:252] + "...").replace(">", "&gt;")


def test_requires_python_is_the_packages_and_the_last_upload_wins(gitlab: Instance) -> None:
    """create_package_service.rb upserts one metadatum per package; simple_package_versions_presenter.rb reads that."""
    gitlab.upload(wheel(gitlab, python="cp312"), requires_python=">=3.9")
    gitlab.upload(wheel(gitlab, python="cp313"), requires_python=">=3.13")
    assert {requires for _, requires, _ in links(gitlab.page(gitlab.name()))} == {"&gt;=3.13"}
    assert gitlab.upload(wheel(gitlab, python="cp313"), requires_python=">=3.14").status_code == 400
    assert {requires for _, requires, _ in links(gitlab.page(gitlab.name()))} == {"&gt;=3.13"}


def test_local_versions(gitlab: Instance) -> None:
    """lib/gitlab/regex/packages.rb, `pypi_version_regex`."""
    assert gitlab.upload(wheel(gitlab, "2.0+cpu")).status_code == 201
    ((address, _, text),) = links(gitlab.page(gitlab.name()))
    assert text == wheel(gitlab, "2.0+cpu")
    assert requests.get(address, timeout=TIMEOUT).content == b"bytes"


# ----------------------------------------------------------------------- index


def test_spellings_of_a_name_are_two_records_and_one_page(gitlab: Instance) -> None:
    """find_or_create_package! compares exactly; app/models/packages/pypi/package.rb, `with_normalized_pypi_name`."""
    for name in ("A.Spelling", "a-spelling"):
        file = f"{gitlab.name('-' + name)}-1.0-py3-none-any.whl"
        assert gitlab.upload(file, name=gitlab.name(f"-{name}"), version="1.0").status_code == 201
    assert len(gitlab.packages(package_name="spelling", package_version="1.0")) == 2
    assert len(links(gitlab.page(gitlab.name("-a-spelling")))) == 2
    assert len(links(gitlab.page(gitlab.name("-A-Spelling").upper()))) == 2, "what is asked for is put in lower case,"
    assert links(gitlab.page(gitlab.name("-a.spelling"))) == [], "but not normalised"


def test_the_root_has_a_link_per_version(gitlab: Instance) -> None:
    """simple_index_presenter.rb; the spec's 'pypi simple index API endpoint'."""
    for version in ("1.0", "1.1"):
        gitlab.upload(wheel(gitlab, version))
    listed = links(gitlab.get("/packages/pypi/simple").text)
    own = [address for address, _, text in listed if text == gitlab.name()]
    assert len(own) == 2
    assert {address.rpartition("/packages/pypi/")[2] for address in own} == {f"simple/{gitlab.name()}"}


def test_what_is_not_there_is_forwarded_or_not_found(gitlab: Instance) -> None:
    """lib/api/helpers/packages/dependency_proxy_helpers.rb; the spec's 'package request forward'."""
    answer = gitlab.get(f"/packages/pypi/simple/{gitlab.name('-unknown')}/")
    assert answer.status_code in {302, 404}
    if answer.status_code == 302:
        assert answer.headers["Location"].endswith(f"/simple/{gitlab.name('-unknown')}/")


def test_nobody_reads_a_public_project_and_so_does_a_bad_password(gitlab: Instance) -> None:
    """`find_user_from_sources` finds no user, which is no error: a GET cannot advance whether a deploy token lives."""
    gitlab.upload(wheel(gitlab))
    for auth in (None, ("anybody", "gldt-that-never-lived"), gitlab.auth("deploy_token")):
        assert gitlab.page(gitlab.name(), auth=auth) != ""


def test_a_download_knows_its_file_by_both_names(gitlab: Instance) -> None:
    """app/finders/packages/pypi/package_finder.rb: by file name and sha256."""
    gitlab.upload(wheel(gitlab), b"one")
    for wrong in (f"{sha256(b'one')}/another.whl", f"{sha256(b'another')}/{wheel(gitlab)}"):
        assert gitlab.get(f"/packages/pypi/files/{wrong}").status_code == 404


# ------------------------------------------------------------------ packages API
# lib/api/project_packages.rb, package_files.rb; spec/requests/api/project_packages_spec.rb


def test_names_are_searched_versions_are_exact(gitlab: Instance) -> None:
    """app/finders/concerns/packages/finder_helper.rb: `search_by_name` against `with_version`."""
    gitlab.upload(wheel(gitlab, "1.0"))
    gitlab.upload(wheel(gitlab, "1.0.1", suffix="-extra"))
    assert len(gitlab.packages(package_name=gitlab.name().upper())) == 2
    (found,) = gitlab.packages(package_name=gitlab.name(), package_version="1.0")
    assert (found["name"], found["version"], found["package_type"]) == (gitlab.name(), "1.0", "pypi")
    assert gitlab.packages(package_name=gitlab.name(), package_type="npm") == []


def test_pages_of_packages(gitlab: Instance) -> None:
    """lib/gitlab/pagination/offset_header_builder.rb."""
    for number in range(3):
        gitlab.upload(wheel(gitlab, f"1.{number}"))
    query = {"package_name": gitlab.name(), "per_page": "2"}
    first = gitlab.get("/packages", token="maintainer", params=query)
    assert [package["version"] for package in first.json()] == ["1.0", "1.1"]
    assert (first.headers["X-Next-Page"], first.headers["X-Total"], first.headers["X-Total-Pages"]) == ("2", "3", "2")
    second = requests.get(first.links["next"]["url"], headers=gitlab.headers("maintainer"), timeout=TIMEOUT)
    assert [package["version"] for package in second.json()] == ["1.2"]
    assert second.headers["X-Next-Page"] == ""
    assert "next" not in second.links
    latest = gitlab.packages(package_name=gitlab.name(), order_by="version", sort="desc")
    assert [package["version"] for package in latest] == ["1.2", "1.1", "1.0"]


def test_a_deleted_package_is_gone_at_once_and_its_name_is_free(gitlab: Instance) -> None:
    """The spec's 'marked as pending_destruction: does create a new package'."""
    gitlab.upload(wheel(gitlab), b"one")
    (package,) = gitlab.packages(package_name=gitlab.name())
    answer = gitlab.delete(f"/packages/{package['id']}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert gitlab.page(gitlab.name()) == ""
    assert gitlab.delete(f"/packages/{package['id']}").status_code == 404
    assert gitlab.packages(package_name=gitlab.name()) == []
    assert gitlab.upload(wheel(gitlab), b"two").status_code == 201
    assert sha256(b"two") in gitlab.page(gitlab.name())


def test_a_deleted_file_is_gone_and_its_name_is_free(gitlab: Instance) -> None:
    """lib/api/package_files.rb, `delete`."""
    gitlab.upload(wheel(gitlab, python="cp312"), b"one")
    gitlab.upload(wheel(gitlab, python="cp313"), b"two")
    (package,) = gitlab.packages(package_name=gitlab.name())
    files = f"/packages/{package['id']}/package_files"
    first = gitlab.get(files, token="maintainer").json()[0]
    assert gitlab.delete(f"{files}/{first['id']}").status_code == 204
    assert [text for _, _, text in links(gitlab.page(gitlab.name()))] == [wheel(gitlab, python="cp313")]
    assert gitlab.upload(wheel(gitlab, python="cp312"), b"three").status_code == 201


def test_a_deploy_token_does_not_open_the_packages_api(gitlab: Instance) -> None:
    """`route_setting :authentication` there allows job tokens only: Basic is nobody, PRIVATE-TOKEN an error."""
    gitlab.upload(wheel(gitlab))
    (package,) = gitlab.packages(package_name=gitlab.name())
    assert gitlab.get("/packages", token="deploy_token").status_code == 401
    assert gitlab.get("/packages", auth=gitlab.auth("deploy_token")).status_code == 200, "as nobody"
    assert gitlab.get("/deploy_tokens", token="deploy_token").status_code == 401
    assert gitlab.delete(f"/packages/{package['id']}", who="deploy_token").status_code == 401
    assert gitlab.page(gitlab.name()) != ""


def test_a_token_looks_at_itself(gitlab: Instance) -> None:
    """lib/api/personal_access_tokens/self_information.rb."""
    address = f"{gitlab.api}/personal_access_tokens/self"
    shown = requests.get(address, headers=gitlab.headers("maintainer"), timeout=TIMEOUT).json()
    assert (shown["active"], shown["revoked"]) == (True, False)
    assert "api" in shown["scopes"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", shown["expires_at"])
