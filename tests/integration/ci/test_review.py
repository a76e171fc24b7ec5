"""``review``: real git repositories, good and bad changes, and what a pipeline gets of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.pages import ROOT, commands
from support.project import PYPROJECT, make_project
from wheelyard.records import lockfile
from wheelyard.records.models import LockedVersion
from wheelyard.records.releases import RELEASES, ReleasedFile, record

if TYPE_CHECKING:
    from collections.abc import Callable

SITE = PYPROJECT.replace("[tool.wheelyard]", '[tool.wheelyard]\nimage = "official"')
WHEEL = "one-1.0-cp313-cp313-manylinux_2_39_riscv64.whl"


class Change:
    """A project in git, and a branch with a change."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir()
        self.git("init", "--quiet", "--initial-branch=main")
        project = make_project(root, {"one/recipe.toml": "", "two/recipe.toml": ""}, pyproject=SITE)
        self.packages = project.packages
        self.pin("one", "1.0")
        self.release("1" * 64)
        self.commit("begin")
        self.git("switch", "--quiet", "--create", "change")

    def git(self, *words: str) -> str:
        command = ["git", "-c", "user.name=A", "-c", "user.email=a@example.org", *words]
        done = subprocess.run(command, cwd=self.root, capture_output=True, text=True, check=True, timeout=60)
        return done.stdout.strip()

    def commit(self, message: str = "A change") -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--cleanup=verbatim", f"--message={message}")

    def pin(self, name: str, version: str, sha256: str = "1" * 64) -> None:
        entry = {"version": version, "file": f"{name}-{version}.tar.gz", "size": 1, "sha256": sha256}
        lockfile.pin(lockfile.lock_file(self.packages, name), LockedVersion.model_validate(entry), replace=True)

    def release(self, sha256: str) -> None:
        entry = {"file": WHEEL, "where": "gitlab", "sha256": sha256, "size": 1, "tags": ("cp313-cp313-x",)}
        record(RELEASES.path(self.packages, "one"), [ReleasedFile.model_validate(entry)])

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def review(
        self, *words: str, commits: str = "main..change", **env: str
    ) -> tuple[subprocess.CompletedProcess[str], list[tuple[str, str, str]]]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("GITHUB_", "GIT_"))}
        done = subprocess.run(
            [sys.executable, "-m", "wheelyard", "review", "--json", *words, "--", commits],
            cwd=self.root,
            env=kept | env,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        told = json.loads(done.stdout)["findings"] if done.stdout else []
        return done, [(each["kind"], each["where"], each["text"]) for each in told]


@pytest.fixture
def change(tmp_path: Path) -> Change:
    return Change(tmp_path / "site")


def test_a_good_change_passes(change: Change) -> None:
    change.write("recipes/one/recipe.toml", '[test]\ncommand = "true"\n')
    change.pin("one", "1.1")
    change.commit("one 1.1: upstream's tests run\n\nIt reverts merging of the two: do or do not, merge sort stays.")
    done, findings = change.review()
    assert (done.returncode, findings) == (0, []), done.stderr
    assert json.loads(done.stdout)["commits"] == 1


@pytest.mark.parametrize(
    ("message", "says"),
    [
        ("fixup! A change", "part of another commit"),
        ("squash! A change", "part of another commit"),
        ("amend! A change", "part of another commit"),
        ("REVERTME: a newer runner", "contains 'REVERTME'"),
        ("Try it\n\nDO NOT MERGE", "contains 'DO NOT MERGE'"),
        ("Try it (do-not-merge)", "contains 'do-not-merge'"),
        ("Try it [DO_NOT_MERGE]\x1b[31m", "contains 'DO_NOT_MERGE'"),
    ],
)
def test_commits_that_are_not_meant_to_stay(change: Change, message: str, says: str) -> None:
    change.commit("fine")
    change.commit(message)
    change.commit("fine too")
    done, ((kind, where, text),) = change.review()
    assert (done.returncode, kind) == (22, "commit")
    assert where == f"commit {change.git('rev-parse', 'HEAD~1')[:12]}"
    assert says in text
    assert "\x1b" not in done.stdout + done.stderr


def test_only_the_range_is_read(change: Change) -> None:
    change.git("switch", "--quiet", "main")
    change.commit("DO NOT MERGE, on main")
    change.git("switch", "--quiet", "change")
    change.commit()
    assert change.review(commits="main...change")[0].returncode == 0
    assert change.review(commits="main..change")[0].returncode == 0


def patch(status: str) -> Callable[[Change], None]:
    def write(change: Change) -> None:
        change.write("recipes/one/a.patch", "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n")
        change.write("recipes/one/recipe.toml", f'[[patch]]\nfile = "a.patch"\nwhy = "because"\n{status}\n')

    return write


def both(change: Change) -> None:
    change.write("recipes/one/recipe.toml", "[tests]\n")
    change.write("recipes/two/recipe.toml", "\n\n[build]\nfrontend = 3\nrunnr = 'x'\n")


def moved(change: Change) -> None:
    change.pin("one", "1.0", "2" * 64)


def handmade(change: Change) -> None:
    path = lockfile.lock_file(change.packages, "one")
    path.write_text(path.read_text() + "\n# by hand\n")


def replaced(change: Change) -> None:
    change.release("2" * 64)


def linked(change: Change) -> None:
    (change.root / "recipes/three").mkdir()
    (change.root / "recipes/three/recipe.toml").symlink_to("/etc/passwd")


LOCK = """\
schema = "wheelyard/lock"
layout = 1
[[version]]
version = "{}"
file = "one-1.0.tar.gz"
sha256 = "1111111111111111111111111111111111111111111111111111111111111111"
"""
VERSIONS = """\
[upstream]
versions = "<{0}"
[[version]]
match = "!={0}"
[[patch]]
file = "a.patch"
why = "because"
versions = "<{0}"
status = "Issue [https://x]"
"""
CASES: dict[str, tuple[Callable[[Change], None], list[tuple[str, str, str]]]] = {
    "a patch without a status": (patch(""), [("recipe", "recipes/one/recipe.toml:1", "needs 'status'")]),
    "a patch with a status that says nothing": (
        patch('status = "Pending"'),
        [("recipe", "recipes/one/recipe.toml:4", "patch")],
    ),
    "every mistake of every recipe": (
        both,
        [
            ("recipe", "recipes/one/recipe.toml:1", "did you mean 'test'?"),
            ("recipe", "recipes/two/recipe.toml:4", "frontend"),
            ("recipe", "recipes/two/recipe.toml:5", "did you mean 'runner'?"),
        ],
    ),
    "site configuration": (
        lambda change: change.write("pyproject.toml", SITE.replace('policy = "many', 'policy = "few')),
        [("policy", "pyproject.toml", "tool.wheelyard.policy")],
    ),
    "no project any more": (
        lambda change: change.write("pyproject.toml", ""),
        [("policy", "pyproject.toml", "no wheelyard project")],
    ),
    "a pin that was moved": (moved, [("record", "packages/one/lock.toml", "other bytes under the same name")]),
    "a lock written by hand": (handmade, [("record", "packages/one/lock.toml", "not as wheelyard writes it")]),
    "a lock that is none": (
        lambda change: change.write("packages/one/lock.toml", "schema = 'x'\n"),
        [("record", "packages/one/lock.toml:1", "not a wheelyard/lock file")],
    ),
    "a lock without a recipe": (
        lambda change: change.pin("twoo", "1.0"),
        [("record", "packages/twoo/lock.toml", "did you mean 'two'?")],
    ),
    "a release that was replaced": (replaced, [("record", "packages/one/releases.toml", "another sha256")]),
    "a recipe that nests without end": (
        lambda change: change.write("recipes/one/recipe.toml", f"a = {'[' * 100_000}"),
        [("recipe", "recipes/one/recipe.toml:1", "nested too deeply")],
    ),
    "a recipe whose key has no end": (
        lambda change: change.write("recipes/one/recipe.toml", f"\nx = {{{'a.' * 100_000}a = 1}}"),
        [("recipe", "recipes/one/recipe.toml:2", "more than 100 parts")],
    ),
    "a recipe with a number of thousands of digits": (
        lambda change: change.write("recipes/one/recipe.toml", f"a = {'1' * 5000}"),
        [("recipe", "recipes/one/recipe.toml:1", "Exceeds the limit")],
    ),
    "site configuration that is a number": (
        lambda change: change.write("pyproject.toml", "tool = 3"),
        [("policy", "pyproject.toml", "no wheelyard project")],
    ),
    "a lock of a version in two lines": (
        lambda change: change.write("packages/one/lock.toml", LOCK.format(r"1.0\n")),
        [("record", "packages/one/lock.toml:4", "is not a version")],
    ),
    "a lock of a version of thousands of digits": (
        lambda change: change.write("packages/one/lock.toml", LOCK.format("9" * 5000)),
        [("record", "packages/one/lock.toml:4", "is not a version")],
    ),
    "a lock of a version in another spelling": (
        lambda change: change.write("packages/one/lock.toml", LOCK.format("v1.0")),
        [("record", "packages/one/lock.toml:4", "is not a version")],
    ),
    "versions of thousands of digits": (
        lambda change: change.write("recipes/one/recipe.toml", VERSIONS.format("9" * 5000)),
        [("recipe", f"recipes/one/recipe.toml:{line}", "must be a version specifier") for line in (2, 4, 8)],
    ),
    "releases that nest without end": (
        lambda change: change.write("packages/one/releases.toml", f"a = {'[' * 100_000}"),
        [("record", "packages/one/releases.toml", "nested too deeply")],
    ),
    "a recipe that is a link": (linked, [("recipe", "recipes/three/recipe.toml:1", "not valid TOML")]),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_wrong_with_the_files_is_told_whole(change: Change, name: str) -> None:
    make, wanted = CASES[name]
    make(change)
    change.commit()
    done, findings = change.review()
    assert done.returncode == 22, done.stderr
    assert [(kind, where) for kind, where, _ in findings] == [(kind, where) for kind, where, _ in wanted], findings
    for (_, _, text), (_, _, says) in zip(findings, wanted, strict=True):
        assert says in text
    assert "cache" not in done.stdout


def test_a_pipeline_gets_what_the_description_asks_for(change: Change, tmp_path: Path) -> None:
    change.commit()
    output, triggers = tmp_path / "output", tmp_path / "triggers"
    output.write_text("before=1\n")
    body = "Trigger: one:1.0\nTrigger: TWO:2.0\n\nTrigger: x$(touch${IFS}pwned):1\n`Trigger: one:3`"
    done, findings = change.review("--triggers", str(triggers), WHEELYARD_BODY=body, GITHUB_OUTPUT=str(output))
    assert done.returncode == 22
    assert [where for _, where, _ in findings] == ["description, line 4"]
    assert output.read_text() == "before=1\ntriggers<<WHEELYARD\none==1.0\ntwo==2.0\nWHEELYARD\n"
    assert triggers.read_text() == "one==1.0\ntwo==2.0\n"
    file = tmp_path / "body"
    file.write_text("Trigger: one:1.0\n")
    done, findings = change.review("--triggers", str(triggers), "--body", str(file), WHEELYARD_BODY=body)
    assert (done.returncode, findings, triggers.read_text()) == (0, [], "one==1.0\n")
    done, _ = change.review("--body", str(tmp_path / "no description"))
    assert (done.returncode, "cannot be read" in done.stderr) == (2, True)
    planned = subprocess.run(
        [sys.executable, "-m", "wheelyard", "ci", "plan", "--from", str(triggers), "--format", "table"],
        cwd=change.root,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert planned.returncode == 0, planned.stderr
    assert "one      1.0" in planned.stdout


def test_what_the_change_itself_has_built_is_not_asked_for_again(change: Change) -> None:
    def asked(commits: str = "main..change") -> list[str]:
        done, _ = change.review(commits=commits, WHEELYARD_BODY="Trigger: one:1.0\nTrigger: one:1.1\nTrigger: two:1.0")
        found: list[str] = json.loads(done.stdout)["triggers"]
        return found

    change.pin("one", "1.1")
    change.commit()
    assert asked() == ["one==1.0", "two==1.0"]  # its pin is as it was
    change.git("switch", "--quiet", "main")
    change.pin("two", "1.0")
    change.commit()
    change.git("switch", "--quiet", "change")
    assert asked() == asked("main...change") == ["one==1.0", "two==1.0"]  # only the other branch has that
    change.write("recipes/one/recipe.toml", '[test]\ncommand = "true"\n')
    change.commit()
    assert asked() == ["one==1.0", "two==1.0"]  # of a recipe that changes, the newest version is built
    change.write("recipes/one/recipe.toml", 'skip = "no such key"\n')
    change.commit()
    assert asked() == ["one==1.0", "one==1.1", "two==1.0"]


@pytest.mark.parametrize("recipe", ['[source]\npath = "{}"', '["sourc\\u0065"]\n"p\\u0061th" = "{}"', "what is that?"])
def test_no_source_that_the_change_names_is_followed(change: Change, tmp_path: Path, recipe: str) -> None:
    pipe = tmp_path / "source/pipe"
    pipe.parent.mkdir()
    os.mkfifo(pipe)  # whoever reads it waits
    change.write("recipes/one/recipe.toml", recipe.format(pipe.parent))
    change.pin("two", "1.0")
    change.commit()
    done, _ = change.review(WHEELYARD_BODY="Trigger: two:1.0")
    found = json.loads(done.stdout)
    assert found["triggers"] == []  # the change has it built
    assert done.returncode == 22
    assert [each["where"].partition(":")[0] for each in found["findings"]] == ["recipes/one/recipe.toml"]
    assert "Traceback" not in done.stderr


def test_several_versions_of_one_package_are_planned(change: Change) -> None:
    change.pin("one", "1.1")
    words = ("ci", "plan", "one==1.0", "One==1.1", "--format", "table", "--json")
    done = subprocess.run(
        [sys.executable, "-m", "wheelyard", *words],
        cwd=change.root,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert {job["version"] for job in json.loads(done.stdout)["jobs"]} == {"1.0", "1.1"}


def test_the_commands_of_the_page(change: Change) -> None:
    change.commit("A change")
    change.write("description.md", "Trigger: one:1.0\n")
    shutil.copy(ROOT / "noxfile.py", change.root)
    env = {key: value for key, value in os.environ.items() if not key.startswith(("GITHUB_", "GITLAB_", "NOX"))}
    env["PATH"] = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    texts = [command.text for command in commands("docs/how-to/review.md")]
    assert len(texts) == 4
    for text, says in zip(texts, ("nothing to mend", '"findings": []', "one==1.0", "1 jobs, "), strict=True):
        done = subprocess.run(
            ["bash", "-euc", text], cwd=change.root, env=env, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stderr
        assert says in done.stdout


def test_commits_that_are_not_there(change: Change) -> None:
    done, _ = change.review(commits="--output=x..HEAD")
    assert done.returncode == 20
    assert "no commit that is here" in done.stderr
