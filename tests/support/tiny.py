"""A package of one C function whose build backend lies in its sdist: real builds of seconds, needing no index.

What goes wrong with it is chosen by *mode*.
"""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING

from support.index import IndexFile, IndexServer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_BACKEND = """
import base64, hashlib, os, pathlib, subprocess, sys, sysconfig, tarfile, time, zipfile

NAME, VERSION, MODE = "tiny", "{version}", "{mode}"
PYTHON = f"cp3{{sys.version_info.minor}}"
TAG = "py3-none-any" if MODE == "pure" else f"{{PYTHON}}-{{PYTHON}}-linux_riscv64"
LICENCE = "MIT: do as you like\\n"


class UnsupportedOperation(Exception):
    pass


def build_wheel(folder, config_settings=None, metadata_directory=None):
    print("the backend is at work", flush=True)
    if MODE == "slow":
        time.sleep(600)
    if MODE == "nothing":
        raise SystemExit("error: nothing to build here")
    version = "9.9" if MODE == "version" else VERSION
    files = {{"tiny.py": b"from _tiny import answer\\n"}}
    if MODE != "pure":
        out = pathlib.Path("_tiny.so")
        include = sysconfig.get_path("include")
        subprocess.run(["cc", "-shared", "-fPIC", f"-I{{include}}", "tiny.c", "-lm", "-o", str(out)], check=True)
        files["_tiny." + sysconfig.get_config_var("EXT_SUFFIX").lstrip(".")] = out.read_bytes()
    else:
        files = {{"tiny.py": b"answer = lambda: 42\\n"}}
    info = f"{{NAME}}-{{version}}.dist-info"
    metadata = ["Metadata-Version: 2.4", f"Name: {{NAME}}", f"Version: {{version}}", "License-File: LICENSE", ""]
    files[f"{{info}}/METADATA"] = "\\n".join(metadata).encode()
    files[f"{{info}}/licenses/LICENSE"] = LICENCE.encode()
    pure = "true" if MODE == "pure" else "false"
    wheel = ["Wheel-Version: 1.0", "Generator: tiny", f"Root-Is-Purelib: {{pure}}", f"Tag: {{TAG}}", ""]
    files[f"{{info}}/WHEEL"] = "\\n".join(wheel).encode()
    rows = [f"{{name}},sha256={{_hash(data)}},{{len(data)}}" for name, data in files.items()]
    files[f"{{info}}/RECORD"] = "\\n".join([*rows, f"{{info}}/RECORD,,", ""]).encode()
    wheel = f"{{NAME}}-{{version}}-{{TAG}}.whl"
    with zipfile.ZipFile(pathlib.Path(folder, wheel), "w") as archive:
        for name, data in files.items():
            member = zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0))
            member.external_attr = 0o644 << 16
            archive.writestr(member, data)
    return wheel


def build_sdist(folder, config_settings=None):
    if MODE == "slow":
        time.sleep(600)
    if MODE == "nosdist":
        raise RuntimeError("a part of it is missing")
    if MODE == "unsupported":
        raise UnsupportedOperation
    print("the backend sees", dict(os.environ), flush=True)
    version = "9.9" if MODE == "version" else VERSION
    base = f"{{NAME}}-{{version}}"
    pathlib.Path("PKG-INFO").write_text(f"Metadata-Version: 2.4\\nName: {{NAME}}\\nVersion: {{version}}\\n")
    with tarfile.open(pathlib.Path(folder, base + ".tar.gz"), "w:gz") as archive:
        for path in sorted(pathlib.Path(".").glob("*.*")):
            archive.add(path, f"{{base}}/{{path.name}}", recursive=False)
        archive.add("PKG-INFO", f"{{base}}/PKG-INFO")
    return base + ".tar.gz"


def _hash(data):
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
"""

_C = """
#define PY_SSIZE_T_CLEAN
#include <Python.h>
%s
static PyObject *answer(PyObject *self, PyObject *args) { return PyLong_FromLong(%s); }
static PyMethodDef methods[] = {{"answer", answer, METH_NOARGS, "The answer."}, {NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_tiny", NULL, -1, methods};
PyMODINIT_FUNC PyInit__tiny(void) { return PyModule_Create(&module); }
"""
# sinpi came with glibc 2.41, newer than the site's policy of 2.39.
_TOO_NEW = "extern double sinpi(double);"

_PYPROJECT = """\
[build-system]
requires = %s
build-backend = "backend"
backend-path = ["."]
"""


