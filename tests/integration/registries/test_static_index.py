"""``registry index``: real pip and uv install from a GitLab through static pages that say what GitLab cannot."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from pypi_simple import ProjectPage

from support.built_wheels import PROJECT, specs
from support.gitlab import Fault
from support.installers import pip_download, pip_install, uv_compile, uv_install
from support.publishing import PublishedProject, refused, yard_in
from support.static import StaticServer
from support.wheels import WheelSpec
from wheelyard.core.digests import sha256_file
from wheelyard.records.releases import RELEASES, yank

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def yard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PublishedProject]:
    monkeypatch.setenv("WHEELYARD_CACHE", str(tmp_path / "project/cache"))
    with yard_in(tmp_path) as made:
        yield made


def write(yard: PublishedProject) -> subprocess.CompletedProcess[str]:
    done = yard.registry("index", "--out", "front")
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def front(yard: PublishedProject) -> Path:
    return yard.stock.root / "front"


def page(yard: PublishedProject, project: str = "demo") -> ProjectPage:
    """Return what the JSON page says to a client."""
    text = (front(yard) / f"simple/{project}/index.json").read_text()
    return ProjectPage.from_json_data(json.loads(text), f"https://front.example/simple/{project}/")


def state(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Return each page's content, and when it was written."""
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("index.*")}


def mark(yard: PublishedProject, wheels: list[Path], reason: str | None) -> None:
    yank(RELEASES.path(yard.stock.root / "packages", "demo"), [path.name for path in wheels], "gitlab", reason)


# ------------------------------------------------------------------ what it says


def test_pages_say_what_gitlabs_own_do_not(yard: PublishedProject) -> None:
    files = [WheelSpec(version="1.1", python=tag, abi=tag, requires_python=">=3.11,<4") for tag in ("cp312", "cp313")]
    wheels = yard.have(WheelSpec(), *files, WheelSpec(version="2.0+cpu"), WheelSpec(name="Other.One"))
    mark(yard, wheels[:1], 'crashes on "some" boards & <others>')
    done = write(yard)
    assert "5 files of 2 packages in front; 6 pages changed" in done.stdout
    root = (front(yard) / "simple/index.html").read_text()
    assert re.findall(r'href="([^"]*)"', root) == ["demo/", "other-one/"]  # GitLab repeats one for each version
    listed = page(yard)
    assert listed.versions == ["1.0", "1.1", "2.0+cpu"]
    api = f"{yard.server.api}/projects/{yard.project.id}/packages/pypi/files"
    assert {(each.filename, each.digests["sha256"], each.size, each.requires_python) for each in listed.packages} == {
        (path.name, sha256_file(path), path.stat().st_size, ">=3.11,<4" if "-1.1-" in path.name else ">=3.9")
        for path in wheels
        if path.name.startswith("demo")
    }
    for each in listed.packages:
        assert each.url == f"{api}/{each.digests['sha256']}/{each.filename}"
        assert not each.has_metadata  # GitLab serves none beside the file (PEP 658)
        assert each.yanked_reason == ('crashes on "some" boards & <others>' if each.version == "1.0" else None)
    html = (front(yard) / "simple/demo/index.html").read_text()
    assert 'data-yanked="crashes on &quot;some&quot; boards &amp; &lt;others&gt;"' in html
    assert 'data-requires-python="&gt;=3.11,&lt;4"' in html
    assert "data-core-metadata" not in html
    before = state(front(yard))
    assert "; 0 pages changed" in write(yard).stdout
    assert state(front(yard)) == before


def test_what_cannot_be_installed_is_left_out_and_told(yard: PublishedProject, tmp_path: Path) -> None:
    (good,) = yard.have(WheelSpec())
    yard.upload(nameless := WheelSpec(version="2.0").write(tmp_path), sha256_digest=None)
    yard.upload(WheelSpec(name="lost").write(tmp_path), sha256_digest=None)
    for name, salt in (("Foo_Bar", b"one"), ("foo-bar", b"two")):
        yard.upload(double := WheelSpec(name="foo-bar").write(tmp_path, salt=salt), name=name)
    yard.upload(good.rename(tmp_path / good.name), name="Demo")  # the same bytes in a second record are one file
    done = write(yard)
    assert f"left out: {nameless.name}: the registry does not know its sha256" in done.stdout
    assert f"left out: {double.name}: is there with different bytes, and none of them is recorded" in done.stdout
    assert "1 files of 1 packages" in done.stdout
    assert [each.filename for each in page(yard).packages] == [good.name]
    assert sorted(path.name for path in (front(yard) / "simple").iterdir()) == ["demo", "index.html", "index.json"]


