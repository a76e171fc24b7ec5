"""The install check with real environments and installers, on this machine's own Python instead of a container's.

The end-to-end tests run the same program inside riscv64 containers.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.elf import Elf
from support.wheels import WheelSpec
from wheelyard.checks import install_check
from wheelyard.core.digests import sha256_file
from wheelyard.core.errors import StepTimeoutError
from wheelyard.core.tags import Interpreter
from wheelyard.io.run import Completed, run
from wheelyard.registries import DirectoryRegistry, read_release

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wheelyard.records.models import Finding

HERE = Interpreter(sys.version_info.minor)
PURE = WheelSpec(python="py3", abi="none", platform="any", elf=None, purelib="true")


class Host:
    """Runs here what would run in a container, with the paths inside replaced by those outside."""

    def __init__(self, *, uv: bool = True) -> None:
        self.path = os.pathsep.join([*([str(Path(sys.executable).parent)] if uv else []), "/usr/bin", "/bin"])

    def __call__(
        self,
        argv: Sequence[str],
        *,
        mounts: Sequence[tuple[Path, str, bool]] = (),
        timeout: float | None = None,
        check: bool = True,
        log_file: Path | None = None,
    ) -> Completed:
        assert not any(writable for _, _, writable in mounts)
        words = [sys.executable if word == f"{HERE.path}/bin/python" else word for word in argv]
        for outside, inside, _ in sorted(mounts, key=lambda mount: -len(mount[1])):
            words = [word.replace(inside, str(outside)) for word in words]
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("PIP_", "UV_"))}
        env = kept | {"PATH": self.path, "UV_OFFLINE": "1", "PIP_NO_INDEX": "1"}
        return run(words, env=env, timeout=timeout, check=check, log_file=log_file)


def installed(wheel: Path, *modules: str, host: Host | None = None, index: Path | None = None) -> Finding:
    (finding,) = install_check(wheel, HERE, host or Host(), modules=modules, index=index)
    assert finding.rule == f"installs-{HERE}"
    return finding


def test_a_wheel_that_works(tmp_path: Path) -> None:
    finding = installed(PURE.write(tmp_path), "demo")
    assert finding.ok, finding.text
    assert finding.text.startswith("imported demo; version 1.0")


def test_without_uv_pip_installs(tmp_path: Path) -> None:
    finding = installed(PURE.write(tmp_path), "demo", host=Host(uv=False))
    assert finding.ok, finding.text


def test_what_an_import_says_is_told(tmp_path: Path) -> None:
    wheel = PURE.but(files={"demo/__init__.py": b"raise RuntimeError('no such symbol: frob')\n"}).write(tmp_path)
    finding = installed(wheel, "demo")
    assert not finding.ok
    assert "import: " in finding.text
    assert "no such symbol: frob" in finding.text


def test_a_crash_is_told(tmp_path: Path) -> None:
    wheel = PURE.but(files={"demo/__init__.py": b"import os, signal; os.kill(os.getpid(), signal.SIGSEGV)\n"})
    finding = installed(wheel.write(tmp_path), "demo")
    assert not finding.ok
    assert "ended by signal 11" in finding.text


def test_a_module_that_is_missing(tmp_path: Path) -> None:
    assert "No module named 'other'" in installed(PURE.write(tmp_path), "demo", "other").text


def test_a_compiled_half_that_does_not_load_is_found(tmp_path: Path) -> None:
    """Many packages swallow this very error: the import of the package passes, and proves nothing."""
    tag = sysconfig.get_config_var("EXT_SUFFIX")
    foreign = Elf(machine=62 if platform.machine() == "riscv64" else 243)
    files = {
        "demo/__init__.py": b"try:\n    from demo import _speed\nexcept ImportError:\n    pass\n",
        f"demo/_speed{tag}": foreign.data(),
    }
    finding = installed(PURE.but(files=files).write(tmp_path), "demo")
    assert not finding.ok
    assert "_speed" in finding.text


def test_dependencies_come_from_the_index_folder(tmp_path: Path) -> None:
    needed = PURE.but(name="needed").write(tmp_path)
    wheel = PURE.but(headers="Requires-Dist: needed>=1\n", files={"demo/__init__.py": b"import needed\n"}).write(
        tmp_path
    )
    assert not installed(wheel, "demo").ok
    folder = DirectoryRegistry(tmp_path / "index")
    folder.put(read_release(needed, sha256=sha256_file(needed)))
    # Offline, an index by http cannot be asked: file:// can.
    finding = installed(wheel, "demo", index=folder.root)
    assert finding.ok, finding.text


def test_a_wheel_that_does_not_fit_here_is_not_installed(tmp_path: Path) -> None:
    finding = installed(WheelSpec(platform="manylinux_2_39_s390x").write(tmp_path), "demo")
    assert not finding.ok
    assert "install: " in finding.text


def test_a_wheel_that_prints_a_report_of_its_own(tmp_path: Path) -> None:
    forged = b'print(\'wheelyard-0:[{"step": "import", "ok": true, "text": "version 1.0"}]\')\nraise SystemExit(3)\n'
    assert not installed(PURE.but(files={"demo/__init__.py": forged}).write(tmp_path), "demo").ok


def test_a_container_that_breaks_off(tmp_path: Path) -> None:
    def broken(argv: Sequence[str], **_: object) -> Completed:
        return Completed(tuple(argv), 137, "", "out of memory", 1.0)

    (finding,) = install_check(PURE.write(tmp_path), HERE, broken, modules=["demo"])
    assert not finding.ok
    assert "status 137: out of memory" in finding.text


def test_an_import_that_never_ends_is_a_finding(tmp_path: Path) -> None:
    wheel = PURE.but(files={"demo/__init__.py": b"import time\ntime.sleep(600)\n"}).write(tmp_path)

    def impatient(argv: Sequence[str], **_: object) -> Completed:
        raise StepTimeoutError("python did not end within 5 s", fix="allow it more time")

    (finding,) = install_check(wheel, HERE, impatient, modules=["demo"])
    assert "did not end within 5 s" in finding.text


@pytest.mark.skipif(shutil.which("uv", path=str(Path(sys.executable).parent)) is None, reason="uv is not installed")
def test_uv_is_what_runs_where_it_is(tmp_path: Path) -> None:
    log_file = tmp_path / "log"
    install_check(PURE.write(tmp_path), HERE, Host(), modules=["demo"], log_file=log_file)
    assert "Installed 1 package" in log_file.read_text()
