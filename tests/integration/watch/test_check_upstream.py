"""``check-upstream`` and ``ledger``: the real command, an index scripted through time, a GitLab, a folder."""

from __future__ import annotations

import json
import signal
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.index import JSON, Fault, IndexServer
from support.publishing import PublishedProject, refused, yard_in
from support.schemas import validator
from support.timeline import (
    ALL,
    PURE,
    PYTHONS,
    RISCV,
    Timeline,
    breaks,
    moved,
    release,
    remove,
    rename,
    status,
    vanish,
    wheels,
    yank,
)
from support.wheels import WheelSpec
from wheelyard.core.digests import sha256_file
from wheelyard.records.history import HISTORY, HistoryEntry
from wheelyard.records.lockfile import lock_file, pin
from wheelyard.records.models import LockedVersion
from wheelyard.registries import DirectoryRegistry, read_release
from wheelyard.watch.status_report import STATES

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

ROOT = Path(__file__).parents[3]
TODAY = datetime.now(UTC).date()
AGE = 60  # days that an index has been there, "today" being the last
SHELF = '\n[tool.wheelyard.registries.shelf]\nkind = "directory"\npath = "shelf"\n'


class Scene:
    """A project that watches an index, and two registries of its own.

    Attributes:
        yard: the project and its GitLab.
        index: the public index.
        timeline: what happens there; day ``AGE`` is today.
    """

    def __init__(self, yard: PublishedProject, index: IndexServer) -> None:
        self.yard, self.index = yard, index
        self.timeline = Timeline(index, TODAY - timedelta(days=AGE))
        self.root = yard.stock.root
        yard.stock.env["WHEELYARD_INDEX"] = index.url
        self.settle()

    def settle(self, more: str = "") -> None:
        """Write site configuration: two registries, and *more*."""
        self.yard.stock.more = SHELF + more
        self.yard.stock.policy()
        policy = self.root / "pyproject.toml"
        site = json.dumps([pair.partition("-")[2] for pair in PYTHONS])
        policy.write_text(policy.read_text().replace('["cp313"]', f'{site}\nimage = "official"'))

    def recipe(self, package: str, text: str = "", *, pinned: str | None = "1.0") -> None:
        """Have a recipe, and a version pinned."""
        folder = self.root / "recipes" / package
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "recipe.toml").write_text(text)
        if pinned:
            entry = {"file": f"{package}-{pinned}.tar.gz", "size": 1, "sha256": "1" * 64}
            locked = LockedVersion(version=pinned, wheels=PYTHONS, reference="aarch64", **entry)
            pin(lock_file(self.root / "packages", package), locked)

    def publish(self, registry: str, name: str, version: str, *pairs: str) -> None:
        """Have wheels in a registry of ours."""
        for pair in pairs:
            python, _, abi = pair.partition("-")
            wheel = WheelSpec(name=name, version=version, python=python, abi=abi).write(self.root / "wheels")
            if registry == "gitlab":
                self.yard.upload(wheel)
            else:
                DirectoryRegistry(self.root / "shelf").put(read_release(wheel, sha256=sha256_file(wheel)))

    def run(self, *words: str, of: str = "none") -> subprocess.CompletedProcess[str]:
        return self.yard.stock.run("check-upstream", "--registry", of, *words)

    def check(self, *words: str, of: str = "none", code: int | None = None) -> dict[str, dict[str, Any]]:
        """Run the command, and return its packages; what it says is what its schema says."""
        done = self.run("--json", *words, of=of)
        assert "Traceback" not in done.stderr, done.stderr
        assert done.returncode == code or (code is None and done.returncode in {0, 17}), done.stdout + done.stderr
        value = json.loads(done.stdout)
        validator("upstream")(value)
        assert value["registry"] == (of if of != "none" else "")
        return {each["package"]: each for each in value["packages"]}

    def ledger(self, package: str) -> tuple[HistoryEntry, ...]:
        return HISTORY.read(HISTORY.path(self.root / "packages", package))

    def states(self, *words: str, of: str = "none", code: int | None = None) -> dict[str, str]:
        return {name: each["state"] for name, each in self.check(*words, of=of, code=code).items()}

    def well(self, *packages: str) -> None:
        """Have packages that nothing is to be done for."""
        for package in packages:
            self.recipe(package)
            self.timeline.at(0, release(package, "1.0", *ALL))


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    monkeypatch.setenv("WHEELYARD_CACHE", str(tmp_path / "project/cache"))
    with yard_in(tmp_path) as yard, IndexServer(validators=("ETag",)) as index:
        yield Scene(yard, index)


