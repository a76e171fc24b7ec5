"""Sources of copyleft libraries: real apt asks a mirror on the loopback for them, a GitLab there keeps them."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from support.gitlab import Fault
from support.mirror import Mirror, Package
from support.pages import ROOT, commands
from support.publishing import PublishedProject, refused, yard_in
from support.wheels import WheelSpec
from wheelyard.core.digests import sha256_bytes
from wheelyard.records.copyleft_sources import SOURCES
from wheelyard.records.models import GraftRecord
from wheelyard.records.wheel_records import read_record, write_record

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.integration

VERSION = "2:1.2~rc1-3"  # what GitLab's versions may not hold, Debian's may
FILES = {
    "libhum_1.2~rc1-3.dsc": b"Format: 3.0 (quilt)\n",
    "libhum_1.2~rc1.orig.tar.gz": os.urandom(100_000),
    "libhum_1.2~rc1-3.debian.tar.xz": b"debian",
}
GRAFT = GraftRecord(
    file="demo.libs/libhum-01234567.so.1",
    name="libhum.so.1",
    package="libhum1",
    package_version=VERSION,
    source="libhum",
    source_version=VERSION,
    kind="debian",
    licence="LGPL-2.1+",
    copyleft=True,
)
SPEC = WheelSpec(files={GRAFT.file: b"\x7fELF"})


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[Mirror]:
    with Mirror(tmp_path) as made:
        made.publish(Package("libhum1", VERSION, "riscv64"))
        made.publish_source("libhum", VERSION, FILES)
        yield made


@pytest.fixture
def yard(tmp_path: Path, mirror: Mirror) -> Iterator[PublishedProject]:
    with yard_in(tmp_path) as made:
        made.stock.more = "local-images = true"
        made.stock.policy()
        made.stock.env["PATH"] = f"{mirror.bin}:{os.environ['PATH']}"
        yield made


def have(yard: PublishedProject, *grafts: GraftRecord) -> Path:
    """Have a wheel in ``dist/`` that was built in a local image and holds these libraries."""
    (wheel,) = yard.stock.add(SPEC, kind="local")
    record = read_record(wheel)
    image = record.image.model_copy(update={"suite": "trixie"})
    write_record(wheel.parent, record.model_copy(update={"grafts": grafts, "image": image}))
    return wheel


def sources(yard: PublishedProject, *words: str, to: str = "gitlab") -> Any:
    return yard.stock.run("sources", "--to", to, *words)


def test_publishing_waits_for_the_sources(yard: PublishedProject) -> None:
    wheel = have(yard, GRAFT)
    refused(yard.publish(), 60, "libhum", "wheelyard sources demo --to gitlab")
    yard.exactly([])
    assert "would be fetched" in sources(yard, "--dry-run").stdout
    assert not SOURCES.path(yard.stock.root / "packages", "demo").exists()

    done = sources(yard, "demo", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert {file["file"]: file["sha256"] for file in report["stored"]} == {
        name: sha256_bytes(data) for name, data in FILES.items()
    }
    for file in report["stored"]:  # the addresses are everybody's
        assert requests.get(file["url"], timeout=30).content == FILES[file["file"]]
    recorded = SOURCES.read(SOURCES.path(yard.stock.root / "packages", "demo"))
    assert {(one.name, one.version, one.file, one.where) for one in recorded} == {
        ("libhum", VERSION, name, "gitlab") for name in FILES
    }
    published = yard.publish()
    assert published.returncode == 0, published.stderr
    yard.exactly([wheel])


def test_again_nothing_is_sent_and_nothing_changes(yard: PublishedProject) -> None:
    have(yard, GRAFT)
    assert sources(yard).returncode == 0
    record = SOURCES.path(yard.stock.root / "packages", "demo")
    before, sent = record.read_bytes(), len(yard.gitlab.requests)
    assert sources(yard).returncode == 0
    assert (record.read_bytes(), len(yard.gitlab.requests)) == (before, sent)
    record.unlink()  # what is there is found again, and not sent twice
    assert sources(yard).returncode == 0
    assert record.read_bytes() == before
    assert sum(seen.method == "PUT" for seen in yard.gitlab.requests) == len(FILES)


def test_an_upload_that_breaks_off_is_gone_on_with(yard: PublishedProject) -> None:
    have(yard, GRAFT)
    yard.gitlab.fault(Fault("status", method="PUT", path=r"\.orig\.tar\.gz$", status=503, times=1))
    done = sources(yard)
    assert done.returncode == 0, done.stderr


def test_two_runs_at_once_send_each_file_once(yard: PublishedProject) -> None:
    have(yard, GRAFT)
    yard.gitlab.fault(Fault("stall", method="PUT", path=r"\.dsc$", seconds=5, times=1, after=True))
    running = [yard.stock.start("sources", "--to", "gitlab") for _ in range(2)]
    said = [process.communicate(timeout=120)[1] for process in running]
    assert [process.returncode for process in running] == [0, 0], said
    assert sum("waiting for another run: fetching the source of libhum" in each for each in said) == 1, said
    assert sum(seen.method == "PUT" for seen in yard.gitlab.requests) == len(FILES)
    assert len(SOURCES.read(SOURCES.path(yard.stock.root / "packages", "demo"))) == len(FILES)


def test_a_run_that_is_killed_is_gone_on_with(yard: PublishedProject) -> None:
    have(yard, GRAFT)
    yard.gitlab.fault(Fault("stall", method="PUT", path=r"\.orig\.tar\.gz$", seconds=60, after=True))
    with yard.stock.start("sources", "--to", "gitlab") as process:
        for _ in range(600):
            if any(seen.method == "PUT" and seen.path.endswith(".dsc") for seen in yard.gitlab.requests):
                break
            time.sleep(0.1)
        time.sleep(0.5)  # it is at the next one, most likely; wherever it is, it must do no harm
        process.kill()
    assert not SOURCES.path(yard.stock.root / "packages", "demo").exists()
    yard.gitlab.plan.clear()
    done = sources(yard)
    assert done.returncode == 0, done.stderr
    stored = SOURCES.read(SOURCES.path(yard.stock.root / "packages", "demo"))
    assert {one.file: one.sha256 for one in stored} == {name: sha256_bytes(data) for name, data in FILES.items()}
    sent = [seen.path for seen in yard.gitlab.requests if seen.method == "PUT" and seen.path.endswith(".dsc")]
    assert len(sent) == 1


def test_what_the_server_damages_is_told_and_not_recorded(yard: PublishedProject) -> None:
    have(yard, GRAFT)
    yard.gitlab.fault(Fault("corrupt", method="PUT", path=r"\.orig\.tar\.gz$"))
    refused(sources(yard), 60, "gives other bytes for libhum_1.2~rc1.orig.tar.gz")
    assert not SOURCES.path(yard.stock.root / "packages", "demo").exists()
    refused(sources(yard), 60, "is in", "with other bytes")  # and it is never replaced


def test_an_archive_that_has_moved_on_is_told(yard: PublishedProject, mirror: Mirror) -> None:
    mirror.publish(Package("libhum1", "2:1.3-1", "riscv64"))
    mirror.publish_source("libhum", "2:1.3-1", FILES)
    have(yard, GRAFT)
    refused(sources(yard), 60, f"does not have the source of libhum {VERSION}", "snapshots")


def test_an_archive_that_gives_other_bytes_is_told(yard: PublishedProject, mirror: Mirror) -> None:
    (next(mirror.tree.rglob("libhum*.orig.tar.gz"))).write_bytes(os.urandom(100_000))
    have(yard, GRAFT)
    refused(sources(yard), 60, "libhum_1.2~rc1.orig.tar.gz is not the file that was promised")


def test_a_library_of_unknown_origin_waits_for_somebody_to_look(yard: PublishedProject) -> None:
    have(yard, GraftRecord(file=GRAFT.file, name=GRAFT.name))
    refused(yard.publish(), 60, "is not from the build image", "cleared-grafts")
    refused(sources(yard), 60, GRAFT.file)
    pyproject = yard.stock.root / "pyproject.toml"
    text = pyproject.read_text(encoding="utf-8")
    pyproject.write_text(text.replace("[tool.wheelyard]", '[tool.wheelyard]\ncleared-grafts = ["libhum.*"]', 1))
    done = yard.publish()
    assert done.returncode == 0, done.stderr


def test_an_older_record_with_grafts_is_not_enough(yard: PublishedProject) -> None:
    yard.stock.add(SPEC)
    refused(yard.publish(), 60, f"its record does not say where {GRAFT.file} is from")


def test_a_record_that_leaves_a_library_out_is_not_enough(yard: PublishedProject) -> None:
    have(yard)
    refused(yard.publish(), 60, f"its record does not say where {GRAFT.file} is from")
    have(yard, GRAFT.model_copy(update={"file": "demo.libs/libother-01234567.so.1"}))
    refused(yard.publish(), 60, f"its record does not say where {GRAFT.file} is from")


def test_a_wheel_that_cannot_be_read_keeps_no_other_back(yard: PublishedProject) -> None:
    """Its papers are in order; a job that lies can write them so."""
    other = SPEC.but(name="other", files={})
    (damaged, whole) = yard.stock.add(SPEC, other)
    with zipfile.ZipFile(damaged) as archive:
        member = archive.getinfo(GRAFT.file)
    start = member.header_offset + 30 + len(GRAFT.file)  # behind the local header (APPNOTE.TXT 4.3.7)
    data = damaged.read_bytes()
    damaged.write_bytes(data[:start] + b"\xff" * member.compress_size + data[start + member.compress_size :])
    yard.stock.rerecord(damaged, SPEC)
    refused(yard.publish(), 60, "cannot be read as a wheel")
    yard.exactly([whole])


def test_the_page_runs_as_it_is_written(yard: PublishedProject) -> None:
    wheel = have(yard, GRAFT)
    shutil.copy(ROOT / "noxfile.py", yard.stock.root)
    yard.stock.env["PATH"] = f"{Path(sys.executable).parent}:{yard.stock.env['PATH']}"
    says = iter(["would be fetched", "libhum_1.2~rc1-3.dsc", "1 published"])
    for command in commands("docs/how-to/sources.md"):
        done = yard.stock.shell(command.text)
        assert done.returncode == 0, done.stdout + done.stderr
        assert next(says) in done.stdout, done.stdout
    assert next(says, None) is None
    yard.exactly([wheel])


def test_a_folder_keeps_them_too(yard: PublishedProject) -> None:
    have(yard, GRAFT)
    done = sources(yard, to="./index")
    assert done.returncode == 0, done.stderr
    folder = yard.stock.root / "index" / "sources" / "libhum" / "2__1.2_rc1-3"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == FILES
    assert yard.stock.run("publish", "--to", "./index").returncode == 0
