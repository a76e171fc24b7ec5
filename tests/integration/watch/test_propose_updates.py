"""``check-upstream --propose``: the real command, an index, real sdists, both forges and their git repositories."""

from __future__ import annotations

import difflib
import json
import os
import re
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING, Any

import pytest

from support.forges import github_place, gitlab_place
from support.index import Fault, IndexFile, IndexServer
from support.project import make_project
from support.tiny import add_tiny, sdist, sources
from support.wheels import WheelSpec
from wheelyard.io import sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.forges import Place, Shown

RECIPE = """\
[test]
command = "python {project}/test_tiny.py"
"""
POLICY = """\
[tool.wheelyard]
interpreters = ["cp313"]
policy = "manylinux_2_39_riscv64"
image = "local"

[tool.wheelyard.watch]
cool-down = 0
"""
LOCK = "packages/tiny/lock.toml"
RISCV = "cp313-cp313-manylinux_2_39_riscv64"


class Scene:
    """A project with a forge, and an index that it watches."""

    def __init__(self, root: Path, index: IndexServer, place: Place) -> None:
        self.root, self.index, self.place = root / "site", index, place
        self.root.mkdir()
        self.cache = root / "cache"
        self.settle(RECIPE)

    def settle(self, recipe: str, *, limit: int = 10, site: str = POLICY, **files: str) -> None:
        given = {**self.place.policy.model_dump(mode="json", by_alias=True, exclude_defaults=True), "limit": limit}
        table = "\n".join(f"{key} = {json.dumps(value)}" for key, value in given.items())
        policy = f"{site}\n[tool.wheelyard.change-requests]\n{table}\n"
        named = {f"tiny/{name.replace('_', '.')}": text for name, text in files.items()}
        make_project(self.root, {"tiny/recipe.toml": recipe, **named}, pyproject=policy)

    def run(
        self, *words: str, token: str | None = None, before: tuple[str, ...] = ()
    ) -> subprocess.CompletedProcess[str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("GIT", "PIP_", "UV_"))}
        env = {
            **kept,
            "HOME": str(self.cache / "home"),
            "WHEELYARD_CACHE": str(self.cache),
            "WHEELYARD_INDEX": self.index.url,
            "NO_PROXY": "127.0.0.1",
            self.place.policy.variable: self.place.token if token is None else token,
        }
        command = [*before, sys.executable, "-m", "wheelyard", "check-upstream", "--registry", "none", *words]
        return subprocess.run(command, cwd=self.root, env=env, capture_output=True, text=True, check=False, timeout=120)

    def propose(self, *words: str, code: int = 17) -> dict[str, dict[str, Any]]:
        """Run the command, and return what became of each package's change request."""
        done = self.run("--propose", "--json", *words)
        assert done.returncode == code, done.stdout + done.stderr
        assert self.place.token not in done.stdout + done.stderr
        return {each["package"]: each for each in json.loads(done.stdout)["change-requests"]}

    def pin(self) -> None:
        """Pin upstream's newest, as merging a change request does."""
        file = self.root / LOCK
        file.parent.mkdir(parents=True, exist_ok=True)
        branch = self.place.git.files("main").get(LOCK, "")
        file.write_text(branch + "\n" if branch else "")

    def requests(self, state: str = "open") -> list[Shown]:
        return [each for each in self.place.shown() if each.state == state]

    def lock(self, branch: str = "wheelyard/update/tiny") -> dict[str, Any]:
        return tomllib.loads(self.place.git.files(branch)[LOCK])