# ------------------------------------------------------------------- every state


def everything(scene: Scene, registry: str) -> None:
    """Have a package for each state, called so."""
    for state in STATES:
        scene.recipe(state)
        scene.timeline.at(0, release(state, "1.0", *ALL))
        scene.publish(registry, state, "1.0", *PYTHONS[: 2 if state == "partial" else 4])
    scene.recipe("blocked", '[upstream]\nversions = "<2"\n', pinned=None)
    scene.recipe("regressed", '[upstream]\nships-since = "1.0"\n', pinned=None)
    scene.timeline.at(
        20,
        *(release(state, "2.0", *ALL) for state in ("new", "blocked", "regressed")),
        release("current", "2.0rc1", *ALL),
        release("current", "1.1", *ALL),
        yank("current", "1.1", "crashes"),
        release("ships", "2.0", *ALL, *RISCV),
        release("pure", "2.0", *PURE),
        rename("renamed", "renamed-ng"),
        status("quarantined", "quarantined", "malware"),
        remove("gone"),
        breaks("error", Fault(cut_after=40)),
    )
    scene.timeline.at(AGE - 1, release("current", "3.0", *ALL))
    scene.timeline.advance(AGE)


@pytest.mark.parametrize("registry", ["gitlab", "shelf"])
def test_every_state(scene: Scene, registry: str) -> None:
    everything(scene, registry)
    found = scene.check(of=registry, code=18)
    assert {name: each["state"] for name, each in found.items()} == {state: state for state in STATES}
    assert found["new"]["new"] == found["regressed"]["new"] == ["2.0"]
    assert "ships-since" in found["regressed"]["notes"][0]
    assert found["partial"]["missing"] == ["cp314", "cp314t"]
    assert [(each["version"], each["wholly"]) for each in found["ships"]["ships"]] == [("2.0", True)]
    assert [each["version"] for each in found["current"]["waiting"]] == ["3.0"]
    assert "malware" in found["quarantined"]["text"]
    assert "'renamed-ng'" in found["renamed"]["text"]
    assert "<2" in found["blocked"]["text"]


def test_people_and_shells_are_told(scene: Scene) -> None:
    everything(scene, "shelf")
    done = scene.run(of="shelf")
    refused(done, 18, "1 of 11 packages could not be checked", "error: the index broke off")
    rows = [line.split()[:2] for line in done.stdout.splitlines()[2 : 2 + len(STATES)]]
    assert rows == [[state, state] for state in STATES]
    names = [state for state in STATES if state not in {"error", "current"}]
    refused(scene.run(*names, of="shelf"), 17, "9 of 9 packages need a decision", "gone: gone: the index has no")
    done = scene.run("current", of="shelf")
    assert (done.returncode, done.stderr) == (0, "")
    assert "--propose" not in scene.run("new", of="shelf").stderr  # site configuration does not say where they go
    assert "note: current: 3.0 is left alone until" in done.stdout
    done = scene.run("Curent", of="shelf")
    refused(done, 11, "did you mean 'current'")


