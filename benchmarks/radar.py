"""``radar`` over up to 15,000 names, cold: time grows as the names do, memory does not.

The index is on the loopback and makes its pages up: 12 versions of 6 wheels each, every tenth project a gap. What it
takes from a real one depends on the network and on the size of its pages; how that grows does not.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measure import WHEELYARD, claim, project, run
from support.index import JSON, Fault, IndexServer

if TYPE_CHECKING:
    from benchmarks.measure import Run

SIZES = (3_750, 7_500, 15_000)
SLACK = 1.25  # for the noise of a machine: quadratic growth would be 3
MORE_MEMORY = 1.1  # four times the names may take a tenth more: the names themselves
GAPS = 10  # every so manieth
_PAGE = re.compile(r"/simple/(p(\d+))/")
_BINARY = ("aarch64", "x86_64")


class Made(IndexServer):
    """An index that has any project ``p<number>``."""

    def take_fault(self, path: str) -> Fault:
        """Give validators, so that the cache is written as it is against a real index."""
        return Fault(headers={"ETag": f'"{path}"'})

    def resource(self, path: str, accept: str) -> tuple[bytes, str] | None:  # noqa: ARG002 - JSON for everybody
        """Make up a page."""
        match = _PAGE.fullmatch(path)
        if not match:
            return None
        archs = _BINARY if int(match[2]) % GAPS == 0 else (*_BINARY, "riscv64")
        names = [
            f"{match[1]}-1.{minor}-cp3{python}-cp3{python}-manylinux_2_28_{arch}.whl"
            for minor in range(12)
            for python in (12, 13)
            for arch in archs
        ]
        found = [{"filename": name, "url": f"/files/{name}", "hashes": {"sha256": "0" * 64}} for name in names]
        versions = [f"1.{minor}" for minor in range(12)]
        page = {"meta": {"api-version": "1.1"}, "name": match[1], "versions": versions, "files": found}
        return json.dumps(page).encode(), JSON


def main() -> bool:
    """Measure, print, and return whether the claims hold."""
    with Made() as index:
        _radar(index, 100)  # does not count: the first run writes bytecode
        small, middle, large = runs = [_radar(index, size) for size in SIZES]
    for size, one in zip(SIZES, runs, strict=True):
        each = one.seconds / size * 1e3
        print(f"{size:6} names: {one.seconds:6.1f} s ({each:.2f} ms a name), {one.mib:.0f} MiB at most")
    # What every process takes at its start is in all three: the differences are without it.
    lower = (middle.seconds - small.seconds) / (SIZES[1] - SIZES[0])
    upper = (large.seconds - middle.seconds) / (SIZES[2] - SIZES[1])
    memory = large.mib / small.mib
    return all(
        [
            claim(f"radar takes time that grows as the names do: {upper / lower:.2f}", holds=upper / lower <= SLACK),
            claim(f"radar takes no more memory for 15,000 names: {memory:.2f}", holds=memory <= MORE_MEMORY),
        ]
    )


def _radar(index: IndexServer, size: int) -> Run:
    folder = project()
    names = folder / "names.tsv"
    names.write_text("".join(f"p{number}\t{size - number}\n" for number in range(size)), encoding="utf-8")
    with tempfile.TemporaryDirectory(prefix="wheelyard-bench-") as cache:
        env = dict(os.environ) | {"WHEELYARD_INDEX": index.url, "WHEELYARD_CACHE": cache, "NO_PROXY": "127.0.0.1"}
        done = run([*WHEELYARD, "radar", "--list", str(names), "--registry", "none"], cwd=folder, env=env)
        kept = sum(1 for _ in Path(cache).rglob("*.json"))
    index.requests.clear()
    assert f"{size // GAPS} of {size} packages" in done.output
    assert kept >= size
    return done


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
