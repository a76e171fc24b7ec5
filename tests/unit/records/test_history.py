"""The ledger: joining is a law, days never move, and git joins two branches' lines by itself."""

from __future__ import annotations

import shutil
import subprocess
from collections import defaultdict
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from wheelyard.core.errors import PlanError
from wheelyard.records.history import HISTORY, UPSTREAM, HistoryEntry, join, observe, update
from wheelyard.watch.history_summary import history

if TYPE_CHECKING:
    from collections.abc import Callable

    from syrupy.assertion import SnapshotAssertion

ROOT = Path(__file__).parents[3]
DAY = date(2026, 3, 1)


def day(number: int) -> date:
    return DAY + timedelta(days=number)


def fact(
    version: str, wheel: str = "", *, where: str = UPSTREAM, first: int = 0, gone: int | None = None
) -> HistoryEntry:
    return HistoryEntry(
        version=version, where=where, wheel=wheel, first=day(first), removed=None if gone is None else day(gone)
    )


def at(*pairs: tuple[str, str]) -> Callable[[str, str], bool]:
    """We looked at these versions and places."""
    return lambda version, where: (version, where) in pairs


DAYS = st.dates(date(2026, 1, 1), date(2026, 1, 9))
FACTS = st.lists(
    st.builds(
        HistoryEntry,
        version=st.sampled_from(["1.0", "1.9", "1.10", "2.0rc1"]),
        where=st.sampled_from([UPSTREAM, "gitlab", "dist/index"]),
        wheel=st.sampled_from(["", "cp312-cp312", "cp39-abi3", "py2.py3-none"]),
        first=DAYS,
        removed=st.none() | DAYS,
    ),
    max_size=8,
)


@given(FACTS, FACTS, FACTS)
def test_joining_knows_no_order_and_no_repetition(
    one: list[HistoryEntry], two: list[HistoryEntry], three: list[HistoryEntry]
) -> None:
    assert join([*one, *two]) == join([*two, *one])
    assert join([*join([*one, *two]), *three]) == join([*one, *join([*two, *three])])
    assert join([*join(one), *one]) == join(one)
    joined = join([*one, *two])
    assert {each.key for each in joined} == {each.key for each in (*one, *two)}
    assert len(joined) == len({each.key for each in joined})


@given(FACTS, FACTS, DAYS)
def test_what_is_seen_is_there_since_the_earliest_day_that_was_told(
    known: list[HistoryEntry], seen: list[HistoryEntry], today: date
) -> None:
    seen = [each.model_copy(update={"removed": None}) for each in seen]
    pairs = {(each.version, each.where) for each in seen} | {("1.0", UPSTREAM)}
    looked = at(*pairs)
    after = {each.key: each for each in observe(known, seen, looked=looked, today=today)}
    before = {each.key: each for each in join(known)}
    assert set(after) == set(before) | {each.key for each in seen}
    for key, each in after.items():
        days = [other.first for other in (*known, *seen) if other.key == key]
        assert each.first == min(days)
        if key in {other.key for other in seen}:
            assert each.removed is None
        elif key[:2] in pairs:
            assert each.removed == (before[key].removed or today)
        else:
            assert each.removed == before[key].removed
    assert observe(after.values(), seen, looked=looked, today=today) == tuple(after.values())
    assert observe(join(known), seen, looked=looked, today=today) == observe(known, seen, looked=looked, today=today)


@given(FACTS)
def test_what_is_written_is_read_again(tmp_path_factory: pytest.TempPathFactory, facts: list[HistoryEntry]) -> None:
    path = tmp_path_factory.mktemp("ledger") / "history.toml"
    path.write_text(HISTORY.dump(facts), encoding="utf-8")
    assert HISTORY.read(path) == join(facts)
    assert HISTORY.dump(HISTORY.read(path)) == HISTORY.dump(facts)


def test_a_wheel_that_vanishes_and_comes_back(tmp_path: Path, snapshot: SnapshotAssertion) -> None:
    path = tmp_path / "demo/history.toml"
    looked = at(("1.0", UPSTREAM), ("1.0", "gitlab"))
    ours = fact("1.0", "cp312-cp312", where="gitlab", first=4)
    update(path, [fact("1.0"), fact("1.0", "cp312-cp312", first=3), ours], looked=looked, today=day(5))
    update(path, [fact("1.0")], looked=at(("1.0", UPSTREAM)), today=day(8))
    assert path.read_text(encoding="utf-8") == snapshot
    update(path, [fact("1.0")], looked=at(("1.0", UPSTREAM)), today=day(9))  # first missed, not missed last
    assert [each.removed for each in HISTORY.read(path)] == [None, None, day(8)]
    written = path.stat().st_mtime_ns, path.stat().st_ino
    update(path, [fact("1.0")], looked=at(("1.0", UPSTREAM)), today=day(10))
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == written
    update(path, [fact("1.0", "cp312-cp312", first=11)], looked=at(), today=day(11))
    assert [(each.first, each.removed) for each in HISTORY.read(path)][2] == (day(3), None)


def test_nothing_seen_makes_no_file(tmp_path: Path) -> None:
    assert update(tmp_path / "demo/history.toml", [], looked=at(), today=DAY) == ()
    assert not (tmp_path / "demo").exists()


# ------------------------------------------------------------------ two branches


def git(root: Path, *words: str) -> None:
    person = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run(["git", *person, *words], cwd=root, check=True, capture_output=True, text=True, timeout=60)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--initial-branch=main")
    shutil.copy(ROOT / ".gitattributes", tmp_path)
    return tmp_path


