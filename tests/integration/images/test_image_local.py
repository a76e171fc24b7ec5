"""The local image, really made here: what is in it, that it is reused, and what is left of one that is not finished.

The first run of these makes the image (a minute or two, and some 270 MB of downloads); later ones find it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from wheelyard import images
from wheelyard.core.errors import DiskError, ImageError
from wheelyard.core.values import Image, ImageChoice
from wheelyard.images.local import build, debian, definition
from wheelyard.io import cache, engine

POLICY = "manylinux_2_39_riscv64"
# Nobody else needs this variant, so it is not there, and is never finished here.
UNFINISHED = "local:trixie+emulated+desktop+fortran"


@pytest.fixture(scope="module")
def image() -> Image:
    return images.ensure(images.resolve(ImageChoice.parse("local"), POLICY))


def inside(image: Image, script: str) -> str:
    return engine.run_in(image.reference, ["bash", "-euc", script], timeout=300).stdout


def test_it_is_what_its_name_and_labels_say(image: Image) -> None:
    made = definition.load(image.choice, POLICY)
    found = engine.inspect(image.reference)
    assert found is not None
    assert found.platform == "linux/riscv64"
    assert found.digest == image.digest
    assert found.labels["wheelyard.image.definition"] == made.digest
    assert made.locked, "trixie.lock does not fit images.toml: run `nox -s pins`"
    assert found.labels["wheelyard.image.packages"] == made.locked.digest, "not made from the lock; is it stale?"
    assert image.reference.endswith(made.digest[:12])
    gcc = inside(image, "gcc -dumpfullversion").strip()
    assert gcc == image.gcc == found.labels["wheelyard.image.gcc"]
    assert inside(image, "ldd --version | head -1").split()[-1] == image.glibc
    assert image.reference in {info.reference for info in images.list_images()}


def test_it_is_reused_without_asking_anybody(image: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    resolved = images.resolve(ImageChoice.parse("local"), POLICY)
    assert resolved == image
    assert images.ensure(resolved) == image
    assert images.resolve(ImageChoice.parse("local"), POLICY, offline=True).reference == image.reference


def test_it_has_what_cibuildwheel_and_packages_count_on(image: Image) -> None:
    # What official manylinux images carry (pypa/manylinux, docker/build_scripts), and what cibuildwheel calls.
    names = "autoconf automake aclocal bison bash bzip2 cc c++ cmake curl file flex g++ gcc git libtool m4 make patch"
    names += " patchelf perl pkg-config swig tar unzip which xz zip"
    names += " abi3audit auditwheel nox pipx uv"
    assert inside(image, f"for name in {names}; do command -v $name >/dev/null || echo $name; done") == ""
    out = inside(
        image,
        "echo $AUDITWHEEL_PLAT $AUDITWHEEL_POLICY $AUDITWHEEL_ARCH; readlink -f /opt/python/cp39-cp39;"
        "PATH=/opt/python/cp313-cp313/bin:$PATH; which python pip; pip --version; id -un; python -m build --version",
    )
    lines = out.splitlines()
    assert lines[0] == f"{POLICY} manylinux_2_39 riscv64"
    assert lines[1] == "/opt/python/cp313-cp313"
    assert lines[2:4] == ["/opt/python/cp313-cp313/bin/python", "/opt/python/cp313-cp313/bin/pip"]
    assert "/opt/python/cp313-cp313/lib/python3.13/site-packages/pip" in lines[4]
    assert lines[5] == "root"


def test_an_interpreter_starts_from_bytecode(image: Image) -> None:
    out = inside(
        image, "cd /tmp && python3 -v -c 'import json.decoder' 2>&1 | grep -c 'could not create\\|^# wrote' || true"
    )
    assert out.strip() == "0"


def test_the_compiler_is_this_machines_and_its_output_riscv64(image: Image) -> None:
    script = (
        "cd /tmp; echo '#include <vector>\nint f(std::vector<int>& v) { return v.at(1); }' >a.cc;"
        "g++ -O2 -flto -fPIC -shared a.cc -o a.so; readelf -h a.so | grep Machine;"
        "readelf -h $(gcc -print-prog-name=cc1plus) | grep Machine"
    )
    first, second = inside(image, script).splitlines()
    assert "RISC-V" in first
    assert "X86-64" in second


def test_environments_can_be_made_and_packages_removed(image: Image) -> None:
    out = inside(
        image,
        "PATH=/opt/python/cp313-cp313/bin:$PATH; python -m venv --without-pip /root/v;"
        "/root/v/bin/python -c 'import sys; print(sys.prefix)'; pip uninstall --yes packaging | tail -1",
    )
    assert out.splitlines()[0] == "/root/v"
    assert "Successfully uninstalled packaging" in out


def test_without_space_nothing_is_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "_NEED_STORAGE", 10**18)
    with pytest.raises(DiskError, match="not enough space") as caught:
        images.ensure(images.resolve(ImageChoice.parse(UNFINISHED), POLICY))
    assert "GB needed" in str(caught.value)


def test_a_mirror_that_does_not_answer_is_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setattr(debian, "_ATTEMPTS", 1)
    with pytest.raises(ImageError, match="cannot be resolved") as caught:
        debian.solve("trixie", "riscv64", [["bash"]], tmp_path)
    assert caught.value.fix
    assert any("127.0.0.1" in detail for detail in caught.value.details)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_an_unfinished_image_leaves_nothing(number: signal.Signals) -> None:
    work = cache.cache_dir("work")
    before = set(work.iterdir())
    code = (
        "from wheelyard import images as image\nfrom wheelyard.core.values import ImageChoice\n"
        f"image.ensure(image.resolve(ImageChoice.parse({UNFINISHED!r}), {POLICY!r}))"
    )
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL) as child:

        def mine() -> set[Path]:
            return {path for path in work.iterdir() if f"-{child.pid}." in path.name}

        deadline = time.monotonic() + 300
        while not any(list(path.glob("*/layer.tar")) for path in mine()):
            assert child.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        os.kill(child.pid, number)
        child.wait(60)
        deadline = time.monotonic() + 60
        while mine() and time.monotonic() < deadline:
            time.sleep(0.1)
        assert mine() == set()
    assert engine.inspect(definition.load(ImageChoice.parse(UNFINISHED), POLICY).reference) is None
    assert "wheelyard/work" not in Path("/proc/mounts").read_text()
    assert {path for path in before if path.exists()} == before
