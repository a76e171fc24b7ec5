"""The Python side of a local image: an environment per interpreter, one of tools, and bytecode.

All of it is written without running anything of the image, so nothing of it is slowed down by emulation.
"""

from __future__ import annotations

import configparser
import csv
import hashlib
import io
import os
import posixpath
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from wheelyard.core.digests import record_digest
from wheelyard.core.errors import ImageError
from wheelyard.images.local.layer import clean_name
from wheelyard.io import cache, log
from wheelyard.io.run import run

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from wheelyard.core.tags import Interpreter
    from wheelyard.images.local.definition import Definition, Pin
    from wheelyard.images.local.layer import Layer

TOOLS = "opt/_internal/tools"
# The glibc floors that riscv64 wheels are tagged with so far; pip needs each one by name.
_PLATFORMS = tuple(f"manylinux_2_{minor}_riscv64" for minor in range(17, 40))


@dataclass(frozen=True)
class Environment:
    """A virtual environment in the image.

    Attributes:
        root: its folder, without the leading slash.
        interpreter: what it runs.
    """

    root: str
    interpreter: Interpreter

    @property
    def packages(self) -> str:
        """The folder that packages go to."""
        return f"{self.root}/lib/python{self.interpreter.version}/site-packages"

    def create(self, layer: Layer) -> None:
        """Write an empty environment as :mod:`venv` does, without running the interpreter (PEP 405)."""
        version = self.interpreter.version
        path = ""
        for part in f"{self.packages}".split("/"):
            path = posixpath.join(path, part)
            layer.folder(path)
        layer.folder(f"{self.root}/bin")
        layer.folder(f"{self.root}/include")
        config = f"home = /usr/bin\ninclude-system-site-packages = false\nexecutable = /usr/bin/python{version}\n"
        layer.file(f"{self.root}/pyvenv.cfg", config.encode())
        layer.link(f"{self.root}/bin/python", f"/usr/bin/python{version}")
        layer.link(f"{self.root}/bin/python3", "python")
        layer.link(f"{self.root}/bin/python{version}", "python")

    def install(self, layer: Layer, wheel: Path) -> None:
        """Add a wheel: its files, its scripts, and a RECORD that lets pip remove it again (PEP 427, PEP 376).

        Raises:
            ImageError: the wheel is not well-formed.
        """
        with zipfile.ZipFile(wheel) as archive:
            names = [info.filename for info in archive.infolist() if not info.is_dir()]
            info = next((posixpath.dirname(name) for name in names if name.endswith(".dist-info/RECORD")), None)
            if info is None:
                raise ImageError(f"{wheel.name} has no RECORD")
            record: list[tuple[str, str, int]] = []
            for name in names:
                if name == f"{info}/RECORD":
                    continue
                target, script = self._target(name, info.removesuffix(".dist-info"))
                mode = 0o755 if script or archive.getinfo(name).external_attr >> 16 & 0o111 else 0o644
                record.append(self._put(layer, target, archive.read(name), mode))
            points = configparser.ConfigParser(delimiters=("=",))
            points.optionxform = str  # type: ignore[assignment,method-assign] # names keep their case
            if f"{info}/entry_points.txt" in names:
                points.read_string(archive.read(f"{info}/entry_points.txt").decode())
        for command, entry in points["console_scripts"].items() if points.has_section("console_scripts") else ():
            record.append(self._put(layer, f"{self.root}/bin/{command}", self._script(entry), 0o755))
        record.append(self._put(layer, f"{self.packages}/{info}/INSTALLER", b"wheelyard\n", 0o644))
        rows = io.StringIO()
        csv.writer(rows, lineterminator="\n").writerows([*record, (f"{info}/RECORD", "", "")])
        layer.file(f"{self.packages}/{info}/RECORD", rows.getvalue().encode())

    def _target(self, name: str, stem: str) -> tuple[str, bool]:
        """Return where a wheel's member goes, and whether it is a script."""
        data = f"{stem}.data/"
        if not name.startswith(data):
            return clean_name(f"{self.packages}/{name}"), False
        scheme, _, rest = name.removeprefix(data).partition("/")
        folders = {"scripts": "bin", "data": "", "purelib": None, "platlib": None}
        if scheme not in folders:
            raise ImageError(f"a wheel puts {name!r} where no image needs it")
        folder = folders[scheme]
        base = self.packages if folder is None else posixpath.join(self.root, folder)
        return clean_name(f"{base}/{rest}"), scheme == "scripts"

    def _put(self, layer: Layer, target: str, data: bytes, mode: int) -> tuple[str, str, int]:
        if not target.startswith(f"{self.root}/"):
            raise ImageError(f"a wheel puts a file outside of its environment: {target!r}")
        parent = posixpath.dirname(target)
        missing = []
        while parent not in layer.names and parent:
            missing.append(parent)
            parent = posixpath.dirname(parent)
        for folder in reversed(missing):
            layer.folder(folder)
        layer.file(target, data, mode=mode)
        digest = record_digest(hashlib.sha256(data).digest())
        return posixpath.relpath(target, self.packages), f"sha256={digest}", len(data)

    def _script(self, entry: str) -> bytes:
        module, _, name = entry.partition("[")[0].strip().partition(":")
        top = name.partition(".")[0]
        return (
            f"#!/{self.root}/bin/python\nimport sys\n\nfrom {module} import {top}\n\n"
            f'if __name__ == "__main__":\n    sys.exit({name}())\n'
        ).encode()


