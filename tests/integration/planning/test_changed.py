"""``plan --changed``: real git repositories, and wheels that are due because their inputs are others."""

from __future__ import annotations

import os
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from support.project import PYPROJECT, make_project
from wheelyard.core.errors import PlanError, ProgramError, RecipeError
from wheelyard.io.cache import cache_dir
from wheelyard.planning.changed import changed, touched
from wheelyard.records import lockfile
from wheelyard.records.models import LockedVersion

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from wheelyard.planning.selection import Selection
    from wheelyard.project.config import Project

SITE = PYPROJECT.replace("[tool.wheelyard]", '[tool.wheelyard]\nimage = "official"')
ALL = ["cp312", "cp313", "cp314", "cp314t"]
PATCH = """\
--- a/x.c
+++ b/x.c
@@ -1 +1 @@
-a
+b
"""


class Repository:
    """A project in git."""

    def __init__(self, root: Path, folder: str = "") -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        self.git("init", "--quiet", "--initial-branch=main")
        self.site = root / folder
        self.site.mkdir(exist_ok=True)
        recipes = {"one/recipe.toml": "", "two/recipe.toml": '[build]\nuses = ["rust"]\n', "_shared/rust.toml": ""}
        self.project: Project = make_project(self.site, recipes, pyproject=SITE)
        for name in ("one", "two"):
            self.pin(name, "1.0")
        self.commit()

    def git(self, *words: str) -> str:
        command = ["git", "-c", "user.name=A", "-c", "user.email=a@example.org", *words]
        done = subprocess.run(command, cwd=self.root, capture_output=True, text=True, check=True, timeout=60)
        return done.stdout.strip()

    def commit(self) -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message=x")
        return self.git("rev-parse", "HEAD")

    def pin(self, name: str, version: str, sha256: str = "1" * 64, **more: object) -> None:
        entry = {"version": version, "file": f"{name}-{version}.tar.gz", "size": 1, "sha256": sha256, **more}
        file = lockfile.lock_file(self.project.packages, name)
        lockfile.pin(file, LockedVersion.model_validate(entry), replace=True)

    def write(self, name: str, text: str) -> None:
        path = self.site / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def due(self, text: str = "HEAD~1..HEAD") -> dict[str, list[str]]:
        return shown(changed(self.project, text))


def shown(found: Selection) -> dict[str, list[str]]:
    assert not found.problems, found.problems
    return {
        f"{each.target.package} {each.target.version}": [
            str(one) for wheel in each.wheels for one in wheel.interpreters
        ]
        for each in found.due
    }


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "site")


def edit(name: str, text: str) -> Callable[[Repository], None]:
    return lambda repository: repository.write(name, text)


def patch(repository: Repository) -> None:
    repository.write("recipes/one/a.patch", PATCH)
    table = '[[patch]]\nfile = "a.patch"\nwhy = "because"\nstatus = "Inappropriate [here only]"\n'
    repository.write("recipes/one/recipe.toml", table)


ONE, BOTH = {"one 1.0": ALL}, {"one 1.0": ALL, "two 1.0": ALL}
CASES: dict[str, tuple[Callable[[Repository], None], dict[str, list[str]]]] = {
    "nothing": (lambda _: None, {}),
    "a setting": (edit("recipes/one/recipe.toml", '[test]\ncommand = "true"\n'), ONE),
    "a comment": (edit("recipes/one/recipe.toml", "# only words\n"), {}),
    "the runner's label": (edit("recipes/one/recipe.toml", '[build]\nrunner = "large"\n'), {}),
    "a note on upstream": (edit("recipes/one/recipe.toml", '[upstream]\nnote = "kept"\n'), {}),
    "a patch": (patch, ONE),
    "a file that nobody names": (edit("recipes/one/notes.txt", "x"), {}),
    "a fragment": (edit("recipes/_shared/rust.toml", '[build.environment]\nA = "1"\n'), {"two 1.0": ALL}),
    "a fragment's comment": (edit("recipes/_shared/rust.toml", "# only words\n"), {}),
    "site defaults": (edit("pyproject.toml", SITE + 'environment = { A = "1" }\n'), BOTH),
    "the boards' instruction set": (
        edit("pyproject.toml", SITE.replace("[tool.wheelyard]", '[tool.wheelyard]\narchitecture-floor = "rv64gcv"')),
        BOTH,
    ),
    "one more interpreter": (
        edit("pyproject.toml", SITE.replace('"cp314t"', '"cp314t", "cp315"')),
        {"one 1.0": ["cp315"], "two 1.0": ["cp315"]},
    ),
    "other policy": (edit("pyproject.toml", SITE.replace("[tool.wheelyard]", "[tool.wheelyard]\nwarn-days = 9")), {}),
    "other tools' tables": (edit("pyproject.toml", SITE + "\n[tool.other]\nx = 1\n"), {}),
    "other files": (edit("README.md", "x"), {}),
    "a new pin": (lambda repository: repository.pin("one", "2.0"), {"one 2.0": ALL}),
    "an old version's pin": (lambda repository: repository.pin("one", "0.9"), {"one 0.9": ALL}),
    "other bytes of the same version": (lambda repository: repository.pin("one", "1.0", "2" * 64), ONE),
    "what upstream ships": (lambda repository: repository.pin("one", "1.0", ships=("cp312-cp312",)), {}),
}


