"""Files are written whole or not at all; folders go away again."""

from __future__ import annotations

import errno
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from wheelyard.core.errors import DiskError
from wheelyard.io import files


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def dead_mark() -> str:
    """Return the mark of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        mark = files.owner_mark(process.pid)
        assert files.owner_alive(mark)
        process.communicate(b"\n")
    return mark


def test_a_file_is_written_with_its_folder_and_its_mode(tmp_path: Path) -> None:
    files.write_bytes(tmp_path / "a/b/f", b"data", mode=0o600)
    assert (tmp_path / "a/b/f").read_bytes() == b"data"
    assert stat.S_IMODE((tmp_path / "a/b/f").stat().st_mode) == 0o600
    assert names(tmp_path / "a/b") == ["f"]


def test_text_is_utf_8_and_json_ends_with_a_newline(tmp_path: Path) -> None:
    files.write_text(tmp_path / "t", "ü\n")
    files.write_json(tmp_path / "j", {"b": "ü", "a": [1]})
    assert (tmp_path / "t").read_bytes() == b"\xc3\xbc\n"
    assert (tmp_path / "j").read_text(encoding="utf-8").endswith("}\n")
    assert json.loads((tmp_path / "j").read_bytes()) == {"b": "ü", "a": [1]}


def test_a_reader_sees_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    file = tmp_path / "f"
    files.write_bytes(file, b"old")
    with file.open("rb") as reader:
        files.write_bytes(file, b"new")
        assert reader.read() == b"old"
    assert file.read_bytes() == b"new"


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "f"
    files.write_bytes(file, b"old")
    with pytest.raises(TypeError):
        files.write_bytes(file, "not bytes")  # type: ignore[arg-type]
    with pytest.raises(FileNotFoundError):
        files.copy_whole(tmp_path / "none", file)
    assert file.read_bytes() == b"old"
    assert names(tmp_path) == ["f"]


def test_a_copy_is_whole(tmp_path: Path) -> None:
    data = os.urandom(3_000_000)
    (tmp_path / "from").write_bytes(data)
    files.copy_whole(tmp_path / "from", tmp_path / "deep/to")
    assert (tmp_path / "deep/to").read_bytes() == data
    assert names(tmp_path / "deep") == ["to"]


def test_what_a_killed_writer_left_is_removed_by_the_next_of_the_same_file(tmp_path: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from wheelyard.io import files\n"
        "with files._whole(Path(sys.argv[1]), 0o644) as file:\n"
        "    file.write(b'half'); file.flush(); os.kill(os.getpid(), 9)\n"
    )
    for name in ("f", "f.other"):
        done = subprocess.run([sys.executable, "-c", program, str(tmp_path / name)], check=False)
        assert done.returncode == -9
    assert len(names(tmp_path)) == 2
    files.write_bytes(tmp_path / "f", b"whole")
    left = names(tmp_path)
    assert len(left) == 2, "another file's is not ours to remove"
    assert left[1] == "f"
    assert left[0].startswith(".f.other.")


def test_the_temporary_file_of_a_living_writer_is_left_alone(tmp_path: Path) -> None:
    with files._whole(tmp_path / "f", 0o644) as first:
        first.write(b"first")
        files.write_bytes(tmp_path / "f", b"second")
        assert len(names(tmp_path)) == 2
    assert (tmp_path / "f").read_bytes() == b"first"


def test_names_as_long_as_the_file_system_allows_can_be_written(tmp_path: Path) -> None:
    name = "ü" * 127
    files.write_bytes(tmp_path / name, b"x")
    assert names(tmp_path) == [name]


def test_remove_takes_a_link_and_not_what_it_names(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "link").symlink_to("kept")
    (tmp_path / "tree/deep").mkdir(parents=True)
    (tmp_path / "file").touch()
    for name in ("link", "tree", "file", "none"):
        files.remove(tmp_path / name)
    assert names(tmp_path) == ["kept"]


def test_a_scratch_folder_is_private_and_goes_away_even_after_an_error(tmp_path: Path) -> None:
    def work() -> None:
        with files.scratch(tmp_path / "new", "work") as folder:
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
            (folder / "deep").mkdir()
            raise KeyError

    with pytest.raises(KeyError):
        work()
    assert names(tmp_path / "new") == []


def test_only_the_scratch_folders_of_the_dead_are_swept(tmp_path: Path) -> None:
    dead = tmp_path / f"work-{dead_mark()}-abc"
    (dead / "deep").mkdir(parents=True)
    (tmp_path / "work-of-somebody-else").mkdir()
    with files.scratch(tmp_path, "work") as ours:
        swept = files.sweep_scratch(tmp_path, "work")
        assert ours.is_dir()
    assert swept == [dead]
    assert names(tmp_path) == ["work-of-somebody-else"]


def test_a_number_given_to_another_process_is_not_the_owner() -> None:
    pid, _, start = files.owner_mark().partition(".")
    assert files.owner_alive(f"{pid}.{start}")
    assert not files.owner_alive(f"{pid}.{int(start) + 1}")
    assert not any(map(files.owner_alive, ["", "x.y", "1", "1.x", "-1.0"]))


@pytest.mark.parametrize(
    ("number", "words"), [(errno.ENOSPC, "no space"), (errno.EDQUOT, "no space"), (errno.EROFS, "cannot write")]
)
def test_the_disks_troubles_are_the_users_to_mend(number: int, words: str) -> None:
    with pytest.raises(DiskError, match=words) as caught, files.disk_errors(Path("/some/file")):
        raise OSError(number, "…")
    assert caught.value.where == "/some/file"
    assert caught.value.fix


def test_other_errors_are_left_as_they_are() -> None:
    with pytest.raises(FileNotFoundError), files.disk_errors(Path("/some/file")):
        raise FileNotFoundError


def test_what_a_forge_gives_is_added_to_and_a_missing_folder_is_told(tmp_path: Path) -> None:
    files.append_text(tmp_path / "outputs", "a=1\n")
    files.append_text(tmp_path / "outputs", "b=2\n")
    assert (tmp_path / "outputs").read_text() == "a=1\nb=2\n"
    with pytest.raises(DiskError, match="cannot be written") as caught:
        files.append_text(tmp_path / "missing/outputs", "a=1\n")
    assert caught.value.where == str(tmp_path / "missing/outputs")
