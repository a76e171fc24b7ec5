"""The journal: whatever a kill leaves of it, the next run goes on, and never believes what was not so."""

from __future__ import annotations

import json
import multiprocessing
import threading
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wheelyard.core.errors import DiskError
from wheelyard.registries import Journal

if TYPE_CHECKING:
    from pathlib import Path

A, B = "a" * 64, "b" * 64
TITLE = "gitlab.example/group/project"


def journal_of(folder: Path) -> Path:
    """Return the one journal in *folder*."""
    (path,) = folder.glob("*.jsonl")
    return path


def state(folder: Path, title: str = TITLE) -> tuple[dict[str, str], set[str]]:
    journal = Journal.look(folder, title)
    return journal.begun, journal.confirmed


def killed(folder: Path) -> Path:
    """Leave what a run leaves that is killed with two uploads begun and one confirmed."""
    with Journal.of(folder, TITLE) as journal:
        journal.begin([("one.whl", A), ("two.whl", B)])
        journal.confirm("one.whl")
    return journal_of(folder)


def test_nothing_begun_leaves_nothing(tmp_path: Path) -> None:
    with Journal.of(tmp_path, TITLE) as journal:
        assert (journal.begun, journal.confirmed) == ({}, set())
        journal.finish(["whatever.whl"])
    assert list(tmp_path.glob("*.jsonl")) == []
    assert state(tmp_path / "nowhere") == ({}, set())


def test_what_was_begun_and_confirmed_is_there_for_the_next_run(tmp_path: Path) -> None:
    killed(tmp_path)
    assert state(tmp_path) == ({"one.whl": A, "two.whl": B}, {"one.whl"})
    with Journal.of(tmp_path, TITLE) as journal:
        journal.begin([("two.whl", B), ("three.whl", A)])
        assert journal.confirmed == {"one.whl"}
    assert state(tmp_path) == ({"one.whl": A, "two.whl": B, "three.whl": A}, {"one.whl"})


def test_what_is_finished_is_forgotten_and_the_last_takes_the_file_along(tmp_path: Path) -> None:
    path = killed(tmp_path)
    with Journal.of(tmp_path, TITLE) as journal:
        journal.finish(["one.whl", "unknown.whl"])
        assert state(tmp_path) == ({"two.whl": B}, set())
        journal.finish(["two.whl"])
    assert not path.exists()


def test_another_wheel_of_the_name_is_not_confirmed_by_the_first(tmp_path: Path) -> None:
    killed(tmp_path)
    with Journal.of(tmp_path, TITLE) as journal:
        journal.begin([("one.whl", B)])
        assert journal.confirmed == set()
    assert state(tmp_path) == ({"one.whl": B, "two.whl": B}, set())


def test_what_has_left_the_registry_since_is_not_confirmed_any_more(tmp_path: Path) -> None:
    killed(tmp_path)
    with Journal.of(tmp_path, TITLE) as journal:
        journal.begin([("one.whl", A), ("two.whl", B)], anew=["one.whl"])
        assert journal.confirmed == set()
    assert state(tmp_path) == ({"one.whl": A, "two.whl": B}, set())


def test_registries_have_journals_of_their_own(tmp_path: Path) -> None:
    killed(tmp_path)
    assert state(tmp_path, "gitlab.example/group/other") == ({}, set())


@given(st.data())
def test_a_journal_cut_anywhere_says_less_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    path = killed(folder)
    text = path.read_bytes()
    path.write_bytes(text[: data.draw(st.integers(0, len(text)))])
    begun, confirmed = state(folder)
    assert begun.items() <= {"one.whl": A, "two.whl": B}.items()
    assert confirmed <= begun.keys() & {"one.whl"}
    with Journal.of(folder, TITLE) as journal:  # and the next run mends it
        journal.begin([("one.whl", A), ("two.whl", B)])
        journal.confirm("two.whl")
    assert state(folder) == ({"one.whl": A, "two.whl": B}, {*confirmed, "two.whl"})


