"""Packages of Debian's riscv64 port: which ones (apt decides, through mmdebstrap), their files, what is inside.

mmdebstrap knows the mirror and the keys of a suite; it is asked for names and hashes of files only, in its mode that
needs no privilege. The hashes come from the suite's signed index, so the transport need not be trusted.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import os
import re
import shlex
import shutil
import tarfile
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self
from urllib.parse import quote, unquote

from wheelyard.core.errors import ImageError, ProgramError, WheelyardError
from wheelyard.io import cache, downloads, files, log
from wheelyard.io.run import run

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

# Debian's pool: component, first letters of the source's name, the source, then package, version and architecture
# (Debian Policy 5.6.1, 5.6.7, 5.6.12; deb-version(7): a file's name has no epoch).
_POOL = re.compile(
    r"(?P<folder>pool/[a-z-]+/(?:lib)?[a-z0-9]/[a-z0-9][a-z0-9+.-]+)/"
    r"(?P<file>[a-z0-9][a-z0-9+.-]+_[A-Za-z0-9][A-Za-z0-9+.~-]*_[a-z0-9]+\.deb)"
)
_INSTALL = re.compile(r"'\S+/(pool(?:/[^/\s]+){4})' \S+ ([0-9]+) SHA256:([0-9a-f]{64})")
_UPDATE = re.compile(r"'(\S+?/)dists/\S+/InRelease' ")
_AR_MAGIC = b"!<arch>\n"
_AR_HEADER = 60
_ATTEMPTS = 3
_DOWNLOADS = 6  # at once
_APT_OPTIONS = (
    'APT::Install-Recommends "false"',
    'APT::Sandbox::User "root"',  # we read public files only; apt's own user cannot enter our folder
    'Acquire::Check-Date "false"',
    'Acquire::Check-Valid-Until "false"',
    'Acquire::Retries "3"',
)
# The suite itself only, not its -updates and -security: they are other mirrors' business, change daily, and
# their point is running systems.
_SUITE_ONLY = (
    'for file in "$1"/etc/apt/sources.list "$1"/etc/apt/sources.list.d/*; do '
    'if [ -f "$file" ]; then sed -i -e "/^deb.*-\\(updates\\|security\\)/d" "$file"; fi; done'
)
# Sources are listed by lines of their own (sources.list(5)).
_WITH_SOURCES = (
    'for file in "$1"/etc/apt/sources.list "$1"/etc/apt/sources.list.d/*.list; do '
    'if [ -f "$file" ]; then sed -n "s/^deb /deb-src /p" "$file" >"$1/etc/apt/sources.list.d/zz-sources.list.new"; '
    'cat "$1/etc/apt/sources.list.d/zz-sources.list.new" >>"$file"; '
    'rm "$1/etc/apt/sources.list.d/zz-sources.list.new"; fi; done'
)


@dataclass(frozen=True, order=True)
class Deb:
    """One binary package: its file, in which folder of any mirror it is, and what it must hash to."""

    file: str
    folder: str
    size: int
    sha256: str

    @classmethod
    def at(cls, path: str, size: int, sha256: str) -> Self | None:
        """Return the package at a path below a mirror, such as ``pool/main/b/bash/bash_5.2_riscv64.deb``.

        No package, None, is at a path of another shape.
        """
        match = _POOL.fullmatch(path)
        return cls(match["file"], match["folder"], size, sha256) if match else None

    @property
    def path(self) -> str:
        """Where it is below the mirror."""
        return f"{self.folder}/{self.file}"

    @property
    def name(self) -> str:
        """The package's name."""
        return self.file.partition("_")[0]

    @property
    def version(self) -> str:
        """Its version, as Debian writes it (deb-version(7)), without the epoch."""
        return self.file.split("_")[1]

    @property
    def arch(self) -> str:
        """Its architecture, ``all`` where it has none."""
        return self.file.rpartition("_")[2].removesuffix(".deb")


def mirror(suite: str, arch: str, scratch: Path) -> str:
    """Return the address of the mirror that mmdebstrap uses for a suite, without a request.

    Args:
        suite: a Debian suite.
        arch: a Debian architecture.
        scratch: a folder for temporary files.

    Raises:
        ImageError: mmdebstrap takes none.
        ProgramError: mmdebstrap is not installed, or fails.
    """
    answer = scratch / f"{arch}.mirror"
    hook = _ask(["--print-uris", "update"], answer)
    _mmdebstrap(suite, arch, ["--skip=update", f"--setup-hook={hook}"], scratch)
    for line in answer.read_text(encoding="utf-8").splitlines():
        if match := _UPDATE.match(line):
            return match[1]
    raise ImageError(f"mmdebstrap knows no mirror of Debian {suite}", fix="wheelyard doctor")


