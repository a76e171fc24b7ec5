"""``check-upstream`` beside the incumbent's way, and a second run beside a first one.

The incumbent asks ``pip index versions`` for each package, one after another, and the index for what else it must
know; that runs here against the very index that we ask, and so do we, as a whole process that knows nothing yet. Our
time is Python's start, imports, and tens of megabytes of JSON, however near the index is; theirs is waiting for one
answer after the other. So the ratio is one of distances: with an index next door it is smaller than with one at a
distance where the incumbent takes the second a package that was measured for it, as simulated on the loopback.

What a second run takes is measured on a loopback index with copies of those pages, as it depends on validators
(ETag), which not every index or cache on the way passes on. The claim is for a network, which takes time for each
answer and for each byte; what is left without one, where tens of megabytes cost nothing to send, is shown beside it.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import requests

from benchmarks.measure import ROOT, WHEELYARD, claim, seconds
from support.index import JSON, Fault, IndexServer
from wheelyard.index import index_url
from wheelyard.io import log
from wheelyard.io.simple_api import ACCEPT
from wheelyard.project.config import find_project
from wheelyard.watch.check_upstream import check_upstream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wheelyard.watch.status_report import WatchReport

# The distributions that RISE builds: those documented as active in gitlab.com/riseproject/python/wheel_builder.
NAMES = (
    *("apache-tvm-ffi", "cffi", "contourpy", "cryptography", "fastrlock", "fastuuid", "frozenlist", "grpcio"),
    *("hf-transfer", "hf-xet", "httptools", "libcst", "matplotlib", "ml-dtypes", "msgspec", "multidict", "numpy"),
    *("onnx", "openai-harmony", "orjson", "outlines-core", "pandas", "pillow", "polars-runtime-32"),
    *("polars-runtime-64", "protobuf", "psutil", "pynacl", "pyuwsgi", "pyyaml", "scikit-image", "scipy"),
    *("sentencepiece", "setproctitle", "soundfile", "tiktoken", "tlparse", "torch", "tornado", "ujson", "uvloop"),
    "zstandard",
)
ROUNDS = 5
AMONG = 6  # packages of theirs, between two runs of ours
FAR = 0.25  # seconds for an answer: two of these and pip's own time are the second a package
NETWORK = (0.05, 12.5e6)  # seconds for an answer; bytes a second (100 Mbit/s)
NO_NETWORK = (0.0, 0.0)
IMPORTS = "import wheelyard.cli.main, wheelyard.cli.check_upstream, wheelyard.watch.check_upstream, pypi_simple"
NEWS = 17  # the exit code when there is something to do


def main() -> bool:
    """Measure, print, and return whether the claims hold."""
    with tempfile.TemporaryDirectory(prefix="wheelyard-bench-") as name:
        folder = Path(name)
        _project(folder / "project")
        held = [_cold(folder, index_url(), "the index of this machine")]
        with _served(folder / "pages", FAR) as url:
            held.append(_cold(folder, url, f"an index that takes {FAR:g} s for each answer"))
        _warm(folder, *NO_NETWORK)
        return all([*held, _warm(folder, *NETWORK)])


def _project(root: Path) -> None:
    """Make a project with a recipe for each name."""
    root.mkdir()
    shutil.copy(ROOT / "pyproject.toml", root)
    for name in NAMES:
        (root / "recipes" / name).mkdir(parents=True)
        (root / "recipes" / name / "recipe.toml").touch()


def _cold(folder: Path, index: str, title: str) -> bool:
    left_out = {"PYTHONDONTWRITEBYTECODE", "CI"}
    env = {key: value for key, value in os.environ.items() if key not in left_out} | {"WHEELYARD_INDEX": index}
    _ours(folder, env)  # does not count: the first run writes bytecode
    mine: list[float] = []
    starts: list[float] = []
    theirs = 0.0
    for number, name in enumerate(NAMES):
        if number % AMONG == 0:  # a machine that is faster at one time than at another is so for both
            mine.append(_ours(folder, env))
            starts.append(seconds([sys.executable, "-c", IMPORTS], cwd=folder, env=env))
        theirs += _theirs(name, index, env, folder / "pages")
    ours, started = statistics.median(mine), statistics.median(starts)
    print(f"{title}: {len(NAMES)} packages, nothing cached, whole processes, {_mib(folder / 'pages'):.0f} MiB of pages")
    print(f"  check-upstream, median of {len(mine)}             {ours:7.2f} s")
    print(f"  Python and imports, of that                {started:7.2f} s")
    print(f"  pip index versions and a request, in turn  {theirs:7.2f} s")
    return claim(f"check-upstream is at least 20 times as fast: {theirs / ours:.1f}", holds=theirs / ours >= 20)  # noqa: PLR2004


def _ours(folder: Path, env: dict[str, str]) -> float:
    cache = folder / "cache"
    for left in (cache, folder / "project/packages"):
        shutil.rmtree(left, ignore_errors=True)
    command = [*WHEELYARD, "check-upstream", "--registry", "none", "--json"]
    started = time.monotonic()
    done = subprocess.run(
        command,
        cwd=folder / "project",
        env=env | {"WHEELYARD_CACHE": str(cache)},
        capture_output=True,
        text=True,
        check=False,
    )
    taken = time.monotonic() - started
    assert done.returncode in {0, NEWS}, done.stderr
    assert len(json.loads(done.stdout)["packages"]) == len(NAMES)
    return taken


def _theirs(name: str, index: str, env: dict[str, str], pages: Path) -> float:
    """Ask pip and, on a connection of its own, the index; keep the page for the loopback."""
    # pip's configuration may add indexes that we do not ask.
    alone = env | {"PIP_CONFIG_FILE": os.devnull, "PIP_EXTRA_INDEX_URL": "", "PIP_FIND_LINKS": ""}
    command = [sys.executable, "-m", "pip", "index", "versions", "--index-url", index, name]
    started = time.monotonic()
    subprocess.run(command, env=alone, capture_output=True, check=True)
    answer = requests.get(f"{index}{name}/", headers={"Accept": ACCEPT}, timeout=60)
    taken = time.monotonic() - started
    answer.raise_for_status()
    assert answer.headers["Content-Type"] == JSON
    pages.mkdir(exist_ok=True)
    (pages / name).write_bytes(answer.content)
    return taken


def _mib(pages: Path) -> float:
    return sum(page.stat().st_size for page in pages.iterdir()) / (1 << 20)


def _warm(folder: Path, latency: float, rate: float) -> bool:
    cold, warm = [], []
    with _served(folder / "pages", latency, rate) as url:
        os.environ.update(WHEELYARD_INDEX=url, WHEELYARD_CACHE=str(folder / "cache"))
        _forget(folder)
        _here(folder)  # does not count: it imports
        for _ in range(ROUNDS):
            _forget(folder)
            taken, first = _here(folder)
            cold.append(taken)
            taken, again = _here(folder)
            warm.append(taken)
            assert again.packages == first.packages
    ratio = statistics.median(cold) / statistics.median(warm)
    way = f"{latency:g} s for each answer, {rate / 125e3:g} Mbit/s" if rate else "no network between"
    print(f"an index with validators, {way}, medians of {ROUNDS}, inside of the process")
    print(f"  first run   {statistics.median(cold):6.3f} s")
    print(f"  second run  {statistics.median(warm):6.3f} s")
    if not rate:
        print(f"a second run is {ratio:.1f} times as fast")
        return True
    return claim(f"a second run is at least 5 times as fast: {ratio:.1f}", holds=ratio >= 5)  # noqa: PLR2004


def _forget(folder: Path) -> None:
    for left in (folder / "cache", folder / "project/packages"):
        shutil.rmtree(left, ignore_errors=True)


def _here(folder: Path) -> tuple[float, WatchReport]:
    project = find_project(folder / "project")
    with contextlib.redirect_stderr(None), log.collect():
        started = time.monotonic()
        report = check_upstream(project)
        return time.monotonic() - started, report


@contextlib.contextmanager
def _served(pages: Path, latency: float, rate: float = 0) -> Iterator[str]:
    """Serve *pages* from a process of its own while the context lasts."""
    command = [sys.executable, "-m", "benchmarks.upstream", "serve", str(pages), str(latency), str(rate)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdin
        yield process.stdout.readline().strip()
        process.stdin.close()


def serve(pages: Path, latency: float, rate: float) -> None:
    """Serve *pages* until standard input ends; print where."""
    with IndexServer(validators=("ETag",)) as index:
        index.rate = rate or None
        for page in pages.iterdir():
            index.add_static(f"/simple/{page.name}/", page.read_bytes(), JSON)
            index.fault(f"/simple/{page.name}/", Fault(delay=latency))
        print(index.url, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(Path(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]))
        sys.exit(0)
    sys.exit(0 if main() else 1)
