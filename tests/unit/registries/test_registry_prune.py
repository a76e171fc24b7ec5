"""What pruning may take: never what is pinned, never one of the newest, never what is no wheel of the package."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from wheelyard.registries import RegistryFile
from wheelyard.registries.retention import plan_pruning

VERSIONS = st.from_regex(r"\A([12]!)?[0-9](\.[0-9]){0,2}(a1|rc[12])?(\.post1)?(\.dev1)?(\+(cpu|cuda))?\Z").map(Version)
PYTHONS = ("cp312", "cp313")
# Each version with its wheels: for each interpreter, whether there is one, and whether it is yanked.
STOCKS = st.dictionaries(VERSIONS, st.lists(st.none() | st.booleans(), min_size=2, max_size=2), max_size=12)


def wheel(version: object, python: str = "cp313", *, name: str = "demo", yanked: bool = False) -> RegistryFile:
    file = f"{name}-{version}-{python}-{python}-manylinux_2_39_riscv64.whl"
    return RegistryFile(file, "a" * 64, yanked="bad" if yanked else None)


def files_of(stock: dict[Version, list[bool | None]]) -> list[RegistryFile]:
    return [
        wheel(version, python, yanked=yanked)
        for version, wheels in stock.items()
        for python, yanked in zip(PYTHONS, wheels, strict=True)
        if yanked is not None
    ]


def plan(versions: str, *, keep: int, referenced: str = "", yanked: str = "") -> dict[str, str]:
    """Return what becomes of each version, in the order of the plan."""
    files = [wheel(version, yanked=version in yanked.split()) for version in versions.split()]
    pinned = {Version(version) for version in referenced.split()}
    return {str(one.version): one.reason for one in plan_pruning("demo", files, keep=keep, referenced=pinned)}


def deleted(versions: str, *, keep: int, referenced: str = "", yanked: str = "") -> str:
    return " ".join(
        version
        for version, reason in plan(versions, keep=keep, referenced=referenced, yanked=yanked).items()
        if not reason
    )


@given(STOCKS, st.integers(1, 5), st.sets(VERSIONS, max_size=3))
def test_what_must_stay_stays(stock: dict[Version, list[bool | None]], keep: int, pinned: set[Version]) -> None:
    files = files_of(stock)
    planned = plan_pruning("demo", files, keep=keep, referenced=pinned)
    doomed = {one.version for one in planned if not one.reason}
    assert not doomed & pinned
    # Finals that installers choose by themselves, without their local parts, newest first.
    chosen = {
        Version(version.public) for version, wheels in stock.items() if not version.is_prerelease and False in wheels
    }
    newest = sorted(chosen, reverse=True)[:keep]
    assert not {Version(version.public) for version in doomed} & set(newest)
    # Whatever goes is older than everything of that, and there is as much of it as was asked for.
    assert all(Version(version.public) < newest[-1] for version in doomed)
    assert len(newest) == keep or not doomed & {v for v in stock if not v.is_prerelease and False in stock[v]}


@given(STOCKS, st.integers(0, 5), st.sets(VERSIONS, max_size=3))
def test_each_file_is_accounted_for_once(
    stock: dict[Version, list[bool | None]], keep: int, pinned: set[Version]
) -> None:
    files = files_of(stock)
    planned = plan_pruning("demo", [*files, *files], keep=keep, referenced=pinned)  # some may be listed twice
    assert sorted(name for one in planned for name in one.files) == sorted(file.file for file in files)
    assert [one.version for one in planned] == sorted({one.version for one in planned}, reverse=True)


@given(STOCKS)
def test_keeping_none_means_keeping_all(stock: dict[Version, list[bool | None]]) -> None:
    planned = plan_pruning("demo", files_of(stock), keep=0, referenced=())
    assert {one.reason for one in planned} <= {"all versions are kept"}


@given(STOCKS, st.integers(1, 5), st.sets(VERSIONS, max_size=3))
def test_pruning_what_was_pruned_takes_nothing_more(
    stock: dict[Version, list[bool | None]], keep: int, pinned: set[Version]
) -> None:
    files = files_of(stock)
    doomed = {
        n for one in plan_pruning("demo", files, keep=keep, referenced=pinned) if not one.reason for n in one.files
    }
    left = [file for file in files if file.file not in doomed]
    assert all(one.reason for one in plan_pruning("demo", left, keep=keep, referenced=pinned))


@pytest.mark.parametrize(
    ("versions", "keep", "goes"),
    [
        ("1.0 1.9 1.10", 2, "1.0"),
        ("1.0 2.0rc1", 1, ""),  # the way to the next one
        ("1.0 2.0rc1 2.0", 1, "2.0rc1 1.0"),  # that has been gone
        ("1.0a1 1.0 2.0.dev1 2.0 3.0rc1", 1, "2.0.dev1 1.0 1.0a1"),
        ("1.0rc1 1.0rc2", 1, ""),  # without a final version nobody knows what is wanted
        ("1.0 1.0.post1 1.0.post2", 1, "1.0.post1 1.0"),
        ("1.0+cpu 1.0+cuda 0.9+cpu", 1, "0.9+cpu"),  # one version in two flavours
        ("1.0 1.0+cpu 2.0", 1, "1.0+cpu 1.0"),
        ("1!1.0 2.0", 1, "2.0"),
        ("", 3, ""),
    ],
)
def test_which_versions_go(versions: str, keep: int, goes: str) -> None:
    assert deleted(versions, keep=keep) == goes


def test_what_is_pinned_stays_whatever_its_age() -> None:
    assert deleted("0.1 0.1+cpu 1.0 2.0 3.0", keep=1, referenced="0.1 2.0.0") == "1.0"


def test_yanked_versions_do_not_count_as_the_newest() -> None:
    """Otherwise nothing that an installer may choose would be left."""
    assert deleted("1.0 2.0 3.0", keep=1, yanked="3.0") == "1.0"
    assert deleted("1.0 2.0 3.0", keep=1, yanked="1.0 2.0") == "2.0 1.0"
    assert deleted("1.0 2.0", keep=1, yanked="1.0 2.0") == ""
    half = [wheel("2.0", "cp312", yanked=True), wheel("2.0"), wheel("1.0")]
    assert [bool(one.reason) for one in plan_pruning("demo", half, keep=1, referenced=())] == [True, False]


def test_every_reason_is_told() -> None:
    assert plan("1.0 2.0 3.0 4.0rc1", keep=1, referenced="1.0") == {
        "4.0rc1": "newer than what is kept",
        "3.0": "one of the newest 1",
        "2.0": "",
        "1.0": "pinned in lock.toml",
    }
    assert plan("1.0rc1", keep=1) == {"1.0rc1": "there is no version to keep instead"}


def test_what_is_no_wheel_of_the_package_is_left_alone() -> None:
    names = ["demo-0.1.tar.gz", "demo-0.1.whl", "README", "", "demo-0.1-cp313-cp313-linux.whl.metadata"]
    strangers = [RegistryFile(name, "a" * 64) for name in names] + [wheel("0.1", name="other")]
    planned = plan_pruning("demo", [*strangers, wheel("1.0"), wheel("2.0")], keep=1, referenced=())
    assert [name for one in planned for name in one.files] == [wheel("2.0").file, wheel("1.0").file]
