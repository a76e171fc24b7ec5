"""The pins: what the locks hold, and how they are refreshed, whole or not at all."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from support.wheels import WheelSpec

ROOT = Path(__file__).parents[3]
IMAGE = "src/wheelyard/images/definitions/requirements"
STEMS = ("ci/requirements", "ci/requirements-dev", "ci/requirements-docs", IMAGE)


def requirements(text: str) -> dict[str, Requirement]:
    """What people write: requirements by canonical name."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    found = [Requirement(line) for line in lines if line and not line.startswith("-")]
    return {canonicalize_name(each.name): each for each in found}


def pinned(stem: str) -> dict[str, str]:
    lines = (ROOT / f"{stem}.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split(" ")[0].split("==") for line in lines if "==" in line and not line.startswith(" "))


@pytest.mark.parametrize("stem", STEMS)
def test_a_lock_holds_versions_and_hashes_and_nothing_else(stem: str) -> None:
    # pip's hash-checking mode: every requirement is pinned with == and has a hash.
    text = (ROOT / f"{stem}.txt").read_text(encoding="utf-8")
    assert "://" not in text
    assert " @ " not in text
    for line in text.splitlines():
        head = re.fullmatch(r"[a-z0-9-]+==[0-9][\w.!+]*( ; [\w .'\"<>=!()]+)? \\", line)
        assert head or re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}( \\)?", line), line


@pytest.mark.parametrize("stem", STEMS)
def test_what_is_asked_for_is_pinned(stem: str) -> None:
    pins = pinned(stem)
    for name, requirement in requirements((ROOT / f"{stem}.in").read_text(encoding="utf-8")).items():
        assert requirement.specifier.contains(pins[name], prereleases=True), requirement


def test_every_dependency_of_the_tool_is_pinned_and_explained() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = requirements("\n".join([*project["project"]["dependencies"], *project["build-system"]["requires"]]))
    asked = requirements((ROOT / "ci/requirements.in").read_text(encoding="utf-8"))
    assert {name: str(each.specifier) for name, each in wanted.items()} == {
        name: str(each.specifier) for name, each in asked.items()
    }
    page = (ROOT / "docs/explanation/dependencies.md").read_text(encoding="utf-8").partition("## Development")[0]
    explained = {canonicalize_name(name) for name in re.findall(r"(?m)^\| ([\w-]+) \|", page)} - {"package"}
    assert explained == set(wanted)


def test_every_tool_of_development_is_explained() -> None:
    page = (ROOT / "docs/explanation/dependencies.md").read_text(encoding="utf-8").partition("## Development")[2]
    asked = [(ROOT / f"ci/requirements-{group}.in").read_text(encoding="utf-8") for group in ("dev", "docs")]
    for name in requirements("".join(asked)):
        assert re.search(rf"\b{re.escape(name)}\b", page), f"{name} has no reason in docs/explanation/dependencies.md"


def test_pipelines_name_no_version_of_a_tool() -> None:
    """What builds wheels is pinned in the project's files; pipelines pin their actions, by commit, and no more."""
    pipelines = [ROOT / ".gitlab-ci.yml", *ROOT.glob("ci/gitlab/*"), *ROOT.glob(".github/**/*.yml")]
    pipelines += ROOT.glob("ci/actions/**/*.yml")
    assert len(pipelines) > 9
    for file in pipelines:
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"\b(pip|pipx|uvx?) |\w==\s*v?\d|cibuildwheel|auditwheel|quay\.io|manylinux", text), file
        for used in re.findall(r"uses: *(\S+)", text):
            assert used.startswith("./") or re.search(r"@[0-9a-f]{40}\Z", used), (file, used)


def test_one_version_for_tool_and_development() -> None:
    tool, dev = pinned("ci/requirements"), pinned("ci/requirements-dev")
    assert {name: dev[name] for name in tool.keys() & dev.keys()} == {
        name: tool[name] for name in tool.keys() & dev.keys()
    }


# ------------------------------------------------------------------- refreshing

SUITES = """
[base]
packages = ["alpha"]
[extra]
[suite.trixie]
locked = true
gcc = "14"
interpreters = ["cp313"]
packages = []
"""


