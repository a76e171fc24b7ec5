"""Make a release: ``python ci/release.py VERSION [--write]``, or ``nox -s release -- VERSION``.

Everything happens in a copy of the tracked files: towncrier writes the changelog, the version changes, the sdist and
the wheel are built and checked. With ``--write`` the result then replaces the files here; the commit and the tag are a
person's.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from email import message_from_bytes
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.version import InvalidVersion, Version

from wheelyard.core.errors import ProgramError, WheelyardError
from wheelyard.io import log
from wheelyard.io.files import write_text
from wheelyard.io.run import run

ROOT = Path(__file__).parents[1]
CHANGELOG = "CHANGELOG.md"
FRAGMENTS = "changelog.d"
OUT = "dist/release"
VERSION_FILE = "src/wheelyard/__init__.py"
_VERSION = re.compile(r'(?m)^__version__ = "([^"]+)"$')


def tracked(root: Path) -> list[str]:
    """Return the files of the next commit: tracked, or new and not ignored."""
    listing = run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=root).stdout
    return sorted(name for name in listing.split("\0") if name and (root / name).is_file())


def current_version(root: Path) -> Version:
    """Return the version that the package has.

    Raises:
        ProgramError: its file has no version.
    """
    match = _VERSION.search((root / VERSION_FILE).read_text(encoding="utf-8"))
    if match is None:
        raise ProgramError("has no line __version__ = …", where=VERSION_FILE)
    return Version(match[1])


def next_version(word: str, current: Version) -> str:
    """Return the version to release.

    Raises:
        ProgramError: it is no final version, or not newer than the current one.
    """
    try:
        version = Version(word)
    except InvalidVersion as error:
        raise ProgramError(f"{word!r} is not a version", fix="write one such as 0.2.0 (PEP 440)") from error
    if str(version) != word or version.is_prerelease or version.local:
        raise ProgramError(f"{word!r} is not a final version in its normal form", fix=f"write {version.base_version}")
    if version <= current:
        raise ProgramError(f"{word} is not newer than {current}", where=VERSION_FILE, fix="choose a newer version")
    return word


def write_release(folder: Path, version: str) -> None:
    """Write version and changelog in *folder*, and remove the changelog's fragments."""
    file = folder / VERSION_FILE
    write_text(file, _VERSION.sub(f'__version__ = "{version}"', file.read_text(encoding="utf-8")))
    run([sys.executable, "-m", "towncrier", "build", "--yes", "--version", version], cwd=folder)


