"""pip and uv as people use them against an index: without this machine's settings, for riscv64."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

UV = Path(sys.executable).with_name("uv")


def environment(tmp_path: Path) -> dict[str, str]:
    """Ours without the index settings of this machine, and with a cache of its own."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PIP_", "UV_"))}
    no_proxy = {"no_proxy": "127.0.0.1", "NO_PROXY": "127.0.0.1"}
    return (
        kept
        | no_proxy
        | {
            "PIP_CONFIG_FILE": os.devnull,
            "UV_CACHE_DIR": str(tmp_path / "uv-cache"),
            "UV_NO_CONFIG": "1",
            "UV_PYTHON_DOWNLOADS": "never",
        }
    )


def pip_download(index: str, what: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(sys.executable, "-m", "pip", "download", "--no-cache-dir", "--disable-pip-version-check"),
            *("--dest", tmp_path / "got", "--only-binary=:all:", "--platform", "manylinux_2_39_riscv64"),
            *("--python-version", "313", "--index-url", index, what),
        ],
        env=environment(tmp_path),
        check=False,
        capture_output=True,
        text=True,
    )


def uv_compile(index: str, requirement: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(UV, "pip", "compile", "-", "--quiet", "--generate-hashes", "--no-header", "--python-version", "3.13"),
            *("--only-binary", ":all:", "--python-platform", "riscv64-unknown-linux", "--index-url", index),
            *("--python", sys.executable),
        ],
        env=environment(tmp_path),
        check=False,
        capture_output=True,
        text=True,
        input=requirement + "\n",
    )


def pip_install(index: str, what: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """Install into ``site``, for riscv64."""
    return subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--no-cache-dir", "--disable-pip-version-check"),
            *("--target", tmp_path / "site", "--only-binary=:all:", "--platform", "manylinux_2_39_riscv64"),
            *("--python-version", "313", "--index-url", index, what),
        ],
        env=environment(tmp_path),
        check=False,
        capture_output=True,
        text=True,
    )


def uv_install(index: str, what: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """Install into ``site``, for riscv64."""
    return subprocess.run(
        [
            *(UV, "pip", "install", "--target", tmp_path / "site", "--python", sys.executable, "--no-cache"),
            *("--only-binary", ":all:", "--python-platform", "riscv64-unknown-linux", "--python-version", "3.13"),
            *("--index-url", index, *what.split()),
        ],
        env=environment(tmp_path),
        check=False,
        capture_output=True,
        text=True,
    )
