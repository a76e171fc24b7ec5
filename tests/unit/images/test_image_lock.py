"""The lock of Debian packages: what it may say, and that the shipped one is of the shipped definition."""

from __future__ import annotations

import dataclasses
import tomllib
from importlib import resources
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wheelyard.core.errors import ImageError
from wheelyard.core.values import ImageChoice
from wheelyard.images.local import compiler, definition, lock
from wheelyard.images.local.debian import Deb
from wheelyard.images.local.lock import Group, Lock
from wheelyard.images.local.packages import lock_of

POLICY = "manylinux_2_39_riscv64"
DEFINITIONS = resources.files("wheelyard.images").joinpath("definitions")
IMAGES: dict[str, Any] = tomllib.loads(DEFINITIONS.joinpath("images.toml").read_text(encoding="utf-8"))
LOCKED = [suite for suite, table in IMAGES["suite"].items() if table.get("locked")]
SHA = "0123456789abcdef" * 4

NAMES = st.from_regex(r"\A[a-z0-9][a-z0-9+.-]{1,8}\Z")
VERSIONS = st.from_regex(r"\A[0-9][A-Za-z0-9+.~-]{0,8}\Z")
DEBS = st.builds(
    Deb,
    st.builds("{}_{}_{}.deb".format, NAMES, VERSIONS, st.sampled_from(["riscv64", "amd64", "all"])),
    st.builds("pool/{}/{}/{}".format, st.sampled_from(["main", "contrib"]), st.sampled_from(["b", "libb"]), NAMES),
    st.integers(1, 10**9),
    st.from_regex(r"\A[0-9a-f]{64}\Z"),
)
GROUPS = st.dictionaries(
    st.from_regex(r"\A[a-z0-9-]{1,6}( [a-z0-9-]{1,6}){0,2}\Z"),
    st.sets(DEBS, max_size=4).map(lambda s: tuple(sorted(s))),
)


def deb(name: str, version: str = "1.0-1", arch: str = "riscv64") -> Deb:
    made = Deb.at(f"pool/main/{name[0]}/{name}/{name}_{version}_{arch}.deb", 7, SHA)
    assert made
    return made


@given(st.builds(Lock, st.from_regex(r"\A[0-9a-f]{64}\Z"), GROUPS))
def test_a_lock_reads_as_it_was_written(made: Lock) -> None:
    text = lock.write(made)
    assert lock.parse(text, "x.lock") == made
    assert lock.write(lock.parse(text, "x.lock")) == text


GOOD = lock.write(Lock("f" * 64, {"base": (deb("bash"), deb("zlib")), "extra rust": (deb("rustc"),)}))
BASH = f"pool/main/b/bash/bash_1.0-1_riscv64.deb 7 {SHA}\n"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("pool/main/b/bash/", "https://mirror.example/pool/main/b/bash/"),
        ("pool/main/b/bash/", "/pool/main/b/bash/"),
        ("pool/main/b/bash/", "pool/main/b/../../"),
        ("pool/main/b/bash/", "pool/main/b/../bash/"),
        ("pool/main/b/bash/", "../main/b/bash/"),
        ("bash_1.0-1_riscv64.deb", "bash_1.0-1_riscv64.deb/x"),
        ("bash_1.0-1_riscv64.deb", "bash_1%3a1.0-1_riscv64.deb"),
        ("bash_1.0-1_riscv64.deb", "bash_1.0-1.deb"),
        ("bash_1.0-1_riscv64.deb", "bash_1.0-1_riscv64.udeb"),
        ("bash_1.0-1_riscv64.deb", "bash 1.0-1_riscv64.deb"),
        (f" 7 {SHA}", f" -7 {SHA}"),
        (f" 7 {SHA}", f" 0 {SHA}"),
        (f" 7 {SHA}", f" 07 {SHA}"),
        (f" 7 {SHA}", f" \u0667 {SHA}"),
        (f" 7 {SHA}", f" {SHA}"),
        (SHA, SHA[1:]),
        (SHA, SHA.upper()),
        (SHA, f"{SHA} more"),
        (BASH, BASH + BASH),
        (BASH, BASH + "# said by somebody\n"),
        (BASH, BASH + "\n"),
        (BASH, BASH.replace("\n", "\r\n")),
        (BASH, BASH.replace("\n", "\x85")),
        ("[extra rust]\n", f"[extra rust]\n{BASH}[extra rust]\n"),
        ("[base]\n", ""),
        ("[base]", "[BASE]"),
        ("f" * 64, "f" * 63),
        ("names", "name"),
        (GOOD, GOOD.rstrip("\n")),
        (GOOD, ""),
        (GOOD, "\n".join(reversed(GOOD.split("\n")))),
    ],
)
def test_what_is_no_lock_is_refused_with_its_line(old: str, new: str) -> None:
    assert old in GOOD
    with pytest.raises(ImageError, match="is not a valid line of a package lock") as caught:
        lock.parse(GOOD.replace(old, new, 1), "x.lock")
    assert str(caught.value).startswith("x.lock:")


def test_what_is_out_of_order_is_refused() -> None:
    zlib = f"pool/main/z/zlib/zlib_1.0-1_riscv64.deb 7 {SHA}\n"
    with pytest.raises(ImageError, match=r"^x\.lock:4: .*zlib_1"):
        lock.parse(GOOD.replace(BASH + zlib, zlib + BASH), "x.lock")


