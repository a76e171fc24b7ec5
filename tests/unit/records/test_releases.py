"""``releases.toml``: one line a file, merged by git line by line, and never half written."""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wheelyard.core.errors import RegistryContentError
from wheelyard.records.releases import RELEASES, ReleasedFile, forget, record, yank

if TYPE_CHECKING:
    from collections.abc import Sequence
    from multiprocessing.synchronize import Barrier

ROOT = Path(__file__).parents[3]
SHA = "0123456789abcdef" * 4
HEAD = 'schema = "wheelyard/releases"\nlayout = 1\n'
# Quotes, backslashes, controls, line ends of all kinds, DEL, C1, beyond the BMP: whatever METADATA or a person says.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from(
    ['"', "\\", "\\u0041", "a\nb\r\n", "\x7f\x80\x85\u2028", "''' \"\"\"", "# no comment", "}, {", "\x00", "𝄞"]
)
FILES = st.builds(
    "demo-{}-{}-{}-manylinux_2_39_riscv64.whl".format,
    st.sampled_from(["1.0", "1.9", "1.10", "2.0rc1", "2.0+cpu", "2!1.0"]),
    st.sampled_from(["cp312", "cp313"]),
    st.sampled_from(["cp312", "abi3"]),
)
ENTRIES = st.builds(
    ReleasedFile,
    file=FILES,
    where=st.sampled_from(["gitlab", "backup"]),
    sha256=st.sampled_from([SHA, "f" * 64]),
    size=st.integers(0, 2**40),
    tags=st.lists(st.sampled_from(["cp313-cp313-x", "cp312-abi3-x"]), unique=True).map(tuple),
    licence=TEXTS,
    patched=st.booleans(),
    source=st.sampled_from(["", f"sha256:{SHA}"]),
    image=st.sampled_from(["", f"sha256:{SHA}"]),
    yanked=st.none() | TEXTS,
)
MANY = st.lists(ENTRIES, max_size=6, unique_by=lambda entry: entry.key)


@pytest.fixture(autouse=True)
def private_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHEELYARD_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return RELEASES.path(tmp_path / "packages", "demo")


def wheel(version: str = "1.0", python: str = "cp313") -> str:
    return f"demo-{version}-{python}-{python}-manylinux_2_39_riscv64.whl"


def entry(version: str = "1.0", python: str = "cp313", **more: object) -> ReleasedFile:
    name = wheel(version, python)
    facts = {"file": name, "where": "gitlab", "sha256": SHA, "size": 7, "tags": (f"{python}-{python}-x",)}
    return ReleasedFile.model_validate(facts | more)


def write(path: Path, *lines: str, head: str = HEAD) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(head + "files = [\n" + "".join(f"  {line},\n" for line in lines) + "]\n", encoding="utf-8")


def line(entry: ReleasedFile) -> str:
    return RELEASES.dump([entry]).splitlines()[-2].strip().rstrip(",")


# ------------------------------------------------------------------ what it looks like


def test_a_record_reads_as_it_was_written(path: Path) -> None:
    assert RELEASES.read(path) == ()
    full = entry("1.0", licence="MIT", patched=True, source=f"sha256:{SHA}", image=f"sha256:{SHA}", yanked="bad")
    assert record(path, [full, entry("0.9")])
    assert path.read_text() == (
        "# Written by wheelyard: the published wheels, one line a file. `wheelyard registry verify` compares them\n"
        "# with the registries.\n"
        'schema = "wheelyard/releases"\nlayout = 1\nfiles = [\n'
        f'  {{ file = "{wheel("0.9")}", where = "gitlab", sha256 = "{SHA}", size = 7, tags = ["cp313-cp313-x"] }},\n'
        f'  {{ file = "{wheel()}", where = "gitlab", sha256 = "{SHA}", size = 7, tags = ["cp313-cp313-x"], '
        f'licence = "MIT", patched = true, source = "sha256:{SHA}", image = "sha256:{SHA}", yanked = "bad" }},\n'
        "]\n"
    )
    assert RELEASES.read(path) == (entry("0.9"), full)


