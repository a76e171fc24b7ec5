"""Refreshes every pin of the project: ``python ci/pins.py [--check]``, or ``nox -s pins``.

Locks are made from what people write beside them. Four hold Python packages, each entry one version and its sha256
hashes: of the tool, of development, of the documentation site, of a local image. One for each stable suite holds the
Debian packages of its images, as apt resolves them from the suite's signed index. The official image needs no lock of
its own: its digest is cibuildwheel's pin, and moves with cibuildwheel's version. All are written, or none.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

from wheelyard.core.errors import ImageError, NetworkError, ProgramError, WheelyardError
from wheelyard.images.local import lock as debian_lock
from wheelyard.images.local import packages as debian_packages
from wheelyard.io import log
from wheelyard.io.files import write_text
from wheelyard.io.run import run
from wheelyard.io.table import table_text

ROOT = Path(__file__).parents[1]
IMAGE = "src/wheelyard/images/definitions"
# One version, a marker perhaps, and hashes: no option, no address, no path.
_ENTRY = re.compile(
    r"(?P<name>[a-z0-9]+(?:-[a-z0-9]+)*)==(?P<version>[\w.!+]+)(?: ; (?P<marker>[^\\\n;@]+?))?"
    r"(?: \\\n    --hash=sha256:[0-9a-f]{64})+\n"
)


@dataclass(frozen=True)
class Lock:
    """One lock.

    Attributes:
        stem: its path below the project, without ``.in`` (what people write) and ``.txt`` (the lock).
        target: for which Python and platforms it is resolved.
    """

    stem: str
    target: tuple[str, ...]


LOCKS = (
    # The tool runs on every Python and machine that pyproject.toml admits; development follows the tool's pins.
    Lock("ci/requirements", ("--universal", "--python-version=3.11")),
    Lock("ci/requirements-dev", ("--universal", "--python-version=3.11")),
    Lock("ci/requirements-docs", ("--universal", "--python-version=3.11")),
    Lock(f"{IMAGE}/requirements", ("--python-platform=linux", "--python-version=3.13")),
)


def entries(text: str, where: str) -> dict[tuple[str, str], str]:
    """Return the versions in a lock, by name and marker; of Debian packages, by name and group.

    Raises:
        ProgramError: the lock says anything that is not a pin: an option, an address, an entry without hashes.
        ImageError: so does one of Debian packages.
    """
    if where.endswith(".lock"):
        groups = debian_lock.parse(text, where).groups
        return {(deb.name, group): deb.version for group, debs in groups.items() for deb in debs}
    found: dict[tuple[str, str], str] = {}
    position = 0
    while position < len(text):
        match = _ENTRY.match(text, position)
        if match is None:
            line = text.count("\n", 0, position) + 1
            said = text[position:].partition("\n")[0]
            raise ProgramError(f"is not a version with its hashes: {said!r}", where=f"{where}:{line}")
        found[match["name"], match["marker"] or ""] = match["version"]
        position = match.end()
    return found


def resolve(root: Path, scratch: Path) -> dict[str, str]:
    """Return the newest text of each lock, by path below *root*; nothing is written there.

    Raises:
        NetworkError: uv found no solution, or no index.
        ImageError: nor did apt.
        ProgramError: a lock holds more than versions and hashes.
    """
    texts = {}
    for lock in LOCKS:
        wanted, locked = scratch / f"{lock.stem}.in", scratch / f"{lock.stem}.txt"
        wanted.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / f"{lock.stem}.in", wanted)
        command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--upgrade", "--generate-hashes"]
        command += ["--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"]
        # Run where the file lies: `-c` inside of it is relative, and the new pins of the tool bind development.
        done = run(
            [*command, *lock.target, f"--output-file={locked.name}", wanted.name],
            cwd=wanted.parent,
            check=False,
            timeout=600,
        )
        if done.returncode != 0:
            said = [log.redact(log.clean(line)) for line in done.stderr.splitlines() if line.strip()]
            raise NetworkError(
                "the newest versions cannot be resolved",
                where=f"{lock.stem}.in",
                details=said[-8:],
                fix="look at what uv says; an index of your own is UV_DEFAULT_INDEX",
            )
        texts[f"{lock.stem}.txt"] = locked.read_text(encoding="utf-8")
        entries(texts[f"{lock.stem}.txt"], f"{lock.stem}.txt")
    images = tomllib.loads((root / IMAGE / "images.toml").read_text(encoding="utf-8"))
    suites = debian_packages.refresh(images, scratch)
    return texts | {f"{IMAGE}/{suite}.lock": text for suite, text in suites.items()}


def changes(root: Path, texts: dict[str, str]) -> list[tuple[str, str, str, str]]:
    """Return what would change: lock, package, old and new version."""
    rows = []
    for path, text in texts.items():
        file = root / path
        old_text = file.read_text(encoding="utf-8") if file.is_file() else ""
        if old_text == text:
            continue
        try:
            old = entries(old_text, path)
        except (ImageError, ProgramError):
            old = {}
        new = entries(text, path)
        differing = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
        rows += [(path, " ; ".join(filter(None, key)), old.get(key, "-"), new.get(key, "-")) for key in differing]
        if not differing:
            rows.append((path, "(hashes)", "", ""))
    return rows


def main(arguments: list[str]) -> int:
    """Show what changes and write it; with ``--check`` only show, and return 1 if there is any."""
    check = arguments == ["--check"]
    if arguments and not check:
        print(f"usage: {Path(sys.argv[0]).name} [--check]", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as scratch:
        texts = resolve(ROOT, Path(scratch))
    rows = changes(ROOT, texts)
    if not rows:
        print("every pin is the newest")
        return 0
    print(table_text(("lock", "package", "old", "new"), rows))
    if check:
        return 1
    for path in dict.fromkeys(row[0] for row in rows):
        write_text(ROOT / path, texts[path])
    print("\nwritten; `ci/bootstrap nox -s tests` takes them, then commit them")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except WheelyardError as error:
        log.error(str(error))
        sys.exit(error.exit_code)
