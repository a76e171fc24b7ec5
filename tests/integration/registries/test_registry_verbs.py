"""``registry list``, ``verify``, ``adopt``, ``prune`` and ``yank``: the real command, a GitLab, and folders."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.built_wheels import specs
from support.gitlab import Fault
from support.publishing import UPLOAD, PublishedProject, refused, yard_in
from support.schemas import validator
from support.wheels import WheelSpec
from wheelyard.core.digests import sha256_file
from wheelyard.records.lockfile import write_lock
from wheelyard.records.models import Lock, LockedVersion
from wheelyard.records.releases import RELEASES

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from syrupy.assertion import SnapshotAssertion

ROOT = Path(__file__).parents[3]
DELETE: dict[str, Any] = {"method": "DELETE"}


@pytest.fixture
def yard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PublishedProject]:
    monkeypatch.setenv("WHEELYARD_CACHE", str(tmp_path / "project/cache"))
    with yard_in(tmp_path) as made:
        yield made


def report(done: subprocess.CompletedProcess[str], schema: str) -> dict[str, Any]:
    """Return what a command says to machines, held against its schema."""
    value: dict[str, Any] = json.loads(done.stdout)
    validator(schema)(value)
    return value


def other(tmp_path: Path, spec: WheelSpec, *, salt: bytes = b"") -> Path:
    """Write a wheel that somebody else made."""
    return spec.write(tmp_path / "elsewhere", salt=salt)


# ------------------------------------------------------------------ list


def test_list_shows_what_is_there(yard: PublishedProject, tmp_path: Path, snapshot: SnapshotAssertion) -> None:
    files = {"big/data.bin": bytes(range(256)) * 10}
    yard.have(*specs(4), WheelSpec(name="Big.One", version="2.0+cpu", python="cp39", abi="abi3", files=files))
    yard.upload(other(tmp_path, WheelSpec(version="1.1", python="cp314", abi="cp314t")), sha256_digest=None)
    yard.upload(other(tmp_path, WheelSpec(name="new", version="1.0rc1")))
    sdist = tmp_path / "demo-0.9.tar.gz"
    sdist.write_bytes(b"an sdist")
    yard.upload(sdist, version="0.9")
    assert yard.registry("yank", "demo", "1.0", "--reason", "crashes").returncode == 0
    done = yard.registry("list")
    assert done.returncode == 0, done.stderr
    assert done.stdout == snapshot


def test_list_says_the_same_to_machines(yard: PublishedProject, tmp_path: Path) -> None:
    (wheel,) = yard.have(WheelSpec())
    nameless = other(tmp_path, WheelSpec(version="2.0"))
    yard.upload(nameless, sha256_digest=None)
    value = report(yard.registry("list", "Demo", "--json"), "registry-listing")
    assert value["registry"] == "gitlab"
    assert value["packages"] == {
        "demo": [
            {
                "file": wheel.name,
                "version": "1.0",
                "interpreters": ["cp313-cp313"],
                "sha256": sha256_file(wheel),
                "size": wheel.stat().st_size,  # from our records: GitLab's index does not say
                "yanked": None,
            },
            {
                "file": nameless.name,
                "version": "2.0",
                "interpreters": ["cp313-cp313"],
                "sha256": None,
                "size": None,
                "yanked": None,
            },
        ]
    }


@pytest.mark.parametrize("who", ["an access token", "a job token"])
def test_sizes_that_nobody_knows_are_asked_for(yard: PublishedProject, tmp_path: Path, who: str) -> None:
    yard.have(WheelSpec(name="known"))
    wheels = [other(tmp_path, WheelSpec(version=version)) for version in ("1.0", "2.0")]
    yard.upload(wheels[0])
    yard.upload(wheels[1], sha256_digest=None)
    yard.upload(other(tmp_path, WheelSpec(name="demo-extra")))  # GitLab's filter by name lets it through
    yard.maintain()
    if who == "a job token":
        del yard.stock.env["WHEELYARD_GITLAB_TOKEN"]
        user = next(iter(yard.gitlab.users.values()))
        yard.stock.env |= {
            "CI_JOB_TOKEN": yard.gitlab.add_job_token(yard.project, user),
            "CI_SERVER_URL": yard.server.url,
        }
    yard.gitlab.requests.clear()
    value = report(yard.registry("list", "demo", "known", "--sizes", "--json"), "registry-listing")
    assert [file["size"] for file in value["packages"]["demo"]] == [wheel.stat().st_size for wheel in wheels]
    asked = [seen.query for seen in yard.gitlab.requests if seen.path.endswith("/packages")]
    assert len(asked) == 1  # of what is known nobody is asked
    assert "package_name=demo" in asked[0]


def test_a_deploy_token_may_not_ask_for_sizes(yard: PublishedProject, tmp_path: Path) -> None:
    yard.upload(other(tmp_path, WheelSpec()))
    done = yard.registry("list", "--sizes")
    refused(done, 62, "does not accept this credential", "a deploy token is nobody here", "scope api")
    del yard.stock.env["WHEELYARD_GITLAB_TOKEN"]
    refused(yard.registry("list", "--sizes"), 62, "needs an access token")
    assert yard.registry("list").returncode == 0


def test_packages_that_are_not_there_are_told_at_once(yard: PublishedProject) -> None:
    yard.have(WheelSpec(name="markupsafe"))
    for verb in ("list", "verify"):
        done = yard.registry(verb, "MarkupSave", "markupsafe", "nonsense")
        refused(done, 11, "markupsave (did you mean 'markupsafe'?)", "- nonsense", "registry list --registry gitlab")
    refused(yard.registry("yank", "nonsense", "1.0", "--reason", "x"), 11)
    refused(yard.registry("list", "../evil"), 11, "is not a package name")


def test_what_cannot_be_read_does_not_hide_the_rest(yard: PublishedProject) -> None:
    yard.have(WheelSpec(name="bad"), WheelSpec(name="good"), WheelSpec(name="odd"))
    RELEASES.path(yard.stock.root / "packages", "odd").write_text("nonsense")
    yard.gitlab.fault(Fault("status", method="GET", path="/simple/bad", status=418))
    done = yard.registry("list")
    refused(done, 60, "2 packages cannot be listed", "bad: ", "answers 418", "odd: ", "is not valid TOML")
    assert "good" in done.stdout
    assert "1 files of 1 packages" in done.stdout


# ------------------------------------------------------------------ folders, and words that mean no registry


def test_a_folder_is_a_registry_like_any_other(yard: PublishedProject) -> None:
    wheels = yard.stock.add(*specs(4))
    assert yard.stock.run("publish", "--to", "./index").returncode == 0
    yard.recipes("demo")
    value = report(yard.registry("list", "--registry", "./index", "--json"), "registry-listing")
    assert [file["size"] for file in value["packages"]["demo"]] == [path.stat().st_size for path in sorted(wheels)]
    verified = yard.registry("verify", "--registry", "./index", "--download")
    assert verified.returncode == 0, verified.stdout
    (damaged,) = (yard.stock.root / "index").rglob(wheels[0].name)
    damaged.write_bytes(b"other bytes")
    assert yard.registry("verify", "--registry", "index").returncode == 0
    done = yard.registry("verify", "--registry", "index", "--download", "--json")
    refused(done, 63)
    assert [(each["kind"], each["file"]) for each in report(done, "registry-verification")["problems"]] == [
        ("damaged", wheels[0].name)
    ]
    refused(yard.registry("adopt", "--registry", "index"), 4, "our records do not list what is in index")
    yanked = yard.registry("yank", "demo", "1.1", "--reason", "bad", "--registry", "index")
    assert yanked.returncode == 0, yanked.stderr
    assert "registry index" not in yanked.stdout
    assert "yanked: bad" in yard.registry("list", "--registry", "index").stdout
    pruned = yard.registry("prune", "--keep", "1", "--delete", "--registry", "index")
    assert pruned.returncode == 0, pruned.stderr
    assert "deleted: 0 versions" in pruned.stdout  # 1.1 is yanked, and installers may choose 1.0 only
    assert yard.registry("yank", "demo", "1.1", "--undo", "--registry", "index").returncode == 0
    assert (
        "deleted: 1 versions, 2 files"
        in yard.registry("prune", "--keep", "1", "--delete", "--registry", "index").stdout
    )
    assert len(list((yard.stock.root / "index").rglob("*.whl"))) == 2
    assert not (yard.stock.root / "packages").exists()


@pytest.mark.parametrize("word", ["gitlap", "./nowhere", "dist/nowhere/", ""])
def test_a_word_that_means_no_registry(yard: PublishedProject, word: str) -> None:
    for words in (["list", "--registry", word], ["mirror", "--registry", word, "--to", "./copy"]):
        done = yard.registry(*words)
        said = refused(done, 4, "there is no ", "gitlab")
        assert ("did you mean 'gitlab'?" in said) == (word == "gitlap")
    assert not (yard.stock.root / "copy").exists()


def test_a_ca_bundle_that_is_not_there(yard: PublishedProject) -> None:
    yard.stock.more = 'ca-bundle = "certs/ours.pem"'
    yard.stock.policy()
    refused(yard.registry("list"), 4, f"{yard.stock.root}/certs/ours.pem", "registries.gitlab]")


# ------------------------------------------------------------------ verify and adopt


def test_verify_finds_nothing_where_nothing_is_wrong(yard: PublishedProject) -> None:
    yard.have(*specs(4), WheelSpec(name="other"))
    done = yard.registry("verify")
    assert (done.returncode, done.stdout) == (0, "5 files of 2 packages compared by the index: all as recorded\n")
    value = report(yard.registry("verify", "other", "--json", "--download"), "registry-verification")
    assert (value["files"], value["packages"], value["downloaded"], value["problems"]) == (1, 1, True, [])


def spoil(yard: PublishedProject, tmp_path: Path) -> None:
    """Make everything wrong that can be, on the server and in the records."""
    yard.have(*(WheelSpec(name=name) for name in ("fine", "changed", "deleted", "broken", "unreadable")))
    yard.upload(other(tmp_path, WheelSpec(name="nohash")), sha256_digest=None)
    yard.upload(other(tmp_path, WheelSpec(name="unrecorded")))
    yard.upload(other(tmp_path, WheelSpec(name="orphan")))
    for name, salt in (("Foo_Bar", b"one"), ("foo-bar", b"two")):
        yard.upload(other(tmp_path, WheelSpec(name="foo-bar"), salt=salt), name=name)
    yard.recipes("nohash", "unrecorded", "foo-bar")
    changed = RELEASES.path(yard.stock.root / "packages", "changed")
    changed.write_text(changed.read_text().replace('sha256 = "', 'sha256 = "' + "0" * 64 + '", licence = "', 1))
    RELEASES.path(yard.stock.root / "packages", "broken").write_text("<<<<<<< HEAD\n")
    for package in list(yard.gitlab.store.named(yard.project, "deleted")):
        yard.gitlab.store.destroy(package)
    yard.gitlab.fault(Fault("status", method="GET", path="/simple/unreadable", status=418))


def test_verify_tells_everything_at_once(yard: PublishedProject, tmp_path: Path) -> None:
    spoil(yard, tmp_path)
    done = yard.registry("verify", "--json")
    refused(done, 63, "10 problem(s) in gitlab")
    problems = report(done, "registry-verification")["problems"]
    assert {(each["kind"], each["package"], each["file"].partition("-1.0")[0]) for each in problems} == {
        ("differs", "changed", "changed"),
        ("missing", "deleted", "deleted"),
        ("no-hash", "nohash", "nohash"),
        ("unrecorded", "unrecorded", "unrecorded"),
        ("orphan", "orphan", ""),
        ("unrecorded", "orphan", "orphan"),
        ("double", "foo-bar", "foo_bar"),
        ("unrecorded", "foo-bar", "foo_bar"),
        ("unreadable", "broken", ""),
        ("unreadable", "unreadable", ""),
    }
    people = yard.registry("verify")
    assert people.returncode == 63
    assert all(each["fix"] in people.stdout and each["file"] in people.stdout for each in problems)
    assert "8 packages compared by the index: 3 unrecorded, 2 unreadable, 1 differs" in people.stdout
    named = yard.registry("verify", "deleted", "fine", "--json")  # one that only our records know may be named
    refused(named, 63)
    assert [each["kind"] for each in report(named, "registry-verification")["problems"]] == ["missing"]


def test_verify_reads_back_what_the_index_cannot_tell(yard: PublishedProject, tmp_path: Path) -> None:
    wheels = yard.have(*specs(6))
    yard.gitlab.fault(Fault("corrupt", **UPLOAD, count=100))  # the server stores other bytes under the true claims
    damaged = other(tmp_path, WheelSpec(version="7.0"))
    yard.upload(damaged)
    yard.gitlab.heal()
    gone = next(file for file in yard.gitlab.files(yard.project) if file.file_name == wheels[0].name)
    yard.gitlab.store._hashes.pop((yard.project.id, gone.sha256 or "", gone.file_name))
    assert [
        each["kind"] for each in report(yard.registry("verify", "--json"), "registry-verification")["problems"]
    ] == ["unrecorded"]
    done = yard.registry("verify", "--download", "--json")
    refused(done, 63)
    value = report(done, "registry-verification")
    assert {(each["kind"], each["file"]) for each in value["problems"]} == {
        ("damaged", wheels[0].name),
        ("damaged", damaged.name),
        ("unrecorded", damaged.name),
    }
    assert value["downloaded"]


def test_adopt_records_what_came_by_other_means(yard: PublishedProject, tmp_path: Path) -> None:
    known = yard.have(WheelSpec(name="known"))
    wheels = [
        other(tmp_path, WheelSpec(version=v, python=p, abi=p, headers="License-Expression: MIT AND BSD-3-Clause\n"))
        for v in ("1.0", "1.1")
        for p in ("cp312", "cp313")
    ]
    for wheel in wheels:
        yard.upload(wheel)
    yard.upload(nameless := other(tmp_path, WheelSpec(version="3.0")), sha256_digest=None)
    for name, salt in (("Foo_Bar", b"one"), ("foo-bar", b"two")):
        yard.upload(double := other(tmp_path, WheelSpec(name="foo-bar"), salt=salt), name=name)
    yard.upload(stranger := other(tmp_path, WheelSpec(name="stranger")), name="wrong-name")
    sdist = tmp_path / "demo-0.9.tar.gz"
    sdist.write_bytes(b"an sdist")
    yard.upload(sdist, version="0.9")
    # The first download breaks off, and is gone on with.
    yard.gitlab.fault(Fault("truncate", method="GET", path="/pypi/files/", count=50, times=1))
    before = yard.records("known")
    done = yard.registry("adopt")
    said = refused(done, 63, "3 not recorded", f"{nameless.name}: the registry does not know its sha256")
    assert f"{double.name}: is there with different bytes" in said
    assert f"{stranger.name}: is not a wheel of wrong-name" in said
    assert done.stdout.count("recorded: demo-") == 4
    assert "4 recorded; commit" in done.stdout
    assert yard.records() == {wheel.name: sha256_file(wheel) for wheel in wheels}
    (entry, *_) = RELEASES.read(RELEASES.path(yard.stock.root / "packages", "demo"))
    assert (entry.size, entry.licence, entry.source, entry.image) == (
        wheels[0].stat().st_size,
        "MIT AND BSD-3-Clause",
        "",
        "",
    )
    assert entry.tags == ("cp312-cp312-manylinux_2_39_riscv64",)
    assert yard.records("known") == before == {known[0].name: sha256_file(known[0])}
    assert not (yard.stock.root / "packages/stranger").exists()
    again = yard.registry("adopt", "demo", "known")
    refused(again, 63, "1 not recorded")
    assert "0 recorded" in again.stdout
    assert list((yard.stock.root / "cache/work").glob("*")) == []


def test_adopt_does_not_believe_the_index(yard: PublishedProject, tmp_path: Path) -> None:
    yard.gitlab.fault(Fault("corrupt", **UPLOAD, count=100))
    yard.upload(other(tmp_path, WheelSpec()))
    refused(yard.registry("adopt"), 60, "is not the file that was promised")
    assert yard.records() == {}


# ------------------------------------------------------------------ prune


def versions(yard: PublishedProject) -> set[str]:
    return {file.version for file in yard.gitlab.files(yard.project)}


def test_prune_only_tells_unless_it_is_told(yard: PublishedProject) -> None:
    yard.have(*specs(6))
    before = yard.records()
    yard.gitlab.requests.clear()
    done = yard.registry("prune", "--keep", "2")
    assert done.returncode == 0, done.stderr
    assert "delete  demo     1.0" in done.stdout
    assert "would be deleted: 1 versions, 2 files; nothing was, without --delete" in done.stdout
    assert {seen.method for seen in yard.gitlab.requests} == {"GET"}
    assert yard.records() == before
    assert versions(yard) == {"1.0", "1.1", "1.2"}
    assert "site configuration keeps all versions" in yard.registry("prune", "--delete").stdout
    assert versions(yard) == {"1.0", "1.1", "1.2"}


def test_prune_deletes_and_the_records_follow(yard: PublishedProject, tmp_path: Path) -> None:
    yard.have(*specs(12), *(WheelSpec(name="demo-extra", version=f"{n}.0") for n in (1, 2, 3)))
    lock = yard.stock.root / "packages/demo/lock.toml"
    write_lock(lock, Lock(versions=(LockedVersion(version="1.0.0", file="demo-1.0.tar.gz", sha256="a" * 64),)))
    yard.upload(other(tmp_path, WheelSpec(version="1.1")), name="Demo")  # a second record, of another spelling
    sdist = tmp_path / "demo-1.2.tar.gz"
    sdist.write_bytes(b"an sdist")
    yard.upload(sdist, version="1.2")
    yard.stock.more = "keep = 2"
    yard.stock.policy()
    yard.maintain()
    yard.gitlab.requests.clear()
    done = yard.registry("prune", "--delete")
    assert done.returncode == 0, done.stderr
    assert "keep    demo        1.0      2      pinned in lock.toml" in done.stdout
    assert "deleted: 4 versions, 7 files; commit the change in packages/" in done.stdout
    there = sorted(file.file_name for file in yard.gitlab.files(yard.project) if file.package_name == "demo")
    wheels = [spec.file for version in ("1.0", "1.4", "1.5") for spec in specs(2)
              for spec in [spec.but(version=version)]]  # fmt: skip
    assert there == sorted([*wheels, sdist.name])
    assert set(yard.records()) == set(wheels)
    assert set(yard.records("demo-extra")) == {
        f"demo_extra-{n}.0-cp313-cp313-manylinux_2_39_riscv64.whl" for n in (2, 3)
    }
    # Deletion is asynchronous (status pending_destruction); the index shows none of it from then on.
    assert yard.registry("verify", "demo-extra").returncode == 0
    deletes = [seen for seen in yard.gitlab.requests if seen.method == "DELETE"]
    assert len(deletes) == 1 + 1 + 2 + 1 + 1  # whole records; of 1.2, which has an sdist too, file by file
    # A name and version that were deleted may come again.
    assert yard.publish("demo").returncode == 0
    assert versions(yard) >= {"1.1", "1.3"}


@pytest.mark.parametrize("referenced", [True, False])
def test_prune_keeps_what_is_pinned_unless_policy_says_otherwise(yard: PublishedProject, referenced: bool) -> None:
    yard.have(*specs(3, pythons=("cp313",)))
    pinned = LockedVersion(version="1.0", file="demo-1.0.tar.gz", sha256="a" * 64)
    write_lock(yard.stock.root / "packages/demo/lock.toml", Lock(versions=(pinned,)))
    yard.stock.more = f"keep = 1\nkeep-referenced = {str(referenced).lower()}"
    yard.stock.policy()
    done = yard.registry("prune")
    assert done.returncode == 0, done.stderr
    assert ("keep    demo     1.0" in done.stdout) == referenced
    assert f"would be deleted: {1 if referenced else 2} versions" in done.stdout


def test_prune_asks_for_no_more_than_it_needs(yard: PublishedProject) -> None:
    yard.have(*specs(40, pythons=("cp313",)))
    yard.maintain()
    yard.gitlab.requests.clear()
    assert yard.registry("prune", "--keep", "38", "--delete").returncode == 0
    paths = [seen.path.rpartition("/packages")[2] for seen in yard.gitlab.requests]
    # Of the two versions that go: what they have, and again right before they go whole.
    assert len([path for path in paths if "package_files" in path]) == 4


def test_what_is_published_while_its_version_is_pruned_stays(yard: PublishedProject, tmp_path: Path) -> None:
    """Another machine publishes: no lock is shared with it."""
    yard.have(*specs(4))
    yard.maintain()
    yard.gitlab.fault(Fault("stall", method="GET", path="/package_files", skip=1, seconds=3))
    with yard.stock.start("registry", "prune", "--keep", "1", "--delete") as process:
        deadline = time.monotonic() + 20
        while not any("package_files" in seen.path for seen in yard.gitlab.requests):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        late = other(tmp_path, WheelSpec(python="cp314", abi="cp314"))
        yard.upload(late)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, out + err
    assert f"{late.name} came in the meantime, and stays" in err
    there = {file.file_name: file.version for file in yard.gitlab.files(yard.project)}
    assert [name for name, version in there.items() if version == "1.0"] == [late.name]
    assert len(there) == 3


@pytest.mark.parametrize("who", ["deploy", "developer", "nobody"])
def test_who_may_not_delete_hears_so_and_loses_no_record(yard: PublishedProject, who: str) -> None:
    yard.have(*specs(4), *specs(4, name="other"))
    match who:
        case "developer":
            user = yard.gitlab.add_user("bob")
            yard.gitlab.add_member(yard.project, user, "developer")
            yard.stock.env["WHEELYARD_GITLAB_TOKEN"] = yard.gitlab.add_pat(user, scopes=("api",))
        case "nobody":
            del yard.stock.env["WHEELYARD_GITLAB_TOKEN"]
    before = yard.records(), yard.records("other")
    done = yard.registry("prune", "--keep", "1", "--delete")
    said = refused(done, 62, "1 not deleted; the rest was not tried", "access token")
    assert said.count("a deploy token is nobody here") <= 1
    assert "deleted: 0 versions, 0 files" in done.stdout
    assert (yard.records(), yard.records("other")) == before
    assert versions(yard) == {"1.0", "1.1"}


@pytest.mark.parametrize("fault", ["status", "status_after"])
def test_a_deletion_that_fails_stops_only_its_package(yard: PublishedProject, fault: Any) -> None:
    yard.have(*specs(4), *specs(4, name="other"))
    yard.maintain()
    yard.gitlab.fault(Fault(fault, **DELETE, status=502, times=1))
    done = yard.registry("prune", "--keep", "1", "--delete")
    refused(done, 70, "1 not deleted", "demo: ")
    assert "deleted: 1 versions, 2 files" in done.stdout
    # The records say what is there, whether the request that failed was carried out or not.
    assert len(yard.records()) == (2 if fault == "status_after" else 4)
    assert yard.registry("verify").returncode == 0
    again = yard.registry("prune", "--keep", "1", "--delete")
    assert again.returncode == 0, again.stderr
    assert len(yard.records()) == 2
    assert versions(yard) == {"1.1"}


@pytest.mark.parametrize("after", [False, True])
def test_a_kill_between_deletion_and_record(yard: PublishedProject, after: bool) -> None:
    yard.have(*specs(4))
    yard.maintain()
    if after:
        yard.gitlab.fault(Fault("stall", **DELETE, seconds=5, after=True))
    else:
        yard.gitlab.fault(Fault("stall", method="GET", path="/package_files", seconds=5))
    with yard.stock.start("registry", "prune", "--keep", "1", "--delete") as process:
        deadline = time.monotonic() + 20
        while len(yard.records()) == 4 or (after and versions(yard) != {"1.1"}):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.kill()
        process.communicate()
    yard.gitlab.heal()
    assert yard.registry("prune", "--keep", "1", "--delete").returncode == 0
    assert yard.registry("verify").returncode == 0
    assert versions(yard) == {"1.1"}


# ------------------------------------------------------------------ remove


def removed(yard: PublishedProject, *words: str, code: int = 0) -> str:
    """Ask for a removal, first only to advance, then really; return what was said."""
    before = yard.gitlab.files(yard.project)
    records = {path: path.read_bytes() for path in yard.stock.root.glob("packages/*/releases.toml")}
    told = yard.registry("remove", *words)
    assert told.returncode == code, told.stdout + told.stderr
    assert yard.gitlab.files(yard.project) == before
    done = yard.registry("remove", *words, "--delete")
    assert done.returncode == code, done.stdout + done.stderr
    assert told.stdout.partition("\n\n")[0] == done.stdout.partition("\n\n")[0]
    assert {path: path.read_bytes() for path in records} == records
    return done.stdout + done.stderr


def test_remove_deletes_what_verify_finds(yard: PublishedProject, tmp_path: Path) -> None:
    (wheel,) = yard.have(WheelSpec())
    sdist = tmp_path / "demo-0.9.tar.gz"
    sdist.write_bytes(b"an sdist")
    yard.upload(sdist, version="0.9")
    nameless = other(tmp_path, WheelSpec(version="2.0"))
    yard.upload(nameless, sha256_digest=None)
    stranger = other(tmp_path, WheelSpec(name="stranger", version="3.0"))
    yard.upload(stranger, name="demo", version="0.1")  # a version that its name does not advance
    yard.maintain()
    problems = report(yard.registry("verify", "--json"), "registry-verification")["problems"]
    assert {each["kind"] for each in problems} == {"orphan", "no-hash"}
    for each in problems:
        assert each["fix"].startswith(f"wheelyard registry remove demo {each['file']} --registry gitlab")
    assert "deleted: 3 files of demo" in removed(yard, "Demo", *(each["file"] for each in problems))
    yard.exactly([wheel])
    assert yard.registry("verify").returncode == 0


@pytest.mark.parametrize("first", ["ours", "theirs"])
@pytest.mark.parametrize("salt", [b"", b"other bytes"])
def test_remove_deletes_the_second_copy_of_what_is_recorded(
    yard: PublishedProject, tmp_path: Path, first: str, salt: bytes
) -> None:
    """GitLab's records are per spelling, its index is per canonical name: one file name may be there twice."""
    theirs = other(tmp_path, WheelSpec(name="foo-bar"), salt=salt)
    if first == "theirs":
        yard.upload(theirs, name="Foo_Bar")
    (ours,) = yard.have(WheelSpec(name="foo-bar"))
    if first == "ours":
        yard.upload(theirs, name="Foo_Bar")
    yard.maintain()
    assert yard.registry("verify").returncode == 63
    assert f"1       sha256 {sha256_file(ours)}" in removed(yard, "foo-bar", ours.name)
    yard.exactly([ours])
    assert yard.registry("verify").returncode == 0
    assert "is recorded as published, and stays" in removed(yard, "foo-bar", ours.name, code=60)


