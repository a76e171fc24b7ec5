"""``registry mirror``: backups, restores and the move from one project to another, through kills and faults."""

from __future__ import annotations

import os
import random
import re
import signal
import time
from base64 import b64encode
from typing import TYPE_CHECKING, Any

import pytest

from support.built_wheels import specs
from support.gitlab import Fault, Project, Seen
from support.publishing import FILE, UPLOAD, PublishedProject, refused, yard_in
from support.wheels import WheelSpec
from wheelyard.core.digests import sha256_file
from wheelyard.records.releases import RELEASES, yank
from wheelyard.registries import DirectoryRegistry, read_release

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from pathlib import Path

OLD = "riseproject/python/old_builder"
MORE = """
[tool.wheelyard.registries.old]
kind = "gitlab"
url = "{url}"
project = "riseproject/python/old_builder"
variables = ["OLD_TOKEN"]
record = {record}
"""


@pytest.fixture
def yard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PublishedProject]:
    monkeypatch.setenv("WHEELYARD_CACHE", str(tmp_path / "project/cache"))
    with yard_in(tmp_path) as made:
        yield made


def old_project(yard: PublishedProject, *, record: bool = True) -> Project:
    """Make the private project that packages move away from; a token of its own reads it."""
    project = yard.gitlab.add_project(OLD, visibility="private")
    yard.stock.env["OLD_TOKEN"] = yard.gitlab.add_deploy_token(project, scopes=("read_package_registry",))
    with (yard.stock.root / "pyproject.toml").open("a") as file:
        file.write(MORE.format(url=yard.server.url, record=str(record).lower()))
    return project


def stocked(
    yard: PublishedProject, project: Project, *wheels: WheelSpec, tmp_path: Path, salt: bytes = b""
) -> list[Path]:
    """Have wheels in a project, uploaded by somebody else."""
    made = [spec.write(tmp_path / "elsewhere", salt=salt) for spec in wheels]
    mine, yard.project = yard.project, project
    token, yard.deploy_token = yard.deploy_token, yard.gitlab.add_deploy_token(project, name="theirs")
    for path in made:
        yard.upload(path)
    yard.project, yard.deploy_token = mine, token
    return made


