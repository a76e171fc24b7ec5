"""Downloads over real HTTP, with every fault made for real: verified, resumed, whole or not at all."""

from __future__ import annotations

import functools
import gzip
import hashlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from support.gitlab import GitLab, serve
from support.index import Fault, IndexServer
from wheelyard.core.errors import DigestMismatchError, DiskError, NetworkError
from wheelyard.io import downloads, http, retry, threads

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator
    from pathlib import Path

DATA = os.urandom(300_000)
SHA256 = hashlib.sha256(DATA).hexdigest()
PATH = "/files/pkg-1.0.tar.gz"
LIMIT = 1_000_000


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[IndexServer]:
    monkeypatch.setattr(retry, "_PAUSE", 0.01)
    monkeypatch.setattr(http, "TIMEOUT", (1.0, 1.0))
    http.session.cache_clear()
    with IndexServer() as running:
        running.add_static(PATH, DATA)
        yield running
    http.session.cache_clear()


def get(server: IndexServer, target: Path, *, size: int | None = len(DATA), limit: int = LIMIT) -> None:
    downloads.download(server.root + PATH, target, sha256=SHA256, size=size, limit=limit)


def ranges(server: IndexServer) -> list[str]:
    return [request.headers.get("Range", "") for request in server.requests]


def part(target: Path) -> Path:
    return target.with_name(f".{target.name}.{SHA256[:16]}.part")


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


@pytest.mark.parametrize("size", [len(DATA), None])
def test_a_file_arrives_whole(server: IndexServer, tmp_path: Path, size: int | None) -> None:
    get(server, tmp_path / "deep/pkg-1.0.tar.gz", size=size)
    assert (tmp_path / "deep/pkg-1.0.tar.gz").read_bytes() == DATA
    assert names(tmp_path / "deep") == ["pkg-1.0.tar.gz"]


