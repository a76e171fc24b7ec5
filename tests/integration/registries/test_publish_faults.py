"""Publishing through faults: whatever happens on the way, each wheel is there once, whole, and the report is true."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import threading
import time
import zipfile
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from support.built_wheels import PROJECT, BuiltWheels, specs
from support.gitlab import Fault, GitLab, serve
from support.publishing import FILE, PAGE, UPLOAD, PublishedProject, yard_in
from support.wheels import WheelSpec
from wheelyard.core.digests import sha256_file
from wheelyard.io.server import Login
from wheelyard.records.releases import RELEASES
from wheelyard.registries import Credential, GitLabRegistry, Journal, plan_uploads, publish, read_release

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from wheelyard.registries import Release


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[PublishedProject]:
    with yard_in(tmp_path) as made:
        yield made


PASSING: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "429 with Retry-After": (UPLOAD, {"kind": "status", "status": 429, "retry_after": "1"}),
    "429 without a word": (UPLOAD, {"kind": "status", "status": 429}),
    "500 before the commit": (UPLOAD, {"kind": "status", "status": 500}),
    "502 after the commit": (UPLOAD, {"kind": "status_after", "status": 502}),
    "504 after the commit": (UPLOAD, {"kind": "status_after", "status": 504}),
    "a reset before the commit": (UPLOAD, {"kind": "reset"}),
    "a reset after the commit": (UPLOAD, {"kind": "reset_after"}),
    "an answer cut short": (UPLOAD, {"kind": "truncate", "count": 5}),
    "another client with the same bytes": (UPLOAD, {"kind": "race"}),
    "a race for the package record": (UPLOAD, {"kind": "creation_race"}),
    "a page cut short": (PAGE, {"kind": "truncate", "count": 20}),
    "a page that is not there for a moment": (PAGE, {"kind": "status", "status": 503}),
    "a page that comes slowly": (PAGE, {"kind": "drip", "count": 40, "seconds": 0.01}),
    "a file cut short when read back": (FILE, {"kind": "truncate", "count": 100}),
    "a file that is not there for a moment": (FILE, {"kind": "status", "status": 502}),
}


@pytest.mark.parametrize("what", PASSING)
def test_what_passes_is_survived(yard: PublishedProject, what: str) -> None:
    where, fault = PASSING[what]
    wheels = yard.stock.add(*specs(2, pythons=("cp313",)))
    # The first upload of a run is the access check: faults are for those that carry a wheel too.
    yard.gitlab.fault(Fault(**where, **fault, times=2))
    done = yard.publish()
    assert done.returncode == 0, (what, done.stderr)
    yard.exactly(wheels)
    assert len(RELEASES.read(yard.stock.root / "packages/demo/releases.toml")) == 2
    assert "2 there before" in yard.publish().stdout


def test_a_server_that_asks_to_wait_is_waited_for(yard: PublishedProject) -> None:
    wheels = yard.stock.add(WheelSpec())
    yard.gitlab.fault(Fault("status", **UPLOAD, status=429, retry_after="2", times=1))
    started = time.monotonic()
    assert yard.publish().returncode == 0
    assert time.monotonic() - started > 2
    yard.exactly(wheels)


def test_a_server_that_asks_for_an_hour_is_not(yard: PublishedProject) -> None:
    yard.stock.add(WheelSpec())
    yard.gitlab.fault(Fault("status", **UPLOAD, status=429, retry_after="3600"))
    done = yard.publish()
    assert done.returncode == 70
    assert "asks to wait 3600 seconds" in done.stderr
    assert "goes on where it stopped" in done.stderr


def test_a_file_that_the_index_shows_late_is_not_sent_again(yard: PublishedProject) -> None:
    (wheel,) = yard.stock.add(WheelSpec())
    yard.gitlab.fault(Fault("status_after", **UPLOAD, status=502, times=1, skip=1))
    yard.gitlab.fault(Fault("hide", **PAGE, files="demo", times=3))
    done = yard.publish()
    assert done.returncode == 0, done.stderr
    yard.exactly([wheel])


def test_another_client_with_other_bytes_is_a_conflict(yard: PublishedProject) -> None:
    yard.stock.add(WheelSpec())
    yard.gitlab.fault(Fault("race", **UPLOAD, other=b"not the same", skip=1, times=1))
    done = yard.publish()
    assert done.returncode == 61
    assert "with other bytes" in done.stderr
    assert not (yard.stock.root / "packages").exists()


def test_a_token_that_dies_in_the_middle_of_a_body(yard: PublishedProject) -> None:
    yard.stock.add(*specs(3), WheelSpec(version="9.0", files={"demo/big.bin": os.urandom(3_000_000)}))
    yard.gitlab.fault(Fault("unauthorized_mid_body", **UPLOAD, count=1000, skip=1))
    done = yard.publish()
    assert done.returncode == 62, done.stderr
    assert "is not accepted" in done.stderr
    yard.exactly([])


@pytest.mark.parametrize("count", [0, 100])
def test_a_server_that_stores_other_bytes_is_found_out(yard: PublishedProject, count: int) -> None:
    # GitLab takes the client's word for the hash (app/services/packages/pypi/create_package_service.rb).
    yard.stock.add(WheelSpec())
    yard.gitlab.fault(Fault("corrupt", **UPLOAD, count=count))
    done = yard.publish()
    assert done.returncode == 63
    assert "gives other bytes" in done.stderr
    assert not (yard.stock.root / "packages").exists()


def test_an_index_that_lies_about_a_hash_is_found_out(yard: PublishedProject) -> None:
    yard.stock.add(WheelSpec())
    yard.gitlab.fault(Fault("lie", **PAGE))
    done = yard.publish()
    assert done.returncode == 63
    assert "lists demo-1.0" in done.stderr


def test_a_server_that_stalls(yard: PublishedProject) -> None:
    wheels = yard.stock.add(WheelSpec())
    yard.stock.more = "timeout = 1"
    yard.stock.policy()
    yard.gitlab.fault(Fault("stall", **UPLOAD, seconds=3, after=True, times=1, skip=1))
    done = yard.publish()
    assert done.returncode == 0, done.stderr
    yard.exactly(wheels)


def test_a_dead_server_is_told_and_nothing_is_lost(yard: PublishedProject) -> None:
    yard.stock.add(WheelSpec())
    yard.stock.url = "http://127.0.0.1:9"
    yard.stock.policy()
    done = yard.publish()
    assert done.returncode == 70
    assert "127.0.0.1" in done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_ends_at_once_and_the_next_run_goes_on(yard: PublishedProject) -> None:
    wheels = yard.stock.add(*specs(6, pythons=("cp313",)))
    yard.gitlab.fault(Fault("stall", **UPLOAD, seconds=30, skip=3))
    with yard.start() as process:
        wait_until(lambda: len(yard.gitlab.files(yard.project)) >= 2)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        started = time.monotonic()
        _, err = process.communicate(timeout=20)
    assert time.monotonic() - started < 5
    assert process.returncode == 130
    assert "goes on where it stopped" in err
    yard.gitlab.heal()
    done = yard.publish()
    assert done.returncode == 0, done.stderr
    assert "6 published" in done.stdout
    yard.exactly(wheels)


def test_two_runs_at_once_send_nothing_twice(yard: PublishedProject) -> None:
    wheels = yard.stock.add(*specs(20))
    with yard.start() as one, yard.start() as two:
        outputs = [process.communicate(timeout=120) for process in (one, two)]
    assert (one.returncode, two.returncode) == (0, 0), outputs
    yard.exactly(wheels)
    assert yard.uploads == 20
    assert sorted(re.findall(r"\d+ (?:published|there before)", "".join(out for out, _ in outputs))) == [
        "20 published",
        "20 there before",
    ]


def test_two_machines_at_once(yard: PublishedProject, tmp_path: Path) -> None:
    """No lock is shared: GitLab's own answers have to do."""
    other = BuiltWheels(tmp_path / "other", yard.server.url, env=dict(yard.stock.env))
    wheels = yard.stock.add(*specs(30))
    other.add(*specs(30))
    with yard.start() as one, other.start("publish", "--to", "gitlab") as two:
        outputs = [process.communicate(timeout=120) for process in (one, two)]
    assert (one.returncode, two.returncode) == (0, 0), outputs
    yard.exactly(wheels)
    # Each wheel was brought by one of them.
    told = "".join(out for out, _ in outputs)
    assert sum(map(int, re.findall(r"(\d+) published", told))) == 30
    assert sum(map(int, re.findall(r"(\d+) there before", told))) == 30