@given(MANY)
def test_any_record_survives_being_written_in_any_order(
    tmp_path_factory: pytest.TempPathFactory, entries: list[ReleasedFile]
) -> None:
    path = tmp_path_factory.mktemp("packages") / "demo" / "releases.toml"
    assert record(path, entries) == bool(entries)
    assert set(RELEASES.read(path)) == set(entries)
    if entries:
        text = path.read_bytes()
        assert text.count(b"\n") == 6 + len(entries)  # one line a file, whatever is in it
        assert RELEASES.dump(reversed(entries)).encode() == text == RELEASES.dump(RELEASES.read(path)).encode()
        assert not record(path, entries[:1])
        assert path.read_bytes() == text


def test_it_is_sorted_by_version_then_name_then_place(path: Path) -> None:
    entries = [entry("1.9"), entry("1.10", "cp313"), entry("1.10", "cp312", where="z"), entry("1.10", "cp312")]
    for each in reversed(entries):
        record(path, [each])
    assert [(each.file, each.where) for each in RELEASES.read(path)] == [
        (wheel("1.9"), "gitlab"),
        (wheel("1.10", "cp312"), "gitlab"),
        (wheel("1.10", "cp312"), "z"),
        (wheel("1.10", "cp313"), "gitlab"),
    ]


def test_the_same_again_touches_nothing(path: Path) -> None:
    record(path, [entry(), entry("2.0")])
    before = path.stat().st_mtime_ns, path.stat().st_ino
    assert not record(path, [entry("2.0"), entry()])
    assert not record(path, [])
    assert not yank(path, [wheel()], "gitlab", None)
    assert not forget(path, [wheel("9.9"), wheel()], "elsewhere")
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == before


def test_nothing_to_say_makes_no_file(path: Path) -> None:
    assert not forget(path, [wheel()], "gitlab")
    assert not record(path, [])
    assert not path.parent.exists()


# ------------------------------------------------------------------ what changes, and what stays


def test_of_the_same_bytes_what_is_known_stays(path: Path) -> None:
    built = entry(source=f"sha256:{SHA}", image=f"sha256:{SHA}", patched=True)
    record(path, [built])
    yank(path, [wheel()], "gitlab", "bad")
    assert not record(path, [entry()])  # as adopt does, which knows less
    assert RELEASES.read(path) == (built.model_copy(update={"yanked": "bad"}),)
    record(path, [rebuilt := entry(source="sha256:" + "e" * 64)])
    assert RELEASES.read(path) == (rebuilt.model_copy(update={"yanked": "bad"}),)


def test_other_bytes_are_another_wheel(path: Path) -> None:
    record(path, [entry(source=f"sha256:{SHA}", yanked="bad")])
    record(path, [entry(sha256="f" * 64)])
    assert RELEASES.read(path) == (entry(sha256="f" * 64),)


def test_a_yank_concerns_one_registry_and_can_be_taken_back(path: Path) -> None:
    record(path, [entry(), entry(where="backup"), entry("2.0")])
    assert yank(path, [wheel()], "gitlab", "")  # no reason is a yank all the same (PEP 592)
    assert {(each.file, each.where): each.yanked for each in RELEASES.read(path)} == {
        (wheel(), "gitlab"): "",
        (wheel(), "backup"): None,
        (wheel("2.0"), "gitlab"): None,
    }
    assert yank(path, [wheel()], "gitlab", None)
    assert {each.yanked for each in RELEASES.read(path)} == {None}


def test_a_yank_of_what_is_not_recorded_changes_nothing(path: Path) -> None:
    record(path, [entry()])
    with pytest.raises(RegistryContentError) as caught:
        yank(path, [wheel(), wheel("2.0"), wheel("3.0")], "gitlab", "bad")
    assert caught.value.details == (wheel("2.0"), wheel("3.0"))
    assert caught.value.fix == "wheelyard registry adopt demo --registry gitlab"
    assert RELEASES.read(path) == (entry(),)


def test_what_left_is_forgotten_where_it_left(path: Path) -> None:
    record(path, [entry(), entry(where="backup"), entry("2.0")])
    assert forget(path, [wheel()], "gitlab")
    assert [each.key for each in RELEASES.read(path)] == [(wheel(), "backup"), (wheel("2.0"), "gitlab")]


# ------------------------------------------------------------------ merging