def solve(suite: str, arch: str, groups: Sequence[Sequence[str]], scratch: Path) -> list[tuple[Deb, ...]]:
    """Return, for each group of package names, all the packages that installing it would take.

    Args:
        suite: a Debian suite.
        arch: a Debian architecture.
        groups: package names; a group usually holds those of the groups before it.
        scratch: a folder for temporary files.

    Raises:
        ImageError: the mirror does not answer, or a package is not to be had.
        ProgramError: mmdebstrap is not installed.
    """
    answers = [scratch / f"{arch}-{number}.uris" for number in range(len(groups))]
    options = []
    for group, answer in zip(groups, answers, strict=True):
        hook = _ask(["-o", "Acquire::ForceHash=SHA256", "--yes", "--print-uris", "install", *group], answer)
        options.append(f"--customize-hook={hook}")
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            _mmdebstrap(suite, arch, options, scratch)
            break
        except ProgramError as error:
            if shutil.which("mmdebstrap") is None:
                raise
            if attempt == _ATTEMPTS:
                raise _unsolved(suite, arch, error) from error
            log.info(f"Debian {suite} {arch}: its mirror answered with an error, asking again")
    return [tuple(sorted(_read_uris(answer))) for answer in answers]


@dataclass(frozen=True)
class SourceFile:
    """One file of a source package: its path below any mirror, and what it must hash to by the suite's signed index."""

    path: str
    size: int
    sha256: str

    @property
    def file(self) -> str:
        """Its name."""
        return self.path.rpartition("/")[2]


def sources(suite: str, name: str, version: str, scratch: Path) -> tuple[SourceFile, ...]:
    """Return the files of exactly this version of a source package, as apt knows them.

    Raises:
        ImageError: the suite does not have it any more.
        ProgramError: mmdebstrap is not installed.
    """
    answer = scratch / f"{name}.source"
    hook = _ask(["-o", "Acquire::ForceHash=SHA256", "--print-uris", "source", f"{name}={version}"], answer)
    try:
        _mmdebstrap(suite, "amd64", [f"--setup-hook={_WITH_SOURCES}", f"--customize-hook={hook}"], scratch)
    except ProgramError as error:
        if shutil.which("mmdebstrap") is None:
            raise
        messages = [line for line in error.details if line.startswith("E:")] or list(error.details)
        raise ImageError(
            f"Debian {suite} does not have the source of {name} {version}",
            details=[line.strip() for line in messages],
            fix="if the suite has moved on, build again in a new image (nox -s pins), or fetch it from Debian's "
            "snapshots by hand",
        ) from error
    matches = (_INSTALL.fullmatch(line) for line in answer.read_text(encoding="utf-8").splitlines())
    return tuple(SourceFile(unquote(match[1]), int(match[2]), match[3]) for match in matches if match)


def _ask(words: Sequence[str], answer: Path) -> str:
    """Return a hook in which apt, as mmdebstrap has set it up, answers into a file."""
    return f'APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" {shlex.join(["apt-get", *words])} >{shlex.quote(str(answer))}'


def _mmdebstrap(suite: str, arch: str, options: Sequence[str], scratch: Path) -> None:
    argv = ["mmdebstrap", "--mode=chrootless", "--variant=custom", "--format=null", f"--architectures={arch}"]
    argv += ["--skip=check/qemu,check/chrootless", f"--setup-hook={_SUITE_ONLY}"]
    argv += [f"--aptopt={option}" for option in _APT_OPTIONS]
    temporary = scratch / f"apt-{arch}"
    temporary.mkdir(exist_ok=True)
    environment = {key: value for key, value in os.environ.items() if key != "APT_CONFIG"}
    environment |= {"TMPDIR": str(temporary), "LC_ALL": "C.UTF-8"}
    try:
        run([*argv, *options, suite, "/dev/null"], env=environment, timeout=600)
    except ProgramError as error:
        if shutil.which("mmdebstrap") is None:
            raise ProgramError(error.what, fix="sudo apt-get install mmdebstrap debian-archive-keyring") from error
        raise


def _unsolved(suite: str, arch: str, error: WheelyardError) -> ImageError:
    messages = [line for line in error.details if line.startswith(("E:", "Err:", "  "))] or list(error.details)
    return ImageError(
        f"the packages of Debian {suite} for {arch} cannot be resolved",
        details=[line.strip() for line in messages],
        fix="check the network and proxy; a mirror in the middle of an update is whole again when that is done",
    )


def _read_uris(answer: Path) -> Iterator[Deb]:
    for line in answer.read_text(encoding="utf-8").splitlines():
        if not line.startswith("'"):
            continue
        match = _INSTALL.fullmatch(line)
        deb = Deb.at(unquote(match[1]), int(match[2]), match[3]) if match else None
        if deb is None:
            raise ImageError("apt names a package in a way that is not understood", details=[line])
        yield deb


