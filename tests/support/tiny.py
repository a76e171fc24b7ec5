"""A package of one C function whose build backend lies in its sdist: real builds of seconds, needing no index.

What goes wrong with it is chosen by *mode*.
"""

from __future__ import annotations

import io
import tarfile

from support.index import IndexFile, IndexServer

_BACKEND = """
import base64, hashlib, pathlib, subprocess, sys, sysconfig, time, zipfile

NAME, VERSION, MODE = "tiny", "{version}", "{mode}"
PYTHON = f"cp3{{sys.version_info.minor}}"
TAG = "py3-none-any" if MODE == "pure" else f"{{PYTHON}}-{{PYTHON}}-linux_riscv64"
LICENCE = "MIT: do as you like\\n"


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
requires = []
build-backend = "backend"
backend-path = ["."]
"""


def sdist(version: str = "1.0", mode: str = "well") -> bytes:
    """Return an sdist of ``tiny``.

    Modes: ``well``; ``slow`` (never ends); ``nothing`` (the backend fails); ``pure`` (a none-any wheel); ``version``
    (the wheel has another version); ``glibc`` (the wheel needs too new a glibc).
    """
    c = _C % ((_TOO_NEW, "(long) sinpi((double) (long) self)") if mode == "glibc" else ("", "42"))
    files = {
        "PKG-INFO": f"Metadata-Version: 2.4\nName: tiny\nVersion: {version}\n",
        "pyproject.toml": _PYPROJECT,
        "backend.py": _BACKEND.format(version=version, mode=mode),
        "tiny.c": c,
        "test_tiny.py": "import tiny\nassert tiny.answer() == 42\nprint('1 passed in 0.01s')\n",
    }
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as archive:
        for name, text in files.items():
            data = text.encode()
            member = tarfile.TarInfo(f"tiny-{version}/{name}")
            member.size, member.mtime, member.mode = len(data), 1_600_000_000, 0o644
            archive.addfile(member, io.BytesIO(data))
    return raw.getvalue()


def add_tiny(
    index: IndexServer, version: str = "1.0", mode: str = "well", pythons: tuple[str, ...] = ("cp313",)
) -> None:
    """Put ``tiny`` on an index, with wheels for aarch64 that say what is expected of ours."""
    platforms = "manylinux_2_17_aarch64.manylinux2014_aarch64"
    wheels = [f"tiny-{version}-{python}-{python}-{platforms}.whl" for python in pythons]
    index.add(
        "tiny",
        IndexFile(f"tiny-{version}.tar.gz", sdist(version, mode)),
        *(IndexFile(wheel, b"not looked into") for wheel in wheels),
    )