def test_what_another_machine_brings_meanwhile_was_there_before(yard: PublishedProject) -> None:
    wheels = yard.stock.add(*specs(4))
    yard.gitlab.fault(Fault("race", **UPLOAD, skip=1, times=1))  # the first request asks for access
    done = yard.publish("--json")
    assert done.returncode == 0, done.stderr
    yard.exactly(wheels)
    assert sorted(each["action"] for each in json.loads(done.stdout)["files"]) == ["skip", *["upload"] * 3]


def test_one_version_is_never_sent_twice_at_once(yard: PublishedProject) -> None:
    """Two first uploads of one (name, version) can clash or double it (app/services/packages/pypi)."""
    under_way: Counter[str] = Counter()
    most: Counter[str] = Counter()
    lock = threading.Lock()

    class Watched(GitLabRegistry):
        def put(self, release: Release, **options: Any) -> bool:
            with lock:
                for key in (str(release.name.version), "all"):
                    under_way[key] += 1
                    most[key] = max(most[key], under_way[key])
            try:
                return super().put(release, **options)
            finally:
                with lock:
                    under_way.subtract((str(release.name.version), "all"))

    credential = Credential(Login("", yard.stock.env["WHEELYARD_GITLAB_TOKEN"]), "the test")
    registry = Watched(yard.server.url, PROJECT, credential)
    wheels = yard.stock.add(*specs(24, pythons=("cp311", "cp312", "cp313")))
    yard.gitlab.fault(Fault("stall", **UPLOAD, seconds=0.02))
    with Journal.of(yard.stock.root / "journal", registry.title) as journal:
        plan = plan_uploads(registry, [read_release(path, sha256=sha256_file(path)) for path in wheels])
        outcomes = publish(registry, plan, journal, parallel=4)
    assert all(outcome.error is None for outcome in outcomes)
    assert most.pop("all") == 4
    assert set(most.values()) == {1}