def git(folder: Path, *words: str) -> str:
    names = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b"}
    private = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    words = ("git", "-c", "init.defaultBranch=main", *words)
    env = {**os.environ, **names, **private}
    done = subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def merged(folder: Path, base: Sequence[ReleasedFile], *branches: Sequence[ReleasedFile]) -> Path:
    """Let each branch record what it has (and nothing else), and merge them one after the other; return the record."""
    folder.mkdir()
    shutil.copy(ROOT / ".gitattributes", folder)
    path = RELEASES.path(folder / "packages", "demo")
    git(folder, "init", "--quiet")
    record(path, base)
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "base")
    for number, entries in enumerate(branches):
        git(folder, "checkout", "--quiet", "-b", f"b{number}", "main")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(RELEASES.dump(entries), encoding="utf-8")
        git(folder, "add", ".")
        git(folder, "commit", "--quiet", "--allow-empty", "-m", f"b{number}")
    git(folder, "checkout", "--quiet", "b0")
    for number in range(1, len(branches)):
        git(folder, "merge", "--quiet", "--no-edit", f"b{number}")
    return path


@settings(max_examples=10, deadline=None)
@given(MANY, MANY, MANY)
def test_branches_that_add_files_merge_to_their_union(
    tmp_path_factory: pytest.TempPathFactory, base: list[ReleasedFile], one: list[ReleasedFile], two: list[ReleasedFile]
) -> None:
    known: dict[tuple[str, ...], ReleasedFile] = {}
    for each in (*base, *one, *two):
        known.setdefault(each.key, each)  # one file is the same on all branches
    grown = [[known[each.key] for each in {e.key: e for e in (*base, *more)}.values()] for more in (one, two)]
    path = merged(tmp_path_factory.mktemp("merge") / "project", [known[each.key] for each in base], *grown)
    assert set(RELEASES.read(path)) == set(known.values())
    # The next write puts all in order, whatever order git's union has left.
    record(path, [])
    assert path.read_text(encoding="utf-8") == (
        RELEASES.dump(known.values()) if known else path.read_text(encoding="utf-8")
    )


def test_two_branches_that_begin_a_record(tmp_path: Path) -> None:
    """Both add the file: git has no base for it then."""
    path = merged(tmp_path / "project", [], [entry("1.0")], [entry("2.0")])
    assert RELEASES.read(path) == (entry("1.0"), entry("2.0"))
    assert path.read_text().count("schema") == 1


def test_three_branches_that_publish_neighbours(tmp_path: Path) -> None:
    base = [entry("1.0"), entry("3.0")]
    news = [entry("1.1"), entry("1.2"), entry("2.0")]
    path = merged(tmp_path / "project", base, *([*base, new] for new in news))
    assert RELEASES.read(path) == (base[0], *news, base[1])


def test_a_yank_on_one_branch_and_a_neighbour_on_the_other_ask_a_person(tmp_path: Path) -> None:
    """The changed line and the new one meet in one hunk, of which union keeps both sides."""
    bad = entry("1.0").model_copy(update={"yanked": "bad"})
    path = merged(tmp_path / "project", [entry("1.0")], [bad], [entry("1.0"), entry("1.1")])
    with pytest.raises(RegistryContentError) as caught:
        RELEASES.read(path)
    assert [detail.partition(": ")[2] for detail in caught.value.details] == [
        f"{wheel()} in gitlab: two lines differ"
    ] * 2


def test_a_line_that_stands_twice_counts_once(path: Path) -> None:
    write(path, line(entry()), line(entry("2.0")), line(entry()))
    assert RELEASES.read(path) == (entry(), entry("2.0"))
    assert record(path, [])
    assert path.read_text() == RELEASES.dump([entry(), entry("2.0")])


# ------------------------------------------------------------------ what is no record


