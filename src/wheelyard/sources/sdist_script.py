"""The script by which a recipe makes its own sdist."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from packaging.utils import InvalidSdistFilename, canonicalize_name, parse_sdist_filename
from packaging.version import Version

from wheelyard.core.errors import ProgramError, SourceError, StepTimeoutError
from wheelyard.io import files, guard, log, sandbox
from wheelyard.io.archive import unpack
from wheelyard.io.run import run
from wheelyard.sources.sdist import check_metadata

if TYPE_CHECKING:
    from wheelyard.io.archive import Limits


def make(
    script: Path,
    tree: Path,
    target: Path,
    *,
    name: str,
    version: str,
    epoch: int,
    timeout: float,
    limits: Limits,
    log_file: Path | None = None,
) -> str:
    """Run a recipe's sdist script in a patched tree, and unpack what it leaves as *target*.

    The script runs with bash on this machine, in *tree*, with ``$SRC`` (the tree), ``$VERSION``, ``$OUT`` (an
    empty folder), ``$SOURCE_DATE_EPOCH``, a ``$HOME`` and ``$TMPDIR`` of its own, ``$PATH``, and the variables
    that say how to reach the network; nothing else.

    Returns:
        The sdist's file name.

    Raises:
        SourceError: the script fails, or does not leave exactly one sdist of this name and version.
        StepTimeoutError: it takes longer than *timeout* seconds.
        UnsafeArchiveError: what it leaves may not be unpacked.
    """
    if not script.is_file():
        raise SourceError(
            f"the sdist script {script.name} is missing", where=str(script), fix="put it there, or correct [sdist] run"
        )
    files.sweep_scratch(target.parent, ".sdist")
    with files.scratch(target.parent, ".sdist") as scratch, guard.on_death(folders=[scratch]):
        env = sandbox.clean_env(scratch) | {"SRC": str(tree), "VERSION": version, "SOURCE_DATE_EPOCH": str(epoch)}
        with log.step(f"running {script.name}"):
            _run(script, tree, env, timeout, log_file)
        archive = _one_sdist(Path(env["OUT"]), name, version, script)
        unpack(archive, target, limits=limits)
        check_metadata(target, name, version, source=archive.name)
        return archive.name


def _run(script: Path, tree: Path, env: dict[str, str], timeout: float, log_file: Path | None) -> None:
    words: list[str | Path] = ["bash", script.absolute()]
    try:
        run(
            words if sandbox.unavailable() else sandbox.isolated(words),
            cwd=tree,
            env=env,
            timeout=timeout,
            log_file=log_file,
        )
    except StepTimeoutError as error:
        raise StepTimeoutError(
            f"the sdist script {script.name} did not end within {log.duration(timeout)}",
            where=str(script),
            fix="allow it more time ([sdist] timeout), or look at what it waits for",
        ) from error
    except ProgramError as error:
        raise SourceError(
            f"the sdist script {script.name} failed", where=str(script), details=error.details, fix="mend the script"
        ) from error


def _one_sdist(out: Path, name: str, version: str, script: Path) -> Path:
    made_files = sorted(out.iterdir())
    if len(made_files) == 1 and made_files[0].is_file() and not made_files[0].is_symlink():
        try:
            parsed = parse_sdist_filename(made_files[0].name)
        except InvalidSdistFilename:
            parsed = None
        if parsed == (canonicalize_name(name), Version(version)):
            return made_files[0]
    raise SourceError(
        f"the sdist script {script.name} must leave exactly one sdist of {name} {version} in $OUT",
        where=str(script),
        details=[f"it left {log.clean(path.name)}" for path in made_files[:20]] or ["it left nothing"],
        fix="have it write one .tar.gz named as the source distribution format says, such as "
        f"{canonicalize_name(name).replace('-', '_')}-{version}.tar.gz",
    )
