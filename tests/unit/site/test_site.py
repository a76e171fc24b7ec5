"""The pages: what they say, and what a hostile record cannot make them do."""

from __future__ import annotations

import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.project import PYPROJECT, make_project
from support.schemas import validator
from wheelyard.records.copyleft_sources import SOURCES, SourceFile
from wheelyard.records.history import HISTORY, HistoryEntry
from wheelyard.records.lockfile import lock_file, write_lock
from wheelyard.records.models import Lock, LockedVersion
from wheelyard.records.releases import RELEASES, ReleasedFile
from wheelyard.site.build_site import make_site, read_site
from wheelyard.site.pages import package_page, pages
from wheelyard.site.site_report import Site, SitePackage, SitePatch, SiteVersion

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion

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

[tool.wheelyard.change-requests]
forge = "github"
project = "owner/yard"
variable = "T"
"""


SOURCE = SourceFile(
    name="openblas",
    version="0.3.26+ds-1",
    where="gitlab",
    file="openblas_0.3.26+ds.orig.tar.xz",
    sha256="e" * 64,
    size=1000,
    url="https://gitlab.com/api/v4/projects/group%2Fyard/packages/generic/source-openblas/0.3.26+ds-1/openblas.tar.xz",
)


class Checker(HTMLParser):
    """Refuses what is not closed, and notes elements and links."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.names: set[str] = set()
        self.links: list[str] = []
        self.ids: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        assert not [name for name, _ in attrs if name.startswith("on")]
        self.ids += [value or "" for name, value in attrs if name == "id"]
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
    built = {"source": f"sha256:{'b' * 64}", "image": f"sha256:{'c' * 64}"}
    releases = [
        wheel("1.0", "cp312-cp312", licence="<script>alert(2)</script>", yanked="bad & wrong"),
        wheel("1.1", "cp38-abi3", patched=True, **built),
        wheel("1.1", "cp314-cp314t", patched=True, **built),
    ]
    RELEASES.path(project.packages, "demo").write_text(RELEASES.dump(releases))
    facts = [
        {"version": "1.1", "where": "gitlab", "wheel": "cp38-abi3", "first": "2026-08-02"},
        {"version": "1.1", "where": "upstream", "first": "2026-08-01"},
    ]
    HISTORY.path(project.packages, "demo").write_text(HISTORY.dump(map(HistoryEntry.model_validate, facts)))
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


@pytest.mark.parametrize("name", ["index.html", "package/demo/index.html", "package/old/index.html", "style.css"])
def test_whole_pages(root: Path, tmp_path: Path, name: str, snapshot: SnapshotAssertion) -> None:
    other = wheel("1.9", "cp313-cp313", file="old-1.9-cp313-cp313-manylinux_2_39_riscv64.whl")
    RELEASES.path(root / "packages", "old").write_text(RELEASES.dump([other]))
    SOURCES.path(root / "packages", "old").write_text(SOURCES.dump([SOURCE]))
    assert made(root, tmp_path / "site")[name] == snapshot


def builds(page: str) -> dict[str, list[str]]:
    """Return the record of a build that each file refers to: the cells of its row."""
    rows = dict(re.findall(r'<tr id="([^"]+)">(.*?)</tr>', page))
    found = {}
    for file, target in re.findall(r'<code>([^<]+\.whl)</code>.*?href="#([^"]+)"', page):
        found[file] = [re.sub("<[^>]+>", "", cell) for cell in re.findall(r"<t[hd].*?</t[hd]>", rows[unquote(target)])]
    return found


def test_each_file_refers_to_the_record_of_its_build(root: Path, tmp_path: Path) -> None:
    first, other = (f"sha256:{word * 64}" for word in "de")
    RELEASES.path(root / "packages", "demo").write_text(
        RELEASES.dump(
            [
                wheel("1.0", "cp312-cp312"),
                wheel("1.1+cpu", "cp312-cp312", source=first, image=other),
                wheel("1.1+cpu", "cp313-cp313", source=first, image=other),
                wheel("1.1+cpu", "cp314-cp314", source=first, image=first, patched=True),
            ]
        )
    )
    tail = "manylinux_2_39_riscv64.whl"
    assert builds(made(root, tmp_path / "site")["package/demo/index.html"]) == {
        f"demo-1.0-cp312-cp312-{tail}": ["1.0", "not known", "not known", "none"],
        f"demo-1.1+cpu-cp312-cp312-{tail}": ["1.1+cpu", first, other, "none"],
        f"demo-1.1+cpu-cp313-cp313-{tail}": ["1.1+cpu", first, other, "none"],
        f"demo-1.1+cpu-cp314-cp314-{tail}": ["1.1+cpu", first, first, "a.patch"],
    }


def test_patches_that_the_recipe_has_no_more_are_not_passed_over(root: Path, tmp_path: Path) -> None:
    RELEASES.path(root / "packages", "demo").write_text(RELEASES.dump([wheel("0.9", "cp312-cp312", patched=True)]))
    (cells,) = builds(made(root, tmp_path / "site")["package/demo/index.html"]).values()
    assert cells[-1] == "not known which"


