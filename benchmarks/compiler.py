"""kiwisolver on the native-speed image against the plainly emulated one: three times faster, the same machine code."""

from __future__ import annotations

import hashlib
import sys
import tempfile
import zipfile
from pathlib import Path

from benchmarks.measure import WHEELYARD, claim, project, seconds
from wheelyard.core.values import ImageChoice
from wheelyard.images import ensure, resolve
from wheelyard.io import engine
from wheelyard.project.config import find_project

IMAGES = {"native speed": "local", "emulated": "local:trixie+emulated"}


def main() -> bool:
    """Measure, print, and return whether both claims hold."""
    times: dict[str, float] = {}
    code: dict[str, dict[str, str]] = {}
    for kind, image in IMAGES.items():
        folder = project()
        here = find_project(folder)
        reference = ensure(resolve(ImageChoice.parse(image), here.config.policy)).reference
        times[kind] = seconds([*WHEELYARD, "build", "kiwisolver", "--image", image], cwd=folder)
        wheel = next(folder.glob("dist/kiwisolver/*/*.whl"))
        code[kind] = _stripped(wheel, reference)
        print(f"{kind}: {times[kind]:.1f} s, tests and checks included")
    ratio = times["emulated"] / times["native speed"]
    same = code["emulated"] == code["native speed"]
    for name, digest in code["native speed"].items():
        print(f"{name}: sha256 after stripping {digest[:16]}…")
    faster = claim(f"kiwisolver is at least 3 times faster at native speed ({ratio:.1f})", holds=ratio >= 3)  # noqa: PLR2004
    return claim(".so files are equal after stripping", holds=same) and faster


def _stripped(wheel: Path, image: str) -> dict[str, str]:
    """Return the digests of a wheel's shared objects without debug information and build id."""
    work = Path(tempfile.mkdtemp(prefix="wheelyard-bench-"))
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.endswith(".so")]
        archive.extractall(work, names)
    for name in names:
        strip = ["strip", "--strip-all", "--remove-section=.note.gnu.build-id", f"/wheels/{name}"]
        engine.run_in(image, strip, mounts=[(work, "/wheels", True)])
    return {name: hashlib.sha256((work / name).read_bytes()).hexdigest() for name in names}


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