def build(folder: Path, out: Path, epoch: str) -> tuple[Path, Path]:
    """Build the sdist, and the wheel from the sdist; return both."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(folder)]
    run(command, env=os.environ | {"SOURCE_DATE_EPOCH": epoch})
    (sdist,), (wheel,) = out.glob("*.tar.gz"), out.glob("*.whl")
    return sdist, wheel


def check_sdist(sdist: Path, expected: set[str]) -> None:
    """Check that the sdist holds every file of the package, and no other part of the project.

    Raises:
        ProgramError: it does not.
    """
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    _compare(names - {"PKG-INFO"}, expected | {"pyproject.toml", "README.md", "LICENSE", CHANGELOG}, sdist)


def check_wheel(wheel: Path, expected: set[str], version: str, project: dict[str, Any]) -> None:
    """Check the files and the metadata of the wheel.

    Raises:
        ProgramError: they are not those of the project.
    """
    info = f"wheelyard-{version}.dist-info"
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = message_from_bytes(archive.read(f"{info}/METADATA"))
        scripts = archive.read(f"{info}/entry_points.txt").decode()
    files = ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")
    _compare(names, {name.removeprefix("src/") for name in expected} | {f"{info}/{name}" for name in files}, wheel)
    facts = {
        "Version": ([version], metadata.get_all("Version")),
        "License-Expression": ([project["license"]], metadata.get_all("License-Expression")),
        "Requires-Python": ([project["requires-python"]], metadata.get_all("Requires-Python")),
        "Project-URL": (
            sorted(f"{name}, {url}" for name, url in project["urls"].items()),
            sorted(metadata.get_all("Project-URL") or []),
        ),
        "Requires-Dist": (
            sorted(str(Requirement(text)) for text in project["dependencies"]),
            sorted(str(Requirement(text)) for text in metadata.get_all("Requires-Dist") or []),
        ),
    }
    for field, (stated, built) in facts.items():
        if stated != built:
            raise ProgramError(f"METADATA has {field} {built}, pyproject.toml states {stated}", where=wheel.name)
    if "wheelyard=wheelyard.cli.main:main" not in scripts.replace(" ", ""):
        raise ProgramError("the wheel has no command `wheelyard`", where=wheel.name)


def _compare(names: set[str], expected: set[str], archive: Path) -> None:
    details = [f"missing: {name}" for name in sorted(expected - names)]
    details += [f"not expected: {name}" for name in sorted(names - expected)]
    if details:
        raise ProgramError("does not hold the files of the project", where=archive.name, details=details)


def check(sdist: Path, wheel: Path, folder: Path, version: str) -> None:
    """Check what was built from *folder*.

    Raises:
        ProgramError: it may not be released.
    """
    package = {name for name in tracked(folder) if name.startswith("src/wheelyard/")}
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    check_sdist(sdist, package)
    check_wheel(wheel, package, version, project)
    if importlib.util.find_spec("twine"):
        run([sys.executable, "-m", "twine", "check", "--strict", str(sdist), str(wheel)])


def release(root: Path, word: str, *, write: bool) -> None:
    """Make a release and print what it is; write it to *root* only if asked.

    Raises:
        ProgramError: there is nothing to release, or what was built may not be released.
    """
    version = next_version(word, current_version(root))
    if write and run(["git", "status", "--porcelain"], cwd=root).stdout.strip():
        raise ProgramError("the checkout has changes that are not committed", fix="commit or stash them first")
    if not list((root / FRAGMENTS).glob("*.md")):
        raise ProgramError(f"{FRAGMENTS} is empty", fix="write a line for each change that users see")
    epoch = run(["git", "log", "-1", "--format=%ct"], cwd=root).stdout.strip()
    with tempfile.TemporaryDirectory(prefix="wheelyard-release-") as scratch:
        folder, out = Path(scratch, "project"), Path(scratch, "out")
        for name in tracked(root):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(root / name, folder / name)
        run(["git", "init", "--quiet"], cwd=folder)
        write_release(folder, version)
        sdist, wheel = build(folder, out, epoch)
        check(sdist, wheel, folder, version)
        changelog = (folder / CHANGELOG).read_text(encoding="utf-8")
        if write:
            write_text(root / VERSION_FILE, (folder / VERSION_FILE).read_text(encoding="utf-8"))
            write_text(root / CHANGELOG, changelog)
            for fragment in (root / FRAGMENTS).glob("*.md"):
                fragment.unlink()
            shutil.rmtree(root / OUT, ignore_errors=True)
            shutil.copytree(out, root / OUT)
    print(changelog.partition("\n## ")[0] if changelog.startswith("## ") else changelog)
    print(f"checked: {sdist.name}, {wheel.name}")
    if write:
        print(f"written: {VERSION_FILE}, {CHANGELOG}, {OUT}/")
        print(f"next:\n  git add -A && git commit -m 'release: publish {version}'\n  git tag v{version}")
    else:
        print(f"nothing was written; to write it:  nox -s release -- {version} --write")


def main(arguments: list[str]) -> int:
    """Make the release that the command line names."""
    words = [word for word in arguments if word != "--write"]
    if len(words) != 1 or words[0].startswith("-"):
        print("usage: nox -s release -- VERSION [--write]", file=sys.stderr)
        return 2
    release(ROOT, words[0], write="--write" in arguments)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except WheelyardError as error:
        log.error(str(error))
        sys.exit(error.exit_code)