@pytest.mark.parametrize("greater", [False, True])
def test_of_two_files_of_one_name_the_recorded_one_is_shown(
    yard: PublishedProject, tmp_path: Path, greater: bool
) -> None:
    (mine,) = yard.have(WheelSpec())
    others = (WheelSpec().write(tmp_path, salt=b"%d" % number) for number in range(1000))
    other = next(path for path in others if (sha256_file(path) > sha256_file(mine)) == greater)
    yard.upload(other, name="Demo")
    write(yard)
    assert [each.digests["sha256"] for each in page(yard).packages] == [sha256_file(mine)]


def test_pages_of_what_is_gone_disappear(yard: PublishedProject) -> None:
    yard.have(WheelSpec(), WheelSpec(name="other"))
    write(yard)
    for package in list(yard.gitlab.store.named(yard.project, "other")):
        yard.gitlab.store.destroy(package)
    assert "3 pages changed" in write(yard).stdout
    assert not (front(yard) / "simple/other").exists()
    assert "other" not in (front(yard) / "simple/index.json").read_text()


@pytest.mark.parametrize("what", ["a page that is none", "a broken record", "a copy that is another wheel"])
def test_a_failure_leaves_the_old_pages_as_they_were(yard: PublishedProject, tmp_path: Path, what: str) -> None:
    yard.have(*specs(2), *specs(2, name="early"), *specs(2, name="other"))
    write(yard)
    before = state(front(yard))
    yard.have(*(WheelSpec(name=name, version="9.0") for name in ("demo", "early", "other")))
    match what:
        case "a page that is none":
            yard.gitlab.fault(Fault("status", method="GET", path="/simple/(demo|other)", status=418))
            said = refused(yard.registry("index", "--out", "front"), 70, "cannot be read whole", "stays as it was")
            assert "demo: " in said
            assert "other: " in said
        case "a broken record":
            RELEASES.path(yard.stock.root / "packages", "other").write_text("nonsense")
            refused(yard.registry("index", "--out", "front"), 63, "other: ", "is not valid TOML")
        case _:
            copy = WheelSpec(name="other", version="9.0").write(tmp_path, salt=b"other")
            yard.stock.rerecord(
                copy.rename(yard.stock.root / f"dist/other/9.0/{copy.name}"), WheelSpec(name="other", version="9.0")
            )
            assert yard.stock.run("publish", "--to", "./front", "other").returncode == 0
            before = state(front(yard))
            refused(yard.registry("index", "--out", "front"), 63, copy.name, "copies in the folder have other bytes")
    assert state(front(yard)) == before


def test_a_folder_has_pages_of_its_own(yard: PublishedProject) -> None:
    yard.stock.add(*specs(2))
    assert yard.stock.run("publish", "--to", "./index").returncode == 0
    refused(yard.registry("index", "--registry", "./index", "--out", "front"), 60, "has no address", "that very folder")
    before = {path: data for path, (data, _) in state(yard.stock.root / "index").items()}
    done = yard.registry("index", "--registry", "./index", "--out", "index")
    assert done.returncode == 0, done.stderr
    assert {path: data for path, (data, _) in state(yard.stock.root / "index").items()} == before


# ------------------------------------------------------------------ whom it serves


@pytest.mark.parametrize("asked_for", ["HTML", "JSON"])
@pytest.mark.parametrize("client", ["pip", "uv"])
def test_installers_get_the_files_from_gitlab(
    yard: PublishedProject, tmp_path: Path, client: str, asked_for: str
) -> None:
    """Requires-Python holds back 3.0, the yank 2.0; 1.0 is what is left, unless 2.0 is pinned.

    Newer GitLabs give us JSON, whose addresses end with the hash as those of the HTML do.
    """
    yard.gitlab.project_setting.pep691 = asked_for == "JSON"
    wheels = yard.have(
        *(WheelSpec(version=f"{n}.0", requires_python=">=3.14" if n == 3 else ">=3.9") for n in (1, 2, 3)),
        WheelSpec(name="local", version="2.0+cpu"),
    )
    mark(yard, wheels[1:2], "crashes")
    write(yard)
    install = pip_install if client == "pip" else uv_install
    with StaticServer(front(yard)) as server:
        index = f"{server.url}/simple/"
        for what, expected in (("demo", "1.0"), ("demo==2.0", "2.0"), ("local==2.0+cpu", "2.0+cpu")):
            yard.gitlab.requests.clear()
            done = install(index, what, tmp_path / expected)
            assert done.returncode == 0, done.stderr
            name = what.partition("=")[0]
            assert (tmp_path / expected / f"site/{name}-{expected}.dist-info").is_dir()
            assert any(seen.status == 200 and "/pypi/files/" in seen.path for seen in yard.gitlab.requests)
        assert "crashes" in install(index, "demo==2.0", tmp_path / "again").stderr
        mark(yard, wheels[1:2], None)
        write(yard)
        done = uv_compile(index, "demo", tmp_path) if client == "uv" else pip_download(index, "demo", tmp_path)
        assert done.returncode == 0, done.stderr
        assert "demo==2.0" in done.stdout or (tmp_path / "got" / wheels[1].name).is_file()