def wheels(definition: Definition, scratch: Path) -> dict[str, Path]:
    """Return a file for each locked wheel, from the cache or through pip (and so through the user's pip settings).

    Raises:
        ProgramError: pip cannot get them, or their hashes are not the locked ones.
    """
    folder = cache.cache_dir("wheels")
    pins = definition.pins()
    if any(_find(folder, pin) is None for pin in pins):
        lock = scratch / "requirements.txt"
        lock.write_text(definition.requirements, encoding="utf-8")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += ["--require-hashes", "--only-binary=:all:", "--implementation=cp", "--dest", str(folder)]
        command += [f"--python-version={definition.interpreters[0].version}", "--requirement", str(lock)]
        command += [f"--platform={name}" for name in _PLATFORMS]
        log.info(f"downloading {len(pins)} Python tools for the image")
        run(command, timeout=900, fix="check the network and pip's settings (pip config list)")
    path_by_name = {pin.name: path for pin in pins if (path := _find(folder, pin)) is not None}
    missing = sorted(pin.name for pin in pins if pin.name not in path_by_name)
    if missing:
        raise ImageError("pip gave no wheel that the lock knows", details=missing, fix="run the same command again")
    return path_by_name


def _find(folder: Path, pin: Pin) -> Path | None:
    for path in sorted(folder.glob("*.whl")):
        try:
            name, version, _, tags = parse_wheel_filename(path.name)
        except InvalidWheelFilename:
            continue
        if name != canonicalize_name(pin.name) or str(version) != pin.version:
            continue
        if not any(tag.platform == "any" or tag.platform.endswith("_riscv64") for tag in tags):
            continue
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() in pin.hashes:
                return path
    return None


