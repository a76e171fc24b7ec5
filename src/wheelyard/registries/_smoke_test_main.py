"""The smoke test's own program, run in the target environment: pip installs each package, and it is imported.

Run as ``python -I _smoke_test_main.py REPORT-MARK TASK-FILE``; imports the standard library only. For each package one
line begins with the mark: a JSON object with ``name``, ``step`` (the last one), ``ok``, ``text`` and ``sha256``.
"""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

# The same as the check of a new wheel does (_install_main.py), but in a folder that pip installs to.
_IMPORTS = """
import ctypes, importlib, importlib.metadata, os, sys
folder, name, *modules = sys.argv[1:]
sys.path.insert(0, folder)
for module in modules:
    print("import " + module, flush=True)
    importlib.import_module(module)
distribution = importlib.metadata.distribution(name)
compiled = [file for file in distribution.files or () if file.name.endswith(".so")]
for file in compiled:
    print("load " + str(file), flush=True)
    ctypes.CDLL(str(file.locate()), mode=os.RTLD_NOW)
print(f"{len(compiled)} compiled modules loaded")
"""


def _call(command: list[str], folder: str, timeout: float) -> tuple[bool, str]:
    try:
        completed = subprocess.run(
            command, cwd=folder, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout
        )
    except subprocess.TimeoutExpired:
        return False, f"not done after {timeout:g} seconds"
    text = completed.stdout.decode(errors="replace")
    sys.stdout.write(text)
    if completed.returncode < 0:
        text += f"\nended by signal {-completed.returncode}"
    return completed.returncode == 0, "\n".join(text.strip().splitlines()[-8:])[-2000:]


def _taken(report: str, name: str) -> str:
    """Return the sha256 of the file that pip took for *name* (pip's documentation, "Installation Report")."""
    report_items = json.loads(Path(report).read_text(encoding="utf-8"))
    for item in report_items["install"]:
        if item["metadata"]["name"].lower().replace("_", "-").replace(".", "-") == name:
            return str(item["download_info"].get("archive_info", {}).get("hashes", {}).get("sha256", ""))
    return ""


def _try(package: dict[str, Any], task: dict[str, Any], folder: str) -> dict[str, Any]:
    name, into, report = package["name"], str(Path(folder, "into")), str(Path(folder, "report.json"))
    indexes = [word for url in task["indexes"] for word in ("--extra-index-url", url)]
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--no-cache-dir"]
    pip += ["--only-binary=:all:", "--quiet", "--report", report, "--target", into, *indexes]
    ok, text = _call([*pip, f"{name}=={package['version']}"], folder, task["timeout"])
    result = {"name": name, "step": "install", "ok": ok, "text": text, "sha256": ""}
    if not ok:
        return result
    result["sha256"] = _taken(report, name)
    modules = package["modules"]
    if modules is None:
        distribution = next(iter(metadata.distributions(name=name, path=[into])), None)
        files = [str(file) for file in (distribution.files or ())] if distribution else []
        modules = task["modules_of"](file for file in files if not file.startswith(("..", "bin/")))
    ok, text = _call([sys.executable, "-I", "-c", _IMPORTS, into, name, *modules], folder, task["timeout"])
    return result | {"step": "import", "ok": ok, "text": text}


def main() -> None:
    """Run the task, and report behind the mark; one package's failure does not stop the others."""
    mark, task = sys.argv[1], json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
    task["modules_of"] = runpy.run_path(str(Path(__file__).with_name("modules.py")))["modules_of"]
    os.environ.update(PYTHONDONTWRITEBYTECODE="1", NO_COLOR="1")
    for package in task["packages"]:
        with tempfile.TemporaryDirectory() as folder:
            result = _try(package, task, folder)
        sys.stdout.write(f"\n{mark}{json.dumps(result)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
