"""What is kept of an index's page: little, all of it checked, the same from the cache, whatever the page says."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from support.index import Fault, IndexServer
from support.timeline import ALL, RISCV, Timeline, breaks, release, rename, says, status, vanish, wheels, yank
from wheelyard.core.errors import NetworkError
from wheelyard.index.project_summary import ProjectFacts, ReleaseFacts, Shipped, Upstream, condense
from wheelyard.io import simple_api

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def page(*files: str | dict[str, Any], **more: Any) -> ProjectFacts:
    """Condense a JSON page with these files."""
    entries = [{"filename": file} if isinstance(file, str) else file for file in files]
    told = {
        "meta": {"api-version": "1.4"},
        "name": "demo",
        "files": [{"url": f"https://files.example.org/{each['filename']}", "hashes": {}, **each} for each in entries],
        **more,
    }
    return condense(
        "demo", simple_api.project_page("demo", json.dumps(told).encode(), simple_api.JSON, "https://x/", fix="")
    )


def at(file: str, day: str) -> dict[str, Any]:
    return {"filename": file, "upload-time": f"{day}T23:30:00Z"}


def test_what_a_page_says_of_a_release() -> None:
    found = page(
        at("demo-1.0.tar.gz", "2026-01-03"),
        at("demo-1.0-cp312-cp312-manylinux2014_aarch64.manylinux_2_17_aarch64.whl", "2026-01-02"),
        at("demo-1.0-cp312-cp312-manylinux_2_41_riscv64.whl", "2026-02-01"),
        at("demo-1.0-cp312-cp312-manylinux_2_39_riscv64.manylinux_2_41_riscv64.whl", "2026-03-01"),
        at("demo-1.0-cp313-cp313-musllinux_1_2_riscv64.whl", "2026-01-02"),
        at("demo-1.0-cp39-abi3-manylinux_2_31_riscv64.whl", "2026-01-02"),
        {"filename": "demo-0.9-py3-none-any.whl", "requires-python": ">=3.8", "yanked": "bad \x1b[31m"},
        {"filename": "demo-2.0rc1.tar.gz", "requires-python": "three or more"},
    )
    assert found.name == "demo"
    assert [str(each.version) for each in found.releases] == ["2.0rc1", "1.0", "0.9"]
    candidate, newest, old = found.releases
    assert (found.newest, candidate.requires_python, candidate.final) == (newest, "", False)
    assert newest == ReleaseFacts(
        version=Version("1.0"),
        released=date(2026, 1, 2),
        reference="aarch64",
        wheels=("cp312-cp312",),
        ships=(
            Shipped("cp312-cp312", (2, 39), date(2026, 3, 1)),  # of two the one that more systems can install
            Shipped("cp39-abi3", (2, 31), date(2026, 1, 2)),
        ),
    )
    assert (old.sdist, old.pure, old.reference, old.requires_python, old.final) == (
        False,
        ("py3-none",),
        "any",
        ">=3.8",
        False,
    )
    assert old.yanked is not None
    assert old.yanked.isprintable()


HOSTILE = (
    "../../../etc/passwd",
    "demo-1.0/../../x.tar.gz",
    "..",
    "demo-1.0-cp312-cp312-manylinux_2_39_riscv64.whl\x1b[2J",
    "demo-\x1b]0;owned\x07.tar.gz",
    "<script>alert(1)</script>.tar.gz",
    "demo-<b>1.0</b>.tar.gz",
    "demo-1.0-cp312-cp312!x-manylinux_2_39_riscv64.whl",
    "demo-1.0-cp312-cp312+x-manylinux_2_39_riscv64.whl",
    "demo-1.0-cp312-\u202ecp312-manylinux_2_39_riscv64.whl",
    f"demo-{'1' * 10_000}.tar.gz",
    f"demo-{'1' * 10_000}-py3-none-any.whl",
    f"demo-{'1.' * 5_000}1.tar.gz",
    f"demo-1.0+{'a' * 10_000}-py3-none-any.whl",
    f"demo-1.0-{'.'.join(f'cp3{n}' for n in range(99))}-{'.'.join(f'a{n}' for n in range(99))}-any.whl",
    "demo-1.0-cp312-cp312-manylinux_99999999999_1_riscv64.whl",
    "other-1.0.tar.gz",
    "demo-9.9.exe",
    "demo-.tar.gz",
    "-.whl",
    "",
)


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_a_name_that_is_none_hides_nothing_else(name: str) -> None:
    found = page(name, "demo-1.0.tar.gz", versions=["1.0", name])
    assert found.newest is not None
    assert str(found.newest.version) == "1.0"
    assert len(found.releases) == 1
    kept = json.dumps([[each.pair for each in one.ships] for one in found.releases])
    for mark in ("!", "+", "\\u", "<", "..", "1111111"):
        assert mark not in kept


@pytest.mark.parametrize(
    "text", [f">={'1' * 5000}", "3", "<b>", ">=3.9\x1b[31m", "~=" + "1." * 9000, f"=={'9' * 5000}.*"], ids=range(6)
)
def test_a_specifier_that_cannot_be_used_is_none(text: str) -> None:
    found = page({"filename": "demo-1.0.tar.gz", "requires-python": text})
    (one,) = found.releases
    assert one.requires_python.isprintable()
    SpecifierSet(one.requires_python).contains("3.12.1")


@pytest.mark.parametrize(
    "keys",
    [
        {"versions": None},
        {"versions": {"a": 1}},
        {"versions": [1, None]},
        {"versions": [f"{n}.0" for n in range(40)], "files": None},
        {"versions": [f"{n}.0" for n in range(40)], "files": {"a": 1}},
        {"versions": [f"{n}.0" for n in range(40)], "files": [1, None, "x"]},
        {"name": 3},
        {"name": None},
        {"meta": None},
        {"project-status": {"status": "on fire"}},
        {"files": [{"filename": "demo-1.0.tar.gz", "url": "http://[", "hashes": {}}]},
        {"files": [{"filename": "demo-1.0.tar.gz", "url": "https://x/", "hashes": {}, "upload-time": "yesterday"}]},
        {"files": [{"filename": 7, "url": "https://x/", "hashes": {}}]},
    ],
    ids=str,
)
def test_json_that_is_no_page_is_an_error_for_people(keys: dict[str, Any]) -> None:
    told = {"meta": {"api-version": "1.1"}, "name": "demo", "files": []} | keys
    body = json.dumps(told).encode()
    with contextlib.suppress(NetworkError):  # anything else would end the run for all packages
        condense("demo", simple_api.project_page("demo", body, simple_api.JSON, "https://x/", fix="", newest=2))


def test_a_name_that_is_none_is_the_one_that_was_asked_for() -> None:
    assert page(name="\x1b[31m").name == "demo"
    assert page(name="Demo_NG").name == "demo-ng"


def test_the_status_of_a_project() -> None:
    found = page(**{"project-status": {"status": "archived", "reason": "no \x1b[31mtime" + "x" * 9999}})
    assert (found.status, found.reason.isprintable(), len(found.reason)) == ("archived", True, 200)
    assert page().status == "active"


# ------------------------------------------------------------------- the newest

VERSIONS = ("0.1", "0.9", "1.0", "1.0.post1", "1.1.dev2", "1.1rc1", "1.1", "2!0.1", "2.0a1", "2.0", "2.0+local", "10.0")
NAMES = st.builds(
    lambda version, form: form.format(version),
    st.sampled_from(VERSIONS),
    st.sampled_from(
        [
            "demo-{}.tar.gz",
            "demo-{}.zip",
            "demo-{}-cp312-cp312-manylinux_2_39_riscv64.whl",
            "demo-{}-py3-none-any.whl",
            "demo-{}-1-cp313-cp313-manylinux2014_aarch64.whl",
            "demo-{}-py3-none-manylinux_2_28_aarch64.whl",
            "demo-{}-pp311-pypy311_pp73-manylinux_2_28_aarch64.whl",
            "demo-{}-cp314-cp314t-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
            "demo-{}-pp311-pypy311_pp73-manylinux_2_28_x86_64.whl",
            "demo-{}-cp312-cp312-manylinux_2_17_s390x.whl",
            "demo-{}-cp313-cp313-musllinux_1_2_riscv64.whl",
            "demo-{}-cp39-abi3-macosx_11_0_arm64.whl",
            "demo-{}-cp314-cp314-win_amd64.whl",
            "demo-{}.exe",
            "demo.tar.gz",
            "other-{}-cp312-cp312-manylinux_2_17_aarch64.whl",
            "demo-{}-x-cp312-cp312-manylinux_2_17_aarch64.whl",
            "demo-{}-1$-cp312-cp312-manylinux_2_17_aarch64.whl",
            "demo-{}-cp312-cp312-manylinux2016_aarch64.whl",
            "Demo-{}-CP312-cp312-MANYLINUX_2_17_RISCV64.whl",
            "demo-{}-1" + "0" * 240 + "-cp312-cp312-manylinux_2_17_x86_64.whl",
            "demo-{}",
        ]
    ),
)


FILES = st.fixed_dictionaries(
    {},
    optional={
        "yanked": st.sampled_from([False, True, "", "bad"]),
        "requires-python": st.sampled_from([None, ">=3.9", ">=3.10"]),
        "upload-time": st.sampled_from(["2026-01-01T00:00:00Z", "2026-01-01T23:59:59.5Z", "2026-03-01T00:00:00Z"]),
    },
)


@given(
    st.dictionaries(NAMES, FILES, max_size=24),
    st.integers(1, 8),
    st.none() | st.sampled_from(VERSIONS).map(Version),
)
def test_the_newest_are_the_same_as_of_the_whole_page(
    names: dict[str, dict[str, object]], count: int, back_to: Version | None
) -> None:
    told = {
        "meta": {"api-version": "1.1"},
        "name": "demo",
        "versions": list(VERSIONS),
        "files": [{"filename": name, "url": f"https://x/{name}", "hashes": {}} | more for name, more in names.items()],
    }
    body = json.dumps(told).encode()
    whole = condense("demo", simple_api.project_page("demo", body, simple_api.JSON, "https://x/", fix=""))
    part = simple_api.project_page("demo", body, simple_api.JSON, "https://x/", fix="", newest=count, back_to=back_to)
    some = condense("demo", part)
    final = sorted((Version(text) for text in VERSIONS if not Version(text).is_prerelease), reverse=True)
    oldest = min(final[count - 1], back_to or final[count - 1])
    assert some.releases == tuple(each for each in whole.releases if each.version >= oldest)


def test_versions_that_are_older_than_the_newest_are_not_even_read() -> None:
    names = [
        f"demo-{number}.0-cp313-cp313-{tag}.whl" for number in (1, 2) for tag in ("win_amd64", "macosx_11_0_arm64")
    ]
    names += ["demo-2.0-cp313-cp313-manylinux_2_28_x86_64.whl", "demo-2.0.tar.gz", "demo-0.1.tar.gz"]
    told = {
        "meta": {"api-version": "1.1"},
        "name": "demo",
        "versions": ["0.1", "1.0", "2.0"],
        "files": [{"filename": name, "url": f"https://x/{name}", "hashes": {}} for name in names],
    }
    page = simple_api.project_page("demo", json.dumps(told).encode(), simple_api.JSON, "https://x/", fix="", newest=2)
    assert {package.filename for package in page.packages} == {*names[:6]}


# -------------------------------------------------------------------- the cache


@pytest.fixture
def index() -> Iterator[IndexServer]:
    with IndexServer(validators=("ETag",)) as server:
        yield server


PAIRS = st.sampled_from(["cp312-cp312", "cp39-abi3", "py2.py3-none"])
SHIPPED = st.builds(Shipped, PAIRS, st.tuples(st.integers(0, 9), st.integers(0, 99)), st.none() | st.dates())
RELEASES = st.builds(
    ReleaseFacts,
    version=st.sampled_from(VERSIONS).map(Version),
    released=st.none() | st.dates(),
    requires_python=st.sampled_from(["", ">=3.9", "!=3.1.*,>=3"]),
    yanked=st.none() | st.text(max_size=9),
    sdist=st.booleans(),
    pure=st.lists(PAIRS).map(tuple),
    reference=st.sampled_from(["", "any", "aarch64"]),
    wheels=st.lists(PAIRS).map(tuple),
    ships=st.lists(SHIPPED, max_size=3).map(tuple),
)


@given(st.builds(ProjectFacts, st.just("demo"), st.just("archived"), st.text(), st.lists(RELEASES).map(tuple)))
def test_facts_come_back_from_the_cache_as_they_were(facts: ProjectFacts) -> None:
    from wheelyard.index import project_summary as module

    assert module._from_json(json.loads(json.dumps(module._to_json(facts)))) == facts


@pytest.mark.parametrize("validators", [("ETag",), ("Last-Modified",), ("ETag", "Last-Modified"), ()], ids=str)
def test_what_has_not_changed_is_not_sent_again(tmp_path: Path, validators: tuple[str, ...]) -> None:
    with IndexServer(validators=validators) as index:
        timeline = Timeline(index)
        timeline.at(0, release("demo", "1.0", *ALL))
        timeline.at(1, wheels("demo", "1.0", *RISCV[:1]))
        timeline.advance(0)
        first = Upstream(index.url, tmp_path).facts("Demo")
        assert Upstream(index.url, tmp_path).facts("demo") == first
        timeline.advance(1)
        changed = Upstream(index.url, tmp_path).facts("demo")
        assert changed == replace(
            first,
            releases=(replace(first.releases[0], ships=(Shipped("cp312-cp312", (2, 39), date(2026, 1, 2)),)),),
        )
        assert Upstream(index.url, tmp_path).facts("demo") == changed
        again = 304 if validators else 200
        assert [answer for _, answer in index.answers] == [200, again, 200, again]
        assert bool(list(tmp_path.rglob("*.json"))) == bool(validators)


@pytest.mark.parametrize(
    "spoil",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"layout": 1}',
        b'{"layout": 2, "validators": {"If-None-Match": "x"}}',
        b'{"layout": 2, "validators": {}, "back_to": 3, "facts": ["demo", "active", "", []]}',
        b'{"layout": 2, "validators": {}, "back_to": "x", "facts": ["demo", "active", "", []]}',
        b'{"layout": 2, "validators": [], "back_to": null, "facts": ["demo", "active", "", []]}',
        b'{"layout": 2, "validators": {}, "back_to": null, "facts": ["demo", "active", "", [["x"]]]}',
        b'{"layout": 2, "validators": {}, "back_to": null, "facts": ["demo", "active", "", [["x", 1, 2, 3]]]}',
        b"[" * 100_000,
        b"\xff\xfe",
    ],
    ids=range(13),
)
def test_a_spoilt_cache_is_as_good_as_none(tmp_path: Path, index: IndexServer, spoil: bytes) -> None:
    Timeline(index).now(release("demo", "1.0", *ALL))
    first = Upstream(index.url, tmp_path).facts("demo")
    (file,) = tmp_path.rglob("*.json")
    file.write_bytes(spoil)
    assert Upstream(index.url, tmp_path).facts("demo") == first
    assert [answer for _, answer in index.answers] == [200, 200]
    assert Upstream(index.url, tmp_path).facts("demo") == first
    assert index.answers[-1] == ("/simple/demo/", 304)


def test_indexes_and_depths_do_not_share_a_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHEELYARD_CACHE", str(tmp_path))
    for version in ("1.0", "2.0"):
        with IndexServer(validators=("ETag",)) as index:
            Timeline(index).now(release("demo", version))
            for newest in (None, 5):
                found = Upstream(index.url, newest=newest).facts("demo")
                assert [str(each.version) for each in found.releases] == [version]
            assert [answer for _, answer in index.answers] == [200, 200]


def test_pre_releases_and_yanked_ones_do_not_hide_the_newest_final_one(tmp_path: Path, index: IndexServer) -> None:
    timeline = Timeline(index)
    timeline.now(release("demo", "1.0"), *(release("demo", f"2.0.dev{n}") for n in range(30)))
    found = Upstream(index.url, tmp_path, newest=5).facts("demo")
    assert found.newest is not None
    assert str(found.newest.version) == "1.0"
    for n in range(8):
        timeline.now(release("demo", f"3.{n}.0"), yank("demo", f"3.{n}.0", "broken"))
    found = Upstream(index.url, tmp_path, newest=5).facts("demo")
    assert found.newest is not None
    assert str(found.newest.version) == "1.0"


def test_the_cache_knows_how_far_it_reaches(tmp_path: Path, index: IndexServer) -> None:
    Timeline(index).now(*(release("demo", f"{n}.0") for n in range(1, 9)))

    def oldest(back_to: str | None) -> tuple[str, int]:
        found = Upstream(index.url, tmp_path, newest=2).facts("demo", back_to=Version(back_to) if back_to else None)
        return str(found.releases[-1].version), index.answers[-1][1]

    assert oldest(None) == ("7.0", 200)
    assert oldest("7.0") == ("7.0", 304)
    assert oldest("4.0") == ("4.0", 200)
    assert oldest("5.0") == ("4.0", 304)
    assert oldest(None) == ("4.0", 304)
    # As far as there is anything: not asked for in full each time.
    assert oldest("0.5") == ("1.0", 200)
    assert oldest("0.5") == ("1.0", 304)


def test_addresses_that_are_not_whole_are_completed() -> None:
    for url, wanted in (("../../f.whl", "https://x/f.whl"), ("https://y/f.whl", "https://y/f.whl")):
        files = [
            {"filename": "a-1-py3-none-any.whl", "url": "https://y/a.whl", "hashes": {}},
            {"filename": "f-1-py3-none-any.whl", "url": url, "hashes": {}},
        ]
        body = json.dumps({"meta": {"api-version": "1.0"}, "name": "f", "files": files}).encode()
        found = simple_api.project_page("f", body, simple_api.JSON, "https://x/simple/f/", fix="")
        assert [each.url for each in found.packages] == ["https://y/a.whl", wanted]


def test_a_304_that_nobody_asked_for_is_no_page(tmp_path: Path, index: IndexServer) -> None:
    timeline = Timeline(index)
    for code in (304, 204, 206, 300):
        timeline.now(breaks("demo", Fault(status=code, times=1)))
        with pytest.raises(NetworkError, match=f"answers {code} for 'demo'"):
            Upstream(index.url, tmp_path).facts("demo")


def test_an_index_through_time(tmp_path: Path, index: IndexServer) -> None:
    timeline = Timeline(index)
    timeline.at(0, release("demo", "1.0", *ALL))
    timeline.at(1, rename("demo", "Demo.NG"), status("demo", "deprecated", "see demo-ng"))
    timeline.at(2, vanish("demo", "aarch64"))
    timeline.at(3, says("demo", {"meta": {"api-version": "1.4"}, "name": "demo", "files": []}))
    seen = []
    for day in range(4):
        timeline.advance(day)
        seen.append(Upstream(index.url, tmp_path).facts("demo"))
    assert [(each.name, each.status) for each in seen[:2]] == [("demo", "active"), ("demo-ng", "deprecated")]
    assert [each.releases[0].reference for each in seen[1:3]] == ["aarch64", "x86_64"]
    assert seen[3].releases == ()
