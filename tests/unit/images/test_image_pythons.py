"""Environments written without an interpreter (PEP 405), wheels installed without pip (PEP 427, PEP 376)."""

from __future__ import annotations

import csv
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

from wheelyard.core.errors import ImageError
from wheelyard.core.tags import Interpreter
from wheelyard.images.local.layer import Layer
from wheelyard.images.local.pythons import Environment, Sources

PYTHON = Interpreter(sys.version_info[1])
INFO = "demo-1.0.dist-info"
FILES = {
    "demo/__init__.py": b"def main():\n    print('demo runs')\n",
    "demo/py.typed": b"",
    "demo-1.0.data/scripts/native": b"#!/bin/sh\necho native\n",
    f"{INFO}/METADATA": b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n",
    f"{INFO}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    f"{INFO}/entry_points.txt": b"[console_scripts]\nDemo = demo:main\n\n[other]\nx = y\n",
    f"{INFO}/RECORD": b"",
}


def wheel(folder: Path, files: dict[str, bytes]) -> Path:
    path = folder / "demo-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def test_an_installed_wheel_runs_and_pip_can_remove_it(tmp_path: Path) -> None:
    environment = Environment("env", PYTHON)
    layer = Layer(tmp_path / "layer")
    environment.create(layer)
    environment.install(layer, wheel(tmp_path, FILES))
    layer.close()
    subprocess.run(["tar", "-xf", tmp_path / "layer", "-C", tmp_path], check=True)
    # The image's interpreter is in /usr/bin; here it is this test's.
    root = tmp_path / "env"
    base = Path(sysconfig.get_config_var("BINDIR"))
    config = root / "pyvenv.cfg"
    config.write_text(config.read_text().replace("/usr/bin", str(base)))
    (root / "bin/python").unlink()
    (root / "bin/python").symlink_to(base / f"python{PYTHON.version}")
    python = root / "bin/python"
    script = (root / "bin/Demo").read_text()
    assert script.startswith("#!/env/bin/python\n")
    out = subprocess.run([python, root / "bin/Demo"], capture_output=True, text=True, check=True)
    assert out.stdout == "demo runs\n"
    assert (root / "bin/native").stat().st_mode & 0o111
    pip = [sys.executable, "-m", "pip", "--python", str(python)]
    subprocess.run([*pip, "uninstall", "--yes", "demo"], check=True, capture_output=True)
    left = {path.name for path in root.rglob("*") if path.is_file() and not path.is_symlink()}
    assert left == {"pyvenv.cfg"}


def test_record_names_every_file_once(tmp_path: Path) -> None:
    environment = Environment("env", PYTHON)
    layer = Layer(tmp_path / "layer")
    environment.create(layer)
    before = set(layer.names)
    environment.install(layer, wheel(tmp_path, FILES))
    layer.close()
    with tarfile.open(tmp_path / "layer") as tar:
        record = tar.extractfile(f"{environment.packages}/{INFO}/RECORD")
        assert record is not None
        rows = [row[0] for row in csv.reader(record.read().decode().splitlines())]
        files = {info.name for info in tar if info.isreg() and info.name not in before}
    assert len(rows) == len(set(rows)) == len(files)


@pytest.mark.parametrize(
    "name", ["../../../../outside.py", "demo-1.0.data/scripts/../../../outside", "demo-1.0.data/headers/x.h"]
)
def test_a_wheel_that_reaches_outside_is_refused(tmp_path: Path, name: str) -> None:
    layer = Layer(tmp_path / "layer")
    environment = Environment("env", PYTHON)
    environment.create(layer)
    with pytest.raises(ImageError):
        environment.install(layer, wheel(tmp_path, FILES | {name: b"x"}))


def test_a_wheel_without_record_is_refused(tmp_path: Path) -> None:
    files = {name: data for name, data in FILES.items() if not name.endswith("RECORD")}
    with pytest.raises(ImageError, match="RECORD"):
        Environment("env", PYTHON).install(Layer(tmp_path / "layer"), wheel(tmp_path, files))


def test_only_modules_are_kept_to_be_compiled_with_their_time(tmp_path: Path) -> None:
    sources = Sources(tmp_path)
    for name in ("usr/lib/python3.13/os.py", "usr/lib/python3.13/x.so", "usr/share/x.py"):
        sources.watch(name, 1_700_000_000, b"x = 1\n")
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()] == [
        "usr/lib/python3.13/os.py"
    ]
    assert (tmp_path / "usr/lib/python3.13/os.py").stat().st_mtime == 1_700_000_000