@pytest.mark.parametrize(
    ("listed", "newest"),
    [
        ([("1.0", None), ("2.0rc1", None)], "1.0"),
        ([("1.0", None), ("2.0", "broken")], "1.0"),
        ([("1.0", "broken"), ("2.0", "broken")], "2.0"),
        ([("2.0rc1", None)], "2.0rc1"),
    ],
)
def test_the_newest_version_is_what_installers_choose(
    root: Path, tmp_path: Path, listed: list[tuple[str, str | None]], newest: str
) -> None:
    wheels = [wheel(version, "cp312-cp312", yanked=reason) for version, reason in listed]
    RELEASES.path(root / "packages", "demo").write_text(RELEASES.dump(wheels))
    overview = made(root, tmp_path / "site")["index.html"]
    assert f"demo</a></th><td>{newest}</td>" in overview


def test_where_a_file_is_published_is_told(root: Path, tmp_path: Path) -> None:
    wheels = [wheel("1.0", "cp312-cp312"), wheel("1.0", "cp312-cp312", where="backup", yanked="")]
    RELEASES.path(root / "packages", "demo").write_text(RELEASES.dump(wheels))
    page = made(root, tmp_path / "site")["package/demo/index.html"]
    assert "<td>gitlab</td><td>no</td>" in page
    assert "<td>backup</td><td>yanked</td>" in page


def test_pages_are_well_formed_and_links_lead_somewhere(root: Path, tmp_path: Path) -> None:
    found = made(root, tmp_path / "site")
    for name, text in found.items():
        if not name.endswith(".html"):
            continue
        checker = Checker(text)
        assert "script" not in checker.names
        assert len(set(checker.ids)) == len(checker.ids)
        for target in checker.links:
            if target.startswith("#"):
                assert unquote(target[1:]) in checker.ids, target
            elif "://" not in target:
                assert os.path.normpath(Path(name).parent / target) in found, target


def test_packages_json_is_what_its_schema_says(root: Path, tmp_path: Path) -> None:
    value = json.loads(made(root, tmp_path / "site")["packages.json"])
    validator("packages")(value)
    assert [each["package"] for each in value["packages"]] == ["bare", "demo", "old"]


def test_the_same_records_write_nothing_again_and_stale_pages_go(root: Path, tmp_path: Path) -> None:
    project, folder = make_project(root, pyproject=PYPROJECT + POLICY), tmp_path / "site"
    first = make_site(project, folder).changed
    assert first == 6
    assert make_site(project, folder).changed == 0
    (folder / "package/gone").mkdir()
    (folder / "package/gone/index.html").touch()
    (folder / "package/kept").mkdir()
    (folder / "package/kept/index.html").touch()
    (folder / "package/kept/a-person's.txt").touch()
    assert make_site(project, folder).changed == 2
    assert not (folder / "package/gone").exists()
    assert [path.name for path in (folder / "package/kept").iterdir()] == ["a-person's.txt"]


def test_a_linked_folder_of_somebodys_is_left_alone(root: Path, tmp_path: Path) -> None:
    project, folder = make_project(root, pyproject=PYPROJECT + POLICY), tmp_path / "site"
    make_site(project, folder)
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs/index.html").touch()
    (folder / "package/theirs").symlink_to(tmp_path / "theirs")
    assert make_site(project, folder).changed == 0
    assert (tmp_path / "theirs/index.html").exists()


@pytest.mark.parametrize("character", [*"\u061c\u200e\u200f\u202a\u202e\u2066\u2069\ud800\0\x1b\x85"])
def test_no_character_turns_a_page_around(character: str) -> None:
    for shown, note in ((f"a{character}b", "a\ufffdb"), *[("שלום \U0001f469\u200d\U0001f52c",) * 2]):
        package = SitePackage(package="demo", pinned="", retired="", note=shown, updated=None, record="", versions=())
        page = package_page(Site(updated=None, interpreters=(), index="", packages=(package,)), package)
        assert f"<p>{note}</p>" in page


def test_the_projects_own_folder_loses_no_record(root: Path) -> None:
    before = read_site(make_project(root, pyproject=PYPROJECT + POLICY))
    made(root, root)
    assert read_site(make_project(root, pyproject=PYPROJECT + POLICY)) == before


@given(
    st.text(),
    st.text(),
    st.sampled_from(["javascript:alert(1)", 'https://x/"><script>', "https://x.org/\u202e", "data:a"]),
)
def test_nothing_that_a_record_says_is_markup(licence: str, why: str, url: str) -> None:
    patch = SitePatch(file=why, why=licence, status=f"Issue [{url}]")
    version = SiteVersion(
        version="1",
        licence=licence,
        patched=True,
        patches=(patch,),
        first_published=None,
        first_upstream=None,
        files=(),
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
