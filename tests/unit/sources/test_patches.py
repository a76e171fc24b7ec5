"""Patches of a recipe: chosen by version, applied in order with git, and failures that name their place."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wheelyard.core.digests import sha256_file
from wheelyard.core.errors import PatchError
from wheelyard.core.values import AppliedPatch
from wheelyard.project.recipe import Patch
from wheelyard.sources.patches import Hunk, apply, digest, for_version, hunks

if TYPE_CHECKING:
    from pathlib import Path

STATUS = "Inappropriate [a test]"
LINES = [f"line {number}\n" for number in range(1, 41)]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    (tree / "src").mkdir(parents=True)
    (tree / "src/a.c").write_text("".join(LINES))
    (tree / "b.txt").write_text("b\n")
    return tree


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    folder = tmp_path / "recipe"
    folder.mkdir()
    return folder


def diff(path: str, *changes: tuple[int, str, str]) -> str:
    """Return a diff of a file of LINES; each change is (line, old text, new text)."""
    text = f"diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n"
    for line, old, new in changes:
        around = [f" {LINES[line - 2]}", f"-{old}\n", f"+{new}\n", f" {LINES[line]}"]
        text += f"@@ -{line - 1},3 +{line - 1},3 @@\n" + "".join(around)
    return text


def patch(file: str, versions: str = "") -> Patch:
    return Patch.model_validate({"file": file, "versions": versions, "why": "a test", "status": STATUS})


def where(index: int) -> str:
    return f"recipe.toml:{10 * (index + 1)}"


def test_patches_apply_in_order_each_on_the_one_before(tree: Path, recipe: Path) -> None:
    (recipe / "one.patch").write_text(diff("src/a.c", (5, "line 5", "first")))
    (recipe / "two.patch").write_text(diff("src/a.c", (5, "first", "second")))
    done = apply(tree, [patch("one.patch"), patch("two.patch")], "1.0", folder=recipe, where=where)
    assert (tree / "src/a.c").read_text().splitlines()[4] == "second"
    assert done == tuple(AppliedPatch(name, sha256_file(recipe / name), STATUS) for name in ("one.patch", "two.patch"))


def test_only_the_patches_for_the_version_are_chosen() -> None:
    listed = [patch("all"), patch("old", "<2"), patch("new", ">=2"), patch("pre", ">=3.0a1")]
    assert [p.file for _, p in for_version(listed, "1.9")] == ["all", "old"]
    assert for_version(listed, "3.0rc1") == ((0, listed[0]), (2, listed[2]), (3, listed[3]))


def test_a_failing_patch_names_file_hunk_and_recipe_line(tree: Path, recipe: Path) -> None:
    (recipe / "good.patch").write_text(diff("src/a.c", (30, "line 30", "thirty")))
    (recipe / "bad.patch").write_text(diff("src/a.c", (5, "line 5", "five"), (20, "something else", "twenty")))
    with pytest.raises(PatchError) as caught:
        apply(tree, [patch("good.patch"), patch("bad.patch")], "1.0", folder=recipe, where=where)
    assert caught.value.where == "recipe.toml:20"
    assert caught.value.what == "bad.patch does not apply"
    assert caught.value.details == ("bad.patch:9: hunk 2 does not fit src/a.c at line 19",)
    assert "line 5\n" in (tree / "src/a.c").read_text(), "a patch is applied whole or not at all"


def test_all_files_that_do_not_fit_are_named(tree: Path, recipe: Path) -> None:
    text = diff("src/a.c", (5, "wrong", "x")) + diff("src/gone.c", (5, "line 5", "x"))
    (recipe / "bad.patch").write_text(text)
    with pytest.raises(PatchError) as caught:
        apply(tree, [patch("bad.patch")], "1.0", folder=recipe, where=where)
    assert caught.value.details == (
        "bad.patch:4: hunk 1 does not fit src/a.c at line 4",
        "src/gone.c: No such file or directory",
    )


def test_a_patch_that_upstream_has_by_now_is_recognised(tree: Path, recipe: Path) -> None:
    (recipe / "fix.patch").write_text(diff("src/a.c", (5, "old line", "line 5")))
    with pytest.raises(PatchError) as caught:
        apply(tree, [patch("fix.patch")], "1.0", folder=recipe, where=where)
    assert "already" in caught.value.details[0]
    assert "narrow its 'versions'" in str(caught.value.fix)


@pytest.mark.parametrize("text", ["", "\n", "just words\n", "diff --git a/b.txt b/b.txt\n"])
def test_an_empty_patch_is_an_error(tree: Path, recipe: Path, text: str) -> None:
    (recipe / "empty.patch").write_text(text)
    with pytest.raises(PatchError, match=r"empty or not a patch|changes nothing"):
        apply(tree, [patch("empty.patch")], "1.0", folder=recipe, where=where)


def test_a_patch_that_changes_nothing_is_an_error(tree: Path, recipe: Path) -> None:
    (recipe / "same.patch").write_text("--- a/b.txt\n+++ b/b.txt\n@@ -1 +1 @@\n-b\n+b\n")
    with pytest.raises(PatchError, match="changes nothing"):
        apply(tree, [patch("same.patch")], "1.0", folder=recipe, where=where)


@pytest.mark.parametrize("name", ["../outside.txt", "src/../../outside.txt"])
def test_a_patch_may_not_leave_the_source(tree: Path, recipe: Path, name: str) -> None:
    (tree.parent / "outside.txt").write_text("b\n")
    (recipe / "evil.patch").write_text(f"--- a/{name}\n+++ b/{name}\n@@ -1 +1 @@\n-b\n+evil\n")
    with pytest.raises(PatchError):
        apply(tree, [patch("evil.patch")], "1.0", folder=recipe, where=where)
    assert (tree.parent / "outside.txt").read_text() == "b\n"


def test_a_patch_may_not_write_through_a_link(tree: Path, recipe: Path) -> None:
    (tree.parent / "elsewhere").mkdir()
    (tree / "link").symlink_to("../elsewhere")
    (recipe / "evil.patch").write_text("--- /dev/null\n+++ b/link/new.txt\n@@ -0,0 +1 @@\n+evil\n")
    with pytest.raises(PatchError, match="does not apply"):
        apply(tree, [patch("evil.patch")], "1.0", folder=recipe, where=where)
    assert list((tree.parent / "elsewhere").iterdir()) == []


def test_a_patch_may_not_touch_a_git_folder(tree: Path, recipe: Path) -> None:
    text = "diff --git a/.git/hooks/x b/.git/hooks/x\nnew file mode 100755\n--- /dev/null\n+++ b/.git/hooks/x\n"
    (recipe / "evil.patch").write_text(text + "@@ -0,0 +1 @@\n+evil\n")
    with pytest.raises(PatchError):
        apply(tree, [patch("evil.patch")], "1.0", folder=recipe, where=where)
    assert not (tree / ".git").exists()


def test_missing_patch_files_are_all_named_at_once(tree: Path, recipe: Path) -> None:
    with pytest.raises(PatchError) as caught:
        apply(tree, [patch("one.patch"), patch("two.patch")], "1.0", folder=recipe, where=where)
    assert caught.value.details == ("recipe.toml:10: one.patch", "recipe.toml:20: two.patch")


def test_inside_another_repository_patches_apply_all_the_same(
    tmp_path: Path, recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """git-apply(1) skips, without a word, what lies outside of the current folder of an enclosing repository."""
    subprocess.run(["git", "init", "-q", tmp_path / "checkout"], check=True)
    inside = tmp_path / "checkout/deep/tree"
    inside.mkdir(parents=True)
    (inside / "b.txt").write_text("b\n")
    text = "diff --git a/b.txt b/b.txt\n--- a/b.txt\n+++ b/b.txt\n@@ -1 +1 @@\n-b\n+c\n"
    (recipe / "b.patch").write_text(text)
    subprocess.run(["git", "apply", str(recipe / "b.patch")], cwd=inside, check=True)
    assert (inside / "b.txt").read_text() == "b\n", "the trap is there no more: this test proves nothing"
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "checkout/.git"))
    apply(inside, [patch("b.patch")], "1.0", folder=recipe, where=where)
    assert (inside / "b.txt").read_text() == "c\n"


def test_new_files_modes_renames_and_binary_files_apply(tree: Path, recipe: Path) -> None:
    origin = tree.parent / "origin"
    subprocess.run(["git", "init", "-q", origin], check=True)
    git = ["git", "-C", str(origin), "-c", "user.name=t", "-c", "user.email=t@example.org"]
    (origin / "b.txt").write_text("b\n")
    (origin / "run.sh").write_text("x\n")
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-qm", "x"], check=True)
    (origin / "b.txt").rename(origin / "c ü.txt")
    (origin / "run.sh").chmod(0o755)
    (origin / "bin").write_bytes(bytes(range(256)))
    subprocess.run([*git, "add", "-A"], check=True)
    text = subprocess.run([*git, "diff", "--cached", "--binary", "-M"], check=True, capture_output=True).stdout
    (recipe / "all.patch").write_bytes(text)
    (tree / "run.sh").write_text("x\n")
    apply(tree, [patch("all.patch")], "1.0", folder=recipe, where=where)
    assert (tree / "c ü.txt").read_text() == "b\n"
    assert not (tree / "b.txt").exists()
    assert (tree / "run.sh").stat().st_mode & 0o100
    assert (tree / "bin").read_bytes() == bytes(range(256))


def test_the_digest_follows_bytes_names_and_choice(recipe: Path) -> None:
    (recipe / "a.patch").write_text("a")
    (recipe / "b.patch").write_text("b")
    listed = [patch("a.patch"), patch("b.patch", ">=2")]
    before = digest(listed, "1.0", recipe)
    assert digest(listed, "2.0", recipe) != before
    (recipe / "b.patch").write_text("other")
    assert digest(listed, "1.0", recipe) == before
    (recipe / "a.patch").write_text("other")
    assert digest(listed, "1.0", recipe) != before
    (recipe / "a.patch").unlink()
    with pytest.raises(PatchError, match="missing"):
        digest(listed, "1.0", recipe)


def test_hunks_are_found_whatever_their_lines_look_like() -> None:
    text = (
        "From: somebody\n\n--- a/x.c\t2020-01-01\n+++ b/x.c\n@@ -1,2 +1 @@\n--- a/not-a-header\n+++ b/neither\n-x\n"
        "@@ -9 +8 @@\n-y\n+z\n--- /dev/null\n+++ b/new\n@@ -0,0 +1 @@\n+n\n"
    )
    assert hunks(text) == [Hunk("x.c", 1, 1, 5), Hunk("x.c", 2, 9, 9), Hunk("new", 1, 0, 14)]


@given(st.text())
def test_any_text_has_hunks_or_none(text: str) -> None:
    assert all(hunk.line >= 1 and hunk.number >= 1 for hunk in hunks(text))