def download(debs: Iterable[Deb], mirror: str) -> dict[Deb, Path]:
    """Return a local file for each package, from the cache or fresh.

    Args:
        debs: the packages.
        mirror: its address, with a slash at its end.

    Raises:
        NotServedError: the mirror does not have one of them.
        NetworkError: the mirror breaks off.
        DigestMismatchError: it gives other bytes than its signed index, or a lock, promises.
        DiskError: no space.
    """
    folder = cache.cache_dir("debs")
    paths = {deb: folder / deb.file for deb in debs}
    missing = [deb for deb, path in paths.items() if not (path.is_file() and path.stat().st_size == deb.size)]
    if missing:
        total = sum(deb.size for deb in missing)
        log.info(f"downloading {len(missing)} Debian packages, {total / 1e6:.0f} MB")
        with (
            log.progress("Debian packages", total) as advance,
            ThreadPoolExecutor(_DOWNLOADS, thread_name_prefix="deb") as pool,
        ):

            def fetch(deb: Deb) -> None:
                url = mirror + quote(deb.path)
                downloads.download(url, paths[deb], sha256=deb.sha256, size=deb.size, limit=deb.size)
                advance(deb.size)

            futures = [pool.submit(fetch, deb) for deb in sorted(missing, key=lambda deb: -deb.size)]
            try:
                for future in as_completed(futures):
                    future.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    return paths


def payload(deb: Deb, path: Path) -> bytes:
    """Return the uncompressed tar file with a package's files (deb(5)).

    Raises:
        ImageError: the file in the cache is damaged (it is removed), or of a kind we cannot read.
    """
    return _member(deb, path, "data")


def control(deb: Deb, path: Path) -> dict[str, str]:
    """Return the fields of a package's control file by their names in small letters, one line of each (deb-control(5)).

    Raises:
        ImageError: the file in the cache is damaged (it is removed), or of a kind we cannot read.
    """
    with tarfile.open(fileobj=io.BytesIO(_member(deb, path, "control")), mode="r:") as archive:
        for info in archive:
            if info.name.removeprefix("./") == "control" and (file := archive.extractfile(info)):
                lines = file.read().decode("utf-8", "replace").splitlines()
                pairs = (line.partition(":") for line in lines if line[:1].strip())
                return {name.lower(): value.strip() for name, _, value in pairs}
    raise ImageError(f"{deb.file} holds no control file")


def _member(deb: Deb, path: Path, stem: str) -> bytes:
    """Return one of a package's two tar files, uncompressed."""
    raw = path.read_bytes()
    if hashlib.sha256(raw).hexdigest() != deb.sha256:
        files.remove(path)
        raise ImageError(f"{path} was damaged; it is removed", fix="run the same command again")
    for name, data in _ar(raw):
        match name.removeprefix(f"{stem}.") if name.startswith(f"{stem}.") else "":
            case "tar.xz":
                return _unxz(data)
            case "tar.gz":
                return gzip.decompress(data)
            case "tar.bz2":
                return bz2.decompress(data)
            case "tar":
                return bytes(data)
            case _:
                continue
    raise ImageError(f"{deb.file} holds no {stem} archive that can be read here")


def _unxz(data: memoryview) -> bytes:
    try:
        import lzma  # optional in a Python made from source
    except ImportError as error:
        raise ImageError(
            "this Python was made without lzma, which Debian packages need",
            fix="use a Python with lzma, such as Debian's own: WHEELYARD_PYTHON=/usr/bin/python3 ci/bootstrap …",
        ) from error
    return lzma.decompress(data)


def _ar(raw: bytes) -> Iterator[tuple[str, memoryview]]:
    """Yield the members of an ar archive as deb(5) restricts them: short names, in order."""
    if not raw.startswith(_AR_MAGIC):
        return
    view, at = memoryview(raw), len(_AR_MAGIC)
    while at + _AR_HEADER <= len(raw):
        header = raw[at : at + _AR_HEADER]
        name, size = header[:16].decode("ascii", "replace").rstrip().rstrip("/"), int(header[48:58])
        at += _AR_HEADER
        yield name, view[at : at + size]
        at += size + size % 2


def payloads(debs: Sequence[Deb], paths: Mapping[Deb, Path]) -> Iterator[tuple[Deb, bytes]]:
    """Yield the packages' tar files in order, unpacked a few ahead on all processors."""
    workers = os.cpu_count() or 1
    with ThreadPoolExecutor(workers, thread_name_prefix="unpack") as pool:
        ahead = workers + 2
        queue = [pool.submit(payload, deb, paths[deb]) for deb in debs[:ahead]]
        for index, deb in enumerate(debs):
            data = queue.pop(0).result()
            if index + ahead < len(debs):
                following = debs[index + ahead]
                queue.append(pool.submit(payload, following, paths[following]))
            yield deb, data