class Site:
    """A project with the script in it, and the wheels that uv may choose from; real uv, no network."""

    def __init__(self, root: Path) -> None:
        self.root, self.wheels = root, root / "wheels"
        (root / "ci").mkdir()
        shutil.copy(ROOT / "ci/pins.py", root / "ci")
        for stem, text in zip(
            STEMS, ("alpha>=1\n", "-c requirements.txt\nalpha\nbeta\n", "beta\n", "beta\n"), strict=True
        ):
            file = root / f"{stem}.in"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"# why\n{text}")
        self.suites('[suite.forky]\ngcc = "16"\n')
        self.release("alpha", "1.0")
        self.release("beta", "2.0")

    def suites(self, text: str) -> None:
        (self.root / IMAGE).with_name("images.toml").write_text(text)

    def release(self, name: str, version: str) -> None:
        spec = WheelSpec(name=name, version=version, python="py3", abi="none", platform="any", elf=None)
        spec.write(self.wheels)

    def pins(self, *words: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
        env = {key: value for key, value in os.environ.items() if not key.startswith(("UV_", "PIP_"))}
        config = self.root / "uv.toml"
        config.write_text(f'no-index = true\nfind-links = ["{self.wheels}"]\noffline = true\n')
        env |= {"UV_CONFIG_FILE": str(config), "UV_CACHE_DIR": str(self.root / "cache")}
        env |= {} if path is None else {"PATH": path}
        return subprocess.run(
            [sys.executable, "ci/pins.py", *words], cwd=self.root, env=env, capture_output=True, text=True, check=False
        )

    def locks(self) -> dict[str, str]:
        return {stem: (self.root / f"{stem}.txt").read_text() for stem in STEMS if (self.root / f"{stem}.txt").exists()}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def table(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()[2:] if line.startswith(("ci/", "src/"))]


def test_locks_are_written_and_then_stand(site: Site) -> None:
    done = site.pins()
    assert done.returncode == 0, done.stderr
    assert table(done.stdout) == [
        ["ci/requirements.txt", "alpha", "-", "1.0"],
        ["ci/requirements-dev.txt", "alpha", "-", "1.0"],
        ["ci/requirements-dev.txt", "beta", "-", "2.0"],
        ["ci/requirements-docs.txt", "beta", "-", "2.0"],
        [f"{IMAGE}.txt", "beta", "-", "2.0"],
    ]
    locks = site.locks()
    assert re.fullmatch(r"alpha==1\.0 \\\n    --hash=sha256:[0-9a-f]{64}\n", locks["ci/requirements"])
    assert str(site.root) not in "".join(locks.values())
    again = site.pins()
    assert (again.returncode, again.stdout) == (0, "every pin is the newest\n")
    assert site.locks() == locks


def test_check_tells_and_writes_nothing(site: Site) -> None:
    site.pins()
    before = site.locks()
    site.release("alpha", "1.1")
    done = site.pins("--check")
    assert done.returncode == 1
    assert ["ci/requirements.txt", "alpha", "1.0", "1.1"] in table(done.stdout)
    assert site.locks() == before
    assert site.pins().returncode == 0
    assert "alpha==1.1" in site.locks()["ci/requirements-dev"]  # bound by the tool's new pin
    assert site.pins("--check").returncode == 0


def test_when_one_cannot_be_resolved_none_is_written(site: Site) -> None:
    site.pins()
    before = site.locks()
    site.release("alpha", "1.1")
    (site.root / f"{IMAGE}.in").write_text("gamma\n")
    done = site.pins()
    assert done.returncode == 70
    assert f"{IMAGE}.in" in done.stderr
    assert "gamma" in done.stderr
    assert "Traceback" not in done.stderr
    assert site.locks() == before


def test_when_debian_packages_cannot_be_resolved_none_is_written(site: Site) -> None:
    site.pins()
    before = site.locks()
    site.release("alpha", "1.1")
    site.suites(SUITES)
    done = site.pins(path="")
    assert done.returncode == 72
    assert "mmdebstrap" in done.stderr
    assert "Traceback" not in done.stderr
    assert site.locks() == before


def test_debian_packages_are_shown_with_their_groups(tmp_path: Path) -> None:
    path = "trixie.lock"
    shown = runpy.run_path(str(ROOT / "ci/pins.py"))["changes"]
    text = (ROOT / IMAGE).with_name(path).read_text()
    version = re.search(r"/bash_(\S+)_riscv64\.deb", text)
    assert version
    newer = text.replace(f"/bash_{version[1]}_", f"/bash_{version[1]}.1_")
    (tmp_path / path).write_text(text)
    assert shown(tmp_path, {path: text}) == []
    assert shown(tmp_path, {path: newer}) == [(path, "bash ; base", version[1], f"{version[1]}.1")]


def test_an_address_never_gets_in(site: Site) -> None:
    wheel = next(site.wheels.glob("alpha-*.whl"))
    (site.root / "ci/requirements.in").write_text(f"alpha @ {wheel.as_uri()}\n")
    done = site.pins()
    assert done.returncode == 72
    assert "ci/requirements.txt:1: is not a version with its hashes" in done.stderr
    assert site.locks() == {}


def test_other_words_are_not_guessed(site: Site) -> None:
    done = site.pins("--chek")
    assert (done.returncode, site.locks()) == (2, {})