def test_names_compare_canonically(scene: Scene) -> None:
    scene.recipe("py-nacl", '[source]\nname = "Py_NaCl"\n')
    scene.recipe("binding", '[source]\nname = "PyYAML"\n')
    for name in ("py-nacl", "pyyaml"):
        scene.timeline.at(0, release(name, "1.0", *ALL), rename(name, name.upper()))
    scene.timeline.advance(AGE)
    scene.publish("gitlab", "Py.NaCl", "1.0", *PYTHONS)
    scene.publish("gitlab", "PyYAML", "1.0", *PYTHONS[1:])
    found = scene.check("Py.NaCl", "PY_nacl", "BINDING", of="gitlab")
    assert {name: (each["state"], each["missing"]) for name, each in found.items()} == {
        "py-nacl": ("current", []),
        "binding": ("partial", ["cp312"]),
    }
    assert set(scene.index.paths) == {"/simple/py-nacl/", "/simple/pyyaml/"}


def test_a_page_that_redirects_to_another_name_is_a_rename(scene: Scene) -> None:
    scene.well("old")
    scene.timeline.at(1, release("brand-new", "2.0", *ALL))
    scene.timeline.at(2, moved("old", "brand-new"))
    scene.timeline.advance(1)
    assert scene.states() == {"old": "current"}
    before = scene.ledger("old")
    scene.timeline.advance(AGE)
    assert scene.states() == {"old": "renamed"}
    assert scene.ledger("old") == before  # another project's page says nothing of this one's wheels


# --------------------------------------------------------------------- faults

BAD_PAGES = {
    "status": (Fault(status=503), "answers 503"),
    "truncated": (Fault(body=b'{"meta": {"api-version": "1.1"}, "na', content_type=JSON), "not a page of the simple"),
    "cut": (Fault(cut_after=50), "broke off"),
    "dropped": (Fault(drop=True), "cannot be reached"),
    "type": (Fault(body=b"\x00", content_type="application/zip"), "not the simple API"),
    "portal": (Fault(body=b"<form>Log in</form>", content_type="text/html"), "lists nothing"),
    "empty": (Fault(body=b"", content_type="text/html"), "lists nothing"),
    "nobody-asked": (Fault(status=304), "answers 304"),
    "refused": (Fault(status=403), "refuses access"),
    "bomb": (Fault(body=b"not gzip", content_type=JSON, headers={"Content-Encoding": "gzip"}), "broke off"),
    "loop": (Fault(status=302, headers={"Location": "/simple/loop/"}), "cannot be reached"),
    "file": (Fault(status=302, headers={"Location": "file:///etc/passwd"}), "cannot be reached"),
}


def test_one_packages_failure_does_not_stop_the_others(scene: Scene) -> None:
    scene.well(*BAD_PAGES, "well", "slow", "bad-recipe", "bad-lock", "bad-ledger")
    scene.timeline.advance(AGE)
    for name, (fault, _) in BAD_PAGES.items():
        scene.timeline.now(breaks(name, fault))
    scene.timeline.now(breaks("slow", Fault(delay=1, times=1)))
    (scene.root / "recipes/bad-recipe/recipe.toml").write_text("[biuld]\n")
    lock_file(scene.root / "packages", "bad-lock").write_text("version = [")
    HISTORY.path(scene.root / "packages", "bad-ledger").write_text("<<<<<<< ours\n")
    found = scene.check(code=18)
    broken = {*BAD_PAGES, "bad-recipe", "bad-lock", "bad-ledger"}
    assert {name for name, each in found.items() if each["state"] == "error"} == broken
    assert {name for name, each in found.items() if each["state"] == "current"} == {"well", "slow"}
    for name, (_, said) in BAD_PAGES.items():
        assert said in found[name]["text"] + " ".join(found[name]["notes"]), found[name]
    assert "recipes/bad-recipe/recipe.toml:1" in " ".join([found["bad-recipe"]["text"], *found["bad-recipe"]["notes"]])
    assert HISTORY.path(scene.root / "packages", "bad-ledger").read_text() == "<<<<<<< ours\n"
    scene.timeline.now(lambda index, _: index.heal())
    assert set(scene.states(*BAD_PAGES).values()) == {"current"}


