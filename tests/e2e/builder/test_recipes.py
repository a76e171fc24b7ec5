"""Every shipped recipe: built, tested by upstream's own tests, checked, recorded, indexed, installed under riscv64."""

from __future__ import annotations

import json
import re
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from support.built_recipes import RECIPES
from wheelyard.core.tags import WheelName
from wheelyard.io import engine

if TYPE_CHECKING:
    from pathlib import Path

    from support.built_recipes import BuiltRecipes

VENV = "/root/venv"  # inside the container
PASSED = r"\b\d+ passed\b|\bOK( \([^()]*\))?$"  # how pytest and unittest close a run without failures

# What a person would do with the wheel, beyond importing it.
USES = {
    "cffi": "import cffi; f = cffi.FFI(); f.cdef('int abs(int);'); assert f.dlopen(None).abs(-3) == 3",
    "frozenlist": "from frozenlist import FrozenList, PyFrozenList; assert FrozenList is not PyFrozenList",
    "kiwisolver": "from kiwisolver import Solver, Variable; s = Solver(); x = Variable('x'); s.addConstraint(x >= 3); "
    "s.updateVariables(); assert x.value() == 3",
    "markupsafe": "import markupsafe._speedups; from markupsafe import escape; assert escape('<') == '&lt;'",
    "orjson": "import orjson; assert orjson.loads(orjson.dumps({'a': [1, None]})) == {'a': [1, None]}",
    "psutil": "import os, psutil; assert psutil.Process().pid == os.getpid()",
    "pynacl": "from nacl.secret import SecretBox; b = SecretBox(bytes(32)); assert b.decrypt(b.encrypt(b'x')) == b'x'",
    "pyyaml": "import yaml; assert yaml.load('a: 1', Loader=yaml.CSafeLoader) == {'a': 1}",
    "ujson": "import ujson; assert ujson.dumps([1, 2.5]) == '[1,2.5]'",
    "uvloop": "import asyncio, uvloop; assert uvloop.run(asyncio.sleep(0, 7)) == 7",
    "zstandard": "import zstandard as z; assert z.decompress(z.compress(b'x' * 99)) == b'x' * 99; "
    "assert z.backend == 'cext'",
}


def record_of(yard: BuiltRecipes, package: str) -> tuple[Path, dict[str, Any]]:
    wheels = list((yard.root / "dist" / package).glob("*/*.whl"))
    assert len(wheels) == 1, yard.results[package].stderr[-3000:]
    return wheels[0], json.loads(wheels[0].with_name(f"{wheels[0].name}.json").read_text())


@pytest.mark.parametrize("package", RECIPES)
def test_built_tested_and_recorded(yard: BuiltRecipes, package: str) -> None:
    done = yard.results[package]
    assert done.returncode == 0, done.stderr[-3000:]
    wheel, record = record_of(yard, package)
    assert {tag.rpartition("_")[2] for tag in WheelName.parse(wheel.name).platforms} == {"riscv64"}
    assert record["tests"]["ran"]
    assert re.search(PASSED, record["tests"]["summary"]), record["tests"]
    assert record["verdict"] == "passed"
    assert record["image"]["kind"] == "local"
    assert record["image"]["digest"].startswith("sha256:")
    verdict = json.loads((wheel.parent / "verdict.json").read_text())
    rules = {finding["rule"] for item in verdict["wheels"] for finding in item["findings"]}
    assert rules > {"record", "machine", "architecture", "glibc", "libraries", "licence", "installs-cp313"}
    # The summary tells what was built, where, how long it took, what was checked, and how to install it.
    for word in (wheel.name, str(wheel.parent), "Testing wheel", "checked (", "pip install"):
        assert word in done.stdout


@pytest.mark.parametrize("package", RECIPES)
def test_the_same_inputs_build_nothing(yard: BuiltRecipes, package: str) -> None:
    wheel, _ = record_of(yard, package)
    before = wheel.stat()
    again = yard.run("build", package, "--image", "local")
    assert again.returncode == 0, again.stderr
    assert "nothing to build" in again.stdout
    assert (wheel.stat().st_mtime_ns, wheel.stat().st_ino) == (before.st_mtime_ns, before.st_ino)


def test_grafted_libraries_are_inside(yard: BuiltRecipes) -> None:
    for package, library in (("cffi", "libffi"), ("pyyaml", "libyaml")):
        wheel, _ = record_of(yard, package)
        with zipfile.ZipFile(wheel) as archive:
            assert any(f".libs/{library}" in name for name in archive.namelist()), archive.namelist()


def test_everything_is_in_the_index(yard: BuiltRecipes) -> None:
    assert yard.results["publish"].returncode == 0, yard.results["publish"].stderr
    assert sorted(folder.name for folder in (yard.root / "dist/index/files").iterdir()) == sorted(RECIPES)


@pytest.mark.parametrize("client", ["pip", "uv"])
def test_installed_from_the_index_inside_riscv64(yard: BuiltRecipes, client: str) -> None:
    image = record_of(yard, "markupsafe")[1]["image"]["reference"]
    python = "/opt/python/cp313-cp313/bin/python"
    index = "file:///index/simple/"
    pins = [f"{name}=={WheelName.parse(record_of(yard, name)[0].name).version}" for name in RECIPES]
    install = {
        "pip": [f"{VENV}/bin/python", "-m", "pip", "install", "--only-binary=:all:", "--extra-index-url", index, *pins],
        "uv": ["uv", "pip", "install", f"--python={VENV}", "--only-binary=:all:", "--index", index, *pins],
    }[client]
    # uv takes a package from the first index that has it, pip the best over all: both must find ours.
    uses = "\n".join(USES[name] for name in RECIPES)
    program = (
        "import platform, subprocess, sys\n"
        "assert platform.machine() == 'riscv64'\n"
        f"subprocess.run([{python!r}, '-m', 'venv', {VENV!r}], check=True)\n"
        f"subprocess.run({install!r}, check=True)\n"
        f"subprocess.run([{VENV + '/bin/python'!r}, '-I', '-c', {uses!r}], check=True)\n"
        "print('installed and used')\n"
    )
    mounts, env = engine.ca_mounts()
    done = engine.run_in(
        image,
        [python, "-I", "-c", program],
        mounts=[(yard.root / "dist/index", "/index", False)],
        env=env,
        network=True,
        create_args=mounts,
        timeout=900,
    )
    assert "installed and used" in done.stdout


def test_every_recipe_has_a_use() -> None:
    assert sorted(USES) == sorted(RECIPES)