def committed(root: Path, *facts: HistoryEntry) -> None:
    path = HISTORY.path(root / "packages", "demo")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(HISTORY.dump(facts), encoding="utf-8")
    git(root, "add", ".")
    git(root, "commit", "--message=facts")


BASE = [fact("1.0"), fact("1.0", "cp312-cp312", first=3), fact("1.1", first=5)]
OURS = [*BASE, fact("1.1", "cp312-cp312", where="gitlab", first=6), fact("1.1", "cp313-cp313", first=9)]
THEIRS = [
    fact("0.9", first=-30),
    fact("1.0"),
    fact("1.0", "cp312-cp312", first=3, gone=8),
    fact("1.1", first=5),
    fact("1.1", "cp312-cp312", where="gitlab", first=7),
    fact("1.1", "cp313-cp313", first=8),
]


@pytest.mark.parametrize("turned", [False, True])
def test_two_branches_merge_without_a_conflict(repository: Path, *, turned: bool) -> None:
    ours, theirs = (THEIRS, OURS) if turned else (OURS, THEIRS)
    committed(repository, *BASE)
    git(repository, "switch", "--create", "theirs")
    committed(repository, *theirs)
    git(repository, "switch", "main")
    committed(repository, *ours)
    git(repository, "merge", "theirs")
    path = HISTORY.path(repository / "packages", "demo")
    found = HISTORY.read(path)
    assert {each.key for each in found} == {each.key for each in (*OURS, *THEIRS)}
    firsts: defaultdict[tuple[str, ...], list[date]] = defaultdict(list)
    for each in (*OURS, *THEIRS):
        firsts[each.key].append(each.first)
    assert {each.key: each.first for each in found} == {key: min(days) for key, days in firsts.items()}
    # The next run puts the lines in order, each once.
    update(path, [fact("1.0"), fact("1.1"), fact("1.1", "cp313-cp313")], looked=at(("1.0", UPSTREAM)), today=day(20))
    assert path.read_text(encoding="utf-8") == HISTORY.dump(HISTORY.read(path))
    assert path.read_text(encoding="utf-8").count("cp313-cp313") == 1


# ------------------------------------------------------------- what is no ledger

HEAD = 'schema = "wheelyard/history"\nlayout = 1\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("entries = [", "(at "),
        (
            'schema = "wheelyard/history"\nlayout = 2\nentries = []\n',
            ":1: this is not a wheelyard/history file of layout 1",
        ),
        (
            f'{HEAD}entries = [\n  {{ version = "x", where = "upstream", first = 2026-01-01 }},\n]\n',
            ":4: version: 'x' is not",
        ),
        (f'{HEAD}entries = [\n  {{ version = "1.0.RC1", where = "gitlab", first = 2026-01-01 }},\n]\n', "normal form"),
        (f'{HEAD}entries = [{{ version = "1{"0" * 5000}", where = "a", first = 2026-01-01 }}]\n', "normal form"),
        (
            f"{HEAD}entries = [{{ version = '1', where = 'a\"b', first = 2026-01-01 }}]\n",
            "is not the name of a registry",
        ),
        (f"{HEAD}entries = [{{ version = '1', where = 'a', wheel = '../x', first = 2026-01-01 }}]\n", "wheel"),
        (f"{HEAD}entries = [{{ version = '1', where = 'a' }}]\n", "first"),
        (f"{HEAD}entries = [{{ version = '1', where = 'a', first = 2026-01-01, more = 1 }}]\n", "more"),
        (f"{HEAD}entries = 3\n", "entries"),
    ],
)
def test_what_is_no_ledger_is_refused_and_stays(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "demo/history.toml"
    path.parent.mkdir()
    path.write_text(text, encoding="utf-8")
    with pytest.raises(PlanError) as caught:
        update(path, [fact("1.0")], looked=at(), today=DAY)
    assert said in str(caught.value)
    assert caught.value.fix
    assert path.read_text(encoding="utf-8") == text


# --------------------------------------------------------------------- history


def test_the_history_of_a_package() -> None:
    found = history(
        "demo",
        [
            fact("1.10", first=10),
            fact("1.10", "cp312-cp312", first=30),
            fact("1.9"),
            fact("1.9", "cp312-cp312", where="gitlab", first=12),
            fact("1.9", "cp313-cp313", where="gitlab", first=11),
            fact("1.9", "cp312-cp312", first=13, gone=15),
            fact("1.9", "cp313-cp313", first=14, gone=16),
            fact("1.9.0", "cp314-cp314", where="gitlab", first=9),  # the same version, written differently
        ],
    )
    assert (found.ships_since, found.began) == ("1.9", day(13))
    newest, older = found.versions
    assert (newest.version, newest.released, newest.ours, newest.upstream) == ("1.10", day(10), None, day(30))
    assert (newest.ours_after, newest.upstream_after, newest.upstream_gone) == (None, 20, None)
    assert Version(older.version) == Version("1.9")
    assert (older.released, older.ours, older.ours_after) == (day(0), day(9), 9)
    assert (older.upstream, older.upstream_after, older.upstream_gone) == (day(13), 13, day(16))


def test_a_wheel_that_is_still_there_keeps_upstream_from_being_gone() -> None:
    (found,) = history(
        "demo", [fact("1.0", "cp312-cp312", first=1, gone=2), fact("1.0", "cp313-cp313", first=3)]
    ).versions
    assert (found.upstream, found.upstream_gone) == (day(1), None)