def test_every_problem_is_told_at_once_with_its_line(path: Path) -> None:
    write(
        path,
        line(entry("1.0")),
        line(entry("1.0", licence="other")),
        line(entry("2.0")).replace(SHA, "abc"),
        line(entry("3.0")).replace("size = 7", 'size = "big", colour = "red"'),
        line(entry("4.0")).replace("demo-4.0", "other-4.0"),
        line(entry("5.0")).replace(".whl", ".tar.gz"),
        "17",
    )
    before = path.read_bytes()
    with pytest.raises(RegistryContentError) as caught:
        RELEASES.read(path)
    assert caught.value.exit_code == 63
    details = [detail.removeprefix(f"{path}:") for detail in caught.value.details]
    assert [(int(detail.partition(":")[0]), detail.partition(": ")[2]) for detail in details] == [
        (4, f"{wheel()} in gitlab: two lines differ"),
        (5, f"{wheel()} in gitlab: two lines differ"),
        (6, "sha256: String should match pattern '^[0-9a-f]{64}$'"),
        (7, "colour: Extra inputs are not permitted"),
        (7, "size: Input should be a valid integer, unable to parse string as an integer"),
        (8, "other-4.0-cp313-cp313-manylinux_2_39_riscv64.whl is not a wheel of demo"),
        (9, details[6].partition(": ")[2]),
        (10, details[7].partition(": ")[2]),
    ]
    assert "demo-5.0" in details[6]
    with pytest.raises(RegistryContentError):
        record(path, [entry("9.0")])
    assert path.read_bytes() == before  # a broken record is not overwritten


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"schema = ", "is not valid TOML"),
        (b"<<<<<<< HEAD\n", "is not valid TOML"),
        (b"\xff", "can't decode"),
        (b"", "not a wheelyard/releases file of layout 1"),
        (HEAD.replace("1", "2").encode(), "not a wheelyard/releases file of layout 1"),
        (b'schema = "wheelyard/lock"\nlayout = 1\n', "not a wheelyard/releases file of layout 1"),
        (HEAD.encode() + b"files = 3\n", "files: Input should be"),
        (HEAD.encode() + b"[[file]]\n", "file: Extra inputs are not permitted"),
    ],
)
def test_what_is_no_record_is_told(path: Path, text: bytes, said: str) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(text)
    with pytest.raises(RegistryContentError) as caught:
        RELEASES.read(path)
    assert said in "\n".join(caught.value.details)
    assert str(path) in caught.value.details[0]
    assert caught.value.fix


# ------------------------------------------------------------------ at the same time, and in between


_ROUNDS = 15


def _at_once(barrier: Barrier, path: Path, first: int) -> None:
    """Do in each round one thing to the record, at the very moment at which others do theirs."""
    for number in range(_ROUNDS):
        barrier.wait(30)
        match first:
            case 0:
                yank(path, [wheel(f"0.{number}")], "gitlab", "bad")
            case 1:
                forget(path, [wheel(f"3.{number}")], "gitlab")
            case _:
                record(path, [entry(f"{first}.{number}")])


def test_runs_at_once_lose_nothing(path: Path) -> None:
    """Each reads the record, changes it and writes it: whoever reads before another has written would undo that."""
    standing = [entry(f"0.{number}") for number in range(_ROUNDS)]
    leaving = [entry(f"3.{number}") for number in range(_ROUNDS)]
    staying = [entry(f"4.{number}", licence="x" * 5_000) for number in range(50)]  # a longer way between the two
    record(path, [*standing, *leaving, *staying])
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(4)
    others = [context.Process(target=_at_once, args=(barrier, path, first)) for first in (0, 1, 10, 20)]
    for process in others:
        process.start()
    for process in others:
        process.join()
    assert [process.exitcode for process in others] == [0] * 4
    assert RELEASES.read(path) == (
        *(each.model_copy(update={"yanked": "bad"}) for each in standing),
        *staying,
        *(entry(f"{first}.{number}") for first in (10, 20) for number in range(_ROUNDS)),
    )


def test_a_kill_leaves_the_old_record_or_the_new_one(path: Path) -> None:
    old = [entry(f"1.{number}", licence="x" * 20_000) for number in range(20)]
    new = [each.model_copy(update={"yanked": "bad"}) for each in old]
    record(path, old)
    seen: set[str] = set()
    chance = random.Random(1)  # noqa: S311 - reproducible
    kills = 0
    while kills < 20 or len(seen) < 2:
        kills += 1
        assert kills < 200
        child = os.fork()
        if child == 0:
            while True:  # back and forth, until the kill
                for state in ("bad", None):
                    yank(path, [each.file for each in old], "gitlab", state)
        time.sleep(chance.uniform(0.005, 0.05 + kills / 50))  # one write may take a slow disk seconds
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        seen.add(path.read_text())
        assert seen <= {RELEASES.dump(old), RELEASES.dump(new)}
    yank(path, [old[0].file], "gitlab", "done")
    assert [each.name for each in path.parent.iterdir()] == ["releases.toml"]  # leftovers are swept by the next write