@pytest.mark.parametrize("case", CASES)
def test_a_wheel_is_due_when_its_inputs_are_others(repository: Repository, case: str) -> None:
    change, expected = CASES[case]
    change(repository)
    repository.commit()
    assert repository.due() == expected


def test_a_patch_that_is_edited_is_told_by_its_bytes(repository: Repository) -> None:
    patch(repository)
    repository.commit()
    repository.write("recipes/one/a.patch", PATCH.replace("+b", "+c"))
    repository.commit()
    assert repository.due() == ONE


def test_of_older_versions_only_what_is_pinned_anew_is_due(repository: Repository) -> None:
    repository.pin("one", "0.9")
    repository.commit()
    repository.write("recipes/one/recipe.toml", '[test]\ncommand = "true"\n')
    repository.commit()
    assert repository.due() == ONE
    assert set(repository.due("HEAD~2..HEAD")) == {"one 1.0", "one 0.9"}


def test_a_new_package_is_due_whole_and_one_that_is_gone_is_not(repository: Repository) -> None:
    repository.write("recipes/three/recipe.toml", "")
    repository.pin("three", "1.0")
    (repository.site / "recipes/one/recipe.toml").unlink()
    repository.commit()
    assert repository.due() == {"three 1.0": ALL}
    assert changed(repository.project, "HEAD~1..HEAD").due[0].why == "new"


def test_a_recipe_without_a_pin_is_told(repository: Repository) -> None:
    repository.write("recipes/three/recipe.toml", "")
    repository.commit()
    assert changed(repository.project, "HEAD~1..HEAD").left_out == (
        ("three", "", "no version is pinned: commit its lock.toml with the recipe"),
    )


def test_a_retired_package_is_left_out(repository: Repository) -> None:
    file = lockfile.lock_file(repository.project.packages, "one")
    lockfile.write_lock(file, lockfile.read_lock(file).model_copy(update={"retired": "1.0"}))
    repository.write("recipes/one/recipe.toml", '[test]\ncommand = "true"\n')
    repository.commit()
    assert repository.due() == {}


def test_what_was_broken_before_is_due_and_what_is_broken_now_is_told(repository: Repository) -> None:
    repository.write("recipes/one/recipe.toml", "x = 1\n")
    repository.commit()
    (problem,) = changed(repository.project, "HEAD~1..HEAD").problems
    assert "recipes/one/recipe.toml:1" in str(problem)
    repository.write("recipes/one/recipe.toml", "")
    repository.commit()
    assert repository.due() == ONE


def test_three_dots_start_where_branches_parted(repository: Repository) -> None:
    repository.git("checkout", "--quiet", "-b", "branch")
    repository.write("recipes/one/recipe.toml", '[test]\ncommand = "true"\n')
    repository.commit()
    repository.git("checkout", "--quiet", "main")
    repository.write("recipes/two/recipe.toml", '[test]\ncommand = "true"\n')
    repository.commit()
    assert repository.due("main...branch") == ONE
    assert repository.due("main..branch") == BOTH


def test_the_checkout_does_not_count(repository: Repository) -> None:
    repository.write("recipes/one/recipe.toml", '[test]\ncommand = "true"\n')
    assert repository.due("HEAD") == {}
    repository.commit()
    (repository.site / "recipes/one/recipe.toml").unlink()
    assert repository.due("HEAD~1") == ONE
    assert repository.git("status", "--porcelain") == "D recipes/one/recipe.toml"  # the index is untouched


