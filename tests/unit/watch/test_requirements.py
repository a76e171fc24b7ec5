"""Requirements as people write them: what pip reads, read; all that is wrong, told at once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement

from wheelyard.core.errors import ListError
from wheelyard.watch.requirements_file import Requirements, read_requirements

HASH = f"--hash=sha256:{'0' * 64}"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def read(text: str, **others: str) -> Requirements:
    for name, content in others.items():
        Path(f"{name}.txt").write_text(content)
    Path("r.txt").write_text(text)
    return read_requirements(["r.txt"])


def told(found: Requirements) -> list[tuple[str, str]]:
    return [(str(one.requirement), one.where) for one in found.wanted]


# pip's documentation, "Requirements File Format".
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("numpy", ["numpy"]),
        ("# a comment\n\nnumpy  # another\n", ["numpy"]),
        ("numpy>=2,<3\n", ["numpy<3,>=2"]),
        ("requests [socks] >=2.30 ; python_version < '3.15'", ['requests[socks]>=2.30; python_version < "3.15"']),
        (f"numpy==2.0 \\\n    {HASH} \\\n    {HASH}\nscipy", ["numpy==2.0", "scipy"]),
        ("numpy==2.0 --config-settings='a=b' --global-option=x", ["numpy==2.0"]),
        ("numpy \\\n# in the middle\nscipy", ["numpy", "scipy"]),
        ("\ufeffnumpy\r\nscipy\r\n", ["numpy", "scipy"]),
        ("num\\\n", ["num"]),
        ("", []),
    ],
)  # fmt: skip
def test_what_pip_reads(text: str, expected: list[str]) -> None:
    assert [str(one.requirement) for one in read(text).wanted] == expected


def test_every_requirement_knows_its_line() -> None:
    assert told(read("a\n\nb \\\n  >=1\n# c\nd")) == [("a", "r.txt:1"), ("b>=1", "r.txt:3"), ("d", "r.txt:6")]


def test_files_are_included_from_where_they_are_named() -> None:
    Path("deep").mkdir()
    Path("deep/more.txt").write_text("-r next.txt\nmore")
    Path("deep/next.txt").write_text("next")
    found = read("-r deep/more.txt\n--requirement=deep/more.txt\n-c limits.txt\na", limits="b<2\n-r deep/next.txt")
    assert told(found) == [("next", "deep/next.txt:1"), ("more", "deep/more.txt:2"), ("a", "r.txt:4")]
    assert [str(one.requirement) for one in found.constraints] == ["b<2", "next"]


def test_what_includes_itself_ends() -> None:
    assert told(read("-r r.txt\na\n-r other.txt", other="-rr.txt\nb")) == [("a", "r.txt:2"), ("b", "other.txt:2")]


@pytest.mark.parametrize(
    "line",
    [
        "-e .",
        "--editable=git+https://example.org/x.git#egg=x",
        "./local",
        "../local/x.whl",
        "x-1.0.tar.gz",
        "https://example.org/x-1.0.tar.gz",
        "git+ssh://git@example.org/x.git",
        "x @ https://example.org/x-1.0.whl",
        "-r https://example.org/more.txt",
    ],
)
def test_what_no_index_answers_for_is_told(line: str) -> None:
    found = read(f"a\n{line}\n")
    assert told(found) == [("a", "r.txt:1")]
    assert len(found.skipped) == 1
    assert found.skipped[0].startswith("r.txt:2: ")


def test_options_are_told_by_name_and_their_values_to_nobody() -> None:
    lines = [
        "--index-url https://me:secret@example.org/",
        "-i https://me:secret@example.org/",
        "--pre",
        "--no-binary=:all:",
    ]
    found = read("\n".join([*lines, "x @ https://me:secret@example.org/x.whl?token=secret", "a"]))
    assert [note.partition(": ")[2].split()[0] for note in found.notes] == ["--index-url", "-i", "--pre", "--no-binary"]
    assert "secret" not in repr(found)


def test_everything_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(ListError) as caught:
        read("a b\nok\n=1\n-r gone.txt\n--\nx>>1\n\x1b[31mred\n")
    lines = [detail.partition(": ")[0] for detail in caught.value.details]
    assert lines == ["r.txt:1", "r.txt:3", "r.txt:4", "r.txt:5", "r.txt:6", "r.txt:7"]
    assert "\x1b" not in str(caught.value)
    assert caught.value.exit_code == 5


def test_words_of_the_command_line() -> None:
    Path("r.txt").write_text("a")
    Path("numpy").mkdir()
    found = read_requirements(["r.txt", "numpy", "b>=2", "./numpy"])
    assert told(found) == [("a", "r.txt:1"), ("numpy", ""), ("b>=2", "")]
    assert found.skipped == ("./numpy",)
    with pytest.raises(ListError) as caught:
        read_requirements(["gone.txt", "no/such", "a b"])
    assert len(caught.value.details) == 3


def test_a_file_that_has_no_end_or_is_none_is_refused() -> None:
    os.mkfifo("pipe.txt")
    Path("latin.txt").write_bytes("ü".encode("latin-1"))
    with Path("large.txt").open("wb") as file:
        file.truncate((8 << 20) + 1)
    with pytest.raises(ListError) as caught:
        read_requirements(["pipe.txt", "latin.txt", "large.txt"])
    reasons = [detail.rpartition(": ")[2] for detail in caught.value.details]
    assert reasons == ["it is not a file", "it is not UTF-8", "it is larger than 8 MiB"]


def test_a_chain_of_files_has_an_end() -> None:
    for number in range(150):
        Path(f"{number}.txt").write_text(f"-r {number + 1}.txt\n")
    with pytest.raises(ListError, match="problem") as caught:
        read_requirements(["0.txt"])
    assert caught.value.details == ("99.txt:1: more than 100 files are included",)


NAMES = st.from_regex(r"\A[a-zA-Z0-9]([a-zA-Z0-9._-]{0,8}[a-zA-Z0-9])?\Z")
BOUNDS = st.sampled_from(["", ">=1", "==1.*", "~=2.1", "<3,>=1", "===x-1"])
EXTRAS = st.sampled_from(["", "[a]", "[a, b-c]"])
MARKERS = st.sampled_from(["", "; python_version < '3.13'", '; sys_platform == "linux"'])
ENDS = st.sampled_from(["", "  # why", f" {HASH}", f" \\\n  {HASH}", "\n# above"])


@given(st.lists(st.tuples(NAMES, EXTRAS, BOUNDS, MARKERS, ENDS), max_size=8))
def test_whatever_is_written_comes_back(written: list[tuple[str, str, str, str, str]]) -> None:
    lines = [
        (name + extras + bounds + (f" {marker}" if marker else ""), end)
        for name, extras, bounds, marker, end in written
    ]
    found = read("\n".join(line + end for line, end in lines))
    assert [one.requirement for one in found.wanted] == [Requirement(line) for line, _ in lines]


@given(st.text(max_size=200))
def test_no_text_does_anything_but_be_read_or_refused(text: str) -> None:
    Path("any.txt").write_text(text, encoding="utf-8", errors="replace")
    try:
        read_requirements(["any.txt"])
    except ListError as error:
        assert error.details  # noqa: PT017 - either will do
