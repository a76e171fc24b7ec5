"""The radar over an index on the loopback: what is a gap, what counts most, what is asked for once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.index import Fault, IndexFile, IndexServer
from support.installers import environment
from support.offers import Offer, sdist_bytes
from support.schemas import validator
from support.wheels import WheelSpec
from wheelyard.core.digests import sha256_file
from wheelyard.core.errors import NetworkError, UnsafeArchiveError, UpstreamUnknownError
from wheelyard.io import archive
from wheelyard.registries import DirectoryRegistry, read_release
from wheelyard.registries.open_registry import open_registry
from wheelyard.watch import gap_report as flow

if TYPE_CHECKING:
    from wheelyard.project.config import Project
    from wheelyard.watch.availability_report import RadarReport

ROOT = Path(__file__).parents[3]
ARM = "cp312-cp312-manylinux_2_17_aarch64"
ARM3 = "cp38-abi3-manylinux_2_28_aarch64"
RISCV = "cp312-cp312-manylinux_2_39_riscv64"
PURE = "py3-none-any"


def add(index: IndexServer, name: str, *offers: Offer) -> None:
    for offer in offers:
        index.add(name, *offer.files(name))


def source(index: IndexServer, name: str, pyproject: str, *, version: str = "1.0") -> None:
    """Serve a project with a binary wheel and a source whose pyproject.toml says that."""
    add(index, name, Offer(version, (ARM,), sdist=False))
    index.add(name, IndexFile(f"{name}-{version}.tar.gz", sdist_bytes(name, version, pyproject)))


def look(project: Project, names: str, *, top: int = 10, own: Path | None = None) -> RadarReport:
    path = project.root / "names.tsv"
    path.write_text(names)
    place = open_registry(project, str(own), new=False) if own else None
    return flow.radar(project, path, top=top, registry=place)


def test_a_gap_is_binary_and_not_for_riscv64_in_the_newest_final_release(index: IndexServer, project: Project) -> None:
    add(index, "gap", Offer("1.0", (RISCV,)), Offer("2.0", (ARM, "cp314-cp314t-manylinux_2_17_aarch64")))
    add(index, "mixed", Offer("1.0", (ARM3, PURE)))
    add(index, "windows", Offer("1.0", ("cp312-cp312-win_amd64",)))
    add(index, "served", Offer("1.0", (ARM, RISCV)))
    add(index, "plain", Offer("1.0", (PURE,)))
    add(index, "source", Offer("1.0"))
    add(index, "early", Offer("1.0", (ARM, RISCV)), Offer("2.0rc1", (ARM,)), Offer("3.0", (ARM,), yanked=True))
    found = look(project, "gap\nmixed\nwindows\nserved\nplain\nsource\nearly\n")
    told = [(gap.name, gap.version, gap.reference, gap.pure, gap.wanted) for gap in found.top]
    assert told == [
        ("gap", "2.0", "aarch64", False, ("cp312", "cp314t")),
        ("mixed", "1.0", "aarch64", True, ("cp312", "cp313", "cp314")),
        ("windows", "1.0", "win", False, ("cp312",)),
    ]
    assert (found.names, found.looked_at, found.gaps, found.failures) == (7, 7, 3, 0)
    assert flow.problem(found) is None


def test_the_final_release_behind_many_early_ones_is_found(index: IndexServer, project: Project) -> None:
    add(index, "nightly", Offer("1.0", (ARM,)), *(Offer(f"2.0.dev{number}", sdist=True) for number in range(20)))
    assert [(gap.name, gap.version) for gap in look(project, "nightly\n").top] == [("nightly", "1.0")]


def test_the_final_release_behind_many_yanked_ones_is_found(index: IndexServer, project: Project) -> None:
    add(index, "takenback", Offer("1.0", (ARM,)))
    add(index, "takenback", *(Offer(f"2.{number}", (ARM,), yanked=True) for number in range(20)))
    assert [(gap.name, gap.version) for gap in look(project, "takenback\n").top] == [("takenback", "1.0")]


def test_the_heaviest_are_kept_and_of_equal_weight_the_first(index: IndexServer, project: Project) -> None:
    for name in "abcdefgh":
        add(index, name, Offer("1.0", (ARM,)))
    found = look(project, "a\t1\nb\t5\nc\t3\nd\t5\ne\nf\t9\ng\t3\nh\t2\n", top=4)
    assert [(gap.name, gap.weight) for gap in found.top] == [("f", 9), ("b", 5), ("d", 5), ("c", 3)]
    assert found.gaps == 8


def test_a_name_in_two_spellings_counts_once(index: IndexServer, project: Project) -> None:
    index.add("gap-one", *Offer("1.0", (ARM,)).files("gap_one"))
    found = look(project, "gap-one\t3\nGap_One\t2\n")
    assert (found.names, found.looked_at, len(found.top)) == (1, 1, 1)


def test_what_our_registry_has_of_it(index: IndexServer, project: Project, tmp_path: Path) -> None:
    add(index, "gap", Offer("2.0", (ARM3,)))
    registry = DirectoryRegistry(tmp_path / "own")
    for version, python in (("1.0", "cp312"), ("1.0", "cp313"), ("1.9", "cp313")):
        made = WheelSpec("gap", version, python=python, abi=python).write(tmp_path / "made")
        registry.put(read_release(made, sha256=sha256_file(made)))
    found = look(project, "gap\n", own=tmp_path / "own")
    assert (found.top[0].ours, found.top[0].covered) == ("1.9", ("cp313",))
    assert found.registry.endswith("own")


# ---------------------------------------------------------- what it needs first

NEEDS = """
[build-system]
requires = ["plain", "scarce>=1", "partly", "gone; python_version >= '3.13'", "unasked; sys_platform == 'win32'", "a b"]
"""


def test_what_it_needs_first(index: IndexServer, project: Project) -> None:
    source(index, "gap", NEEDS)
    add(index, "plain", Offer("1.0", (PURE,)))
    add(index, "scarce", Offer("2.0"))
    add(index, "partly", Offer("1.0", (RISCV,)))
    first = look(project, "gap\n").top[0].first
    assert first is not None
    assert [(each.requirement, each.kind, each.interpreters) for each in first] == [
        ("scarce>=1", "sdist", ("cp312", "cp313", "cp314", "cp314t")),
        ("partly", "sdist", ("cp313", "cp314", "cp314t")),
        ('gone; python_version >= "3.13"', "none", ("cp313", "cp314", "cp314t")),
    ]


@pytest.mark.parametrize(
    "pyproject",
    ["", "[project]\n", "[build-system]\n", "not toml", "build-system = 3", '[build-system]\nrequires = "x"', "\xff"],
)
def test_setuptools_is_what_no_build_system_means(index: IndexServer, project: Project, pyproject: str) -> None:
    # PEP 518: "If the pyproject.toml file is absent, or the build-system table is missing …"
    source(index, "gap", pyproject)
    add(index, "setuptools", Offer("80.0"))
    first = look(project, "gap\n").top[0].first
    assert first is not None
    assert [each.requirement for each in first] == ["setuptools"]


def test_a_source_is_read_once_and_nothing_of_it_stays(index: IndexServer, project: Project, tmp_path: Path) -> None:
    source(index, "gap", NEEDS)
    path = "/files/gap/gap-1.0.tar.gz"
    before = look(project, "gap\n")
    assert index.paths.count(path) == 1
    assert look(project, "gap\n").top == before.top
    assert index.paths.count(path) == 1
    assert list((tmp_path / "cache/radar").glob("*.tar.gz")) == []


def test_a_source_that_cannot_be_read_is_noted_and_the_others_are_told(index: IndexServer, project: Project) -> None:
    add(index, "sourceless", Offer("1.0", (ARM,), sdist=False))
    source(index, "damaged", NEEDS)
    index.fault("/files/damaged/damaged-1.0.tar.gz", Fault(body=b"no archive"))
    source(index, "gone", NEEDS)
    index.fault("/files/gone/gone-1.0.tar.gz", Fault(status=404))
    source(index, "well", "[build-system]\nrequires = []\n")
    found = {gap.name: gap for gap in look(project, "sourceless\ndamaged\ngone\nwell\n").top}
    assert found["well"].first == ()
    assert "no sdist" in found["sourceless"].note
    assert "is not the file that was promised" in found["damaged"].note
    assert "404" in found["gone"].note
    assert all(found[name].first is None for name in ("sourceless", "damaged", "gone"))


def test_a_source_without_a_hash_is_not_read(index: IndexServer, project: Project) -> None:
    add(index, "gap", Offer("1.0", (ARM,), sdist=False))
    index.add("gap", IndexFile("gap-1.0.tar.gz", sdist_bytes("gap", "1.0", NEEDS), sha256=""))
    assert "no sha256" in look(project, "gap\n").top[0].note


def test_a_build_requirement_that_the_index_does_not_answer_for(index: IndexServer, project: Project) -> None:
    source(index, "gap", 'build-system.requires = ["quiet"]')
    index.fault("/simple/quiet/", Fault(status=403))
    first = look(project, "gap\n").top[0].first
    assert first is not None
    assert [(each.requirement, each.kind) for each in first] == [("quiet", "unknown")]


def test_a_source_that_wants_to_fill_the_disk_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x-1.tar.gz"
    path.write_bytes(sdist_bytes("x", "1", "#" * 5000))
    wide = archive.Limits(1 << 20, 100)
    assert archive.read_member(path, ("pyproject.toml",), limits=wide, largest=5000) == b"#" * 5000
    assert archive.read_member(path, ("setup.py",), limits=wide, largest=5000) is None
    assert archive.read_member(path, ("x-1", "pyproject.toml"), limits=wide, largest=5000) is None
    for limits, largest in ((wide, 4999), (archive.Limits(1000, 100), 5000)):
        with pytest.raises(UnsafeArchiveError):
            archive.read_member(path, ("pyproject.toml",), limits=limits, largest=largest)
    with pytest.raises(UnsafeArchiveError):
        archive.read_member(path, ("setup.py",), limits=archive.Limits(1 << 20, 2), largest=5000)


# ---------------------------------------------------------------------- faults


def test_one_project_that_fails_is_told_and_stops_nothing(index: IndexServer, project: Project) -> None:
    add(index, "gap", Offer("1.0", (ARM,)))
    add(index, "broken", Offer("1.0", (ARM,)))
    index.fault("/simple/broken/", Fault(body=b"{", content_type="application/vnd.pypi.simple.v1+json"))
    found = look(project, "broken\ngone\ngap\n")
    assert [gap.name for gap in found.top] == ["gap"]
    assert [each.name for each in found.failed] == ["broken", "gone"]
    error = flow.problem(found)
    assert isinstance(error, UpstreamUnknownError)
    assert (error.exit_code, len(error.details)) == (18, 2)


def test_an_index_that_answers_for_nobody_ends_the_run_soon(index: IndexServer, project: Project) -> None:
    names = [f"p{number}" for number in range(200)]
    for name in names:
        index.fault(f"/simple/{name}/", Fault(status=403))
    with pytest.raises(NetworkError, match="25 projects in a row"):
        look(project, "\n".join(names))
    assert len(index.paths) < 150


def test_an_index_that_answers_now_and_then_or_knows_nobody_ends_nothing(index: IndexServer, project: Project) -> None:
    bad = [f"b{number}" for number in range(48)]
    for name in bad:
        index.fault(f"/simple/{name}/", Fault(status=403))
    good = [f"g{number}" for number in range(40)]
    for name in good:
        add(index, name, Offer("1.0", (PURE,)))
    found = look(project, "\n".join([*bad[:24], *good, *bad[24:]]))
    assert (found.looked_at, found.failures) == (40, 48)
    assert look(project, "\n".join(f"n{number}" for number in range(60))).failures == 60


def test_an_interrupted_run_can_be_run_again(
    index: IndexServer, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(60):
        add(index, f"p{number}", Offer("1.0", (ARM,), sdist=False))
    names = "".join(f"p{number}\t{number}\n" for number in range(60))
    whole = look(project, names, top=5)
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(flow._Tally, "add", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            look(project, names, top=5)
    assert look(project, names, top=5).top == whole.top


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


# ---------------------------------------------------------------- command line


def wheelyard(root: Path, index: IndexServer, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "wheelyard", "radar", *words],
        cwd=root,
        env=environment(root) | {"WHEELYARD_INDEX": index.url, "WHEELYARD_CACHE": str(root / "cache")},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_table_and_the_json(index: IndexServer, project: Project) -> None:
    source(index, "gap", NEEDS)
    (project.root / "ci").mkdir()
    (project.root / "ci/top-packages.tsv").write_text("# made up\ngap\t3\ngone\t2\n")
    done = wheelyard(project.root, index, "--top", "3")
    assert done.returncode == 18
    assert "gone: the index has no package 'gone'" in done.stderr
    row = next(line for line in done.stdout.splitlines() if " gap " in line)
    assert row.split()[:6] == ["3", "gap", "1.0", "aarch64", "cp312", "-"]
    assert row.endswith("plain, scarce>=1, partly, gone")
    assert "1 of 1 packages ship binary wheels, and none for riscv64; shown: 1\nlist: made up\n" in done.stdout
    (project.root / "names").write_text("gap\n")
    done = wheelyard(project.root, index, "--list", "names", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    validator("radar")(told)
    assert (told["source"], told["top"][0]["weight"]) == ("names", None)
    assert wheelyard(project.root, index, "--list", "none").returncode == 5