def test_remove_asks_which_of_two_strangers_stays(yard: PublishedProject, tmp_path: Path) -> None:
    wheels = [other(tmp_path / name, WheelSpec(name="foo-bar"), salt=name.encode()) for name in ("one", "two")]
    for wheel, name in zip(wheels, ("Foo_Bar", "foo-bar"), strict=True):
        yard.upload(wheel, name=name)
    yard.maintain()
    said = removed(yard, "foo-bar", wheels[0].name, code=60)
    assert all(sha256_file(wheel) in said for wheel in wheels)
    assert "which one is to stay?" in removed(yard, "foo-bar", wheels[0].name, "--keep-copy", "0" * 64, code=60)
    removed(yard, "foo-bar", wheels[0].name, "--keep-copy", sha256_file(wheels[1])[:12].upper())
    yard.exactly([wheels[1]])
    assert yard.registry("adopt").returncode == 0


def test_remove_tells_all_that_may_not_go_and_deletes_nothing(yard: PublishedProject, tmp_path: Path) -> None:
    recorded = yard.have(*specs(2))
    yard.upload(stranger := other(tmp_path, WheelSpec(version="3.0")))
    yard.maintain()
    names = (stranger.name, *(wheel.name for wheel in recorded), "demo-7.0.tar.gz")
    said = removed(yard, "demo", *names, code=60)
    assert "3 of 4 files may not go; nothing was deleted" in said
    assert said.count("is recorded as published, and stays") == 2
    assert "demo-7.0.tar.gz: is not there" in said
    yard.exactly([stranger, *recorded])
    refused(yard.registry("remove", "nonsense", "x"), 11)
    refused(yard.registry("remove", "demo"), 2, "FILE...")


