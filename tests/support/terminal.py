"""A terminal, as a program on its other side sees it."""

from __future__ import annotations

import os


def read_whole(main: int) -> str:
    """Return all that is written to a pseudo-terminal until its other side is closed, and close this one."""
    pieces = []
    try:
        while piece := os.read(main, 4096):
            pieces.append(piece)
    except OSError:  # how Linux tells that the other side is closed
        pass
    finally:
        os.close(main)
    return b"".join(pieces).decode()
