"""Index pages: what PEP 503, 592, 629, 658, 691, 700 and 714 ask of them, read back by another implementation."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

from hypothesis import given
from hypothesis import strategies as st
from packaging.utils import canonicalize_name
from packaging.version import Version
from pypi_simple import ProjectPage

from wheelyard.registries import RegistryFile, simple_index

BASE = "http://index.test/some/path/simple/demo/"
NAMES = st.from_regex(r"\A[A-Za-z0-9]([A-Za-z0-9._-]{0,12}[A-Za-z0-9])?\Z")
VERSIONS = st.from_regex(
    r"\A(0|[1-9][0-9]{0,2})(\.(0|[1-9][0-9]{0,2})){0,2}(rc[0-9])?(\.post[0-9])?(\+[a-z0-9]{1,5})?\Z"
)


def wheel_file(version: str = "1.0", **more: object) -> RegistryFile:
    defaults: dict[str, object] = {
        "file": f"demo-{version}-cp313-cp313-manylinux_2_39_riscv64.whl",
        "sha256": "ab" * 32,
        "size": 7,
        "requires_python": "",
        "metadata_sha256": "cd" * 32,
        "uploaded": "2026-11-22T10:00:00Z",
    }
    return RegistryFile(**(defaults | more))  # type: ignore[arg-type]


def test_attributes_are_escaped() -> None:
    """PEP 503: "it must be encoded as &lt;" — a raw one would end the attribute for some clients."""
    page = simple_index.project_html("demo", [wheel_file(requires_python=">=3.9,<4", yanked='"><script>')])
    assert 'data-requires-python="&gt;=3.9,&lt;4"' in page
    assert "<script>" not in page


def test_plus_is_percent_encoded() -> None:
    page = simple_index.project_html("demo", [wheel_file("2.0+cpu")])
    assert 'href="../../files/demo/demo-2.0%2Bcpu-cp313-cp313-manylinux_2_39_riscv64.whl#sha256=' in page
    assert ">demo-2.0+cpu-cp313" in page


def test_json_has_what_pep_700_requires() -> None:
    page = json.loads(simple_index.project_json("demo", [wheel_file("1.10"), wheel_file("1.9"), wheel_file("1.9")]))
    assert page["meta"]["api-version"] == "1.1"
    assert page["versions"] == ["1.9", "1.10"]
    assert page["files"][0]["size"] == 7
    assert page["files"][0]["upload-time"] == "2026-11-22T10:00:00Z"
    assert page["files"][0]["core-metadata"] == {"sha256": "cd" * 32}
    assert "yanked" not in page["files"][0]


def test_a_yank_without_reason_is_a_yank() -> None:
    """PEP 592: the attribute's presence counts; PEP 691: ``true`` or a non-empty string."""
    file = wheel_file(yanked="")
    assert 'data-yanked=""' in simple_index.project_html("demo", [file])
    assert json.loads(simple_index.project_json("demo", [file]))["files"][0]["yanked"] is True


def test_unknown_facts_are_left_out() -> None:
    file = RegistryFile(file="demo-1.0-py3-none-any.whl", sha256=None)
    assert "#" not in simple_index.project_html("demo", [file]).split("href=")[1].split(">")[0]
    assert json.loads(simple_index.project_json("demo", [file]))["files"] == [
        {"filename": file.file, "url": f"../../files/demo/{file.file}", "hashes": {}}
    ]


@given(
    NAMES, VERSIONS, st.sampled_from(["", ">=3.9", '>=3.9,!=3.10.*; "x"']), st.sampled_from([None, "", "bad & <old>"])
)
def test_both_formats_say_the_same_to_another_reader(
    name: str, version: str, requires: str, yanked: str | None
) -> None:
    project = canonicalize_name(name)
    file = wheel_file(
        file=f"{project.replace('-', '_')}-{Version(version)}-cp313-cp313-manylinux_2_39_riscv64.whl",
        requires_python=requires,
        yanked=yanked,
    )
    html_page = ProjectPage.from_html(project, simple_index.project_html(project, [file]), base_url=BASE)
    json_page = ProjectPage.from_json_data(json.loads(simple_index.project_json(project, [file])), base_url=BASE)
    for page in (html_page, json_page):
        (package,) = page.packages
        assert package.filename == file.file
        assert package.version == str(Version(version))
        assert package.digests == {"sha256": file.sha256}
        assert (package.requires_python or "") == requires
        assert package.is_yanked == (yanked is not None)
        assert (package.yanked_reason or "") == (yanked or "")
        assert package.has_metadata
        assert package.metadata_digests == {"sha256": file.metadata_sha256}
        address = urlsplit(package.url)
        assert unquote(address.path) == f"/some/path/files/{project}/{file.file}"
        assert "+" not in address.path
    assert json_page.packages[0].size == 7


@given(st.lists(NAMES.map(canonicalize_name), unique=True))
def test_root_pages_list_every_project(projects: list[str]) -> None:
    class Links(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.found: list[str] = []

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.found += [value or "" for key, value in attrs if tag == "a" and key == "href"]

    links = Links()
    links.feed(simple_index.root_html(projects))
    assert [unquote(link).rstrip("/") for link in links.found] == projects
    assert [entry["name"] for entry in json.loads(simple_index.root_json(projects))["projects"]] == projects
