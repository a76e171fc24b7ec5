"""Packages of Debian's riscv64 port: which ones (apt decides, through mmdebstrap), their files, what is inside.

mmdebstrap knows the mirror and the keys of a suite; it is asked for the addresses and hashes of packages only,
in its mode that needs no privilege. The hashes come from the suite's signed index, so the transport need not be
trusted.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import os
import re
import shlex
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from wheelyard.core.errors import ImageError, ProgramError, WheelyardError
from wheelyard.io import cache, files, http, log
from wheelyard.io.run import run

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

_LINE = re.compile(r"^'([^']+)' (\S+_(?:\S+)_(\w+)\.deb) (\d+) SHA256:([0-9a-f]{64})$")
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


@dataclass(frozen=True, order=True)
class Deb:
    """One binary package: its file, where it is, and what it must hash to."""

    file: str
    url: str
    size: int
    sha256: str

    @property
    def name(self) -> str:
        """The package's name."""
        return self.file.partition("_")[0]

    @property
    def version(self) -> str:
        """Its version, as Debian writes it (deb-version(7)), without the epoch."""
        return unquote(self.file.split("_")[1]).rpartition(":")[2]

    @property
    def arch(self) -> str:
        """Its architecture, ``all`` where it has none."""
        return self.file.rpartition("_")[2].removesuffix(".deb")


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
    argv = ["mmdebstrap", "--mode=chrootless", "--variant=custom", "--format=null", f"--architectures={arch}"]
    argv += ["--skip=check/qemu,check/chrootless", f"--setup-hook={_SUITE_ONLY}"]
    argv += [f"--aptopt={option}" for option in _APT_OPTIONS]
    for group, answer in zip(groups, answers, strict=True):
        ask = ["apt-get", "-o", "Acquire::ForceHash=SHA256", "--yes", "--print-uris", "install", *group]
        argv.append(
            f'--customize-hook=APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" {shlex.join(ask)} >{shlex.quote(str(answer))}'
        )
    temporary = scratch / f"apt-{arch}"
    temporary.mkdir()
    environment = {key: value for key, value in os.environ.items() if key != "APT_CONFIG"}
    environment |= {"TMPDIR": str(temporary), "LC_ALL": "C.UTF-8"}
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            run([*argv, suite, "/dev/null"], env=environment, timeout=600)
            break
        except ProgramError as error:
            if shutil.which("mmdebstrap") is None:
                raise ProgramError(error.what, fix="sudo apt-get install mmdebstrap debian-archive-keyring") from error
            if attempt == _ATTEMPTS:
                raise _unsolved(suite, arch, error) from error
            log.info(f"Debian {suite} {arch}: its mirror answered with an error, asking again")
    return [tuple(sorted(_read_uris(answer))) for answer in answers]


def _unsolved(suite: str, arch: str, error: WheelyardError) -> ImageError:
    found = [line for line in error.details if line.startswith(("E:", "Err:", "  "))] or list(error.details)
    return ImageError(
        f"the packages of Debian {suite} for {arch} cannot be resolved",
        details=[line.strip() for line in found],
        fix="check the network and proxy; a mirror in the middle of an update is whole again within the hour",
    )


def _read_uris(answer: Path) -> Iterator[Deb]:
    for line in answer.read_text(encoding="utf-8").splitlines():
        match = _LINE.match(line)
        if match:
            url, file, _, size, sha256 = match.groups()
            yield Deb(file, url, int(size), sha256)


def download(debs: Iterable[Deb]) -> dict[Deb, Path]:
    """Return a local file for each package, from the cache or fresh.

    Raises:
        NetworkError: the mirror breaks off.
        DigestMismatchError: it gives other bytes than its signed index promises.
        DiskError: no space.
    """
    folder = cache.cache_dir("debs")
    wanted = {deb: folder / deb.file for deb in debs}
    missing = [deb for deb, path in wanted.items() if not (path.is_file() and path.stat().st_size == deb.size)]
    if missing:
        total = sum(deb.size for deb in missing)
        log.info(f"downloading {len(missing)} Debian packages, {total / 1e6:.0f} MB")
        with (
            log.progress("Debian packages", total) as tell,
            ThreadPoolExecutor(_DOWNLOADS, thread_name_prefix="deb") as pool,
        ):

            def fetch(deb: Deb) -> None:
                http.download(deb.url, wanted[deb], sha256=deb.sha256, size=deb.size, limit=deb.size)
                tell(deb.size)

            futures = [pool.submit(fetch, deb) for deb in sorted(missing, key=lambda deb: -deb.size)]
            try:
                for future in futures:
                    future.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    return wanted


def payload(deb: Deb, path: Path) -> bytes:
    """Return the uncompressed tar file with a package's files (deb(5)).

    Raises:
        ImageError: the file in the cache is damaged (it is removed), or of a kind we cannot read.
    """
    raw = path.read_bytes()
    if hashlib.sha256(raw).hexdigest() != deb.sha256:
        files.remove(path)
        raise ImageError(f"{path} was damaged; it is removed", fix="run the same command again")
    for name, data in _ar(raw):
        match name:
            case "data.tar.xz":
                return _unxz(data)
            case "data.tar.gz":
                return gzip.decompress(data)
            case "data.tar.bz2":
                return bz2.decompress(data)
            case "data.tar":
                return bytes(data)
            case _:
                continue
    raise ImageError(f"{deb.file} holds no data archive that can be read here")


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
