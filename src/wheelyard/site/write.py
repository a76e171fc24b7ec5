"""Pages into a folder: each whole or not at all, and those of packages that are gone removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wheelyard.io import files
from wheelyard.site.pages import FOLDER

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def write_site(root: Path, made: Mapping[str, str]) -> int:
    """Write *made*, content by path, below *root*, and return how many files changed.

    What else is there is left alone: of stale pages only our own file goes, and its folder if that is empty then. A
    folder that is a link is somebody's own.

    Raises:
        DiskError: no space, or no right to write there.
    """
    changed = 0
    with files.disk_errors(root):
        for name, text in made.items():
            path, data = root / name, text.encode()
            if not path.is_file() or path.read_bytes() != data:
                files.write_bytes(path, data)
                changed += 1
        for page in sorted((root / FOLDER).glob("*/index.html")):
            if page.relative_to(root).as_posix() not in made and not page.parent.is_symlink():
                page.unlink()
                changed += 1
                if not any(page.parent.iterdir()):
                    page.parent.rmdir()
    return changed