def test_a_file_that_is_there_is_not_asked_for(server: IndexServer, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(DATA)
    get(server, tmp_path / "f")
    assert server.requests == []
    assert names(tmp_path) == ["f"]


def test_other_bytes_than_promised_are_refused(server: IndexServer, tmp_path: Path) -> None:
    server.fault(PATH, Fault(body=b"x" + DATA[1:]))
    with pytest.raises(DigestMismatchError) as caught:
        get(server, tmp_path / "f")
    assert caught.value.details[0] == f"promised: sha256 {SHA256}, {len(DATA)} bytes"
    assert names(tmp_path) == []


def test_other_bytes_do_not_replace_what_is_there(server: IndexServer, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"before")
    server.fault(PATH, Fault(body=b"other"))
    with pytest.raises(DigestMismatchError):
        get(server, tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == b"before"


@pytest.mark.parametrize("size", [len(DATA), None])
def test_a_broken_download_goes_on_where_it_stopped(server: IndexServer, tmp_path: Path, size: int | None) -> None:
    server.fault(PATH, Fault(cut_after=100_000, times=1))
    server.fault(PATH, Fault(cut_after=50_000, times=1))
    get(server, tmp_path / "f", size=size)
    assert (tmp_path / "f").read_bytes() == DATA
    assert ranges(server) == ["", "bytes=100000-", "bytes=150000-"]


def test_without_ranges_a_broken_download_starts_anew(server: IndexServer, tmp_path: Path) -> None:
    server.fault(PATH, Fault(cut_after=100_000, times=1))
    server.fault(PATH, Fault(no_range=True))
    get(server, tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == DATA
    assert ranges(server) == ["", "bytes=100000-"]


def test_a_server_that_breaks_off_every_time_is_given_up_and_what_came_is_kept(
    server: IndexServer, tmp_path: Path
) -> None:
    server.fault(PATH, Fault(cut_after=10_000))
    with pytest.raises(NetworkError, match="broke off 4 times"):
        get(server, tmp_path / "f")
    assert part(tmp_path / "f").read_bytes() == DATA[:40_000]
    server.heal()
    get(server, tmp_path / "f")
    assert ranges(server)[-1] == "bytes=40000-"
    assert names(tmp_path) == ["f"]


def test_a_body_cut_short_without_a_length_is_noticed(server: IndexServer, tmp_path: Path) -> None:
    server.fault(PATH, Fault(cut_after=10_000, no_length=True, times=1))
    get(server, tmp_path / "f")
    assert ranges(server) == ["", "bytes=10000-"]


def test_a_server_that_announces_too_little_is_found_out(server: IndexServer, tmp_path: Path) -> None:
    server.fault(PATH, Fault(headers={"Content-Length": "1000"}, no_length=True))
    with pytest.raises(DigestMismatchError):
        get(server, tmp_path / "f", size=None)
    assert names(tmp_path) == []


def test_a_server_that_announces_more_than_it_sends_is_asked_for_the_rest(server: IndexServer, tmp_path: Path) -> None:
    server.fault(PATH, Fault(headers={"Content-Length": str(len(DATA) + 1)}, no_length=True))
    get(server, tmp_path / "f", size=None)
    assert (tmp_path / "f").read_bytes() == DATA
    assert ranges(server) == ["", f"bytes={len(DATA)}-"]


def test_a_range_from_another_place_is_not_appended(server: IndexServer, tmp_path: Path) -> None:
    part(tmp_path / "f").write_bytes(DATA[:1000])
    headers = {"Content-Range": f"bytes 0-{len(DATA) - 1}/{len(DATA)}"}
    server.fault(PATH, Fault(status=206, headers=headers, times=1))
    get(server, tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == DATA
    assert ranges(server) == ["bytes=1000-", ""]


def test_what_an_earlier_run_left_is_checked_too(server: IndexServer, tmp_path: Path) -> None:
    part(tmp_path / "f").write_bytes(b"rubbish")
    get(server, tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == DATA


@pytest.mark.parametrize("size", [len(DATA), None])
def test_a_download_that_only_lacked_its_name_is_not_done_again(
    server: IndexServer, tmp_path: Path, size: int | None
) -> None:
    part(tmp_path / "f").write_bytes(DATA)
    get(server, tmp_path / "f", size=size)
    assert (tmp_path / "f").read_bytes() == DATA
    assert ranges(server) == ([] if size else [f"bytes={len(DATA)}-"])


@pytest.mark.parametrize(("size", "limit"), [(1000, LIMIT), (None, 1000)])
def test_more_bytes_than_allowed_are_not_taken(
    server: IndexServer, tmp_path: Path, size: int | None, limit: int
) -> None:
    with pytest.raises(DigestMismatchError, match="larger than the 1000 bytes"):
        get(server, tmp_path / "f", size=size, limit=limit)
    assert names(tmp_path) == []


def test_an_endless_body_is_stopped(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sent = [0]

        def pour() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(10_000)
                connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
                try:
                    while True:
                        connection.sendall(b"x" * 10_000)
                        sent[0] += 10_000
                except OSError:
                    return

        thread = threading.Thread(target=pour)
        thread.start()
        with pytest.raises(DigestMismatchError, match="larger than"):
            downloads.download(
                f"http://127.0.0.1:{listener.getsockname()[1]}/f", tmp_path / "f", sha256=SHA256, limit=100_000
            )
        thread.join(20)
        assert not thread.is_alive()
    assert names(tmp_path) == []


def test_a_declared_encoding_does_not_change_the_bytes(server: IndexServer, tmp_path: Path) -> None:
    """RFC 9110, section 8.4: some servers declare a .tar.gz as gzip-encoded tar."""
    data = gzip.compress(DATA)
    url = server.add_static("/x.tar.gz", data)
    server.fault("/x.tar.gz", Fault(headers={"Content-Encoding": "gzip"}))
    downloads.download(url, tmp_path / "f", sha256=hashlib.sha256(data).hexdigest(), size=len(data), limit=LIMIT)
    assert (tmp_path / "f").read_bytes() == data


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_refusal_is_told_at_once(server: IndexServer, tmp_path: Path, status: int) -> None:
    server.fault(PATH, Fault(status=status))
    with pytest.raises(NetworkError, match=f"answers {status} for f"):
        get(server, tmp_path / "f")
    assert len(server.requests) == 1
    assert list(tmp_path.iterdir()) == []


def test_what_passes_by_itself_is_tried_again(server: IndexServer, tmp_path: Path) -> None:
    server.fault(PATH, Fault(status=503, times=1))
    server.fault(PATH, Fault(status=429, headers={"Retry-After": "0"}, times=1))
    server.fault(PATH, Fault(drop=True, times=1))
    get(server, tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == DATA


def test_a_server_that_is_always_ill_is_given_up(server: IndexServer, tmp_path: Path) -> None:
    server.fault(PATH, Fault(status=500))
    with pytest.raises(NetworkError, match="answers 500"):
        get(server, tmp_path / "f")


def test_a_server_may_not_make_us_wait_for_hours(server: IndexServer, tmp_path: Path) -> None:
    server.fault(PATH, Fault(status=503, headers={"Retry-After": "20000"}, times=1))
    with pytest.raises(NetworkError, match="asks to wait 20000 seconds"):
        get(server, tmp_path / "f")
    assert len(server.requests) == 1
    get(server, tmp_path / "f")
    assert (tmp_path / "f").exists()


def test_a_server_that_hangs_is_left(server: IndexServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "TIMEOUT", (0.2, 0.2))
    server.fault(PATH, Fault(delay=3))
    with pytest.raises(NetworkError, match=r"127\.0\.0\.1 cannot be reached"):
        get(server, tmp_path / "f")


def test_a_server_that_hangs_in_the_middle_is_asked_again(
    server: IndexServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "TIMEOUT", (0.2, 0.2))
    server.fault(PATH, Fault(chunk_delay=2, times=1))
    get(server, tmp_path / "f")
    assert ranges(server) == ["", "bytes=1024-"]


def test_nobody_listens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "_PAUSE", 0.0)
    http.session.cache_clear()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(NetworkError, match="cannot be reached") as caught:
        downloads.download(f"http://127.0.0.1:{port}/f?token=s3cret", tmp_path / "f", sha256=SHA256, limit=LIMIT)
    assert "network and proxy" in str(caught.value.fix)
    http.session.cache_clear()


# ---------------------------------------------------------------- the disk, the other run, kill -9


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    if (
        os.geteuid() != 0
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(disk)], check=False, capture_output=True
        ).returncode
    ):
        pytest.skip("needs the right to mount a small disk")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_is_told_with_its_place_and_the_next_run_goes_on(server: IndexServer, small_disk: Path) -> None:
    with pytest.raises(DiskError, match="no space") as caught:
        get(server, small_disk / "f")
    assert caught.value.where == str(small_disk / "f")
    assert not (small_disk / "f").exists()
    subprocess.run(["mount", "-o", "remount,size=2m", str(small_disk)], check=True)
    get(server, small_disk / "f")
    assert (small_disk / "f").read_bytes() == DATA
    assert ranges(server)[-1].startswith("bytes=")


def test_a_folder_that_may_not_be_written_is_told(server: IndexServer, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(disk)], check=False).returncode:
        pytest.skip("needs the right to mount a disk")
    try:
        with pytest.raises(DiskError, match="cannot write"):
            get(server, disk / "f")
    finally:
        subprocess.run(["umount", str(disk)], check=True)


SCRIPT = """
import sys
from pathlib import Path
from wheelyard.io import downloads
downloads.download(sys.argv[1], Path(sys.argv[2]), sha256=sys.argv[3], size=int(sys.argv[4]), limit=10**9)
"""


def start(server: IndexServer, target: Path) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-c", SCRIPT, server.root + PATH, str(target), SHA256, str(len(DATA))]
    return subprocess.Popen(words, stderr=subprocess.PIPE)


def wait_for(condition: object) -> None:
    deadline = time.monotonic() + 30
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)


def test_kill_9_in_the_middle_and_the_next_run_goes_on(server: IndexServer, tmp_path: Path) -> None:
    target = tmp_path / "f"
    server.fault(PATH, Fault(chunk_delay=0.01, times=1))
    process = start(server, target)
    wait_for(lambda: part(target).exists() and part(target).stat().st_size > 60_000)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    have = part(target).stat().st_size
    assert 0 < have < len(DATA)
    assert not target.exists()
    get(server, target)
    assert target.read_bytes() == DATA
    assert ranges(server)[-1] == f"bytes={have}-"
    assert names(tmp_path) == ["f"]


def test_two_runs_at_once_download_once(server: IndexServer, tmp_path: Path) -> None:
    target = tmp_path / "f"
    server.fault(PATH, Fault(chunk_delay=0.002, times=1))
    first = start(server, target)
    wait_for(lambda: part(target).exists() and part(target).stat().st_size > 1000)
    second = start(server, target)
    said = [process.communicate(timeout=60)[1] for process in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0], said
    assert b"waiting for another run" in said[1]
    assert target.read_bytes() == DATA
    assert len(server.requests) == 1
    assert names(tmp_path) == ["f"]


def test_whoever_waited_for_a_killed_run_takes_over(server: IndexServer, tmp_path: Path) -> None:
    target = tmp_path / "f"
    server.fault(PATH, Fault(chunk_delay=0.01, times=1))
    first = start(server, target)
    wait_for(lambda: part(target).exists() and part(target).stat().st_size > 1000)
    second = start(server, target)
    assert second.stderr is not None
    assert b"waiting" in second.stderr.readline()
    first.kill()
    first.communicate()
    said = second.communicate(timeout=60)[1]
    assert second.returncode == 0, said
    assert target.read_bytes() == DATA
    assert ranges(server)[-1].startswith("bytes=")


def test_runs_that_wait_for_a_wrong_file_all_fail(server: IndexServer, tmp_path: Path) -> None:
    server.fault(PATH, Fault(body=b"x" * len(DATA), chunk_delay=0.001))
    both = [start(server, tmp_path / "f") for _ in range(2)]
    assert all(process.wait(60) for process in both)
    for process in both:
        process.communicate()
    assert names(tmp_path) == []


def test_a_certificate_is_trusted_where_the_user_says_so_and_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    http.session.cache_clear()
    with serve(GitLab(tmp_path / "one"), tls=True) as known, serve(GitLab(tmp_path / "two"), tls=True) as stranger:
        # Certificates are read once for a file of them, and a session is for both servers.
        for name, server in (("", known), (str(known.ca), stranger)):
            monkeypatch.setenv("REQUESTS_CA_BUNDLE", name)
            http.session.cache_clear()
            with pytest.raises(NetworkError, match="a certificate that is not trusted here"):
                http.get(f"{server.url}/api/v4/version")
        assert [http.get(f"{known.url}/api/v4/version").status_code for _ in range(3)] == [401] * 3
    http.session.cache_clear()


def test_threads_that_connect_at_once_read_the_certificates_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    trusting = http._trusting.__wrapped__

    def slowly(certificates: str) -> ssl.SSLContext:
        read.append(certificates)
        time.sleep(0.05)  # while others look at the same pool
        return trusting(certificates)

    monkeypatch.setattr(http, "_trusting", functools.cache(slowly))
    with serve(GitLab(tmp_path), tls=True) as server:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(server.ca))
        http.session.cache_clear()
        url = f"{server.url}/api/v4/version"
        assert threads.each(lambda _number: http.get(url).status_code, range(16), parallel=16) == [401] * 16
    assert len(read) == 1
    http.session.cache_clear()