def sources(version: str = "1.0", mode: str = "well", *, requires: tuple[str, ...] = ()) -> dict[str, str]:
    """Return the files of ``tiny``, by path.

    Modes: ``well``; ``slow`` (never ends); ``nothing`` (the backend fails); ``pure`` (a none-any wheel); ``version``
    (wheel and sdist have another version); ``glibc`` (the wheel needs too new a glibc); ``nosdist`` (the backend makes
    none); ``unsupported`` (it says so, as PEP 517 wants it).
    """
    c = _C % ((_TOO_NEW, "(long) sinpi((double) (long) self)") if mode == "glibc" else ("", "42"))
    return {
        "PKG-INFO": f"Metadata-Version: 2.4\nName: tiny\nVersion: {version}\n",
        "pyproject.toml": _PYPROJECT % list(requires),
        "backend.py": _BACKEND.format(version=version, mode=mode),
        "tiny.c": c,
        "test_tiny.py": "import tiny\nassert tiny.answer() == 42\nprint('1 passed in 0.01s')\n",
    }


def sdist(
    version: str = "1.0",
    mode: str = "well",
    *,
    requires: tuple[str, ...] = (),
    files: Mapping[str, str] | None = None,
) -> bytes:
    """Return an sdist of ``tiny``; see :func:`sources`.

    Args:
        version: its version.
        mode: what goes wrong with it.
        requires: its build requirements.
        files: further files, or other ones, by path.
    """
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as archive:
        for name, text in {**sources(version, mode, requires=requires), **(files or {})}.items():
            data = text.encode()
            member = tarfile.TarInfo(f"tiny-{version}/{name}")
            member.size, member.mtime, member.mode = len(data), 1_600_000_000, 0o644
            archive.addfile(member, io.BytesIO(data))
    return raw.getvalue()


def add_user(index: IndexServer, root: Path) -> None:
    """Put a package like ``tiny`` on an index, and into a project that has that: its build and its test need it."""
    raw, name = io.BytesIO(), "tiny-user"
    with tarfile.open(fileobj=raw, mode="w:gz") as archive:
        for path, text in sources().items():
            data = text.replace('NAME, VERSION, MODE = "tiny"', 'NAME, VERSION, MODE = "tiny_user"')
            data = data.replace("Name: tiny", f"Name: {name}").replace("tiny.py", "tiny_user.py")
            data = data.replace("_tiny", "_used").replace("import tiny\n", "import tiny, tiny_user\n")
            member = tarfile.TarInfo(f"tiny_user-1.0/{path.replace('test_tiny', 'test_user')}")
            member.size, member.mtime, member.mode = len(data.encode()), 1_600_000_000, 0o644
            archive.addfile(member, io.BytesIO(data.encode()))
    index.add(name, IndexFile("tiny_user-1.0.tar.gz", raw.getvalue()))
    recipe = f"""\
[build]
needs = ["tiny"]

[test]
needs = ["tiny"]
requires = ["tiny==1.0"]
environment = {{ UV_DEFAULT_INDEX = "{index.url}", PIP_INDEX_URL = "{index.url}" }}
command = "python {{project}}/test_user.py"
"""
    add_twin(root, name, recipe)
    lock = root / "packages" / name / "lock.toml"
    text = lock.read_text("utf-8").replace(f"{name}-1.0.tar.gz", "tiny_user-1.0.tar.gz")
    sdist_of_tiny = index.files("tiny")[0]
    mine = index.files(name)[0]
    text = text.replace(str(sdist_of_tiny.claimed_sha256), str(mine.claimed_sha256))
    lock.write_text(text.replace(f"size = {len(sdist_of_tiny.data)}", f"size = {len(mine.data)}"), "utf-8")


def add_tiny(
    index: IndexServer,
    version: str = "1.0",
    mode: str = "well",
    pythons: tuple[str, ...] = ("cp313",),
    *,
    requires: tuple[str, ...] = (),
    files: Mapping[str, str] | None = None,
) -> None:
    """Put ``tiny`` on an index, with wheels for aarch64 that say what is expected of ours."""
    platforms = "manylinux_2_17_aarch64.manylinux2014_aarch64"
    wheels = [f"tiny-{version}-{python}-{python}-{platforms}.whl" for python in pythons]
    index.add(
        "tiny",
        IndexFile(f"tiny-{version}.tar.gz", sdist(version, mode, requires=requires, files=files)),
        *(IndexFile(wheel, b"not looked into") for wheel in wheels),
    )


def add_twin(root: Path, name: str, recipe: str = "") -> None:
    """Add a package to a project that has ``tiny``, locked as that is."""
    for folder, file, text in (
        ("recipes", "recipe.toml", recipe),
        ("packages", "lock.toml", (root / "packages/tiny/lock.toml").read_text("utf-8").replace("tiny-", f"{name}-")),
    ):
        (root / folder / name).mkdir()
        (root / folder / name / file).write_text(text, encoding="utf-8")
