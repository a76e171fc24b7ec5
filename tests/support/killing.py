"""Publish one wheel, killed in every state that the folder goes through, and look at what is left each time.

Run as ``python -m support.killing WORK WHEEL SHA256 EARLIER…`` where EARLIER are wheels that are there before. A
trace function counts the lines of code that are executed, ours and those of library modules that touch files. An
undisturbed run tells at which of them the folder on disk has just changed; then, for each, a forked child kills
itself right there. After each kill pages must list whole wheels only, and publishing again must lead to exactly
the folder that an undisturbed run makes. Prints how many states there were; fails at the first that does not hold.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wheelyard.core.digests import sha256_file
from wheelyard.registries import DirectoryRegistry, Release, read_release

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

_LIBRARY = {"pathlib.py", "tempfile.py", "shutil.py"}


def shape(root: Path) -> dict[str, str]:
    """Return every file's content but for times: leftovers count as a difference."""
    return {
        str(path.relative_to(root)): re.sub(r"\d{4}-\d\d-\d\dT[0-9:]+Z", "TIME", path.read_bytes().decode("latin-1"))
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def listed_are_whole(root: Path) -> None:
    """Hold every page against the files: both formats are whole, and so is all that they list."""
    for page in root.glob("simple/*/index.json"):
        text = page.with_suffix(".html").read_text() if page.with_suffix(".html").exists() else "</html>"
        assert text.rstrip().endswith("</html>"), f"{page.with_suffix('.html')} is not whole"
        for entry in json.loads(page.read_text())["files"]:
            listed = root / "files" / page.parent.name / entry["filename"]
            assert sha256_file(listed) == entry["hashes"]["sha256"]
            assert sha256_file(listed.with_name(f"{listed.name}.metadata")) == entry["core-metadata"]["sha256"]


def put_traced(root: Path, release: Release, at_line: Callable[[int], None]) -> None:
    """Publish, calling *at_line* with a running number before each line."""
    line = 0

    def trace(frame: FrameType, event: str, _arg: Any) -> Any:
        nonlocal line
        file = frame.f_code.co_filename
        if "/wheelyard/" not in file and file.rpartition("/")[2] not in _LIBRARY:
            return None
        if event == "line":
            line += 1
            at_line(line)
        return trace

    sys.settrace(trace)
    DirectoryRegistry(root).put(release)
    sys.settrace(None)


def changes(root: Path, release: Release) -> list[int]:
    """Publish, and return the lines before which the folder on disk was found changed."""
    found: list[int] = []
    last: list[tuple[str, int, int]] = []

    def look(line: int) -> None:
        nonlocal last
        now = sorted(
            (entry.path, entry.stat().st_ino, entry.stat().st_size)
            for folder, _, _ in os.walk(root)
            for entry in os.scandir(folder)
        )
        if now != last:
            last = now
            found.append(line)

    put_traced(root, release, look)
    return found


def put_killed(root: Path, release: Release, last_line: int) -> None:
    """Publish in a child that is killed before *last_line*."""
    child = os.fork()
    if child == 0:
        put_traced(root, release, lambda line: os.kill(os.getpid(), signal.SIGKILL) if line == last_line else None)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status == -signal.SIGKILL, f"line {last_line}: status {status}"


def main() -> None:
    work, wheel, sha256, *earlier = sys.argv[1:]
    release = read_release(Path(wheel), sha256=sha256)
    before, undisturbed = Path(work, "before"), Path(work, "undisturbed")
    before.mkdir(parents=True)
    for root in (before, undisturbed):
        for path in earlier:
            DirectoryRegistry(root).put(read_release(Path(path), sha256=sha256_file(Path(path))))
    put_traced(Path(work, "warm"), release, lambda _line: None)  # what is done once per process shifts no line below
    lines = changes(undisturbed, release)
    wanted = shape(undisturbed)
    for line in lines:
        root = Path(work, "index")
        shutil.copytree(before, root)
        put_killed(root, release, line)
        listed_are_whole(root)
        DirectoryRegistry(root).put(release)
        assert shape(root) == wanted, f"killed before line {line}: {set(shape(root)) ^ set(wanted)}"
        shutil.rmtree(root)
    print(len(lines))  # noqa: T201 - the test reads it


if __name__ == "__main__":
    main()