def test_as_many_are_asked_at_once_as_site_policy_allows(scene: Scene) -> None:
    names = [f"p{number}" for number in range(9)]
    scene.well(*names)
    scene.timeline.advance(AGE)
    scene.timeline.now(*(breaks(name, Fault(delay=0.5)) for name in names))
    scene.settle("\n[tool.wheelyard.watch]\nparallel = 3\n")
    assert set(scene.states().values()) == {"current"}
    assert scene.index.most == 3


def test_what_passes_by_itself_is_tried_again(scene: Scene) -> None:
    scene.well("demo")
    scene.timeline.advance(AGE)
    scene.timeline.now(breaks("demo", Fault(status=502, times=2)))
    assert scene.states() == {"demo": "current"}
    assert [code for _, code in scene.index.answers] == [502, 502, 200]


def test_an_index_that_is_malicious(scene: Scene) -> None:
    scene.well("demo", "well")
    scene.timeline.advance(AGE)
    names = [
        "../../../../etc/cron.d/x-1.0.tar.gz",
        "demo-2.0\x1b[2J.tar.gz",
        "demo-<script>.tar.gz",
        f"demo-{'9' * 10_000}.tar.gz",
        f"demo-{'9.' * 5_000}9-py3-none-any.whl",
        "demo-1.0-cp312-cp312!a-manylinux_2_39_riscv64.whl",
        "demo-1.0-cp312-cp312+b-manylinux_2_39_riscv64.whl",
    ]
    day = (TODAY - timedelta(days=30)).isoformat()
    good = {"filename": "demo-1.0.tar.gz", "upload-time": f"{day}T00:00:00Z"}
    later = {"filename": "demo-7.0.tar.gz", "upload-time": "9999-12-31T23:59:59Z"}
    page = {
        "meta": {"api-version": "1.4"},
        "name": "demo",
        "project-status": {"status": "archived", "reason": "\x1b]0;owned\x07\n::error::x" + "x" * 10_000},
        "versions": ["1.0", *names, "7.0"],
        "files": [
            {"url": f"{scene.index.root}/{n}", "hashes": {}, "requires-python": f">={'1' * 5_000}", **each}
            for n, each in enumerate([good, later, *({"filename": name} for name in names)])
        ],
    }
    scene.timeline.now(breaks("demo", Fault(body=json.dumps(page).encode(), content_type=JSON)))
    before = {path for path in scene.root.rglob("*") if path.is_file()}
    done = scene.run()
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout) < 2_000
    assert all(line.isprintable() and not line.startswith("::") for line in done.stdout.splitlines())
    found = scene.check()
    assert {name: each["state"] for name, each in found.items()} == {"demo": "current", "well": "current"}
    assert [each["version"] for each in found["demo"]["waiting"]] == ["7.0"]
    assert {each.version: each.first for each in scene.ledger("demo")} == {
        "1.0": TODAY - timedelta(days=30),
        "7.0": TODAY,  # not in a thousand years
    }
    new = {path.relative_to(scene.root).parts[0] for path in scene.root.rglob("*") if path.is_file()} - {
        path.relative_to(scene.root).parts[0] for path in before
    }
    assert new <= {"packages", "cache"}


