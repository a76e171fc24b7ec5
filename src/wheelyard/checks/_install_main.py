"""The install check's own program, run in the target environment: install, check, import, report.

Run as ``python -I _install_main.py REPORT-MARK JSON``; imports the standard library only, on any CPython. The
last line that begins with the mark is a JSON object: ``{"step": …, "ok": …, "text": …}`` for each step.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

# Many packages swallow the ImportError of their compiled half and go on in plain Python. So every compiled module is
# loaded as well, the way CPython does it (all symbols at once), without running what it does when imported.
_IMPORTS = """
import ctypes, importlib, importlib.metadata, os, sys
name, *modules = sys.argv[1:]
for module in modules:
    print("import " + module, flush=True)
    importlib.import_module(module)
distribution = importlib.metadata.distribution(name)
compiled = [file for file in distribution.files or () if file.name.endswith(".so")]
for file in compiled:
    print("load " + str(file), flush=True)
    ctypes.CDLL(str(file.locate()), mode=os.RTLD_NOW)
print(f"version {distribution.version}, {len(compiled)} compiled modules loaded")
"""


def _call(*argv: str, cwd: str) -> tuple[bool, str]:
    completed = subprocess.run(argv, cwd=cwd, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    text = completed.stdout.decode(errors="replace")
    sys.stdout.write(text)
    sys.stdout.flush()
    if completed.returncode < 0:
        text += f"\nended by signal {-completed.returncode}"
    return completed.returncode == 0, "\n".join(text.strip().splitlines()[-12:])[-4000:]


def _steps(task: dict[str, Any], folder: str) -> list[tuple[str, bool, str]]:
    """Do one step after the other, until one fails."""
    python = str(Path(folder, "venv", "bin", "python"))
    uv = shutil.which("uv")
    index = [word for url in task["indexes"] for word in ("--extra-index-url", url)]
    if uv:
        venv = [uv, "venv", "--quiet", "--python", sys.executable, str(Path(folder, "venv"))]
        pip = [uv, "pip"]
        into = ["--python", python]
    else:
        venv = [sys.executable, "-m", "venv", str(Path(folder, "venv"))]
        pip = [python, "-m", "pip", "--disable-pip-version-check"]
        into = []
    commands = (
        ("environment", venv),
        ("install", [*pip, "install", *into, *index, task["wheel"]]),
        ("dependencies", [*pip, "check", *into]),
        ("import", [python, "-I", "-c", _IMPORTS, task["name"], *task["modules"]]),
    )
    results: list[tuple[str, bool, str]] = []
    for name, command in commands:
        ok, text = _call(*command, cwd=folder)
        results.append((name, ok, text))
        # Requirements that do not fit say nothing against the import, which is what matters most.
        if not ok and name != "dependencies":
            break
    return results


def main() -> None:
    """Do what the second argument says, and report behind the first."""
    mark, task = sys.argv[1], json.loads(sys.argv[2])
    os.environ.update(PYTHONDONTWRITEBYTECODE="1", PIP_NO_INPUT="1", UV_NO_PROGRESS="1", NO_COLOR="1")
    if importlib.util.find_spec("venv") is None and shutil.which("uv") is None:
        steps = [("environment", False, "this Python has no venv module, and there is no uv")]
    else:
        with tempfile.TemporaryDirectory() as folder:
            steps = _steps(task, folder)
    report = [{"step": name, "ok": ok, "text": text} for name, ok, text in steps]
    sys.stdout.write(f"\n{mark}{json.dumps(report)}\n")


if __name__ == "__main__":
    main()
