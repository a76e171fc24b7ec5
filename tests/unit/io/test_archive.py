"""Archives from outside: unpacked whole inside their folder, or refused and gone. Each attack is made by hand."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import stat
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wheelyard.core.errors import SourceError, UnsafeArchiveError
from wheelyard.io.archive import Limits, checked_name, leads_out, unpack

if TYPE_CHECKING:
    from collections.abc import Callable

LIMITS = Limits(unpacked=1_000_000, members=100)
STAMP = 1_600_000_000


def entry(name: str, data: bytes = b"", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size, info.mtime = len(data), STAMP
    for key, value in fields.items():
        setattr(info, key, value)
    return info, data


def folder(name: str) -> tuple[tarfile.TarInfo, bytes]:
    return entry(name, type=tarfile.DIRTYPE, mode=0o755)


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tuple[tarfile.TarInfo, bytes]:
    return entry(name, type=kind, linkname=target)


def tar_bytes(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for info, data in members:
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def tar_gz(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    path.write_bytes(gzip.compress(tar_bytes(*members)))
    return path


def zipped(path: Path, *members: tuple[str, bytes, int]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data, mode in members:
            info = zipfile.ZipInfo(name, (2020, 9, 13, 12, 26, 40))
            info.filename = name  # as given: the constructor would mend it
            info.external_attr, info.compress_type = mode << 16, zipfile.ZIP_DEFLATED
            archive.writestr(info, data)
    return path


def refused(archive: Path, tmp_path: Path, words: str, *, limits: Limits = LIMITS) -> UnsafeArchiveError:
    place = tmp_path / "place"
    place.mkdir(exist_ok=True)
    with pytest.raises(UnsafeArchiveError, match=words) as caught:
        unpack(archive, place / "tree", limits=limits)
    assert list(place.iterdir()) == [], "something of the refused archive stayed"
    assert caught.value.fix
    return caught.value


GOOD = (
    folder("pkg-1.0"),
    entry("pkg-1.0/setup.py", b"print()\n", mode=0o6755),
    entry("pkg-1.0/src/deep/module.c", b"int x;\n", mode=0o600, mtime=STAMP + 5.5),
    link("pkg-1.0/src/again.c", "deep/module.c"),
    link("pkg-1.0/src/hard.c", "pkg-1.0/src/deep/module.c", tarfile.LNKTYPE),
)


@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_a_good_archive_is_unpacked(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    archive = tmp_path / "pkg-1.0.tar.gz"
    archive.write_bytes(compress(tar_bytes(*GOOD)))
    assert unpack(archive, tmp_path / "tree", limits=LIMITS) == STAMP + 5
    tree = tmp_path / "tree"
    assert (tree / "src/deep/module.c").read_bytes() == b"int x;\n"
    assert (tree / "src/again.c").readlink() == Path("deep/module.c")
    assert (tree / "src/hard.c").read_bytes() == b"int x;\n"
    assert stat.S_IMODE((tree / "setup.py").stat().st_mode) == 0o755, "set-user-id bits are dropped"
    assert stat.S_IMODE((tree / "src/deep/module.c").stat().st_mode) == 0o644
    assert (tree / "setup.py").stat().st_mtime == STAMP
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pkg-1.0.tar.gz", "tree"]


def test_a_hard_link_is_a_copy_so_that_a_patch_of_one_leaves_the_other(tmp_path: Path) -> None:
    unpack(tar_gz(tmp_path / "a.tar.gz", *GOOD), tmp_path / "tree", limits=LIMITS)
    assert (tmp_path / "tree/src/hard.c").stat().st_nlink == 1


def test_a_good_zip_is_unpacked(tmp_path: Path) -> None:
    archive = zipped(
        tmp_path / "pkg-1.0.zip",
        ("pkg-1.0/", b"", stat.S_IFDIR | 0o755),
        ("pkg-1.0/configure", b"#!/bin/sh\n", stat.S_IFREG | 0o755),
        ("pkg-1.0/a/b.txt", b"text", 0),
        ("pkg-1.0/link", b"a/b.txt", stat.S_IFLNK | 0o777),
    )
    assert unpack(archive, tmp_path / "tree", limits=LIMITS) == STAMP
    assert os.access(tmp_path / "tree/configure", os.X_OK)
    assert (tmp_path / "tree/link").read_bytes() == b"text"


def test_a_file_that_comes_twice_is_the_last_one_as_with_tar(tmp_path: Path) -> None:
    archive = tar_gz(tmp_path / "a.tar.gz", entry("p/f", b"old"), entry("p/f", b"new"))
    unpack(archive, tmp_path / "tree", limits=LIMITS)
    assert (tmp_path / "tree/f").read_bytes() == b"new"


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ([entry("p/../../evil", b"x")], "leads out"),
        ([entry("../evil", b"x")], "leads out"),
        ([entry("/etc/evil", b"x")], "leads out"),
        ([entry("C:/evil", b"x")], "leads out"),
        ([entry("p/..\\evil", b"x")], "backslash"),
        ([entry("p/\x1b[31mred", b"x")], "control character"),
        ([entry("p/" + "n" * 300, b"x")], "a name of 302 bytes"),
        ([entry("p/" + "n/" * 600 + "f", b"x")], "a name of"),
        ([link("p/l", "/etc/passwd")], "the link"),
        ([link("p/l", "../../etc/passwd")], "the link"),
        ([link("p/l", "../p/f"), entry("p/f")], "the link"),  # the folder gets another name
        ([link("p/l", "")], "the link"),
        ([link("p/a", "b"), link("p/b", "a")], "the link"),
        ([folder("p"), link("p/a", "."), link("p/b", "a/..")], "the link"),
        ([link("p/l", "/etc"), entry("p/l/evil", b"x")], "below a file or link"),
        ([link("p/l", "x"), entry("p/l", b"x")], "comes twice"),
        ([entry("p/l", b"x"), link("p/l", "x")], "comes twice"),
        ([link("p/l", "x"), link("p/l", "/etc/passwd")], "comes twice"),
        ([entry("p/f", b"x"), entry("p/f/g", b"x")], "below a file"),
        ([folder("p"), link("p/h", "/etc/passwd", tarfile.LNKTYPE)], "leads out"),
        ([folder("p"), link("p/h", "p/../../x", tarfile.LNKTYPE)], "leads out"),
        ([folder("p"), link("p/l", "x"), link("p/h", "p/l", tarfile.LNKTYPE)], "no file of it"),
        ([folder("p"), link("p/h", "p/none", tarfile.LNKTYPE)], "no file of it"),
        ([folder("p"), link("p/h", "p/h", tarfile.LNKTYPE)], "no file of it"),
        ([entry("p/dev", type=tarfile.CHRTYPE)], "a device"),
        ([entry("p/dev", type=tarfile.BLKTYPE)], "a device"),
        ([entry("p/pipe", type=tarfile.FIFOTYPE)], "a device"),
        ([entry("p/odd", type=b"Q")], "a device"),
        ([entry("file", b"x")], "exactly one folder"),
        ([entry("p/f", b"x"), entry("q/f", b"x")], "exactly one folder"),
        ([], "exactly one folder"),
        ([entry(f"p/{number}") for number in range(101)], "more than 100 members"),
    ],
)
def test_a_tar_that_does_what_no_source_does_is_refused(
    tmp_path: Path, members: list[tuple[tarfile.TarInfo, bytes]], words: str
) -> None:
    refused(tar_gz(tmp_path / "evil.tar.gz", *members), tmp_path, words)
    assert not Path("/etc/evil").exists()
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ([("p/../../evil", b"x", 0)], "leads out"),
        ([("/evil", b"x", 0)], "leads out"),
        ([("p\\..\\evil", b"x", 0)], "backslash"),
        ([("p/l", b"/etc/passwd", stat.S_IFLNK | 0o777)], "the link"),
        ([("p/l", b"x" * 5000, stat.S_IFLNK | 0o777)], "a target of 5000 bytes"),
        ([("p/dev", b"", stat.S_IFCHR | 0o666)], "a device"),
        ([("p/pipe", b"", stat.S_IFIFO | 0o666)], "a device"),
        ([("p/f", b"x", 0), ("q/f", b"x", 0)], "exactly one folder"),
    ],
)
def test_a_zip_that_does_what_no_source_does_is_refused(
    tmp_path: Path, members: list[tuple[str, bytes, int]], words: str
) -> None:
    refused(zipped(tmp_path / "evil.zip", *members), tmp_path, words)


def test_a_name_cut_by_nul_is_refused(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "evil.zip", ("p/goodXevil", b"x", 0))
    archive.write_bytes(archive.read_bytes().replace(b"goodXevil", b"good\0evil"))
    refused(archive, tmp_path, "NUL")


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "evil.zip", ("p/f", b"x", 0))
    data = bytearray(archive.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1  # the flag in the central directory
    archive.write_bytes(data)
    refused(archive, tmp_path, "encrypted")


# ---------------------------------------------------------------- bombs


def test_a_tar_whose_header_tells_of_too_much_is_refused_unread(tmp_path: Path) -> None:
    data = bytearray(tar_bytes(entry("p/f", b"x" * 10)))
    info = entry("p/f", b"")[0]
    info.size = 10**15
    data[:512] = info.tobuf(tarfile.GNU_FORMAT)
    archive = tmp_path / "evil.tar"
    archive.write_bytes(data)
    refused(archive, tmp_path, "more than 1 MiB")


def test_a_compressed_bomb_is_ended_while_it_unfolds(tmp_path: Path) -> None:
    archive = tar_gz(tmp_path / "evil.tar.gz", *[entry(f"p/{n}", b"\0" * 300_000) for n in range(5)])
    assert archive.stat().st_size < 10_000
    refused(archive, tmp_path, "more than 1 MiB")


def test_hard_links_count_as_the_copies_that_they_become(tmp_path: Path) -> None:
    copies = [link(f"p/{n}", "p/big", tarfile.LNKTYPE) for n in range(5)]
    refused(tar_gz(tmp_path / "evil.tar.gz", entry("p/big", b"\0" * 300_000), *copies), tmp_path, "more than 1 MiB")


def test_a_bomb_in_a_header_is_not_read_into_memory(tmp_path: Path) -> None:
    size = 512 * 2000
    head = entry("x")[0]
    head.type, head.size = tarfile.XHDTYPE, size
    archive = tmp_path / "evil.tar.gz"
    archive.write_bytes(gzip.compress(head.tobuf(tarfile.USTAR_FORMAT) + b"\0" * size))
    refused(archive, tmp_path, "headers has")


def test_endless_headers_are_refused(tmp_path: Path) -> None:
    head = entry("x")[0]
    head.type, head.size = tarfile.XHDTYPE, 12
    block = head.tobuf(tarfile.USTAR_FORMAT) + b"12 path=abc\n".ljust(512, b"\0")
    archive = tmp_path / "evil.tar.gz"
    archive.write_bytes(gzip.compress(block * 5000))
    with pytest.raises(SourceError):
        unpack(archive, tmp_path / "tree", limits=Limits(10**9, 100))
    assert sorted(tmp_path.iterdir()) == [archive]


def test_a_zip_bomb_is_ended_while_it_unfolds(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "evil.zip", *[(f"p/{n}", b"\0" * 300_000, 0) for n in range(5)])
    refused(archive, tmp_path, "more than 1 MiB")


def test_a_zip_that_lies_about_a_size_is_refused(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "evil.zip", ("p/f", b"\0" * 5_000_000, 0))
    size = (5_000_000).to_bytes(4, "little")
    assert archive.read_bytes().count(size) == 2
    archive.write_bytes(archive.read_bytes().replace(size, (1000).to_bytes(4, "little")))
    with pytest.raises(SourceError, match="can be read"):
        unpack(archive, tmp_path / "tree", limits=LIMITS)
    assert sorted(tmp_path.iterdir()) == [archive]


# ---------------------------------------------------------------- damage


@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.71])
def test_a_damaged_archive_is_an_error_and_leaves_nothing(
    tmp_path: Path, compress: Callable[[bytes], bytes], share: float
) -> None:
    whole = compress(tar_bytes(*[entry(f"p/{n}", os.urandom(3000)) for n in range(20)]))
    archive = tmp_path / "cut.tar.gz"
    archive.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(SourceError, match="can be read"):
        unpack(archive, tmp_path / "tree", limits=LIMITS)
    assert sorted(tmp_path.iterdir()) == [archive]


@pytest.mark.parametrize(
    "data", [b"", b"<html>not found</html>", b"PK\x03\x04rubbish", b"\x1f\x8b\x08rubbish", b"BZh9x"]
)
def test_what_is_no_archive_is_an_error(tmp_path: Path, data: bytes) -> None:
    archive = tmp_path / "pkg-1.0.tar.gz"
    archive.write_bytes(data)
    with pytest.raises(SourceError) as caught:
        unpack(archive, tmp_path / "tree", limits=LIMITS)
    assert not isinstance(caught.value, UnsafeArchiveError) or not data.strip(b"\0")


def test_zstd_is_refused_in_clear_words_where_python_cannot_read_it(tmp_path: Path) -> None:
    archive = tmp_path / "pkg-1.0.tar.zst"
    archive.write_bytes(b"\x28\xb5\x2f\xfd" + bytes(20))
    with pytest.raises(SourceError, match=r"zstd|can be read"):
        unpack(archive, tmp_path / "tree", limits=LIMITS)


@pytest.mark.parametrize(("given_time", "kept"), [(0, 315_532_800), (2**40, 4_354_819_199), (-5, 315_532_800)])
def test_times_are_kept_within_what_zip_can_tell(tmp_path: Path, given_time: int, kept: int) -> None:
    archive = tar_gz(tmp_path / "a.tar.gz", entry("p/f", b"x", mtime=given_time))
    assert unpack(archive, tmp_path / "tree", limits=LIMITS) == kept
    assert (tmp_path / "tree/f").stat().st_mtime == kept


# ---------------------------------------------------------------- any names, any links

PARTS = st.sampled_from(["..", ".", "", "a", "b", "c", "/"])
NAMES = st.lists(PARTS, min_size=1, max_size=6).map("/".join)


@given(NAMES)
@example("/")
@example("a/../..")
def test_a_name_that_is_accepted_stays_inside(name: str) -> None:
    try:
        parts = checked_name(name, "archive")
    except UnsafeArchiveError:
        return
    assert not Path(os.path.normpath("/root/" + "/".join(parts))).relative_to("/root").is_absolute()
    assert ".." not in parts


@given(st.dictionaries(st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map(tuple), NAMES, max_size=5))
@example({("a",): ".", ("b",): "a/.."})
@example({("a", "a"): "..", ("b",): "a/a/a/a/.."})
def test_the_kernel_finds_no_link_that_leads_out(links: dict[tuple[str, ...], str]) -> None:
    """What is accepted is made for real, and the kernel follows it: the second opinion."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name).resolve() / "x" / "root"
        root.mkdir(parents=True)
        made = {}
        for path, goal in links.items():
            parents = [path[:length] for length in range(1, len(path))]
            if not goal or any(parent in links for parent in parents) or root.joinpath(*path).exists():
                continue
            root.joinpath(*path[:-1]).mkdir(parents=True, exist_ok=True)
            root.joinpath(*path).symlink_to(goal)
            made[path] = goal
        for path in made:
            if not leads_out(made, path):
                real = os.path.realpath(root.joinpath(*path))
                assert real == str(root) or real.startswith(f"{root}/")