def test_a_project_below_the_repositorys_top(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "site", "wheels")
    repository.write("recipes/one/recipe.toml", '[test]\ncommand = "true"\n')
    repository.commit()
    assert repository.due() == ONE
    (tmp_path / "site/recipes/one").mkdir(parents=True)
    (tmp_path / "site/recipes/one/recipe.toml").touch()  # not the project's
    repository.commit()
    assert repository.due() == {}


def test_before_the_project_was_there_nothing_was_built(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "site", "wheels")
    first = repository.git("commit-tree", "-m", "x", "4b825dc642cb6eb9a060e54bf8d69288fbee4904")
    assert repository.due(f"{first}..HEAD") == BOTH
    with pytest.raises(PlanError, match="there is no wheelyard project in"):
        repository.due(f"HEAD..{first}")


# ------------------------------------------------------------------- hostile


@pytest.mark.parametrize(
    "text",
    ["--output=evil", "--upload-pack=touch evil", "nowhere..HEAD", "HEAD..nowhere", "$(touch evil)", "a\x1b[2Jb"],
)
def test_a_name_that_is_no_commit_is_refused(repository: Repository, text: str) -> None:
    with pytest.raises(PlanError) as raised:
        changed(repository.project, text)
    assert "is no commit that is here" in raised.value.what
    assert "\x1b" not in str(raised.value)
    assert not list(repository.root.rglob("evil"))


def test_a_branch_may_have_any_name_that_git_allows(repository: Repository) -> None:
    repository.write("recipes/one/recipe.toml", '[test]\ncommand = "true"\n')
    repository.commit()
    name = "$(touch${IFS}evil);'\"&|"
    repository.git("branch", name, "HEAD~1")
    assert repository.due(f"{name}..HEAD") == ONE
    assert not list(repository.root.rglob("evil"))


def test_links_lead_nowhere(repository: Repository, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "recipe.toml").write_text('[test]\ncommand = "s3cret"\n')
    (repository.site / "recipes/evil").symlink_to(secret)
    (repository.site / "recipes/one/recipe.toml").unlink()
    (repository.site / "recipes/one/recipe.toml").symlink_to(secret / "recipe.toml")
    repository.commit()
    found = changed(repository.project, "HEAD~1..HEAD")
    assert not found.due
    assert all("s3cret" not in str(problem) for problem in found.problems)
    assert len(found.problems) == 1  # a link's text is no recipe


def test_nothing_is_left_behind(repository: Repository) -> None:
    repository.write("recipes/one/recipe.toml", '[test]\ncommand = "true"\n')
    repository.commit()
    before = set(cache_dir("work").iterdir())
    assert repository.due() == ONE
    assert set(cache_dir("work").iterdir()) <= before


def test_outside_of_git_it_is_said(tmp_path: Path) -> None:
    with pytest.raises(ProgramError, match="this is no git repository"):
        changed(make_project(tmp_path, {}), "HEAD")


@pytest.mark.parametrize("where", ["recipe", "fragment", "version", "policy"])
def test_no_folder_that_a_commit_names_is_followed(repository: Repository, tmp_path: Path, where: str) -> None:
    pipe = tmp_path / "source/pipe"
    pipe.parent.mkdir()
    os.mkfifo(pipe)  # whoever reads it waits
    named = f'path = "{pipe.parent}"\n'
    match where:
        case "recipe":
            repository.write("recipes/one/recipe.toml", f"[source]\n{named}")
        case "fragment":
            repository.write("recipes/_shared/rust.toml", f"[source]\n{named}")
            repository.write("recipes/one/recipe.toml", '[build]\nuses = ["rust"]\n')
        case "version":
            repository.write("recipes/one/recipe.toml", f'[[version]]\nmatch = ">=1"\n[version.source]\n{named}')
        case "policy":
            repository.write("pyproject.toml", f"{SITE}\n[tool.wheelyard.defaults.source]\n{named}")
    repository.write("recipes/two/recipe.toml", '[build]\nneeds = ["one"]\n')
    repository.pin("two", "1.1")
    repository.write("recipes/unpinned/recipe.toml", f"[source]\n{named}")  # its version would be looked up
    repository.commit()
    found = changed(repository.project, "HEAD~1..HEAD")
    assert {each.target.package for each in found.due} == ({"two"} if where != "policy" else set())
    assert {type(each) for each in found.problems} == {RecipeError}
    assert "unpinned" not in {package for package, _ in touched(found)}
    assert "[source] path" in str(found.problems[0])
    assert re.search(r"\.toml:\d+\Z", found.problems[0].where or "")