def test_a_group_holds_what_it_adds() -> None:
    wanted = {
        "base": Group("riscv64", ("bash",)),
        "extra rust": Group("riscv64", ("rustc",), "base"),
        "hosted amd64": Group("amd64", ("gcc",)),
    }
    closures = {
        "base": (deb("libc6"), deb("bash")),
        "extra rust": (deb("bash"), deb("libc6"), deb("rustc")),
        "hosted amd64": (deb("gcc", arch="amd64"), deb("gcc-cross-base", arch="amd64"), deb("libc6-cross", arch="all")),
    }
    made = lock_of(wanted, closures)
    assert made.groups == {
        "base": (deb("bash"), deb("libc6")),
        "extra rust": (deb("rustc"),),
        "hosted amd64": (deb("gcc", arch="amd64"),),
    }
    assert made.fits(wanted)


@pytest.mark.parametrize(
    "change",
    [
        {"base": Group("riscv64", ("bash", "zsh"))},
        {"base": Group("amd64", ("bash",))},
        {"extra rust": Group("riscv64", ("rustc",), "base")},
    ],
)
def test_a_lock_of_other_names_does_not_fit(change: dict[str, Group]) -> None:
    wanted = {"base": Group("riscv64", ("bash",))}
    made = lock_of(wanted, {"base": (deb("bash"),)})
    assert made.fits(wanted)
    assert not made.fits(wanted | change)
    assert not dataclasses.replace(made, groups={}).fits(wanted)


def test_extras_that_share_a_package_take_it_once() -> None:
    made = Lock(SHA, {"base": (deb("bash"),), "extra a": (deb("xx"), deb("yy")), "extra b": (deb("ww"), deb("xx"))})
    assert made.packages(("a", "b"), "").extra == (deb("ww"), deb("xx"), deb("yy"))


# --------------------------------------------------------------- what is shipped


def shipped(suite: str) -> Lock:
    found = definition.shipped_lock(suite)
    assert found
    return found


def test_stable_suites_are_locked_and_no_others() -> None:
    files = {file.name.removesuffix(".lock") for file in DEFINITIONS.iterdir() if file.name.endswith(".lock")}
    assert files == set(LOCKED) == {"trixie"}
    assert definition.load(ImageChoice.parse("local:forky"), POLICY).locked is None


@pytest.mark.parametrize("suite", LOCKED)
def test_the_shipped_lock_is_of_the_shipped_definition(suite: str) -> None:
    made, wanted = shipped(suite), definition.groups(IMAGES, suite)
    assert made.fits(wanted), "run `nox -s pins`"
    for name, group in wanted.items():
        there = (*made.groups[name], *(made.groups[group.on] if group.on else ()))
        assert set(group.names) <= {each.name for each in there}, name
        assert {each.arch for each in there} <= {group.arch, "all"}, name
        assert len({each.name for each in there}) == len(there), name


@pytest.mark.parametrize("suite", LOCKED)
def test_the_locked_compilers_are_of_one_version(suite: str) -> None:
    made = shipped(suite)
    compiler.same_version(made.groups["base"], made.groups["hosted amd64"], IMAGES["suite"][suite]["gcc"], "")


@pytest.mark.parametrize("suite", LOCKED)
def test_the_shipped_lock_names_no_server(suite: str) -> None:
    text = DEFINITIONS.joinpath(f"{suite}.lock").read_text(encoding="utf-8")
    assert "//" not in text
    assert len(text.splitlines()) > 300


def test_an_image_is_named_after_what_is_locked(monkeypatch: pytest.MonkeyPatch) -> None:
    choice = ImageChoice.parse("local")
    load = definition.load.__wrapped__
    before = load(choice, POLICY)
    made = shipped("trixie")
    newer = dataclasses.replace(made, groups={**made.groups, "base": (*made.groups["base"], deb("zzz"))})
    other = dataclasses.replace(made, names=SHA)
    found = {}
    for name, each in {"newer": newer, "of other names": other, "none": None}.items():
        monkeypatch.setattr(definition, "shipped_lock", lambda _, each=each: each)
        found[name] = load(choice, POLICY)
    assert before.locked
    assert len({before.digest, found["newer"].digest, found["none"].digest}) == 3
    assert found["none"].locked is None
    assert found["of other names"] == found["none"]


@pytest.mark.parametrize("text", ["local+emulated", "local", "local+fortran+rust", "local+emulated+fortran"])
def test_a_choice_takes_the_groups_it_needs(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    choice = ImageChoice.parse(text)
    made = definition.load.__wrapped__(choice, POLICY)
    assert made.locked
    groups = shipped("trixie").groups
    assert made.locked.base == groups["base"]
    assert set(made.locked.extra) == {each for name in choice.extras for each in groups[f"extra {name}"]}
    names = {each.name for each in made.locked.hosted}
    assert set(made.hosted) <= names
    assert bool(names) != choice.emulated_compiler
    assert bool(made.locked.python) != choice.emulated_compiler
    assert made.locked.all == {*made.locked.base, *made.locked.extra, *made.locked.hosted, *made.locked.python}


def test_a_riscv64_machine_needs_nothing_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    made = definition.load.__wrapped__(ImageChoice.parse("local"), POLICY).locked
    assert made
    assert (made.hosted, made.python) == ((), ())
