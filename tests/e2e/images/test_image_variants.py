"""The compiler of this machine gives what the emulated one gives; two makers of one image make it once."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from wheelyard import images
from wheelyard.core.values import Image, ImageChoice
from wheelyard.io import engine

if TYPE_CHECKING:
    from pathlib import Path

POLICY = "manylinux_2_39_riscv64"
SOURCE = """
#include <cmath>
#include <map>
#include <string>
#include <vector>
template <class T> struct Table {
    std::map<std::string, std::vector<T>> rows;
    T sum() const {
        T all{};
        for (auto& row : rows) for (auto& value : row.second) all += std::sqrt(value);
        return all;
    }
};
double sum(const Table<double>& table) { return table.sum(); }
int third(std::vector<int>& values) { try { return values.at(3); } catch (...) { return -1; } }
"""
SCRIPT = """
cd /tmp
for options in "-O2 -g" "-O3 -fPIC" "-Os -fno-exceptions -fpermissive" "-O2 -flto -ffat-lto-objects -frandom-seed=1"; do
    g++ $options -c /source.cc -o a.o 2>/dev/null || echo "$options does not compile"
    sha256sum <a.o
done
g++ -O2 -fPIC -shared /source.cc -o a.so
sha256sum <a.so
gcc -dumpfullversion
"""


def compiled(image: Image, source: Path) -> list[str]:
    done = engine.run_in(image.reference, ["bash", "-euc", SCRIPT], mounts=[(source, "/source.cc", False)], timeout=600)
    return done.stdout.splitlines()


@pytest.mark.parametrize("suite", ["trixie"])
def test_objects_are_the_emulated_compilers(suite: str, tmp_path: Path) -> None:
    source = tmp_path / "source.cc"
    source.write_text(SOURCE)
    fast, emulated = (
        images.ensure(images.resolve(ImageChoice.parse(f"local:{suite}{variant}"), POLICY))
        for variant in ("", "+emulated")
    )
    assert fast.reference != emulated.reference
    assert compiled(fast, source) == compiled(emulated, source)


def test_of_two_makers_one_waits_and_reuses() -> None:
    choice = ImageChoice.parse("local:trixie+emulated+yaml")
    known = images.resolve(choice, POLICY)
    if known.digest:
        images.remove(known.reference)
    code = (
        "from wheelyard.core.values import ImageChoice\n"
        "from wheelyard.io import log\nfrom wheelyard import images as image\n"
        f"log.setup()\nprint(image.ensure(image.resolve(ImageChoice.parse({str(choice)!r}), {POLICY!r})).digest)"
    )
    makers = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    outcomes = [maker.communicate(timeout=550) for maker in makers]
    assert [maker.returncode for maker in makers] == [0, 0]
    assert len({digest for digest, _ in outcomes}) == 1
    assert sorted("waiting for another run" in said for _, said in outcomes) == [False, True]
    assert sorted("writing layers" in said for _, said in outcomes) == [False, True]
    images.remove(known.reference)