def test_a_huge_page_is_read_and_one_without_end_is_not(scene: Scene) -> None:
    scene.well("huge", "well")
    scene.timeline.advance(AGE)
    day = (TODAY - timedelta(days=30)).isoformat()
    count = 30_000
    entries = [
        {
            "filename": f"huge-1.{n}-cp312-cp312-manylinux_2_28_aarch64.whl",
            "url": "https://x/",
            "hashes": {"sha256": "1" * 64},
            "upload-time": f"{day}T00:00:00Z",
        }
        for n in range(count)
    ]
    page = {"meta": {"api-version": "1.1"}, "name": "huge", "versions": [f"1.{n}" for n in range(count)]}
    body = json.dumps(page | {"files": entries}).encode()
    scene.timeline.now(breaks("huge", Fault(body=body, content_type=JSON)))
    found = scene.check()
    assert (found["huge"]["state"], found["huge"]["new"][0]) == ("new", f"1.{count - 1}")
    assert len(found["huge"]["new"]) == 3
    assert len(scene.ledger("huge")) < 10
    scene.index.heal()
    scene.timeline.now(breaks("huge", Fault(body=b" " * (129 << 20), content_type=JSON)))
    found = scene.check(code=18)
    assert (found["huge"]["state"], found["well"]["state"]) == ("error", "current")
    assert "128 MiB" in found["huge"]["text"]


def test_a_registry_that_cannot_be_reached_is_every_packages_error(scene: Scene) -> None:
    scene.well("one", "two")
    scene.timeline.advance(AGE)
    scene.yard.stock.url = "http://127.0.0.1:9"
    scene.settle()
    found = scene.check(of="gitlab", code=18)
    assert {each["state"] for each in found.values()} == {"error"}
    assert all(each["text"].startswith("our registry: ") for each in found.values())
    assert all(each["notes"][-1].startswith("fix: ") for each in found.values())
    assert scene.states() == {"one": "current", "two": "current"}


def test_a_registry_may_not_be_called_upstream(scene: Scene) -> None:
    scene.well("one")
    scene.settle('\n[tool.wheelyard.registries.upstream]\nkind = "directory"\npath = "up"\n')
    (scene.root / "up").mkdir()
    refused(scene.run(of="upstream"), 4, "a registry cannot be called 'upstream'")


def test_any_folder_is_compared_but_not_in_the_ledger(scene: Scene) -> None:
    scene.well("one")
    scene.timeline.advance(AGE)
    scene.publish("shelf", "one", "1.0", *PYTHONS)
    (scene.root / "shelf").rename(scene.root / 'else"where')
    assert scene.states(of='./else"where') == {"one": "current"}
    assert {each.where for each in scene.ledger("one")} == {"upstream"}


# ------------------------------------------------------------------- conditional


@pytest.mark.parametrize("validators", [("ETag",), ("Last-Modified",), ()], ids=str)
def test_a_second_run_asks_whether_anything_changed(scene: Scene, validators: tuple[str, ...]) -> None:
    scene.index.validators = validators
    scene.well("one", "two", "three")
    scene.timeline.advance(AGE)
    first = scene.check()
    assert scene.check() == first
    again = 304 if validators else 200
    assert [code for _, code in scene.index.answers] == [200] * 3 + [again] * 3
    scene.index.answers.clear()
    scene.timeline.now(wheels("two", "1.0", *RISCV))
    assert scene.states() == {"one": "current", "two": "ships", "three": "current"}
    assert Counter(scene.index.answers) == Counter(
        [("/simple/one/", again), ("/simple/two/", 200), ("/simple/three/", again)]
    )


def test_twice_is_once(scene: Scene) -> None:
    everything(scene, "shelf")
    first = scene.check(of="shelf", code=18)
    written = {
        path: (path.read_bytes(), path.stat().st_mtime_ns) for path in (scene.root / "packages").rglob("history.toml")
    }
    assert len(written) == len(STATES) - 3  # nothing is known of what is gone, renamed or broken
    assert scene.check(of="shelf", code=18) == first
    assert written == {
        path: (path.read_bytes(), path.stat().st_mtime_ns) for path in (scene.root / "packages").rglob("history.toml")
    }


def test_a_dry_run_writes_no_ledger(scene: Scene) -> None:
    scene.well("one")
    scene.timeline.advance(AGE)
    assert scene.states("--dry-run") == {"one": "current"}
    assert not HISTORY.path(scene.root / "packages", "one").exists()


# ----------------------------------------------------------- ended, and at once

PACKAGES = tuple(f"p{n}" for n in range(8))


