"""``records --propose``: the real command in a real checkout, both forges and their git repositories."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from support.forges import github_place, gitlab_place
from support.project import make_project
from support.remote import git
from wheelyard.core.errors import CredentialsError
from wheelyard.records.expiry_table import BEGIN, END, PAGE, Expiry, replaced
from wheelyard.records.releases import RELEASES, ReleasedFile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.forges import Place

POLICY = """\
[tool.wheelyard]
interpreters = ["cp313"]
policy = "manylinux_2_39_riscv64"
"""
BRANCH = "wheelyard/records"


def lines(*numbers: int, package: str = "demo") -> str:
    return RELEASES.dump(
        ReleasedFile(
            file=f"{package}-1.{number}-cp313-cp313-manylinux_2_39_riscv64.whl",
            where="gitlab",
            sha256=f"{number:064x}",
            size=1,
            tags=("cp313-cp313-manylinux_2_39_riscv64",),
        )
        for number in numbers
    )


def path(package: str = "demo") -> str:
    return f"packages/{package}/releases.toml"


class Scene:
    """A forge, and runs in checkouts of its base branch."""

    def __init__(self, root: Path, place: Place) -> None:
        self.root, self.place = root, place
        place.git.commit("main", {path(): lines(1)})

    def checkout(self, name: str, **policy: str) -> Path:
        """Clone the base branch, as a job does."""
        git(self.root, "clone", "--quiet", "--depth=1", self.place.git.url, name)
        given = {**self.place.policy.model_dump(mode="json", by_alias=True, exclude_defaults=True), **policy}
        table = "\n".join(f"{key} = {json.dumps(value)}" for key, value in given.items())
        make_project(self.root / name, pyproject=f"{POLICY}\n[tool.wheelyard.change-requests]\n{table}\n")
        return self.root / name

    def publish(self, name: str, text: str, package: str = "demo", **policy: str) -> Path:
        folder = self.checkout(name, **policy)
        (folder / path(package)).parent.mkdir(parents=True, exist_ok=True)
        (folder / path(package)).write_text(text)
        return folder

    def start(self, folder: Path, *words: str) -> subprocess.Popen[str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("GIT")}
        env = {**kept, "WHEELYARD_CACHE": str(self.root / "cache"), "NO_PROXY": "127.0.0.1"}
        env[self.place.policy.variable] = self.place.token
        command = [sys.executable, "-m", "wheelyard", "records", "--json", *words]
        return subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def end(self, process: subprocess.Popen[str], code: int = 0) -> dict[str, Any]:
        out, err = process.communicate(timeout=120)
        assert process.returncode == code, out + err
        assert self.place.token not in out + err
        assert "Traceback" not in err
        return json.loads(out) if code == 0 else {"err": err}

    def run(self, folder: Path, *words: str, code: int = 0) -> dict[str, Any]:
        return self.end(self.start(folder, *words), code)

    def open(self) -> list[int]:
        return [each.number for each in self.place.shown() if each.state == "open"]

    def at(self, branch: str, package: str = "demo") -> str:
        return self.place.git.files(branch).get(path(package), "") + "\n"


@pytest.fixture(params=["gitlab", "github"])
def scene(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    place = gitlab_place(tmp_path) if request.param == "gitlab" else github_place(tmp_path, monkeypatch)
    with place as served:
        yield Scene(tmp_path, served)


def test_one_request_that_another_run_adds_to_and_that_is_moot_once_merged(scene: Scene) -> None:
    one = scene.publish("one", lines(1, 2))
    assert scene.run(one)["files"] == [path()]
    writes = scene.place.writes()
    assert scene.run(one, "--propose", "--dry-run")["action"] == "open"
    assert scene.place.writes() == writes
    assert BRANCH not in scene.place.git.branches()

    assert scene.run(one, "--propose")["action"] == "open"
    assert scene.run(one, "--propose")["action"] == "keep"
    assert scene.place.git.changed(BRANCH) == {path()}

    other = scene.publish("other", lines(1, package="other"), "other")
    assert scene.run(other, "--propose")["action"] == "update"
    assert (scene.at(BRANCH), scene.at(BRANCH, "other")) == (lines(1, 2), lines(1, package="other"))
    third = scene.publish("third", lines(1, 3))
    assert scene.run(third, "--propose")["action"] == "update"
    assert scene.at(BRANCH) == lines(1, 2, 3)
    assert scene.run(one, "--propose")["action"] == "keep"

    [number] = scene.open()
    scene.place.merge(number)
    assert scene.at("main") == lines(1, 2, 3)
    for folder in (one, other, third):
        assert scene.run(folder, "--propose")["action"] == "moot"
    assert scene.open() == []
    assert scene.run(scene.checkout("clean"), "--propose")["action"] == "none"


def test_the_base_branch_has_moved(scene: Scene) -> None:
    folder = scene.publish("one", lines(1, 2))
    scene.place.git.commit("main", {path(): lines(1, 9)})
    assert scene.run(folder, "--propose")["action"] == "open"
    assert scene.at(BRANCH) == lines(1, 2, 9)
    scene.place.git.commit("main", {path(): lines(1, 8, 9)})
    assert scene.run(folder, "--propose")["action"] == "update"
    assert scene.at(BRANCH) == lines(1, 2, 8, 9)
    [number] = scene.open()
    scene.place.merge(number)
    assert scene.at("main") == lines(1, 2, 8, 9)


def test_two_runs_at_once_make_one_request_with_both(scene: Scene) -> None:
    folders = [scene.publish(f"run{number}", lines(1, number)) for number in (2, 3)]
    for process in [scene.start(folder, "--propose") for folder in folders]:
        scene.end(process)
    assert len(scene.open()) == 1
    assert scene.at(BRANCH) == lines(1, 2, 3)


def test_site_policy_pushes_at_once_and_no_run_loses_the_others_lines(scene: Scene) -> None:
    folders = [scene.publish(f"run{number}", lines(1, number), records="push") for number in (2, 3, 4)]
    tip = scene.place.git.tip("main")
    assert scene.run(folders[0], "--propose", "--dry-run")["action"] == "pushed"
    assert scene.place.git.tip("main") == tip
    ended = [scene.end(process) for process in [scene.start(folder, "--propose") for folder in folders]]
    assert {each["action"] for each in ended} == {"pushed"}
    assert scene.at("main") == lines(1, 2, 3, 4)
    assert scene.open() == []
    assert scene.run(folders[1], "--propose")["action"] == "moot"
    assert scene.run(scene.publish("asked", lines(1, 2, 3, 4, 5)), "--push")["action"] == "pushed"


def test_pushing_goes_on_from_a_base_branch_that_moved_and_closes_the_request_that_it_makes_moot(scene: Scene) -> None:
    one = scene.publish("one", lines(1, 2))
    assert scene.run(one, "--propose")["action"] == "open"
    other = scene.publish("other", lines(1, 3))
    scene.place.git.commit("main", {path(): lines(1, 9)})
    assert scene.run(other, "--push")["action"] == "pushed"
    assert scene.at("main") == lines(1, 3, 9)
    assert len(scene.open()) == 1, "line 2 is nowhere else"
    assert scene.run(one, "--push", "--dry-run")["action"] == "pushed"
    assert len(scene.open()) == 1
    assert scene.run(one, "--push")["action"] == "pushed"
    assert scene.at("main") == lines(1, 2, 3, 9)
    assert scene.open() == []
    assert BRANCH not in scene.place.git.branches()


@pytest.mark.parametrize(
    "says",
    [
        "GitLab: You are not allowed to push code to protected branches on this project.",
        "error: GH006: Protected branch update failed for refs/heads/main.",
        "error: GH013: Repository rule violations found for refs/heads/main.",
    ],
)
def test_a_protected_branch_refuses_and_nothing_is_lost(scene: Scene, says: str) -> None:
    folder = scene.publish("one", lines(1, 2))
    tip = scene.place.git.tip("main")
    hook = scene.place.git.path / "hooks/update"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f'#!/bin/sh\n[ "$1" != refs/heads/main ] || {{ echo "{says}" >&2; exit 1; }}\n')
    hook.chmod(0o755)
    err = scene.run(folder, "--push", code=CredentialsError.exit_code)["err"]
    assert "protects the branch" in err
    assert "allow the token" in err
    assert scene.place.git.tip("main") == tip
    assert scene.run(folder)["files"] == [path()]
    assert scene.run(folder, "--propose")["action"] == "open"
    assert scene.at(BRANCH) == lines(1, 2)


@pytest.mark.parametrize("before", [False, True], ids=["first", "after one was merged"])
def test_a_run_that_is_killed_after_its_push_loses_nothing(scene: Scene, before: bool) -> None:
    if before:
        scene.run(scene.publish("earlier", lines(1, 7)), "--propose")
        scene.place.merge(scene.open()[0])
    known = (1, 7) if before else (1,)
    dead, tip = scene.publish("dead", lines(*known, 2)), scene.place.git.tip(BRANCH)
    hook = scene.place.git.path / "hooks/post-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nfor _ in $(seq 600); do [ ! -e hooks/post-receive ] || sleep 0.1; done\n")
    # Its push has arrived, and it does not know yet
    hook.chmod(0o755)
    process = scene.start(dead, "--propose")
    end = time.monotonic() + 60
    while scene.place.git.tip(BRANCH) == tip:
        assert time.monotonic() < end
        assert process.poll() is None
        time.sleep(0.05)
    process.kill()
    process.communicate(timeout=30)
    hook.unlink()
    assert scene.open() == []
    after = scene.publish("after", lines(*known, 3))
    assert scene.run(after, "--propose")["action"] == "open"
    assert len(scene.open()) == 1
    assert scene.at(BRANCH) == lines(*known, 2, 3)


def test_two_truths_of_one_file_change_nothing(scene: Scene) -> None:
    folder = scene.publish("one", lines(1, 2))
    scene.place.git.commit("main", {path(): lines(1, 2).replace("size = 1", "size = 2")})
    assert "differ" in scene.run(folder, "--propose", code=63)["err"]
    assert BRANCH not in scene.place.git.branches()


def test_only_records_go_out(scene: Scene) -> None:
    folder = scene.publish("one", lines(1, 2))
    (folder / "README.md").write_text("mine")
    (folder / "packages/demo/lock.toml").write_text("mine")
    (folder / "packages/demo/sub").mkdir()
    (folder / "packages/demo/sub/history.toml").write_text("mine")
    assert scene.run(folder, "--propose")["files"] == [path()]
    assert scene.place.git.changed(BRANCH) == {path()}


# ------------------------------------------------------------- when tokens end


def ends_on(**lines: tuple[str, str]) -> str:
    """Return the page, on which each token ends on one day, as was seen on another."""
    return replaced(f"# People's\n\n{BEGIN}{END}\n", [Expiry(name, *days) for name, days in lines.items()])


def seen(scene: Scene, name: str, text: str) -> Path:
    """Return a checkout in which tokens were looked at."""
    folder = scene.checkout(name)
    (folder / PAGE).write_text(text, encoding="utf-8")
    return folder


def test_what_was_seen_of_tokens_is_one_request_that_says_what_was_seen_last(scene: Scene) -> None:
    scene.place.git.commit("main", {PAGE: ends_on(tok=("2026-09-01", "2026-05-01"))})
    first = seen(scene, "first", ends_on(tok=("2026-09-01", "2026-08-01")))
    assert scene.run(first, "--propose")["action"] == "open"
    nothing_new = seen(scene, "second", ends_on(tok=("2026-09-01", "2026-08-02")))
    assert scene.run(nothing_new, "--propose")["action"] == "keep"
    renewed = seen(scene, "third", ends_on(tok=("2027-08-01", "2026-08-03")))
    assert scene.run(renewed, "--propose")["action"] == "update"
    assert scene.place.git.files(BRANCH)[PAGE] + "\n" == ends_on(tok=("2027-08-01", "2026-08-03"))


def test_what_a_person_has_written_down_meanwhile_stays(scene: Scene) -> None:
    scene.place.git.commit("main", {PAGE: ends_on(tok=("2026-09-01", "2026-05-01"))})
    first = seen(scene, "first", ends_on(tok=("2026-09-01", "2026-08-01")))
    assert scene.run(first, "--propose")["action"] == "open"
    by_hand = ends_on(tok=("2027-08-01", "2026-08-02")).replace("People's", "People's, and longer")
    scene.place.git.commit("main", {PAGE: by_hand})
    scene.run(scene.publish("second", lines(1, 2)), "--propose")
    assert scene.place.git.files(BRANCH)[PAGE] + "\n" == by_hand


def test_a_request_about_tokens_is_moot_once_its_like_was_pushed(scene: Scene) -> None:
    scene.place.git.commit("main", {PAGE: ends_on(tok=("2026-09-01", "2026-05-01"))})
    scene.run(seen(scene, "first", ends_on(tok=("2026-09-01", "2026-08-01"))), "--propose")
    scene.run(seen(scene, "second", ends_on(tok=("2027-08-01", "2026-08-02"))), "--push")
    assert scene.open() == []
    assert scene.place.git.files("main")[PAGE] + "\n" == ends_on(tok=("2027-08-01", "2026-08-02"))