def mirror(yard: PublishedProject, *words: str) -> subprocess.CompletedProcess[str]:
    done = yard.registry("mirror", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def downloads(yard: PublishedProject) -> int:
    return sum(seen.method == "GET" and "/pypi/files/" in seen.path for seen in yard.gitlab.requests)


def ours(yard: PublishedProject) -> list[Seen]:
    """Return what the command has asked, without what the tests have done."""
    return [seen for seen in yard.gitlab.requests if seen.headers.get("user-agent", "").startswith("wheelyard/")]


def wheels_in(folder: Path) -> dict[str, str]:
    return {path.name: sha256_file(path) for path in folder.rglob("*.whl")}


def hashes(wheels: list[Path]) -> dict[str, str]:
    return {path.name: sha256_file(path) for path in wheels}


def cached(yard: PublishedProject) -> list[str]:
    # Folders go away while we look: os.walk bears it.
    folders = os.walk(yard.stock.root / "cache/mirror")
    return [name for _, _, names in folders for name in names if name.endswith(".whl")]


# ------------------------------------------------------------------ there and back


def test_a_backup_and_its_restoration(yard: PublishedProject, tmp_path: Path) -> None:
    wheels = yard.have(*specs(4), WheelSpec(name="Other.One", version="2.0+cpu"))
    record = RELEASES.path(yard.stock.root / "packages", "demo")
    yank(record, [path.name for path in wheels[:2]], "gitlab", "crashes")
    del yard.stock.env["WHEELYARD_GITLAB_TOKEN"]  # what is public can be copied by everybody
    done = mirror(yard, "--registry", "gitlab", "--to", "backup/")
    assert "backup/: 5 copied, 0 there before" in done.stdout
    assert done.stdout.count("\nyanked: demo-1.0-") == 2
    folder = yard.stock.root / "backup"
    assert wheels_in(folder) == hashes(wheels)
    assert [file.yanked for file in DirectoryRegistry(folder).files("demo")] == ["crashes", "crashes", None, None]
    assert yard.registry("verify", "--registry", "backup", "--download").returncode == 0
    before = downloads(yard)
    assert "0 copied, 5 there before" in mirror(yard, "--registry", "gitlab", "--to", "backup/").stdout
    assert downloads(yard) == before

    # A year later the project is gone, and comes back under another name.
    new = yard.gitlab.add_project("riseproject/python/new")
    yard.stock.env["WHEELYARD_GITLAB_TOKEN"] = yard.gitlab.add_deploy_token(new)
    text = (yard.stock.root / "pyproject.toml").read_text()
    text = text.replace("registries.gitlab]", "registries.new]").replace("python/wheel_builder", "python/new")
    (yard.stock.root / "pyproject.toml").write_text(text)
    assert "new: 5 copied" in mirror(yard, "--registry", "backup", "--to", "new").stdout
    assert sorted((file.file_name, file.actual_sha256) for file in yard.gitlab.files(new)) == sorted(
        hashes(wheels).items()
    )
    assert {file.package_name for file in yard.gitlab.files(new)} == {"demo", "other-one"}
    # How they came to be is known still, and so is what was wrong with them.
    entries = RELEASES.read(record)
    assert {(each.where, each.source) for each in entries} == {
        (where, f"sha256:{'2' * 64}") for where in ("gitlab", "new")
    }
    assert [each.yanked for each in entries if each.where == "new"] == ["crashes", "crashes", None, None]
    assert yard.registry("verify", "--registry", "new", "--download").returncode == 0
    assert cached(yard) == []


def test_all_of_it_is_one_step_however_many_batches_it_takes(yard: PublishedProject, tmp_path: Path) -> None:
    yard.have(*(WheelSpec(version=f"1.{number}") for number in range(4)), WheelSpec(name="other"))
    backup = tmp_path / "backup"
    title = f"Copying gitlab to {backup}/"
    done = mirror(yard, "--registry", "gitlab", "--to", f"{backup}/")
    said = [re.sub(r" \([0-9.]+ s\)", "", line) for line in done.stderr.splitlines()]
    assert said == [f"{title} ...", f"ok: {title}"]
    assert "5 copied" in done.stdout


def test_a_wheel_is_not_doubled_by_another_spelling_of_its_file_name(yard: PublishedProject, tmp_path: Path) -> None:
    (ours, late) = yard.have(WheelSpec(), WheelSpec(version="2.0"))
    for wheel in (ours, late):
        yard.upload(wheel.rename(tmp_path / wheel.name.replace("demo", "Demo")), name="demo")
    backup = DirectoryRegistry(tmp_path / "backup")
    kept = tmp_path / ours.name.replace("demo", "Demo")
    backup.put(read_release(kept, sha256=sha256_file(kept)))
    done = yard.registry("mirror", "--registry", "gitlab", "--to", f"{tmp_path / 'backup'}/")
    said = refused(done, 61, "2 not copied", f"{ours.name}: is the same wheel, spelt another way, as {kept.name}")
    assert "1 copied, 1 there before" in done.stdout
    assert len(backup.files("demo")) == 2
    assert said.count("spelt another way") == 2


def test_a_copy_that_lacks_something_is_not_called_ok(yard: PublishedProject, tmp_path: Path) -> None:
    yard.have(WheelSpec(), WheelSpec(version="2.0"))
    yard.gitlab.fault(Fault("status", status=404, path=r"/pypi/files/.*demo-2.0"))
    done = yard.registry("mirror", "--registry", "gitlab", "--to", f"{tmp_path / 'backup'}/")
    assert done.returncode == 73, done.stderr
    assert "failed: Copying" in done.stderr
    assert "ok: " not in done.stderr


def test_the_move_from_one_project_to_another(yard: PublishedProject, tmp_path: Path) -> None:
    old = old_project(yard)
    wheels = stocked(yard, old, *specs(6), WheelSpec(name="solo"), tmp_path=tmp_path)
    yard.recipes("demo", "solo")
    assert yard.registry("adopt", "--registry", "old").returncode == 0
    assert yard.registry("yank", "demo", "1.1", "--reason", "bad", "--registry", "old").returncode == 0
    done = mirror(yard, "--registry", "old", "--to", "gitlab")
    assert "gitlab: 7 copied, 0 there before\ncommit the change in packages/" in done.stdout
    yard.exactly(wheels)
    assert yard.records() == yard.records(where="old")
    assert {each.yanked for each in RELEASES.read(RELEASES.path(yard.stock.root / "packages", "demo"))} == {None, "bad"}
    for place in ("old", "gitlab"):
        assert yard.registry("verify", "--registry", place, "--download").returncode == 0
    for project, name in ((old, "OLD_TOKEN"), (yard.project, "WHEELYARD_GITLAB_TOKEN")):
        basic = b64encode(f"wheelyard:{yard.stock.env[name]}".encode()).decode()
        sent = {seen.headers["authorization"] for seen in ours(yard) if f"/projects/{project.path}/" in seen.path}
        assert sent == {f"Basic {basic}"}
    # Only what has come since is copied later.
    stocked(yard, old, WheelSpec(name="solo", version="2.0"), tmp_path=tmp_path)
    assert "gitlab: 1 copied, 7 there before" in mirror(yard, "--registry", "old", "--to", "gitlab").stdout


def test_only_named_packages_are_copied(yard: PublishedProject) -> None:
    yard.have(*specs(2), WheelSpec(name="other"))
    mirror(yard, "--registry", "gitlab", "--to", "./copy", "other")
    assert list(wheels_in(yard.stock.root / "copy")) == [WheelSpec(name="other").file]
    refused(yard.registry("mirror", "--registry", "gitlab", "--to", "./copy", "nonsense"), 11, "nonsense")


def test_a_dry_run_writes_nothing(yard: PublishedProject, tmp_path: Path) -> None:
    old = old_project(yard)
    stocked(yard, old, *specs(4), tmp_path=tmp_path)
    yard.have(*specs(2))
    before = {path: path.read_bytes() for path in yard.stock.root.rglob("*") if path.is_file()}
    yard.gitlab.requests.clear()
    done = mirror(yard, "--registry", "old", "--to", "gitlab", "--dry-run")
    assert done.stdout.count("would be copied: demo-1.1-") == 2
    assert "gitlab: 2 would be copied, 2 there before" in done.stdout
    mirror(yard, "--registry", "old", "--to", "./copy", "--dry-run")
    assert {seen.method for seen in yard.gitlab.requests} == {"GET"}
    assert downloads(yard) == 0
    assert {path: path.read_bytes() for path in yard.stock.root.rglob("*") if path.is_file()} == before
    assert not (yard.stock.root / "copy").exists()


def test_a_registry_is_not_its_own_copy(yard: PublishedProject) -> None:
    refused(yard.registry("mirror", "--registry", "gitlab", "--to", "gitlab"), 4, "the same registry")


# ------------------------------------------------------------------ what cannot be copied


def test_what_cannot_be_copied_is_told_and_the_rest_is(yard: PublishedProject, tmp_path: Path) -> None:
    old = old_project(yard)
    good = stocked(yard, old, *specs(2, name="good"), tmp_path=tmp_path)
    clash = yard.have(WheelSpec(name="clash"))
    stocked(yard, old, WheelSpec(name="clash"), tmp_path=tmp_path, salt=b"other")
    more = stocked(yard, old, WheelSpec(name="clash", version="2.0"), tmp_path=tmp_path)
    stocked(yard, old, WheelSpec(name="liar", metadata_name="other"), tmp_path=tmp_path)
    sdist = tmp_path / "sdist-1.0.tar.gz"
    sdist.write_bytes(b"an sdist")
    yard.project, mine = old, yard.project
    yard.deploy_token, token = yard.gitlab.add_deploy_token(old, name="theirs"), yard.deploy_token
    yard.upload(sdist, version="1.0")
    yard.upload(WheelSpec(name="nohash").write(tmp_path), sha256_digest=None)
    for name, salt in (("Foo_Bar", b"one"), ("foo-bar", b"two")):
        yard.upload(WheelSpec(name="foo-bar").write(tmp_path, salt=salt), name=name)
    for name in ("Same_Twice", "same-twice"):
        yard.upload(twice := WheelSpec(name="same-twice").write(tmp_path), name=name)
    yard.upload(WheelSpec(name="stranger").write(tmp_path), name="host")
    yard.project, yard.deploy_token = mine, token
    yard.gitlab.fault(Fault("status", method="GET", path="old_builder/.*/simple/blocked", status=418))
    stocked(yard, old, WheelSpec(name="blocked"), tmp_path=tmp_path)
    expected = [*clash, *good, *more, twice]
    for _ in range(2):  # a second run says the same
        done = yard.registry("mirror", "--registry", "old", "--to", "gitlab")
        said = refused(done, 60, "7 not copied; all else is done")
        lines = {line.strip("- ").partition(":")[0]: line for line in said.splitlines() if line.startswith("  - ")}
        assert set(lines) == {
            "blocked",
            "clash-1.0-cp313-cp313-manylinux_2_39_riscv64.whl",
            "foo_bar-1.0-cp313-cp313-manylinux_2_39_riscv64.whl",
            "liar-1.0-cp313-cp313-manylinux_2_39_riscv64.whl",
            "nohash-1.0-cp313-cp313-manylinux_2_39_riscv64.whl",
            "sdist-1.0.tar.gz",
            "stranger-1.0-cp313-cp313-manylinux_2_39_riscv64.whl",
        }
        assert "other bytes are there" in lines["clash-1.0-cp313-cp313-manylinux_2_39_riscv64.whl"]
        assert "METADATA says other" in lines["liar-1.0-cp313-cp313-manylinux_2_39_riscv64.whl"]
        yard.exactly(expected)
        assert yard.records("clash") == hashes([*clash, *more])


def test_a_conflict_alone_has_its_own_exit_code(yard: PublishedProject, tmp_path: Path) -> None:
    old = old_project(yard)
    stocked(yard, old, WheelSpec(), tmp_path=tmp_path, salt=b"other")
    (mine,) = yard.have(WheelSpec())
    for words in ([], ["--dry-run"]):
        refused(
            yard.registry("mirror", "--registry", "old", "--to", "gitlab", *words), 61, mine.name, sha256_file(mine)
        )
    yard.exactly([mine])


def test_bytes_that_are_not_those_of_the_index_are_not_copied(yard: PublishedProject, tmp_path: Path) -> None:
    old = old_project(yard)
    yard.gitlab.fault(Fault("corrupt", **UPLOAD, count=200, times=1))
    stocked(yard, old, WheelSpec(), tmp_path=tmp_path)
    (good,) = stocked(yard, old, WheelSpec(version="2.0"), tmp_path=tmp_path)
    done = yard.registry("mirror", "--registry", "old", "--to", "gitlab")
    refused(done, 60, "demo-1.0-cp313-cp313-manylinux_2_39_riscv64.whl", "is not the file that was promised")
    yard.exactly([good])


def test_what_cannot_be_copied_is_not_marked_either(yard: PublishedProject) -> None:
    wheels = yard.have(WheelSpec(), WheelSpec(version="2.0"))
    yank(RELEASES.path(yard.stock.root / "packages", "demo"), [wheels[0].name], "gitlab", "bad")
    yard.gitlab.fault(Fault("status", method="GET", path=r"/pypi/files/.*demo-1\.0", status=404))
    done = yard.registry("mirror", "--registry", "gitlab", "--to", "./copy")
    refused(done, 73, "1 not copied; all else is done")
    assert "yanked: " not in done.stdout


def test_a_target_that_stores_other_bytes_is_found_out(yard: PublishedProject, tmp_path: Path) -> None:
    old = old_project(yard)
    stocked(yard, old, WheelSpec(), tmp_path=tmp_path)
    yard.gitlab.fault(Fault("corrupt", **UPLOAD, count=200))
    refused(yard.registry("mirror", "--registry", "old", "--to", "gitlab"), 63, "gives other bytes")
    assert yard.records() == {}


def test_what_an_earlier_run_left_is_not_believed(yard: PublishedProject, tmp_path: Path) -> None:
    """The cache holds another registry's wheel of the same name, or half of this one."""
    old = old_project(yard)
    (wheel,) = stocked(yard, old, WheelSpec(), tmp_path=tmp_path)
    other = WheelSpec().write(tmp_path / "other", salt=b"other")
    kept = None
    for data in (b"", other.read_bytes(), wheel.read_bytes()[:100]):
        if kept:
            kept.write_bytes(data)
        yard.gitlab.heal()
        yard.gitlab.fault(Fault("status", **UPLOAD, status=418, skip=2))  # it comes, and cannot go on
        refused(yard.registry("mirror", "--registry", "old", "--to", "gitlab"), 60, "418")
        (kept,) = (yard.stock.root / "cache/mirror").rglob(wheel.name)
        assert sha256_file(kept) == sha256_file(wheel)
    yard.gitlab.heal()
    before = downloads(yard)
    mirror(yard, "--registry", "old", "--to", "gitlab")
    assert downloads(yard) == before + 1  # read back; nothing that lies here is fetched again
    yard.exactly([wheel])
    assert cached(yard) == []


# ------------------------------------------------------------------ who we are


@pytest.mark.parametrize("what", ["no token", "a dead one", "one that reads"])
def test_who_may_not_write_hears_so_before_anything_is_fetched(
    yard: PublishedProject, tmp_path: Path, what: str
) -> None:
    old = old_project(yard)
    stocked(yard, old, WheelSpec(), tmp_path=tmp_path)
    match what:
        case "no token":
            del yard.stock.env["WHEELYARD_GITLAB_TOKEN"]
        case "a dead one":
            yard.gitlab.revoke(yard.deploy_token)
        case _:
            yard.stock.env["WHEELYARD_GITLAB_TOKEN"] = yard.gitlab.add_deploy_token(
                yard.project, scopes=("read_package_registry",)
            )
    refused(yard.registry("mirror", "--registry", "old", "--to", "gitlab"), 62)
    assert downloads(yard) == 0


def test_who_may_not_read_hears_so(yard: PublishedProject, tmp_path: Path) -> None:
    stocked(yard, old_project(yard), WheelSpec(), tmp_path=tmp_path)
    del yard.stock.env["OLD_TOKEN"]
    refused(yard.registry("mirror", "--registry", "old", "--to", "./copy"), 62, "riseproject/python/old_builder")
    assert not (yard.stock.root / "copy").exists()


def test_a_token_that_dies_under_way_ends_it(yard: PublishedProject, tmp_path: Path) -> None:
    old = old_project(yard)
    stocked(yard, old, *(WheelSpec(name=f"demo-{number}") for number in range(6)), tmp_path=tmp_path)
    yard.gitlab.fault(Fault("unauthorized_mid_body", **UPLOAD, count=200, skip=4))
    done = yard.registry("mirror", "--registry", "old", "--to", "gitlab")
    refused(done, 62, "is not accepted", "the rest was not tried")
    assert "the same command goes on where this one stopped" in done.stdout
    there = len(yard.gitlab.files(yard.project))
    assert 0 < there < 6
    yard.gitlab.heal()
    done = mirror(yard, "--registry", "old", "--to", "gitlab")
    assert f"{6 - there} copied, {there} there before" in done.stdout


# ------------------------------------------------------------------ faults and kills


PASSING: dict[str, Fault] = {
    "a download cut short": Fault("truncate", **FILE, count=100, times=4),
    "a download that is not there for a moment": Fault("status", **FILE, status=502, times=3),
    "an upload's answer that is lost": Fault("reset_after", **UPLOAD, times=3, skip=1),
    "a busy target": Fault("status", **UPLOAD, status=429, times=3),
}


@pytest.mark.parametrize("what", PASSING)
def test_what_passes_is_survived(yard: PublishedProject, tmp_path: Path, what: str) -> None:
    old = old_project(yard)
    wheels = stocked(yard, old, *specs(4), tmp_path=tmp_path)
    yard.gitlab.fault(PASSING[what])
    assert "4 copied" in mirror(yard, "--registry", "old", "--to", "gitlab").stdout
    yard.exactly(wheels)
    assert yard.records() == hashes(wheels)


def test_a_download_that_broke_off_is_gone_on_with(yard: PublishedProject, tmp_path: Path) -> None:
    old = old_project(yard)
    files = {"demo/data.bin": random.Random(1).randbytes(300_000)}  # noqa: S311 - reproducible
    stocked(yard, old, WheelSpec(files=files), tmp_path=tmp_path)
    yard.gitlab.fault(Fault("truncate", **FILE, count=60_000))
    refused(yard.registry("mirror", "--registry", "old", "--to", "./copy"), 70, "broke off")
    yard.gitlab.heal()
    yard.gitlab.requests.clear()
    mirror(yard, "--registry", "old", "--to", "./copy")
    (first,) = [seen.headers["range"] for seen in yard.gitlab.requests if "/pypi/files/" in seen.path]
    assert int(re.sub(r"\D", "", first)) >= 240_000


def test_one_file_that_is_gone_does_not_stop_the_others(yard: PublishedProject, tmp_path: Path) -> None:
    old = old_project(yard)
    wheels = stocked(yard, old, *(WheelSpec(name=f"demo-{number}") for number in range(5)), tmp_path=tmp_path)
    yard.gitlab.fault(Fault("status", method="GET", path=r"/pypi/files/.*demo_[012]-", status=404))
    refused(yard.registry("mirror", "--registry", "old", "--to", "./copy"), 73, "3 not copied", "404")
    assert wheels_in(yard.stock.root / "copy") == hashes(wheels[3:])


def test_a_source_that_does_not_answer_any_more_ends_it(yard: PublishedProject, tmp_path: Path) -> None:
    old = old_project(yard)
    stocked(yard, old, *(WheelSpec(name=f"demo-{number}") for number in range(9)), tmp_path=tmp_path)
    yard.gitlab.fault(Fault("status", **FILE, status=418, skip=2))
    done = yard.registry("mirror", "--registry", "old", "--to", "./copy")
    refused(done, 70, "3 not copied; the rest was not tried")
    assert "2 copied" in done.stdout


def test_ctrl_c_ends_at_once(yard: PublishedProject, tmp_path: Path) -> None:
    old = old_project(yard)
    wheels = stocked(yard, old, *specs(6), tmp_path=tmp_path)
    yard.gitlab.fault(Fault("stall", **FILE, seconds=30))
    with yard.stock.start("registry", "mirror", "--registry", "old", "--to", "gitlab") as process:
        wait_until(lambda: any("/simple/demo" in seen.path for seen in yard.gitlab.requests))
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        started = time.monotonic()
        _, err = process.communicate(timeout=20)
    assert time.monotonic() - started < 5
    assert process.returncode == 130, err
    yard.gitlab.heal()
    mirror(yard, "--registry", "old", "--to", "gitlab")
    yard.exactly(wheels)


@pytest.mark.parametrize("target", ["gitlab", "./copy"])
def test_kills_at_random_moments(yard: PublishedProject, tmp_path: Path, target: str) -> None:
    old = old_project(yard, record=False)
    wheels = stocked(
        yard, old, *specs(12), *(WheelSpec(name=f"other-{number}") for number in range(12)), tmp_path=tmp_path
    )
    yard.gitlab.fault(Fault("stall", **UPLOAD, seconds=0.02))  # so that kills fall into them
    chance = random.Random(7)  # noqa: S311 - reproducible
    folder = yard.stock.root / "copy"

    def there() -> int:
        return len(yard.gitlab.files(yard.project)) if target == "gitlab" else len(list(folder.rglob("*.whl")))

    reported: set[str] = set()
    for _ in range(6):
        goal = there() + chance.randrange(0, 5)
        with yard.stock.start("registry", "mirror", "--registry", "old", "--to", target) as process:
            deadline = time.monotonic() + 0.3 + chance.random() * 3
            while process.poll() is None and time.monotonic() < deadline and there() < goal:
                time.sleep(0.005)
            os.kill(process.pid, signal.SIGKILL)
            out, _ = process.communicate()
            reported.update(re.findall(r"(?m)^copied: (\S+)", out))
    done = mirror(yard, "--registry", "old", "--to", target)
    if target == "gitlab":
        yard.exactly(wheels)
        names = {path.name.partition("-")[0].replace("_", "-") for path in wheels}
        recorded = {file: sha256 for name in names for file, sha256 in yard.records(name).items()}
        assert recorded == hashes(wheels)
    else:
        assert wheels_in(folder) == hashes(wheels)
        assert (
            yard.registry("verify", "--registry", "copy", "--download").returncode == 63
        )  # no recipes: orphans, no more
    assert sum(map(int, re.findall(r"(\d+) (?:copied|there before)", done.stdout))) == 24
    assert cached(yard) == []
    assert list((yard.stock.root / "dist/.journal").glob("*.jsonl")) == []


def test_two_runs_at_once_copy_nothing_twice(yard: PublishedProject, tmp_path: Path) -> None:
    old = old_project(yard)
    wheels = stocked(yard, old, *specs(12), tmp_path=tmp_path)
    words = ("registry", "mirror", "--registry", "old", "--to", "gitlab")
    with yard.stock.start(*words) as one, yard.stock.start(*words) as two:
        outputs = [process.communicate(timeout=60) for process in (one, two)]
    assert (one.returncode, two.returncode) == (0, 0), outputs
    yard.exactly(wheels)
    assert yard.uploads == len(wheels) * 2  # ours, and those that made the source


def test_a_wheel_that_a_publication_began_is_finished_by_either(yard: PublishedProject, tmp_path: Path) -> None:
    """Both keep one journal per registry."""
    old = old_project(yard)
    (wheel,) = stocked(yard, old, WheelSpec(), tmp_path=tmp_path)
    yard.stock.add(WheelSpec())
    yard.gitlab.fault(Fault("stall", **FILE, seconds=20))
    with yard.start() as process:
        wait_until(lambda: bool(yard.gitlab.files(yard.project)))
        process.kill()
        process.communicate()
    yard.gitlab.heal()
    assert yard.records() == {}
    assert "1 copied" in mirror(yard, "--registry", "old", "--to", "gitlab").stdout
    assert yard.records() == hashes([wheel])
    assert "1 there before" in yard.publish().stdout
    (entry,) = RELEASES.read(RELEASES.path(yard.stock.root / "packages", "demo"))
    assert entry.source == f"sha256:{'2' * 64}"


def test_what_lies_under_way_is_a_few_versions(yard: PublishedProject, tmp_path: Path) -> None:
    """A package of a hundred large versions must not need a disk for all of them."""
    yard.stock.more = "parallel = 3"
    yard.stock.policy()
    folder = yard.stock.root / "from"
    for spec in specs(20, pythons=("cp313",)):
        wheel = spec.write(tmp_path)
        DirectoryRegistry(folder).put(read_release(wheel, sha256=sha256_file(wheel)))
    yard.gitlab.fault(Fault("stall", **UPLOAD, seconds=0.05))
    most = 0
    with yard.stock.start("registry", "mirror", "--registry", "./from", "--to", "gitlab") as process:
        while process.poll() is None:
            most = max(most, len(cached(yard)))
            time.sleep(0.005)
        process.communicate()
    assert process.returncode == 0
    assert 0 < most <= 3


def wait_until(condition: Callable[[], Any], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