def test_a_torn_last_line_loses_itself_only(tmp_path: Path) -> None:
    path = killed(tmp_path)
    with path.open("ab") as file:
        file.write(b'{"confirmed": "two.whl", "sha2')
    assert state(tmp_path) == ({"one.whl": A, "two.whl": B}, {"one.whl"})


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\n",
        b"hello\n",
        b"\xff\xfe\x00\n",
        b"[" * 100_000 + b"\n",
        b'{"schema": "wheelyard/journal", "version": 2}\n{"begun": "x.whl", "sha256": "00"}\n',
        b'{"begun": "x.whl", "sha256": "00"}\n',
    ],
    ids=["empty", "blank", "words", "bytes", "deep", "newer", "headless"],
)
def test_a_file_that_is_no_journal_is_as_good_as_none(tmp_path: Path, text: bytes) -> None:
    path = killed(tmp_path)
    path.write_bytes(text)
    assert state(tmp_path) == ({}, set())
    with Journal.of(tmp_path, TITLE) as journal:
        journal.begin([("one.whl", A)])
    assert state(tmp_path) == ({"one.whl": A}, set())


def test_lines_that_are_none_are_passed_over(tmp_path: Path) -> None:
    path = killed(tmp_path)
    odd = [b"{", b"7", b"[]", b'{"begun": 7, "sha256": "x"}', b'{"confirmed": "three.whl", "sha256": "00"}']
    odd.append(json.dumps({"confirmed": "two.whl", "sha256": A}).encode())  # it was another wheel that was read back
    with path.open("ab") as file:
        file.write(b"\n".join([*odd, b""]))
    assert state(tmp_path) == ({"one.whl": A, "two.whl": B}, {"one.whl"})


def test_threads_confirm_at_once(tmp_path: Path) -> None:
    names = [f"demo-{number}.whl" for number in range(400)]
    with Journal.of(tmp_path, TITLE) as journal:
        journal.begin((name, A) for name in names)
        start = threading.Barrier(8)

        def confirm(first: int) -> None:
            start.wait()
            for name in names[first::8]:
                journal.confirm(name)

        threads = [threading.Thread(target=confirm, args=(first,)) for first in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert state(tmp_path) == (dict.fromkeys(names, A), set(names))
    assert all(json.loads(line) for line in journal_of(tmp_path).read_text().splitlines())


def test_a_journal_that_was_removed_under_way_stops_nobody(tmp_path: Path) -> None:
    with Journal.of(tmp_path, TITLE) as journal:
        journal.begin([("one.whl", A)])
        journal_of(tmp_path).unlink()
        journal.confirm("one.whl")
        assert state(tmp_path) == ({}, set())  # it has no head, and is as good as none
        journal.finish(["one.whl"])
    assert list(tmp_path.glob("*.jsonl")) == []


def test_a_journal_that_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = killed(tmp_path)

    def refuse(_path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "read_bytes", refuse)  # root may read everything
    with pytest.raises(DiskError) as caught:
        Journal.look(tmp_path, TITLE)
    assert str(path) in str(caught.value)


def _finish_later(folder: Path, began: multiprocessing.synchronize.Event) -> None:
    with Journal.of(folder, TITLE) as journal:
        journal.begin([("one.whl", A)])
        began.set()
        threading.Event().wait(0.5)
        journal.finish(["one.whl"])


def test_another_run_waits_and_whoever_only_looks_does_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    context = multiprocessing.get_context("spawn")
    began = context.Event()
    other = context.Process(target=_finish_later, args=(tmp_path, began))
    other.start()
    assert began.wait(30)
    assert state(tmp_path) == ({"one.whl": A}, set())
    with Journal.of(tmp_path, TITLE) as journal:
        assert journal.begun == {}
    other.join()
    assert other.exitcode == 0
    assert f"waiting for another run: publishing to {TITLE}" in capsys.readouterr().err
