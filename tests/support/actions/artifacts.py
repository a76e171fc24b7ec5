"""Artifacts as folders below ``$STAND_IN_STORE``: names, patterns and layout as GitHub's own actions have them.

``README.md`` of actions/upload-artifact (several paths: their least common ancestor is the root; ``!`` leaves out) and
of actions/download-artifact (by name straight into the path, by pattern each into a folder of its name).
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

STORE = Path(os.environ["STAND_IN_STORE"])


def upload() -> None:
    lines = [line.strip() for line in os.environ["PLACES"].splitlines() if line.strip()]
    out = [Path(line[1:]).absolute() for line in lines if line.startswith("!")]
    wanted = [path for line in lines if not line.startswith("!") if (path := Path(line).absolute()).exists()]
    files = [file for path in wanted for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file()]
    files = [file for file in files if not any(file.is_relative_to(each) for each in out)]
    if not files:
        return
    root = Path(os.path.commonpath([path.parent if path.is_file() else path for path in wanted]))
    target = STORE / os.environ["NAME"]
    if target.exists():
        if os.environ["OVERWRITE"] != "true":
            sys.exit(f"an artifact of the name {target.name} is there already")
        shutil.rmtree(target)
    for file in files:
        place = target / file.relative_to(root)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, place)


def matches(pattern: str, name: str) -> bool:
    """Tell it as minimatch does, as far as ``*`` and ``@(a|b)`` go."""
    parts = re.split(r"(@\([^()]*\)|\*)", pattern)
    found = "".join(
        ".*" if part == "*" else f"(?:{part[2:-1].replace('.', '[.]')})" if part.startswith("@(") else re.escape(part)
        for part in parts
    )
    return re.fullmatch(found, name) is not None


def download() -> None:
    name, pattern, target = os.environ["NAME"], os.environ["PATTERN"], Path(os.environ["PLACES"])
    if name and not (STORE / name).is_dir():
        sys.exit(f"there is no artifact {name}")
    for folder in sorted(STORE.iterdir()):
        if folder.name == name:
            shutil.copytree(folder, target, dirs_exist_ok=True)
        elif not name and matches(pattern, folder.name):
            shutil.copytree(folder, target / folder.name, dirs_exist_ok=True)


if __name__ == "__main__":
    STORE.mkdir(exist_ok=True)
    {"upload": upload, "download": download}[sys.argv[1]]()