MEMBERS = st.lists(
    st.tuples(
        st.sampled_from(["file", "folder", "link", "hard"]),
        st.lists(st.sampled_from(["p", "a", "b", "..", ""]), min_size=1, max_size=4).map("/".join),
        NAMES,
    ),
    max_size=6,
)


@given(MEMBERS)
def test_whatever_an_archive_holds_nothing_appears_outside(members: list[tuple[str, str, str]]) -> None:
    def make(kind: str, name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
        match kind:
            case "folder":
                return folder(name)
            case "link":
                return link(name, target)
            case "hard":
                return link(name, target, tarfile.LNKTYPE)
        return entry(name, b"content")

    with tempfile.TemporaryDirectory() as name:
        top = Path(name).resolve()
        archive = top / "a.tar"
        archive.write_bytes(tar_bytes(*(make(*member) for member in members)))
        place = top / "place"
        place.mkdir()
        try:
            unpack(archive, place / "tree", limits=LIMITS)
        except SourceError:
            assert list(place.iterdir()) == []
        else:
            assert [path.name for path in place.iterdir()] == ["tree"]
            for path in (place / "tree").rglob("*"):
                assert str(path.resolve()).startswith(str(place / "tree"))
        assert sorted(path.name for path in top.iterdir()) == ["a.tar", "place"]