def test_who_may_not_delete_removes_nothing(yard: PublishedProject, tmp_path: Path) -> None:
    yard.upload(wheel := other(tmp_path, WheelSpec()))
    refused(yard.registry("remove", "demo", wheel.name, "--delete"), 62, "a deploy token is nobody here")
    yard.exactly([wheel])


def test_remove_from_a_folder(yard: PublishedProject) -> None:
    wheels = yard.stock.add(*specs(2))
    assert yard.stock.run("publish", "--to", "./index").returncode == 0
    done = yard.registry("remove", "demo", wheels[0].name, "--registry", "index", "--delete")
    assert done.returncode == 0, done.stderr
    assert [path.name for path in (yard.stock.root / "index").rglob("*.whl")] == [wheels[1].name]


# ------------------------------------------------------------------ yank


def test_a_yank_is_recorded_and_can_be_taken_back(yard: PublishedProject) -> None:
    yard.have(*specs(4))
    path = RELEASES.path(yard.stock.root / "packages", "demo")
    done = yard.registry("yank", "Demo", "1.1.0", "--reason", "crashes \x1b[31m without\n zba")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("yanked: demo-1.1-") == 2
    assert "registry index --registry gitlab" in done.stdout
    assert "commit the change in packages/" in done.stdout
    assert [each.yanked for each in RELEASES.read(path)] == [None, None, *["crashes [31m without zba"] * 2]
    assert yard.publish().returncode == 0  # publishing what is there again does not take it back
    assert [each.yanked is not None for each in RELEASES.read(path)] == [False, False, True, True]
    assert yard.registry("verify").returncode == 0
    undone = yard.registry("yank", "demo", "1.1", "--undo")
    assert undone.returncode == 0, undone.stderr
    assert {each.yanked for each in RELEASES.read(path)} == {None}


