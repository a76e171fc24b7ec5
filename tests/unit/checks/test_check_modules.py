"""Which modules of a wheel are imported to show that it works."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.wheels import WheelSpec
from wheelyard.checks import modules_to_import
from wheelyard.checks._modules import modules_of
from wheelyard.core.errors import CheckError
from wheelyard.project.recipe import Check

if TYPE_CHECKING:
    from pathlib import Path

SO = "cpython-313-riscv64-linux-gnu.so"


@pytest.mark.parametrize(
    ("paths", "modules"),
    [
        (["demo/__init__.py", "demo/sub/__init__.py", "demo/x.py"], ("demo",)),
        # cffi: a package, and a private extension module beside it
        (["cffi/__init__.py", f"_cffi_backend.{SO}"], ("_cffi_backend", "cffi")),
        (["single.py", "fast.abi3.so", f"free.{SO.replace('313', '314t')}"], ("fast", "free", "single")),
        ([f"demo/__init__.{SO}"], ("demo",)),
        (["demo-1.0.data/platlib/demo/__init__.py", "demo-1.0.data/purelib/other.py"], ("demo", "other")),
        # a namespace package (PEP 420): importing `google` alone would show nothing
        (["google/pb/__init__.py", "google/pb/x/__init__.py", f"google/_upb.{SO}"], ("google._upb", "google.pb")),
        (["google/deep/er/__init__.py"], ()),
        (["demo/__init__.py", "demo.libs/libz.so.1", "demo.libs/libq.so"], ("demo",)),
        (["demo/__init__.py", "libshared.so", "liblzma.abi3.so"], ("demo", "liblzma")),
        (["demo/__init__.py", "tests/__init__.py", "tests/test_a.py", "docs/conf.py"], ("demo",)),
        (["demo/__init__.py", "conftest.py", "__main__.py", "setup.py", "not-a-module.py", "x.txt"], ("demo",)),
        (["demo/__init__.py", "demo-1.0.dist-info/METADATA", "demo-1.0.data/scripts/run.py"], ("demo",)),
        (["demo/__init__.pyi", "demo/py.typed"], ()),
        (["__pycache__/single.cpython-313.pyc", "single.py"], ("single",)),
    ],
)  # fmt: skip
def test_modules(paths: list[str], modules: tuple[str, ...]) -> None:
    assert modules_of(paths) == modules


def test_the_recipe_may_say_otherwise(tmp_path: Path) -> None:
    wheel = WheelSpec().write(tmp_path)
    assert modules_to_import(wheel, Check()) == ("demo",)
    assert modules_to_import(wheel, Check.model_validate({"imports": ["demo.core"]})) == ("demo.core",)
    assert modules_to_import(wheel, Check.model_validate({"imports": []})) == ()


def test_what_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / WheelSpec().file).write_bytes(b"junk")
    with pytest.raises(CheckError, match="not a whole zip"):
        modules_to_import(tmp_path / WheelSpec().file, Check())
