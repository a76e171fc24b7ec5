"""Records of two sides become one: nothing that either side put there is lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wheelyard.core.errors import PlanError, RegistryContentError
from wheelyard.records.merge import NAMES, merge
from wheelyard.records.releases import RELEASES, ReleasedFile

PATH = "packages/demo/releases.toml"


def entry(number: int, *, yanked: str | None = None, size: int = 1) -> ReleasedFile:
    file = f"demo-1.{number}-cp313-cp313-manylinux_2_39_riscv64.whl"
    return ReleasedFile(
        file=file, where="here", sha256="a" * 64, size=size, tags=("cp313-cp313-manylinux_2_39_riscv64",), yanked=yanked
    )


def text(numbers: frozenset[int]) -> bytes:
    return RELEASES.dump(entry(number) for number in numbers).encode()


SETS = st.frozensets(st.integers(0, 9))


@given(SETS, SETS, SETS)
def test_what_either_side_added_stays_and_what_either_removed_goes(
    old: frozenset[int], ours: frozenset[int], theirs: frozenset[int]
) -> None:
    wanted = (ours & theirs) | (ours - old) | (theirs - old)
    assert merge(PATH, text(old), text(ours), text(theirs)) == text(wanted)
    assert merge(PATH, text(old), text(theirs), text(ours)) == text(wanted)


@given(SETS, SETS, SETS)
def test_merging_again_changes_nothing(old: frozenset[int], ours: frozenset[int], theirs: frozenset[int]) -> None:
    once = merge(PATH, text(old), text(ours | old), text(theirs | old))
    assert merge(PATH, text(old), text(ours | old), once) == once


def test_a_yank_of_one_side_stays() -> None:
    old, yanked = RELEASES.dump([entry(1)]).encode(), RELEASES.dump([entry(1, yanked="bad")]).encode()
    new = RELEASES.dump([entry(1), entry(2)]).encode()
    assert merge(PATH, old, yanked, new) == RELEASES.dump([entry(1, yanked="bad"), entry(2)]).encode()
    assert merge(PATH, old, new, yanked) == RELEASES.dump([entry(1, yanked="bad"), entry(2)]).encode()


def test_two_truths_need_a_person() -> None:
    with pytest.raises(RegistryContentError, match="differ"):
        merge(PATH, None, RELEASES.dump([entry(1, size=2)]).encode(), RELEASES.dump([entry(1, size=3)]).encode())


def test_a_side_that_is_no_record_is_told() -> None:
    with pytest.raises(RegistryContentError):
        merge(PATH, None, text(frozenset({1})), b"<<<<<<< ours")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "bad",
    [
        b"\xff",
        b"\0",
        b"[",
        b"a = " + b"[" * 100_000,
        b'schema = "x"',
        b'schema = "wheelyard/%s"\nlayout = 1\nfiles = 3\nentries = 3\nbuilds = 3\n',
        b'schema = "wheelyard/%s"\nlayout = 1\nmore = "\xff"\n',
        RELEASES.dump([entry(1)]).encode().replace(b'where = "here"', b'where = "here", licence = "\xfe"'),
    ],
)
def test_what_is_no_record_is_refused_on_either_side(name: str, bad: bytes) -> None:
    path, kind = f"packages/demo/{name}", name.removesuffix(".toml").encode()
    good = b'schema = "wheelyard/%s"\nlayout = 1\n' % kind
    bad = bad.replace(b"%s", kind)
    for sides in (
        (good, bad, good + b"# more\n"),
        (bad, good, good + b"# more\n"),
        (None, good, bad),
        (None, bad, good),
    ):
        with pytest.raises((RegistryContentError, PlanError)):
            merge(path, *sides)
