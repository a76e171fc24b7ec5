"""What we say that pip takes is what pip takes: many requirements, one run of the real one."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from packaging.requirements import Requirement

from support.index import IndexFile, IndexServer
from support.installers import environment
from support.offers import Offer, facts, wheel_bytes
from wheelyard.core.tags import Interpreter
from wheelyard.index.installer_choice import Availability, judge

if TYPE_CHECKING:
    from pathlib import Path

CP313 = Interpreter(13)
NATIVE = ("cp313-cp313-manylinux_2_39_riscv64", "cp38-abi3-manylinux_2_31_riscv64", "py3-none-manylinux_2_39_riscv64")
OTHERS = ("py3-none-any", "cp313-cp313-manylinux_2_17_x86_64", "cp312-cp312-manylinux_2_39_riscv64")
VERSIONS = ("0.9", "1.0", "1.0.post1", "1.5rc1", "2.0", "2.1.dev3", "1!0.1")
ASKED = ("", ">=1", "==1.0", "==1.*", "!=2.0", "<2", ">=1.5rc1", "===2.0", "~=1.0", "==2.0", ">=2.1.dev1", "<=1!0.1")
Case = tuple[Requirement, tuple[Offer, ...], tuple[str, ...]]


def cases(count: int, seed: int) -> list[Case]:
    """Make up requirements, what is public, and what is ours; the same for the same seed."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    made = []
    for number in range(count):
        name = f"demo{number}"
        offers = tuple(
            Offer(
                version,
                tuple(chance.sample(NATIVE + OTHERS, chance.randint(0, 2))),
                chance.random() < 0.5,
                chance.choice(["", "", ">=3.9", ">=3.14", "<3.13"]),
                yanked=chance.random() < 0.25,
            )
            for version in chance.sample(VERSIONS, chance.randint(1, 4))
        )
        offers = tuple(offer for offer in offers if offer.wheels or offer.sdist)
        ours = tuple(
            f"{name}-{version}-{chance.choice(NATIVE)}.whl" for version in chance.sample(VERSIONS, chance.randint(0, 2))
        )
        made.append((Requirement(f"{name}{chance.choice(ASKED)}"), offers, ours))
    return made


@pytest.fixture
def two(request: pytest.FixtureRequest) -> Any:
    """The public index, and ours."""
    with IndexServer() as public, IndexServer() as own:
        yield public, own


def pip(public: str, own: str, words: list[str], tmp_path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--report", "-", "--ignore-installed"),
            *("--no-deps", "--no-build-isolation", "--no-cache-dir", "--disable-pip-version-check"),
            *("--target", str(tmp_path / "site"), "--python-version", "3.13"),
            *("--platform", "manylinux_2_39_riscv64", "--platform", "manylinux_2_31_riscv64"),
            *("--prefer-binary", "--index-url", public, "--extra-index-url", own, *words),
        ],
        env=environment(tmp_path) | {"PYTHONWARNINGS": "ignore", "PIP_NO_INPUT": "1", "HOME": os.fspath(tmp_path)},
        check=False,
        capture_output=True,
        text=True,
    )


def serve(two: tuple[IndexServer, IndexServer], chosen: list[Case]) -> None:
    public, own = two
    for requirement, offers, ours in chosen:
        files = [file for offer in offers for file in offer.files(requirement.name)]
        public.add(requirement.name, *files)
        own.add(requirement.name, *(IndexFile(file, wheel_bytes(file)) for file in ours))


def judged(case: Case) -> Availability:
    requirement, offers, ours = case
    return judge(requirement, facts(requirement.name, offers), ours, CP313, glibc=(2, 39))


def taken(item: dict[str, Any], own: IndexServer) -> tuple[str, bool, bool]:
    """Return version, whether it is a wheel, and whether it can only be ours."""
    url = item["download_info"]["url"]
    return item["metadata"]["version"], url.endswith(".whl"), url.startswith(own.root)


def test_pip_takes_what_we_say(two: tuple[IndexServer, IndexServer], tmp_path: Path) -> None:
    chosen = [case for case in cases(150, seed=4) if judged(case).kind != "none"]
    assert {judged(case).kind for case in chosen} == {"wheel", "pure", "ours", "sdist"}
    serve(two, chosen)
    done = pip(two[0].url, two[1].url, [str(requirement) for requirement, _, _ in chosen], tmp_path)
    assert done.returncode == 0, done.stderr
    report = {item["metadata"]["name"]: item for item in json.loads(done.stdout)["install"]}
    for case in chosen:
        found = judged(case)
        version, is_wheel, is_own = taken(report[case[0].name], two[1])
        assert (str(found.version), found.installs) == (version, is_wheel), case
        # Of one version that both have, pip takes the one with the better tags, and we name the public one.
        both = found.kind == "wheel" and any(f"-{found.version}-" in file for file in case[2])
        assert both or (found.kind == "ours") == is_own, case


@pytest.mark.parametrize("number", range(4))
def test_pip_takes_nothing_where_we_say_so(number: int, two: tuple[IndexServer, IndexServer], tmp_path: Path) -> None:
    case = [case for case in cases(300, seed=7) if judged(case).kind == "none"][number * 5]
    serve(two, [case])
    done = pip(two[0].url, two[1].url, [str(case[0])], tmp_path)
    assert done.returncode != 0, case
    assert "No matching distribution found" in done.stderr