def test_bytes_that_are_not_those_of_the_page_are_not_installed(yard: PublishedProject, tmp_path: Path) -> None:
    """pip holds every download against the page's hash."""
    yard.have(WheelSpec())
    write(yard)
    (stored,) = yard.gitlab.files(yard.project)
    assert stored.path is not None
    WheelSpec().write(tmp_path / "other", salt=b"other").replace(stored.path)
    with StaticServer(front(yard)) as server:
        done = pip_install(f"{server.url}/simple/", "demo", tmp_path)
    assert done.returncode != 0
    assert "DO NOT MATCH THE HASHES" in done.stderr


def test_metadata_is_served_for_files_whose_copies_lie_here(yard: PublishedProject, tmp_path: Path) -> None:
    wheels = yard.have(WheelSpec(headers="Requires-Dist: needed>=1\n"), WheelSpec(name="needed", version="1.5"))
    mark(yard, wheels[:1], None)
    assert yard.registry("mirror", "--registry", "gitlab", "--to", "./front", "demo").returncode == 0
    assert "2 files of 2 packages" in write(yard).stdout
    assert [each.has_metadata for name in ("demo", "needed") for each in page(yard, name).packages] == [True, None]
    asked = f"/files/demo/{wheels[0].name}.metadata"
    for client in (pip_download, uv_compile):
        with StaticServer(front(yard)) as server:
            done = client(f"{server.url}/simple/", "demo", tmp_path)
            assert done.returncode == 0, done.stderr
            assert server.statuses[asked] == 200
            assert not any("needed" in path and path.endswith(".metadata") for path in server.paths)
    assert {path.name for path in (tmp_path / "got").iterdir()} == {path.name for path in wheels}
    # A yank shows on copies too, and copying again does not take it back.
    mark(yard, wheels[:1], "crashes")
    assert yard.registry("mirror", "--registry", "gitlab", "--to", "./front", "demo").returncode == 0
    assert [each.yanked_reason for each in page(yard).packages] == ["crashes"]
    write(yard)
    assert [each.yanked_reason for each in page(yard).packages] == ["crashes"]


@pytest.mark.parametrize("visibility", ["private", "internal"])
def test_who_reads_a_private_project_is_told_what_its_installers_need(
    yard: PublishedProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, visibility: str
) -> None:
    private = yard.gitlab.add_project("riseproject/private", visibility=visibility)
    yard.project, yard.deploy_token = private, yard.gitlab.add_deploy_token(private)
    yard.stock.env["WHEELYARD_GITLAB_TOKEN"] = yard.deploy_token
    text = (yard.stock.root / "pyproject.toml").read_text().replace(PROJECT, "riseproject/private")
    (yard.stock.root / "pyproject.toml").write_text(text)
    yard.have(WheelSpec())
    done = write(yard)
    assert "the project is private: installers need a login for its files, in ~/.netrc" in done.stdout
    assert not any(yard.deploy_token in path.read_text() for path in front(yard).rglob("index.*"))
    if visibility == "internal":
        return
    for client in (pip_install, uv_install):
        home = tmp_path / client.__name__
        home.mkdir()
        monkeypatch.setenv("HOME", str(home))
        with StaticServer(front(yard)) as server:
            assert client(f"{server.url}/simple/", "demo", home).returncode != 0
            (home / ".netrc").write_text(f"machine 127.0.0.1 login anybody password {yard.deploy_token}\n")
            (home / ".netrc").chmod(0o600)
            served = client(f"{server.url}/simple/", "demo", home)
        assert served.returncode == 0, served.stderr


def test_a_public_project_needs_no_word(yard: PublishedProject) -> None:
    yard.have(WheelSpec())
    assert "private" not in write(yard).stdout
    del yard.stock.env["WHEELYARD_GITLAB_TOKEN"]
    assert "private" not in write(yard).stdout
