"""Publish one wheel, and be killed right before the N-th time that the program touches the disk.

Run as ``python kill_steps.py ROOT WHEEL SHA256 N``. The interpreter's audit events (PEP 578) count opening for
writing, renaming, removing and making folders, so that every step of a publisher is met without a hook in it.
Ends with status 0 when there are fewer than N such events.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from wheelyard.stages.registry import FolderRegistry, read_release


def main() -> None:
    root, wheel, sha256, limit = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    left = limit
    release = read_release(wheel, sha256=sha256)

    def hook(event: str, args: tuple[Any, ...]) -> None:
        nonlocal left
        writes = event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR)
        if writes or event in {"os.rename", "os.remove", "os.mkdir", "os.rmdir"}:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    FolderRegistry(root).put(release)


if __name__ == "__main__":
    main()
