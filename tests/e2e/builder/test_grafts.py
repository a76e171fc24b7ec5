"""A wheel into which auditwheel really grafts a copyleft library: OpenMP's, which GCC brings."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from support.built_recipes import wheelyard
from support.tiny import add_tiny, sources

if TYPE_CHECKING:
    from support.site import Site


def test_a_grafted_library_is_traced_to_its_source(site: Site) -> None:
    plain = sources()
    add_tiny(
        site.index,
        files={
            "backend.py": plain["backend.py"].replace('"-lm"', '"-fopenmp"'),
            "tiny.c": "#include <omp.h>\n" + plain["tiny.c"].replace("42)", "omp_get_max_threads() ? 42 : 0)"),
        },
    )
    code, output = site.build()
    assert code == 0, output
    (wheel,) = site.wheels
    record = json.loads(wheel.with_name(f"{wheel.name}.json").read_bytes())
    (graft,) = record["grafts"]
    assert graft["file"].startswith("tiny.libs/libgomp-")
    assert (graft["package"], graft["kind"], graft["copyleft"]) == ("libgomp1", "debian", True)
    assert graft["source"].startswith("gcc-")
    assert graft["package-version"] == graft["source-version"]
    done = wheelyard(site.root, "sources", "--to", "./index", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert f"{graft['source']} {graft['source-version']}  would be fetched" in done.stdout
