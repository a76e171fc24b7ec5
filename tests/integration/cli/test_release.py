"""``ci/release.py`` in a copy of the project: dry, written, and installed as people install a tool."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from support.pages import ROOT

if TYPE_CHECKING:
    from pathlib import Path

VERSION = "99.1.0"
INIT = "src/wheelyard/__init__.py"


def run(*command: str, cwd: Path, check: bool = False, **env: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "VIRTUAL_ENV"))}
    return subprocess.run(
        command, cwd=cwd, env=inherited | env, capture_output=True, text=True, check=check, timeout=600
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file() and not name.startswith(("tests/", "packages/")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    (folder / "changelog.d/speed.feature.md").write_text("Everything is faster.\n", encoding="utf-8")
    commit(folder)
    return folder


def commit(folder: Path) -> None:
    run("git", "init", "--quiet", cwd=folder, check=True)
    run("git", "add", "--all", cwd=folder, check=True)
    author = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    run("git", *author, "commit", "--quiet", "--allow-empty", "-m", "project: start", cwd=folder, check=True)


def release(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return run(sys.executable, "ci/release.py", *words, cwd=folder)


def status(folder: Path) -> str:
    return run("git", "status", "--porcelain", cwd=folder, check=True).stdout


def test_a_dry_run_checks_everything_and_writes_nothing(project: Path) -> None:
    result = release(project, VERSION)
    assert result.returncode == 0, result.stderr
    assert re.search(rf"(?m)^## {VERSION} \(\d{{4}}-\d\d-\d\d\)$", result.stdout)
    assert "- Everything is faster." in result.stdout
    assert f"checked: wheelyard-{VERSION}.tar.gz, wheelyard-{VERSION}-py3-none-any.whl" in result.stdout
    assert "nothing was written" in result.stdout
    assert status(project) == ""
    assert not (project / "dist").exists()


def test_a_release_is_written_and_installs_as_a_tool(project: Path, tmp_path: Path) -> None:
    older = (project / "CHANGELOG.md").read_text(encoding="utf-8") if (project / "CHANGELOG.md").exists() else ""
    result = release(project, VERSION, "--write")
    assert result.returncode == 0, result.stderr
    assert f'__version__ = "{VERSION}"' in (project / INIT).read_text(encoding="utf-8")
    changelog = (project / "CHANGELOG.md").read_text(encoding="utf-8")
    assert changelog.startswith(f"## {VERSION} (")
    assert changelog.endswith(older)
    assert list((project / "changelog.d").glob("*.md")) == []
    assert (project / "changelog.d").is_dir()
    names = sorted(file.name for file in (project / "dist/release").iterdir())
    wheel = f"wheelyard-{VERSION}-py3-none-any.whl"
    assert names == [wheel, f"wheelyard-{VERSION}.tar.gz"]

    again = release(project, VERSION, "--write")
    assert again.returncode == 72
    assert f"{VERSION} is not newer than {VERSION}" in again.stderr

    for installer in ("uv", "pipx"):
        home = tmp_path / installer
        env = {"UV_TOOL_DIR": f"{home}/tools", "UV_TOOL_BIN_DIR": f"{home}/bin"}
        env |= {"PIPX_HOME": f"{home}/tools", "PIPX_BIN_DIR": f"{home}/bin", "PIPX_MAN_DIR": f"{home}/man"}
        words = ("uv", "tool", "install") if installer == "uv" else ("pipx", "install")
        python = getattr(sys, "_base_executable", sys.executable)
        command = (sys.executable, "-m", *words, "--python", python, str(project / "dist/release" / wheel))
        installed = run(*command, cwd=tmp_path, check=False, **env)
        assert installed.returncode == 0, installed.stdout + installed.stderr
        answer = run(f"{home}/bin/wheelyard", "--version", cwd=tmp_path)
        assert answer.stdout.split()[-1] == VERSION, answer.stderr


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        ((), 2, "usage: nox -s release"),
        (("--write",), 2, "usage: nox -s release"),
        (("next",), 72, "'next' is not a version"),
        (("99.1.0rc1",), 72, "write 99.1.0"),
        (("v99.1.0",), 72, "write 99.1.0"),
        (("0.0.1",), 72, "0.0.1 is not newer than"),
    ],
)
def test_a_wrong_version_is_refused(project: Path, words: tuple[str, ...], code: int, complaint: str) -> None:
    result = release(project, *words)
    assert (result.returncode, complaint in result.stderr) == (code, True), result.stderr
    assert status(project) == ""


def test_a_release_needs_a_clean_checkout_and_news(project: Path) -> None:
    (project / "LICENSE").write_text("changed\n")
    result = release(project, VERSION, "--write")
    assert (result.returncode, "not committed" in result.stderr) == (72, True), result.stderr
    for fragment in (project / "changelog.d").glob("*.md"):
        fragment.unlink()
    commit(project)
    result = release(project, VERSION)
    assert (result.returncode, "changelog.d is empty" in result.stderr) == (72, True), result.stderr


def test_a_file_that_the_wheel_lacks_stops_the_release(project: Path) -> None:
    text = (project / "pyproject.toml").read_text(encoding="utf-8")
    changed = text.replace("[tool.flit.sdist]\n", '[tool.flit.sdist]\nexclude = ["src/wheelyard/py.typed"]\n')
    (project / "pyproject.toml").write_text(changed, encoding="utf-8")
    result = release(project, VERSION)
    assert result.returncode == 72
    assert "missing: src/wheelyard/py.typed" in result.stderr
