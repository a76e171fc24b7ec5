"""The front door: `nox -l` as a table of contents, and sessions that pass words and exit codes on."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.project import make_project
from wheelyard.cli.commands import HEADINGS
from wheelyard.records import lockfile
from wheelyard.records.models import LockedVersion

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion

ROOT = Path(__file__).parents[3]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    project = make_project(
        tmp_path,
        {
            "alpha/recipe.toml": "# C over libalpha, version 1.2 or newer. Upstream is slow.\n# More.\n[build]\n",
            "beta/recipe.toml": "",
            "gamma/recipe.toml": "# Rust, crates vendored\n# in the sdist\n",
            "odd/recipe.toml": "[build]\n# not about the package\n",
            "_shared/libalpha.toml": "",
            "_template/recipe.toml": "",
        },
    )
    lockfile.pin(lockfile.lock_file(project.packages, "beta"), LockedVersion(version="1.0", wheels=("cp313-cp313",)))
    shutil.copy(ROOT / "noxfile.py", tmp_path)
    return tmp_path


def nox(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = dict(os.environ) | {"NO_COLOR": "1", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    env = {key: value for key, value in env.items() if not key.startswith("NOX") and key != "FORCE_COLOR"}
    return subprocess.run(
        [sys.executable, "-m", "nox", *words], cwd=folder, env=env, capture_output=True, text=True, check=False
    )


def test_nox_l_reads_like_a_table_of_contents(site: Path, snapshot: SnapshotAssertion) -> None:
    done = nox(site, "-l")
    assert done.returncode == 0, done.stderr
    assert done.stdout.replace(str(site), "<project>") == snapshot


def test_every_recipe_has_its_session() -> None:
    names = set(re.findall(r"(?m)^[*-] (\S+)", nox(ROOT, "-l").stdout))
    recipes = {file.parent.name for file in ROOT.glob("recipes/[!_]*/recipe.toml")}
    assert {name.removeprefix("build-") for name in names if name.startswith("build-")} == recipes
    assert names > {"plan", "doctor", "image", "tests", "unit", "lint", "docs", "bench"}


def test_every_verb_has_its_session() -> None:
    names = set(re.findall(r"(?m)^[*-] (\S+)", nox(ROOT, "-l").stdout))
    assert {verb for verbs in HEADINGS.values() for verb in verbs} - names == {"build"}


def test_a_recipe_adds_one_line_to_the_list(site: Path) -> None:
    before = nox(site, "-l").stdout.splitlines()
    make_project(site, {"more/recipe.toml": ""}, pyproject=(site / "pyproject.toml").read_text())
    assert len(nox(site, "-l").stdout.splitlines()) == len(before) + 1


def test_what_stands_behind_the_dashes_is_passed_on(site: Path) -> None:
    done = nox(site, "-s", "plan", "--", "beta", "--image", "local:forky", "--python", "cp313")
    assert done.returncode == 0, done.stderr
    assert "beta-1.0-cp313-cp313-manylinux_*_riscv64.whl" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["build-beta", "--", "--image", "ubuntu"], "'ubuntu' is not an image"),
        (["plan", "--", "bta"], "did you mean 'beta'?"),
        (["check", "--", "beta"], "there is no wheel to check"),
        (["publish", "--", "--to", "./index"], "nothing is built to publish"),
        (["image", "--", "build", "ubuntu"], "'ubuntu' is not an image"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_failing_verb_fails_its_session(site: Path, words: list[str], said: str) -> None:
    done = nox(site, "-s", *words)
    assert done.returncode != 0
    assert said in done.stdout  # where nox puts both streams of what it runs


def test_ci_runs_what_the_readme_says() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    script = (ROOT / ".ci/run").read_text(encoding="utf-8")
    command = re.search(r"(?m)^exec (.*)$", script)
    assert command
    assert os.access(ROOT / ".ci/run", os.X_OK)
    assert f"\n{command[1]}\n" in readme