def ledgers(scene: Scene) -> dict[str, tuple[HistoryEntry, ...]]:
    return {package: scene.ledger(package) for package in PACKAGES}


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_run_loses_nothing(scene: Scene, how: signal.Signals) -> None:
    scene.well(*PACKAGES)
    scene.timeline.advance(AGE)
    scene.settle("\n[tool.wheelyard.watch]\nparallel = 2\n")
    for package in PACKAGES[2:]:
        scene.timeline.now(breaks(package, Fault(delay=0.7)))
    process = scene.yard.stock.start("check-upstream", "--registry", "none")
    for _ in range(400):
        if len(scene.index.answers) >= 3:
            break
        time.sleep(0.05)
    process.send_signal(how)
    started = time.monotonic()
    _, err = process.communicate(timeout=60)
    assert time.monotonic() - started < 5
    assert process.returncode == (130 if how == signal.SIGINT else -signal.SIGKILL)
    assert "Traceback" not in err
    done = {package for package, facts in ledgers(scene).items() if facts}
    assert {"p0", "p1"} <= done < set(PACKAGES)
    time.sleep(0.8)  # what the server still had to answer
    scene.index.answers.clear()
    scene.index.heal()
    assert set(scene.states().values()) == {"current"}
    assert all(ledgers(scene).values())
    assert not list(scene.root.rglob(".*.tmp"))
    answers = dict(scene.index.answers)
    assert {package for package in done if answers[f"/simple/{package}/"] == 304} == done


def test_two_runs_at_once(scene: Scene) -> None:
    scene.well(*PACKAGES)
    scene.timeline.at(1, *(wheels(package, "1.0", RISCV[0]) for package in PACKAGES))
    scene.timeline.advance(AGE)
    for package in PACKAGES:
        scene.publish("shelf", package, "1.0", *PYTHONS)
    words = [("--registry", "none"), ("--registry", "shelf")]
    runs = [scene.yard.stock.start("check-upstream", *more) for more in words]
    for run in runs:
        _, err = run.communicate(timeout=120)
        assert run.returncode == 17, err
        assert "Traceback" not in err
    for facts in ledgers(scene).values():
        assert Counter((each.where, bool(each.wheel)) for each in facts) == Counter(
            {("upstream", False): 1, ("upstream", True): 1, ("shelf", True): 4}
        )
        assert all(each.removed is None for each in facts)


# ----------------------------------------------------------------------- history


def test_the_history_of_wheels_that_vanish_and_come_back(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    from wheelyard.project.config import find_project

    monkeypatch.setenv("WHEELYARD_INDEX", scene.index.url)
    timeline = Timeline(scene.index)
    project = find_project(scene.root)
    scene.recipe("demo", pinned=None)
    timeline.at(0, release("demo", "1.0", *ALL))
    timeline.at(2, wheels("demo", "1.0", *RISCV))
    timeline.at(5, vanish("demo", "riscv64"))
    timeline.at(7, wheels("demo", "1.0", *RISCV))
    told = []
    for day in (1, 3, 5, 6, 8):
        timeline.advance(day)
        timeline.check(project)
        done = scene.yard.stock.run("history", "--json", "Demo")
        assert (done.returncode, done.stderr) == (0, "")
        value = json.loads(done.stdout)
        validator("history-report")(value)
        ((version,),) = [each["versions"] for each in value["packages"]]
        told.append((version["released"], version["upstream"], version["upstream-gone"]))
    assert told == [
        ("2026-01-01", None, None),
        ("2026-01-01", "2026-01-03", None),
        ("2026-01-01", "2026-01-03", "2026-01-06"),
        ("2026-01-01", "2026-01-03", "2026-01-06"),
        ("2026-01-01", "2026-01-03", None),
    ]
    done = scene.yard.stock.run("history")
    assert done.returncode == 0
    assert "demo: upstream's first riscv64 wheels are of 1.0; the first came on 2026-01-03" in done.stdout
