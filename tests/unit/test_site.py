"""The pages: what they say, and what a hostile record cannot make them do."""

from __future__ import annotations

import json
import os
from html.parser import HTMLParser
from pathlib import Path

import fastjsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.pages import ROOT
from support.project import PYPROJECT, make_project
from wheelyard.flows.site import gather, make_site
from wheelyard.record.ledger import Fact, ledger_file
from wheelyard.record.ledger import dump as dump_ledger
from wheelyard.record.lock import lock_file, write_lock
from wheelyard.record.models import Lock, LockedVersion
from wheelyard.record.releases import ReleasedFile, dump, releases_file
from wheelyard.record.site import Site, SitePackage, SitePatch, SiteVersion
from wheelyard.stages.site import pages

VOID = {"meta", "link", "br"}
RECIPE = """\
[upstream]
note = "<b>bold</b> & more"

[[patch]]
file = "a.patch"
versions = ">=1.1"
why = "<script>alert(1)</script>"
status = "Submitted [https://example.org/pr/1?a=1&b=2]"
"""
POLICY = """
[tool.wheelyard.registries.gitlab]
kind = "gitlab"
project = "group/yard"

[tool.wheelyard.proposals]
forge = "github"
project = "owner/yard"
variable = "T"
"""


class Checker(HTMLParser):
    """Refuses what is not closed, and notes elements and links."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.names: set[str] = set()
        self.links: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        assert not [name for name, _ in attrs if name.startswith("on")]
        self.links += [value or "" for name, value in attrs if name in {"href", "src"}]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def wheel(version: str, pair: str, **more: object) -> ReleasedFile:
    tags = f"{pair}-manylinux_2_39_riscv64"
    given_ = {"file": f"demo-{version}-{tags}.whl", "where": "gitlab", "sha256": "a" * 64, "size": 1_234_567}
    return ReleasedFile.model_validate({**given_, "tags": (tags,), "licence": "MIT", **more})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    files = {"demo/recipe.toml": RECIPE, "demo/a.patch": "", "old/recipe.toml": "", "bare/recipe.toml": ""}
    project = make_project(tmp_path, files, pyproject=PYPROJECT + POLICY)
    write_lock(lock_file(project.packages, "demo"), Lock(versions=(LockedVersion(version="1.1"),)))
    write_lock(lock_file(project.packages, "old"), Lock(retired="2.0"))
    releases = [
        wheel("1.0", "cp312-cp312", licence="<script>alert(2)</script>", yanked="bad & wrong"),
        wheel("1.1", "cp38-abi3", patched=True),
        wheel("1.1", "cp314-cp314t", patched=True),
    ]
    releases_file(project.packages, "demo").write_text(dump(releases))
    facts = [
        {"version": "1.1", "where": "gitlab", "wheel": "cp38-abi3", "first": "2026-08-02"},
        {"version": "1.1", "where": "upstream", "first": "2026-08-01"},
    ]
    ledger_file(project.packages, "demo").write_text(dump_ledger(map(Fact.model_validate, facts)))
    return tmp_path


def made(root: Path, folder: Path) -> dict[str, str]:
    make_site(make_project(root, pyproject=PYPROJECT + POLICY), folder)
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_what_pages_say(root: Path, tmp_path: Path) -> None:
    found = made(root, tmp_path / "site")
    page = found["package/demo/index.html"]
    assert '<th scope="row">1.1</th><td>yes</td><td>yes</td><td>yes</td><td>yes</td><td>MIT</td>' in page
    assert '<th scope="row">1.0</th><td>yanked</td><td>no</td>' in page
    assert "yanked: bad &amp; wrong" in page
    assert 'Submitted <a href="https://example.org/pr/1?a=1&amp;b=2"' in page
    assert "https://gitlab.com/api/v4/projects/group%2Fyard/packages/pypi/simple" in page
    assert "https://github.com/owner/yard/blob/HEAD/packages/demo/releases.toml" in page
    assert "2026-08-02" in page
    assert "<script" not in page
    assert "<b>" not in page
    overview = found["index.html"]
    assert "since 2.0" in overview
    assert '<time datetime="2026-08-02">' in overview


def test_pages_are_well_formed_and_links_lead_somewhere(root: Path, tmp_path: Path) -> None:
    found = made(root, tmp_path / "site")
    for name, text in found.items():
        if not name.endswith(".html"):
            continue
        checker = Checker(text)
        assert "script" not in checker.names
        for target in checker.links:
            if "://" not in target:
                assert os.path.normpath(Path(name).parent / target) in found, target


def test_packages_json_is_what_its_schema_says(root: Path, tmp_path: Path) -> None:
    value = json.loads(made(root, tmp_path / "site")["packages.json"])
    fastjsonschema.compile(json.loads((ROOT / "docs/packages.schema.json").read_text()))(value)
    assert [each["package"] for each in value["packages"]] == ["bare", "demo", "old"]


def test_the_same_records_write_nothing_again_and_stale_pages_go(root: Path, tmp_path: Path) -> None:
    project, folder = make_project(root, pyproject=PYPROJECT + POLICY), tmp_path / "site"
    first = make_site(project, folder)[1]
    assert first == 6
    assert make_site(project, folder)[1] == 0
    (folder / "package/gone").mkdir()
    (folder / "package/gone/index.html").touch()
    (folder / "package/kept").mkdir()
    (folder / "package/kept/index.html").touch()
    (folder / "package/kept/a-person's.txt").touch()
    assert make_site(project, folder)[1] == 2
    assert not (folder / "package/gone").exists()
    assert [path.name for path in (folder / "package/kept").iterdir()] == ["a-person's.txt"]


def test_the_projects_own_folder_loses_no_record(root: Path) -> None:
    before = gather(make_project(root, pyproject=PYPROJECT + POLICY))
    made(root, root)
    assert gather(make_project(root, pyproject=PYPROJECT + POLICY)) == before


@given(
    st.text(),
    st.text(),
    st.sampled_from(["javascript:alert(1)", 'https://x/"><script>', "https://x.org/\u202e", "data:a"]),
)
def test_nothing_that_a_record_says_is_markup(licence: str, why: str, url: str) -> None:
    patch = SitePatch(file=why, why=licence, status=f"Issue [{url}]")
    version = SiteVersion(
        version="1", licence=licence, patched=True, patches=(patch,), ours=None, upstream=None, files=()
    )
    package = SitePackage(
        package="demo", pinned="", retired=why, note=licence, updated=None, record=url, versions=(version,)
    )
    site = Site(updated=None, interpreters=("cp313",), index=url, packages=(package,))
    for name, text in pages(site).items():
        if name.endswith(".html"):
            checker = Checker(text)
            assert not checker.names & {"script", "img", "iframe", "style"}
            assert all("script" not in each for each in checker.links)