@pytest.fixture(params=["gitlab", "github"])
def scene(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    place = gitlab_place(tmp_path) if request.param == "gitlab" else github_place(tmp_path, monkeypatch)
    with place as served, IndexServer() as index:
        add_tiny(index, requires=())
        spec = WheelSpec(name="wanted", python="py3", abi="none", platform="any", elf=None, purelib="true")
        wheel = spec.write(tmp_path / "wanted")
        index.add("wanted", IndexFile(wheel.name, wheel.read_bytes()))
        made = Scene(tmp_path, index, served)
        first = made.propose()["tiny"]
        assert first["action"] == "open", first
        served.merge(made.requests()[0].number)
        made.pin()
        yield made


def versions(lock: dict[str, Any]) -> list[str]:
    return [each["version"] for each in lock["version"]]


def test_a_new_version_is_one_request_that_keeps_up(scene: Scene) -> None:
    assert scene.propose(code=0) == {}  # merged: nothing to do
    add_tiny(scene.index, "1.1", requires=("wanted",), files={"more.pyx": ""})
    writes = scene.place.writes()
    assert scene.propose("--dry-run")["tiny"]["action"] == "open"
    assert scene.place.writes() == writes
    assert scene.requests() == []
    assert "fix: wheelyard check-upstream --propose" in scene.run("--propose", "--dry-run").stderr
    assert not (scene.root / "packages/tiny/history.toml").read_text().count("1.1")

    done = scene.run("--propose")
    assert done.returncode == 17
    assert "fix: review the change requests, and merge them" in done.stderr
    row = next(line for line in done.stdout.splitlines() if "Update tiny" in line)
    assert row.split()[:6] == ["tiny", "open", "Update", "tiny", "to", "1.1"]
    [request] = scene.requests()
    assert row.endswith(f"/{request.number}")
    assert scene.place.git.changed("wheelyard/update/tiny") == {LOCK}
    assert versions(scene.lock()) == ["1.1", "1.0"]
    for words in (
        "1.0 → 1.1",
        "build requirements, new: `wanted`",
        "more.pyx",
        "tiny-1.1-cp313-cp313-manylinux_*_riscv64",
    ):
        assert words in request.body
    assert versions(tomllib.loads((scene.root / LOCK).read_text())) == ["1.0"]  # the checkout is left alone

    writes = scene.place.writes()
    assert scene.propose()["tiny"]["action"] == "keep"
    assert scene.place.writes() == writes

    add_tiny(scene.index, "1.2")
    assert scene.propose()["tiny"]["action"] == "update"
    [newer] = scene.requests()
    assert (newer.number, newer.title) == (request.number, "Update tiny to 1.2")
    assert versions(scene.lock()) == ["1.2", "1.0"]

    scene.place.merge(newer.number)
    scene.pin()
    assert scene.propose(code=0) == {}
    assert len(scene.requests("merged")) == 2


def test_what_upstream_takes_back_is_moot(scene: Scene) -> None:
    add_tiny(scene.index, "1.1")
    scene.propose()
    [request] = scene.requests()
    scene.index.set_files("tiny", [file for file in scene.index.files("tiny") if "1.1" not in file.name])
    assert scene.propose(code=0)["tiny"]["action"] == "close"
    [closed] = scene.requests("closed")
    assert closed.number == request.number
    assert any("Moot" in comment for comment in closed.comments)
    assert "wheelyard/update/tiny" not in scene.place.git.branches()
    assert scene.propose(code=0) == {}


def test_what_has_no_recipe_any_more_is_moot(scene: Scene) -> None:
    add_tiny(scene.index, "1.1")
    scene.propose()
    scene.propose("tiny")  # whoever asks for some says nothing of others
    (scene.root / "recipes/tiny/recipe.toml").unlink()
    (scene.root / "recipes/tiny").rmdir()
    assert scene.propose("--dry-run", code=0)["tiny"]["action"] == "close"
    assert len(scene.requests()) == 1
    assert scene.propose(code=0)["tiny"]["action"] == "close"
    assert any("its recipe is gone" in comment for comment in scene.requests("closed")[0].comments)
    assert scene.propose(code=0) == {}


def test_retirement_and_regression_are_proposed_too(scene: Scene) -> None:
    scene.index.add("tiny", IndexFile(f"tiny-1.0-{RISCV}.whl", b""))
    assert scene.propose()["tiny"]["title"].startswith("Retire tiny")
    [request] = scene.requests()
    assert scene.lock()["retired"] == "1.0"
    assert versions(scene.lock()) == ["1.0"]
    scene.place.merge(request.number)
    scene.pin()
    assert scene.propose(code=0) == {}

    add_tiny(scene.index, "1.1")  # without the wheel for riscv64
    told = scene.propose()["tiny"]
    assert told["title"] == "Build tiny again: 1.1 lacks riscv64 wheels"
    lock = scene.lock()
    assert "retired" not in lock
    assert versions(lock) == ["1.1", "1.0"]
    # The wheel comes late: it is as it was.
    scene.index.add("tiny", IndexFile(f"tiny-1.1-{RISCV}.whl", b""))
    assert scene.propose(code=0)["tiny"]["action"] == "close"


def test_a_retirement_is_moot_where_upstream_does_not_serve_all_any_more(scene: Scene) -> None:
    two = POLICY.replace('["cp313"]', '["cp312", "cp313"]').replace('"local"', '"official"')
    scene.settle(RECIPE, site=two)
    older = RISCV.replace("313", "312")
    scene.index.add("tiny", *(IndexFile(f"tiny-1.0-{tag}.whl", b"") for tag in (RISCV, older)))
    scene.index.add("tiny", IndexFile(f"tiny-1.0-{older.replace('riscv64', 'aarch64')}.whl", b""))
    assert scene.propose()["tiny"]["action"] == "open"
    [request] = scene.requests()
    assert "- 1.0: cp312, cp313" in request.body
    scene.index.set_files("tiny", [file for file in scene.index.files("tiny") if older not in file.name])
    assert scene.propose()["tiny"]["action"] == "close"
    [closed] = scene.requests("closed")
    assert "upstream ships 1.0 for cp313, not for all" in closed.comments[0]
    assert scene.propose() == {}


def test_a_wheel_that_vanishes_from_what_is_pinned_has_it_built_once_more(scene: Scene) -> None:
    scene.index.add("tiny", IndexFile(f"tiny-1.0-{RISCV}.whl", b""))
    scene.propose()
    scene.place.merge(scene.requests()[0].number)
    scene.pin()
    scene.index.set_files("tiny", [file for file in scene.index.files("tiny") if "riscv64" not in file.name])
    assert scene.propose()["tiny"]["title"] == "Build tiny again: 1.0 lacks riscv64 wheels"
    assert scene.requests()[0].body.startswith("**1.0, once more**\n")
    assert "retired" not in scene.lock()
    scene.place.merge(scene.requests()[0].number)
    scene.pin()
    assert scene.propose(code=0) == {}


def test_what_upstream_says_names_nobody_and_closes_nothing(scene: Scene) -> None:
    """Forges take mentions and ``closes #1`` from any text of a request, but not from code."""
    info = "Metadata-Version: 2.4\nName: tiny\nVersion: 1.1\nLicense: MIT `for` @all, closes #1 <b>![](x)\n"
    add_tiny(scene.index, "1.1", files={"PKG-INFO": info, "@all closes #1.c": ""})
    scene.propose()
    [request] = scene.requests()
    assert "MIT 'for' @all" in request.body
    said = re.sub(r"`[^`]*`|<!-- wheelyard: \S+ \S+ -->", "", request.body)
    assert "`" not in said
    assert not re.search(r"[@#<!]", said), said


@pytest.mark.skipif(bool(sandbox.unavailable()), reason="this machine has no user namespaces for us")
def test_an_sdist_that_was_not_tried_beside_the_token_is_told(scene: Scene) -> None:
    """As on most runners; the request's own pipeline has no secret at hand, and tries it."""
    add_tiny(scene.index, "1.1")
    none = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'
    done = scene.run("--propose", before=("unshare", "--user", "--map-root-user", "sh", "-c", none, "sh"))
    assert done.returncode == 17, done.stderr
    said = "Its sdist was not made here, beside a token: the preflight in this request's own pipeline makes it."
    assert said in scene.requests()[0].body.splitlines()
    assert scene.propose()["tiny"]["action"] == "update"
    assert said not in scene.requests()[0].body


def test_what_fails_the_preflight_is_not_proposed_and_said(scene: Scene) -> None:
    recipe = f"""{RECIPE}
[[patch]]
file = "answer.patch"
why = "the answer is another"
status = "Inappropriate [a test]"
"""
    old = sources()["tiny.c"]
    lines = difflib.unified_diff(
        old.splitlines(keepends=True), old.replace("42", "43").splitlines(keepends=True), "a/tiny.c", "b/tiny.c"
    )
    scene.settle(recipe, answer_patch="".join(lines))
    add_tiny(scene.index, "1.1", files={"tiny.c": "/* all new */\n"})
    told = scene.propose()["tiny"]
    assert told["action"] == "blocked"
    assert "recipes/tiny/recipe.toml:4" in told["text"]
    assert scene.requests() == []
    # From now on the quick check says so, too, until the recipe changes.
    assert "blocked" in scene.run().stdout
    scene.settle(recipe.replace('why = "', 'versions = "<1.1"\nwhy = "'), answer_patch="".join(lines))
    assert scene.propose()["tiny"]["action"] == "open"
    assert "`answer.patch` is not applied to 1.1 any more: its versions are <1.1" in scene.requests()[0].body


def test_no_more_than_the_limit_are_open_and_one_failure_stops_nobody(scene: Scene) -> None:
    for name in ("alpha", "beta", "gamma", "broken"):
        folder = scene.root / "recipes" / name
        folder.mkdir()
        (folder / "recipe.toml").write_text("")
        scene.index.add(name, IndexFile(f"{name}-1.0.tar.gz", sdist()), IndexFile(f"{name}-1.0-{RISCV}.whl", b""))
    scene.index.fault("/simple/broken/", Fault(status=404))
    told = scene.propose("--limit", "2")
    assert {name: each["action"] for name, each in told.items()} == {"alpha": "open", "beta": "open", "gamma": "held"}
    scene.index.heal()
    scene.index.fault("/simple/gamma/", Fault(body=b"{", content_type="text/plain"))
    told = scene.propose(code=18)
    assert {name: each["action"] for name, each in told.items()} == {"alpha": "keep", "beta": "keep", "broken": "open"}


def test_a_forge_that_breaks_in_the_middle_is_finished_by_the_next_run(scene: Scene) -> None:
    from support.gitlab import Fault as Broken

    add_tiny(scene.index, "1.1")
    scene.place.fault(Broken("status", method="POST", path=scene.place.create, status=502, times=100))
    done = scene.run("--propose")
    assert done.returncode in {17, 18, 60, 70}, done.stderr
    assert "Traceback" not in done.stderr
    scene.place.heal()
    assert scene.propose()["tiny"]["action"] in {"open", "update", "keep"}
    assert len(scene.requests()) == 1


def test_it_must_be_said_where_proposals_go_and_by_whom(scene: Scene) -> None:
    asked = len(scene.index.requests)
    done = scene.run("--propose", token="")
    assert done.returncode == 62
    assert len(scene.index.requests) == asked, "told at once"
    assert f"{scene.place.policy.variable} is not set" in done.stderr
    (scene.root / "pyproject.toml").write_text(POLICY)
    done = scene.run("--propose")
    assert done.returncode == 4
    assert "[tool.wheelyard.change-requests]" in done.stderr
    assert scene.run("--limit", "1").returncode == 2
