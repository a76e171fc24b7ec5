"""The pages of docs/contributing: each diff applies to the files of today, and the result is typed and correct."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(path for path in (ROOT / "docs/contributing").glob("*.md") if path.name != "index.md")


def diff_of(page: Path) -> str:
    diffs: list[str] = re.findall(r"^```diff\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    (diff,) = diffs
    return diff


def test_there_is_a_page_for_each_extension() -> None:
    assert [page.stem for page in PAGES] == ["ci-fold", "recipe-field", "registry", "source-kind", "wheel-check"]
    index = (ROOT / "docs/contributing/index.md").read_text(encoding="utf-8")
    assert all(f"({page.name})" in index for page in PAGES)


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("changed")
    shutil.copytree(ROOT / "src", root / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", root)
    subprocess.run(["git", "-c", "init.defaultBranch=main", "init", "--quiet", str(root)], check=True, timeout=60)
    return root


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_diff_applies_to_the_files_of_today(page: Path, changed: Path) -> None:
    git = ["git", "-C", str(changed), "apply", "--verbose", "-"]
    applied = subprocess.run(git, input=diff_of(page), capture_output=True, text=True, check=False, timeout=60)
    assert applied.returncode == 0, f"{page.name}: {applied.stderr}"


def test_the_changed_files_are_typed_and_clean(changed: Path) -> None:
    files = [name for page in PAGES for name in re.findall(r"^\+\+\+ b/(\S+)", diff_of(page), re.MULTILINE)]
    for tool in (["mypy", "--cache-dir", str(changed / "cache")], ["ruff", "check"]):
        command = [sys.executable, "-m", *tool, *files]
        checked = subprocess.run(command, cwd=changed, capture_output=True, text=True, check=False, timeout=600)
        assert checked.returncode == 0, checked.stdout