def test_what_cannot_be_yanked(yard: PublishedProject, tmp_path: Path) -> None:
    yard.have(*specs(4))
    refused(yard.registry("yank", "demo", "3.0", "--reason", "x"), 12, "has no demo 3.0; it has 1.1, 1.0")
    refused(yard.registry("yank", "demo", "new", "--reason", "x"), 12, "'new' is not a version")
    yard.upload(other(tmp_path, WheelSpec(version="1.1", python="cp314", abi="cp314")))
    before = RELEASES.path(yard.stock.root / "packages", "demo").read_text()
    done = yard.registry("yank", "demo", "1.1", "--reason", "x")
    refused(done, 63, "- demo-1.1-cp314", "wheelyard registry adopt demo --registry gitlab")
    assert RELEASES.path(yard.stock.root / "packages", "demo").read_text() == before
    yard.stock.more = "record = false"
    yard.stock.policy()
    refused(yard.registry("yank", "demo", "1.0", "--reason", "x"), 4, "cannot show a yank", "record = true")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "--reason TEXT is needed"),
        (["--reason", " \n"], "--reason TEXT is needed"),
        (["--undo", "--reason", "x"], "--undo takes no reason"),
    ],
)
def test_a_yank_has_a_reason(yard: PublishedProject, words: list[str], said: str) -> None:
    refused(yard.registry("yank", "demo", "1.0", *words), 2, said)


def test_a_reason_that_is_no_text(yard: PublishedProject) -> None:
    (wheel,) = yard.have(WheelSpec())
    done = yard.stock.shell(f"{sys.executable} -m wheelyard registry yank demo 1.0 --reason $'a\\xffb'")
    assert done.returncode == 0, done.stderr
    (entry,) = RELEASES.read(RELEASES.path(yard.stock.root / "packages", "demo"))
    assert (entry.file, entry.yanked) == (wheel.name, "a b")


def test_the_project_is_the_one_of_site_policy(yard: PublishedProject) -> None:
    """``--registry`` may be left out while there is one registry, and not when there are two."""
    yard.have(WheelSpec())
    assert yard.registry("list").returncode == 0
    with (yard.stock.root / "pyproject.toml").open("a") as file:
        file.write('\n[tool.wheelyard.registries.backup]\nkind = "directory"\npath = "backup"\n')
    refused(yard.registry("list"), 4, "which registry is meant?", "gitlab|backup|DIR")
    assert "the registry is empty" in yard.registry("list", "--registry", "backup").stdout