def populate(layer: Layer, definition: Definition, path_by_name: Mapping[str, Path]) -> None:
    """Write every interpreter's environment, the environment of tools, and the commands on PATH."""
    for folder in ("opt", "opt/python", "opt/_internal", "usr/local", "usr/local/bin"):
        layer.folder(folder)
    for interpreter in definition.interpreters:
        environment = Environment(interpreter.path.removeprefix("/"), interpreter)
        environment.create(layer)
        for name in definition.interpreter_wheels:
            environment.install(layer, path_by_name[name])
        # By its plain name, too, it is the one that packages can be installed into, not Debian's own.
        start = f'#!/bin/sh\nexec {interpreter.path}/bin/python "$@"\n'
        layer.file(f"usr/local/bin/python{interpreter.version}", start.encode(), mode=0o755)
    first = definition.interpreters[0]
    tools = Environment(TOOLS, first)
    tools.create(layer)
    for wheel in path_by_name.values():
        tools.install(layer, wheel)
    for command in definition.commands:
        layer.link(f"usr/local/bin/{command}", f"/{TOOLS}/bin/{command}")
    # cibuildwheel's helper interpreter has this fixed path, whatever it really is.
    if not any(interpreter.minor == 9 for interpreter in definition.interpreters):  # noqa: PLR2004
        layer.link("opt/python/cp39-cp39", posixpath.basename(first.path))


_COMPILE = """
import compileall, os, sys
top = sys.argv[1]
for start in sys.argv[2:]:
    for folder, _, names in os.walk(os.path.join(top, start)):
        for name in names:
            if name.endswith(".py"):
                compileall.compile_file(os.path.join(folder, name), stripdir=top, prependdir="/", quiet=2)
"""


class Sources:
    """The Python modules that go into an image, kept aside to be compiled."""

    def __init__(self, tree: Path) -> None:
        self.tree = tree

    def watch(self, name: str, mtime: int, data: bytes | memoryview) -> None:
        """Keep a file of a layer if it is a module, with its time: bytecode is valid for one source time (PEP 552)."""
        if name.endswith(".py") and name.startswith(("usr/lib/python3.", "opt/")):
            path = self.tree / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            os.utime(path, (mtime, mtime))

    def add_package(self, data: bytes) -> None:
        """Keep the modules of a Debian package."""
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            for info in archive:
                if info.isreg() and (file := archive.extractfile(info)) is not None:
                    self.watch(clean_name(info.name), int(info.mtime), file.read())

    def compile(self, definition: Definition, host: Path) -> None:
        """Compile all modules with interpreters of this machine, which start ten times faster than emulated ones.

        Modules that do not compile (templates, tests of the parser) are left alone.

        Args:
            definition: of the image.
            host: where the same interpreters for this machine were unpacked (:func:`unpack`).

        Raises:
            ProgramError: an interpreter does not start.
        """
        libraries = host / "usr/lib/x86_64-linux-gnu"
        for interpreter in definition.interpreters:
            version = f"python{interpreter.version}"
            starts = [f"usr/lib/{version}", interpreter.path.removeprefix("/")]
            starts += [TOOLS] if interpreter == definition.interpreters[0] else []
            python: list[str | Path] = [
                libraries / "ld-linux-x86-64.so.2",
                "--library-path",
                libraries,
                host / "usr/bin" / version,
            ]
            environment = {"PYTHONHOME": str(host / "usr"), "PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8"}
            run([*python, "-S", "-s", "-c", _COMPILE, self.tree, *starts], env=environment, timeout=600)

    def add_bytecode(self, layer: Layer) -> None:
        """Add what was compiled."""
        for path in sorted(self.tree.rglob("*.pyc")):
            name = path.relative_to(self.tree).as_posix()
            layer.folder(posixpath.dirname(name))
            layer.file(name, path.read_bytes())


def unpack(data: bytes, target: Path) -> None:
    """Unpack the files of a Debian package that an interpreter needs to start, and the links beside them."""
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for info in archive:
            name = clean_name(info.name)
            path = target / name
            if not name.startswith(("usr/lib/", "usr/bin/python")) or "/gconv/" in name:
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            if info.isreg() and (content := archive.extractfile(info)) is not None:
                path.write_bytes(content.read())
                path.chmod(0o755 if info.mode & 0o111 else 0o644)
            elif info.issym() and "/" not in info.linkname:
                path.unlink(missing_ok=True)
                path.symlink_to(info.linkname)