def test_500_wheels_a_third_of_the_requests_faulty_and_20_kills(tmp_path: Path) -> None:
    gitlab = GitLab(tmp_path / "gitlab")
    project = gitlab.add_project(PROJECT)
    chance = random.Random(20)  # noqa: S311 - reproducible
    kinds: list[dict[str, Any]] = [
        {"kind": "status", "status": 500, "method": "POST"},
        {"kind": "status_after", "status": 502, "method": "POST"},
        {"kind": "reset", "method": "POST"},
        {"kind": "reset_after", "method": "POST"},
        {"kind": "creation_race", **UPLOAD},
        {"kind": "race", **UPLOAD},
        {"kind": "status", "status": 503, "method": "GET"},
        {"kind": "truncate", "count": 30, "method": "GET"},
        {"kind": "reset", "method": "GET"},
    ]
    for seed, fault in enumerate(kinds):
        # Six kinds can strike an upload, three a read: a third of the requests of either sort goes wrong.
        share = 1 - (2 / 3) ** (1 / 6 if fault["method"] == "POST" else 1 / 3)
        gitlab.fault(Fault(**fault, probability=share, seed=seed))
    with serve(gitlab) as server:
        stock = BuiltWheels(tmp_path / "project", server.url, more="parallel = 8")
        stock.env["WHEELYARD_GITLAB_TOKEN"] = gitlab.add_deploy_token(project)
        wheels = [
            path
            for index in range(50)
            for path in stock.add(*specs(10, name=f"demo-{index}", pythons=("cp312", "cp313")))
        ]
        kills = 0
        while kills < 20:
            before = len(gitlab.files(project))
            with stock.start("publish", "--to", "gitlab") as process:
                # Somewhere: before the first upload, in the middle, sometimes close to the end.
                goal = before + chance.randrange(0, 24)
                deadline = time.monotonic() + 0.3 + chance.random() * 8
                while process.poll() is None and time.monotonic() < deadline and len(gitlab.files(project)) < goal:
                    time.sleep(0.01)
                process.kill()
                process.communicate()
            kills += 1
        yard = PublishedProject(gitlab, project, server, stock)
        told = ""
        for _ in range(5):  # eight failures in a row end a run: rare, and the next one goes on
            done = yard.publish()
            told += done.stdout
            if done.returncode == 0:
                break
        assert done.returncode == 0, done.stderr
        yard.exactly(wheels)
        # What is reported is what all runs did together: nobody else published here but the "other client" of a race.
        assert done.stdout.count("upload  demo_") + done.stdout.count("skip    demo_") == 500
        assert told.count("upload  demo_") > 400
        gitlab.heal()
        again = yard.publish()
        assert "500 there before" in again.stdout
        recorded = [each for index in range(50) for each in records(stock, f"demo-{index}")]
        assert sorted(recorded) == sorted((path.name, "gitlab") for path in wheels)


def records(stock: BuiltWheels, package: str) -> list[tuple[str, str]]:
    return [(each.file, each.where) for each in RELEASES.read(stock.root / "packages" / package / "releases.toml")]


def test_memory_stays_flat_for_two_gigabytes(yard: PublishedProject) -> None:
    small = peak(yard, yard.stock.add(WheelSpec(name="small")))
    (wheel,) = yard.stock.add(huge := WheelSpec(name="huge"))
    grow(wheel, 2 << 30)
    yard.stock.rerecord(wheel, huge)
    large = peak(yard, [wheel])
    assert large < small + 40_000, (small, large)  # KiB
    assert [file.size for file in yard.gitlab.files(yard.project) if "huge" in file.file_name] == [wheel.stat().st_size]


def peak(yard: PublishedProject, wheels: list[Path]) -> int:
    """Publish, and return the most memory that the process held, in KiB (getrusage(2), ru_maxrss)."""
    with yard.start(wheels[0].parent.parent.name) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.stderr is not None
        assert process.returncode == 0, process.stderr.read()
    return usage.ru_maxrss


def grow(wheel: Path, size: int) -> None:
    """Add a member of *size* zero bytes, stored, to a wheel."""
    with (
        zipfile.ZipFile(wheel, "a", zipfile.ZIP_STORED) as archive,
        archive.open("huge/zeros.bin", "w", force_zip64=True) as out,
    ):
        for _ in range(size >> 20):
            out.write(bytes(1 << 20))


def wait_until(condition: Any, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
