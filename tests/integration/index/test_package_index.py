"""Looking versions up on an index that answers over real HTTP, rightly and wrongly."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from support.index import JSON, Fault, IndexFile, IndexServer
from wheelyard.core.errors import (
    ConfigError,
    NetworkError,
    SourceError,
    UnknownPackageError,
    UnknownVersionError,
    WheelyardError,
)
from wheelyard.index import check_index, index_url, look_up, sdist_url
from wheelyard.io import log

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAGE = "/simple/demo/"
FROM_THE_FUTURE = json.dumps({"meta": {"api-version": "9.0"}, "name": "demo", "files": []}).encode()


@pytest.fixture(params=["json", "html"])
def index(request: pytest.FixtureRequest) -> Iterator[IndexServer]:
    with IndexServer(json=request.param == "json") as server:
        yield server


def sdist(version: str, **more: object) -> IndexFile:
    return IndexFile(f"demo-{version}.tar.gz", f"sdist {version}".encode(), **more)  # type: ignore[arg-type]


def wheels(version: str, *tags: str) -> list[IndexFile]:
    return [IndexFile(f"demo-{version}-{tag}.whl", b"wheel") for tag in tags]


def test_the_newest_final_version_with_all_that_is_known_of_it(index: IndexServer) -> None:
    newest = sdist("1.10", requires_python=">=3.9")
    index.add("demo", sdist("1.9"), newest, sdist("2.0rc1"), sdist("1.11.dev1"))
    index.add(
        "demo",
        *wheels(
            "1.10",
            "cp310-cp310-manylinux_2_17_aarch64.manylinux2014_aarch64",
            "cp39-cp39-manylinux2014_aarch64",
            "cp314-cp314t-manylinux_2_28_aarch64",
            "cp311-cp311-musllinux_1_2_aarch64",
            "cp312-cp312-manylinux2014_x86_64",
            "pp310-pypy310_pp73-manylinux2014_aarch64",
            "cp39-cp39-manylinux_2_39_riscv64",
            "cp310-cp310-musllinux_1_2_riscv64",
            "py3-none-any",
        ),
    )
    found = look_up("Demo", None, index=index.url)
    assert found.version == "1.10"
    assert (found.file, found.sha256) == (newest.name, newest.claimed_sha256)
    assert found.size == (len(newest.data) if index.json else None)  # PEP 503 pages carry no sizes
    assert found.requires_python == ">=3.9"
    assert found.wheels == ("cp39-cp39", "cp310-cp310", "cp314-cp314t")
    assert found.reference == "aarch64"
    assert found.ships == ("cp39-cp39",)
    assert index.paths == [PAGE]


@pytest.mark.parametrize(
    ("tags", "pairs", "reference"),
    [
        (["cp38-abi3-manylinux2014_x86_64", "cp39-cp39-manylinux2014_s390x"], ("cp38-abi3",), "x86_64"),
        (["cp39-cp39-manylinux2014_s390x", "cp38-abi3-win_amd64"], ("cp39-cp39",), "linux"),
        (["cp38-abi3-macosx_11_0_arm64", "cp39-cp39-win_amd64"], ("cp38-abi3",), "macosx"),
        (["cp39-cp39-win_amd64", "py3-none-any"], ("cp39-cp39",), "win"),
        (["py3-none-any"], ("py3-none",), "any"),
        (["py2.py3-none-manylinux1_x86_64"], ("py2.py3-none",), "x86_64"),
        (["cp315-abi3.abi3t-manylinux2014_x86_64"], ("cp315-abi3.abi3t",), "x86_64"),
        (["cp311.cp312.pp310-none-manylinux2014_aarch64"], ("cp311.cp312-none",), "aarch64"),
        (["cp39-cp39-musllinux_1_2_x86_64"], (), ""),
        (["cp27-cp27mu-manylinux2014_x86_64"], (), ""),
        ([], (), ""),
    ],
)
def test_where_tags_are_taken_from(tags: list[str], pairs: tuple[str, ...], reference: str) -> None:
    with IndexServer() as index:
        index.add("demo", sdist("1.0"), *wheels("1.0", *tags))
        found = look_up("demo", None, index=index.url)
    assert (found.wheels, found.reference) == (pairs, reference)


def test_a_yanked_version_is_taken_only_by_name(index: IndexServer, capsys: pytest.CaptureFixture[str]) -> None:
    # PEP 592: "the index may be asked for a yanked release by its exact version".
    index.add("demo", sdist("1.0"), sdist("2.0", yanked="broken on big-endian\x1b[31m"))
    assert look_up("demo", None, index=index.url).version == "1.0"
    assert capsys.readouterr().err == ""
    assert look_up("demo", "2.0", index=index.url).version == "2.0"
    said = capsys.readouterr().err
    assert "demo 2.0 is yanked: broken on big-endian" in said
    assert "\x1b" not in said


def test_everything_yanked(index: IndexServer) -> None:
    index.add("demo", sdist("1.0", yanked="wrong licence"))
    with pytest.raises(UnknownVersionError) as caught:
        look_up("demo", None, index=index.url)
    assert caught.value.details == ("1.0 is yanked: wrong licence",)
    assert caught.value.fix == "ask for one by name: --version 1.0"


def test_a_prerelease_is_taken_only_by_name(index: IndexServer) -> None:
    index.add("demo", sdist("1.0b1"))
    with pytest.raises(UnknownVersionError, match="only pre-releases"):
        look_up("demo", None, index=index.url)
    assert look_up("demo", "1.0b1", index=index.url).version == "1.0b1"


def test_an_unknown_version_offers_others(index: IndexServer) -> None:
    index.add("demo", *(sdist(f"1.{minor}") for minor in range(12)), sdist("2.0", yanked=True))
    with pytest.raises(UnknownVersionError) as caught:
        look_up("demo", "1.22", index=index.url)
    assert caught.value.what == "demo has no version 1.22"
    assert caught.value.fix == "the newest are 1.11, 1.10, 1.9; near to it are 1.2"
    with pytest.raises(UnknownVersionError, match="'latest' is not a version"):
        look_up("demo", "latest", index=index.url)


def test_an_unknown_package_offers_a_recipe(index: IndexServer) -> None:
    with pytest.raises(UnknownPackageError) as caught:
        look_up("dmo", None, index=index.url, suggestions=["demo", "other"])
    assert caught.value.what == "the index has no package 'dmo' (did you mean 'demo'?)"
    with pytest.raises(UnknownPackageError, match="is not a package name"):
        look_up("../demo", None, index=index.url)


def test_without_an_sdist(index: IndexServer, capsys: pytest.CaptureFixture[str]) -> None:
    index.add("demo", *wheels("2.0", "cp313-cp313-manylinux2014_aarch64"))
    with pytest.raises(SourceError, match=r"demo 2\.0 has no sdist") as caught:
        look_up("demo", None, index=index.url)
    assert "[source] git" in (caught.value.fix or "")
    found = look_up("demo", None, index=index.url, sdist=False)
    assert (found.version, found.file, found.wheels) == ("2.0", None, ("cp313-cp313",))
    index.add("demo", sdist("1.0"))
    assert look_up("demo", None, index=index.url).version == "1.0"
    assert "demo 2.0 has no sdist; taking 1.0" in capsys.readouterr().err
    with pytest.raises(SourceError):
        look_up("demo", "2.0", index=index.url)


def test_a_hash_is_not_optional(index: IndexServer) -> None:
    index.add("demo", sdist("1.0", sha256=""))
    with pytest.raises(SourceError, match="gives no sha256"):
        look_up("demo", None, index=index.url)


def test_hostile_names_are_passed_over(index: IndexServer) -> None:
    good = sdist("1.0")
    index.add(
        "demo",
        good,
        IndexFile("../demo-9.0.tar.gz"),
        IndexFile("..\\demo-9.0.tar.gz"),
        IndexFile("/etc/demo-9.0.tar.gz"),
        IndexFile("demo-9.0 .tar.gz"),
        IndexFile("other-9.0.tar.gz"),
        IndexFile("demo-nine.tar.gz"),
        IndexFile("demo-9.0.tar.bz2"),
        IndexFile("other-1.0-cp313-cp313-manylinux2014_aarch64.whl"),
        IndexFile("demo-1.0-cp313-cp313-manylinux2014_aarch64"),
        IndexFile("demo-1.0-$(x)-cp313-manylinux2014_aarch64.whl"),
    )
    found = look_up("demo", None, index=index.url)
    assert (found.version, found.file, found.wheels) == ("1.0", good.name, ())


def test_a_requires_python_that_is_none(index: IndexServer, capsys: pytest.CaptureFixture[str]) -> None:
    index.add("demo", sdist("1.0", requires_python=">=3.9, or so"))
    assert look_up("demo", None, index=index.url).requires_python == ""
    assert "is not valid; taken as none" in capsys.readouterr().err


def test_tar_is_preferred_to_zip(index: IndexServer) -> None:
    index.add("demo", IndexFile("demo-1.0.zip", b"z"), IndexFile("demo-1.0.tar.gz", b"t"))
    assert look_up("demo", None, index=index.url).file == "demo-1.0.tar.gz"


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault(status=403), "refuses access"),
        (Fault(status=418), "answers 418"),
        (Fault(body=b"{}", content_type=JSON), "is not a page of the simple API"),
        (Fault(body=b"[" * 100_000, content_type=JSON), "is not a page of the simple API"),
        (Fault(body=b"\xff\xfe{", content_type=JSON), "is not a page of the simple API"),
        (
            Fault(
                body=json.dumps({"meta": {"api-version": "9.0"}, "name": "demo", "files": []}).encode(),
                content_type=JSON,
            ),
            "is not a page of the simple API",
        ),
        (Fault(body=b"%PDF", content_type="application/pdf"), "which is not the simple API"),
        (Fault(cut_after=20), "broke off in the middle"),
        (Fault(body=b"<h1>Log in</h1>", content_type="text/html"), "lists nothing, and does not say what it is"),
    ],
)
def test_answers_that_no_index_gives(fault: Fault, said: str) -> None:
    with IndexServer() as index:
        index.add("demo", sdist("1.0"))
        index.fault(PAGE, fault)
        with pytest.raises(WheelyardError) as caught:
            look_up("demo", None, index=index.url)
    assert said in str(caught.value)
    assert caught.value.fix is not None


def test_a_server_that_stumbles_is_asked_again() -> None:
    with IndexServer() as index:
        index.add("demo", sdist("1.0"))
        index.fault(PAGE, Fault(status=503, times=1))
        assert look_up("demo", None, index=index.url).version == "1.0"
        assert index.paths == [PAGE, PAGE]


def test_no_server_at_all() -> None:
    with IndexServer() as index:
        url = index.url
    with pytest.raises(NetworkError, match="cannot be reached"):
        look_up("demo", None, index=url)


def test_where_the_pinned_file_is(index: IndexServer) -> None:
    index.add("demo", sdist("1.0"))
    pinned = look_up("demo", None, index=index.url)
    assert sdist_url("demo", pinned, index=index.url) == index.file_url("demo", "demo-1.0.tar.gz")
    index.add("demo", IndexFile("demo-1.0.tar.gz", b"other bytes under the same name"))
    with pytest.raises(SourceError, match="is another file"):
        sdist_url("demo", pinned, index=index.url)
    gone = pinned.model_copy(update={"file": "demo-0.9.tar.gz"})
    with pytest.raises(SourceError, match=r"does not list demo-0\.9\.tar\.gz any more"):
        sdist_url("demo", gone, index=index.url)


@pytest.mark.parametrize("address", ["file:///etc/passwd", "ftp://127.0.0.1/demo-1.0.tar.gz", "javascript:x"])
def test_a_file_at_an_address_that_we_do_not_follow(address: str) -> None:
    with IndexServer() as index:
        index.add("demo", sdist("1.0", url=address))
        pinned = look_up("demo", None, index=index.url)
        with pytest.raises(SourceError):
            sdist_url("demo", pinned, index=index.url)


def test_an_index_that_is_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "simple" / "demo"
    folder.mkdir(parents=True)
    digest = "a" * 64
    (folder / "index.html").write_text(f'<a href="../../demo-1.0.tar.gz#sha256={digest}">demo-1.0.tar.gz</a>')
    url = check_index((tmp_path / "simple").as_uri(), "here")
    found = look_up("demo", None, index=url)
    assert (found.version, found.sha256) == ("1.0", digest)
    assert sdist_url("demo", found, index=url) == (tmp_path / "demo-1.0.tar.gz").as_uri()
    with pytest.raises(UnknownPackageError):
        look_up("other", None, index=url)


# ---------------------------------------------------------------- which index


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("WHEELYARD_INDEX", "PIP_INDEX_URL", "UV_INDEX_URL", "PIP_CONFIG_FILE", "VIRTUAL_ENV"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path


def test_the_environment_comes_before_pips_configuration(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = bare / "config" / "pip" / "pip.conf"
    config.parent.mkdir(parents=True)
    config.write_text("[global]\nindex-url = https://configured.example/simple\ntimeout = 5%\n")
    assert index_url() == "https://configured.example/simple/"
    monkeypatch.setenv("UV_INDEX_URL", "https://uv.example/simple/")
    assert index_url() == "https://uv.example/simple/"
    monkeypatch.setenv("PIP_INDEX_URL", "https://pip.example/simple/")
    assert index_url() == "https://pip.example/simple/"
    monkeypatch.setenv("WHEELYARD_INDEX", "http://ours.example/simple")
    assert index_url() == "http://ours.example/simple/"


def test_a_broken_pip_configuration_is_said_and_passed_over(bare: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (bare / ".pip").mkdir()
    (bare / ".pip" / "pip.conf").write_text("index-url = x\n")
    assert index_url().startswith("http")
    assert "cannot be read as pip's configuration" in capsys.readouterr().err


@pytest.mark.parametrize("address", ["ftp://x.example/simple", "x.example", "https://", "javascript:alert(1)"])
def test_an_index_that_is_none(bare: Path, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("WHEELYARD_INDEX", address)
    with pytest.raises(ConfigError) as caught:
        index_url()
    assert caught.value.where == "$WHEELYARD_INDEX"


def test_a_password_in_the_address_is_kept_out_of_the_log(bare: Path) -> None:
    check_index("https://user:p%40ssword-1@index.example/simple", "here")
    assert "p%40ssword-1" not in log.redact("https://user:p%40ssword-1@index.example")
    assert "p@ssword-1" not in log.redact("p@ssword-1")
